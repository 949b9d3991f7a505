//! What the doctor finds, and what helps.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::github::GitHub;
use crate::support::Moat;

/// Returns result, detail and fix of a check.
#[track_caller]
fn check(moat: &Moat, name: &str) -> [String; 3] {
    let report = moat.run(&["doctor", "--json"]).json();
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|it| it["check"] == name);
    let found = found.unwrap_or_else(|| panic!("{name} is not in {report:#}"));
    ["result", "detail", "fix"].map(|it| found[it].as_str().unwrap_or_default().to_owned())
}

#[test]
fn nothing_is_made_or_opened() {
    let moat = Moat::new();
    assert_eq!(check(&moat, "moat home")[0], "ok");
    assert_eq!(check(&moat, "store key"), ["ok", "none is needed yet", ""]);
    assert!(!moat.home().exists(), "{:?}", moat.files());
}

#[test]
fn a_credential_is_judged_without_being_sent() {
    let github = GitHub::new();
    let moat = github.granted();
    let before = moat.files();
    assert_eq!(check(&moat, "github"), ["ok", "no expiry is known", ""]);
    let [result, place, _] = check(&moat, "store key");
    assert!(result == "ok" && place.starts_with("the key file "), "{place}");
    moat.edit("github", |it| it.renew().expires_at(OffsetDateTime::UNIX_EPOCH).build());
    let [result, detail, fix] = check(&moat, "github");
    assert_eq!((&*result, &*fix), ("failed", "moat grant github"));
    assert_eq!(detail, "expired since 1970-01-01 00:00 UTC");
    let text = moat.run(&["doctor"]).without(&github.token);
    assert_eq!(text.code, 1);
    assert!(text.stdout.contains("\n\nTo fix:\n"), "{}", text.stdout);
    assert!(text.stdout.contains("\n  github: moat grant github"), "{}", text.stdout);
    assert_eq!(moat.files(), before);
    assert_eq!(github.requests(), ["GET /user"], "the grant alone");
}

#[test]
fn what_cannot_be_read_is_told() {
    let github = GitHub::new();
    let moat = github.granted();
    let record = moat.files().into_iter().find(|file| file.ends_with(".cred")).unwrap();
    fs::write(moat.home().join(record), "not a record").unwrap();
    let [result, _, fix] = check(&moat, "github");
    assert_eq!((&*result, &*fix), ("failed", "moat revoke github && moat grant github"));
    let moat = github.granted();
    fs::remove_file(moat.home().join("master.key")).unwrap();
    let [result, detail, fix] = check(&moat, "store key");
    assert!(result == "failed" && detail.contains("the key is gone"), "{detail}");
    assert!(fix.contains("from a backup"), "{fix}");
}

#[test]
fn a_home_that_others_may_write_to_fails() {
    let moat = Moat::new();
    fs::create_dir(moat.home()).unwrap();
    fs::set_permissions(moat.home(), fs::Permissions::from_mode(0o777)).unwrap();
    let [result, _, fix] = check(&moat, "moat home");
    assert_eq!((&*result, fix), ("failed", format!("chmod 700 {}", moat.home().display())));
    fs::remove_dir(moat.home()).unwrap();
    fs::write(moat.home(), "").unwrap();
    let [result, detail, _] = check(&moat, "moat home");
    assert!(result == "failed" && detail.ends_with("is no directory"), "{detail}");
}

#[test]
fn no_sandbox_is_a_failure() {
    let moat = Moat::new().env("MOAT_BRIDGE", "/nonexistent/moat-bridge");
    let [result, detail, fix] = check(&moat, "sandbox bubblewrap");
    assert_eq!(result, "failed");
    assert!(detail.contains("moat-bridge at /nonexistent/moat-bridge"), "{detail}");
    assert!(fix.contains("cargo install moat-bridge"), "{fix}");
    assert_eq!(moat.run(&["doctor"]).code, 1);
}

#[test]
fn what_is_set_around_a_run_is_looked_at() {
    let plain = Moat::new();
    assert_eq!(check(&plain, "outer proxy"), ["ok", "none", ""]);
    let corporate = Moat::new().env("HTTPS_PROXY", "http://u:pw@proxy.example:3128");
    assert_eq!(check(&corporate, "outer proxy"), ["ok", "the one that HTTPS_PROXY names", ""]);
    let wrong = Moat::new().env("HTTPS_PROXY", "ftp://x");
    let [result, _, fix] = check(&wrong, "outer proxy");
    assert!(result == "failed" && fix.starts_with("export HTTPS_PROXY="), "{fix}");
    assert_eq!(check(&wrong, "authorities")[0], "ok", "it is told once");
    let inside = Moat::new().env("MOAT_RUN", "run-1");
    assert_eq!(check(&inside, "outer proxy")[0], "warning");
    let [result, detail, _] =
        check(&plain.always(&["--upstream-ca", "/nonexistent"]), "authorities");
    assert!(result == "failed" && detail.contains("/nonexistent"), "{detail}");
}

#[test]
fn a_run_that_died_is_named() {
    let moat = Moat::new();
    assert_eq!(check(&moat, "runs")[0], "ok");
    let directory = moat.home().join("runs/run-a1");
    fs::create_dir_all(&directory).unwrap();
    let metadata: Value = json!({
        "id": "run-a1", "state": "running", "workspace": "/w", "grants": [], "command": [],
        "pid": 1, "created_at": "2026-01-01T00:00:00Z",
    });
    fs::write(directory.join("metadata.json"), metadata.to_string()).unwrap();
    let [result, detail, fix] = check(&moat, "runs");
    assert_eq!((&*result, &*detail), ("warning", "died before their end: run-a1"));
    assert!(fix.starts_with("moat stop run-a1"), "{fix}");
    let runs = moat.run(&["runs", "--json"]).succeeded().json();
    assert_eq!(runs["runs"][0]["state"], "killed");
    moat.run(&["stop", "run-a1"]).succeeded();
    assert_eq!(check(&moat, "runs")[0], "ok");
}

/// Puts a program beside those of the system that tells this version.
fn with_program(moat: Moat, name: &str, version: &str) -> Moat {
    let programs = moat.path("programs");
    fs::create_dir_all(&programs).unwrap();
    let path = programs.join(name);
    fs::write(&path, format!("#!/bin/sh\necho '{version}'\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    moat.env("PATH", path)
}

#[test]
fn an_agent_that_is_installed_is_compared_with_what_is_proven() {
    let what = "provider claude program";
    for (version, result, detail) in [
        ("2.1.197 (Claude Code)", "ok", "claude 2.1.197"),
        ("99.0.0 (Claude Code)", "ok", "claude 99.0.0; proven with 2.1.197"),
        ("2.0.9", "warning", "claude 2.0.9 is older than 2.1.197, with which it is proven"),
        ("none", "warning", "claude does not tell its version"),
    ] {
        let moat = with_program(Moat::new(), "claude", version);
        assert_eq!(check(&moat, what)[..2], [result, detail]);
    }
}

#[test]
fn an_agent_that_is_missing_is_told_to_whoever_names_it() {
    let moat = Moat::new().env("PATH", "/nonexistent");
    let report = moat.run(&["doctor", "claude", "--json"]).json();
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|it| it["check"] == "provider claude program").unwrap();
    assert_eq!((&found["result"], &report["ok"]), (&json!("failed"), &json!(false)), "{report:#}");
    assert!(found["fix"].as_str().unwrap().starts_with("install it: https://"), "{found}");
    let report = moat.run(&["doctor", "--json"]).json();
    assert!(!report.to_string().contains("claude"), "who did not ask is not told: {report:#}");
    moat.run(&["doctor", "nobody"]).failed(2, &["nobody"]);
}

#[test]
fn a_provider_tells_what_it_knows_of_its_grants() {
    let github = GitHub::new();
    let moat = github.granted();
    moat.edit("github", |it| it.renew().metadata("token_kind", "classic").build());
    let [result, detail, fix] = check(&moat, "provider github");
    assert_eq!(result, "warning");
    assert!(detail.contains("every repository"), "{detail}");
    assert!(fix.ends_with("moat grant github"), "{fix}");
}
