//! The next token of a login of its own.

use moat_provider_core::{
    Credential, CredentialInfo, Error, ErrorKind, HostContext, Refreshed, Result, SecretName,
};

use crate::{jwt, login};

/// Whether there is a next token to be had: the refresh token is of a login that this host made.
pub(crate) fn is_possible(info: &CredentialInfo) -> bool {
    info.secret_names().contains(&SecretName::REFRESH_TOKEN)
}

/// Obtains it.
///
/// # Errors
///
/// [`ErrorKind::TokenRevoked`] when only a new login helps, and those of the ports.
pub(crate) async fn refresh(cx: &HostContext, credential: &Credential) -> Result<Refreshed> {
    if !is_possible(credential.info()) {
        return Err(Error::new(
            ErrorKind::RefreshNotSupported,
            "this token does not come from a login of its own, so there is nothing to refresh it with",
        ));
    }
    let token = credential.secrets().require(&SecretName::REFRESH_TOKEN)?;
    let issued = login::refresh(cx, token).await?;
    let mut next = credential.renew();
    if let Some(access) = issued.access {
        let expires_at = jwt::claims(&access).expires_at;
        next = next.token(access).expires_at(expires_at);
    }
    if let Some(refresh) = issued.refresh {
        next = next.secret(SecretName::REFRESH_TOKEN, refresh);
    }
    Ok(Refreshed::Renewed(next.build()))
}
