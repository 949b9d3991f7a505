//! What stands in the container.

use std::collections::BTreeMap;

use moat_provider_core::{EnvVar, ErrorKind, McpServerConfig};
use moat_provider_pi::{Backend, Pi};
use moat_provider_testkit::golden;

use crate::support::{credential, picture, prepare};

fn local(command: &str) -> McpServerConfig {
    McpServerConfig::Local {
        command: command.to_owned(),
        args: vec!["--root".to_owned()],
        env: vec![EnvVar::new("DEBUG", "1").unwrap()],
    }
}

#[test]
fn what_is_staged() {
    let config = prepare(&Pi::new(), vec![credential("openai")], |_| {}).unwrap();
    golden::check("tests/golden/staging.txt", &picture(&config));
    let agent = Pi::new().backend(Backend::Anthropic).model("claude-opus-5");
    let credentials = vec![credential("openai"), credential("anthropic")];
    let config = prepare(&agent, credentials, |opts| {
        let remote = McpServerConfig::Remote {
            url: "https://docs.example.com/mcp".to_owned(),
            headers: BTreeMap::from([("x-team".to_owned(), "a".to_owned())]),
            grant: None,
        };
        let servers = [("files".to_owned(), local("files")), ("docs".to_owned(), remote)];
        opts.mcp_servers.extend(servers);
        opts.runtime_context = "# Moat Environment\n".to_owned();
    });
    golden::check("tests/golden/staging-full.txt", &picture(&config.unwrap()));
}

#[test]
fn a_server_without_its_grant_stops_the_run() {
    let error = prepare(&Pi::new(), vec![credential("openai")], |opts| {
        let remote = McpServerConfig::Remote {
            url: "https://notes.example.com/mcp".to_owned(),
            headers: BTreeMap::new(),
            grant: Some("custom:notes".parse().unwrap()),
        };
        opts.mcp_servers.insert("notes".to_owned(), remote);
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::CredentialNotFound);
}

#[test]
fn what_pi_would_expand_or_run_is_refused() {
    for text in ["!id", "${OPENAI_API_KEY}", "x$HOME"] {
        let error = prepare(&Pi::new(), vec![credential("openai")], |opts| {
            opts.mcp_servers.insert("odd".to_owned(), local(text));
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput, "{text}");
    }
}

/// With keys of two vendors in its environment, Pi decides by itself unless a model is named.
#[test]
fn two_keys_need_a_model() {
    let pi = Pi::new().backend(Backend::OpenAi);
    let credentials = || vec![credential("openai"), credential("anthropic")];
    let error = prepare(&pi, credentials(), |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint().unwrap().contains("--model"));
    prepare(&pi.model("gpt-5.2"), credentials(), |_| {}).unwrap();
}
