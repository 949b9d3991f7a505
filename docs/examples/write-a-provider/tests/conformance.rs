//! Acme keeps to the contract.

use bytes::Bytes;
use http::Request;
use moat_provider_acme::Acme;
use moat_provider_core::{Alphabet, PlaceholderShape};
use moat_provider_testkit::conformance::{Capability, Expect, assert_conforms};
use moat_provider_testkit::{Canary, FakeEnvironment, FakeTerminal, json, requires_bearer};

#[test]
fn acme_keeps_to_the_contract() {
    let expect = Expect::new([Capability::Credential, Capability::Describable])
        .canary(|| Canary::with_prefix("acme_"))
        .placeholder_shape(PlaceholderShape::prefixed("acme_", Alphabet::Alphanumeric, 40))
        .vendor(|canary| {
            // Answers 401 to everything but the token that was drawn for this test.
            requires_bearer(&canary.secret(), |_: &Request<Bytes>| {
                json(200, &serde_json::json!({"name": "wile"}))
            })
        })
        .grant_from("the environment", |canary, ports| {
            ports.with_environment(FakeEnvironment::new().secret("ACME_TOKEN", canary.secret()))
        })
        .grant_from("the person", |canary, ports| {
            ports.with_terminal(FakeTerminal::new().expect_secret("Token", canary.secret()))
        });
    assert_conforms(&Acme, expect);
}
