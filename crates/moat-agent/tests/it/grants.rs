//! Which grant an agent runs on.

use moat_agent::Backends;
use moat_provider_core::{Credential, CredentialKey, ErrorKind, ProviderName};
use moat_provider_testkit::{Canary, run_context};
use time::OffsetDateTime;

static ONE: ProviderName = ProviderName::from_static("one");
static TWO: ProviderName = ProviderName::from_static("two");
static THREE: ProviderName = ProviderName::from_static("three");
const BOTH: [&ProviderName; 2] = [&ONE, &TWO];

fn keys(names: &[&str]) -> Vec<CredentialKey> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn what_is_named_goes_before_what_is_stored() {
    let backends = Backends::new("The agent", &BOTH);
    for (wanted, named, stored, chosen) in [
        (None, &[][..], &["aws", "two"][..], &["two"][..]),
        (None, &["aws", "two", "aws"], &["one", "two"], &["aws", "two"]),
        (None, &["aws"], &["one:a", "one"], &["one", "aws"]),
        (None, &[], &["one:b", "one:a"], &["one:b"]),
        (Some(&TWO), &[], &["one", "two"], &["two"]),
        (Some(&TWO), &["one"], &["one", "two"], &["two", "one"]),
        (Some(&TWO), &["one", "two"], &[], &["one", "two"]),
    ] {
        let selected = backends.wanted(wanted).select(&keys(named), &keys(stored)).unwrap();
        assert_eq!(selected, keys(chosen), "{wanted:?} {named:?} {stored:?}");
    }
}

#[test]
fn nobody_guesses_which_account_pays() {
    let backends = Backends::new("The agent", &BOTH);
    for (wanted, named, stored, kind, hint) in [
        (None, &[][..], &["one", "two"][..], ErrorKind::Conflict, "--backend"),
        (None, &["one", "two"], &[], ErrorKind::Conflict, "--backend"),
        (None, &[], &["aws"], ErrorKind::CredentialNotFound, "moat grant one, or moat grant two"),
        (Some(&TWO), &["one"], &["one"], ErrorKind::CredentialNotFound, "moat grant two"),
    ] {
        let selected = backends.wanted(wanted).select(&keys(named), &keys(stored));
        let error = selected.unwrap_err();
        assert_eq!(error.kind(), kind, "{named:?} {stored:?}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
    }
}

#[test]
fn only_what_is_there_is_to_choose_from() {
    let three = [&ONE, &THREE, &TWO];
    let backends = Backends::new("The agent", &three);
    for (named, stored) in [(&[][..], &["one", "two"][..]), (&["one", "two"], &["three"])] {
        let error = backends.select(&keys(named), &keys(stored)).unwrap_err();
        assert!(error.to_string().ends_with("several grants: one, two"), "{error}");
    }
}

#[test]
fn the_run_says_which_grant_it_is() {
    let mut run = run_context("r");
    for name in ["aws", "one", "two"] {
        let now = OffsetDateTime::UNIX_EPOCH;
        let token = Canary::new().secret();
        run = run
            .grant(Credential::builder(name.parse().unwrap(), token, now).build().info().clone());
    }
    let run = run.build();
    let of = |wanted| {
        let backends = Backends::new("The agent", &BOTH).wanted(wanted);
        backends.of_run(&run).map(|info| info.key().to_string())
    };
    assert_eq!(of(None).as_deref(), Some("one"));
    assert_eq!(of(Some(&TWO)).as_deref(), Some("two"));
    assert_eq!(of(Some(&ProviderName::from_static("three"))), None);
}
