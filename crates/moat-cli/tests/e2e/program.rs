//! Programs of this machine, started with a cleared environment.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A program that is about to be started.
pub(crate) struct Program(Command);

impl Program {
    /// Finds a program of the system.
    pub(crate) fn new(name: &str) -> Self {
        let path = if name.starts_with('/') { Some(name.into()) } else { found(name) };
        let path = path.filter(|path| path.is_file());
        let path = path.unwrap_or_else(|| panic!("`{name}` is missing: run cargo xtask e2e"));
        let mut command = Command::new(path);
        command.env_clear().env("PATH", search_path()).env("LANG", "C.UTF-8").kill_on_drop(true);
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
        let (code, stdout, stderr) = (output.status.code(), output.stdout, output.stderr);
        Output { code, stdout, stderr }
    }

    /// Starts it on a terminal.
    pub(crate) fn on(mut self, terminal: &OwnedFd) -> Child {
        let end = || Stdio::from(terminal.try_clone().unwrap());
        self.0.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap()
    }

    /// Starts it, with an input for the test to write.
    pub(crate) fn spawn(mut self, stdin: Stdio) -> Child {
        self.0.stdin(stdin).spawn().unwrap()
    }
}

/// What a program printed, and how it ended.
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Output {
    /// Returns what it printed, of a program that must have succeeded.
    pub(crate) fn text(&self) -> String {
        assert_eq!(self.code, Some(0), "{self}");
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
        write!(f, "code {:?}\n{stdout}{stderr}", self.code)
    }
}

/// Finds a program of the system.
pub(crate) fn found(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path()).map(|path| path.join(name)).find(|path| path.is_file())
}

/// Returns where programs are: some are only on the path of the administrator.
#[expect(clippy::disallowed_methods, reason = "programs are where this machine has them")]
pub(crate) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    path
}
