//! What is looked at: credentials, the runs they are used in, and what a provider wants of them.

use moat_provider_core::{
    ContainerMounts, Credential, CredentialInfo, CredentialProvider, EnvVar, HostFile,
    IssuingEndpoints, PlaceholderKey, Provider, ProxyRules, RunContext, RunId, Secret,
};

use super::Expect;
use super::report::{Report, Search};
use crate::Canary;
use crate::canary::random_bytes;

/// A credential that is checked.
pub(super) struct Sample {
    /// `sample 1`, `a grant from the environment`
    pub(super) what: String,
    pub(super) canary: Canary,
    pub(super) credential: Credential,
}

impl Sample {
    /// Makes the samples of an expectation, each with a canary of its own.
    pub(super) fn declared(report: &mut Report, expect: &Expect) -> Vec<Self> {
        let samples = expect.samples.iter().enumerate();
        samples
            .map(|(at, make)| {
                let canary = report.draw(expect);
                Self { what: format!("sample {}", at + 1), credential: make(&canary), canary }
            })
            .collect()
    }

    pub(super) fn secrets(&self) -> Search {
        Search::of(&self.canary).and_all(self.credential.secrets())
    }
}

/// Two runs of one host.
pub(super) struct Runs<'a> {
    expect: &'a Expect,
    key: PlaceholderKey,
}

impl<'a> Runs<'a> {
    pub(super) fn new(expect: &'a Expect) -> Self {
        let mut key = [0; 32];
        key.copy_from_slice(&random_bytes(32));
        let key = PlaceholderKey::from_bytes(key);
        Self { expect, key }
    }

    pub(super) fn key(&self) -> &PlaceholderKey {
        &self.key
    }

    pub(super) fn id(name: &str) -> Option<RunId> {
        name.parse().ok()
    }

    pub(super) fn first(&self, infos: &[&CredentialInfo], files: &Files) -> RunContext {
        self.run("first", infos, files)
    }

    pub(super) fn second(&self, infos: &[&CredentialInfo], files: &Files) -> RunContext {
        self.run("second", infos, files)
    }

    /// Makes a run with these grants, the first of which is the default.
    fn run(&self, id: &str, infos: &[&CredentialInfo], files: &Files) -> RunContext {
        let home = self.expect.home.clone().map_or_else(|| "/home/moatuser".parse(), Ok);
        let (Some(id), Ok(home)) = (Self::id(id), home) else {
            unreachable!("a run of this name and home is valid")
        };
        let mut run = RunContext::builder(id, home, self.key.clone())
            .endpoint_base("http://127.0.0.1:49153/endpoints");
        for info in infos {
            run = run.grant((*info).clone());
        }
        if let Some(default) = infos.first() {
            run = run.default_grant(default.key().clone());
        }
        for (file, contents) in files {
            run = run.host_file(file, Secret::new(contents.clone()));
        }
        run.build()
    }
}

/// What stands in host files.
pub(super) type Files = [(HostFile, String)];

/// What a provider wants of a run with some of its grants.
pub(super) struct Observation {
    pub(super) what: String,
    pub(super) run: RunContext,
    pub(super) rules: ProxyRules,
    pub(super) env: Vec<EnvVar>,
    pub(super) mounts: ContainerMounts,
    pub(super) issuing: Vec<IssuingEndpoints>,
}

/// A provider with the grants of one run.
pub(super) struct Subject<'a> {
    pub(super) provider: &'a dyn Provider,
    pub(super) credential: &'a dyn CredentialProvider,
    pub(super) expect: &'a Expect,
    pub(super) runs: &'a Runs<'a>,
    pub(super) samples: Vec<&'a Sample>,
}

impl Subject<'_> {
    /// `sample 1 and sample 2`
    pub(super) fn what(&self) -> String {
        let names: Vec<_> = self.samples.iter().map(|sample| sample.what.as_str()).collect();
        names.join(" and ")
    }

    pub(super) fn infos(&self) -> Vec<&CredentialInfo> {
        self.samples.iter().map(|sample| sample.credential.info()).collect()
    }

    pub(super) fn secrets(&self) -> Search {
        self.samples.iter().fold(Search::default(), |secrets, sample| {
            secrets.and(&sample.canary).and_all(sample.credential.secrets())
        })
    }
}
