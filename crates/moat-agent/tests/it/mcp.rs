//! MCP servers.

use std::collections::BTreeMap;

use moat_agent::mcp::{McpServer, servers};
use moat_provider_core::{
    Credential, EnvVar, Error, ErrorKind, McpServerConfig, RunContext, Secret,
};
use moat_provider_testkit::run_context;
use time::OffsetDateTime;

fn run(grants: &[&str]) -> RunContext {
    let grants = grants.iter().map(|grant| {
        let key = grant.parse().unwrap();
        let token = Secret::new(String::new());
        Credential::builder(key, token, OffsetDateTime::UNIX_EPOCH).build().info().clone()
    });
    grants.fold(run_context("mcp"), |run, grant| run.grant(grant)).build()
}

fn remote(url: &str, headers: &[(&str, &str)], grant: Option<&str>) -> McpServerConfig {
    McpServerConfig::Remote {
        url: url.to_owned(),
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        grant: grant.map(|grant| grant.parse().unwrap()),
    }
}

fn refused(name: &str, server: McpServerConfig) -> Error {
    let configured = BTreeMap::from([(name.to_owned(), server)]);
    let error = servers(&configured, &run(&["github"])).unwrap_err();
    assert!(error.hint().is_some(), "{error}");
    error
}

#[test]
fn good_servers_come_in_the_order_of_their_names() {
    let env = vec![EnvVar::new("DEBUG", "1").unwrap()];
    let local = McpServerConfig::Local {
        command: "server".to_owned(),
        args: vec!["--stdio".to_owned()],
        env: env.clone(),
    };
    let configured = BTreeMap::from([
        ("files_2".to_owned(), local),
        ("docs".to_owned(), remote("http://localhost:8080/mcp", &[], None)),
        ("a-b".to_owned(), remote("https://mcp.example.com/x", &[("x-team", "a")], Some("github"))),
    ]);
    let run = run(&["claude", "github"]);
    let servers = servers(&configured, &run).unwrap();
    let names: Vec<_> = servers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["a-b", "docs", "files_2"]);
    let headers = BTreeMap::from([("x-team".to_owned(), "a".to_owned())]);
    assert_eq!(
        servers[0].1,
        McpServer::Remote { url: "https://mcp.example.com/x", headers: &headers }
    );
    let args = ["--stdio".to_owned()];
    assert_eq!(servers[2].1, McpServer::Local { command: "server", args: &args, env: &env });
}

#[test]
fn odd_names_are_refused() {
    for name in ["", "-x", "a b", "a/b", "ä", "a\"b", &"n".repeat(65)] {
        let error = refused(name, remote("https://mcp.example.com", &[], None));
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
    }
}

#[test]
fn a_url_is_https_and_holds_no_credential() {
    for (url, grant) in [
        ("http://mcp.example.com/", None),
        ("http://localhost:8080/", Some("github")),
        ("http://localhost.example.com/", None),
        ("ftp://mcp.example.com/", None),
        ("https://user:secret@mcp.example.com/", None),
        ("https://token@mcp.example.com/", None),
        ("/mcp", None),
        ("mcp.example.com", None),
        ("https://", None),
        ("https://mcp.example.com/a b", None),
    ] {
        let error = refused("docs", remote(url, &[], grant));
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
        assert!(!error.message().contains("secret"), "{error}");
    }
}

#[test]
fn a_header_that_authenticates_becomes_a_grant() {
    for header in ["Authorization", "x-api-key", "COOKIE", "Proxy-Authorization"] {
        let error = refused("docs", remote("https://mcp.example.com", &[(header, "v")], None));
        assert!(error.hint().unwrap().contains("grant"), "{header}");
    }
    for (header, value) in [("a b", "v"), ("", "v"), ("x-ok", "a\nb")] {
        let error = refused("docs", remote("https://mcp.example.com", &[(header, value)], None));
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{header:?}");
    }
}

#[test]
fn a_server_needs_a_grant_of_the_run() {
    let error = refused("docs", remote("https://mcp.example.com", &[], Some("custom:docs")));
    assert_eq!(error.kind(), ErrorKind::CredentialNotFound);
    assert_eq!(
        error.hint(),
        Some("add --grant custom:docs, after moat grant custom:docs if it is a new one")
    );
}

#[test]
fn a_local_server_needs_a_program() {
    for (command, args) in [("", vec![]), (" ", vec![]), ("a", vec!["x\0y".to_owned()])] {
        let command = command.to_owned();
        let error = refused("docs", McpServerConfig::Local { command, args, env: Vec::new() });
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn the_usual_members_leave_out_what_is_empty() {
    let json =
        |server: McpServer<'_>| serde_json::Value::from(server.members("address")).to_string();
    let env = vec![EnvVar::new("DEBUG", "1").unwrap()];
    let args = vec!["--stdio".to_owned()];
    let local = McpServer::Local { command: "server", args: &args, env: &env };
    assert_eq!(json(local), r#"{"args":["--stdio"],"command":"server","env":{"DEBUG":"1"}}"#);
    let local = McpServer::Local { command: "server", args: &[], env: &[] };
    assert_eq!(json(local), r#"{"command":"server"}"#);
    let (none, some) = (BTreeMap::new(), BTreeMap::from([("x-a".to_owned(), "b".to_owned())]));
    let remote = |headers| McpServer::Remote { url: "https://mcp.example.com/", headers };
    assert_eq!(json(remote(&none)), r#"{"address":"https://mcp.example.com/"}"#);
    let with_header = r#"{"address":"https://mcp.example.com/","headers":{"x-a":"b"}}"#;
    assert_eq!(json(remote(&some)), with_header);
}
