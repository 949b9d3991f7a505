//! A login of its own at Google, in the browser (RFC 8252, with PKCE as in RFC 7636).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moat_provider_core::{
    Answer, Credential, Error, ErrorKind, GrantContext, GrantRequest, Result, Secret, SecretName,
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{CLIENT_ID, FROM_LOGIN, checked, tell, unattended};
use crate::kind::Kind;
use crate::oauth::{OAuthClient, encoded, tokens};

/// The name of the client's secret in a credential.
pub(crate) const CLIENT_SECRET: SecretName = SecretName::from_static("client_secret");

/// What Gemini CLI asks for (0.61.0).
const SCOPES: [&str; 3] = [
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
];

/// How long the person may take in the browser.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Returns the OAuth client: the one that the provider was made with, else that of the environment.
///
/// # Errors
///
/// Those of the port.
pub(super) fn client(
    cx: &GrantContext,
    given: Option<&OAuthClient>,
) -> Result<Option<OAuthClient>> {
    if let Some(client) = given {
        return Ok(Some(client.clone()));
    }
    let variable = |name: &'static str| match cx.first_var(&[name]) {
        Ok(found) => Ok(found.map(|(_, value)| value)),
        Err(error) if error.kind() == ErrorKind::PortMissing => Ok(None),
        Err(error) => Err(error),
    };
    let id = variable("GEMINI_OAUTH_CLIENT_ID")?;
    let secret = variable("GEMINI_OAUTH_CLIENT_SECRET")?;
    Ok(id.zip(secret).map(|(id, secret)| OAuthClient::new(public(&id), secret)))
}

#[expect(clippy::disallowed_methods, reason = "the id of a client is public")]
fn public(id: &Secret) -> String {
    id.expose().to_owned()
}

pub(super) async fn grant(
    cx: &GrantContext,
    request: &GrantRequest,
    given: Option<&OAuthClient>,
) -> Result<Credential> {
    let client = client(cx, given)?.ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            "a login at Google needs an OAuth client, and none is configured",
        )
        .with_hint(
            "export GEMINI_OAUTH_CLIENT_ID and GEMINI_OAUTH_CLIENT_SECRET with the client that \
             stands in Gemini CLI's source, or choose another --source",
        )
    })?;
    let question = "Open the browser and log in at Google?";
    let agreed = cx.terminal().confirm(question, Answer::Yes).await;
    if agreed.map_err(|error| unattended(error, "nobody is there to log in"))? == Answer::No {
        return Err(Error::new(ErrorKind::Cancelled, "the login was cancelled")
            .with_hint("moat grant gemini"));
    }
    let (state, verifier) = (drawn(cx)?, drawn(cx)?);
    let redirect = cx.redirects().listen("/oauth2callback").await?;
    let uri = redirect.redirect_uri().to_owned();
    let url = authorization(&client, &uri, &state, &verifier);
    if let Err(error) = cx.terminal().open_url(&url).await {
        match error.kind() {
            ErrorKind::Unsupported => tell(cx, &format!("Open this page:\n  {url}")).await,
            _ => return Err(unattended(error, "nobody is there to log in")),
        }
    }
    let query = redirect.receive(state, PATIENCE).await.map_err(|error| match error.kind() {
        ErrorKind::TimedOut => error.with_hint("moat grant gemini --source login"),
        _ => error,
    })?;
    let code = code_of(&query)?;
    let grant = [("code", &code), ("code_verifier", &verifier)];
    let tokens = tokens(cx.host(), &client, &grant, "authorization_code", Some(&uri)).await?;
    let refresh = tokens.refresh.ok_or_else(|| {
        Error::new(ErrorKind::UnexpectedAnswer, "Google issued no refresh token").with_hint(
            "remove the app at https://myaccount.google.com/connections and log in again",
        )
    })?;
    let expires_at = cx.host().clock().now() + tokens.lifetime;
    let credential = checked(cx, request, Kind::OAuth, tokens.access, FROM_LOGIN).await?;
    Ok(credential
        .secret(SecretName::REFRESH_TOKEN, refresh)
        .secret(CLIENT_SECRET, client.secret().clone())
        .metadata(CLIENT_ID, client.id())
        .expires_at(expires_at)
        .build())
}

/// Draws 43 characters (RFC 7636, section 4.1).
fn drawn(cx: &GrantContext) -> Result<Secret> {
    let mut bytes = Zeroizing::new([0; 32]);
    cx.host().entropy().fill(bytes.as_mut())?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_ref())))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the state goes through the browser, of the verifier only its hash"
)]
fn authorization(client: &OAuthClient, uri: &str, state: &Secret, verifier: &Secret) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose().as_bytes()));
    let parameters = [
        ("client_id", client.id()),
        ("redirect_uri", uri),
        ("response_type", "code"),
        ("scope", &SCOPES.join(" ")),
        ("state", state.expose()),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("access_type", "offline"),
        // Else a second login brings no refresh token.
        ("prompt", "consent"),
    ];
    let query: Vec<_> =
        parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    format!("https://accounts.google.com/o/oauth2/v2/auth?{}", query.join("&"))
}

#[expect(clippy::disallowed_methods, reason = "the code is a secret again")]
fn code_of(query: &Secret) -> Result<Secret> {
    let pair = |name: &str| {
        let pairs = query.expose().split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    if pair("error") == Some("access_denied") {
        return Err(Error::new(ErrorKind::Cancelled, "the login was refused in the browser")
            .with_hint("moat grant gemini --source login"));
    }
    let code = pair("code").and_then(|code| {
        let decoded = percent_encoding::percent_decode_str(code).collect::<Vec<u8>>();
        Secret::from_utf8(decoded).ok()
    });
    code.filter(|code| !code.is_empty()).ok_or_else(|| {
        Error::new(ErrorKind::UnexpectedAnswer, "Google sent the browser back without a code")
            .with_hint("moat grant gemini --source login")
    })
}
