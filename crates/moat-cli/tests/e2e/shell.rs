//! A second terminal in the sandbox of a run.

use std::process::Stdio;

use moat_provider_testkit::pty_driver;
use tokio::io::AsyncReadExt;
use tokio::process::Child;

use crate::machine::{GITHUB, Machine};
use crate::program::{Output, Program};

/// Starts a run whose command waits, and returns it with its id.
async fn waiting(machine: &Machine) -> (Child, String) {
    let script = "echo here; echo mark >/tmp/mark; exec sleep 600";
    let words = [&["run"], GITHUB, &["--", "sh", "-c", script]].concat();
    let mut run = machine.moat().args(words).spawn(Stdio::null());
    let mut said = [0; 4];
    run.stdout.as_mut().unwrap().read_exact(&mut said).await.unwrap();
    let runs = machine.moat().args(["runs", "--json"]).run().await.text();
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    (run, runs["runs"][0]["id"].as_str().unwrap().to_owned())
}

async fn shell(machine: &Machine, run: &str, script: &str) -> Output {
    let output = machine.moat().args(["shell", run, "--", "sh", "-c", script]).run().await;
    machine.checked(&output);
    output
}

#[tokio::test]
#[ignore = "needs bubblewrap and gh; run cargo xtask e2e"]
async fn a_shell_is_where_the_command_is() {
    let machine = Machine::granted().await;
    let (mut run, id) = waiting(&machine).await;
    let script = "cat /tmp/mark; gh api user --jq .login; env | grep LISTEN_; pwd; exit 7";
    let seen = shell(&machine, &id[..8], script).await;
    let expected = format!("mark\noctocat\n{}\n", machine.workspace().display());
    assert_eq!((String::from_utf8_lossy(&seen.stdout), seen.code), (expected.into(), Some(7)));
    let missing = machine.moat().args(["shell", &id, "--", "no-such-program"]).run().await;
    assert_eq!(missing.code, Some(127), "{missing}");
    // The socket that leads in is not there, and neither is a descriptor of it.
    let search = "find / -xdev -name 'visits.sock' 2>/dev/null; ls /proc/self/fd | wc -l";
    assert_eq!(shell(&machine, &id, search).await.text(), "4");
    machine.moat().args(["stop", &id]).run().await.text();
    assert_eq!(run.wait().await.unwrap().code(), Some(143));
    let after = shell(&machine, &id, "true").await;
    assert!(after.code == Some(1) && after.says(&format!("{id} has ended")), "{after}");
    let none = machine.moat().args(["shell"]).run().await;
    assert!(none.code == Some(1) && none.says("nothing runs"), "{none}");
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn a_shell_ends_with_the_run_and_its_command_with_the_shell() {
    let machine = Machine::granted().await;
    let (mut run, id) = waiting(&machine).await;
    let begin = |script: &str| {
        let words = ["shell", &id, "--", "sh", "-c", script];
        machine.moat().args(words).spawn(Stdio::null())
    };
    let script = "trap 'echo hung up >/tmp/end; exit' HUP; echo here; while :; do sleep 0.05; done";
    let mut left = begin(script);
    let mut said = [0; 4];
    left.stdout.as_mut().unwrap().read_exact(&mut said).await.unwrap();
    left.kill().await.unwrap();
    let end = "until [ -s /tmp/end ]; do sleep 0.05; done; cat /tmp/end";
    assert_eq!(shell(&machine, &id, end).await.text(), "hung up");
    let mut stays = begin("echo here; exec sleep 600");
    stays.stdout.as_mut().unwrap().read_exact(&mut said).await.unwrap();
    machine.moat().args(["stop", &id]).run().await.text();
    assert_eq!(run.wait().await.unwrap().code(), Some(143));
    let ended = stays.wait_with_output().await.unwrap();
    let complaint = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(complaint.contains("ended before the command did"), "{complaint}");
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn a_shell_has_a_terminal_of_its_own() {
    let machine = Machine::granted().await;
    let (_run, id) = waiting(&machine).await;
    let script = "
expect(fd, '$ ')
os.write(fd, b'tty -s && stty size\\n'); expect(fd, '33 101')
size(fd, 44, 122)
os.write(fd, b'until stty size | grep 44; do sleep 0.05; done\\n'); expect(fd, '44 122')
os.write(fd, b'sh -c \"trap \\'echo cau\\$((1))ght; exit\\' INT; echo re\\$((1))ady; while :; do sleep 0.05; done\"\\n')
expect(fd, 're1ady'); os.write(fd, b'\\x03'); expect(fd, 'cau1ght')
os.write(fd, b'cat /tmp/mark; exit 5\\n'); expect(fd, 'mark')
";
    assert_eq!(on_a_terminal(&machine, script, &["shell", &id]).await.text(), "5");
}

#[tokio::test]
#[ignore = "needs python; run cargo xtask e2e"]
async fn ctrl_c_without_a_sandbox_is_for_the_command() {
    let machine = Machine::granted().await;
    let script = "expect(fd, 'ready'); os.write(fd, b'\\x03'); expect(fd, 'caught')";
    let command = "trap 'echo caught; exit 4' INT; echo ready; while :; do sleep 0.05; done";
    let words = ["run", "--sandbox", "none", "--", "sh", "-c", command];
    assert_eq!(on_a_terminal(&machine, script, &words).await.text(), "4");
    let runs = machine.moat().args(["runs"]).run().await;
    assert!(runs.text().contains("stopped (4)"), "the run came to its end: {runs}");
}

#[tokio::test]
#[ignore = "needs python; run cargo xtask e2e"]
async fn a_signal_in_the_middle_of_a_question_leaves_the_terminal_with_its_echo() {
    let machine = Machine::granted().await;
    for (signal, code) in [("SIGTERM", "-15"), ("SIGHUP", "-1")] {
        let script = format!(
            "
def echoes(): return termios.tcgetattr(fd)[3] & termios.ECHO
expect(fd, 'Token: ')
if echoes(): sys.exit('what is typed is seen')
os.kill(pid, signal.{signal})
while not echoes(): time.sleep(0.01)
"
        );
        let words = ["grant", "github", "--source", "prompt"];
        assert_eq!(on_a_terminal(&machine, &script, &words).await.text(), code);
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn a_signal_after_a_question_is_for_the_command() {
    let machine = Machine::granted().await;
    std::fs::write(machine.workspace().join("moat.toml"), "grants = [\"github\"]\n").unwrap();
    let script = "
expect(fd, 'Let it?'); os.write(fd, b'y\\r')
expect(fd, 'ready'); os.kill(pid, signal.SIGTERM); expect(fd, 'caught')
";
    let command = "trap 'echo caught; exit 4' TERM; echo ready; while :; do sleep 0.05; done";
    let words = ["run", "--", "sh", "-c", command];
    assert_eq!(on_a_terminal(&machine, script, &words).await.text(), "4");
}

/// Runs the command on a terminal, drives it with a script of Python's, and prints its exit code.
async fn on_a_terminal(machine: &Machine, script: &str, words: &[&str]) -> Output {
    let driver = pty_driver(&format!("pid, fd = start()\n{script}\nprint(end(pid))"));
    let python =
        Program::new("python3").args(["-c", &driver, env!("CARGO_BIN_EXE_moat")]).args(words);
    machine.with_state(python).env("SHELL", "/bin/sh").run().await
}
