//! Where tokens come from, and what is kept of them.

use moat_provider_core::{
    Answer, CommandSpec, Credential, CredentialProvider, ErrorKind, GrantContext, GrantRequest,
    HostContext, Secret,
};
use moat_provider_github::GitHub;
use moat_provider_testkit::{
    Canary, FakeClock, FakeCommands, FakeEntropy, FakeEnvironment, FakeHttp, FakeTerminal, Ports,
    Reply, block_on,
};
use serde_json::Value;
use std::sync::Arc;

use crate::support::{Accounts, clock, grant, key, kind_name, table, time, token};

/// Two tokens that GitHub knows, and one that it does not.
struct Tokens {
    a: Canary,
    b: Canary,
    x: Canary,
}

impl Tokens {
    fn draw() -> Self {
        Self { a: token("gho_"), b: token("ghp_"), x: token("ghp_") }
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{A}", self.a.text())
            .replace("{B}", self.b.text())
            .replace("{X}", self.x.text())
    }

    fn named(&self, name: &str) -> Secret {
        match name {
            "A" => self.a.secret(),
            _ => self.b.secret(),
        }
    }

    fn are_not_in(&self, text: &str) {
        for canary in [&self.a, &self.b, &self.x] {
            assert_eq!(canary.find_in_str(text), None, "a token is in {text}");
        }
    }
}

/// gh is asked in one way alone, and gets no variable that could hold a token.
fn check_gh(command: &CommandSpec) {
    assert_eq!(
        command.inherited(),
        ["GH_CONFIG_DIR", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"]
    );
    let set: Vec<_> = command.variables().iter().map(|var| var.name()).collect();
    assert_eq!(set, ["GH_PROMPT_DISABLED", "GH_NO_UPDATE_NOTIFIER"]);
}

fn commands(case: &Value, tokens: &Tokens) -> FakeCommands {
    let commands = FakeCommands::new();
    let Some(gh) = case["gh"].as_str() else {
        return commands;
    };
    let reply = match gh {
        "absent" => Reply::not_found(),
        "hangs" => Reply::timed_out(),
        "logged out" => Reply::fails(1, "no oauth token\n"),
        printed => Reply::prints(Secret::new(tokens.fill(printed))),
    };
    let grant = key(case["grant"].as_str().unwrap());
    let host = grant.qualifier().unwrap_or("github.com");
    let args = ["auth", "token", "--hostname", host];
    commands.expect_checked("gh", args, reply, check_gh)
}

fn terminal(case: &Value, tokens: &Tokens) -> FakeTerminal {
    let mut terminal = FakeTerminal::new();
    for answer in case["answers"].as_array().into_iter().flatten() {
        terminal = match answer.as_str().unwrap() {
            "yes" => terminal.expect_confirm("Use gh's login", Answer::Yes),
            "no" => terminal.expect_confirm("Use gh's login", Answer::No),
            text => terminal.expect_secret("Token", Secret::new(tokens.fill(text))),
        };
    }
    terminal.then_not_interactive()
}

fn environment(case: &Value, tokens: &Tokens) -> FakeEnvironment {
    let variables = case["env"].as_object().into_iter().flatten();
    variables.fold(FakeEnvironment::new(), |environment, (name, value)| {
        let value = tokens.fill(value.as_str().unwrap());
        environment.secret(name, Secret::new(value))
    })
}

#[test]
fn sources_are_asked_in_ghs_order() {
    for case in table(include_str!("../data/grants.json")) {
        let name = case["case"].as_str().unwrap();
        let tokens = Tokens::draw();
        let accounts =
            Accounts::new().knows(&tokens.a.secret(), "octocat").knows(&tokens.b.secret(), "hubot");
        let ports = Ports::new()
            .with_environment(environment(&case, &tokens))
            .with_commands(commands(&case, &tokens))
            .with_terminal(terminal(&case, &tokens))
            .with_vendor(accounts);
        let granted = grant(&ports, case["grant"].as_str().unwrap(), case["source"].as_str());
        match (granted, case["error"].as_str()) {
            (Ok(credential), None) => check_credential(name, &case, &tokens, &credential),
            (Err(error), Some(kind)) => {
                let hint = error.hint().unwrap_or_default();
                let message = error.cause().message();
                assert_eq!(kind_name(error.kind()), kind, "{name}: {error}");
                assert!(
                    message.contains(case["message"].as_str().unwrap_or_default()),
                    "{name}: {error}"
                );
                if let Some(wanted) = case["hint"].as_str() {
                    assert_eq!(hint, wanted, "{name}");
                }
                tokens.are_not_in(&format!("{error} {error:?}"));
            }
            (granted, _) => panic!("{name}: {granted:?}"),
        }
        ports.verify();
        tokens.are_not_in(&ports.terminal().shown());
    }
}

fn check_credential(name: &str, case: &Value, tokens: &Tokens, credential: &Credential) {
    let info = credential.info();
    let token = tokens.named(case["is"].as_str().unwrap());
    assert!(credential.token().same_as(&token), "{name}");
    assert_eq!(info.metadata(Credential::TOKEN_SOURCE), case["from"].as_str(), "{name}");
    assert_eq!(info.metadata("token_variable"), case["variable"].as_str(), "{name}");
    let host = info.key().qualifier().unwrap_or("github.com");
    assert_eq!(info.metadata("host"), Some(host), "{name}");
    tokens.are_not_in(&format!("{info:?}"));
}

#[test]
fn the_record_says_whose_token_it_is() {
    let canary = token("ghp_");
    let ports = Ports::new()
        .with_clock(clock("2026-11-20T12:00:00Z"))
        .with_environment(FakeEnvironment::new().secret("GH_TOKEN", canary.secret()))
        .with_vendor(
            Accounts::new()
                .knows(&canary.secret(), "octocat")
                .header("x-oauth-scopes", "gist, read:org, repo")
                .header("github-authentication-token-expiration", "2026-11-27 14:00:00 +0200"),
        );
    let credential = grant(&ports, "github", None).unwrap();
    let info = credential.info();
    assert_eq!(info.scopes(), ["gist", "read:org", "repo"]);
    assert_eq!(info.expires_at(), Some(time("2026-11-27T12:00:00Z")));
    assert_eq!(info.created_at(), time("2026-11-20T12:00:00Z"));
    assert_eq!(info.metadata("login"), Some("octocat"));
    assert_eq!(info.metadata("token_kind"), Some("classic"));
    let shown = ports.terminal().shown();
    for part in [
        "Using the token in GH_TOKEN.",
        "github.com: octocat, personal access token (classic), scopes gist read:org repo.",
        "The token expires on 2026-11-27",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }

    let request = &ports.requests()[0];
    assert_eq!(request.uri(), "https://api.github.com/user");
    assert_eq!(request.headers()["accept"], "application/vnd.github+json");
    assert_eq!(request.headers()["x-github-api-version"], "2022-11-28");
    assert_eq!(request.headers()["user-agent"], "moat");
    let timeout = request.extensions().get::<moat_provider_core::Timeout>();
    assert_eq!(timeout.unwrap().0.as_secs(), 10);
}

#[test]
fn a_late_expiry_is_no_reason_to_warn() {
    let canary = token("github_pat_");
    let ports = Ports::new()
        .with_clock(clock("2026-11-20T12:00:00Z"))
        .with_environment(FakeEnvironment::new().secret("GH_TOKEN", canary.secret()))
        .with_vendor(
            Accounts::new()
                .knows(&canary.secret(), "octocat")
                .header("github-authentication-token-expiration", "2026-11-27 12:00:01 UTC"),
        );
    let credential = grant(&ports, "github", None).unwrap();
    let info = credential.info();
    assert_eq!(info.expires_at(), Some(time("2026-11-27T12:00:01Z")));
    assert_eq!(info.metadata("token_kind"), Some("fine-grained"));
    assert!(!ports.terminal().shown().contains("expires"));
}

#[test]
fn an_installation_token_is_asked_for_its_repositories() {
    let canary = token("ghs_");
    let ports = Ports::new()
        .with_environment(FakeEnvironment::new().secret("GH_ENTERPRISE_TOKEN", canary.secret()))
        .with_vendor(Accounts::new().knows(&canary.secret(), "unused"));
    let credential = grant(&ports, "github:ghe.example.com:8443", None).unwrap();
    assert_eq!(credential.info().metadata("login"), None);
    assert_eq!(credential.info().metadata("token_kind"), Some("installation"));
    let asked: Vec<_> = ports.requests().iter().map(|r| r.uri().clone()).collect();
    assert_eq!(asked, ["https://ghe.example.com:8443/api/v3/installation/repositories?per_page=1"]);
}

#[test]
fn a_token_without_a_prefix_may_be_of_an_installation() {
    let canary = token("v1.");
    let sent = canary.secret();
    let vendor = move |request: &http::Request<bytes::Bytes>| {
        let as_installation = token("ghs_").secret();
        let mut request = request.clone();
        let known = Accounts::new().knows(&as_installation, "unused");
        let bearer = |secret| moat_provider_core::HeaderTemplate::Bearer.render(secret).unwrap();
        assert_eq!(request.headers()["authorization"], bearer(&sent));
        request.headers_mut().insert("authorization", bearer(&as_installation));
        moat_provider_testkit::Vendor::answer(&known, &request)
    };
    let ports = Ports::new()
        .with_environment(FakeEnvironment::new().secret("GH_ENTERPRISE_TOKEN", canary.secret()))
        .with_vendor(vendor);
    let credential = grant(&ports, "github:ghe.example.com", None).unwrap();
    let kind = credential.info().metadata("token_kind");
    assert_eq!(kind, Some("installation"));
    assert_eq!(ports.requests().len(), 2);
}

#[test]
fn an_embedder_may_give_the_environment_or_the_terminal_alone() {
    let canary = token("ghp_");
    let host = HostContext::builder(Arc::new(FakeClock::new()), Arc::new(FakeEntropy::default()))
        .http(Arc::new(FakeHttp::answered_by(Accounts::new().knows(&canary.secret(), "octocat"))))
        .build();
    let github = GitHub::new();
    let request = GrantRequest::new(key("github"));
    let environment = FakeEnvironment::new().secret("GH_TOKEN", canary.secret());
    let cx = GrantContext::builder(host.clone()).environment(Arc::new(environment)).build();
    assert!(block_on(github.grant(&cx, &request)).is_ok());

    let terminal = FakeTerminal::new().expect_secret("Token", canary.secret());
    let cx = GrantContext::builder(host.clone()).terminal(Arc::new(terminal)).build();
    assert!(block_on(github.grant(&cx, &request)).is_ok());

    let cx = GrantContext::builder(host).build();
    let error = block_on(github.grant(&cx, &request)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PortMissing);
}

#[test]
fn cancelling_ends_the_grant() {
    let canary = token("gho_");
    let args = ["auth", "token", "--hostname", "github.com"];
    let ports = Ports::new()
        .with_commands(FakeCommands::new().expect("gh", args, Reply::prints(canary.secret())))
        .with_terminal(FakeTerminal::cancelled())
        .with_vendor(Accounts::new().knows(&canary.secret(), "octocat"));
    let error = grant(&ports, "github", None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
