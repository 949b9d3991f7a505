//! The commands that build, check and test this workspace: `cargo xtask --help`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks to its terminal"
)]

mod behaviours;
mod bench;
mod downstream;
mod e2e;
mod features;
mod json;
mod layers;
mod package;
mod process;
mod report;
mod steps;
mod words;
mod workspace;

use std::env;
use std::process::ExitCode;

use steps::{STEPS, Step};
use workspace::Workspace;

/// The name that stands for every step that [`Step::in_test_all`] marks.
const TEST_ALL: &str = "test-all";

fn main() -> ExitCode {
    match Invocation::parse(env::args().skip(1)) {
        Ok(Invocation::Help) => {
            print!("{}", help());
            ExitCode::SUCCESS
        }
        Ok(Invocation::Run { steps, fail_fast }) => {
            exit_code(report::run(&Workspace::locate(), &steps, fail_fast))
        }
        Ok(Invocation::Bench { options }) => {
            let measured = bench::proxy(&Workspace::locate(), &options);
            if let Err(failure) = &measured {
                eprintln!("{}", failure.details());
            }
            exit_code(measured.is_ok())
        }
        Err(mistake) => {
            eprintln!("{mistake}\n\n{}", help());
            ExitCode::from(2)
        }
    }
}

fn exit_code(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the person asked for.
#[derive(Debug)]
enum Invocation {
    Help,
    Run { steps: Vec<&'static Step>, fail_fast: bool },
    Bench { options: Vec<String> },
}

impl Invocation {
    /// Reads the arguments. A step that is named twice, also by way of `test-all`, runs once.
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = arguments.peekable();
        if arguments.next_if(|first| first == "bench").is_some() {
            return match arguments.next().as_deref() {
                Some("proxy") => Ok(Self::Bench { options: arguments.collect() }),
                _ => Err("what can be measured is `bench proxy`".to_owned()),
            };
        }
        let mut steps: Vec<&'static Step> = Vec::new();
        let mut fail_fast = false;
        for argument in arguments {
            match argument.as_str() {
                "-h" | "--help" | "help" => return Ok(Self::Help),
                "--fail-fast" => fail_fast = true,
                name => {
                    for step in named(name)? {
                        if !steps.iter().any(|known| known.name == step.name) {
                            steps.push(step);
                        }
                    }
                }
            }
        }
        if steps.is_empty() {
            return Err("name at least one step".to_owned());
        }
        Ok(Self::Run { steps, fail_fast })
    }
}

/// Returns the steps that `name` stands for.
fn named(name: &str) -> Result<Vec<&'static Step>, String> {
    let steps: Vec<_> = STEPS
        .iter()
        .filter(|step| step.name == name || (name == TEST_ALL && step.in_test_all))
        .collect();
    if steps.is_empty() { Err(format!("`{name}` is no step")) } else { Ok(steps) }
}

fn help() -> String {
    let mut text = format!(
        "Usage: cargo xtask [--fail-fast] STEP...\n\
         \x20      cargo xtask bench proxy [OPTION]...\n\n\
         \x20 {TEST_ALL:<11} every step of the first list, in this order\n"
    );
    for in_test_all in [true, false] {
        text.push('\n');
        for step in STEPS.iter().filter(|step| step.in_test_all == in_test_all) {
            text.push_str(&format!("  {:<11} {}\n", step.name, step.about));
        }
    }
    text.push_str(
        "\nEvery step runs even if one before it failed; --fail-fast stops at the first failure.\n\
         The output of what failed is repeated at the end.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Invocation, String> {
        Invocation::parse(arguments.split_whitespace().map(str::to_owned))
    }

    fn names(arguments: &str) -> Vec<&'static str> {
        match parse(arguments).unwrap() {
            Invocation::Run { steps, .. } => steps.iter().map(|step| step.name).collect(),
            other => panic!("{arguments}: {other:?}"),
        }
    }

    #[test]
    fn steps_run_in_the_order_they_were_named() {
        assert_eq!(names("clippy fmt"), ["clippy", "fmt"]);
        assert_eq!(names("fmt fmt"), ["fmt"]);
    }

    #[test]
    fn test_all_holds_what_it_promises() {
        let all = names(TEST_ALL);
        assert_eq!(all[..3], ["fmt", "layers", "clippy"]);
        assert_eq!(all.len(), 11);
        assert!(!all.contains(&"book") && !all.contains(&"e2e") && !all.contains(&"bless"));
        assert_eq!(names("test-all fmt"), all);
    }

    #[test]
    fn what_follows_a_benchmark_is_its_own() {
        let Ok(Invocation::Bench { options }) = parse("bench proxy --quick fmt") else {
            panic!("this is a benchmark");
        };
        assert_eq!(options, ["--quick", "fmt"]);
        assert!(parse("bench").is_err() && parse("bench fmt").is_err());
    }

    #[test]
    fn mistakes_are_told() {
        assert_eq!(parse("fmt typo").unwrap_err(), "`typo` is no step");
        assert_eq!(parse("").unwrap_err(), "name at least one step");
        assert_eq!(parse("--fail-fast").unwrap_err(), "name at least one step");
    }

    #[test]
    fn help_names_every_step() {
        assert!(matches!(parse("fmt --help"), Ok(Invocation::Help)));
        for step in STEPS {
            assert!(help().contains(&format!("  {} ", step.name)), "{}", step.name);
        }
    }
}
