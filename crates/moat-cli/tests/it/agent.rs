//! Runs of an agent, without isolation: in its place is a program that prints what it was started
//! with, and which MCP servers it found.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use http::{Request, Response};
use moat_provider_core::Alphabet;
use moat_provider_testkit::{Canary, Vendor, VendorDouble, empty, json};
use serde_json::{Value, json};

use crate::support::{Ended, Moat};

const HOST: &str = "api.anthropic.com";

/// Says yes to every key.
struct Api;

impl Vendor for Api {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        match request.uri().path() {
            "/v1/models" => json(200, &json!({ "data": [] })),
            _ => empty(404),
        }
    }
}

/// Prints its arguments, and keeps the conversation where something is said.
const AGENT: &str = r#"#!/bin/sh
printf '<%s>\n' "$@" "GREETING=$GREETING"
for word; do
    case $word in
        --session-id=*) id=${word#*=} ;;
        --) mkdir -p ~/.claude/projects/here && : > ~/.claude/projects/here/"$id".jsonl ;;
    esac
done
grep -A3 mcpServers ~/.claude.json
:
"#;

/// A person with a key, for whom the agent is a program that prints its arguments.
pub(crate) struct Person {
    pub(crate) moat: Moat,
    _double: VendorDouble,
}

impl Person {
    #[expect(clippy::disallowed_methods, reason = "the key is handed over on standard input")]
    pub(crate) fn new() -> Self {
        let double = VendorDouble::https(Api, [HOST]);
        let moat = Moat::new();
        let authority = moat.path("authority.pem");
        fs::write(&authority, double.authority_pem().unwrap()).unwrap();
        let bin = moat.path("bin");
        fs::create_dir(&bin).unwrap();
        let agent = bin.join("claude");
        fs::write(&agent, AGENT).unwrap();
        fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
        let port = double.address().port();
        let moat = moat
            .env("MOAT_UPSTREAM_CA", authority.to_str().unwrap())
            .env("MOAT_CONNECT_TO", format!("{HOST}:443:127.0.0.1:{port}"))
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        let key = Canary::shaped("sk-ant-api03-", Alphabet::Alphanumeric, 95);
        let line = format!("{}\n", key.secret().expose());
        for profile in ["default", "work"] {
            let grant = ["--profile", profile, "grant", "anthropic", "--token-stdin"];
            moat.run_with(&grant, &line).succeeded();
        }
        Self { moat, _double: double }
    }

    /// Runs the agent, and returns what it was started with.
    pub(crate) fn start(&self, words: &[&str]) -> Ended {
        self.moat.run(&[&["claude", "--sandbox", "none"], words].concat()).succeeded()
    }

    /// Returns the runs, the latest first.
    pub(crate) fn runs(&self) -> Vec<Value> {
        let runs = self.moat.run(&["runs", "--json"]).succeeded().json();
        runs["runs"].as_array().unwrap().clone()
    }

    /// Changes what is kept of the latest run.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut Value)) -> String {
        let id = self.runs()[0]["id"].as_str().unwrap().to_owned();
        let path = self.moat.home().join("runs").join(&id).join("metadata.json");
        let mut metadata = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut metadata);
        fs::write(path, metadata.to_string()).unwrap();
        id
    }
}

#[test]
fn flags_of_the_workspace_hold_where_none_is_typed() {
    let person = Person::new();
    let file = "[agents.claude]\nmodel = \"haiku\"\n";
    fs::write(person.moat.workspace().join("moat.toml"), file).unwrap();
    let refused = person.moat.run(&["claude", "--sandbox", "none"]);
    refused.failed(125, &["start claude with --model=haiku", "moat trust --yes"]);
    let ended = person.start(&["--trust-config", "hello"]);
    assert!(ended.stdout.contains("<--model=haiku>"), "{}", ended.stdout);
    let ended = person.start(&["--model", "opus"]);
    assert!(ended.stdout.contains("<--model=opus>"), "{}", ended.stdout);
}

#[test]
fn a_server_of_the_workspace_is_bound_after_a_yes_for_its_url_and_place() {
    let person = Person::new();
    let path = person.moat.workspace().join("moat.toml");
    let server = |url: &str| format!("[mcp.notes]\nurl = \"{url}\"\ngrant = \"anthropic\"\n");
    let start =
        |words: &[&str]| person.moat.run(&[&["claude", "--sandbox", "none"], words].concat());
    let good = "https://api.anthropic.com/mcp";
    fs::write(&path, server(good)).unwrap();
    let asked = format!("use your credential anthropic at {good}, as the MCP server notes");
    start(&[]).failed(125, &["nobody is there to agree", &asked, "moat trust --yes"]);
    assert!(person.runs().is_empty(), "nothing was started");
    person.moat.run(&["trust", "--yes"]).succeeded();
    // From now on without a question, for this URL and no other.
    let started = start(&[]).succeeded();
    assert!(started.stdout.contains("\"notes\""), "{}", started.stdout);
    fs::write(&path, server("https://evil.example/mcp")).unwrap();
    start(&[]).failed(125, &["at https://evil.example/mcp, as the MCP server notes"]);
    person.moat.run(&["resume"]).failed(125, &["at https://evil.example/mcp"]);
    assert_eq!(person.runs().len(), 1);
    // What was agreed to here does not hold for a workspace with the same file.
    let other = person.moat.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("moat.toml"), server(good)).unwrap();
    start(&["--workspace", other.to_str().unwrap()]).failed(125, &[&asked]);
    fs::write(&path, server(good)).unwrap();
    start(&[]).succeeded();
}
