//! Ending a credential at Google.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use moat_provider_core::{
    Credential, CredentialInfo, Error, ErrorKind, HostContext, Result, Revocation, Secret,
    SecretName,
};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::api::{TOKEN_HOST, common_failure, send};
use crate::grant::{FROM_ENVIRONMENT, FROM_IMPORT, FROM_LOGIN};
use crate::kind::Kind;
use crate::oauth::encoded;

/// Says how a credential is ended.
pub(crate) fn revocation(info: &CredentialInfo) -> Revocation {
    if is_own(info) {
        let effect = "the login that moat made at Google ends; Gemini CLI's own is another";
        return Revocation::Automatic { effect: effect.to_owned() };
    }
    Revocation::Manual { instructions: instructions(info).to_owned() }
}

/// Whether it is a login that nobody else uses.
fn is_own(info: &CredentialInfo) -> bool {
    Kind::of(info) == Kind::OAuth
        && info.metadata(Credential::TOKEN_SOURCE) == Some(FROM_LOGIN)
        && info.secret_names().contains(&SecretName::REFRESH_TOKEN)
}

fn instructions(info: &CredentialInfo) -> &'static str {
    match (Kind::of(info), info.metadata(Credential::TOKEN_SOURCE)) {
        (Kind::OAuth, Some(FROM_IMPORT)) => {
            "the login is Gemini CLI's: end it with /auth there, or at \
             https://myaccount.google.com/connections"
        }
        (Kind::OAuth, _) => "remove the app at https://myaccount.google.com/connections",
        (Kind::ApiKey, Some(FROM_ENVIRONMENT)) => {
            "delete the key at https://aistudio.google.com/apikey; every program that takes it from \
             GEMINI_API_KEY loses it as well"
        }
        (Kind::ApiKey, _) => "delete the key at https://aistudio.google.com/apikey",
    }
}

/// Ends a login that moat made.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] with the way to do it by hand for everything else.
pub(crate) async fn revoke(cx: &HostContext, credential: &Credential) -> Result<()> {
    let info = credential.info();
    if !is_own(info) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "Google has no way for programs to end this credential alone",
        )
        .with_hint(instructions(info)));
    }
    let token = credential.secrets().require(&SecretName::REFRESH_TOKEN)?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("https://{TOKEN_HOST}/revoke"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form(token));
    let response = send(cx, TOKEN_HOST, request).await?;
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    match response.status().as_u16() {
        200 => Ok(()),
        // It has ended already.
        400 if body["error"] == "invalid_token" => Ok(()),
        _ => Err(common_failure(cx, TOKEN_HOST, &response)),
    }
}

#[expect(clippy::disallowed_methods, reason = "the form that goes to the vendor")]
fn form(token: &Secret) -> Bytes {
    let form = Zeroizing::new(format!("token={}", *Zeroizing::new(encoded(token.expose()))));
    Bytes::copy_from_slice(form.as_bytes())
}
