//! The provider of the tutorial: Acme, a tracker with an API and a command, `acme`.

// ANCHOR: provider
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::{Method, Request, StatusCode};
use moat_provider_core::{
    Alphabet, BoxFuture, ContainerMounts, Credential, CredentialInfo, CredentialProvider,
    CredentialRule, DescribableProvider, EnvVar, Error, ErrorKind, GrantContext, GrantError,
    GrantRequest, HeaderTemplate, HostContext, IssuingEndpoint, IssuingEndpoints, Placeholder,
    PlaceholderShape, Provider, ProviderName, ProviderSource, ProxyConfigurer, Result, RunContext,
    Secret, SecretRef, StagedFile, Target, Timeout, retry_after,
};

static NAME: ProviderName = ProviderName::from_static("acme");

/// Grants access to Acme.
#[derive(Debug, Default)]
pub struct Acme;

impl Provider for Acme {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }

    fn as_describable(&self) -> Option<&dyn DescribableProvider> {
        Some(self)
    }
}

impl DescribableProvider for Acme {
    fn description(&self) -> &str {
        "Acme tracker token"
    }

    fn source(&self) -> ProviderSource {
        ProviderSource::Custom
    }
}
// ANCHOR_END: provider

impl CredentialProvider for Acme {
    // ANCHOR: delegate
    fn grant<'a>(
        &'a self,
        cx: &'a GrantContext,
        request: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        Box::pin(async { grant(cx, request).await.map_err(|error| error.in_grant_of(&NAME)) })
    }
    // ANCHOR_END: delegate

    // ANCHOR: rules
    fn configure_proxy(
        &self,
        proxy: &mut dyn ProxyConfigurer,
        credential: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        proxy.credential(
            CredentialRule::new(
                Target::host("api.acme.example")?.under("/v1")?,
                AUTHORIZATION,
                HeaderTemplate::Bearer,
                SecretRef::token(credential.key()),
            )
            .placeholder(placeholder(credential, run)?),
        );
        Ok(())
    }
    // ANCHOR_END: rules

    // ANCHOR: issuing
    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        let tokens = Target::host("api.acme.example")?.under("/v1/tokens")?;
        Ok([IssuingEndpoint::new(tokens.methods([Method::POST])?, "a token of the same account")]
            .into_iter()
            .collect())
    }
    // ANCHOR_END: issuing

    // ANCHOR: container
    fn container_env(
        &self,
        credentials: &[&CredentialInfo],
        run: &RunContext,
    ) -> Result<Vec<EnvVar>> {
        let var =
            |info: &&CredentialInfo| EnvVar::new("ACME_TOKEN", placeholder(info, run)?.as_str());
        credentials.iter().map(var).collect()
    }

    fn container_mounts(&self, _: &[&CredentialInfo], run: &RunContext) -> Result<ContainerMounts> {
        let mut mounts = ContainerMounts::default();
        let settings = run.home().join(".config/acme/settings.json")?;
        mounts.files.push(StagedFile::new(settings, r#"{"telemetry":false}"#));
        Ok(mounts)
    }
    // ANCHOR_END: container

    fn implied_dependencies(&self) -> &[&'static str] {
        &["acme"]
    }
}

// ANCHOR: placeholder
fn placeholder(credential: &CredentialInfo, run: &RunContext) -> Result<Placeholder> {
    let shape = PlaceholderShape::prefixed("acme_", Alphabet::Alphanumeric, 40);
    run.placeholder(credential.key(), "token", &shape)
}
// ANCHOR_END: placeholder

// ANCHOR: grant
async fn grant(cx: &GrantContext, request: &GrantRequest) -> Result<Credential> {
    let (token, source) = match cx.first_var(&["ACME_TOKEN"])? {
        Some((_, token)) => (token, "env"),
        None => (ask(cx).await?, "prompt"),
    };
    let account = whoami(cx.host(), &token).await?;
    Ok(Credential::builder(request.key().clone(), token, cx.host().clock().now())
        .metadata(Credential::TOKEN_SOURCE, source)
        .metadata("account", account)
        .build())
}

async fn ask(cx: &GrantContext) -> Result<Secret> {
    cx.terminal().tell("Make a token at https://acme.example/settings/tokens").await?;
    let token = cx.terminal().ask_secret("Token").await.map_err(|error| {
        error.with_hint("set ACME_TOKEN, or run `moat grant acme` on a terminal")
    })?;
    if token.is_empty() {
        return Err(Error::new(ErrorKind::CredentialNotFound, "no token was given")
            .with_hint("run `moat grant acme` again"));
    }
    Ok(token)
}
// ANCHOR_END: grant

// ANCHOR: whoami
async fn whoami(cx: &HostContext, token: &Secret) -> Result<String> {
    let request = Request::get("https://api.acme.example/v1/me")
        .header(USER_AGENT, "moat")
        .header(AUTHORIZATION, HeaderTemplate::Bearer.render(token)?)
        .extension(Timeout(Duration::from_secs(10)))
        .body(Bytes::new())
        .map_err(|_| Error::invalid("the request to Acme cannot be made"))?;
    let answer = cx.http().send(request).await.map_err(|error| {
        error.with_hint("look at the network, then run `moat grant acme` again")
    })?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => {
            return Err(Error::new(ErrorKind::Unauthenticated, "Acme does not accept the token")
                .with_hint("make a new one at https://acme.example/settings/tokens"));
        }
        StatusCode::TOO_MANY_REQUESTS => {
            let wait = retry_after(answer.headers(), cx.clock().now()).unwrap_or_default();
            return Err(Error::new(ErrorKind::RateLimited, "Acme asks to slow down")
                .with_hint("wait, then run `moat grant acme` again")
                .with_retry_after(wait));
        }
        status if status.is_server_error() => {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("Acme is out of order: status {}", status.as_u16()),
            )
            .with_hint("run `moat grant acme` again later"));
        }
        status => {
            return Err(unexpected(format!("Acme answered with status {}", status.as_u16())));
        }
    }
    // What the vendor says never becomes text of an error: it might echo the token.
    serde_json::from_slice::<serde_json::Value>(answer.body())
        .ok()
        .and_then(|me| Some(me.get("name")?.as_str()?.to_owned()))
        .ok_or_else(|| unexpected("Acme's answer is not understood".to_owned()))
}

fn unexpected(message: String) -> Error {
    Error::new(ErrorKind::UnexpectedAnswer, message)
        .with_hint("if `curl https://api.acme.example/v1/me` works, report a bug")
}
// ANCHOR_END: whoami
