//! The contract of a provider, as hosts rely on it.

use moat_provider_claude::{Anthropic, Claude};
use moat_provider_core::{
    Alphabet, Credential, CredentialProvider, GrantRequest, PlaceholderShape,
};
use moat_provider_testkit::conformance::{Capability, Expect, assert_conforms};
use moat_provider_testkit::{FakeCommands, FakeEnvironment, FakeFiles, FakeTerminal, Reply};
use serde_json::json;

use crate::support::{Accounts, KEY_PREFIX, OAUTH_PREFIX, credential, host_file, key, time, token};

const ASK_KEYCHAIN: [&str; 4] = ["find-generic-password", "-s", "Claude Code-credentials", "-w"];

fn shape(prefix: &str) -> PlaceholderShape {
    PlaceholderShape::prefixed(prefix, Alphabet::Alphanumeric, 95)
}

fn request(provider: &dyn CredentialProvider, grant: &str, source: &str) -> GrantRequest {
    let options = [("source", source)];
    GrantRequest::with_options(key(grant), provider.grant_options(), options).unwrap()
}

fn no_keychain() -> FakeCommands {
    FakeCommands::new().expect("security", ASK_KEYCHAIN, Reply::not_found())
}

#[test]
fn a_subscription_conforms() {
    let claude = Claude::new();
    let expect = Expect::new([
        Capability::Credential,
        Capability::Agent,
        Capability::Revocable,
        Capability::RunStoppedHook,
        Capability::Diagnosable,
        Capability::Describable,
    ])
    .canary(|| token(OAUTH_PREFIX))
    .vendor(|canary| Accounts::knowing([canary]))
    .placeholder_shape(shape(OAUTH_PREFIX))
    .grant_from("CLAUDE_CODE_OAUTH_TOKEN", |canary, ports| {
        let token = canary.secret();
        ports.with_environment(FakeEnvironment::new().secret("CLAUDE_CODE_OAUTH_TOKEN", token))
    })
    .grant_from("claude setup-token", |canary, ports| {
        ports.with_commands(no_keychain()).with_terminal(
            FakeTerminal::new()
                .expect_choose("authenticate", "claude setup-token (")
                .expect_run("claude", ["setup-token"], Some(0))
                .expect_secret("Token", canary.secret()),
        )
    })
    .grant_from("the person", |canary, ports| {
        ports.with_commands(no_keychain()).with_terminal(
            FakeTerminal::new()
                .expect_choose("authenticate", "Paste")
                .expect_secret("Token", canary.secret()),
        )
    })
    .grant_request_from(request(&claude, "claude", "import"), "a file", |canary, ports| {
        let login = json!({"claudeAiOauth": {"accessToken": canary.text(), "scopes": []}});
        let file = host_file(".credentials.json");
        let login = moat_provider_core::Secret::new(login.to_string());
        ports.with_commands(no_keychain()).with_files(FakeFiles::new().file(&file, login))
    })
    .grant_request_from(request(&claude, "claude", "import"), "the keychain", |canary, ports| {
        let login = json!({"claudeAiOauth": {"accessToken": canary.text(), "expiresAt": 0}});
        let reply = Reply::prints(moat_provider_core::Secret::new(login.to_string()));
        ports.with_commands(FakeCommands::new().expect("security", ASK_KEYCHAIN, reply))
    })
    .sample(|canary| {
        Credential::builder(key("claude"), canary.secret(), time("2026-11-01T00:00:00Z"))
            .scopes(["user:inference", "user:profile", "org:create_api_key"])
            .expires_at(time("2026-11-01T08:00:00Z"))
            .metadata(Credential::TOKEN_SOURCE, "import")
            .metadata("claude_subscription_type", "pro")
            .metadata("claude_rate_limit_tier", "default_claude_pro")
            .build()
    });
    assert_conforms(&claude, expect);
}

#[test]
fn a_key_conforms() {
    let expect = Expect::new([
        Capability::Credential,
        Capability::Revocable,
        Capability::Diagnosable,
        Capability::Describable,
    ])
    .canary(|| token(KEY_PREFIX))
    .vendor(|canary| Accounts::knowing([canary]))
    .placeholder_shape(shape(KEY_PREFIX))
    .grant_from("ANTHROPIC_API_KEY", |canary, ports| {
        let key = canary.secret();
        ports.with_environment(FakeEnvironment::new().secret("ANTHROPIC_API_KEY", key))
    })
    .grant_from("the person", |canary, ports| {
        ports.with_terminal(FakeTerminal::new().expect_secret("API key", canary.secret()))
    })
    .sample(|canary| credential("anthropic", &canary.secret(), "env"));
    assert_conforms(&Anthropic::new(), expect);
}
