//! `fuzz`: libFuzzer on the properties under `fuzz`, and `corpus`: their replay as a test.

use std::fs::{self, File};
use std::path::Path;

use crate::process::{stream, succeeds};
use crate::report::{Failure, Outcome};
use crate::workspace::Workspace;

/// Where the crate is, a workspace of its own.
const DIRECTORY: &str = "fuzz";
/// Longer inputs find nothing that shorter ones do not.
const LONGEST: usize = 2048;
/// An input that takes longer than this, in seconds, is a finding.
const SLOWEST: u32 = 20;

/// Replays the corpus of every target, without libFuzzer.
pub(crate) fn replay(workspace: &Workspace) -> Result<Outcome, Failure> {
    let directory = workspace.root().join(DIRECTORY);
    stream("corpus", workspace.cargo_in(&directory, "fmt --check"))?;
    let mut command = workspace.cargo_in(&directory, "test --locked --no-default-features");
    // What the workspace has compiled serves here too.
    command.arg("--target-dir").arg(workspace.root().join("target"));
    stream("corpus", command)?;
    Ok(Outcome::Done)
}

/// Fuzzes the named targets one after the other, all of them when none is named, and prints a line
/// for each.
///
/// # Errors
///
/// When they do not build, or something was found.
pub(crate) fn run(workspace: &Workspace, options: &[String]) -> Result<(), Failure> {
    let directory = workspace.root().join(DIRECTORY);
    let request = Request::read(options, &targets(&directory)?)?;
    if !succeeds(workspace.cargo_in(&directory, "fuzz --version")) {
        return Err(Failure::new("cargo-fuzz is not installed: cargo install cargo-fuzz --locked"));
    }
    let results: Vec<_> = request
        .targets
        .iter()
        .map(|target| fuzz(workspace, &directory, target, request.minutes))
        .collect();
    Failure::of_all(results)
}

/// What the person asked for.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    targets: Vec<String>,
    minutes: u32,
}

impl Request {
    fn read(options: &[String], known: &[String]) -> Result<Self, Failure> {
        let mut request = Self { targets: Vec::new(), minutes: 10 };
        let mut options = options.iter();
        while let Some(option) = options.next() {
            if option == "--minutes" {
                let minutes = options.next().and_then(|number| number.parse().ok());
                request.minutes =
                    minutes.ok_or_else(|| Failure::new("--minutes is followed by a number"))?;
            } else if known.contains(option) {
                request.targets.push(option.clone());
            } else {
                let known = known.join(", ");
                return Err(Failure::new(format!("`{option}` is no target: {known}")));
            }
        }
        if request.targets.is_empty() {
            request.targets = known.to_vec();
        }
        Ok(request)
    }
}

/// Returns the names of all targets, sorted.
fn targets(directory: &Path) -> Result<Vec<String>, Failure> {
    let folder = directory.join("fuzz_targets");
    let unreadable = |error| Failure::new(format!("{} cannot be read: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn fuzz(
    workspace: &Workspace,
    directory: &Path,
    target: &str,
    minutes: u32,
) -> Result<(), Failure> {
    let log = directory.join("work").join(format!("{target}.log"));
    // New inputs go into the first folder; the committed corpus only grows by hand.
    let (fresh, corpus) = (format!("work/{target}"), format!("corpus/{target}"));
    let failed = |error: std::io::Error| Failure::new(format!("{target} cannot be run: {error}"));
    fs::create_dir_all(directory.join(&fresh)).map_err(failed)?;
    println!("== fuzz: {target}, {minutes} minutes, {}", log.display());
    let mut command = workspace.cargo_in(directory, &format!("fuzz run {target} {fresh} {corpus}"));
    // cargo-fuzz passes flags that only a nightly compiler takes without this.
    command.env("RUSTC_BOOTSTRAP", "1").arg("--");
    command.arg(format!("-max_total_time={}", 60 * minutes));
    command.arg(format!("-max_len={LONGEST}")).arg(format!("-timeout={SLOWEST}"));
    command.args(["-rss_limit_mb=4096", "-print_final_stats=1"]);
    command.stderr(File::create(&log).map_err(failed)?);
    let status = command.status().map_err(failed)?;
    let text = String::from_utf8_lossy(&fs::read(&log).map_err(failed)?).into_owned();
    println!("{}", summary(target, &text));
    match status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("{target}: {status}\n{}", tail(&text)))),
    }
}

/// One line from the output of libFuzzer.
fn summary(target: &str, log: &str) -> String {
    let executions = last_number(log, "stat::number_of_executed_units:");
    let [coverage, corpus] = [last_number(log, " cov:"), last_number(log, " corp:")];
    let found = log.matches("Test unit written to").count();
    format!(
        "{target:<16} {executions:>10} executions, coverage {coverage}, corpus {corpus}, {found} findings"
    )
}

/// Returns the number behind the last occurrence of a label, `?` when there is none.
fn last_number<'a>(log: &'a str, label: &str) -> &'a str {
    let rest = log.rfind(label).map(|at| log[at + label.len()..].trim_start());
    let number = rest.map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        &rest[..end]
    });
    number.filter(|number| !number.is_empty()).unwrap_or("?")
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    const LINES: usize = 40;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_targets_are_meant_when_none_is_named() {
        let known = ["a".to_owned(), "b".to_owned()];
        let read = |options: &[&str]| {
            let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
            Request::read(&options, &known)
        };
        let all = Request { targets: known.to_vec(), minutes: 2 };
        assert_eq!(read(&["--minutes", "2"]).unwrap(), all);
        assert_eq!(read(&["b"]).unwrap(), Request { targets: vec!["b".to_owned()], minutes: 10 });
        assert!(read(&["c"]).is_err() && read(&["--minutes"]).is_err());
    }

    #[test]
    fn the_targets_are_those_of_the_folder() {
        let root = Workspace::locate().root().to_owned();
        let targets = targets(&root.join(DIRECTORY)).unwrap();
        assert!(targets.contains(&"wire_client".to_owned()), "{targets:?}");
        for target in targets {
            assert!(root.join(DIRECTORY).join("corpus").join(&target).is_dir(), "{target}");
        }
    }

    #[test]
    fn a_log_becomes_a_line() {
        let log = "#7 NEW cov: 10 ft: 2 corp: 3/9b\n#9 DONE cov: 12 ft: 2 corp: 4/9b\n\
                   stat::number_of_executed_units: 981\n";
        let line = summary("path", log);
        assert!(line.ends_with("981 executions, coverage 12, corpus 4, 0 findings"), "{line}");
        assert_eq!(last_number("", " cov:"), "?");
    }
}
