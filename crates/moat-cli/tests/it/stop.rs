//! Ending runs.

use std::fs;
use std::io::Read;

use rustix::process::Signal;
use serde_json::json;

use crate::proxy::Serving;
use crate::support::{Ended, Moat};

fn state(moat: &Moat, run: &str) -> String {
    let runs = moat.run(&["runs", "--json"]).succeeded().json();
    let runs = runs["runs"].as_array().unwrap();
    runs.iter().find(|it| it["id"] == run).unwrap()["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_run_is_asked_to_end_and_waited_for() {
    let moat = Moat::new();
    let serving = Serving::start(&moat, &[]);
    let run = serving.run();
    let ended = moat.run(&["stop", &run[..8]]).succeeded();
    assert_eq!(ended.stdout, format!("Stopped {run}.\n"));
    assert_eq!(state(&moat, &run), "stopped");
    serving.ended().succeeded();
    let again = moat.run(&["stop", &run]).succeeded();
    assert_eq!(again.stdout, format!("{run} has ended before: stopped.\n"));
}

#[test]
fn a_run_is_killed_where_that_is_asked_for() {
    let moat = Moat::new();
    let serving = Serving::start(&moat, &[]);
    let run = serving.run();
    // It could not even answer.
    serving.signal(Signal::STOP);
    let ended = moat.run(&["stop", "--force", &run, "--json"]).succeeded().json();
    assert_eq!((&ended["id"], &ended["state"]), (&run.as_str().into(), &"killed".into()));
    assert_eq!(serving.ended().code, -1);
}

#[test]
fn what_a_dead_run_left_is_cleaned_up() {
    let moat = Moat::new();
    let serving = Serving::start(&moat, &[]);
    let run = serving.run();
    serving.signal(Signal::KILL);
    serving.ended();
    assert!(moat.files().iter().any(|file| file.contains("/stage/")));
    let ended = moat.run(&["stop", &run]).succeeded();
    assert_eq!(
        ended.stdout,
        format!("The process of {run} had died. What it left is cleaned up.\n")
    );
    assert_eq!(state(&moat, &run), "killed");
    assert!(!moat.files().iter().any(|file| file.contains("/stage/")));
}

#[test]
fn a_process_that_is_not_the_run_is_left_alone() {
    let moat = Moat::new();
    let serving = Serving::start(&moat, &[]);
    let run = serving.run();
    let path = moat.home().join("runs").join(&run).join("metadata.json");
    let mut metadata: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    // This process: the test would end with it.
    metadata["pid"] = std::process::id().into();
    fs::write(&path, metadata.to_string()).unwrap();
    moat.run(&["stop", "--force", &run]).failed(1, &["is another", "end it from there"]);
    serving.signal(Signal::TERM);
    serving.ended().succeeded();
}

#[test]
fn a_run_has_to_be_named() {
    let moat = Moat::new();
    moat.run(&["stop"]).failed(2, &["<RUN>"]);
    moat.run(&["stop", "run-x"]).failed(1, &["there is no run run-x", "moat runs"]);
}

#[test]
fn a_command_without_a_sandbox_ends_with_its_run() {
    let moat = Moat::new();
    let script = "trap 'echo asked; exit 9' TERM; echo here; while :; do sleep 0.05; done";
    let mut run = moat.start(&["run", "--sandbox", "none", "--", "sh", "-c", script]);
    let mut said = [0; 5];
    run.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    let id = moat.run(&["runs", "--json"]).json()["runs"][0]["id"].as_str().unwrap().to_owned();
    moat.run(&["stop", &id]).succeeded();
    let ended = Ended::of(run);
    assert_eq!((ended.code, &*ended.stdout), (9, "asked\n"), "{}", ended.stderr);
    let runs = moat.run(&["runs", "--json"]).json();
    assert_eq!(
        (&runs["runs"][0]["state"], &runs["runs"][0]["exit_code"]),
        (&json!("stopped"), &json!(9))
    );
}
