//! The grant of a ChatGPT account: a login of its own, an access token, or an existing login.

use moat_provider_core::{
    Credential, Error, ErrorKind, GrantContext, GrantOption, GrantRequest, Result, Secret,
    SecretName,
};
use time::OffsetDateTime;

use super::import::{self, Import};
use super::{
    ACCOUNT, BACKEND, FROM_DEVICE, FROM_ENVIRONMENT, FROM_IMPORT, FROM_PERSON, PLAN, SOURCE, tell,
    unattended, unset, variable,
};
use crate::token::{check_access_token, check_one_word, rejoined};
use crate::{api, jwt, login};

const VARIABLE: &str = "CODEX_ACCESS_TOKEN";
/// Whose the refresh token of an imported login is.
const OWNER: &str = "codex";

const DEVICE: &str = "Log in with a code, in any browser (a login of its own, which moat renews)";
const PASTE: &str = "Paste an access token that you made in ChatGPT";
const IMPORT: &str = "Import the login of Codex on this machine (for as long as its token lasts)";

/// Returns the flags of the grant.
pub(crate) fn options() -> Vec<GrantOption> {
    vec![GrantOption::choice(
        SOURCE,
        ["auto", "env", "device", "access-token", "import"],
        "where the token comes from: CODEX_ACCESS_TOKEN, a login with a code, a prompt for an access token, or Codex's own login; auto tries the first and then asks",
    )]
}

/// A token, and what is known about it.
struct Found {
    token: Secret,
    refresh: Option<Secret>,
    account: String,
    plan: Option<String>,
    expires_at: Option<OffsetDateTime>,
    source: &'static str,
}

/// Acquires a token and asks the vendor whose it is.
///
/// # Errors
///
/// Any kind, with a hint.
pub(crate) async fn grant(cx: &GrantContext, request: &GrantRequest) -> Result<Credential> {
    let found = match request.option(SOURCE) {
        Some("env") => {
            let token = variable(cx, VARIABLE)?.ok_or_else(|| unset(VARIABLE))?;
            from_environment(cx, token).await?
        }
        Some("device") => device(cx).await?,
        Some("access-token") => paste(cx).await?,
        Some("import") => require_login(cx).await?,
        _ => match variable(cx, VARIABLE)? {
            Some(token) => from_environment(cx, token).await?,
            None => choose(cx).await?,
        },
    };
    // The last question of each way: whether Codex may be used, and where.
    let backend = api::check_login(cx.host(), &found.token, &found.account).await?;
    let now = cx.host().clock().now();
    let mut builder = Credential::builder(request.key().clone(), found.token, now)
        .expires_at(found.expires_at)
        .metadata(Credential::TOKEN_SOURCE, found.source)
        .metadata(ACCOUNT, found.account);
    for (entry, value) in [(PLAN, found.plan), (BACKEND, backend)] {
        if let Some(value) = value {
            builder = builder.metadata(entry, value);
        }
    }
    if let Some(refresh) = found.refresh {
        builder = builder.secret(SecretName::REFRESH_TOKEN, refresh);
    }
    if found.source == FROM_IMPORT {
        builder = builder.metadata(Credential::REFRESHED_BY, OWNER);
    }
    Ok(builder.build())
}

/// Asks the person which way to go. A login on this machine is offered last, and only to somebody
/// who chooses it: it ends with its token.
async fn choose(cx: &GrantContext) -> Result<Found> {
    // A login that cannot be read is no choice; whoever names it gets to know why.
    let import = import::find(cx).await.ok().flatten();
    let now = cx.host().clock().now();
    let mut choices = vec![DEVICE, PASTE];
    if import.as_ref().is_some_and(|login| !login.is_over(now)) {
        choices.push(IMPORT);
    }
    let chosen = cx.terminal().choose("How do you want to authenticate?", &choices).await;
    let chosen = chosen.map_err(nobody)?;
    match (choices.get(chosen), import) {
        (Some(&IMPORT), Some(login)) => take_over(cx, login).await,
        (Some(&PASTE), _) => paste(cx).await,
        _ => device(cx).await,
    }
}

async fn device(cx: &GrantContext) -> Result<Found> {
    let issued = login::with_device(cx).await.map_err(nobody)?;
    let unreadable = || api::unreadable(api::LOGIN_HOST);
    let token = issued.access.ok_or_else(unreadable)?;
    let of_token = jwt::claims(&token);
    // The account stands in both tokens; the first is made for it.
    let of_id = issued.id.as_ref().map(jwt::claims).unwrap_or_default();
    Ok(Found {
        account: of_id.account.or(of_token.account).ok_or_else(unreadable)?,
        plan: of_id.plan.or(of_token.plan),
        expires_at: of_token.expires_at,
        // Without it the login could not be renewed, which was promised.
        refresh: Some(issued.refresh.ok_or_else(unreadable)?),
        token,
        source: FROM_DEVICE,
    })
}

async fn from_environment(cx: &GrantContext, token: Secret) -> Result<Found> {
    check_access_token(&token, "the value of CODEX_ACCESS_TOKEN")?;
    tell(cx, "Using the access token in CODEX_ACCESS_TOKEN.").await;
    access_token(cx, token, FROM_ENVIRONMENT).await
}

async fn paste(cx: &GrantContext) -> Result<Found> {
    tell(cx, "Paste the access token. It begins with at-.").await;
    let token = rejoined(&cx.terminal().ask_secret("Access token").await.map_err(nobody)?);
    if token.is_empty() {
        return Err(Error::new(ErrorKind::CredentialNotFound, "no access token was given")
            .with_hint("moat grant codex"));
    }
    check_access_token(&token, "what was given")?;
    access_token(cx, token, FROM_PERSON).await
}

async fn access_token(cx: &GrantContext, token: Secret, source: &'static str) -> Result<Found> {
    let who = api::who_am_i(cx.host(), &token).await?;
    let (account, plan) = (who.account, who.plan);
    Ok(Found { token, refresh: None, account, plan, expires_at: None, source })
}

async fn require_login(cx: &GrantContext) -> Result<Found> {
    match import::find(cx).await? {
        Some(login) => take_over(cx, login).await,
        None => Err(Error::new(
            ErrorKind::CredentialNotFound,
            "Codex has no ChatGPT login in a file on this machine",
        )
        .with_hint("moat grant codex --source device")),
    }
}

/// Takes over the access token of a login, and nothing else: its refresh token works once only, and
/// belongs to Codex.
async fn take_over(cx: &GrantContext, login: Import) -> Result<Found> {
    let now = cx.host().clock().now();
    if login.is_over(now) {
        return Err(Error::new(
            ErrorKind::CredentialExpired,
            "the login of Codex on this machine has expired",
        )
        .with_hint("run codex once, which renews it, then moat grant codex --source import"));
    }
    check_one_word(&login.token, "the token of Codex's login")?;
    if let Some(expiry) = login.expires_at {
        let left = in_words(expiry - now);
        let advice = "moat does not renew it: that would log Codex out. A login of its own is \
                      renewed: moat grant codex --source device";
        tell(cx, &format!("This login ends in {left}, and {advice}")).await;
    }
    let Import { token, account, plan, expires_at } = login;
    Ok(Found { token, refresh: None, account, plan, expires_at, source: FROM_IMPORT })
}

fn in_words(duration: time::Duration) -> String {
    match (duration.whole_days(), duration.whole_hours(), duration.whole_minutes()) {
        (days @ 2.., ..) => format!("{days} days"),
        (_, hours @ 2.., _) => format!("{hours} hours"),
        (_, _, minutes) => format!("{minutes} minutes"),
    }
}

fn nobody(error: Error) -> Error {
    unattended(error, "nobody is there to log in", "export CODEX_ACCESS_TOKEN")
}
