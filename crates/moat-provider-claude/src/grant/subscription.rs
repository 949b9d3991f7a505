//! The grant of a subscription: Claude Code's own `setup-token`, a token, or an existing login.

use moat_provider_core::{
    CommandSpec, Credential, Error, ErrorKind, GrantContext, GrantOption, GrantRequest, Result,
    Secret,
};
use time::{Duration, OffsetDateTime};

use super::login::{self, Login};
use super::{
    FROM_ENVIRONMENT, FROM_LOGIN, FROM_PERSON, FROM_SETUP_TOKEN, RATE_LIMIT_TIER, SOURCE,
    SUBSCRIPTION_TYPE, is_unattended, source_option, tell, unattended,
};
use crate::api;
use crate::token::{Kind, rejoined};

const VARIABLE: &str = "CLAUDE_CODE_OAUTH_TOKEN";
/// How long a token of `claude setup-token` is valid (Claude Code 2.1.197: 31,536,000 seconds).
const LIFE_OF_SETUP_TOKEN: Duration = Duration::days(365);
/// The entry of the metadata that says that an expiry is not the vendor's word.
const EXPIRY: &str = "expiry";
const ASSUMED: &str = "assumed";
/// Whose the refresh token of an imported login is.
const OWNER: &str = "Claude Code";

const SETUP: &str = "Subscription: log in with claude setup-token (a token for one year)";
const PASTE: &str = "Paste a token that claude setup-token printed";
const IMPORT: &str = "Import the login of Claude Code on this machine";

const GUIDANCE: &str =
    "Paste the token. It begins with sk-ant-oat01- and may be broken into lines.";

/// Returns the flags of the grant.
pub(crate) fn options() -> Vec<GrantOption> {
    source_option(
        ["auto", "env", "setup-token", "prompt", "import"],
        "where the token comes from: CLAUDE_CODE_OAUTH_TOKEN, claude setup-token, a prompt, or Claude Code's own login; auto tries the first and then asks",
    )
}

/// A token, and what is known about it.
struct Found {
    token: Secret,
    source: &'static str,
    /// `None` for what was not taken from a login.
    login: Option<Login>,
}

/// Acquires a token and asks the API whether it is valid.
///
/// # Errors
///
/// Any kind, with a hint.
pub(crate) async fn grant(cx: &GrantContext, request: &GrantRequest) -> Result<Credential> {
    let found = match request.option(SOURCE) {
        Some("env") => require_environment(cx)?,
        Some("setup-token") => setup_token(cx).await?,
        Some("prompt") => paste(cx, FROM_PERSON).await?,
        Some("import") => require_login(cx).await?,
        _ => match look_into_environment(cx)? {
            Some(found) => found,
            None => choose(cx).await?,
        },
    };
    let what = match found.source {
        FROM_ENVIRONMENT => "the value of CLAUDE_CODE_OAUTH_TOKEN",
        FROM_LOGIN => "the token of Claude Code's login",
        _ => "what was given",
    };
    Kind::OAuth.check_form(&found.token, what)?;
    if found.source == FROM_ENVIRONMENT {
        tell(cx, "Using the token in CLAUDE_CODE_OAUTH_TOKEN.").await;
    }
    api::check(cx.host(), Kind::OAuth, &found.token)
        .await
        .map_err(|error| way_out(error, &found))?;
    Ok(credential(request, found, cx.host().clock().now()))
}

fn environment(cx: &GrantContext) -> Result<Option<Found>> {
    let found = cx.first_var(&[VARIABLE])?;
    Ok(found.map(|(_, token)| Found { token, source: FROM_ENVIRONMENT, login: None }))
}

fn look_into_environment(cx: &GrantContext) -> Result<Option<Found>> {
    match environment(cx) {
        // An embedder that gives no environment has no token in it.
        Err(error) if error.kind() == ErrorKind::PortMissing => Ok(None),
        found => found,
    }
}

fn require_environment(cx: &GrantContext) -> Result<Found> {
    environment(cx)?.ok_or_else(|| {
        Error::new(ErrorKind::CredentialNotFound, format!("{VARIABLE} is not set"))
            .with_hint(format!("export {VARIABLE}, or choose another --{SOURCE}"))
    })
}

/// Asks the person which way to go. A login on this machine is offered last, and only to somebody
/// who chooses it: it lives for hours.
async fn choose(cx: &GrantContext) -> Result<Found> {
    // A login that cannot be read is no choice; whoever names it gets to know why.
    let login = login::find(cx).await.ok().flatten();
    let mut choices = vec![SETUP, PASTE];
    let now = cx.host().clock().now();
    if login.as_ref().is_some_and(|login| login.expires_at.is_none_or(|expiry| expiry > now)) {
        choices.push(IMPORT);
    }
    let chosen = cx.terminal().choose("How do you want to authenticate?", &choices).await;
    let chosen = chosen.map_err(nobody)?;
    match (choices.get(chosen), login) {
        (Some(&IMPORT), Some(login)) => import(cx, login).await,
        (Some(&PASTE), _) => paste(cx, FROM_PERSON).await,
        _ => setup_token(cx).await,
    }
}

/// Runs Claude Code's own command on the person's terminal. It shows the token and stores nothing;
/// what it prints is not read, because its looks change from version to version.
async fn setup_token(cx: &GrantContext) -> Result<Found> {
    let command = CommandSpec::new("claude").args(["setup-token"]).inherit([
        // To open the browser, and to reach the vendor where a proxy stands between.
        "BROWSER",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "DBUS_SESSION_BUS_ADDRESS",
        "TERM",
        "COLORTERM",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "NODE_EXTRA_CA_CERTS",
        "SSL_CERT_FILE",
        "CLAUDE_CONFIG_DIR",
    ]);
    match cx.terminal().run_attached(&command).await {
        Ok(Some(0)) => {}
        Ok(_) => {
            tell(cx, "claude setup-token did not end well. If it printed a token, go on.").await
        }
        Err(error) if error.kind() == ErrorKind::CommandNotFound => {
            return Err(error.with_hint(
                "install Claude Code, or run claude setup-token elsewhere and moat grant claude --source prompt",
            ));
        }
        Err(error) => return Err(nobody(error)),
    }
    paste(cx, FROM_SETUP_TOKEN).await
}

async fn paste(cx: &GrantContext, source: &'static str) -> Result<Found> {
    tell(cx, GUIDANCE).await;
    let token = rejoined(&cx.terminal().ask_secret("Token").await.map_err(nobody)?);
    if token.is_empty() {
        return Err(Error::new(ErrorKind::CredentialNotFound, "no token was given")
            .with_hint("moat grant claude"));
    }
    Ok(Found { token, source, login: None })
}

async fn require_login(cx: &GrantContext) -> Result<Found> {
    match login::find(cx).await? {
        Some(login) => import(cx, login).await,
        None => Err(Error::new(
            ErrorKind::CredentialNotFound,
            "Claude Code has no login on this machine",
        )
        .with_hint("run claude and log in, or choose another --source")),
    }
}

/// Takes over the access token of a login, and nothing else.
async fn import(cx: &GrantContext, login: Login) -> Result<Found> {
    let now = cx.host().clock().now();
    if let Some(expiry) = login.expires_at {
        if expiry <= now {
            return Err(Error::new(
                ErrorKind::CredentialExpired,
                "the login of Claude Code on this machine has expired",
            )
            .with_hint(
                "run claude once, which renews it, then moat grant claude --source import",
            ));
        }
        tell(
            cx,
            &format!(
                "This login ends in {}, and moat does not renew it: that would log Claude Code out. \
                 claude setup-token gives a token for a year.",
                in_words(expiry - now)
            ),
        )
        .await;
    }
    Ok(Found { token: login.token.clone(), source: FROM_LOGIN, login: Some(login) })
}

fn in_words(duration: Duration) -> String {
    match (duration.whole_days(), duration.whole_hours(), duration.whole_minutes()) {
        (days @ 2.., ..) => format!("{days} days"),
        (_, hours @ 2.., _) => format!("{hours} hours"),
        (_, _, minutes) => format!("{minutes} minutes"),
    }
}

fn nobody(error: Error) -> Error {
    let kind = error.kind();
    let hint = "export CLAUDE_CODE_OAUTH_TOKEN, which claude setup-token prints";
    match is_unattended(kind) || kind == ErrorKind::Cancelled {
        true => unattended(error, "nobody is there to log in", hint),
        false => error,
    }
}

/// Says what to do about a token that the API does not accept.
fn way_out(error: Error, found: &Found) -> Error {
    match (error.kind(), found.source) {
        (ErrorKind::Unauthenticated, FROM_ENVIRONMENT) => {
            error.with_hint("put a valid token into CLAUDE_CODE_OAUTH_TOKEN, or unset it")
        }
        (ErrorKind::Unauthenticated, FROM_LOGIN) => {
            error.with_hint("run claude once, which renews the login, or use claude setup-token")
        }
        _ => error,
    }
}

fn credential(request: &GrantRequest, found: Found, now: OffsetDateTime) -> Credential {
    let builder = Credential::builder(request.key().clone(), found.token, now)
        .metadata(Credential::TOKEN_SOURCE, found.source);
    let Some(login) = found.login else {
        return builder.expires_at(now + LIFE_OF_SETUP_TOKEN).metadata(EXPIRY, ASSUMED).build();
    };
    let mut builder = builder
        .expires_at(login.expires_at)
        .scopes(login.scopes)
        .metadata(Credential::REFRESHED_BY, OWNER);
    for (name, value) in
        [(SUBSCRIPTION_TYPE, login.subscription_type), (RATE_LIMIT_TIER, login.rate_limit_tier)]
    {
        if let Some(value) = value {
            builder = builder.metadata(name, value);
        }
    }
    builder.build()
}
