//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What the bridge was asked to be.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    /// The first process of a sandbox.
    Bridge(Bridge),
    /// The process that becomes the command.
    Program(Program),
    /// Something that tells its version.
    Version,
}

/// The first process of a sandbox.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Bridge {
    /// Where clients find the proxy, and the socket of the run.
    pub(crate) proxy: Option<(SocketAddr, PathBuf)>,
    /// The socket over which the host asks for connections into the sandbox.
    pub(crate) publish: Option<PathBuf>,
    /// Whether the host left a socket at which it asks for further commands.
    pub(crate) visits: bool,
    /// Whether the command is killed when the host has closed that socket.
    pub(crate) dies_with_host: bool,
    /// The command.
    pub(crate) program: Program,
}

/// A command and what it gets before it starts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Program {
    /// Whether standard input becomes its controlling terminal.
    pub(crate) terminal: bool,
    /// The most processes of its user, if they are limited.
    pub(crate) processes: Option<u64>,
    /// The most descriptors that it may open, if they are limited.
    pub(crate) descriptors: Option<u64>,
    /// How many descriptors it may open until it asks for more.
    pub(crate) soft_descriptors: Option<u64>,
    /// Program and arguments, at least one.
    pub(crate) command: Vec<OsString>,
}

/// Reads the command line.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut args = args.into_iter();
    let mut bridge = Bridge::default();
    let (mut listen, mut socket, mut inner) = (None, None, false);
    loop {
        let Some(arg) = args.next() else { return Err("there is no command behind `--`".into()) };
        match arg.to_str() {
            Some("--") => break,
            Some("--version") => return Ok(Request::Version),
            // The bridge gives this and `--soft` to itself.
            Some("--exec") => inner = true,
            Some("--soft") => {
                bridge.program.soft_descriptors = Some(number("--soft", args.next())?);
            }
            Some("--visits") => bridge.visits = true,
            Some("--die-with-host") => bridge.dies_with_host = true,
            Some("--tty") => bridge.program.terminal = true,
            Some("--nproc") => bridge.program.processes = Some(number("--nproc", args.next())?),
            Some("--nofile") => bridge.program.descriptors = Some(number("--nofile", args.next())?),
            Some("--listen") => listen = Some(number::<SocketAddr>("--listen", args.next())?),
            Some("--socket") => socket = Some(path("--socket", args.next())?),
            Some("--publish") => bridge.publish = Some(path("--publish", args.next())?),
            _ => return Err(format!("{arg:?} is not understood")),
        }
    }
    bridge.program.command = args.collect();
    if bridge.program.command.is_empty() {
        return Err("there is no command behind `--`".into());
    }
    if inner {
        return Ok(Request::Program(bridge.program));
    }
    if bridge.dies_with_host && bridge.publish.is_none() {
        return Err("--die-with-host needs --publish".into());
    }
    bridge.proxy = match (listen, socket) {
        (Some(listen), Some(socket)) if listen.ip().is_loopback() => Some((listen, socket)),
        (Some(_), Some(_)) => return Err("--listen takes an address of loopback".into()),
        (None, None) => None,
        _ => return Err("--listen and --socket belong together".into()),
    };
    Ok(Request::Bridge(bridge))
}

fn number<T: std::str::FromStr>(name: &str, value: Option<OsString>) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("{name} needs a value"))?;
    let parsed = value.to_str().and_then(|value| value.parse().ok());
    parsed.ok_or_else(|| format!("{value:?} is no value for {name}"))
}

fn path(name: &str, value: Option<OsString>) -> Result<PathBuf, String> {
    value.map(PathBuf::from).ok_or_else(|| format!("{name} needs a value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Request, String> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn everything_is_read() {
        let line = "--listen 127.0.0.1:8080 --socket /run/s --publish /run/p --tty --nproc 5 \
                    --nofile 6 --visits -- cmd --tty -- x";
        let Ok(Request::Bridge(bridge)) = read(line) else { panic!("not a bridge") };
        assert_eq!(bridge.proxy, Some(("127.0.0.1:8080".parse().unwrap(), "/run/s".into())));
        assert_eq!(bridge.publish, Some("/run/p".into()));
        assert!(bridge.visits);
        assert_eq!(bridge.program.command, ["cmd", "--tty", "--", "x"]);
        let limits = (bridge.program.processes, bridge.program.descriptors);
        assert_eq!((limits, bridge.program.terminal), ((Some(5), Some(6)), true));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, part) in [
            ("--listen 127.0.0.1:80 -- x", "belong together"),
            ("--listen 0.0.0.0:80 --socket s -- x", "loopback"),
            ("--listen here --socket s -- x", "no value for --listen"),
            ("--die-with-host -- x", "needs --publish"),
            ("--nproc -- x", "no value for --nproc"),
            ("--tty", "no command"),
            ("--tty --", "no command"),
            ("--other -- x", "not understood"),
        ] {
            assert!(read(line).unwrap_err().contains(part), "{line}");
        }
    }
}
