//! Law L3 between rules.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderName};
use http::{StatusCode, request};
use moat_provider_core::{
    BodySigning, CannedAnswer, CredentialRule, ErrorKind, Fill, HeaderTemplate, LocalAnswer,
    Position, ProxyConfigurer, ProxyRules, RequestSigner, Result, SecretName, SecretRef, Secrets,
    SigningRule, Slot, SlotGroup, Substitution, Target,
};
use time::OffsetDateTime;

use crate::support::{key, placeholder};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

fn at(text: &str) -> Target {
    let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    Target::host(host).unwrap().under(if path.is_empty() { "/" } else { path }).unwrap()
}

fn rule(grant: &str, target: &str) -> CredentialRule {
    let secret = SecretRef::token(&key(grant));
    CredentialRule::new(at(target), AUTHORIZATION, HeaderTemplate::Bearer, secret)
        .placeholder(placeholder(grant))
}

fn keyed(grant: &str, target: &str) -> CredentialRule {
    let secret = SecretRef::token(&key(grant));
    CredentialRule::new(at(target), X_API_KEY, HeaderTemplate::Raw, secret)
        .placeholder(placeholder(grant))
}

fn group() -> SlotGroup {
    SlotGroup::new("vendor", [Slot::Header(AUTHORIZATION), Slot::Header(X_API_KEY)])
}

fn check(rules: impl IntoIterator<Item = CredentialRule>) -> Result<()> {
    let mut all = ProxyRules::default();
    rules.into_iter().for_each(|rule| all.credential(rule));
    all.check_conflicts()
}

#[test]
fn two_defaults_for_one_slot_are_refused_with_both_names() {
    let error = check([rule("one", "a.example"), rule("two", "a.example")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    for part in ["one", "two", "a.example"] {
        assert!(error.message().contains(part), "{error}");
    }
    assert!(error.hint().unwrap().contains("default"));
}

#[test]
fn placeholders_tell_two_grants_apart_when_one_is_the_default() {
    let only = |grant| rule(grant, "a.example").fill(Fill::PlaceholderOnly);
    check([only("one"), only("two")]).unwrap();
    check([rule("one", "a.example"), only("two")]).unwrap();
    let same = only("two").placeholder(placeholder("one"));
    let error = check([only("one"), same]).unwrap_err();
    assert!(error.message().contains("same placeholder"), "{error}");
}

#[test]
fn only_targets_that_are_not_ranked_conflict() {
    check([rule("one", "a.example"), rule("two", "b.example")]).unwrap();
    check([rule("one", "*.b.example"), rule("two", "a.b.example")]).unwrap();
    check([rule("one", "a.example/v1"), rule("two", "a.example")]).unwrap();
    check([rule("one", "*.b.example/v1"), rule("two", "a.b.example")]).unwrap_err();
}

#[test]
fn a_group_has_one_default() {
    let both = [rule("one", "a.example").group(group()), keyed("two", "a.example").group(group())];
    check(both.clone()).unwrap_err();
    let [one, two] = both;
    check([one, two.fill(Fill::PlaceholderOnly)]).unwrap();
    // Without the group the header that the other one fills is still a slot of the first.
    check([rule("one", "a.example").group(group()), keyed("two", "a.example")]).unwrap_err();
    check([rule("one", "a.example"), keyed("two", "a.example")]).unwrap();
}

#[test]
fn one_secret_may_be_stated_in_several_rules() {
    let header = rule("one", "a.example").group(group());
    check([header.clone(), keyed("one", "a.example").group(group())]).unwrap();
    check([rule("one", "a.example"), rule("one", "a.example")]).unwrap();
    let other = SecretRef::new(&key("one"), SecretName::REFRESH_TOKEN);
    let other = CredentialRule::new(at("a.example"), AUTHORIZATION, HeaderTemplate::Bearer, other);
    check([header, other]).unwrap_err();
}

#[derive(Debug)]
struct Signer;

impl RequestSigner for Signer {
    fn claims(&self) -> &[HeaderName] {
        &[AUTHORIZATION]
    }

    fn sign(&self, _: &mut request::Parts, _: &Secrets, _: OffsetDateTime) -> Result<BodySigning> {
        Ok(BodySigning::HeadOnly)
    }
}

fn signing(grant: &str) -> SigningRule {
    let signer = Arc::new(Signer);
    let target = at("*.aws.example");
    SigningRule::new(target, &key(grant), [SecretName::TOKEN], placeholder(grant), signer)
}

#[test]
fn signers_are_told_apart_by_their_dummy_keys() {
    let mut rules = ProxyRules::default();
    rules.sign(signing("aws:dev"));
    rules.sign(signing("aws:prod"));
    rules.check_conflicts().unwrap();
    rules.sign(signing("aws:prod"));
    rules.check_conflicts().unwrap_err();
}

#[test]
fn a_substitution_claims_its_header_and_query_key() {
    let substitution = |grant: &str, placeholder_of: &str, position| {
        let secret = SecretRef::token(&key(grant));
        Substitution::new(at("a.example"), position, placeholder(placeholder_of), secret)
    };
    let mut rules = ProxyRules::default();
    rules.credential(rule("one", "a.example"));
    rules.substitute(substitution("two", "two", Position::Header(AUTHORIZATION)));
    rules.check_conflicts().unwrap();
    rules.substitute(substitution("three", "one", Position::Header(AUTHORIZATION)));
    rules.check_conflicts().unwrap_err();

    let mut rules = ProxyRules::default();
    rules.substitute(substitution("one", "one", Position::QueryKey("key".into())));
    rules.substitute(substitution("two", "two", Position::QueryKey("key".into())));
    rules.check_conflicts().unwrap();
    rules.substitute(substitution("two", "one", Position::QueryKey("key".into())));
    rules.check_conflicts().unwrap_err();
}

#[test]
fn two_answers_to_one_request_are_refused() {
    let answer = |owner: &str, status| {
        let owner = owner.parse().unwrap();
        LocalAnswer::new(owner, at("a.example/token"), CannedAnswer::new(status))
    };
    let mut rules = ProxyRules::default();
    rules.answer(answer("one", StatusCode::UPGRADE_REQUIRED));
    rules.answer(answer("two", StatusCode::UPGRADE_REQUIRED));
    rules.check_conflicts().unwrap();
    rules.answer(answer("three", StatusCode::OK));
    let error = rules.check_conflicts().unwrap_err();
    assert!(error.message().contains("three") && error.message().contains("one"), "{error}");
}
