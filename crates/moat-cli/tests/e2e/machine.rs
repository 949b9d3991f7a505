//! A person's machine: the command, its home, a workspace, vendors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use moat_provider_testkit::Canary;
use tempfile::TempDir;

use crate::forge;
use crate::github::{GitHub, LOGIN};
use crate::program::{Output, Program};
use crate::vendor::{Double, Vendor};

/// Where `cargo xtask e2e` puts what it installs.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/e2e");
/// Where the sources of the tests' own programs are.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../moat-proxy/tests/wild/programs");

/// Grants that a run may have.
pub(crate) const GITHUB: &[&str] = &["--grant", "github"];
/// What a run without a grant has: the hosts are intercepted nevertheless.
pub(crate) const NONE: &[&str] =
    &["--allow", "GET,POST,PUT,HEAD api.github.com/**", "--allow", "GET,POST github.com/**"];

pub(crate) struct Machine {
    directory: TempDir,
    pub(crate) github: Arc<GitHub>,
    pub(crate) vendor: Vendor,
}

impl Machine {
    /// Makes a machine whose person has a token of GitHub's in the environment, and grants it.
    pub(crate) async fn granted() -> Self {
        Self::with([]).await
    }

    /// Makes such a machine with more vendors around it.
    pub(crate) async fn with(doubles: impl IntoIterator<Item = Arc<dyn Double>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["home", "work", "repositories", "outside"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let repositories = directory.path().join("repositories");
        std::fs::create_dir(repositories.join("o")).unwrap();
        forge::create(&repositories.join("o"), "all.git").await;
        forge::create(&repositories.join("o"), "public.git").await;
        let github = Arc::new(GitHub::new(repositories));
        let mut all: Vec<Arc<dyn Double>> = vec![github.clone()];
        all.extend(doubles);
        let vendor = Vendor::start(all).await;
        let machine = Self { directory, github, vendor };
        std::fs::write(machine.path("upstream.pem"), machine.vendor.authority()).unwrap();
        let granted = machine.grant("github", "GH_TOKEN", &machine.github.token).await;
        assert!(granted.says(LOGIN), "{granted}");
        machine
    }

    /// Grants a credential that stands in the person's environment.
    pub(crate) async fn grant(&self, grant: &str, variable: &str, secret: &Canary) -> Output {
        let granted = self.moat().args(["grant", grant]).env(variable, secret.text()).run().await;
        granted.text();
        self.checked(&granted);
        granted
    }

    /// Returns a path that is not in the workspace.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("outside").join(name)
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    pub(crate) fn moat_home(&self) -> PathBuf {
        self.home().join(".moat")
    }

    /// Returns the command, as a person has it in a shell.
    pub(crate) fn moat(&self) -> Program {
        self.with_state(Program::new(env!("CARGO_BIN_EXE_moat")))
    }

    /// Gives a program that starts the command what the command needs.
    pub(crate) fn with_state(&self, program: Program) -> Program {
        program
            .directory(&self.workspace())
            .env("HOME", self.home())
            .env("MOAT_HOME", self.moat_home())
            // No test waits for a keyring of this machine.
            .env("MOAT_KEY", "file")
            .env("MOAT_UPSTREAM_CA", self.path("upstream.pem"))
            .env("MOAT_CONNECT_TO", self.vendor.connect_to())
    }

    /// Runs a command in the sandbox, and searches what it printed for secrets.
    pub(crate) async fn run(&self, flags: &[&str], command: &[&str]) -> Output {
        let output = self.moat().arg("run").args(flags).args(tools()).arg("--").args(command).run();
        let output = output.await;
        self.checked(&output);
        output
    }

    /// Runs an agent with a prompt, which may begin with a dash.
    pub(crate) async fn agent(&self, words: &[&str], prompt: &str) -> Output {
        self.moat().args(words).args(tools()).args(["--", prompt]).run().await
    }

    /// Runs a script of the shell in the sandbox.
    pub(crate) async fn sh(&self, flags: &[&str], script: &str) -> Output {
        self.run(flags, &["sh", "-c", script]).await
    }

    /// Fails when a secret stands in what a program printed, in any form.
    pub(crate) fn checked(&self, output: &Output) {
        for stream in [&output.stdout, &output.stderr] {
            for secret in self.vendor.canaries() {
                assert_eq!(secret.find_in(stream), None, "{output}");
            }
        }
    }

    /// Returns how many requests arrived with the token so far.
    pub(crate) fn authenticated(&self) -> usize {
        self.vendor.asked(LOGIN)
    }
}

/// Returns the flags that bring the tests' programs into the sandbox.
pub(crate) fn tools() -> Vec<String> {
    let mut flags = Vec::new();
    let mut mount = |source: &Path| {
        let path = source.canonicalize().unwrap_or_else(|_| panic!("{source:?}: cargo xtask e2e"));
        flags.extend(["--mount".to_owned(), format!("{0}:{0}:ro", path.display())]);
    };
    for path in [TOOLS, SOURCES] {
        mount(Path::new(path));
    }
    // An interpreter that is not a package of the system's lives elsewhere.
    let interpreter = Path::new(TOOLS).join("python/bin/python").canonicalize().unwrap();
    if !interpreter.starts_with("/usr") {
        mount(interpreter.ancestors().nth(2).unwrap());
    }
    flags
}

/// Returns the path of one of the tests' own programs, in the sandbox.
pub(crate) fn source(name: &str) -> String {
    Path::new(SOURCES).canonicalize().unwrap().join(name).display().to_string()
}

/// Returns a path in the directory of what was installed, in the sandbox.
pub(crate) fn tool(name: &str) -> String {
    Path::new(TOOLS).canonicalize().unwrap().join(name).display().to_string()
}
