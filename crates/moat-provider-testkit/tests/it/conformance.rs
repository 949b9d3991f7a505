//! The conformance suite, on providers that break one rule each.

use std::collections::BTreeSet;

use moat_provider_testkit::conformance::{Expect, Rule, Violations, assert_conforms, check};

use crate::broker::{self, Broker, Defect};
use crate::sample::{self, Fault, Sample};

/// What each fault of the sample provider breaks.
const FAULTS: &[(Fault, Rule)] = &[
    (Fault::NamesAnotherInErrors, Rule::Names),
    (Fault::UndeclaredHook, Rule::Capabilities),
    (Fault::DescribedByAnother, Rule::Capabilities),
    (Fault::TakesAnyQualifier, Rule::Qualifiers),
    (Fault::PanicsOnQualifiers, Rule::Panics),
    (Fault::OptionInCapitals, Rule::GrantOptions),
    (Fault::OptionTwice, Rule::GrantOptions),
    (Fault::DependencyTwice, Rule::Dependencies),
    (Fault::LongDescription, Rule::Description),
    (Fault::LooksElsewhere, Rule::Grant),
    (Fault::GrantsAnotherKey, Rule::GrantedKey),
    (Fault::ChangesToken, Rule::GrantedToken),
    (Fault::TakesEmptyToken, Rule::EmptyToken),
    (Fault::IgnoresStatus, Rule::Refusals),
    (Fault::NoHint, Rule::Hints),
    (Fault::BlamesTokenForOutage, Rule::ErrorKinds),
    (Fault::PlainHttpFirst, Rule::Https),
    (Fault::BodyInError, Rule::SecretInText),
    (Fault::BodyInHint, Rule::SecretInText),
    (Fault::BodyInSource, Rule::SecretInText),
    (Fault::TokenInMetadata, Rule::SecretInInfo),
    (Fault::TokenInScopes, Rule::SecretInInfo),
    (Fault::TokenOnTerminal, Rule::SecretInText),
    (Fault::UnmarkedHeader, Rule::SecretInText),
    (Fault::KeepsTokenInDebug, Rule::SecretInText),
    (Fault::TokenInUrl, Rule::SecretInUrls),
    (Fault::TokenInArguments, Rule::SecretInCommands),
    (Fault::TokenInRule, Rule::SecretInRules),
    (Fault::TokenInAnswer, Rule::SecretInRules),
    (Fault::TokenInIssuing, Rule::SecretInRules),
    (Fault::TokenInEnv, Rule::SecretInContainer),
    (Fault::StagesHostFile, Rule::SecretInContainer),
    (Fault::NeedsMetadata, Rule::Configuration),
    (Fault::ImpureEnv, Rule::Purity),
    (Fault::ImpureFiles, Rule::Purity),
    (Fault::PlaceholderFollowsExpiry, Rule::Renewal),
    (Fault::AddressTarget, Rule::Targets),
    (Fault::UnknownSecret, Rule::SecretRefs),
    (Fault::ForeignSecret, Rule::SecretRefs),
    (Fault::BothFillEmpty, Rule::Conflicts),
    (Fault::FillsByNoPlaceholder, Rule::Placeholders),
    (Fault::StaticDummy, Rule::Placeholders),
    (Fault::SharesPlaceholder, Rule::Placeholders),
    (Fault::StagesDeadPlaceholder, Rule::Placeholders),
    (Fault::OddShape, Rule::PlaceholderShapes),
    (Fault::SetsPath, Rule::Environment),
    (Fault::SetsProxy, Rule::Environment),
    (Fault::SetsTwice, Rule::Environment),
    (Fault::StagesOutsideHome, Rule::Paths),
    (Fault::WorldWritable, Rule::Paths),
    (Fault::MountsHostHome, Rule::Paths),
    (Fault::MountsUnderOddName, Rule::Paths),
    (Fault::UpgradesAgain, Rule::Upgrade),
    (Fault::RefreshesStatic, Rule::RefreshSupport),
    (Fault::RefuseRefresh, Rule::RefreshSupport),
    (Fault::RefreshRestartsClock, Rule::RefreshIdentity),
    (Fault::RefreshInheritsToken, Rule::RefreshInputs),
    (Fault::RefreshTakesEmptyToken, Rule::EmptyToken),
    (Fault::RefreshEverySecond, Rule::RefreshInterval),
    (Fault::RefreshBodyInError, Rule::SecretInText),
    (Fault::EmptyRevocation, Rule::Revocation),
    (Fault::RevokesNothing, Rule::Revocation),
    (Fault::NoIssuing, Rule::IssuingEndpoints),
    (Fault::IssuingElsewhere, Rule::IssuingEndpoints),
    (Fault::IssuesWithoutWords, Rule::IssuingEndpoints),
];

/// What each defect of the broker breaks.
const DEFECTS: &[(Defect, Rule)] = &[
    (Defect::MintsAnother, Rule::Minting),
    (Defect::MintsOverStored, Rule::Minting),
    (Defect::BodyInMintError, Rule::SecretInText),
    (Defect::CacheableAnswer, Rule::Endpoints),
    (Defect::AnswersWithoutSecrets, Rule::Endpoints),
    (Defect::RegistersNothing, Rule::Endpoints),
    (Defect::ServesStoredToken, Rule::SecretInEndpoints),
    (Defect::ChoosesStranger, Rule::Agent),
    (Defect::StartsNothing, Rule::Agent),
    (Defect::TokenInFile, Rule::SecretInContainer),
    (Defect::TokenInState, Rule::SecretInInfo),
    (Defect::HookKeepsToken, Rule::SecretInInfo),
    (Defect::DeclaresIssuing, Rule::IssuingEndpoints),
    (Defect::DiagnosisAsks, Rule::Diagnosis),
    (Defect::DiagnosisRambles, Rule::Diagnosis),
];

#[test]
fn accepts_the_correct_providers() {
    assert_conforms(&Sample::correct(), sample::expectation());
    assert_conforms(&Broker::correct(), broker::expectation());
}

#[test]
fn rejects_each_fault_by_its_rule() {
    let wrong: Vec<String> = FAULTS
        .iter()
        .filter_map(|(fault, rule)| {
            let checked = check(&Sample::broken(*fault), sample::expectation());
            wrongly_judged(&format!("{fault:?}"), *rule, checked)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rejects_each_defect_by_its_rule() {
    let wrong: Vec<String> = DEFECTS
        .iter()
        .filter_map(|(defect, rule)| {
            let checked = check(&Broker::broken(*defect), broker::expectation());
            wrongly_judged(&format!("{defect:?}"), *rule, checked)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn wrongly_judged(fault: &str, rule: Rule, checked: Result<(), Violations>) -> Option<String> {
    let (text, rules) = broken(checked);
    (rules != BTreeSet::from([rule]))
        .then(|| format!("{fault} should break {rule} alone, but breaks {rules:?}:\n{text}\n"))
}

#[test]
fn rejects_names_that_cannot_be_registered() {
    let found = broken(check(&Sample::correct(), sample::expectation().aliases(["Sam ple"])));
    assert_eq!(found.1, BTreeSet::from([Rule::Names]), "{}", found.0);
    let found = broken(check(&Sample::correct(), sample::expectation().aliases(["sample"])));
    assert_eq!(found.1, BTreeSet::from([Rule::Names]), "{}", found.0);
}

#[test]
fn rejects_an_expectation_that_checks_nothing() {
    use moat_provider_testkit::conformance::Capability::*;
    let empty = Expect::new([Credential, Refreshable, Revocable, Describable]);
    let found = broken(check(&Sample::correct(), empty));
    assert_eq!(found.1, BTreeSet::from([Rule::Expectation]), "{}", found.0);
}

#[test]
fn shows_no_secret_in_violations() {
    use moat_provider_testkit::Canary;
    use std::sync::Arc;
    use std::sync::Mutex;
    for fault in [Fault::BodyInError, Fault::TokenInMetadata, Fault::TokenInEnv] {
        let drawn: Arc<Mutex<Vec<Canary>>> = Arc::default();
        let drawing = Arc::clone(&drawn);
        let expect = sample::expectation().canary(move || {
            let canary = Canary::with_prefix("smp_");
            drawing.lock().unwrap().push(canary.clone());
            canary
        });
        let (text, _) = broken(check(&Sample::broken(fault), expect));
        for canary in drawn.lock().unwrap().iter() {
            assert_eq!(canary.find_in_str(&text), None, "{text}");
        }
    }
}

#[test]
fn each_rule_is_broken_by_somebody() {
    let broken: BTreeSet<Rule> = FAULTS
        .iter()
        .map(|(_, rule)| *rule)
        .chain(DEFECTS.iter().map(|(_, rule)| *rule))
        .chain([Rule::Expectation])
        .collect();
    assert_eq!(broken, Rule::ALL.iter().copied().collect());
}

#[test]
fn lists_violations_behind_the_names_of_their_rules() {
    let found = broken(check(&Sample::broken(Fault::SetsPath), sample::expectation()));
    for line in found.0.lines() {
        assert!(line.starts_with("environment: "), "{line}");
    }
}

#[test]
#[should_panic(expected = "refresh-interval: the interval is 1 seconds")]
fn asserting_panics_with_the_violations() {
    assert_conforms(&Sample::broken(Fault::RefreshEverySecond), sample::expectation());
}

fn broken(checked: Result<(), Violations>) -> (String, BTreeSet<Rule>) {
    match checked {
        Ok(()) => (String::new(), BTreeSet::new()),
        Err(violations) => {
            (violations.to_string(), violations.iter().map(|found| found.rule()).collect())
        }
    }
}
