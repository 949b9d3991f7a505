//! Runs and their requests.

use std::fs;

use serde_json::json;

use crate::support::Moat;

/// Puts the remains of a run into the home.
fn leave(moat: &Moat, id: &str, created_at: &str, requests: &str) {
    let directory = moat.home().join("runs").join(id);
    fs::create_dir_all(&directory).unwrap();
    let metadata = json!({
        "id": id,
        "state": "stopped",
        "workspace": "/w\u{1b}[2J",
        "grants": ["github"],
        "command": ["gh", "pr list"],
        "pid": 1,
        "created_at": created_at,
        "exit_code": 3,
    });
    fs::write(directory.join("metadata.json"), metadata.to_string()).unwrap();
    fs::write(directory.join("requests.jsonl"), requests).unwrap();
}

const REQUESTS: &str = r#"{"ts":"2026-01-02T03:04:05Z","kind":"request","method":"GET","url":"https://api.github.com/user","status":200,"total_ms":12,"up":0,"down":99,"grant":"github:work","rule":"api.github.com/** authorization"}
{"ts":"2026-01-02T03:04:06Z","kind":"request","method":"GET","url":"https://a.example/\u001b[2J\u202e","status":403,"reason":"host-not-allowed","total_ms":1,"up":0,"down":0}
not a record
{"ts":"2026-01-02T03:04:07Z","kind":"lost","records":7}
{"ts":"2026-01-02T03:04:08Z","kind":"request","method":"GET","url":"https://b.example/","status":200,"strays":["x-key"]}
{"ts":"2026-01-02T03:04:09Z","kind":"requ"#;

#[test]
fn runs_are_listed_the_latest_first() {
    let moat = Moat::new();
    assert_eq!(moat.run(&["runs"]).succeeded().stdout, "");
    leave(&moat, "run-a1", "2026-01-01T00:00:00Z", "");
    leave(&moat, "run-b2", "2026-01-02T00:00:00Z", "");
    let runs = moat.run(&["runs", "--json"]).succeeded().json();
    let ids: Vec<_> = runs["runs"].as_array().unwrap().iter().map(|run| &run["id"]).collect();
    assert_eq!(ids, ["run-b2", "run-a1"]);
    let text = moat.run(&["runs"]).succeeded().stdout;
    assert!(text.contains("stopped (3)") && text.contains("gh 'pr list'"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    fs::write(moat.home().join("runs/run-a1/metadata.json"), "{").unwrap();
    let ended = moat.run(&["runs"]).succeeded();
    assert!(ended.stderr.contains("warning: ") && ended.stderr.contains("is damaged"));
}

#[test]
fn a_trace_shows_requests_and_why_they_got_no_credential() {
    let moat = Moat::new();
    moat.run(&["trace"]).failed(1, &["there was no run yet"]);
    leave(&moat, "run-a1", "2026-01-01T00:00:00Z", "");
    leave(&moat, "run-b2", "2026-01-02T00:00:00Z", REQUESTS);
    let ended = moat.run(&["trace"]).succeeded();
    assert!(ended.stderr.contains("1 lines of the records are damaged"), "{}", ended.stderr);
    let text = ended.stdout;
    for part in [
        "03:04:05  GET     https://api.github.com/user",
        "github:work: api.github.com/** authorization",
        "(host-not-allowed)",
        "(7 records were lost here)",
        "placeholder out of place: x-key",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    let lines = moat.run(&["trace", "--json", "run-b"]).succeeded().stdout;
    assert_eq!(lines.lines().count(), 4);
    assert!(lines.is_ascii());
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let failed = moat.run(&["trace", "--failed", "--json", "-n", "1"]).succeeded().stdout;
    assert!(failed.lines().count() == 1 && failed.contains("x-key"), "{failed}");
}

#[test]
fn a_run_is_named_by_the_beginning_of_its_id() {
    let moat = Moat::new();
    leave(&moat, "run-a1", "2026-01-01T00:00:00Z", "");
    leave(&moat, "run-a2", "2026-01-02T00:00:00Z", REQUESTS);
    moat.run(&["trace", "run-a"]).failed(2, &["2 runs begin with run-a", "moat runs"]);
    moat.run(&["trace", "run-x"]).failed(1, &["there is no run run-x"]);
    moat.run(&["trace", "RUN"]).failed(2, &["is not a run id"]);
    let none = moat.run(&["trace", "run-a1"]).succeeded();
    assert!(none.stderr.contains("no such requests"), "{}", none.stderr);
}

#[test]
fn records_that_were_rotated_come_first() {
    let moat = Moat::new();
    let line = |url: &str| format!("{{\"kind\":\"request\",\"url\":\"{url}\",\"status\":200}}\n");
    leave(&moat, "run-a1", "2026-01-01T00:00:00Z", &line("c"));
    let directory = moat.home().join("runs/run-a1");
    fs::write(directory.join("requests.jsonl.1"), line("b")).unwrap();
    fs::write(directory.join("requests.jsonl.2"), line("a")).unwrap();
    let lines = moat.run(&["trace", "--json"]).succeeded().stdout;
    let urls: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["url"].clone())
        .collect();
    assert_eq!(urls, ["a", "b", "c"]);
}
