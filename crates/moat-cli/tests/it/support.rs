//! Runs the binary.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use moat_provider_core::Credential;
use moat_provider_testkit::Canary;
use moat_store::{CredentialStore, Expect, FileStore};
use tempfile::TempDir;

/// One person on one machine: a home, a workspace, no keyring, nobody at the terminal.
pub(crate) struct Moat {
    directory: TempDir,
    env: Vec<(String, String)>,
    arguments: Vec<String>,
}

/// What a command wrote, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Moat {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("workspace")).unwrap();
        Self { directory, env: Vec::new(), arguments: Vec::new() }
    }

    /// Sets a variable for every command.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Adds arguments in front of those of every command.
    pub(crate) fn always(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Returns the directory of all state.
    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("moat")
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.directory.path().join("workspace")
    }

    /// Returns a path beside home and workspace.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "")
    }

    /// Runs a command with this on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = self.start(arguments);
        // A command that reads no input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ended::of(child)
    }

    /// Starts a command.
    #[expect(clippy::disallowed_methods, reason = "the program under test is started")]
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_moat"))
            .args(&self.arguments)
            .args(arguments)
            .current_dir(self.workspace())
            .env_clear()
            .env("HOME", self.directory.path())
            .env("MOAT_HOME", self.home())
            .env("MOAT_KEY", "file")
            .env("PATH", "/usr/bin:/bin")
            .envs(self.env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Changes what is stored of a grant, as another program would have left it.
    pub(crate) fn edit(&self, grant: &str, edit: impl FnOnce(&Credential) -> Credential) {
        let key = grant.parse().unwrap();
        let stored = in_store(&self.home(), async |store| store.load(&key).await.unwrap());
        self.store(&edit(&stored.credential));
    }

    /// Stores a credential, as another program would; the key of the store has to be there.
    pub(crate) fn store(&self, credential: &Credential) {
        in_store(&self.home(), async |store| {
            store.save(credential, Expect::Anything).await.unwrap();
        });
    }

    /// Returns every file below the home, as relative paths.
    pub(crate) fn files(&self) -> Vec<String> {
        fn walk(root: &Path, at: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(at).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(root, &path, found);
                } else {
                    found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.home(), &self.home(), &mut found);
        found.sort();
        found
    }
}

fn in_store<T>(home: &Path, act: impl AsyncFnOnce(&FileStore) -> T) -> T {
    let store = FileStore::builder(home).build();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(act(&store))
}

impl Ended {
    /// Waits for the end of a command.
    pub(crate) fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails the test unless the command has done what it was asked for.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }

    /// Fails the test unless the command ended so, with this in its error.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in {}", self.stderr);
        }
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Fails the test when a secret stands in what was written.
    #[track_caller]
    pub(crate) fn without(self, canary: &Canary) -> Self {
        for text in [&self.stdout, &self.stderr] {
            assert_eq!(canary.find_in_str(text), None, "{text}");
        }
        self
    }
}
