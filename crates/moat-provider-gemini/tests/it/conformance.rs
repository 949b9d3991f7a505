//! The contract of a provider, as hosts rely on it.

use moat_provider_core::{
    Alphabet, Answer, CredentialProvider, GrantRequest, PlaceholderShape, Secret,
};
use moat_provider_gemini::Gemini;
use moat_provider_testkit::conformance::{Capability, Expect, assert_conforms};
use moat_provider_testkit::{Canary, FakeEnvironment, FakeFiles, FakeRedirects, FakeTerminal};
use serde_json::json;

use crate::support::{Google, api_key, client, credential, host_file, key, login, refresh_token};

fn request(provider: &Gemini, source: &str) -> GrantRequest {
    let options = [("source", source)];
    GrantRequest::with_options(key("gemini"), provider.grant_options(), options).unwrap()
}

fn login_file(token: &str) -> FakeFiles {
    let login = json!({"access_token": token, "refresh_token": "x", "expiry_date": 0});
    FakeFiles::new().file(&host_file("oauth_creds.json"), Secret::new(login.to_string()))
}

#[test]
fn the_provider_conforms() {
    let (secret, refresh) = (api_key(), refresh_token());
    let gemini = Gemini::new().oauth_client(client(&secret));
    let of_vendor = (secret.clone(), refresh.clone());
    let expect = Expect::new([
        Capability::Credential,
        Capability::Agent,
        Capability::Refreshable,
        Capability::Revocable,
        Capability::RunStoppedHook,
        Capability::Diagnosable,
        Capability::Describable,
    ])
    // Google's prefixes tell the kinds apart where a grant would take the wrong one; what has none
    // may be either.
    .canary(|| Canary::shaped("", Alphabet::Base64Url, 80))
    .vendor(move |canary| {
        let (secret, refresh) = &of_vendor;
        Google::knowing([canary, refresh]).issues(canary, secret).refresh(refresh)
    })
    .placeholder_shape(PlaceholderShape::prefixed("AIza", Alphabet::Base64Url, 35))
    .placeholder_shape(PlaceholderShape::prefixed("ya29.", Alphabet::Base64Url, 120))
    .grant_from("GEMINI_API_KEY", |canary, ports| {
        let key = canary.secret();
        ports.with_environment(FakeEnvironment::new().secret("GEMINI_API_KEY", key))
    })
    .grant_from("the person", |canary, ports| {
        ports.with_terminal(
            FakeTerminal::new()
                .expect_choose("Gemini", "Paste")
                .expect_secret("API key", canary.secret()),
        )
    })
    .grant_request_from(request(&gemini, "login"), "a login", |_, ports| {
        ports
            .with_terminal(
                FakeTerminal::new()
                    .expect_confirm("browser", Answer::Yes)
                    .expect_open("https://accounts.google.com/"),
            )
            .with_redirects(FakeRedirects::new().expect("/oauth2callback", "code=4%2Fa%20b"))
    })
    .grant_request_from(request(&gemini, "import"), "a file", |canary, ports| {
        ports.with_files(login_file(canary.text()))
    })
    .refresh_from(|canary, ports| ports.with_files(login_file(canary.text())))
    .sample(move |canary| login(&canary.secret(), &refresh, &secret))
    .sample(|canary| credential(&canary.secret(), "import"))
    .sample(|canary| credential(&canary.secret(), "prompt"));
    assert_conforms(&gemini, expect);
}
