//! A person's side of a terminal, played by Python's standard library.

/// Returns a program for Python that drives another program on a terminal, as a person would.
///
/// Python is started with `-c`, the program, and the words of the command line that is to be driven
/// (the first one a path). The script finds what the modules `fcntl`, `os`, `pty`, `select`,
/// `signal`, `struct`, `sys`, `termios` and `time` have, and these functions:
///
/// | function | what it does |
/// |---|---|
/// | `start(*words)` | starts the command line, with further words, on a terminal of 33 rows and 101 columns; returns the process's id and the person's side |
/// | `size(fd, rows, columns)` | gives the terminal another size |
/// | `expect(fd, text)` | reads until the text was seen, behind what was expected before; ends with a sentence and code 1 after 30 seconds, or when the terminal has ended |
/// | `end(pid)` | waits for the end of a process; returns its exit code, or the signal as a negative number |
///
/// What the person types goes out with `os.write(fd, …)`. After 100 seconds a script is killed.
///
/// ```
/// let driver = moat_provider_testkit::pty_driver(
///     "pid, fd = start(); expect(fd, '$ '); os.write(fd, b'exit 3\\n'); print(end(pid))",
/// );
/// let command_line = ["python3", "-c", &driver, "/bin/sh"];
/// # assert!(command_line[2].ends_with("print(end(pid))"));
/// ```
#[must_use]
pub fn pty_driver(script: &str) -> String {
    [include_str!("pty.py"), script].concat()
}
