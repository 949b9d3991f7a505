//! The provider's section of a check of the machine.

use moat_provider_core::{CredentialInfo, DiagnosableProvider, Provider};

use super::Rule;
use super::identity::is_line;
use super::report::{Report, Search};
use super::subject::Sample;
use crate::{Ports, block_on};

pub(super) fn check(report: &mut Report, provider: &dyn Provider, samples: &[Sample]) {
    let Some(provider) = provider.as_diagnosable() else { return };
    looked_at(report, provider, "without a grant", &[], &Search::default());
    for sample in samples {
        let secrets = Search::of(&sample.canary).and_all(sample.credential.secrets());
        let credentials = [sample.credential.info().clone()];
        looked_at(report, provider, "of a grant", &credentials, &secrets);
    }
}

/// Looks at a machine that has nothing: every port fails.
fn looked_at(
    report: &mut Report,
    provider: &dyn DiagnosableProvider,
    which: &str,
    credentials: &[CredentialInfo],
    secrets: &Search,
) {
    let what = format!("the diagnosis {which}");
    let ports = Ports::bare();
    let cx = ports.grant_context();
    let Some(found) = report.call(&what, || block_on(provider.diagnose(&cx, credentials))) else {
        return;
    };
    report.search_ports(secrets, &what, &ports);
    report.search(Rule::SecretInText, secrets, &what, format!("{found:?}"));
    report.demand(ports.requests().is_empty(), Rule::Diagnosis, || format!("{what} asks a vendor"));
    for diagnosis in &found {
        let texts = [diagnosis.subject(), diagnosis.detail()];
        let fine = texts.into_iter().chain(diagnosis.fix()).all(is_line);
        report.demand(fine, Rule::Diagnosis, || {
            format!("{what} holds a text that is not one line: {diagnosis:?}")
        });
    }
}
