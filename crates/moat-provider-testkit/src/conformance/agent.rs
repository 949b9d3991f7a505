//! Agents.

use std::sync::Arc;

use moat_provider_core::{
    AgentProvider, ContainerConfig, ContainerMounts, CredentialKey, Launch, LaunchMode,
    PrepareOpts, Provider, Session,
};

use super::report::{Report, Search};
use super::subject::{Runs, Sample};
use super::{Expect, Rule, staging};
use crate::{Ports, block_on};

pub(super) fn check(
    report: &mut Report,
    provider: &dyn Provider,
    expect: &Expect,
    samples: &[Sample],
) {
    let Some(agent) = provider.as_agent() else {
        return;
    };
    selection(report, agent, samples);
    if samples.is_empty() {
        Preparation { agent, expect, sample: None }.check(report);
    }
    for sample in samples {
        Preparation { agent, expect, sample: Some(sample) }.check(report);
    }
}

fn selection(report: &mut Report, agent: &dyn AgentProvider, samples: &[Sample]) {
    let mut keys: Vec<CredentialKey> = Vec::new();
    for sample in samples {
        if !keys.contains(sample.credential.key()) {
            keys.push(sample.credential.key().clone());
        }
    }
    for (named, stored) in [(&[][..], &[][..]), (&[], &keys), (&keys, &keys), (&keys, &[])] {
        let what = format!("select_grants of {named:?} and {stored:?}");
        match report.call(&what, || agent.select_grants(named, stored)) {
            Some(Ok(chosen)) => {
                for key in chosen {
                    let there = named.contains(&key) || stored.contains(&key);
                    report.demand(there, Rule::Agent, || {
                        format!("{what} chooses {key}, which is neither named nor stored")
                    });
                }
            }
            Some(Err(error)) => report.hint(&what, error.hint()),
            None => {}
        }
    }
}

/// One container.
struct Preparation<'a> {
    agent: &'a dyn AgentProvider,
    expect: &'a Expect,
    sample: Option<&'a Sample>,
}

impl Preparation<'_> {
    fn check(&self, report: &mut Report) {
        let what = match self.sample {
            Some(sample) => format!("prepare_container with {}", sample.what),
            None => "prepare_container without a grant".to_owned(),
        };
        let credentials: Vec<_> =
            self.sample.iter().map(|sample| sample.credential.clone()).collect();
        let infos: Vec<_> = credentials.iter().map(|credential| credential.info()).collect();
        let run = Arc::new(Runs::new(self.expect).first(&infos, &[]));
        let secrets = self.sample.map(Sample::secrets).unwrap_or_default();

        let ports = match self.sample {
            Some(sample) => self.expect.with_vendor(&sample.canary, Ports::bare()),
            None => Ports::bare(),
        };
        let cx = ports.host_context();
        let opts = PrepareOpts::new(Arc::clone(&run), credentials.clone());
        let prepared = report.call(&what, || block_on(self.agent.prepare_container(&cx, &opts)));
        report.search_ports(&secrets, &what, &ports);
        let Some(prepared) = prepared else { return };
        let Some(config) = report.require(Rule::Agent, &secrets, &what, prepared) else {
            return;
        };
        let mut mounts = ContainerMounts::default();
        mounts.files.clone_from(&config.files);
        mounts.mounts.clone_from(&config.mounts);
        staging::search_in(report, &secrets, &what, &config.env, &mounts);
        staging::variables(report, &what, &config.env);
        staging::paths(report, &what, run.home(), &mounts);
        let rules = format_args!("a rule of {what}");
        report.search(Rule::SecretInRules, &secrets, rules, format!("{:?}", config.rules));
        let state = format_args!("the state of {what}");
        report.search(Rule::SecretInInfo, &secrets, state, format!("{:?}", config.state));
        self.launches(report, &secrets, &config);
    }

    fn launches(&self, report: &mut Report, secrets: &Search, config: &ContainerConfig) {
        let prompt = "--help is what the prompt says";
        for mode in [LaunchMode::Interactive, LaunchMode::Headless] {
            for session in [Session::Fresh, Session::Continue, Session::Resume("id".to_owned())] {
                let mut launch = Launch::default();
                launch.mode = mode;
                launch.session = session;
                launch.prompt = Some(prompt.to_owned());
                let what = format!("command for {mode:?} and {:?}", launch.session);
                let Some(Ok(command)) = report.call(&what, || self.agent.command(&launch, config))
                else {
                    continue;
                };
                let fine = command.first().is_some_and(|program| !program.is_empty())
                    && command.iter().all(|arg| !arg.contains('\0'));
                report.demand(fine, Rule::Agent, || format!("{what} names no program"));
                let arguments = format_args!("an argument of {what}");
                report.search(Rule::SecretInContainer, secrets, arguments, format!("{command:?}"));
            }
        }
    }
}
