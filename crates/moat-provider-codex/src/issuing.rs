//! The vendor's endpoints that issue credentials or lasting access (law L16).

use http::Method;
use moat_provider_core::{IssuingEndpoint, IssuingEndpoints, Result, Target};

use crate::api::{API_HOST, CHATGPT_HOST};
use crate::token::Kind;

const POST: &[Method] = &[Method::POST];
const EVERY: &[Method] = &[];

/// Methods, path with all below it, and what is issued there.
type Row = (&'static [Method], &'static str, &'static str);

/// Source: OpenAI's API reference.
const OF_KEYS: &[Row] = &[
    (EVERY, "/v1/organization", "members, invitations, keys and service accounts"),
    (EVERY, "/v1/projects", "members, keys and service accounts of a project"),
    (EVERY, "/v1/realtime/client_secrets", "a key for a conversation"),
    (EVERY, "/v1/realtime/sessions", "a key for a conversation"),
    (EVERY, "/v1/realtime/transcription_sessions", "a key for a conversation"),
    (EVERY, "/v1/realtime/translations/client_secrets", "a key for a conversation"),
    (EVERY, "/v1/chatkit/sessions", "a key for a chat"),
    (POST, "/v1/fine_tuning/checkpoints", "access of other projects to a model"),
];

/// Source: what Codex 0.169.0 may ask, and what a browser asks.
const OF_LOGINS: &[Row] = &[
    (EVERY, "/api/auth", "a session of the account"),
    (POST, "/backend-api/wham/tasks", "an agent in the cloud"),
    (
        EVERY,
        "/backend-api/wham/environments",
        "an environment for agents in the cloud, with its secrets",
    ),
    (EVERY, "/backend-api/wham/remote", "control of this machine from elsewhere"),
    (EVERY, "/backend-api/wham/agent-identities", "an identity of an agent"),
    (EVERY, "/backend-api/ps", "the account's access to connectors"),
    (EVERY, "/backend-api/aip", "the account's access to connectors"),
    (EVERY, "/backend-api/connectors", "the account's access to connectors"),
    (POST, "/backend-api/accounts", "invitations, members and access tokens"),
];

/// Returns the endpoints. Those at the host of logins are not among them: no secret is sent there.
pub(crate) fn endpoints(kind: Kind) -> Result<IssuingEndpoints> {
    let (host, rows) = match kind {
        Kind::ApiKey => (API_HOST, OF_KEYS),
        Kind::ChatGpt => (CHATGPT_HOST, OF_LOGINS),
    };
    let endpoints = rows.iter().map(|(methods, path, issues)| {
        let target = Target::host(host)?.under(path)?;
        let target = match methods {
            [] => target,
            methods => target.methods(methods.iter().cloned())?,
        };
        Ok(IssuingEndpoint::new(target, *issues))
    });
    endpoints.collect()
}
