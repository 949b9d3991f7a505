//! What stands in the container, for each kind of grant.

use std::collections::BTreeMap;

use moat_provider_core::{Credential, EnvVar, McpServerConfig, Secret};
use moat_provider_gemini::{Gemini, HostSettings};
use moat_provider_testkit::{Canary, FakeFiles, Ports, golden};
use serde_json::{Value, json};

use crate::support::{granted, host_file, key, prepare, time};

#[test]
fn staging_follows_the_grant() {
    for (file, source) in [("staging-key.txt", "prompt"), ("staging-login.txt", "login")] {
        let credentials = vec![granted(source)];
        let container = prepare(&Gemini::new(), &Ports::bare(), credentials, |_| {}).unwrap();
        golden::check(format!("tests/golden/{file}"), &container.picture());
    }
}

fn mcp_servers() -> [(String, McpServerConfig); 2] {
    let local = McpServerConfig::Local {
        command: "files".to_owned(),
        args: vec!["--root".to_owned()],
        env: vec![EnvVar::new("DEBUG", "1").unwrap()],
    };
    let remote = McpServerConfig::Remote {
        url: "https://notes.example.com/mcp".to_owned(),
        headers: BTreeMap::from([("x-team".to_owned(), "a".to_owned())]),
        grant: Some(key("custom:notes")),
    };
    [("files".to_owned(), local), ("notes".to_owned(), remote)]
}

#[test]
fn everything_that_a_run_may_bring_is_staged() {
    let gemini = Gemini::new().model("gemini-3-pro").project("my-project");
    let canary = Canary::new();
    let notes =
        Credential::builder(key("custom:notes"), canary.secret(), time("2026-11-01T00:00:00Z"))
            .build();
    let ports = Ports::bare().with_files(host());
    let container = prepare(&gemini, &ports, vec![granted("prompt"), notes], |opts| {
        opts.mcp_servers.extend(mcp_servers());
        opts.runtime_context = "# Moat Environment\n\nThe workspace is /workspace.\n".to_owned();
    });
    golden::check("tests/golden/staging-full.txt", &container.unwrap().picture());
}

/// What a person may have in the files of their own Gemini CLI.
fn host() -> FakeFiles {
    let settings = json!({
        "general": {"vimMode": true, "preferredEditor": "vim"},
        "ui": {"theme": "GitHub", "hideTips": 1, "customThemes": {}},
        "model": {"name": "gemini-3-pro"},
        "mcpServers": {"mine": {"command": "x"}},
        "hooks": {"BeforeTool": []},
        "security": {"auth": {"selectedType": "vertex-ai"}},
        "tools": {"discoveryCommand": "x"},
    });
    FakeFiles::new()
        .file(&host_file("settings.json"), Secret::new(settings.to_string()))
        .file(&host_file("GEMINI.md"), Secret::new("Answer in verse.\n".to_owned()))
}

#[test]
fn the_persons_own_files_have_a_say_unless_told_otherwise() {
    let ports = Ports::bare().with_files(host());
    let credentials = || vec![granted("prompt")];
    let settings = |gemini: &Gemini, ports: &Ports, passed: Value| -> Value {
        let container = prepare(gemini, ports, credentials(), |opts| {
            opts.host_config = passed.as_object().cloned().unwrap_or_default();
        });
        let container = container.unwrap();
        let told = container.file(".gemini/GEMINI.md");
        let text = container.file(".gemini/settings.json").unwrap();
        let settings: Value = serde_json::from_str(&text).unwrap();
        json!({ "ui": settings["ui"], "vim": settings["general"]["vimMode"], "told": told })
    };
    let nothing = json!({"ui": null, "vim": null, "told": null});
    let (gemini, ignoring) = (Gemini::new(), Gemini::new().host_settings(HostSettings::Ignore));
    assert_eq!(settings(&ignoring, &ports, Value::Null), nothing);
    let own = json!({"ui": {"theme": "GitHub"}, "vim": true, "told": "Answer in verse.\n"});
    assert_eq!(settings(&gemini, &ports, Value::Null), own);
    // What the host passes on goes before the file.
    let passed = settings(&gemini, &ports, json!({"ui": {"theme": "Dracula"}}));
    assert_eq!((&passed["ui"], &passed["vim"]), (&json!({"theme": "Dracula"}), &Value::Null));
    let broken = FakeFiles::new()
        .file(&host_file("settings.json"), Secret::new("// {".to_owned()))
        .unreadable(&host_file("GEMINI.md"));
    assert_eq!(settings(&gemini, &Ports::bare().with_files(broken), Value::Null), nothing);
}

#[test]
fn a_server_without_its_grant_stops_the_run() {
    let prepared = prepare(&Gemini::new(), &Ports::bare(), vec![granted("prompt")], |opts| {
        opts.mcp_servers.extend(mcp_servers());
    });
    let error = prepared.err().unwrap();
    assert!(error.hint().unwrap().contains("--grant custom:notes"), "{error}");
}
