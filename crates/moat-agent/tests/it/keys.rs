//! Which vendor's key an agent runs on.

use moat_agent::keys::{self, Backend};
use moat_provider_core::{Credential, CredentialKey, ErrorKind, RunContext};
use moat_provider_testkit::{Canary, run_context};
use time::OffsetDateTime;

const AGENT: &str = "The agent";

fn key(name: &str) -> CredentialKey {
    name.parse().unwrap()
}

fn run(grants: &[(&str, Option<&str>)]) -> RunContext {
    let mut run = run_context("r");
    for (name, auth_type) in grants {
        let token = Canary::new().secret();
        let mut grant = Credential::builder(key(name), token, OffsetDateTime::UNIX_EPOCH);
        if let Some(auth_type) = auth_type {
            grant = grant.metadata("auth_type", *auth_type);
        }
        run = run.grant(grant.build().info().clone());
    }
    run.build()
}

#[test]
fn a_backend_has_the_name_of_its_grant() {
    for (name, backend, vendor) in [
        ("anthropic", Backend::Anthropic, "anthropic"),
        ("openai", Backend::OpenAi, "openai"),
        ("gemini", Backend::Gemini, "google"),
    ] {
        assert_eq!(Backend::named(name).unwrap(), backend);
        assert_eq!((backend.provider().as_str(), backend.vendor()), (name, vendor));
    }
    for other in ["claude", "google", ""] {
        let error = Backend::named(other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{other}");
        assert_eq!(error.hint(), Some("one of: anthropic, openai, gemini"));
    }
}

#[test]
fn the_key_that_the_person_chose_is_selected() {
    let stored = ["anthropic", "claude", "gemini", "openai"].map(key);
    let select = |wanted, stored: &[_]| keys::select(AGENT, wanted, &[], stored);
    assert_eq!(select(Some(Backend::Gemini), &stored).unwrap(), [key("gemini")]);
    assert_eq!(select(None, &stored[2..3]).unwrap(), [key("gemini")]);
    let error = select(None, &stored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("The agent could run on"), "{error}");
    // A subscription is for its vendor's own program.
    assert_eq!(select(None, &stored[1..2]).unwrap_err().kind(), ErrorKind::CredentialNotFound);
}

#[test]
fn a_run_has_one_backend_or_none() {
    let both = run(&[("github", None), ("openai", None), ("anthropic", None)]);
    let of_run = |wanted| keys::of_run(AGENT, wanted, &both).unwrap();
    assert_eq!(of_run(None), Some(Backend::OpenAi));
    assert_eq!(of_run(Some(Backend::Anthropic)), Some(Backend::Anthropic));
    assert_eq!(of_run(Some(Backend::Gemini)), None);
}

#[test]
fn a_google_login_is_no_key() {
    let of_run = |auth_type| keys::of_run(AGENT, None, &run(&[("gemini", auth_type)]));
    assert_eq!(of_run(None).unwrap(), Some(Backend::Gemini));
    let error = of_run(Some("oauth")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("The agent runs on a key"), "{error}");
    assert_eq!(error.hint(), Some("moat grant gemini --source prompt"));
}
