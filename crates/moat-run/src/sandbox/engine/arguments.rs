//! Command lines of engines, as pure functions.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use moat_provider_core::{EnvVar, MountAccess};

use super::EngineKind;
use super::daemon::Ids;
use crate::sandbox::{BRIDGE, Limits, PROXY_SOCKET, PUBLISH_SOCKET};
use crate::{Bind, ContainerSpec, Result, RunError, RunErrorKind, Way};

/// Variables that the client of Docker sets from the person's configuration, with passwords in them,
/// unless they are among the arguments.
const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// A byte that is nowhere in UTF-8, so that no key has it.
const NO_KEY: &[u8] = b"\xff";

/// Keys that nobody presses in this order: what is asked of a daemon as JSON has no other bytes.
const RARE_KEYS: &str = "ctrl-^,ctrl-_,ctrl-^";

/// How long a line with a variable may be.
const LINE: usize = 60_000;

/// What a container is made of, besides its description.
#[derive(Debug)]
pub(super) struct Container<'a> {
    pub(super) kind: EngineKind,
    pub(super) image: &'a str,
    pub(super) bridge: &'a Path,
    pub(super) environment: &'a Path,
    /// Files that are made for the container, each with its path in there.
    pub(super) made: &'a [(&'static str, PathBuf)],
    pub(super) publish: &'a Path,
    pub(super) binds: &'a [Bind],
    pub(super) limits: &'a Limits,
    pub(super) options: &'a [String],
    pub(super) user: (u32, u32),
    pub(super) ids: Ids,
    pub(super) terminal: bool,
    /// Limits that this user may give.
    pub(super) ulimits: [(&'static str, u64); 2],
}

impl Container<'_> {
    /// Returns the name of the container.
    pub(super) fn name(&self, spec: &ContainerSpec) -> String {
        self.kind.container(&spec.run)
    }

    /// Returns the contents of the file with the container's variables.
    ///
    /// The format has no way to write a line break, and Docker reads no line of 64 KiB; such variables
    /// are arguments instead.
    pub(super) fn environment(&self, spec: &ContainerSpec) -> String {
        let plain = spec.env.iter().filter(|var| fits(var));
        plain.map(|var| format!("{}={}\n", var.name(), var.value())).collect()
    }

    /// Returns what stands behind the engine's own options.
    pub(super) fn arguments(&self, spec: &ContainerSpec) -> Result<Vec<OsString>> {
        let Limits { processes, descriptors, scratch, shared_memory, .. } = self.limits;
        let name = self.name(spec);
        let mut list: Vec<OsString> = vec!["run".into(), "--interactive".into()];
        if self.terminal {
            list.extend(terminal(self.kind, Verb::Run));
        }
        let mut add = |arguments: &[&str]| list.extend(arguments.iter().map(OsString::from));
        add(&["--rm", "--pull", "never", "--name", &name, "--hostname", spec.run.as_str()]);
        // What an agent shows is kept in no log, and a check of the image's service is not asked for.
        add(&["--log-driver", "none", "--no-healthcheck"]);
        add(&["--network", "none", "--cap-drop", "ALL"]);
        add(&["--security-opt", "no-new-privileges", "--read-only"]);
        add(&["--pids-limit", &processes.to_string(), "--ulimit", "core=0:0"]);
        // Without these Podman asks for more than it may give where this user's limits are low.
        for (name, most) in self.ulimits.iter().filter(|_| self.kind == EngineKind::Podman) {
            add(&["--ulimit", &format!("{name}={most}:{most}")]);
        }
        add(&["--shm-size", &shared_memory.to_string()]);
        for directory in ["/tmp", "/var/tmp"] {
            add(&["--tmpfs", &format!("{directory}:rw,exec,mode=1777,size={scratch}")]);
        }
        add(&["--tmpfs", "/run:rw,mode=755,size=67108864"]);
        let (user, group) = match self.ids {
            Ids::OwnDaemon => (0, 0),
            _ => self.user,
        };
        add(&["--user", &format!("{user}:{group}")]);
        match self.ids {
            Ids::Kept => add(&["--userns", "keep-id"]),
            Ids::Remapped => add(&["--userns", "host"]),
            Ids::Same | Ids::OwnDaemon => {}
        }
        add(&["--workdir", spec.workdir.as_str()]);
        add(&["--env-file", text(self.environment)?]);
        for var in spec.env.iter().filter(|var| !fits(var)) {
            add(&["--env", &format!("{}={}", var.name(), var.value())]);
        }
        for name in PROXIES.iter().filter(|_| self.kind == EngineKind::Docker) {
            let ours = spec.env.iter().rev().find(|var| var.name() == *name);
            // A name alone is a variable of the client's, which has none of these: it is not set.
            let variable = ours.map(|var| format!("{name}={}", var.value()));
            add(&["--env", variable.as_deref().unwrap_or(name)]);
        }
        for bind in self.binds {
            let access = match bind.access {
                MountAccess::ReadOnly => ",readonly",
                MountAccess::ReadWrite => "",
            };
            add(&["--mount", &mount(&bind.source, bind.target.as_str(), access)?]);
        }
        for (target, source) in self.made {
            // What the run binds there comes first.
            if self.binds.iter().all(|bind| bind.target.as_str() != *target) {
                add(&["--mount", &mount(source, target, ",readonly")?]);
            }
        }
        let Way::Socket { path: socket, port } = &spec.way else {
            return Err(RunError::new(RunErrorKind::InvalidInput, "the way is no socket"));
        };
        add(&["--mount", &mount(self.bridge, BRIDGE, ",readonly")?]);
        add(&["--mount", &mount(socket, PROXY_SOCKET, ",readonly")?]);
        add(&["--mount", &mount(self.publish, PUBLISH_SOCKET, ",readonly")?]);
        list.extend(self.options.iter().map(OsString::from));
        let mut add = |arguments: &[&str]| list.extend(arguments.iter().map(OsString::from));
        add(&["--entrypoint", BRIDGE, "--", self.image]);
        add(&["--listen", &format!("127.0.0.1:{port}"), "--socket", PROXY_SOCKET]);
        add(&["--publish", PUBLISH_SOCKET, "--die-with-host"]);
        add(&["--nofile", &descriptors.to_string()]);
        if self.terminal {
            add(&["--tty"]);
        }
        add(&["--"]);
        list.extend(spec.command.iter().map(OsString::from));
        Ok(list)
    }
}

/// What the engine's client is asked to do with a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// To start a container.
    Run,
    /// To start a further command in one.
    Exec,
}

/// Returns the options by which a command gets a terminal.
///
/// By itself a client leaves its container at Ctrl-P Ctrl-Q, and withholds each Ctrl-P until the next
/// key.
pub(super) fn terminal(kind: EngineKind, verb: Verb) -> [OsString; 3] {
    let keys = match (kind, verb) {
        (EngineKind::Docker, Verb::Run) => OsStr::from_bytes(NO_KEY),
        (EngineKind::Docker, Verb::Exec) => OsStr::new(RARE_KEYS),
        (EngineKind::Podman, _) => OsStr::new(""),
    };
    ["--tty".into(), "--detach-keys".into(), keys.to_owned()]
}

/// Whether a variable can be a line of a file.
fn fits(var: &EnvVar) -> bool {
    !var.value().contains(['\n', '\r']) && var.name().len() + var.value().len() < LINE
}

/// Writes a mount in the engines' comma-separated form.
fn mount(source: &Path, target: &str, access: &str) -> Result<String> {
    let source = text(source)?;
    match [source, target].iter().find(|path| path.contains([',', '"', '\n', '\r'])) {
        Some(path) => Err(RunError::new(
            RunErrorKind::InvalidInput,
            format!("{path:?} cannot be mounted: engines split what they mount at commas"),
        )),
        None => Ok(format!("type=bind,source={source},target={target}{access}")),
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        RunError::new(RunErrorKind::InvalidInput, format!("{} is not UTF-8", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ContainerSpec {
        let way = Way::Socket { path: "/run/user/7/moat/proxy.sock".into(), port: 3128 };
        let home = "/home/agent".parse().unwrap();
        let mut spec = ContainerSpec::new("r1".parse().unwrap(), home, vec!["gh".into()], way);
        let var = |name: &str, value: &str| EnvVar::new(name, value).unwrap();
        let proxy = var("HTTPS_PROXY", "http://127.0.0.1:3128");
        spec.env = vec![var("A", "1 2"), var("B", "x\ny"), proxy];
        spec
    }

    fn container<'a>(kind: EngineKind, binds: &'a [Bind], limits: &'a Limits) -> Container<'a> {
        Container {
            kind,
            image: "debian:13",
            bridge: Path::new("/opt/moat-bridge"),
            environment: Path::new("/run/user/7/moat/stage/environment"),
            made: &[],
            publish: Path::new("/run/user/7/moat/publish.sock"),
            binds,
            limits,
            options: &[],
            user: (7, 8),
            ids: Ids::Same,
            terminal: true,
            ulimits: [("nofile", 500), ("nproc", 90)],
        }
    }

    fn line(container: &Container<'_>) -> String {
        let line = container.arguments(&spec()).unwrap();
        let line: Vec<_> = line.iter().map(|word| word.to_string_lossy()).collect();
        line.join("|")
    }

    #[test]
    fn a_container_of_docker_has_nothing_but_what_is_named() {
        let bind = Bind {
            source: "/srv/work".into(),
            target: "/work".parse().unwrap(),
            access: MountAccess::ReadWrite,
        };
        let limits = Limits::default();
        let made = [("/etc/passwd", PathBuf::from("/s/passwd")), ("/work", "/s/not".into())];
        let binds = [bind];
        let mut container = container(EngineKind::Docker, &binds, &limits);
        container.made = &made;
        let expected = "run|--interactive|--tty|--detach-keys|\u{fffd}|--rm|--pull|never\
            |--name|moat-r1|--hostname|r1|--log-driver|none|--no-healthcheck|--network|none\
            |--cap-drop|ALL|--security-opt|no-new-privileges|--read-only|--pids-limit|8192\
            |--ulimit|core=0:0|--shm-size|1073741824\
            |--tmpfs|/tmp:rw,exec,mode=1777,size=4294967296\
            |--tmpfs|/var/tmp:rw,exec,mode=1777,size=4294967296\
            |--tmpfs|/run:rw,mode=755,size=67108864|--user|7:8|--workdir|/home/agent\
            |--env-file|/run/user/7/moat/stage/environment|--env|B=x\ny\
            |--env|HTTP_PROXY|--env|http_proxy|--env|HTTPS_PROXY=http://127.0.0.1:3128\
            |--env|https_proxy|--env|FTP_PROXY|--env|ftp_proxy|--env|NO_PROXY|--env|no_proxy\
            |--env|ALL_PROXY|--env|all_proxy\
            |--mount|type=bind,source=/srv/work,target=/work\
            |--mount|type=bind,source=/s/passwd,target=/etc/passwd,readonly\
            |--mount|type=bind,source=/opt/moat-bridge,target=/run/moat/moat-bridge,readonly\
            |--mount|type=bind,source=/run/user/7/moat/proxy.sock,target=/run/moat/proxy.sock,readonly\
            |--mount|type=bind,source=/run/user/7/moat/publish.sock,target=/run/moat/publish.sock,readonly\
            |--entrypoint|/run/moat/moat-bridge|--|debian:13|--listen|127.0.0.1:3128\
            |--socket|/run/moat/proxy.sock|--publish|/run/moat/publish.sock|--die-with-host\
            |--nofile|65536|--tty|--|gh";
        assert_eq!(line(&container), expected);
        container.terminal = false;
        assert!(!line(&container).contains("tty") && !line(&container).contains("detach"));
    }

    #[test]
    fn podman_asks_for_no_more_than_it_may_give() {
        let limits = Limits::default();
        let line = line(&container(EngineKind::Podman, &[], &limits));
        assert!(line.contains("--ulimit|nofile=500:500|--ulimit|nproc=90:90"));
        assert!(line.contains("--detach-keys||") && !line.contains("PROXY"), "{line}");
    }

    #[test]
    fn the_user_is_the_person_whatever_the_ids_of_the_engine() {
        let limits = Limits::default();
        let mut container = container(EngineKind::Docker, &[], &limits);
        for (ids, expected) in [
            (Ids::Same, "--user|7:8|--workdir"),
            (Ids::Kept, "--user|7:8|--userns|keep-id|--workdir"),
            (Ids::Remapped, "--user|7:8|--userns|host|--workdir"),
            (Ids::OwnDaemon, "--user|0:0|--workdir"),
        ] {
            container.ids = ids;
            assert!(line(&container).contains(expected), "{ids:?}");
        }
    }

    #[test]
    fn variables_of_one_line_are_no_arguments() {
        let limits = Limits::default();
        let container = container(EngineKind::Docker, &[], &limits);
        let environment = container.environment(&spec());
        assert_eq!(environment, "A=1 2\nHTTPS_PROXY=http://127.0.0.1:3128\n");
    }

    #[test]
    fn a_variable_that_is_too_long_for_a_line_is_an_argument() {
        let limits = Limits::default();
        let container = container(EngineKind::Docker, &[], &limits);
        let mut spec = spec();
        spec.env = vec![EnvVar::new("LONG", "x".repeat(LINE)).unwrap()];
        assert_eq!(container.environment(&spec), "");
        let arguments = container.arguments(&spec).unwrap();
        assert!(arguments.iter().any(|it| it.to_string_lossy().starts_with("LONG=xxx")));
    }

    #[test]
    fn a_path_that_would_end_its_field_is_refused() {
        let bind = Bind {
            source: "/srv/a,readonly".into(),
            target: "/work".parse().unwrap(),
            access: MountAccess::ReadOnly,
        };
        let limits = Limits::default();
        let error = container(EngineKind::Docker, &[bind], &limits).arguments(&spec()).unwrap_err();
        assert!(error.message().contains("commas"));
    }
}
