//! What stands in the container, for each kind of grant.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moat_provider_codex::{Codex, HostSettings, SessionStore};
use moat_provider_core::{Credential, CredentialProvider, EnvVar, McpServerConfig, Secret};
use moat_provider_testkit::{Canary, FakeFiles, Ports, golden};
use serde_json::{Value, json};

use crate::support::{ACCOUNT, granted, host_file, key, prepare, run, time};

#[test]
fn staging_follows_the_grants() {
    for (file, grants, default) in [
        ("staging-key.txt", &["openai"][..], None),
        ("staging-login.txt", &["device"], None),
        ("staging-both.txt", &["device", "openai"], None),
        ("staging-both-key.txt", &["device", "openai"], Some("openai")),
    ] {
        let credentials = grants.iter().map(|what| granted(what)).collect();
        let container =
            prepare(&Codex::new(), &Ports::bare(), credentials, default, |_| {}).unwrap();
        golden::check(format!("tests/golden/{file}"), &container.picture());
    }
}

#[test]
fn codex_reads_what_it_wants_to_know_in_the_placeholder() {
    let container =
        prepare(&Codex::new(), &Ports::bare(), vec![granted("env")], None, |_| {}).unwrap();
    let login: Value = serde_json::from_str(&container.file(".codex/auth.json").unwrap()).unwrap();
    let token = login["tokens"]["access_token"].as_str().unwrap();
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    let claims = URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let auth = &claims["https://api.openai.com/auth"];
    assert_eq!(auth["chatgpt_account_id"], ACCOUNT);
    assert_eq!(auth["chatgpt_plan_type"], "pro");
    // It lives longer than anybody's run.
    assert!(claims["exp"].as_i64().unwrap() >= time("2099-01-01T00:00:00Z").unix_timestamp());
}

#[test]
fn a_login_without_an_account_is_not_staged() {
    let token = Canary::new();
    let bare = Credential::builder(key("codex"), token.secret(), time("2026-11-01T00:00:00Z"));
    let bare = bare.build();
    let run = run(std::slice::from_ref(&bare), None);
    let error = Codex::new().container_mounts(&[bare.info()], &run).unwrap_err();
    assert_eq!(error.hint(), Some("moat grant codex"));
}

fn mcp_servers() -> [(String, McpServerConfig); 2] {
    let local = McpServerConfig::Local {
        command: "files".to_owned(),
        args: vec!["--root".to_owned(), "a \"b\"\n[c]".to_owned()],
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
    let codex = Codex::new()
        .model("gpt-6")
        .sessions(SessionStore::Shared("/home/me/.codex/sessions".into()));
    let canary = Canary::new();
    let notes =
        Credential::builder(key("custom:notes"), canary.secret(), time("2026-11-01T00:00:00Z"))
            .build();
    let ports = Ports::bare().with_files(host());
    let container = prepare(&codex, &ports, vec![granted("openai"), notes], None, |opts| {
        opts.mcp_servers.extend(mcp_servers());
        opts.runtime_context = "# Moat Environment\n\nThe workspace is /workspace.\n".to_owned();
    });
    let container = container.unwrap();
    golden::check("tests/golden/staging-full.txt", &container.picture());

    // It is TOML that says what was meant, whatever the words are.
    let config = container.file(".codex/config.toml").unwrap();
    let config: toml::Table = toml::from_str(&config).unwrap();
    assert_eq!(config["shell_environment_policy"]["inherit"].as_str(), Some("all"));
    assert_eq!(config["projects"]["/workspace"]["trust_level"].as_str(), Some("trusted"));
    let local = &config["mcp_servers"]["files"];
    assert_eq!(local["args"][1].as_str(), Some("a \"b\"\n[c]"));
    assert!(local.get("url").is_none());
    let remote = &config["mcp_servers"]["notes"];
    assert_eq!(remote["http_headers"]["x-team"].as_str(), Some("a"));
    assert!(remote.get("command").is_none() && remote.get("headers").is_none());
}

/// What a person may have in the files of their own Codex.
fn host() -> FakeFiles {
    let config = "model = \"gpt-mine\"\npersonality = \"pragmatic\"\nhide_agent_reasoning = 1\n\
                  approval_policy = \"never\"\nnotify = [\"x\"]\n\
                  [mcp_servers.mine]\ncommand = \"x\"\n[model_providers.mine]\nbase_url = \"x\"\n\
                  [projects.\"/\"]\ntrust_level = \"trusted\"\n";
    FakeFiles::new()
        .file(&host_file("config.toml"), Secret::new(config.to_owned()))
        .file(&host_file("AGENTS.md"), Secret::new("Answer in verse.\n".to_owned()))
}

#[test]
fn the_persons_own_files_have_a_say_unless_told_otherwise() {
    let settings = |codex: &Codex, files: FakeFiles, passed: Value| {
        let ports = Ports::bare().with_files(files);
        let container = prepare(codex, &ports, vec![granted("openai")], None, |opts| {
            opts.host_config = passed.as_object().cloned().unwrap_or_default();
        });
        let container = container.unwrap();
        let config = container.file(".codex/config.toml").unwrap();
        let config: toml::Table = toml::from_str(&config).unwrap();
        assert_eq!(config["approval_policy"].as_str(), Some("on-request"));
        for name in ["notify", "mcp_servers", "model_providers", "hide_agent_reasoning"] {
            assert!(!config.contains_key(name), "{name}");
        }
        assert_eq!(config["projects"].as_table().unwrap().len(), 1);
        let text = |name: &str| config.get(name).map(|value| value.as_str().unwrap().to_owned());
        (text("model"), text("personality"), container.file(".codex/AGENTS.md"))
    };
    let some = |text: &str| Some(text.to_owned());
    let (codex, ignoring) = (Codex::new(), Codex::new().host_settings(HostSettings::Ignore));
    let own = (some("gpt-mine"), some("pragmatic"), some("Answer in verse.\n"));
    assert_eq!(settings(&codex, host(), Value::Null), own);
    assert_eq!(settings(&ignoring, host(), Value::Null), (None, None, None));
    // What the host passes on goes before the file.
    let passed = settings(&codex, host(), json!({"model": "gpt-other"}));
    assert_eq!(passed, (some("gpt-other"), None, some("Answer in verse.\n")));
    // The model of another vendor is none here.
    let elsewhere = "model = \"llama\"\nmodel_provider = \"mine\"\npersonality = \"pragmatic\"\n";
    let elsewhere =
        FakeFiles::new().file(&host_file("config.toml"), Secret::new(elsewhere.to_owned()));
    assert_eq!(settings(&codex, elsewhere, Value::Null), (None, some("pragmatic"), None));
    let broken = FakeFiles::new()
        .file(&host_file("config.toml"), Secret::new("= {".to_owned()))
        .unreadable(&host_file("AGENTS.md"));
    assert_eq!(settings(&codex, broken, Value::Null), (None, None, None));
}

#[test]
fn a_server_without_its_grant_stops_the_run() {
    let ports = Ports::bare();
    let prepared = prepare(&Codex::new(), &ports, vec![granted("openai")], None, |opts| {
        opts.mcp_servers.extend(mcp_servers());
    });
    let error = prepared.err().unwrap();
    assert!(error.hint().unwrap().contains("--grant custom:notes"), "{error}");
}
