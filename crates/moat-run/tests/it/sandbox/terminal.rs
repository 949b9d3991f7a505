//! A person's terminal, played by Python's, and a container on it.

use std::process::Command;

use moat_provider_testkit::pty_driver;

use super::world::{program, text};

/// Runs the example on a terminal, drives it, and returns what the script says.
fn drive(script: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "a person's side of a terminal is a process")]
    let mut person = Command::new("/usr/bin/python3");
    let output = person
        .args(["-c", &pty_driver(script)])
        .args([program("examples/sandbox"), program("moat-bridge")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
fn the_size_follows_the_persons_terminal() {
    let script = "
pid, fd = start('bash', '-c', 'trap \"stty size; exit 3\" WINCH; stty size; echo ready; while :; do sleep 0.05; done')
expect(fd, '33 101'); expect(fd, 'ready')
size(fd, 44, 122)
expect(fd, '44 122'); print(end(pid))
";
    assert_eq!(drive(script), "3\n");
}

#[test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
fn ctrl_c_interrupts_the_command_and_not_the_host() {
    let script = "
pid, fd = start('bash', '-c', 'trap \"echo caught; exit 4\" INT; echo ready; while :; do sleep 0.05; done')
expect(fd, 'ready'); os.write(fd, b'\\x03'); expect(fd, 'caught'); print(end(pid))
";
    assert_eq!(drive(script), "4\n");
}

#[test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
fn a_shell_has_job_control_and_a_terminal_of_its_own() {
    let script = "
pid, fd = start('bash', '--norc', '-i')
os.write(b'' and 0 or fd, b'PS1=; echo st$((1))art\\n'); expect(fd, 'st1art')
os.write(fd, b'tty -s && echo is$((1))tty; sleep 60\\n'); expect(fd, 'is1tty')
time.sleep(0.3); os.write(fd, b'\\x1a'); expect(fd, 'Stopped')
os.write(fd, b'jobs; kill -KILL %1; wait -f %1; echo do$((1))ne\\n'); expect(fd, 'do1ne')
# A shell that takes a job for a stopped one still warns once.
os.write(fd, b'exit 6; exit 6\\n'); code = end(pid)
print(code)
";
    assert_eq!(drive(script), "6\n");
}

#[test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
fn the_persons_terminal_is_as_it_was() {
    for how in ["exit 0", "kill -KILL $$"] {
        let script = format!(
            "
user, person = pty.openpty()[::-1]
before = termios.tcgetattr(user)
pid = os.fork()
if pid == 0:
    os.setsid(); fcntl.ioctl(user, termios.TIOCSCTTY, 0)
    for n in range(3): os.dup2(user, n)
    os.execv(sys.argv[1], [sys.argv[1], sys.argv[2], 'bash', '-c', 'echo ready; read x; {how}'])
expect(person, 'ready')
print(termios.tcgetattr(user) != before)
os.write(person, b'\\n'); end(pid)
print(termios.tcgetattr(user) == before)
"
        );
        assert_eq!(drive(&script), "True\nTrue\n", "{how}");
    }
}
