//! Proves that a provider keeps to the contract, the way a host relies on it.
//!
//! [`check`] runs every capability of a provider against fakes: with everything in place, with no
//! ports at all, and against a vendor that refuses in every way and repeats what it was told. A
//! [`Canary`](crate::Canary) is the token meanwhile, and is then looked for in whatever came out.
//!
//! [`Expect`] says what the provider is expected to be; [`Rule`] lists what is checked.

mod agent;
mod diagnosis;
mod endpoints;
mod expect;
mod grant;
mod identity;
mod lifecycle;
mod observe;
mod operation;
mod placeholders;
mod report;
mod rule;
mod rules;
mod staging;
mod subject;

use moat_provider_core::Provider;

pub use self::expect::{Capability, Expect};
use self::report::Report;
pub use self::rule::{Rule, Violation, Violations};
use self::subject::Sample;

/// Checks a provider against every rule.
///
/// # Errors
///
/// All violations that were found.
#[expect(clippy::needless_pass_by_value, reason = "an expectation is written where it is used")]
pub fn check(provider: &dyn Provider, expect: Expect) -> Result<(), Violations> {
    let mut report = Report::default();
    identity::check(&mut report, provider, &expect);
    let mut samples = Vec::new();
    if let Some(credential) = provider.as_credential() {
        samples = grant::check(&mut report, credential, &expect);
        samples.extend(Sample::declared(&mut report, &expect));
        if samples.is_empty() {
            report.expectation("there is neither a sample nor a grant that succeeds");
        }
        lifecycle::check(&mut report, provider, &expect, &samples);
        observe::check(&mut report, provider, &expect, &samples);
    }
    diagnosis::check(&mut report, provider, &samples);
    agent::check(&mut report, provider, &expect, &samples);
    report.provider_keeps_nothing(provider, &samples);
    match Violations::of(report.into_found()) {
        Some(violations) => Err(violations),
        None => Ok(()),
    }
}

/// Fails the test unless a provider keeps to every rule.
///
/// # Panics
///
/// With all violations, one a line, each behind the name of its rule.
#[track_caller]
pub fn assert_conforms(provider: &dyn Provider, expect: Expect) {
    if let Err(violations) = check(provider, expect) {
        panic!("the provider {} does not keep to the contract\n{violations}", provider.name());
    }
}
