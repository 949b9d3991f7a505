//! The next access token: from Google for a login of its own, from Gemini CLI for one of its.

use moat_provider_core::{
    Credential, CredentialInfo, Error, ErrorKind, HostContext, Refreshed, Result, SecretName,
};

use crate::api;
use crate::grant::login::CLIENT_SECRET;
use crate::grant::{CLIENT_ID, FROM_IMPORT, FROM_LOGIN, SUBJECT, look};
use crate::kind::{Kind, check_form};
use crate::oauth::{OAuthClient, tokens};

fn source(info: &CredentialInfo) -> Option<&str> {
    info.metadata(Credential::TOKEN_SOURCE).filter(|_| Kind::of(info) == Kind::OAuth)
}

/// Whether there is a next token to be had.
pub(crate) fn is_possible(info: &CredentialInfo) -> bool {
    match source(info) {
        Some(FROM_LOGIN) => {
            info.secret_names().contains(&SecretName::REFRESH_TOKEN)
                && info.secret_names().contains(&CLIENT_SECRET)
                && info.metadata(CLIENT_ID).is_some()
        }
        Some(FROM_IMPORT) => true,
        _ => false,
    }
}

/// Obtains it.
///
/// # Errors
///
/// [`ErrorKind::TokenRevoked`] when only a new login helps, and those of the ports.
pub(crate) async fn refresh(cx: &HostContext, credential: &Credential) -> Result<Refreshed> {
    let info = credential.info();
    match source(info).filter(|_| is_possible(info)) {
        Some(FROM_LOGIN) => own(cx, credential).await,
        Some(FROM_IMPORT) => follow(cx, credential).await,
        _ => Err(Error::new(
            ErrorKind::RefreshNotSupported,
            "an API key does not expire, and there is nothing to refresh it with",
        )),
    }
}

async fn own(cx: &HostContext, credential: &Credential) -> Result<Refreshed> {
    let secrets = credential.secrets();
    let id = credential.info().metadata(CLIENT_ID).unwrap_or_default();
    let client = OAuthClient::new(id, secrets.require(&CLIENT_SECRET)?.clone());
    let refresh_token = secrets.require(&SecretName::REFRESH_TOKEN)?;
    let grant = [("refresh_token", refresh_token)];
    let issued = tokens(cx, &client, &grant, "refresh_token", None).await?;
    check_form(Kind::OAuth, &issued.access, "the token that Google issued")?;
    let expires_at = cx.clock().now() + issued.lifetime;
    let mut next = credential.renew().token(issued.access).expires_at(expires_at);
    // Google may rotate it (RFC 6749, section 6).
    if let Some(refresh) = issued.refresh {
        next = next.secret(SecretName::REFRESH_TOKEN, refresh);
    }
    Ok(Refreshed::Renewed(next.build()))
}

/// Takes over what Gemini CLI has meanwhile, unless it is of another account.
async fn follow(cx: &HostContext, credential: &Credential) -> Result<Refreshed> {
    let info = credential.info();
    let Some(login) = look(cx).await? else {
        return Ok(Refreshed::Unchanged);
    };
    let is_over = login.expires_at.is_some_and(|expiry| expiry <= cx.clock().now());
    if is_over || login.access.same_as(credential.token()) {
        return Ok(Refreshed::Unchanged);
    }
    check_form(Kind::OAuth, &login.access, "the token of Gemini CLI's login")?;
    let subject =
        api::check(cx, Kind::OAuth, &login.access).await.map_err(|error| match error.kind() {
            ErrorKind::Unauthenticated => Error::new(
                ErrorKind::TokenRevoked,
                "Google does not accept the token of Gemini CLI's login",
            )
            .with_hint("run gemini once and log in, then moat grant gemini")
            .with_source(error),
            _ => error,
        })?;
    if info.metadata(SUBJECT).is_some() && info.metadata(SUBJECT) != subject.as_deref() {
        return Ok(Refreshed::Unchanged);
    }
    let next = credential.renew().token(login.access).expires_at(login.expires_at);
    Ok(Refreshed::Renewed(next.build()))
}
