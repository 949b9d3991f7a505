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
mod fuzz;
mod json;
mod layers;
mod package;
mod process;
mod report;
mod soak;
mod steps;
mod words;
mod workspace;

use std::env;
use std::process::ExitCode;

use report::Failure;
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
        Ok(Invocation::Tool { run, options }) => {
            let done = run(&Workspace::locate(), &options);
            if let Err(failure) = &done {
                eprintln!("{}", failure.details());
            }
            exit_code(done.is_ok())
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

/// Something that takes long, has options of its own and is run alone.
type Tool = fn(&Workspace, &[String]) -> Result<(), Failure>;

/// What can be run with options, by name, and what its options are.
const TOOLS: &[(&str, Tool, &str)] = &[
    ("bench", bench::run, "proxy|aws [OPTION]..."),
    ("fuzz", fuzz::run, "[TARGET...] [--minutes N]"),
    ("soak", soak::run, "[--minutes N] [--seed S] [--runs R] [--workers W]"),
];

/// What the person asked for.
#[derive(Debug)]
enum Invocation {
    Help,
    Tool { run: Tool, options: Vec<String> },
    Run { steps: Vec<&'static Step>, fail_fast: bool },
}

impl Invocation {
    /// Reads the arguments. A step that is named twice, also by way of `test-all`, runs once.
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = arguments.peekable();
        let tool = |name: &String| TOOLS.iter().find(|(tool, ..)| tool == name);
        if let Some((_, run, _)) = arguments.peek().and_then(tool) {
            return Ok(Self::Tool { run: *run, options: arguments.skip(1).collect() });
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
    let mut text = String::from("Usage: cargo xtask [--fail-fast] STEP...\n");
    for (name, _, options) in TOOLS {
        text.push_str(&format!("       cargo xtask {name} {options}\n"));
    }
    text.push_str(&format!("\n\x20 {TEST_ALL:<11} every step of the first list, in this order\n"));
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
        assert_eq!(all.len(), 12);
        assert!(!all.contains(&"book") && !all.contains(&"e2e") && !all.contains(&"bless"));
        assert_eq!(names("test-all fmt"), all);
    }

    #[test]
    fn what_follows_a_tool_is_its_own() {
        let Ok(Invocation::Tool { options, .. }) = parse("fuzz fmt --minutes 1") else {
            panic!("this is a tool");
        };
        assert_eq!(options, ["fmt", "--minutes", "1"]);
        assert!(parse("fmt fuzz").is_err());
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
        assert!(TOOLS.iter().all(|(name, ..)| help().contains(&format!("xtask {name} "))));
    }
}
