//! Programs: found where `cargo xtask e2e` puts them, started with a cleared environment.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// Where `cargo xtask e2e` puts what it installs.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/e2e");

/// Where the sources of the tests' own programs are.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wild/programs");

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Returns the path of one of the tests' own programs.
pub(crate) fn source(name: &str) -> String {
    format!("{SOURCES}/{name}")
}

/// Returns a path in the directory of what was installed.
pub(crate) fn tools(name: &str) -> String {
    format!("{TOOLS}/{name}")
}

/// A program that is about to be started.
pub(crate) struct Program(Command);

impl Program {
    /// Finds a program: `python` is the one with the packages, others are the system's.
    pub(crate) fn new(name: &str) -> Self {
        let path = match name {
            "python" => Some(PathBuf::from(tools("python/bin/python"))),
            path if path.starts_with('/') => Some(path.into()),
            _ => found(name),
        };
        let path = path.filter(|path| path.is_file());
        let path = path.unwrap_or_else(|| panic!("`{name}` is missing: run cargo xtask e2e"));
        let mut command = Command::new(path);
        command.env_clear().env("PATH", search_path()).env("LANG", "C.UTF-8");
        command.env("NODE_PATH", tools("npm/node_modules")).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn directory(mut self, path: &Path) -> Self {
        self.0.current_dir(path);
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    pub(crate) fn args<I: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = I>) -> Self {
        self.0.args(args);
        self
    }

    /// Runs it to its end.
    pub(crate) async fn run(mut self) -> Output {
        let ended = tokio::time::timeout(LIMIT, self.0.output()).await;
        let output = ended.unwrap_or_else(|_| panic!("{:?} hangs", self.0)).unwrap();
        let (ok, stdout, stderr) = (output.status.success(), output.stdout, output.stderr);
        Output { ok, stdout, stderr }
    }

    /// Starts it, with an input for the test to write.
    pub(crate) fn spawn(mut self, stdin: Stdio) -> Child {
        self.0.stdin(stdin).spawn().unwrap()
    }

    /// Starts a server and waits for a line of its output that says it is ready.
    pub(crate) async fn serve(mut self, ready: &str) -> Server {
        let mut child = self.0.spawn().unwrap();
        let (lines, mut incoming) = mpsc::unbounded_channel();
        for stream in [stream(child.stdout.take()), stream(child.stderr.take())] {
            let lines = lines.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream).lines();
                while let Ok(Some(line)) = stream.next_line().await {
                    _ = lines.send(line);
                }
            });
        }
        drop(lines);
        let mut said = Vec::new();
        let first = async {
            loop {
                match incoming.recv().await {
                    Some(line) if line.contains(ready) => return line,
                    Some(line) => said.push(line),
                    None => panic!("{:?} did not start:\n{}", self.0, said.join("\n")),
                }
            }
        };
        let line = tokio::time::timeout(LIMIT, first).await.expect("it starts in time");
        Server { line, lines: incoming, _child: child }
    }
}

fn stream<T: AsyncRead + Send + Unpin + 'static>(
    from: Option<T>,
) -> Box<dyn AsyncRead + Send + Unpin> {
    Box::new(from.unwrap())
}

/// A program that serves until this is dropped.
pub(crate) struct Server {
    /// What it said when it was ready.
    pub(crate) line: String,
    lines: mpsc::UnboundedReceiver<String>,
    _child: Child,
}

impl Server {
    /// Returns the address that it printed as the last word of its line.
    pub(crate) fn address(&self) -> SocketAddr {
        let port = self.line.split(' ').next_back().unwrap().parse().unwrap();
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// Returns the next line that holds a text.
    pub(crate) async fn said(&mut self, text: &str) -> String {
        let found = async {
            loop {
                let line = self.lines.recv().await.expect("the server lives");
                if line.contains(text) {
                    return line;
                }
            }
        };
        tokio::time::timeout(LIMIT, found).await.expect("it says so")
    }
}

/// What a program printed, and whether it succeeded.
pub(crate) struct Output {
    pub(crate) ok: bool,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Output {
    /// Returns what it printed, of a program that must have succeeded.
    pub(crate) fn text(&self) -> String {
        assert!(self.ok, "{self}");
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Whether it printed a text, to either stream.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.to_string().contains(text)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [stdout, stderr] = [&self.stdout, &self.stderr].map(|it| String::from_utf8_lossy(it));
        write!(f, "{}{stdout}{stderr}", if self.ok { "" } else { "FAILED\n" })
    }
}

/// Finds a program of the system.
fn found(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path()).map(|path| path.join(name)).find(|path| path.is_file())
}

/// Returns where programs are: some are only on the path of the administrator.
#[expect(clippy::disallowed_methods, reason = "programs are where this machine has them")]
fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    path
}
