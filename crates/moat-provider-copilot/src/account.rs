//! The person's Copilot: which host serves it, asked before a run starts.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{Method, Request, Response, Uri};
use moat_provider_core::{
    Credential, CredentialKey, Error, ErrorKind, HeaderTemplate, HostContext, HostPattern, Result,
    Timeout,
};
use serde_json::Value;

/// How long GitHub may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The domain of Copilot's hosts on github.com.
const DOT_COM: &str = "githubcopilot.com";

/// Copilot's hosts on github.com, one for each plan and one from before there were plans: where the
/// question could not be asked, one of them is the right one.
///
/// Source: GitHub docs, "Copilot allowlist reference".
const PLANS: [&str; 4] = [
    "api.githubcopilot.com",
    "api.individual.githubcopilot.com",
    "api.business.githubcopilot.com",
    "api.enterprise.githubcopilot.com",
];

/// The GitHub on which an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Instance {
    /// github.com
    DotCom,
    /// A tenant of ghe.com, with its host.
    Tenant(String),
}

impl Instance {
    /// Returns the instance of a grant.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for a GitHub Enterprise Server, which has no Copilot.
    pub(crate) fn of(key: &CredentialKey) -> Result<Self> {
        match key.qualifier() {
            None => Ok(Self::DotCom),
            Some(host) if host.ends_with(".ghe.com") => Ok(Self::Tenant(host.to_owned())),
            Some(host) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("{host} is a GitHub Enterprise Server, which has no Copilot"),
            )
            .with_hint("name a grant of github.com: --grant github")),
        }
    }

    /// Returns the host of GitHub's API.
    pub(crate) fn github_api(&self) -> String {
        match self {
            Self::DotCom => "api.github.com".to_owned(),
            Self::Tenant(host) => format!("api.{host}"),
        }
    }

    /// Returns Copilot's hosts where the account's own is not known.
    pub(crate) fn known_hosts(&self) -> Vec<HostPattern> {
        let hosts: Vec<_> = match self {
            Self::DotCom => PLANS.iter().map(|host| (*host).to_owned()).collect(),
            Self::Tenant(host) => vec![format!("copilot-api.{host}")],
        };
        hosts.iter().filter_map(|host| host.parse().ok()).collect()
    }

    /// Whether a host is one of GitHub's own for Copilot: an answer never decides alone where a
    /// token goes.
    fn owns(&self, host: &str) -> bool {
        let domain = match self {
            Self::DotCom => DOT_COM,
            Self::Tenant(host) => host,
        };
        host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    }
}

/// Returns the hosts of the account's Copilot: the one that GitHub names, or, where GitHub could not
/// be asked, all that are known. A run does not fail because GitHub has a bad minute.
///
/// # Errors
///
/// [`ErrorKind::Unauthenticated`] and [`ErrorKind::PermissionDenied`] when the token cannot use
/// Copilot, [`ErrorKind::UnexpectedAnswer`] when the host that was named is not GitHub's.
pub(crate) async fn hosts(
    cx: &HostContext,
    instance: &Instance,
    credential: &Credential,
) -> Result<Vec<HostPattern>> {
    let host = instance.github_api();
    let request = Request::builder()
        .method(Method::GET)
        .uri(format!("https://{host}/copilot_internal/user"))
        .header(AUTHORIZATION, HeaderTemplate::Bearer.render(credential.token())?)
        .header(ACCEPT, "application/vnd.github+json")
        .header(USER_AGENT, "moat")
        .extension(Timeout(PATIENCE))
        .body(Bytes::new())
        .map_err(|_| Error::invalid("the request to GitHub cannot be made"))?;
    match cx.http().send(request).await {
        Ok(response) => judge(instance, &host, credential.key(), &response),
        Err(error) if is_weather(error.kind()) => Ok(instance.known_hosts()),
        Err(error) => Err(error.with_hint("see whether GitHub is reached from this machine")),
    }
}

fn is_weather(kind: ErrorKind) -> bool {
    kind.is_transient() || kind == ErrorKind::PortMissing
}

fn judge(
    instance: &Instance,
    host: &str,
    grant: &CredentialKey,
    response: &Response<Bytes>,
) -> Result<Vec<HostPattern>> {
    let denied = |message: &str, hint: String| {
        Err(Error::new(ErrorKind::PermissionDenied, message.to_owned()).with_hint(hint))
    };
    match response.status().as_u16() {
        200..=299 => endpoint(instance, host, response),
        401 => Err(Error::new(
            ErrorKind::Unauthenticated,
            format!("{host} does not accept the token of the grant {grant}"),
        )
        .with_hint(format!("moat grant {grant}"))),
        403 => denied(
            "the token may not use Copilot",
            format!(
                "grant a token of gh, or a fine-grained one with the account permission Copilot \
                 Requests: moat grant {grant}"
            ),
        ),
        404 => denied(
            "this account has no Copilot, or its token is a classic one",
            "see https://github.com/settings/copilot".to_owned(),
        ),
        429 | 500..=599 => Ok(instance.known_hosts()),
        status => Err(Error::new(
            ErrorKind::UnexpectedAnswer,
            format!("{host} answers with status {status}"),
        )
        .with_hint("check whether something on the way answers instead")),
    }
}

fn endpoint(
    instance: &Instance,
    host: &str,
    response: &Response<Bytes>,
) -> Result<Vec<HostPattern>> {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let Some(named) = body["endpoints"]["api"].as_str() else {
        return Ok(instance.known_hosts());
    };
    let pattern = named.parse::<Uri>().ok().and_then(|uri| {
        let plain = uri.scheme_str() == Some("https")
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
            && uri.authority().is_some_and(|authority| authority.as_str() == authority.host());
        let host = uri.host()?.to_ascii_lowercase();
        if plain && instance.owns(&host) { host.parse::<HostPattern>().ok() } else { None }
    });
    pattern.map(|pattern| vec![pattern]).ok_or_else(|| {
        Error::new(
            ErrorKind::UnexpectedAnswer,
            format!("{host} names a host for Copilot that is not GitHub's"),
        )
        .with_hint("check whether something on the way answers instead")
    })
}
