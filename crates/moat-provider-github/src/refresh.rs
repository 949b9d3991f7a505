//! Following gh to its next token.

use moat_provider_core::{
    Credential, CredentialInfo, Error, ErrorKind, HostContext, Refreshed, Result,
};

use crate::grant::{FROM_GH, LOGIN};
use crate::host::Instance;
use crate::token::renewed_metadata;
use crate::{api, gh, grant};

/// Whether the token came from gh, the one source that can be asked again.
pub(crate) fn is_from_gh(info: &CredentialInfo) -> bool {
    info.metadata(Credential::TOKEN_SOURCE) == Some(FROM_GH)
}

/// Asks gh for its token, and GitHub whose it is, before it takes the place of the old one.
///
/// A token of another account is not taken: a run that started as one person must not go on as
/// another because somebody called `gh auth switch`.
///
/// # Errors
///
/// [`ErrorKind::TokenRevoked`] when GitHub does not accept gh's own token, and the errors of the
/// ports.
pub(crate) async fn refresh(cx: &HostContext, credential: &Credential) -> Result<Refreshed> {
    let info = credential.info();
    if !is_from_gh(info) {
        return Err(Error::new(
            ErrorKind::RefreshNotSupported,
            "only a token that came from gh can be refreshed",
        ));
    }
    let instance = Instance::of(info.key())?;
    let Some(token) = gh::token(cx, &instance).await? else {
        return Ok(Refreshed::Unchanged);
    };
    if token.same_as(credential.token()) {
        return Ok(Refreshed::Unchanged);
    }
    grant::check_form(&token, "what gh printed")?;
    let identity =
        api::identify(cx, &instance, &token).await.map_err(|error| match error.kind() {
            ErrorKind::Unauthenticated => rejected(&instance, info).with_source(error),
            _ => error,
        })?;
    if info.metadata(LOGIN).is_some() && info.metadata(LOGIN) != identity.login.as_deref() {
        return Ok(Refreshed::Unchanged);
    }
    let mut next =
        credential.renew().token(token).scopes(identity.scopes).expires_at(identity.expires_at);
    for (name, value) in renewed_metadata(info, identity.kind) {
        next = next.metadata(name, value);
    }
    if let Some(login) = identity.login {
        next = next.metadata(LOGIN, login);
    }
    Ok(Refreshed::Renewed(next.build()))
}

fn rejected(instance: &Instance, info: &CredentialInfo) -> Error {
    let host = instance.name();
    Error::new(ErrorKind::TokenRevoked, format!("{host} does not accept gh's token any more"))
        .with_hint(format!("gh auth login --hostname {host} && moat grant {}", info.key()))
}
