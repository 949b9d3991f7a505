//! A terminal, and the example that asks at it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;

/// How long something may take that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a shell shows that it waits for a command.
pub(crate) const PROMPT: &str = "ready> ";

/// Returns the example, which cargo builds with the tests.
pub(crate) fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let example = test.ancestors().nth(2).unwrap().join("examples/ask");
    assert!(
        example.exists(),
        "{} is not built: run the tests of the whole crate",
        example.display()
    );
    example
}

/// The example at a terminal of its own.
pub(crate) struct Person {
    keyboard: File,
    terminal: OwnedFd,
    screen: Arc<(Mutex<String>, Condvar)>,
    seen: usize,
    child: Child,
}

/// How the example ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) printed: String,
    pub(crate) screen: String,
    pub(crate) success: bool,
    /// The number of the signal that ended it.
    pub(crate) signal: Option<i32>,
}

impl Person {
    /// Starts the example in a session at a terminal, or with options of its own.
    pub(crate) fn sits_at(args: &[&str]) -> Self {
        Self::start("xterm", &["--session"], args)
    }

    #[expect(clippy::disallowed_methods, reason = "a process at a terminal is what is tested")]
    pub(crate) fn start(term: &str, options: &[&str], args: &[&str]) -> Self {
        let pty = openpty(None, None).unwrap();
        for end in [&pty.master, &pty.slave] {
            // A program that kept the other end open would not notice when this one is gone.
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        let mut child = Command::new(example());
        child
            .args(options)
            .args(args)
            .env("TERM", term)
            .env("PS1", PROMPT)
            .stdin(pty.slave.try_clone().unwrap())
            .stderr(pty.slave.try_clone().unwrap())
            .stdout(Stdio::piped());
        let child = child.spawn().unwrap();
        let master = File::from(pty.master);
        let screen = Arc::<(Mutex<String>, Condvar)>::default();
        let (mut display, shown) = (master.try_clone().unwrap(), Arc::clone(&screen));
        // It ends with this process: the terminal stays open for a look at its modes.
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len @ 1..) = display.read(&mut bytes) {
                shown.0.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..len]));
                shown.1.notify_all();
            }
        });
        Self { keyboard: master, terminal: pty.slave, screen, seen: 0, child }
    }

    /// Waits until a text stands behind what was awaited before.
    pub(crate) fn sees(&mut self, text: &str) -> &mut Self {
        let (screen, changed) = &*self.screen;
        let seen = self.seen;
        let (screen, waited) = changed
            .wait_timeout_while(screen.lock().unwrap(), PATIENCE, |screen| {
                !screen[seen..].contains(text)
            })
            .unwrap();
        assert!(!waited.timed_out(), "{text:?} does not come behind {:?}", &*screen);
        self.seen += screen[seen..].find(text).unwrap() + text.len();
        drop(screen);
        self
    }

    /// Types keys.
    pub(crate) fn types(&mut self, keys: &str) -> &mut Self {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Sends the example a signal.
    pub(crate) fn sends(&mut self, signal: Signal) -> &mut Self {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
        self
    }

    /// Waits for the end, and expects the terminal to be as it was.
    pub(crate) fn ends(mut self) -> Ended {
        let mut printed = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        let status = self.child.wait().unwrap();
        let modes = tcgetattr(&self.terminal).unwrap().local_flags;
        for flag in [LocalFlags::ECHO, LocalFlags::ICANON, LocalFlags::ISIG, LocalFlags::IEXTEN] {
            assert!(modes.contains(flag), "the terminal lacks {flag:?}");
        }
        let screen = self.screen.0.lock().unwrap().clone();
        Ended { printed, screen, success: status.success(), signal: status.signal() }
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // Fails when it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
