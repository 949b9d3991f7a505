//! The contract of a provider, as hosts rely on it.

use moat_provider_core::{Alphabet, Answer, CredentialProvider, GrantRequest, PlaceholderShape};
use moat_provider_github::GitHub;
use moat_provider_testkit::conformance::{Capability, Expect, assert_conforms};
use moat_provider_testkit::{Canary, FakeCommands, FakeEnvironment, FakeTerminal, Ports, Reply};

use crate::support::{Accounts, credential, key, token};

fn expect() -> Expect {
    let letters = |prefix, len| PlaceholderShape::prefixed(prefix, Alphabet::Alphanumeric, len);
    let fine_grained = letters("github_pat_", 22).literal("_").random(Alphabet::Alphanumeric, 59);
    Expect::new([
        Capability::Credential,
        Capability::Refreshable,
        Capability::Revocable,
        Capability::Diagnosable,
        Capability::Describable,
    ])
    .vendor(|canary| Accounts::new().knows(&canary.secret(), "octocat"))
    .host_file(&GitHub::new().host_files()[0], |canary| {
        let token = canary.text();
        format!(
            "prompt: disabled\neditor: \"{token}\"\noauth_token: {token}\naliases:\n  co: pr checkout\n  \
             api: api -f t={token}\n  sh: \"!echo {token}\"\nhosts:\n  github.com:\n    oauth_token: {token}\n"
        )
    })
    .placeholder_shape(letters("ghp_", 36))
    .placeholder_shape(letters("gho_", 36))
    .placeholder_shape(letters("ghs_", 36))
    .placeholder_shape(fine_grained)
}

fn gh(host: &str, canary: &Canary) -> FakeCommands {
    let args = ["auth", "token", "--hostname", host];
    FakeCommands::new().expect("gh", args, Reply::prints(canary.secret()))
}

fn from_gh(host: &str, canary: &Canary, ports: Ports) -> Ports {
    ports
        .with_commands(gh(host, canary))
        .with_terminal(FakeTerminal::new().expect_confirm("Use gh's login", Answer::Yes))
}

fn from_person(host: &str, canary: &Canary, ports: Ports) -> Ports {
    let args = ["auth", "token", "--hostname", host];
    ports
        .with_commands(FakeCommands::new().expect("gh", args, Reply::not_found()))
        .with_terminal(FakeTerminal::new().expect_secret("Token", canary.secret()))
}

fn from_variable(name: &str, canary: &Canary, ports: Ports) -> Ports {
    ports.with_environment(FakeEnvironment::new().secret(name, canary.secret()))
}

#[test]
fn github_com_conforms() {
    let expect = expect()
        .canary(|| token("gho_"))
        .grant_from("GH_TOKEN", |canary, ports| from_variable("GH_TOKEN", canary, ports))
        .grant_from("GITHUB_TOKEN", |canary, ports| from_variable("GITHUB_TOKEN", canary, ports))
        .grant_from("gh", |canary, ports| from_gh("github.com", canary, ports))
        .grant_from("the person", |canary, ports| from_person("github.com", canary, ports))
        .refresh_from(|canary, ports| ports.with_commands(gh("github.com", canary)))
        .sample(|canary| {
            credential("github:octo.ghe.com", &canary.secret(), "prompt", "fine-grained")
        })
        .sample(|canary| {
            credential("github:ghe.example.com", &canary.secret(), "prompt", "classic")
        });
    assert_conforms(&GitHub::new(), expect);
}

#[test]
fn a_server_conforms() {
    const HOST: &str = "ghe.example.com";
    let request = || GrantRequest::new(key("github:ghe.example.com"));
    let expect = expect()
        .canary(|| token("ghp_"))
        .grant_request_from(request(), "GH_ENTERPRISE_TOKEN", |canary, ports| {
            from_variable("GH_ENTERPRISE_TOKEN", canary, ports)
        })
        .grant_request_from(request(), "gh", |canary, ports| from_gh(HOST, canary, ports))
        .grant_request_from(request(), "the person", |canary, ports| {
            from_person(HOST, canary, ports)
        })
        .refresh_from(|canary, ports| ports.with_commands(gh(HOST, canary)))
        .sample(|canary| credential("github:git.example.org", &canary.secret(), "env", "classic"));
    assert_conforms(&GitHub::new(), expect);
}

#[test]
fn an_installation_token_conforms() {
    let expect = expect()
        .canary(|| token("ghs_"))
        .grant_from("GITHUB_TOKEN", |canary, ports| from_variable("GITHUB_TOKEN", canary, ports))
        .grant_from("gh", |canary, ports| from_gh("github.com", canary, ports))
        .refresh_from(|canary, ports| ports.with_commands(gh("github.com", canary)));
    assert_conforms(&GitHub::new(), expect);
}
