//! Rules of the proxy.

use std::net::IpAddr;

use http::HeaderMap;
use moat_provider_core::{
    CannedAnswer, Companion, CredentialRule, Fill, HostPattern, IssuingEndpoint, IssuingEndpoints,
    IssuingHandling, SecretRef, Substitution, Target,
};

use super::Rule;
use super::identity::is_line;
use super::report::{Report, Search};
use super::subject::{Observation, Subject};

/// Looks for secrets in rules and declarations.
pub(super) fn search(report: &mut Report, secrets: &Search, observation: &Observation) {
    let what = &observation.what;
    let rules = &observation.rules;
    let rule = Rule::SecretInRules;
    // `Debug` leaves out values that are marked as sensitive, so those are looked at by themselves.
    report.search(rule, secrets, format_args!("a rule of {what}"), format!("{rules:?}"));
    for companion in rules.credentials().iter().flat_map(CredentialRule::companions) {
        match companion {
            Companion::SetHeader(_, value) | Companion::AppendToList(_, value) => {
                report.search(rule, secrets, format_args!("a header set for {what}"), value);
            }
            Companion::RewriteAnswer(rewrite) => {
                search_answer(report, secrets, what, rewrite.answer());
            }
            _ => {}
        }
    }
    for answer in rules.answers() {
        search_answer(report, secrets, what, answer.answer());
    }
    let issuing = format_args!("an issuing endpoint of {what}");
    report.search(rule, secrets, issuing, format!("{:?}", observation.issuing));
}

fn search_answer(report: &mut Report, secrets: &Search, what: &str, answer: &CannedAnswer) {
    let rule = Rule::SecretInRules;
    report.search(rule, secrets, format_args!("an answer made for {what}"), answer.body());
    let headers: &HeaderMap = answer.headers();
    for value in headers.values() {
        report.search(rule, secrets, format_args!("an answer's header made for {what}"), value);
    }
}

pub(super) fn check(report: &mut Report, subject: &Subject<'_>, observation: &Observation) {
    targets(report, observation);
    secret_refs(report, subject, observation);
    fills(report, observation);
    let conflicts = observation.rules.check_conflicts();
    let what = format!("the check of the rules of {} together", observation.what);
    report.require(Rule::Conflicts, &subject.secrets(), &what, conflicts);
    for declaration in &observation.issuing {
        issuing(report, subject, observation, declaration);
    }
}

fn targets(report: &mut Report, observation: &Observation) {
    for target in observation.rules.targets() {
        let written = target.host_pattern().to_string();
        let reads_back = written.parse::<HostPattern>().is_ok_and(|p| p == *target.host_pattern());
        report.demand(reads_back, Rule::Targets, || format!("{written} does not read back"));
    }
    for target in secret_targets(observation) {
        let host = target.host_pattern().host();
        let bare = host.trim_matches(['[', ']']);
        // A connection to an address never gets a credential.
        let public = bare.parse::<IpAddr>().is_err()
            && bare.contains('.')
            && !bare.ends_with(".local")
            && !bare.ends_with(".internal");
        report.demand(public, Rule::Targets, || {
            format!("a secret of {} goes to {host}, which is no public name", observation.what)
        });
    }
}

/// Returns the targets to which some rule sends a secret.
fn secret_targets(observation: &Observation) -> impl Iterator<Item = &Target> {
    let rules = &observation.rules;
    rules
        .credentials()
        .iter()
        .map(CredentialRule::target)
        .chain(rules.substitutions().iter().map(Substitution::target))
        .chain(rules.signers().iter().map(|rule| rule.target()))
}

fn secret_refs(report: &mut Report, subject: &Subject<'_>, observation: &Observation) {
    let minted = subject.provider.as_minting().map_or(&[][..], |minting| minting.minted_secrets());
    for reference in observation.rules.secrets() {
        let stored = |reference: &SecretRef| {
            subject.samples.iter().any(|sample| {
                let info = sample.credential.info();
                info.key() == reference.grant()
                    && (info.secret_names().contains(reference.name())
                        || minted.contains(reference.name()))
            })
        };
        report.demand(stored(&reference), Rule::SecretRefs, || {
            format!("{} is neither stored nor minted for {}", reference, observation.what)
        });
    }
}

fn fills(report: &mut Report, observation: &Observation) {
    for rule in observation.rules.credentials() {
        let reachable = rule.fills() != Fill::PlaceholderOnly || !rule.placeholders().is_empty();
        report.demand(reachable, Rule::Placeholders, || {
            format!(
                "the rule for {} at {} fills by placeholder only and has none",
                rule.header(),
                rule.target()
            )
        });
    }
}

fn issuing(
    report: &mut Report,
    subject: &Subject<'_>,
    observation: &Observation,
    declaration: &IssuingEndpoints,
) {
    let what = &observation.what;
    let rule = Rule::IssuingEndpoints;
    let endpoints = declaration.as_slice();
    match (declaration.absence(), subject.expect.issues_nothing) {
        (Some(_), false) => {
            report.add(rule, format!("{what} states that nothing is issued, unexpectedly"));
        }
        (None, true) => {
            report.add(rule, format!("{what} declares endpoints, though none are expected"));
        }
        (Some(reason), true) => {
            report.demand(is_line(reason), rule, || {
                format!("{what} states that nothing is issued, without a reason")
            });
        }
        (None, false) => {
            report.demand(!endpoints.is_empty(), rule, || {
                format!("{what} declares no endpoint, and does not state that there is none")
            });
        }
    }
    for endpoint in endpoints {
        let target = endpoint.target();
        report.demand(is_line(endpoint.issues()), rule, || {
            format!("the declaration of {target} does not name what is issued in one line")
        });
        let known = secret_targets(observation)
            .any(|secret| secret.host_pattern().relation(target.host_pattern()).overlaps());
        report.demand(known, rule, || {
            format!("{target} is declared, but no rule sends a secret to its host")
        });
        held(report, endpoint);
    }
}

fn held(report: &mut Report, endpoint: &IssuingEndpoint) {
    let IssuingHandling::Hold(fields) = endpoint.handling() else {
        return;
    };
    let target = endpoint.target();
    report.demand(!fields.is_empty(), Rule::IssuingEndpoints, || {
        format!("{target} passes without a field that is held back")
    });
    for field in fields {
        let pointer = field.pointer();
        report.demand(pointer.starts_with('/'), Rule::IssuingEndpoints, || {
            format!("{pointer:?} at {target} is no JSON pointer to a field")
        });
    }
}
