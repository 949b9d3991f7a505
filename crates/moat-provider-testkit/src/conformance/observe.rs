//! The pure methods: what a provider wants of proxy and container for a run.

use std::time::Duration;

use moat_provider_core::{
    ContainerMounts, Credential, CredentialInfo, HostFile, Provider, ProxyRules, RunContext,
};

use super::report::Report;
use super::subject::{Observation, Runs, Sample, Subject};
use super::{Expect, Rule, endpoints, placeholders, rules, staging};
use crate::Canary;

pub(super) fn check(
    report: &mut Report,
    provider: &dyn Provider,
    expect: &Expect,
    samples: &[Sample],
) {
    let Some(credential) = provider.as_credential() else {
        return;
    };
    let runs = Runs::new(expect);
    for sample in samples {
        Subject { provider, credential, expect, runs: &runs, samples: vec![sample] }.check(report);
    }
    // One of each key at once, as `--grant aws:dev --grant aws:prod` has it.
    let mut together: Vec<&Sample> = Vec::new();
    for sample in samples {
        if together.iter().all(|other| other.credential.key() != sample.credential.key()) {
            together.push(sample);
        }
    }
    if together.len() > 1 {
        Subject { provider, credential, expect, runs: &runs, samples: together }.check(report);
    }
}

impl Subject<'_> {
    fn check(&self, report: &mut Report) {
        let infos = self.infos();
        let Some(first) = self.observe(report, self.runs.first(&infos, &[]), &infos) else {
            return;
        };
        let (canary, declared) = self.host_files(report);
        let files = self.observe(report, self.runs.first(&infos, &declared), &infos);
        let (garbage_canary, garbage) = self.garbage_files();
        let garbled = self.observe(report, self.runs.first(&infos, &garbage), &infos);

        let secrets = self.secrets().and(&canary).and(&garbage_canary);
        for observation in [Some(&first), files.as_ref(), garbled.as_ref()].into_iter().flatten() {
            rules::search(report, &secrets, observation);
            staging::search(report, &secrets, observation);
            rules::check(report, self, observation);
            staging::check(report, self, observation);
            placeholders::check(report, self, observation);
        }
        self.again(report, &first, &infos);
        endpoints::check(report, self, &first);
        if let Some(second) = self.observe(report, self.runs.second(&infos, &[]), &infos) {
            placeholders::differ(report, &first, &second);
        }
        self.renewed(report, &first);
    }

    /// Calls everything a second time.
    fn again(&self, report: &mut Report, first: &Observation, infos: &[&CredentialInfo]) {
        let Some(again) = self.observe(report, first.run.clone(), infos) else {
            return;
        };
        let what = &first.what;
        let same = [
            ("rules", format!("{:?}", first.rules) == format!("{:?}", again.rules)),
            ("variables", first.env == again.env),
            ("files and mounts", first.mounts == again.mounts),
            ("issuing endpoints", first.issuing == again.issuing),
        ];
        for (which, same) in same {
            report.demand(same, Rule::Purity, || {
                format!("the {which} of {what} are others at the second call")
            });
        }
    }

    /// Asks for the rules of the next generation, in the same run.
    fn renewed(&self, report: &mut Report, first: &Observation) {
        let hour = Duration::from_secs(3600);
        let renewed: Vec<_> = self
            .samples
            .iter()
            .map(|sample| {
                let old = &sample.credential;
                let token = report.draw(self.expect).secret();
                old.renew().token(token).expires_at(old.info().created_at() + hour).build()
            })
            .collect();
        let infos: Vec<_> = renewed.iter().map(Credential::info).collect();
        let Some(next) = self.observe(report, first.run.clone(), &infos) else {
            return;
        };
        let same = placeholders::of(&first.rules) == placeholders::of(&next.rules);
        report.demand(same, Rule::Renewal, || {
            format!("the placeholders of {} are others after a renewal", first.what)
        });
    }

    /// Calls all pure methods; `None` when one of them fails, which is reported.
    fn observe(
        &self,
        report: &mut Report,
        run: RunContext,
        infos: &[&CredentialInfo],
    ) -> Option<Observation> {
        let what = self.what();
        let provider = self.credential;
        let secrets = self.secrets();
        let mut take = |method: &str, call: &mut dyn FnMut() -> moat_provider_core::Result<()>| {
            let what = format!("{method} for {what}");
            let result = report.call(&what, call)?;
            report.require(Rule::Configuration, &secrets, &what, result)
        };
        let mut rules = ProxyRules::default();
        let mut issuing = Vec::new();
        for info in infos {
            take("configure_proxy", &mut || provider.configure_proxy(&mut rules, info, &run))?;
            take("issuing_endpoints", &mut || {
                issuing.push(provider.issuing_endpoints(info)?);
                Ok(())
            })?;
        }
        let mut env = Vec::new();
        take("container_env", &mut || {
            env = provider.container_env(infos, &run)?;
            Ok(())
        })?;
        let mut mounts = ContainerMounts::default();
        take("container_mounts", &mut || {
            mounts = provider.container_mounts(infos, &run)?;
            Ok(())
        })?;
        Some(Observation { what, run, rules, env, mounts, issuing })
    }

    /// Host files as the expectation has them.
    fn host_files(&self, report: &mut Report) -> (Canary, Vec<(HostFile, String)>) {
        let canary = report.draw(self.expect);
        let files = self.expect.host_files.iter();
        let files = files.map(|(file, make)| (file.clone(), make(&canary))).collect();
        (canary, files)
    }

    /// Every host file that the provider asks for, with contents in no format.
    fn garbage_files(&self) -> (Canary, Vec<(HostFile, String)>) {
        let canary = Canary::new();
        let files = self.credential.host_files().iter();
        let contents = format!("{{[\u{1}{}\n\t= : \"\n---\n", canary.text());
        (canary, files.map(|file| (file.clone(), contents.clone())).collect())
    }
}
