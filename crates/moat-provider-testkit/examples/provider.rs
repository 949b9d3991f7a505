// The provider that the README of this crate proves: a token from a variable or a prompt, one host.

use http::{Request, header::AUTHORIZATION};
use moat_provider_core::*;
use std::sync::LazyLock;

static NAME: ProviderName = ProviderName::from_static("example");
static SHAPE: LazyLock<PlaceholderShape> =
    LazyLock::new(|| PlaceholderShape::prefixed("ex_", Alphabet::Alphanumeric, 32));

#[derive(Debug)]
pub struct Example;

impl Provider for Example {
    fn name(&self) -> &ProviderName {
        &NAME
    }
    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }
}

impl CredentialProvider for Example {
    fn grant<'a>(
        &'a self,
        cx: &'a GrantContext,
        request: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        Box::pin(async move {
            grant(cx, request)
                .await
                .map_err(|error| error.with_hint("run: moat grant example").in_grant_of(&NAME))
        })
    }

    fn configure_proxy(
        &self,
        proxy: &mut dyn ProxyConfigurer,
        info: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        let target = Target::host("api.example.com")?;
        let token = SecretRef::token(info.key());
        let rule = CredentialRule::new(target, AUTHORIZATION, HeaderTemplate::Bearer, token);
        proxy.credential(rule.placeholder(run.placeholder(info.key(), "token", &SHAPE)?));
        Ok(())
    }

    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        Ok(IssuingEndpoints::none("tokens are made in the browser alone"))
    }

    fn container_env(&self, infos: &[&CredentialInfo], run: &RunContext) -> Result<Vec<EnvVar>> {
        let placeholder = run.placeholder(infos[0].key(), "token", &SHAPE)?;
        Ok(vec![EnvVar::new("EXAMPLE_TOKEN", placeholder.as_str())?])
    }
}

async fn grant(cx: &GrantContext, request: &GrantRequest) -> Result<Credential> {
    let token = match cx.environment().var("EXAMPLE_TOKEN")? {
        Some(token) => token.trimmed(),
        None => cx.terminal().ask_secret("Token").await?,
    };
    if token.is_empty() {
        return Err(Error::new(ErrorKind::CredentialNotFound, "there is no token"));
    }
    let whoami = Request::get("https://api.example.com/whoami")
        .header(AUTHORIZATION, HeaderTemplate::Bearer.render(&token)?)
        .body(bytes::Bytes::new())
        .map_err(|_| Error::invalid("the token fits in no header"))?;
    let kind = match cx.host().http().send(whoami).await?.status().as_u16() {
        200 => {
            let now = cx.host().clock().now();
            return Ok(Credential::builder(request.key().clone(), token, now).build());
        }
        401 => ErrorKind::Unauthenticated,
        429 => ErrorKind::RateLimited,
        500.. => ErrorKind::Unavailable,
        _ => ErrorKind::UnexpectedAnswer,
    };
    Err(Error::new(kind, "example.com does not take the token"))
}
