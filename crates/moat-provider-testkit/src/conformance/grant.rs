//! Grants.

use moat_provider_core::{
    Credential, CredentialProvider, ErrorKind, GrantContext, GrantRequest, HostContext, Secret,
};
use std::sync::Arc;

use super::expect::GrantSource;
use super::operation::{Failure, Hints, Operation, Outcome, Produced};
use super::report::{Report, Search};
use super::subject::Sample;
use super::{Expect, Rule};
use crate::{Canary, FakeClock, FakeEntropy, Ports, VendorDouble, block_on};

/// Checks every way to grant, and returns the credentials that came out.
pub(super) fn check(
    report: &mut Report,
    provider: &dyn CredentialProvider,
    expect: &Expect,
) -> Vec<Sample> {
    if expect.grants.is_empty() {
        report.expectation("no way to grant is given: use `Expect::grant_from`");
    }
    let unqualified =
        GrantSource { name: String::new(), request: None, ports: Box::new(|_, ports| ports) };
    for source in expect.grants.iter().chain([&unqualified]) {
        without_anything(report, provider, &source.request(provider));
    }
    let mut samples = Vec::new();
    for source in &expect.grants {
        samples.extend(Way { provider, expect, source }.check(report));
    }
    samples
}

/// A grant that cannot succeed, because there are no ports, or nothing behind them.
fn without_anything(
    report: &mut Report,
    provider: &dyn CredentialProvider,
    request: &GrantRequest,
) {
    let host = HostContext::builder(Arc::new(FakeClock::new()), Arc::new(FakeEntropy::default()));
    let none = GrantContext::builder(host.build()).build();
    let bare = Ports::bare();
    for (what, cx) in [
        ("a grant without any port", none),
        ("a grant where there is nobody and nothing", bare.grant_context()),
    ] {
        match report.call(what, || block_on(provider.grant(&cx, request))) {
            Some(Err(error)) => {
                let fits = matches!(
                    error.kind(),
                    ErrorKind::PortMissing
                        | ErrorKind::CredentialNotFound
                        | ErrorKind::NotInteractive
                        | ErrorKind::CommandNotFound
                        | ErrorKind::InvalidInput
                        | ErrorKind::Unsupported
                        | ErrorKind::Offline
                );
                report.demand(fits, Rule::ErrorKinds, || {
                    format!("{what} fails with {:?}, which blames somebody else", error.kind())
                });
                report.hint(what, error.hint());
                report.demand(error.provider() == provider.name(), Rule::Names, || {
                    format!("the error of {what} names {} as the provider", error.provider())
                });
            }
            Some(Ok(_)) => report.add(Rule::Refusals, format!("{what} succeeds")),
            None => {}
        }
    }
}

/// One way to grant.
struct Way<'a> {
    provider: &'a dyn CredentialProvider,
    expect: &'a Expect,
    source: &'a GrantSource,
}

impl<'a> Way<'a> {
    fn check(&self, report: &mut Report) -> Option<Sample> {
        self.empty(report);
        let canary = report.draw(self.expect);
        let operation = self.operation(&canary);
        operation.weather(report);
        let (produced, hosts) = operation.succeed(
            report,
            Rule::Grant,
            self.expect.with_vendor(&canary, Ports::new()),
        )?;
        operation.weather_on_the_wire(report, &hosts);
        self.on_the_wire(report, &hosts);
        let Produced::Credential(credential) = produced else {
            return None;
        };
        self.identity(report, &canary, &credential);
        Some(Sample { what: operation.what, canary, credential })
    }

    fn request(&self) -> GrantRequest {
        self.source.request(self.provider)
    }

    fn operation(&self, canary: &Canary) -> Operation<'a> {
        let Self { provider, source, .. } = *self;
        let request = self.request();
        let canary = canary.clone();
        Operation {
            what: format!("a grant from {}", source.name),
            secrets: Search::of(&canary),
            hints: Hints::Always,
            settles: |_| false,
            prepare: Box::new(move |ports| (source.ports)(&canary, ports)),
            run: Box::new(move |ports| grant(provider, &request, ports)),
        }
    }

    /// A source that yields nothing, or white space.
    fn empty(&self, report: &mut Report) {
        for nothing in ["", " "] {
            let blank = Canary::of(&Secret::new(nothing.to_owned()));
            let operation = self.operation(&blank);
            let what = format!("{} that yields nothing", operation.what);
            let ports = self.expect.with_vendor(&blank, Ports::bare());
            let ports = (operation.prepare)(ports).relaxed();
            let outcome = report.call(&what, || (operation.run)(&ports));
            if let Some(Ok(Produced::Credential(credential))) = outcome {
                let empty = credential.token().trimmed().is_empty();
                report.demand(!empty, Rule::EmptyToken, || {
                    format!("{what} makes a credential with an empty token")
                });
            }
        }
    }

    /// The same success over a connection, to a double with the hosts that were asked.
    fn on_the_wire(&self, report: &mut Report, hosts: &[String]) {
        let Some(vendor) = self.expect.vendor.as_ref().filter(|_| !hosts.is_empty()) else {
            return;
        };
        let canary = report.draw(self.expect);
        let double = VendorDouble::https(vendor(&canary), hosts.iter().cloned());
        let mut operation = self.operation(&canary);
        operation.what.push_str(" over a connection");
        operation.succeed(report, Rule::Grant, Ports::new().with_client(double.client()));
    }

    fn identity(&self, report: &mut Report, canary: &Canary, credential: &Credential) {
        let (request, name) = (self.request(), &self.source.name);
        let (asked, given) = (request.key(), credential.key());
        report.demand(asked == given, Rule::GrantedKey, || {
            format!("the grant from {name} of {asked} makes a credential of {given}")
        });
        let same = credential.token().same_as(&canary.secret());
        report.demand(same, Rule::GrantedToken, || {
            format!(
                "the credential of the grant from {name} holds another token than the source gave"
            )
        });
    }
}

fn grant(provider: &dyn CredentialProvider, request: &GrantRequest, ports: &Ports) -> Outcome {
    let cx = ports.grant_context();
    match block_on(provider.grant(&cx, request)) {
        Ok(credential) => Ok(Produced::Credential(credential)),
        Err(error) => Err(Failure::Grant(error)),
    }
}
