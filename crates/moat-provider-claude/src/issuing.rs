//! The vendor's endpoints that issue credentials or lasting access (law L16).

use http::Method;
use moat_provider_core::{IssuingEndpoint, IssuingEndpoints, Result, Target};

use crate::api::HOST;

const POST: &[Method] = &[Method::POST];
const EVERY: &[Method] = &[];

/// Methods, path with all below it, and what is issued there.
///
/// Sources: Anthropic's API docs, "Admin API" and "Managed agents"; what Claude Code 2.1.197 may ask.
const ENDPOINTS: &[(&[Method], &str, &str)] = &[
    (EVERY, "/api/oauth/claude_cli/create_api_key", "an API key"),
    (EVERY, "/v1/oauth", "a login"),
    (EVERY, "/v1/token", "a token of a workload"),
    (EVERY, "/v1/organizations", "members, invitations and keys of an organization"),
    (EVERY, "/v1/vaults", "credentials for agents in the cloud"),
    (EVERY, "/v1/environments/bridge", "a key that steers this machine from elsewhere"),
    (POST, "/v1/code/sessions", "a session in the cloud with its own token"),
    (EVERY, "/v1/code/agent-proxy", "credentials of a session in the cloud"),
    (POST, "/v1/code/github", "access of sessions in the cloud to GitHub"),
    (POST, "/v1/code/triggers", "sessions in the cloud that start by themselves"),
    (EVERY, "/api/oauth/organizations/*/sync", "the account's access to GitHub"),
    (EVERY, "/api/organizations/*/mcp", "the account's access to a connector"),
    (EVERY, "/api/auth", "a trusted device of the account"),
];

/// Returns the endpoints. They are the same for tokens and keys.
pub(crate) fn endpoints() -> Result<IssuingEndpoints> {
    let endpoints = ENDPOINTS.iter().map(|(methods, path, issues)| {
        let target = Target::host(HOST)?.under(path)?;
        let target = match methods {
            [] => target,
            methods => target.methods(methods.iter().cloned())?,
        };
        Ok(IssuingEndpoint::new(target, *issues))
    });
    endpoints.collect()
}
