//! The vendor's endpoints that issue credentials or lasting access (law L16).

use http::Method;
use moat_provider_core::{CredentialInfo, IssuingEndpoint, IssuingEndpoints, Result, Target};

use crate::api::{KEY_HOST, TOKEN_HOST};
use crate::kind::Kind;

/// Returns the endpoints on the hosts to which a credential goes.
///
/// Source: Gemini API docs, "Ephemeral tokens"; Google Identity docs, "OAuth 2.0 for desktop apps".
pub(crate) fn endpoints(info: &CredentialInfo) -> Result<IssuingEndpoints> {
    let (host, rows): (_, &[_]) = match Kind::of(info) {
        Kind::ApiKey => (
            KEY_HOST,
            &[
                ("/v1alpha/auth_tokens", "a token for the Live API"),
                ("/v1alpha/authTokens", "a token for the Live API"),
                ("/v1beta/auth_tokens", "a token for the Live API"),
                ("/v1beta/authTokens", "a token for the Live API"),
            ],
        ),
        Kind::OAuth => (TOKEN_HOST, &[("/device/code", "a login on another device")]),
    };
    let endpoints = rows.iter().map(|(path, issues)| {
        let target = Target::host(host)?.under(path)?.methods([Method::POST])?;
        Ok(IssuingEndpoint::new(target, *issues))
    });
    endpoints.collect()
}
