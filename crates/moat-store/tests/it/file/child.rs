//! Processes of their own: the binary of the tests, started once more with orders.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use moat_provider_core::{Credential, Secret, SecretName};
use moat_store::{CredentialStore, Expect, FileStore, StoreErrorKind};
use tokio::runtime::Runtime;

use crate::support::{credential, key};

/// Stands in front of what a child says, because the test harness prints to the same place.
const MARK: &str = "@ ";

/// A process that follows orders, and is killed when this is dropped.
pub(super) struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a process that does `job` on a home.
    pub(super) fn start(job: &str, home: &Path) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the process is this test's own binary")]
        let mut command = Command::new(std::env::current_exe().unwrap());
        Self::start_with(&mut command, job, home)
    }

    /// Starts a command that ends up in this binary, whatever stands in front of it.
    pub(super) fn start_with(command: &mut Command, job: &str, home: &Path) -> Self {
        let mut child = command
            .args(["--ignored", "--exact", "file::child::follows_orders", "--nocapture"])
            .args(["--test-threads", "1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{job}\n{}", home.to_str().unwrap()).unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    /// Returns the next thing that the process says; `None` when it is silent for ever.
    pub(super) fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.stdout.read_line(&mut line).unwrap() > 0 {
            // The harness prints the name of the test without an end of line.
            if let Some((_, said)) = line.trim_end().split_once(MARK) {
                return Some(said.to_owned());
            }
            line.clear();
        }
        None
    }

    /// Tells the process something.
    pub(super) fn tell(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    /// Ends the process as `kill -9` does, and returns all that it has said and was not yet read.
    pub(super) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Waits for the process to end by itself, and returns what it has said.
    pub(super) fn finish(mut self) -> Vec<String> {
        let said = std::iter::from_fn(|| self.next()).collect();
        assert!(self.child.wait().unwrap().success(), "a child has failed: {said:?}");
        said
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a child answers.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub(super) fn say(text: impl std::fmt::Display) {
    println!("{MARK}{text}");
}

fn read_line() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[test]
#[ignore = "other tests start it as a process of its own"]
fn follows_orders() {
    let (job, home) = (read_line(), read_line());
    let home = Path::new(&home);
    let store = FileStore::builder(home).build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match &*job {
        // Nobody gives orders when all tests are run, those that are ignored included.
        "" => {}
        "count for ever" => count_for_ever(&runtime, &store),
        "rotate" => rotate(&runtime, &store),
        "hold a lease" => hold_a_lease(&runtime, &store),
        "make a key" => make_a_key(&runtime, &store),
        "save once" => save_once(&runtime, &store),
        #[cfg(target_os = "linux")]
        "refuse" => super::refusals::in_child(&runtime, home),
        #[cfg(target_os = "linux")]
        "harden" => super::harden::in_child(),
        #[cfg(target_os = "linux")]
        "search memory" => super::memory::in_child(&runtime, &store),
        other => panic!("no such order: {other:?}"),
    }
}

/// A credential of which every part says the same number.
pub(super) fn counted(number: u64) -> Credential {
    let secret = |what: &str| Secret::new(format!("{what} {number} ").repeat(20));
    credential("counter", &secret("token"))
        .renew()
        .secret(SecretName::REFRESH_TOKEN, secret("refresh"))
        .metadata("number", number.to_string())
        .build()
}

/// Reads the number, and checks that every part says the same.
pub(super) fn number_of(credential: &Credential) -> u64 {
    let number = credential.info().metadata("number").unwrap().parse().unwrap();
    let expected = counted(number);
    assert_eq!(credential.info(), expected.info());
    for (name, secret) in expected.secrets().iter() {
        assert!(credential.secrets().get(name).unwrap().same_as(secret), "{name} of {number}");
    }
    number
}

fn count_for_ever(runtime: &Runtime, store: &FileStore) {
    runtime.block_on(async {
        let mut number = match store.load(&key("counter")).await {
            Ok(stored) => number_of(&stored.credential),
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::NotFound);
                0
            }
        };
        say("ready");
        loop {
            number += 1;
            store.save(&counted(number), Expect::Anything).await.unwrap();
            say(number);
        }
    });
}

fn rotate(runtime: &Runtime, store: &FileStore) {
    say("ready");
    let times: u64 = read_line().parse().unwrap();
    let mut conflicts = 0_u64;
    runtime.block_on(async {
        for _ in 0..times {
            loop {
                let stored = store.load(&key("counter")).await.unwrap();
                let next = counted(number_of(&stored.credential) + 1);
                match store.save(&next, Expect::Generation(stored.generation)).await {
                    Ok(_) => break,
                    Err(error) => assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error:?}"),
                }
                conflicts += 1;
            }
        }
    });
    say(conflicts);
}

fn hold_a_lease(runtime: &Runtime, store: &FileStore) {
    let lease = runtime.block_on(store.try_lease(&key("counter"))).unwrap();
    say(if lease.is_some() { "held" } else { "taken" });
    read_line();
}

fn make_a_key(runtime: &Runtime, store: &FileStore) {
    say("ready");
    read_line();
    say(runtime.block_on(store.unlock()).unwrap().key_id());
}

fn save_once(runtime: &Runtime, store: &FileStore) {
    match runtime.block_on(store.save(&counted(1), Expect::Anything)) {
        Ok(_) => say("saved"),
        Err(error) => say(format_args!("{:?}", error.kind())),
    }
}
