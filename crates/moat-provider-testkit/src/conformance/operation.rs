//! One call that goes out into the world, under every kind of weather.

use std::fmt;

use moat_provider_core::{Credential, Error, ErrorKind, GrantError, Secrets};

use super::Rule;
use super::report::{Report, Search};
use crate::{EchoVendor, FakeHttp, Ports, VendorDouble};

/// What vendors answer instead of what they should.
const STATUSES: [u16; 11] = [200, 204, 301, 400, 401, 403, 404, 422, 429, 500, 503];

/// A grant, refresh, mint or revocation.
pub(super) struct Operation<'a> {
    /// `a grant from the environment`
    pub(super) what: String,
    /// What must not show up.
    pub(super) secrets: Search,
    /// Which errors have to say what to do.
    pub(super) hints: Hints,
    /// Which refusals mean that there is nothing left to do.
    pub(super) settles: fn(u16) -> bool,
    /// Puts everything but the vendor in place.
    pub(super) prepare: Box<dyn Fn(Ports) -> Ports + 'a>,
    pub(super) run: Box<dyn Fn(&Ports) -> Outcome + 'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hints {
    Always,
    /// What passes by itself needs no hint.
    UnlessTransient,
}

pub(super) type Outcome = Result<Produced, Failure>;

/// What an operation yields.
pub(super) enum Produced {
    Credential(Credential),
    Secrets(Secrets),
    Nothing,
}

/// What an operation fails with.
#[derive(Debug)]
pub(super) enum Failure {
    Grant(GrantError),
    Other(Error),
}

impl Failure {
    pub(super) fn error(&self) -> &dyn std::error::Error {
        match self {
            Self::Grant(error) => error,
            Self::Other(error) => error,
        }
    }

    fn cause(&self) -> &Error {
        match self {
            Self::Grant(error) => error.cause(),
            Self::Other(error) => error,
        }
    }

    pub(super) fn kind(&self) -> ErrorKind {
        self.cause().kind()
    }

    pub(super) fn hint(&self) -> Option<&str> {
        self.cause().hint()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause().fmt(f)
    }
}

impl Operation<'_> {
    /// Runs with everything in place, reports whatever is wrong with it under a rule, and returns
    /// what came out with the hosts that were asked.
    pub(super) fn succeed(
        &self,
        report: &mut Report,
        rule: Rule,
        ports: Ports,
    ) -> Option<(Produced, Vec<String>)> {
        let what = &self.what;
        // The fakes fail a test with a panic; here that is a violation like any other.
        let ports = (self.prepare)(ports);
        let outcome = report.call_for(rule, what, || (self.run)(&ports));
        self.look_at(report, what, &ports, outcome.as_ref());
        let hosts = hosts(&ports);
        let unused = ports.unused();
        let _ = ports.relaxed();
        match outcome? {
            Ok(produced) => {
                if let Some(unused) = unused {
                    report.add(rule, format!("{what} succeeds, but {unused}"));
                }
                Some((produced, hosts))
            }
            Err(failure) => {
                let message = super::report::shown(&failure, &self.secrets);
                report.add(rule, format!("{what} fails with {:?}: {message}", failure.kind()));
                None
            }
        }
    }

    /// Runs against vendors that refuse and repeat, and without a connection.
    pub(super) fn weather(&self, report: &mut Report) {
        for status in STATUSES {
            for vendor in [EchoVendor::new(status), EchoVendor::new(status).in_text()] {
                let what = format!("{} when the vendor answers {status}", self.what);
                let ports = Ports::bare().with_vendor(vendor);
                self.refused(report, &what, ports, Some(status));
            }
        }
        let lines = [
            ("offline", FakeHttp::offline()),
            ("without an answer in time", FakeHttp::timed_out()),
            ("when what comes is not HTTP", FakeHttp::unexpected_answer()),
        ];
        for (how, line) in lines {
            let what = format!("{} {how}", self.what);
            self.refused(report, &what, Ports::bare().with_http(line), None);
        }
    }

    /// Runs against a vendor on loopback that refuses and repeats.
    pub(super) fn weather_on_the_wire(&self, report: &mut Report, hosts: &[String]) {
        if hosts.is_empty() {
            return;
        }
        let double = VendorDouble::https(EchoVendor::new(401), hosts.iter().cloned());
        let what = format!("{} when the vendor answers 401 over a connection", self.what);
        let ports = Ports::bare().with_client(double.client());
        self.refused(report, &what, ports, Some(401));
    }

    fn refused(&self, report: &mut Report, what: &str, ports: Ports, status: Option<u16>) {
        let ports = (self.prepare)(ports).relaxed();
        let outcome = report.call(what, || (self.run)(&ports));
        self.look_at(report, what, &ports, outcome.as_ref());
        // Without a request the vendor has no part in it.
        let asked = !ports.requests().is_empty();
        match outcome {
            None => {}
            Some(Ok(_)) => {
                let settled = status.is_some_and(|s| s < 300 || (self.settles)(s));
                report.demand(!asked || settled, Rule::Refusals, || format!("{what} succeeds"));
            }
            Some(Err(failure)) => {
                if asked {
                    self.judge(report, what, &failure, status);
                }
                if self.hints == Hints::Always || !failure.kind().is_transient() {
                    report.hint(what, failure.hint());
                }
            }
        }
    }

    fn judge(&self, report: &mut Report, what: &str, failure: &Failure, status: Option<u16>) {
        let kind = failure.kind();
        let passes = match status {
            Some(status) => matches!(status, 429 | 500..),
            None => kind != ErrorKind::UnexpectedAnswer,
        };
        report.demand(kind.is_transient() == passes, Rule::ErrorKinds, || {
            let fits = if passes { "is not" } else { "is" };
            format!("{what} fails with {kind:?}, which {fits} transient")
        });
    }

    /// Looks for secrets in everything that an operation leaves behind.
    fn look_at(&self, report: &mut Report, what: &str, ports: &Ports, outcome: Option<&Outcome>) {
        report.search_ports(&self.secrets, what, ports);
        match outcome {
            Some(Ok(Produced::Credential(credential))) => {
                let secrets = self.secrets.clone().and_all(credential.secrets());
                report.search_credential(&secrets, what, credential);
                report.search_ports(&secrets, what, ports);
            }
            Some(Ok(Produced::Secrets(minted))) => {
                let secrets = self.secrets.clone().and_all(minted);
                report.search_ports(&secrets, what, ports);
            }
            Some(Err(failure)) => {
                report.search_error(&self.secrets, what, failure.error());
                let hint = format_args!("the hint of {what}");
                let text = failure.hint().unwrap_or_default();
                report.search(Rule::SecretInText, &self.secrets, hint, text);
            }
            _ => {}
        }
    }
}

/// Returns the hosts that were asked, each once.
fn hosts(ports: &Ports) -> Vec<String> {
    let mut hosts: Vec<_> = ports
        .requests()
        .iter()
        .filter_map(|request| request.uri().host().map(ToOwned::to_owned))
        .collect();
    hosts.sort();
    hosts.dedup();
    hosts
}
