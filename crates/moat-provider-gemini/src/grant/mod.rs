//! Where credentials come from.

mod import;
mod key;
pub(crate) mod login;

use moat_provider_core::{
    Credential, CredentialBuilder, Error, ErrorKind, GrantContext, GrantOption, GrantRequest,
    Result, Secret,
};

pub(crate) use self::import::look;
use crate::api;
use crate::kind::{AUTH_TYPE, Kind};
use crate::oauth::OAuthClient;

/// The option that says where a credential comes from.
const SOURCE: &str = "source";

/// What stands in the metadata as the source of a credential.
pub(crate) const FROM_ENVIRONMENT: &str = "env";
pub(crate) const FROM_PERSON: &str = "prompt";
pub(crate) const FROM_LOGIN: &str = "login";
pub(crate) const FROM_IMPORT: &str = "import";

/// The entry of the metadata with the id of the Google account.
pub(crate) const SUBJECT: &str = "google_subject";
/// The entry of the metadata with the id of the OAuth client.
pub(crate) const CLIENT_ID: &str = "google_client_id";

/// Returns the flags of the grant.
pub(crate) fn options() -> Vec<GrantOption> {
    vec![GrantOption::choice(
        SOURCE,
        ["auto", "env", "prompt", "login", "import"],
        "where the credential comes from: GEMINI_API_KEY, a pasted key, a login at Google in the \
         browser, or the login of Gemini CLI on this machine; auto takes the variable, else asks",
    )]
}

/// Acquires a credential and asks Google whether it is valid.
///
/// # Errors
///
/// Any kind, with a hint.
pub(crate) async fn grant(
    cx: &GrantContext,
    request: &GrantRequest,
    client: Option<&OAuthClient>,
) -> Result<Credential> {
    match request.option(SOURCE) {
        Some("env") => key::from_environment(cx, request).await,
        Some("prompt") => key::from_person(cx, request).await,
        Some("login") => login::grant(cx, request, client).await,
        Some("import") => import::grant(cx, request).await,
        _ => match key::look(cx)? {
            Some(_) => key::from_environment(cx, request).await,
            None => ask(cx, request, client).await,
        },
    }
}

/// Lets the person choose, where there is a choice.
async fn ask(
    cx: &GrantContext,
    request: &GrantRequest,
    client: Option<&OAuthClient>,
) -> Result<Credential> {
    #[derive(Clone, Copy)]
    enum Way {
        Key,
        Login,
        Import,
    }
    let mut ways = vec![(Way::Key, "Paste an API key")];
    if login::client(cx, client)?.is_some() {
        ways.push((Way::Login, "Log in at Google in the browser"));
    }
    if matches!(import::look(cx.host()).await, Ok(Some(_))) {
        ways.push((Way::Import, "Import the login of Gemini CLI on this machine"));
    }
    let labels: Vec<_> = ways.iter().map(|(_, label)| *label).collect();
    let way = match labels.len() {
        1 => Way::Key,
        _ => {
            let chosen = cx.terminal().choose("How should Gemini be used?", &labels).await;
            let chosen = chosen.map_err(|error| unattended(error, "nobody is there to choose"))?;
            ways.get(chosen).map_or(Way::Key, |(way, _)| *way)
        }
    };
    match way {
        Way::Key => key::from_person(cx, request).await,
        Way::Login => login::grant(cx, request, client).await,
        Way::Import => import::grant(cx, request).await,
    }
}

/// Checks a secret at Google and begins a credential with it.
async fn checked(
    cx: &GrantContext,
    request: &GrantRequest,
    kind: Kind,
    secret: Secret,
    source: &'static str,
) -> Result<CredentialBuilder> {
    let subject = api::check(cx.host(), kind, &secret).await?;
    let now = cx.host().clock().now();
    let mut credential = Credential::builder(request.key().clone(), secret, now)
        .metadata(Credential::TOKEN_SOURCE, source);
    if let Some(auth_type) = kind.auth_type() {
        credential = credential.metadata(AUTH_TYPE, auth_type);
    }
    if let Some(subject) = subject {
        credential = credential.metadata(SUBJECT, subject);
    }
    Ok(credential)
}

/// Shows text where there is somebody to see it; a grant does not fail for want of a reader.
async fn tell(cx: &GrantContext, text: &str) {
    let _ = cx.terminal().tell(text).await;
}

/// Says what to do when there is nobody to ask.
fn unattended(error: Error, message: &'static str) -> Error {
    const HINT: &str = "export GEMINI_API_KEY";
    match error.kind() {
        kind @ (ErrorKind::NotInteractive | ErrorKind::PortMissing) => {
            Error::new(kind, message).with_hint(HINT).with_source(error)
        }
        ErrorKind::Cancelled => error.with_hint(HINT),
        _ => error,
    }
}
