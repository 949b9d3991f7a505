//! Runs steps and says how they went: a table, then the output of what failed.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::steps::Step;
use crate::workspace::Workspace;

/// How a step ends that did not fail.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It did its work.
    Done,
    /// It had nothing to work on, for this reason.
    Skipped(String),
}

/// Why a step failed, in the words that the person needs to repair it.
#[derive(Debug)]
pub(crate) struct Failure {
    details: String,
}

impl Failure {
    /// Makes a failure from its explanation, which may have many lines.
    pub(crate) fn new(details: impl Into<String>) -> Self {
        Self { details: details.into() }
    }

    /// Returns the explanation.
    pub(crate) fn details(&self) -> &str {
        &self.details
    }

    /// Makes one failure of many findings, or none if there are none.
    pub(crate) fn of_findings(findings: &[String]) -> Result<(), Self> {
        if findings.is_empty() { Ok(()) } else { Err(Self::new(findings.join("\n"))) }
    }

    /// Makes one failure of the failed among `results`, or none if all went well.
    pub(crate) fn of_all(results: impl IntoIterator<Item = Result<(), Self>>) -> Result<(), Self> {
        let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        let details: Vec<_> = failed.into_iter().map(|failure| failure.details).collect();
        if details.is_empty() { Ok(()) } else { Err(Self::new(details.join("\n\n"))) }
    }
}

/// What happened to one step.
#[derive(Debug)]
struct Report {
    step: &'static str,
    result: Result<Outcome, Failure>,
    elapsed: Duration,
}

/// Runs `steps` one after the other, prints how they went and returns whether none failed.
pub(crate) fn run(workspace: &Workspace, steps: &[&'static Step], fail_fast: bool) -> bool {
    let mut reports: Vec<Report> = Vec::new();
    for step in steps {
        let failed = reports.iter().find(|report| report.result.is_err());
        let stopped_by = failed.filter(|_| fail_fast).map(|report| report.step);
        let started = Instant::now();
        let result = match stopped_by {
            Some(failed) => Ok(Outcome::Skipped(format!("{failed} failed"))),
            None => (step.run)(workspace),
        };
        reports.push(Report { step: step.name, result, elapsed: started.elapsed() });
    }
    print!("\n{}{}", table(&reports), failures(&reports));
    reports.iter().all(|report| report.result.is_ok())
}

fn table(reports: &[Report]) -> String {
    let mut text = format!("{:<11} {:<8} {:>7}\n", "step", "result", "seconds");
    for Report { step, result, elapsed } in reports {
        let (result, reason) = match result {
            Ok(Outcome::Done) => ("ok", String::new()),
            Ok(Outcome::Skipped(reason)) => ("skipped", format!("  {reason}")),
            Err(_) => ("FAILED", String::new()),
        };
        let _ = writeln!(text, "{step:<11} {result:<8} {:>7.1}{reason}", elapsed.as_secs_f64());
    }
    text
}

fn failures(reports: &[Report]) -> String {
    let mut text = String::new();
    for Report { step, result, .. } in reports {
        if let Err(failure) = result {
            let _ = write!(text, "\n== {step} FAILED\n{}\n", failure.details().trim_end());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports() -> Vec<Report> {
        let report =
            |step, result, millis| Report { step, result, elapsed: Duration::from_millis(millis) };
        vec![
            report("fmt", Err(Failure::new("two\nlines\n")), 1240),
            report("layers", Ok(Outcome::Done), 60),
            report("downstream", Ok(Outcome::Skipped("nothing there".to_owned())), 0),
        ]
    }

    #[test]
    fn the_table_has_a_row_for_each_step() {
        let expected = "\
step        result   seconds
fmt         FAILED       1.2
layers      ok           0.1
downstream  skipped      0.0  nothing there
";
        assert_eq!(table(&reports()), expected);
    }

    #[test]
    fn what_failed_is_repeated() {
        assert_eq!(failures(&reports()), "\n== fmt FAILED\ntwo\nlines\n");
        assert_eq!(failures(&reports()[1..]), "");
    }

    #[test]
    fn failures_are_gathered() {
        let results = [Err(Failure::new("a")), Ok(()), Err(Failure::new("b"))];
        assert_eq!(Failure::of_all(results).unwrap_err().details(), "a\n\nb");
        assert!(Failure::of_all([Ok(()), Ok(())]).is_ok());
        let findings = ["a".to_owned(), "b".to_owned()];
        assert_eq!(Failure::of_findings(&findings).unwrap_err().details(), "a\nb");
        assert!(Failure::of_findings(&[]).is_ok());
    }

    fn passes(_: &Workspace) -> Result<Outcome, Failure> {
        Ok(Outcome::Done)
    }

    fn fails(_: &Workspace) -> Result<Outcome, Failure> {
        Err(Failure::new("broken"))
    }

    #[test]
    fn one_failure_makes_the_whole_run_fail() {
        static PASSING: Step = Step { name: "a", about: "", in_test_all: true, run: passes };
        static FAILING: Step = Step { name: "b", about: "", in_test_all: true, run: fails };
        let workspace = Workspace::locate();
        assert!(run(&workspace, &[&PASSING, &PASSING], false));
        assert!(!run(&workspace, &[&FAILING, &PASSING], false));
        assert!(!run(&workspace, &[&FAILING, &PASSING], true));
    }
}
