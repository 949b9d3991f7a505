//! `moat grant test`.

use std::collections::BTreeMap;

use moat_provider_core::{
    Credential, ErrorKind, GrantRef, GrantRequest, Provider, Secret, SecretName,
};
use serde_json::json;
use time::OffsetDateTime;

use super::describe;
use super::given::{Given, Others};
use super::why::Judge;
use crate::app::App;
use crate::error::{Code, Result};
use crate::output::{Table, moment};

/// One thing that was looked at.
struct Check {
    what: &'static str,
    finding: Finding,
    detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Finding {
    Good,
    Bad,
    /// It cannot be looked at.
    Unknown,
}

impl Finding {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Bad => "failed",
            Self::Unknown => "not checked",
        }
    }
}

impl Check {
    fn new(what: &'static str, finding: Finding, detail: impl Into<String>) -> Self {
        Self { what, finding, detail: detail.into() }
    }
}

/// Checks a credential: its record, its expiry, its rules, and the vendor's opinion.
pub(super) async fn test(app: &App<'_>, grant: &GrantRef) -> Result<Code> {
    let key = app.key(grant)?;
    let stored = app.store()?.load(&key).await?;
    let (credential, now) = (&stored.credential, app.now());
    let provider = app.registry.require(key.provider().as_str())?;
    let mut checks = vec![
        Check::new(
            "record",
            Finding::Good,
            format!("granted {} UTC", moment(credential.info().created_at())),
        ),
        expiry(credential, now),
        rules(app, credential),
    ];
    checks.push(vendor(app, &**provider, credential).await?);
    let is_good = checks.iter().all(|check| check.finding != Finding::Bad);
    let mut table = Table::new(["CHECK", "RESULT", "DETAIL"]);
    for check in &checks {
        table.row([check.what, check.finding.as_str(), &check.detail]);
    }
    app.output.result(&table.render(), || {
        let object = |check: &Check| json!({ "check": check.what, "result": check.finding.as_str(), "detail": check.detail });
        json!({
            "grant": key.to_string(),
            "ok": is_good,
            "checks": checks.iter().map(object).collect::<Vec<_>>(),
        })
    })?;
    Ok(if is_good { Code::Success } else { Code::Failure })
}

fn expiry(credential: &Credential, now: OffsetDateTime) -> Check {
    let info = credential.info();
    match info.expires_at() {
        Some(expiry) if info.is_expired(now) => {
            let detail = format!("since {} UTC: moat grant {}", moment(expiry), info.key());
            Check::new("expiry", Finding::Bad, detail)
        }
        Some(_) => {
            let detail = describe::until(info, now).trim_start_matches(", ").to_owned();
            Check::new("expiry", Finding::Good, detail)
        }
        None => Check::new("expiry", Finding::Good, "none is known"),
    }
}

/// Makes the rules of a run with this grant alone.
fn rules(app: &App<'_>, credential: &Credential) -> Check {
    let info = credential.info();
    let secrets: BTreeMap<_, _> =
        [(info.key().clone(), credential.secrets().clone())].into_iter().collect();
    match Judge::new(app, std::slice::from_ref(info), &[], secrets, moat_proxy::Mode::Permissive) {
        Ok(judge) => Check::new("rules", Finding::Good, judge.summary()),
        Err(error) => Check::new("rules", Finding::Bad, error.message()),
    }
}

/// Has the provider check the token as it does when it is granted. The result is thrown away.
async fn vendor(app: &App<'_>, provider: &dyn Provider, credential: &Credential) -> Result<Check> {
    let what = "vendor";
    let unknown = |why: &str| Ok(Check::new(what, Finding::Unknown, why));
    let Some(grants) = provider.as_credential() else {
        return unknown("the provider has no grant");
    };
    if grants.grant_options().iter().any(|option| option.is_required()) {
        return unknown("the provider checks it only with the options of a grant");
    }
    let has_more = credential.info().secret_names().iter().any(|name| *name != SecretName::TOKEN);
    if has_more {
        return unknown("the provider checks a login only when it is granted");
    }
    let token: Secret = credential.token().clone();
    let given = Given::new(app, token, Others::Nobody)?;
    let request = GrantRequest::new(credential.key().clone());
    let granted = grants.grant(given.context(), &request).await;
    if !given.was_taken() {
        return unknown("the provider takes no token that is given to it");
    }
    Ok(match granted {
        Ok(_) => Check::new(what, Finding::Good, "the vendor accepts it"),
        Err(error) if is_unasked(error.kind()) => {
            Check::new(what, Finding::Unknown, "the provider has further questions")
        }
        Err(error) if error.kind().is_transient() => {
            Check::new(what, Finding::Unknown, error.cause().message())
        }
        Err(error) => Check::new(what, Finding::Bad, error.cause().message()),
    })
}

fn is_unasked(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotInteractive | ErrorKind::PortMissing)
}
