//! The contract of a provider, as hosts rely on it.

use moat_provider_codex::{Codex, OpenAi};
use moat_provider_core::{Alphabet, CredentialProvider, GrantRequest, PlaceholderShape, Secret};
use moat_provider_testkit::conformance::{Capability, Expect, assert_conforms};
use moat_provider_testkit::{FakeEnvironment, FakeFiles, FakeTerminal};

use crate::support::{
    Servers, access_token, api_key, credential, host_file, key, login, login_file, login_token,
    refresh_token,
};

/// The clock of the kit is beyond every real one.
const LATER: &str = "2036-01-01T00:00:00Z";

fn request(provider: &dyn CredentialProvider, grant: &str, source: &str) -> GrantRequest {
    let options = [("source", source)];
    GrantRequest::with_options(key(grant), provider.grant_options(), options).unwrap()
}

#[test]
fn an_access_token_conforms() {
    let codex = Codex::new();
    let refresh = refresh_token();
    let of_vendor = refresh.clone();
    let expect = expect()
        .canary(access_token)
        .vendor(move |canary| Servers::knowing([canary]).issues(canary, &of_vendor))
        .grant_from("CODEX_ACCESS_TOKEN", |canary, ports| {
            let token = canary.secret();
            ports.with_environment(FakeEnvironment::new().secret("CODEX_ACCESS_TOKEN", token))
        })
        .grant_from("the person", |canary, ports| {
            ports.with_terminal(
                FakeTerminal::new()
                    .expect_choose("authenticate", "Paste")
                    .expect_secret("Access token", canary.secret()),
            )
        })
        .sample(|canary| credential("codex", &canary.secret(), "prompt"))
        // A login whose token says nothing.
        .sample(move |canary| login(&canary.secret(), &refresh));
    assert_conforms(&codex, expect);
}

#[test]
fn a_login_conforms() {
    let codex = Codex::new();
    let refresh = refresh_token();
    let of_vendor = refresh.clone();
    let expect = expect()
        .canary(|| login_token(LATER))
        .vendor(move |canary| Servers::knowing([canary]).issues(canary, &of_vendor))
        .grant_request_from(request(&codex, "codex", "device"), "a login", |_, ports| {
            ports.with_terminal(
                FakeTerminal::new().expect_open("https://auth.openai.com/codex/device"),
            )
        })
        .grant_request_from(request(&codex, "codex", "import"), "a file", |canary, ports| {
            let file = Secret::new(login_file(canary.text()).to_string());
            ports.with_files(FakeFiles::new().file(&host_file("auth.json"), file))
        })
        .host_file(&host_file("config.toml"), |canary| {
            format!("model = \"m\"\n[mcp_servers.mine.env]\nTOKEN = \"{}\"\n", canary.text())
        })
        .sample(move |canary| login(&canary.secret(), &refresh));
    assert_conforms(&codex, expect);
}

fn expect() -> Expect {
    Expect::new([
        Capability::Credential,
        Capability::Agent,
        Capability::Refreshable,
        Capability::Revocable,
        Capability::Diagnosable,
        Capability::Describable,
    ])
}

#[test]
fn a_key_conforms() {
    let expect = Expect::new([
        Capability::Credential,
        Capability::Revocable,
        Capability::Diagnosable,
        Capability::Describable,
    ])
    .canary(api_key)
    .vendor(|canary| Servers::knowing([canary]))
    .placeholder_shape(PlaceholderShape::prefixed("sk-proj-", Alphabet::Alphanumeric, 156))
    .grant_from("OPENAI_API_KEY", |canary, ports| {
        let key = canary.secret();
        ports.with_environment(FakeEnvironment::new().secret("OPENAI_API_KEY", key))
    })
    .grant_from("the person", |canary, ports| {
        ports.with_terminal(FakeTerminal::new().expect_secret("API key", canary.secret()))
    });
    assert_conforms(&OpenAi::new(), expect);
}
