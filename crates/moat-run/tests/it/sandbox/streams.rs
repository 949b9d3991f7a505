//! Files of the person's as standard streams of a container.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};

use super::world::{program, text};

/// Runs the example, with these as its input and as its output and errors.
fn run(input: &Path, output: &Path, script: &str) -> Output {
    #[expect(clippy::disallowed_methods, reason = "a person's redirections are those of a process")]
    let mut person = Command::new(program("examples/sandbox"));
    let output = File::options().append(true).open(output).unwrap();
    person
        .args([program("moat-bridge").to_str().unwrap(), "bash", "-c", script])
        .stdin(File::open(input).unwrap())
        .stderr(output.try_clone().unwrap())
        .stdout(output)
        .output()
        .unwrap()
}

#[test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
fn a_file_is_read_and_written_and_nothing_else_can_be_done_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("in"), directory.path().join("out"));
    fs::write(&input, "read\n").unwrap();
    fs::write(&output, "before\n").unwrap();
    // What is opened anew is not the file: the input stays, and what was there is not shown.
    let script = "cat; echo out; echo error >&2; echo out; \
                  (echo overwritten > /proc/self/fd/0) 2> /dev/null; \
                  timeout 1 grep -c before /proc/self/fd/1 > /tmp/found; \
                  cat /tmp/found >&2; : > /proc/self/fd/1; exit 7";
    let ended = run(&input, &output, script);
    assert_eq!(ended.status.code(), Some(7));
    assert_eq!(fs::read_to_string(&input).unwrap(), "read\n");
    let written = fs::read_to_string(&output).unwrap();
    assert!(written.starts_with("before\nread\nout\nerror\nout\n"), "{written}");
    assert!(!written.contains('1'), "{written}");
}

#[test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
fn a_directory_leads_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("out");
    fs::write(&output, "").unwrap();
    fs::write(directory.path().join("private"), "private").unwrap();
    let ended = run(directory.path(), &output, "cat /proc/self/fd/0/private || exit 3");
    assert_eq!(ended.status.code(), Some(3));
    let written = fs::read_to_string(&output).unwrap();
    assert!(!written.starts_with("private"), "{written}");
}

#[test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
fn who_writes_hears_that_a_file_takes_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in");
    fs::write(&input, "").unwrap();
    let ended = run(&input, Path::new("/dev/full"), "yes; exit ${PIPESTATUS[0]}");
    assert_eq!(ended.status.code(), Some(128 + 13), "{}", text(&ended.stderr));
}
