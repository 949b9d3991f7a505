//! Ending a token at GitHub.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use moat_provider_core::{
    Credential, CredentialInfo, Error, ErrorKind, HostContext, Result, Revocation, Secret,
};
use serde_json::json;

use crate::api;
use crate::grant::{FROM_ENVIRONMENT, FROM_GH, VARIABLE};
use crate::host::{Instance, InstanceKind};
use crate::token::TokenKind;

/// How GitHub lets a token be ended.
enum Way {
    /// `DELETE /installation/token`, with the token itself.
    Installation,
    /// `POST /credentials/revoke`, without any authentication: an authenticated request is refused.
    /// github.com only; it takes personal access tokens, and since March 2026 tokens of OAuth apps
    /// and user tokens of GitHub Apps (REST docs, "Revocation").
    Report,
    /// A page of the settings.
    ByHand,
}

fn way(instance: &Instance, kind: TokenKind) -> Way {
    match (instance.kind(), kind) {
        (_, TokenKind::Installation) => Way::Installation,
        (_, TokenKind::Other) => Way::ByHand,
        (InstanceKind::DotCom, _) => Way::Report,
        (InstanceKind::Tenant | InstanceKind::Server, _) => Way::ByHand,
    }
}

/// Says what is possible for a credential.
pub(crate) fn revocation(info: &CredentialInfo) -> Revocation {
    let Ok(instance) = Instance::of(info.key()) else {
        return Revocation::Manual {
            instructions: "look for the token in the settings of its GitHub".to_owned(),
        };
    };
    let kind = TokenKind::recorded(info);
    match way(&instance, kind) {
        Way::Installation => Revocation::Automatic {
            effect: format!(
                "the {} ends at once, for the job or app that made it as well",
                kind.title()
            ),
        },
        Way::Report => Revocation::Automatic { effect: report_effect(info, &instance, kind) },
        Way::ByHand => Revocation::Manual { instructions: by_hand(info, &instance, kind) },
    }
}

fn report_effect(info: &CredentialInfo, instance: &Instance, kind: TokenKind) -> String {
    let title = kind.title();
    let host = instance.name();
    let shared = match info.metadata(Credential::TOKEN_SOURCE) {
        Some(FROM_GH) => format!("; gh is logged out of {host}, because it uses the same token"),
        Some(FROM_ENVIRONMENT) => format!(
            "; so it does for every program that takes it from {}",
            info.metadata(VARIABLE).unwrap_or("the environment")
        ),
        _ => String::new(),
    };
    format!("the {title} ends for good, and {host} tells its owner by mail{shared}")
}

fn by_hand(info: &CredentialInfo, instance: &Instance, kind: TokenKind) -> String {
    let page = match kind {
        TokenKind::FineGrained => "personal-access-tokens",
        TokenKind::OAuth => "applications",
        TokenKind::AppUser => "apps/authorizations",
        TokenKind::Classic | TokenKind::Installation | TokenKind::Other => "tokens",
    };
    let shared = match info.metadata(Credential::TOKEN_SOURCE) {
        Some(FROM_GH) => "; gh uses the same token",
        _ => "",
    };
    format!("revoke it at {}{shared}", instance.settings_url(page))
}

/// Revokes a credential. A token that GitHub does not know any more counts as revoked.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] when it has to be done by hand, and those of the API.
pub(crate) async fn revoke(cx: &HostContext, credential: &Credential) -> Result<()> {
    let info = credential.info();
    let instance = Instance::of(info.key())?;
    let kind = TokenKind::recorded(info);
    let token = credential.token();
    match way(&instance, kind) {
        Way::Installation => delete_installation_token(cx, &instance, token).await,
        Way::Report => report(cx, &instance, token).await,
        Way::ByHand => Err(Error::new(
            ErrorKind::Unsupported,
            format!("{} has no way to revoke this token", instance.name()),
        )
        .with_hint(by_hand(info, &instance, kind))),
    }
}

/// REST docs, "Revoke an installation access token": 204, and 401 once the token is gone.
async fn delete_installation_token(
    cx: &HostContext,
    instance: &Instance,
    token: &Secret,
) -> Result<()> {
    let request = api::request(instance, Method::DELETE, "/installation/token");
    let request = api::authorized(request, token)?;
    let response = api::send(cx, instance, request, Bytes::new()).await?;
    match response.status() {
        StatusCode::NO_CONTENT | StatusCode::UNAUTHORIZED => Ok(()),
        _ => Err(api::failure(cx, instance, &response)),
    }
}

/// REST docs, "Revoke a list of credentials": 202, whether or not the token is known; 422 when the
/// list is malformed or too many came.
async fn report(cx: &HostContext, instance: &Instance, token: &Secret) -> Result<()> {
    let request = api::request(instance, Method::POST, "/credentials/revoke")
        .header(CONTENT_TYPE, "application/json");
    let response = api::send(cx, instance, request, report_body(token)).await?;
    match response.status() {
        StatusCode::ACCEPTED => Ok(()),
        StatusCode::UNPROCESSABLE_ENTITY => Err(Error::new(
            ErrorKind::UnexpectedAnswer,
            format!("{} did not take the token", instance.api_host()),
        )
        .with_hint(format!("revoke it at {}", instance.settings_url("tokens")))),
        _ => Err(api::failure(cx, instance, &response)),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the token that GitHub shall revoke is the content of the request"
)]
fn report_body(token: &Secret) -> Bytes {
    json!({ "credentials": [token.expose()] }).to_string().into()
}
