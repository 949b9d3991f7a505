//! Runs that go on where others ended.

use std::fs;

use serde_json::{Value, json};

use crate::agent::Person;

#[test]
fn the_conversation_of_a_run_is_known_and_goes_on() {
    let person = Person::new();
    let first = person.start(&["hello", "there"]);
    let session = person.runs()[0]["session"].as_str().unwrap().to_owned();
    assert!(first.stdout.contains(&format!("<--session-id={session}>")), "{}", first.stdout);
    assert!(first.stdout.contains("<-->\n<hello there>"), "{}", first.stdout);
    let run = person.runs()[0]["id"].as_str().unwrap().to_owned();
    assert!(first.stderr.contains(&format!("To go on: moat resume {run}")), "{}", first.stderr);

    let second = person.moat.run(&["resume", "--headless", "--", "--and", "now"]).succeeded();
    for word in [&*format!("<--resume={session}>\n<--fork-session>"), "<--print>", "<--and now>"] {
        assert!(second.stdout.contains(word), "{word} is not in {}", second.stdout);
    }
    assert!(!second.stderr.contains("To go on"), "{}", second.stderr);
    let latest = &person.runs()[0];
    assert_ne!(latest["session"], session);
    assert_eq!(latest["grants"], json!(["anthropic"]));
    // The one before is still there to go on from.
    let again = person.moat.run(&["resume", &run]).succeeded();
    assert!(again.stdout.contains(&format!("<--resume={session}>")), "{}", again.stdout);
}

#[test]
fn flags_of_the_run_hold_until_others_prevail() {
    let person = Person::new();
    let flags = ["--policy", "strict", "--model", "opus", "--ask", "-e", "GREETING=s3cret"];
    let first = person.start(&[&flags[..], &["--allow", "a.example"]].concat());
    assert!(first.stdout.contains("<GREETING=s3cret>"), "{}", first.stdout);
    let resumed = person.moat.run(&["resume"]).succeeded();
    assert!(resumed.stdout.contains("<--model=opus>"), "{}", resumed.stdout);
    assert!(!resumed.stdout.contains("skip-permissions"), "{}", resumed.stdout);
    assert!(resumed.stdout.contains("<GREETING=>"), "{}", resumed.stdout);
    let told = "the variable GREETING is not set";
    assert!(resumed.stderr.contains(told), "{}", resumed.stderr);
    let flags = ["--policy", "permissive", "--allow", "b.example", "-e", "GREETING=hi"];
    let again = person.moat.run(&[&["resume"], &flags[..]].concat()).succeeded();
    assert!(again.stdout.contains("<GREETING=hi>"), "{}", again.stdout);
    assert!(!again.stderr.contains(told), "{}", again.stderr);
    let id = person.edit(|metadata| {
        let mut options: Vec<_> =
            metadata["options"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        options.sort_unstable();
        let entries = ["--allow=a.example", "--allow=b.example", "--ask", "--model=opus"];
        assert_eq!(options, [&entries[..], &["--policy=permissive", "--sandbox=none"]].concat());
        assert_eq!(metadata["variables"], json!(["GREETING"]));
    });
    let files = person.moat.files().into_iter().filter(|file| file.contains(&id));
    for file in files {
        let text = fs::read(person.moat.home().join(&file)).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("s3cret"), "{file}");
    }
}

#[test]
fn a_run_goes_on_with_its_profile() {
    let person = Person::new();
    person.start(&["--profile", "work"]);
    person.moat.run(&["--profile", "work", "revoke", "anthropic", "--local"]).succeeded();
    person.moat.run(&["resume"]).failed(125, &["anthropic"]);
    person.start(&[]);
    person.moat.run(&["resume"]).succeeded();
}

#[test]
fn a_run_in_which_nothing_was_said_is_not_gone_on_with() {
    let person = Person::new();
    person.start(&["hello"]);
    let session = person.runs()[0]["session"].as_str().unwrap().to_owned();
    let silent = person.start(&[]);
    assert!(!silent.stderr.contains("To go on"), "{}", silent.stderr);
    let id = person.runs()[0]["id"].as_str().unwrap().to_owned();
    person.moat.run(&["resume", &id]).failed(125, &["nothing was said", "moat claude --continue"]);
    let resumed = person.moat.run(&["resume"]).succeeded();
    assert!(resumed.stdout.contains(&format!("<--resume={session}>")), "{}", resumed.stdout);
}

#[test]
fn what_cannot_go_on_says_why() {
    let person = Person::new();
    let resume = |words: &[&str]| person.moat.run(&[&["resume"], words].concat());
    resume(&[]).failed(125, &["has left a conversation", "moat runs"]);
    resume(&["run-x"]).failed(125, &["there is no run run-x", "moat runs"]);
    resume(&["RUN"]).failed(2, &["is not a run id"]);
    resume(&["--headless"]).failed(2, &["PROMPT"]);

    person.moat.run(&["run", "--sandbox", "none", "--", "true"]).succeeded();
    let command = person.runs()[0]["id"].as_str().unwrap().to_owned();
    resume(&[&command]).failed(125, &["was a command, and no agent's", "moat runs"]);
    // A command of the person's own was told no id.
    person.moat.run(&["run", "--sandbox", "none", "--", "claude", "mine"]).succeeded();
    let own = person.runs()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(person.runs()[0]["session"], Value::Null);
    resume(&[&own]).failed(125, &["not known which conversation", "moat claude --continue"]);
    resume(&[]).failed(125, &["has left a conversation"]);

    person.start(&[]);
    let elsewhere = person.edit(|metadata| metadata["workspace"] = "/w/it's\u{1b}[2J".into());
    let refused = resume(&[&elsewhere]);
    assert!(!refused.stderr.contains('\u{1b}'), "{}", refused.stderr);
    refused.failed(125, &["was in another workspace, /w/it's", "cd '/w/it'", "moat resume run-"]);
    resume(&[]).failed(125, &["has left a conversation"]);

    person.start(&[]);
    person.edit(|metadata| metadata["provider_meta"]["claude"]["claude_session_id"] = "--x".into());
    resume(&[]).failed(125, &["this is not the id of a conversation"]);
    person.edit(|metadata| metadata["options"] = json!(["--gone"]));
    resume(&[]).failed(2, &["the earlier run cannot be repeated", "'--gone'"]);
}

#[test]
fn a_run_that_goes_on_is_not_resumed() {
    let person = Person::new();
    person.start(&[]);
    let run = person.runs()[0]["id"].as_str().unwrap().to_owned();
    let lock = person.moat.home().join("runs").join(&run).join("lock");
    let held = fs::File::options().write(true).open(lock).unwrap();
    held.lock().unwrap();
    person.moat.run(&["resume", &run]).failed(125, &["is still running", "moat stop run-"]);
    person.moat.run(&["resume"]).failed(125, &["has left a conversation"]);
    drop(held);
    person.moat.run(&["resume", &run]).succeeded();
}
