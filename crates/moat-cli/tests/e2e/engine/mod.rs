//! Containers of an engine in the place of the sandbox: what holds for Docker and Podman alike.

mod image;

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use moat_provider_testkit::pty_driver;
use tokio::io::AsyncReadExt;
use tokio::process::Child;

pub(crate) use self::image::archive;
use crate::machine::{GITHUB, Machine, NONE};
use crate::program::{Output, Program};

/// Where `cargo xtask e2e` puts a bridge that runs in every image.
pub(crate) const BRIDGE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/static/debug/moat-bridge");
pub(crate) const IMAGE: &str = "localhost/moat-e2e";

/// Programs of an image in which a person works.
pub(crate) const CLIENTS: &[&str] = &["curl", "gh", "git"];

/// A machine whose person has an engine with an image, and storage of their own.
pub(crate) struct Engine {
    pub(crate) machine: Machine,
    /// The name of the engine and of its program.
    name: &'static str,
    /// What leads its program to this storage.
    variables: Vec<(&'static str, OsString)>,
}

impl Engine {
    pub(crate) fn new<V: Into<OsString>>(
        machine: Machine,
        name: &'static str,
        variables: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name, value.into()));
        Self { machine, name, variables: variables.collect() }
    }

    /// Makes the image.
    pub(crate) async fn import(&self, store: &Path, programs: &[&str]) {
        let archive = archive(store, programs).await;
        self.client().arg("import").arg(archive).arg(IMAGE).run().await.text();
    }

    /// Returns the engine's own program.
    pub(crate) fn client(&self) -> Program {
        self.configured(Program::new(self.name))
    }

    /// Returns the command, as the person has it.
    pub(crate) fn moat(&self) -> Program {
        self.configured(self.machine.moat())
    }

    /// Gives a program what leads to the engine and the image.
    pub(crate) fn configured(&self, program: Program) -> Program {
        let program = program.env("MOAT_IMAGE", IMAGE).env("MOAT_BRIDGE", BRIDGE);
        let variables = self.variables.iter();
        variables.fold(program, |program, (name, value)| program.env(name, value))
    }

    /// Returns the words that run a script in a container.
    pub(crate) fn words<'a>(&self, flags: &[&'a str], script: &'a str) -> Vec<&'a str> {
        [&["run", "--sandbox", self.name], flags, &["--", "sh", "-c", script]].concat()
    }

    pub(crate) async fn sh(&self, flags: &[&str], script: &str) -> Output {
        let output = self.moat().args(self.words(flags, script)).run().await;
        self.machine.checked(&output);
        output
    }

    /// Starts a script that says "here" and then goes on; returns it with the run's identity.
    pub(crate) async fn begin(&self, flags: &[&str], script: &str) -> (Child, String) {
        let mut run = self.moat().args(self.words(flags, script)).spawn(Stdio::piped());
        heard(&mut run).await;
        let runs = self.moat().args(["runs", "--json"]).run().await.text();
        let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
        (run, runs["runs"][0]["id"].as_str().unwrap().to_owned())
    }

    async fn shell(&self, run: &str, words: &[&str]) -> Output {
        let output = self.moat().args(["shell", run, "--"]).args(words).run().await;
        self.machine.checked(&output);
        output
    }

    /// Runs the command on a terminal, driven by a script of Python's.
    async fn on_a_terminal(&self, words: &[&str], script: &str) -> Output {
        let driver = pty_driver(&format!("pid, fd = start()\n{script}\nprint(end(pid))"));
        let words = [&["-c", &driver, env!("CARGO_BIN_EXE_moat")], words].concat();
        let python = self.machine.with_state(Program::new("python3")).args(words);
        let output = self.configured(python).run().await;
        self.machine.checked(&output);
        output
    }

    /// Lists the containers that there are, in whatever state.
    async fn containers(&self) -> String {
        self.client().args(["ps", "--all", "--quiet"]).run().await.text()
    }

    /// Whether something is left of what a container of a run was given.
    fn is_staged(&self, run: &str) -> bool {
        self.machine.moat_home().join("runs").join(run).join("stage").exists()
    }
}

/// Waits until a run has said "here".
pub(crate) async fn heard(run: &mut Child) {
    let mut said = [0; 4];
    run.stdout.as_mut().unwrap().read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"here");
}

/// Sends a signal to a process of the test's own, and to nothing else.
async fn kill(run: &Child, signal: &str) {
    let pid = run.id().unwrap().to_string();
    Program::new("kill").args(["-s", signal, &pid]).run().await.text();
}

pub(crate) async fn clients_are_logged_in_and_find_no_token(engine: &Engine) {
    let clients = "set -e
        curl -sS https://api.github.com/echo
        gh api user --jq .login
        git clone -q https://github.com/o/public.git /tmp/public
        env; cat $HOME/.gitconfig; find /run /home /tmp -type f ! -name moat-bridge | while read f; do cat \"$f\"; done
        for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ; done
        exit 7";
    let before = engine.machine.authenticated();
    let seen = engine.sh(GITHUB, clients).await;
    assert_eq!(seen.code, Some(7), "{seen}");
    assert!(seen.says("octocat"), "gh is logged in: {seen}");
    assert!(seen.says("you sent Bearer ghp_****"), "an echo is masked: {seen}");
    let asked = engine.machine.authenticated() - before;
    assert!(asked >= 2, "the token was used {asked} times: {seen}");
    let refused = engine.sh(NONE, "curl -sS -w '%{http_code}' https://api.github.com/user").await;
    assert!(refused.text().ends_with("401"), "{refused}");
}

pub(crate) async fn the_run_s_socket_is_the_only_way_out(engine: &Engine) {
    let port = engine.machine.vendor.address().port();
    let direct = format!(
        "curl -sS --noproxy '*' -m 5 -k https://127.0.0.1:{port}/ || echo no vendor; \
         curl -sS -m 5 http://169.254.169.254/ -w '%{{http_code}}' -o /dev/null; \
         grep -c : /proc/net/dev"
    );
    let before = engine.machine.vendor.seen().len();
    let tried = engine.sh(GITHUB, &direct).await;
    // Its loopback is the only interface.
    assert!(tried.text().contains("no vendor\n4031"), "{tried}");
    assert_eq!(engine.machine.vendor.seen().len(), before);
    let limits = "touch /usr/bin/x || echo read-only; ulimit -c
        grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status | tr -d '\\t'
        cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max
        test $(ulimit -n) -le 65536 && df -k /tmp | grep -q ' 4194304 ' && echo bounded";
    let limits = engine.sh(GITHUB, limits).await;
    let expected = "read-only\n0\nCapBnd:0000000000000000\nCapEff:0000000000000000\n\
                    NoNewPrivs:1\nSeccomp:2\n8192\nbounded";
    let lines = |text: &str| -> Vec<String> {
        let mut lines: Vec<_> = text.lines().map(|line| line.trim().to_owned()).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(&limits.text()), lines(expected), "{limits}");
}

/// What stands on the host about a container, for everyone who may ask the engine.
pub(crate) async fn what_the_host_sees_has_no_token(engine: &Engine) {
    let script = "curl -sS https://api.github.com/user >/tmp/out; echo here; read line";
    let before = engine.machine.authenticated();
    let (mut run, id) = engine.begin(GITHUB, script).await;
    assert_eq!(engine.machine.authenticated(), before + 1);
    let inspected = engine.client().args(["inspect", &format!("moat-{id}")]).run().await;
    engine.machine.checked(&inspected);
    assert!(inspected.text().contains(&format!("MOAT_RUN={id}")), "{inspected}");
    let processes = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; true";
    let processes = Program::new("sh").args(["-c", processes]).run().await;
    engine.machine.checked(&processes);
    assert!(processes.says(&format!("moat-{id}")), "the client of the engine is among them");
    // What the command says is kept nowhere.
    let logs = engine.client().args(["logs", &format!("moat-{id}")]).run().await;
    assert!(!logs.says("here"), "{logs}");
    drop(run.stdin.take());
    run.wait().await.unwrap();
    assert_eq!(engine.containers().await, "");
}

pub(crate) async fn variables_arrive_as_they_are(engine: &Engine) {
    let long = format!("LONG={}", "x".repeat(100_000));
    let values = ["A=  a \"b\" #c $HOME ", "B=#b", "C=", "D='two\nlines'", &long];
    let flags: Vec<_> = values.iter().flat_map(|value| ["--env", value]).collect();
    let seen = engine.sh(&flags, "printf '%s|' \"$A\" \"$B\" \"${C-unset}\" \"$D\" ${#LONG}").await;
    assert_eq!(seen.text(), "  a \"b\" #c $HOME |#b||'two\nlines'|100000|", "{seen}");
}

pub(crate) async fn exit_codes_and_signals_pass_through(engine: &Engine) {
    for (script, code) in [("exit 7", 7), ("kill -TERM $$", 143), ("exit 125", 125)] {
        let ended = engine.sh(NONE, script).await;
        assert_eq!((ended.code, &ended.stderr[..]), (Some(code), &b""[..]), "{script}: {ended}");
    }
    let missing = engine.sh(NONE, "exec no-such-program").await;
    assert_eq!(missing.code, Some(127), "{missing}");
    for signal in ["INT", "TERM", "HUP", "QUIT"] {
        let script =
            format!("trap 'echo caught; exit 4' {signal}; echo here; while :; do sleep 0.05; done");
        let (mut run, _) = engine.begin(NONE, &script).await;
        kill(&run, signal).await;
        assert_eq!(run.wait().await.unwrap().code(), Some(4), "{signal}");
    }
    assert_eq!(engine.containers().await, "");
}

pub(crate) async fn nothing_is_left_of_a_container(engine: &Engine) {
    let (mut run, id) = engine.begin(GITHUB, "echo here; exec sleep 600").await;
    assert!(!engine.containers().await.is_empty() && engine.is_staged(&id));
    let stopped = engine.moat().args(["stop", &id]).run().await;
    assert_eq!(stopped.text(), format!("Stopped {id}."));
    assert_eq!(run.wait().await.unwrap().code(), Some(143));
    assert_eq!(engine.containers().await, "");
    assert!(!engine.is_staged(&id));
    // Neither when nobody is left who could end it.
    let deaf = "trap '' HUP INT TERM; echo here; while :; do sleep 0.05; done";
    let (mut run, id) = engine.begin(GITHUB, deaf).await;
    kill(&run, "KILL").await;
    assert_eq!(run.wait().await.unwrap().code(), None);
    let mut asked = 0;
    while !engine.containers().await.is_empty() {
        asked += 1;
        assert!(asked < 500, "the container outlives its host");
    }
    let cleaned = engine.moat().args(["stop", &id]).run().await;
    let expected = format!("The process of {id} had died. What it left is cleaned up.");
    assert_eq!(cleaned.text(), expected);
    assert!(!engine.is_staged(&id));
}

/// At whatever moment the signal comes: before there is a container, before it runs, after.
pub(crate) async fn a_run_is_stopped_while_it_starts(engine: &Engine) {
    let words = engine.words(NONE, "exec sleep 600");
    for _ in 0..3 {
        let mut run = engine.moat().args(&words).spawn(Stdio::null());
        let id = loop {
            let runs = engine.moat().args(["runs", "--json"]).run().await.text();
            let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
            if runs["runs"][0]["state"] == "running" {
                break runs["runs"][0]["id"].as_str().unwrap().to_owned();
            }
        };
        let stopped = engine.moat().args(["stop", &id]).run().await;
        assert!(stopped.text().contains(&id), "{stopped}");
        assert!(!run.wait().await.unwrap().success());
        assert!(!engine.is_staged(&id));
    }
    assert_eq!(engine.containers().await, "");
}

pub(crate) async fn a_shell_is_where_the_command_is(engine: &Engine) {
    let (mut run, id) =
        engine.begin(GITHUB, "echo mark >/tmp/mark; echo here; exec sleep 600").await;
    let script =
        "cat /tmp/mark; curl -sS https://api.github.com/user | grep -o octocat; pwd; exit 7";
    let seen = engine.shell(&id[..8], &["sh", "-c", script]).await;
    let expected = format!("mark\noctocat\n{}\n", engine.machine.workspace().display());
    assert_eq!((String::from_utf8_lossy(&seen.stdout), seen.code), (expected.into(), Some(7)));
    let missing = engine.shell(&id, &["no-such-program"]).await;
    assert!([Some(126), Some(127)].contains(&missing.code), "{missing}");
    let script = "
expect(fd, '# ')
os.write(fd, b'cat /tmp/mark; until stty size | grep 33; do sleep 0.05; done; exit 5\\n')
expect(fd, 'mark'); expect(fd, '33 101')
";
    assert_eq!(engine.on_a_terminal(&["shell", &id], script).await.text(), "5");
    engine.moat().args(["stop", &id]).run().await.text();
    assert_eq!(run.wait().await.unwrap().code(), Some(143));
    let after = engine.shell(&id, &["true"]).await;
    assert!(after.code == Some(1) && after.says(&format!("{id} has ended")), "{after}");
}

pub(crate) async fn keys_of_a_terminal_are_for_the_command(engine: &Engine) {
    let shell = "
expect(fd, '# ')
os.write(fd, b'stty size\\n'); expect(fd, '33 101')
size(fd, 44, 122)
os.write(fd, b'until stty size | grep 44; do sleep 0.05; done\\n'); expect(fd, '44 122')
os.write(fd, b'sh -c \"echo re\\$((1))ady; exec cat\"\\n'); expect(fd, 're1ady')
os.write(fd, b'\\x1a'); expect(fd, 'Stopped')
os.write(fd, b'kill -9 %1; wait; echo do$((1))ne\\n'); expect(fd, 'do1ne')
os.write(fd, b'stty -icanon -echo; echo re$((1))ady; head -c 1 | tr \"\\\\020\" P; stty sane\\n')
expect(fd, 're1ady'); os.write(fd, b'\\x10'); expect(fd, 'P')
os.write(fd, b'sh -c \"trap \\'echo cau\\$((1))ght; exit\\' INT; echo re\\$((1))ady; while :; do sleep 0.05; done\"\\n')
expect(fd, 're1ady'); os.write(fd, b'\\x03'); expect(fd, 'cau1ght')
os.write(fd, b'exit 5\\n')
";
    let words = ["run", "--sandbox", engine.name, "--", "sh"];
    assert_eq!(engine.on_a_terminal(&words, shell).await.text(), "5");
    // Nobody would continue the command itself.
    let stop = "
expect(fd, 'ready'); os.write(fd, b'\\x1a'); expect(fd, '^Z')
os.write(fd, b'word\\n'); expect(fd, 'got word')
";
    let words = engine.words(NONE, "echo ready; read x; echo got $x; exit 6");
    assert_eq!(engine.on_a_terminal(&words, stop).await.text(), "6");
    let hang_up = "expect(fd, 'ready'); os.close(fd)";
    let words = engine.words(NONE, "echo ready; exec sleep 600");
    assert_eq!(engine.on_a_terminal(&words, hang_up).await.text(), "129");
    assert_eq!(engine.containers().await, "");
}
