//! The store: its key, and what is in it.

use moat_provider_core::CredentialInfo;
use moat_store::{Entry, StoreErrorKind};
use time::{Duration, OffsetDateTime};

use super::super::describe;
use super::Check;
use crate::app::App;
use crate::output::{moment, relative};

/// Less is mentioned, when nothing renews the credential.
const SOON: Duration = Duration::days(1);

/// Looks at the key, and at each credential of the profile; returns those that can be read as well.
pub(super) async fn checks(app: &App<'_>) -> (Vec<Check>, Vec<CredentialInfo>) {
    let what = "store key";
    let listed = match app.store() {
        Ok(store) => store.list().await.map_err(Into::into),
        Err(error) => Err(error),
    };
    let entries = match listed {
        Ok(entries) => entries,
        Err(error) => return (vec![Check::failed(what, &error)], Vec::new()),
    };
    if entries.is_empty() {
        let nothing = "nothing is granted yet: moat grant providers";
        let key = Check::good(what, "none is needed yet");
        return (vec![key, Check::good("credentials", nothing)], Vec::new());
    }
    let key = match app.system.key(&app.globals).await {
        Ok(place) => Check::good(what, place),
        Err(error) => Check::failed(what, &error),
    };
    let now = app.now();
    let checks = entries.iter().map(|entry| credential(app, entry, now));
    let checks = std::iter::once(key).chain(checks).collect();
    (checks, entries.into_iter().filter_map(|entry| entry.info.ok()).collect())
}

fn credential(app: &App<'_>, entry: &Entry, now: OffsetDateTime) -> Check {
    let key = &entry.key;
    let what = key.to_string();
    let info = match &entry.info {
        Ok(info) => info,
        Err(error) => {
            let again = || format!("moat revoke {key} && moat grant {key}");
            let fix = match error.kind() {
                StoreErrorKind::Damaged | StoreErrorKind::CannotDecrypt => again(),
                _ => error.hint().map_or_else(again, str::to_owned),
            };
            return Check::bad(what, error.message(), fix);
        }
    };
    let Some(provider) = app.registry.get(key.provider().as_str()) else {
        let detail = format!("this program has no provider {}", key.provider());
        return Check::warning(what, detail, format!("moat revoke {key}"));
    };
    let can_refresh = provider.as_refreshable().is_some_and(|provider| provider.can_refresh(info));
    judged(info, can_refresh, now)
}

/// Judges the time that is left. `can_refresh` says whether a run could renew the credential.
fn judged(info: &CredentialInfo, can_refresh: bool, now: OffsetDateTime) -> Check {
    let is_renewed = can_refresh && info.refreshed_by().is_none();
    let key = info.key();
    let what = key.to_string();
    let anew = format!("moat grant {key}");
    match (info.expires_at(), info.refreshed_by()) {
        (Some(expiry), _) if info.is_expired(now) && is_renewed => {
            let detail = format!("expired {}; a run renews it", relative(expiry, now));
            Check::warning(what, detail, format!("moat grant refresh {key}"))
        }
        (Some(expiry), Some(owner)) if info.is_expired(now) => {
            let detail = format!("expired since {} UTC, and {owner} refreshes it", moment(expiry));
            let mut fix = format!("use {owner}, or: {anew}");
            if can_refresh {
                fix.push_str(&format!(", or when it is gone: moat grant claim {key}"));
            }
            Check::bad(what, detail, fix)
        }
        (Some(expiry), None) if info.is_expired(now) => {
            Check::bad(what, format!("expired since {} UTC", moment(expiry)), anew)
        }
        (Some(expiry), None) if !is_renewed && expiry - now < SOON => {
            Check::warning(what, format!("expires {}", relative(expiry, now)), anew)
        }
        (_, Some(owner)) => Check::good(what, format!("refreshed by {owner}")),
        (Some(_), None) => {
            let until = describe::until(info, now);
            Check::good(what, until.trim_start_matches(", "))
        }
        (None, None) => Check::good(what, "no expiry is known"),
    }
}

#[cfg(test)]
mod tests {
    use moat_provider_core::{Credential, Secret};

    use super::super::Finding;
    use super::*;

    fn check(hours: Option<i64>, owner: Option<&str>, is_renewed: bool) -> Check {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(9999);
        let mut credential =
            Credential::builder("github".parse().unwrap(), Secret::new("x".into()), now)
                .expires_at(hours.map(|hours| now + Duration::hours(hours)));
        if let Some(owner) = owner {
            credential = credential.metadata(Credential::REFRESHED_BY, owner);
        }
        judged(credential.build().info(), is_renewed, now)
    }

    #[test]
    fn what_only_the_person_can_mend_fails_and_what_ends_soon_is_mentioned() {
        for (hours, owner, is_renewed, finding) in [
            (None, None, false, Finding::Good),
            (Some(48), None, false, Finding::Good),
            (Some(2), None, true, Finding::Good),
            (Some(2), None, false, Finding::Warning),
            (Some(-1), None, true, Finding::Warning),
            (Some(-1), None, false, Finding::Bad),
            (Some(2), Some("gh"), false, Finding::Good),
            (Some(-1), Some("gh"), false, Finding::Bad),
        ] {
            let check = check(hours, owner, is_renewed);
            assert_eq!(check.finding, finding, "{check:?}");
            assert_eq!(check.fix.is_none(), finding == Finding::Good, "{check:?}");
        }
    }
}
