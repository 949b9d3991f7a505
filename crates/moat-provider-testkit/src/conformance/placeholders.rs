//! Placeholders, in rules and in the container.

use std::collections::BTreeSet;

use moat_provider_core::{
    CredentialRule, EndpointRouter, Placeholder, PlaceholderKey, ProxyRules, Substitution,
};

use super::Rule;
use super::report::Report;
use super::subject::{Observation, Subject};

/// Returns every placeholder that a rule knows.
pub(super) fn of(rules: &ProxyRules) -> BTreeSet<&Placeholder> {
    rules
        .credentials()
        .iter()
        .flat_map(CredentialRule::placeholders)
        .chain(rules.substitutions().iter().map(Substitution::placeholder))
        .chain(rules.signers().iter().map(|rule| rule.placeholder()))
        .collect()
}

pub(super) fn check(report: &mut Report, subject: &Subject<'_>, observation: &Observation) {
    let key = subject.runs.key();
    let what = &observation.what;
    let shapes = &subject.expect.shapes;
    let known = of(&observation.rules);
    for placeholder in &known {
        let text = placeholder.as_str();
        report.demand(key.recognizes(text), Rule::Placeholders, || {
            format!("a rule of {what} has the placeholder {text}, which is not this host's")
        });
        let fits = shapes.is_empty() || shapes.iter().any(|shape| shape.fits(text));
        report.demand(fits, Rule::PlaceholderShapes, || {
            format!("the placeholder {text} of {what} has none of the declared shapes")
        });
    }
    let tokens = endpoint_tokens(report, subject, observation);
    for (place, text) in texts(observation) {
        for word in words(&text) {
            judge(report, subject, key, (&place, what), word, |word| {
                known.iter().copied().chain(&tokens).any(|p| p.as_str() == word)
            });
        }
    }
}

/// A word in the container that is a placeholder, or looks like one, is known to somebody.
fn judge(
    report: &mut Report,
    subject: &Subject<'_>,
    key: &PlaceholderKey,
    (place, what): (&str, &str),
    word: &str,
    is_known: impl Fn(&str) -> bool,
) {
    if key.recognizes(word) {
        report.demand(is_known(word), Rule::Placeholders, || {
            format!("{place} of {what} holds the placeholder {word}, which no rule knows")
        });
    } else if subject.expect.shapes.iter().any(|shape| shape.fits(word)) {
        report.add(
            Rule::Placeholders,
            format!("{place} of {what} holds {word}, which looks like a placeholder and is none"),
        );
    }
}

/// Checks that nothing of one run is used in another.
pub(super) fn differ(report: &mut Report, first: &Observation, second: &Observation) {
    for shared in of(&first.rules).intersection(&of(&second.rules)) {
        let detail = format!("{shared} of {} is the placeholder of two runs", first.what);
        report.add(Rule::Placeholders, detail);
    }
}

fn endpoint_tokens(
    report: &mut Report,
    subject: &Subject<'_>,
    observation: &Observation,
) -> Vec<Placeholder> {
    let mut tokens = Vec::new();
    if let Some(endpoint) = subject.provider.as_endpoint() {
        for sample in &subject.samples {
            let mut router = EndpointRouter::default();
            let info = sample.credential.info();
            // An error is reported where endpoints are checked.
            let registered = report.call("register_endpoints", || {
                endpoint.register_endpoints(&mut router, info, &observation.run)
            });
            if matches!(registered, Some(Ok(()))) {
                tokens.extend(router.tokens().map(|(_, token)| token.clone()));
            }
        }
    }
    tokens
}

/// Returns the texts of the container, with where they stand.
fn texts(observation: &Observation) -> Vec<(String, String)> {
    let env = observation.env.iter().map(|var| (var.name().to_owned(), var.value().to_owned()));
    let files = observation.mounts.files.iter().map(|file| {
        let contents = String::from_utf8_lossy(file.contents()).into_owned();
        (file.path().to_string(), contents)
    });
    env.chain(files).collect()
}

/// Returns whatever in a text may be a placeholder: at several ways to cut it, because some
/// placeholders hold characters that separate others.
fn words(text: &str) -> BTreeSet<&str> {
    let strict = |c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c));
    let loose = |c: char| !(c.is_ascii_alphanumeric() || "-_.:".contains(c));
    let looser = |c: char| c.is_whitespace() || "\"'`,;=<>(){}[]@".contains(c);
    let cuts = text.split(strict).chain(text.split(loose)).chain(text.split(looser));
    cuts.filter(|word| word.len() >= 16).collect()
}
