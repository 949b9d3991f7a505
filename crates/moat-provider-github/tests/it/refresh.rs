//! Following gh to its next token.

use std::time::Duration;

use moat_provider_core::{
    Credential, CredentialInfo, CredentialProvider, ErrorKind, ProxyRules, RefreshableProvider,
    Refreshed, Result, RunContext, Secret,
};
use moat_provider_github::GitHub;
use moat_provider_testkit::{
    Canary, EchoVendor, FakeCommands, FakeEnvironment, Ports, Reply, block_on,
};

use crate::support::{Accounts, credential, key, kind_name, run, table, time, token};

fn refresh(ports: &Ports, credential: &Credential) -> Result<Refreshed> {
    let github = GitHub::new();
    block_on(github.refresh(&ports.host_context(), credential))
}

fn gh(grant: &str, reply: Reply) -> FakeCommands {
    let host = key(grant);
    let host = host.qualifier().unwrap_or("github.com").to_owned();
    let args = ["auth", "token", "--hostname", &host];
    FakeCommands::new().expect_checked("gh", args, reply, |command| {
        assert!(!command.inherited().iter().any(|name| name.contains("TOKEN")));
    })
}

#[test]
fn gh_is_followed_as_long_as_it_is_the_same_account() {
    for case in table(include_str!("../data/refreshes.json")) {
        let name = case["case"].as_str().unwrap();
        let grant = case["grant"].as_str().unwrap();
        let [old, new, other, dead] = ["gho_"; 4].map(token);
        let stored = credential(grant, &old.secret(), case["source"].as_str().unwrap(), "oauth");
        let commands = match case["gh"].as_str() {
            None => FakeCommands::new(),
            Some("absent") => gh(grant, Reply::not_found()),
            Some("hangs") => gh(grant, Reply::timed_out()),
            Some("fails late") => gh(grant, Reply::exits(1, new.secret(), "")),
            Some("logged out") => gh(grant, Reply::fails(1, "no oauth token\n")),
            Some(printed) => {
                let printed = printed
                    .replace("{old}", old.text())
                    .replace("{new}", new.text())
                    .replace("{other}", other.text())
                    .replace("{dead}", dead.text());
                gh(grant, Reply::prints(Secret::new(printed)))
            }
        };
        let ports = Ports::new()
            .with_environment(FakeEnvironment::forbidden())
            .with_commands(commands)
            .with_vendor(
                Accounts::new().knows(&new.secret(), "octocat").knows(&other.secret(), "hubot"),
            );
        let is = match refresh(&ports, &stored) {
            Ok(Refreshed::Unchanged) => "unchanged".to_owned(),
            Ok(Refreshed::Renewed(next)) => {
                assert!(next.token().same_as(&new.secret()), "{name}");
                assert_eq!(next.info().created_at(), stored.info().created_at());
                "renewed".to_owned()
            }
            Ok(refreshed) => panic!("{name}: {refreshed:?}"),
            Err(error) => {
                if let Some(hint) = case["hint"].as_str() {
                    assert_eq!(error.hint(), Some(hint), "{name}");
                }
                let text = format!("{error} {error:?}");
                for canary in [&old, &new, &other, &dead] {
                    assert_eq!(canary.find_in_str(&text), None, "{name}: {text}");
                }
                kind_name(error.kind())
            }
        };
        assert_eq!(Some(&*is), case["is"].as_str(), "{name}");
        ports.verify();
    }
}

#[test]
fn only_a_token_of_gh_can_be_refreshed() {
    let github = GitHub::new();
    let canary = token("gho_");
    for (source, can) in [("cli", true), ("env", false), ("prompt", false)] {
        let credential = credential("github", &canary.secret(), source, "oauth");
        assert_eq!(github.can_refresh(credential.info()), can, "{source}");
    }
    let bare = Credential::builder(key("github"), canary.secret(), time("2026-11-01T00:00:00Z"));
    assert!(!github.can_refresh(bare.build().info()));
    assert_eq!(github.refresh_interval(), Duration::from_secs(1800));
}

#[test]
fn trouble_at_github_leaves_the_old_token_in_place() {
    for (status, kind) in [
        (403, ErrorKind::PermissionDenied),
        (429, ErrorKind::RateLimited),
        (503, ErrorKind::Unavailable),
    ] {
        let (old, new) = (token("gho_"), token("gho_"));
        let stored = credential("github", &old.secret(), "cli", "oauth");
        let ports = Ports::new()
            .with_commands(gh("github", Reply::prints(new.secret())))
            .with_vendor(EchoVendor::new(status));
        let error = refresh(&ports, &stored).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(new.find_in_str(&format!("{error:?}")), None);
    }
}

/// A run keeps its placeholder, also when gh has a token of another kind meanwhile.
#[test]
fn a_token_of_another_kind_keeps_the_placeholder() {
    let (old, new, last) = (token("gho_"), token("github_pat_"), token("gho_"));
    let stored = credential("github", &old.secret(), "cli", "oauth");
    let first = renewed(&stored, &new, "gist, repo");
    assert_eq!(first.info().metadata("token_kind"), Some("fine-grained"));
    assert_eq!(first.info().scopes(), ["gist", "repo"]);
    assert_eq!(first.info().expires_at(), Some(time("2026-12-01T00:00:00Z")));
    let second = renewed(&first, &last, "");
    assert_eq!(second.info().metadata("token_kind"), Some("oauth"));
    assert!(second.info().scopes().is_empty());
    let run = run([stored.info()], None);
    let placeholder = rules_placeholder(stored.info(), &run);
    assert!(placeholder.starts_with("gho_"));
    assert_eq!(rules_placeholder(first.info(), &run), placeholder);
    assert_eq!(rules_placeholder(second.info(), &run), placeholder);
}

fn renewed(stored: &Credential, token: &Canary, scopes: &str) -> Credential {
    let ports =
        Ports::new().with_commands(gh("github", Reply::prints(token.secret()))).with_vendor(
            Accounts::new()
                .knows(&token.secret(), "octocat")
                .header("x-oauth-scopes", scopes)
                .header("github-authentication-token-expiration", "2026-12-01 00:00:00 UTC"),
        );
    match refresh(&ports, stored).unwrap() {
        Refreshed::Renewed(next) => next,
        refreshed => panic!("{refreshed:?}"),
    }
}

fn rules_placeholder(info: &CredentialInfo, run: &RunContext) -> String {
    let mut rules = ProxyRules::default();
    GitHub::new().configure_proxy(&mut rules, info, run).unwrap();
    rules.credentials()[0].placeholders()[0].to_string()
}
