//! Refresh, mint, revocation, records, and the hook at the end of a run.

use std::time::Duration;

use moat_provider_core::{
    Credential, CredentialProvider, CredentialRecord, ErrorKind, MintingProvider, Provider,
    RefreshableProvider, Refreshed, RevocableProvider, Revocation, RunStoppedContext, Secret,
    SecretName,
};

use super::operation::{Failure, Hints, Operation, Outcome, Produced};
use super::report::{Report, Search};
use super::subject::{Runs, Sample};
use super::{Expect, Rule};
use crate::{Canary, FakeHttp, Ports, block_on};

pub(super) fn check(
    report: &mut Report,
    provider: &dyn Provider,
    expect: &Expect,
    samples: &[Sample],
) {
    if let Some(provider) = provider.as_refreshable() {
        refreshable(report, provider, expect, samples);
    }
    for sample in samples {
        if let Some(provider) = provider.as_revocable() {
            revocable(report, provider, expect, sample);
        }
        if let Some(provider) = provider.as_minting() {
            minting(report, provider, expect, sample);
        }
        if let Some(provider) = provider.as_credential() {
            records(report, provider, sample);
        }
    }
    stopped(report, provider, samples);
}

fn refreshable(
    report: &mut Report,
    provider: &dyn RefreshableProvider,
    expect: &Expect,
    samples: &[Sample],
) {
    if let Some(interval) = report.call("refresh_interval", || provider.refresh_interval()) {
        let minute = Duration::from_secs(60);
        let fits = (minute..=minute * 60 * 24 * 30).contains(&interval);
        report.demand(fits, Rule::RefreshInterval, || {
            format!("the interval is {} seconds", interval.as_secs())
        });
    }
    let mut some = false;
    for sample in samples {
        let info = sample.credential.info();
        match report.call("can_refresh", || provider.can_refresh(info)) {
            Some(true) => {
                some = true;
                Refresh { provider, expect, sample }.check(report);
            }
            Some(false) => static_credential(report, provider, sample),
            None => {}
        }
    }
    if !some {
        report.expectation("no sample can be refreshed, so no refresh was checked");
    }
}

/// One credential that can be refreshed.
struct Refresh<'a> {
    provider: &'a dyn RefreshableProvider,
    expect: &'a Expect,
    sample: &'a Sample,
}

impl<'a> Refresh<'a> {
    fn check(&self, report: &mut Report) {
        let same = self.operation(&self.sample.canary);
        same.weather(report);
        let ports = self.expect.with_vendor(&self.sample.canary, Ports::new());
        let refreshed = same.succeed(report, Rule::RefreshSupport, ports);
        if let Some((produced, hosts)) = refreshed {
            self.identity(report, &same.what, &produced);
            same.weather_on_the_wire(report, &hosts);
        }
        // Another token than before, which the vendor may or may not accept.
        let canary = report.draw(self.expect);
        let another = self.operation(&canary);
        let what = format!("{} with another token", another.what);
        self.lenient(report, &another, &what, &canary);
        for nothing in ["", " "] {
            let blank = Canary::of(&Secret::new(nothing.to_owned()));
            let nothing = self.operation(&blank);
            let what = format!("{} from a source that yields nothing", nothing.what);
            self.lenient(report, &nothing, &what, &blank);
        }
    }

    fn operation(&self, canary: &Canary) -> Operation<'a> {
        let Self { provider, expect, sample } = *self;
        let source = canary.clone();
        Operation {
            what: format!("a refresh of {}", sample.what),
            secrets: Search::of(&sample.canary).and(canary).and_all(sample.credential.secrets()),
            hints: Hints::UnlessTransient,
            settles: |_| false,
            prepare: Box::new(move |ports| match &expect.refresh {
                Some(place) => place(&source, ports),
                None => ports,
            }),
            run: Box::new(move |ports| refresh(provider, &sample.credential, ports)),
        }
    }

    fn lenient(&self, report: &mut Report, operation: &Operation<'_>, what: &str, to: &Canary) {
        let ports = self.expect.with_vendor(to, Ports::bare());
        let ports = (operation.prepare)(ports).relaxed();
        let outcome = report.call(what, || (operation.run)(&ports));
        report.search_ports(&operation.secrets, what, &ports);
        self.commands(report, what, &ports);
        if let Some(Ok(produced)) = &outcome {
            self.identity(report, what, produced);
        }
        if let Some(Err(failure)) = &outcome {
            report.search_error(&operation.secrets, what, failure.error());
        }
    }

    fn commands(&self, report: &mut Report, what: &str, ports: &Ports) {
        for spec in ports.commands().specs() {
            for name in spec.inherited() {
                let upper = name.to_ascii_uppercase();
                let tells = ["TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"];
                let clean = !tells.iter().any(|tell| upper.contains(tell));
                report.demand(clean, Rule::RefreshInputs, || {
                    format!("{what} runs {} with the person's {name}", spec.program())
                });
            }
        }
    }

    fn identity(&self, report: &mut Report, what: &str, produced: &Produced) {
        let Produced::Credential(renewed) = produced else {
            return;
        };
        let old = self.sample.credential.info();
        let new = renewed.info();
        report.demand(new.key() == old.key(), Rule::RefreshIdentity, || {
            format!("{what} turns {} into {}", old.key(), new.key())
        });
        report.demand(new.created_at() == old.created_at(), Rule::RefreshIdentity, || {
            format!("{what} changes the time of creation")
        });
        report.demand(!renewed.token().trimmed().is_empty(), Rule::EmptyToken, || {
            format!("{what} makes a credential with an empty token")
        });
    }
}

fn refresh(provider: &dyn RefreshableProvider, credential: &Credential, ports: &Ports) -> Outcome {
    let cx = ports.host_context();
    match block_on(provider.refresh(&cx, credential)) {
        Ok(Refreshed::Renewed(renewed)) => Ok(Produced::Credential(renewed)),
        Ok(_) => Ok(Produced::Nothing),
        Err(error) => Err(Failure::Other(error)),
    }
}

/// One credential that is said not to be refreshable: nothing is to be tried.
fn static_credential(report: &mut Report, provider: &dyn RefreshableProvider, sample: &Sample) {
    let what = format!("a refresh of {}, which cannot be refreshed,", sample.what);
    let ports = Ports::bare();
    let outcome = report.call(&what, || refresh(provider, &sample.credential, &ports));
    match outcome {
        Some(Err(failure)) => {
            let kind = failure.kind();
            report.demand(kind == ErrorKind::RefreshNotSupported, Rule::RefreshSupport, || {
                format!("{what} fails with {kind:?}, not RefreshNotSupported")
            });
        }
        Some(Ok(_)) => report.add(Rule::RefreshSupport, format!("{what} succeeds")),
        None => {}
    }
}

fn revocable(
    report: &mut Report,
    provider: &dyn RevocableProvider,
    expect: &Expect,
    sample: &Sample,
) {
    let credential = &sample.credential;
    let what = format!("a revocation of {}", sample.what);
    let secrets = Search::of(&sample.canary).and_all(credential.secrets());
    let Some(revocation) = report.call(&what, || provider.revocation(credential.info())) else {
        return;
    };
    let (text, automatic) = match &revocation {
        Revocation::Automatic { effect } => (effect, true),
        Revocation::Manual { instructions } => (instructions, false),
        _ => return,
    };
    report.demand(!text.trim().is_empty(), Rule::Revocation, || {
        format!("{what} is not described: the text is empty")
    });
    let operation = Operation {
        what: what.clone(),
        secrets,
        hints: Hints::UnlessTransient,
        // What the vendor does not know or accept any more is revoked.
        settles: |status| matches!(status, 400..=499 if status != 429),
        prepare: Box::new(|ports| ports),
        run: Box::new(|ports| {
            let cx = ports.host_context();
            match block_on(provider.revoke(&cx, credential)) {
                Ok(()) => Ok(Produced::Nothing),
                Err(error) => Err(Failure::Other(error)),
            }
        }),
    };
    if automatic {
        operation.weather(report);
        let ports = expect.with_vendor(&sample.canary, Ports::new());
        if let Some((_, hosts)) = operation.succeed(report, Rule::Revocation, ports) {
            operation.weather_on_the_wire(report, &hosts);
        }
        return;
    }
    let ports = Ports::bare().with_http(FakeHttp::forbidden());
    match report.call(&what, || (operation.run)(&ports)) {
        Some(Err(failure)) => {
            let fits = failure.kind() == ErrorKind::Unsupported && failure.hint().is_some();
            report.demand(fits, Rule::Revocation, || {
                format!("{what} is by hand, but fails with {:?}", failure.kind())
            });
        }
        Some(Ok(_)) => report.add(Rule::Revocation, format!("{what} is by hand, but succeeds")),
        None => {}
    }
}

fn minting(report: &mut Report, provider: &dyn MintingProvider, expect: &Expect, sample: &Sample) {
    let credential = &sample.credential;
    let runs = Runs::new(expect);
    let run = runs.first(&[credential.info()], &[]);
    let operation = Operation {
        what: format!("a mint from {}", sample.what),
        secrets: Search::of(&sample.canary).and_all(credential.secrets()),
        hints: Hints::UnlessTransient,
        settles: |_| false,
        prepare: Box::new(|ports| ports),
        run: Box::new(|ports| {
            let cx = ports.host_context();
            match block_on(provider.mint(&cx, credential, &run)) {
                Ok(minted) => Ok(Produced::Secrets(minted.secrets().clone())),
                Err(error) => Err(Failure::Other(error)),
            }
        }),
    };
    operation.weather(report);
    let ports = expect.with_vendor(&sample.canary, Ports::new());
    let Some((Produced::Secrets(minted), hosts)) = operation.succeed(report, Rule::Minting, ports)
    else {
        return;
    };
    operation.weather_on_the_wire(report, &hosts);
    let mut declared: Vec<&SecretName> = provider.minted_secrets().iter().collect();
    declared.sort();
    let yielded: Vec<&SecretName> = minted.names().collect();
    report.demand(declared == yielded, Rule::Minting, || {
        format!("{} yields {yielded:?}, while {declared:?} are declared", operation.what)
    });
    for name in declared {
        let own = credential.secrets().get(name).is_none();
        report.demand(own, Rule::Minting, || {
            format!("{name} is minted and stored: a rule could not tell one from the other")
        });
    }
    for (name, secret) in minted.iter() {
        report.demand(!secret.trimmed().is_empty(), Rule::Minting, || {
            format!("{} yields an empty {name}", operation.what)
        });
    }
    let what = format!("revoke_minted after {}", operation.what);
    let ports = expect.with_vendor(&sample.canary, Ports::bare());
    let cx = ports.host_context();
    let revoked = report.call(&what, || block_on(provider.revoke_minted(&cx, credential, &minted)));
    let secrets = operation.secrets.clone().and_all(&minted);
    report.search_ports(&secrets, &what, &ports);
    if let Some(Err(error)) = revoked {
        report.search_error(&secrets, &what, &error);
    }
}

fn records(report: &mut Report, provider: &dyn CredentialProvider, sample: &Sample) {
    let what = format!("upgrade_record for {}", sample.what);
    let secrets = Search::of(&sample.canary).and_all(sample.credential.secrets());
    let mut upgrade = |mut record: CredentialRecord| {
        let result = report.call(&what, || provider.upgrade_record(&mut record))?;
        report.require(Rule::Upgrade, &secrets, &what, result).map(|()| record)
    };
    let record = CredentialRecord::from(&sample.credential);
    let Some(once) = upgrade(record) else { return };
    let Some(twice) = upgrade(once.clone()) else { return };
    let same = serde_json::to_value(&once).ok() == serde_json::to_value(&twice).ok();
    report.demand(same, Rule::Upgrade, || format!("{what} changes the record a second time"));
    let upgraded = report.require(Rule::Upgrade, &secrets, &what, once.into_credential());
    if let Some(upgraded) = upgraded {
        let key = sample.credential.key();
        report.demand(upgraded.key() == key, Rule::Upgrade, || {
            format!("{what} turns {key} into {}", upgraded.key())
        });
        report.search_credential(&secrets, &what, &upgraded);
    }
}

fn stopped(report: &mut Report, provider: &dyn Provider, samples: &[Sample]) {
    let Some(hook) = provider.as_run_stopped_hook() else {
        return;
    };
    let Some(id) = Runs::id("stopped") else { return };
    let ports = Ports::bare();
    let now = time::OffsetDateTime::UNIX_EPOCH;
    let later = now + Duration::from_secs(60);
    let run = RunStoppedContext::new(id, "/nonexistent/workspace".into(), now, later);
    let what = "the hook for a run that left nothing";
    let cx = ports.host_context();
    let kept = report.call(what, || block_on(hook.on_run_stopped(&cx, &run)));
    for sample in samples {
        let secrets = Search::of(&sample.canary).and_all(sample.credential.secrets());
        report.search_ports(&secrets, what, &ports);
        match &kept {
            Some(Ok(kept)) => {
                report.search(Rule::SecretInInfo, &secrets, what, format!("{kept:?}"));
            }
            Some(Err(error)) => report.search_error(&secrets, what, error),
            None => {}
        }
    }
}
