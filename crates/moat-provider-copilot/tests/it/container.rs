//! What stands in the container.

use std::collections::BTreeMap;

use moat_provider_copilot::{Copilot, HostSettings, Workspace};
use moat_provider_core::{EnvVar, HostDir, HostFile, McpServerConfig, Secret};
use moat_provider_testkit::{FakeFiles, Ports, golden};
use serde_json::{Value, json};

use crate::support::{credential, prepare, token};

fn host_file(path: &'static str) -> HostFile {
    HostFile::new(format!("copilot/{path}"))
        .at(HostDir::Variable("COPILOT_HOME"), path)
        .at(HostDir::Home, format!(".copilot/{path}"))
}

/// What a person may have in the files of their own Copilot CLI.
fn host(settings: &Value) -> Ports {
    Ports::bare().with_files(
        FakeFiles::new().file(&host_file("settings.json"), Secret::new(settings.to_string())).file(
            &host_file("copilot-instructions.md"),
            Secret::new("Answer in verse.\n".to_owned()),
        ),
    )
}

#[test]
fn what_is_staged() {
    let credentials = || vec![credential("github", &token())];
    let container = prepare(&Copilot::new(), &Ports::bare(), credentials(), |_| {}).unwrap();
    golden::check("tests/golden/staging.txt", &container.picture());

    let settings = json!({
        "theme": "dim", "colorMode": "old", "model": "gpt-5.2", "effortLevel": "low", "mouse": 1,
        "statusLine": {"command": "x"}, "hooks": {}, "proxyUrl": "http://x", "trustedFolders": ["/"],
    });
    let copilot = Copilot::new().model("claude-sonnet-4.5").workspace(Workspace::Load);
    let container = prepare(&copilot, &host(&settings), credentials(), |opts| {
        let local = McpServerConfig::Local {
            command: "files".to_owned(),
            args: vec!["--root".to_owned()],
            env: vec![EnvVar::new("DEBUG", "1").unwrap()],
        };
        let remote = McpServerConfig::Remote {
            url: "https://docs.example.com/mcp".to_owned(),
            headers: BTreeMap::new(),
            grant: None,
        };
        opts.mcp_servers.extend([("files".to_owned(), local), ("docs".to_owned(), remote)]);
        opts.runtime_context = "# Moat Environment\n".to_owned();
    });
    golden::check("tests/golden/staging-full.txt", &container.unwrap().picture());
}

#[test]
fn the_persons_own_settings_have_a_say_unless_told_otherwise() {
    let settings = |copilot: &Copilot, own: Value| -> Value {
        let container = prepare(copilot, &host(&own), Vec::new(), |_| {}).unwrap();
        serde_json::from_str(&container.file(".copilot/settings.json").unwrap()).unwrap()
    };
    let base = json!({"autoUpdate": false, "disableAllHooks": true});
    let ignoring = Copilot::new().host_settings(HostSettings::Ignore);
    assert_eq!(settings(&ignoring, json!({"theme": "dim"})), base);
    assert_eq!(settings(&Copilot::new(), json!("no object")), base);
    assert_eq!(settings(&Copilot::new(), json!({"colorMode": "dim"}))["theme"], "dim");
    let pinned = Copilot::new().context("long_context").reasoning_effort("high");
    let own = json!({"contextTier": "default", "effortLevel": "low", "disableAllHooks": false});
    assert_eq!(settings(&pinned, own), base);
}

#[test]
fn a_tenant_is_named() {
    let credentials = vec![credential("github:octo.ghe.com", &token())];
    let container = prepare(&Copilot::new(), &Ports::bare(), credentials, |_| {}).unwrap();
    let env = container.config.env.iter().map(|var| (var.name(), var.value()));
    assert!(env.into_iter().any(|pair| pair == ("COPILOT_GH_HOST", "octo.ghe.com")));
}
