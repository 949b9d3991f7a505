//! Where the token of the grant goes for Copilot, beside what the grant's own provider states.

use http::header::AUTHORIZATION;
use http::{HeaderName, Method};
use moat_provider_core::{
    Alphabet, CredentialInfo, CredentialRule, Fill, HeaderTemplate, HostPattern, Placeholder,
    PlaceholderShape, ProxyConfigurer, ProxyRules, Result, RunContext, SecretRef, Target,
};

use crate::account::Instance;

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const EVERY: &[Method] = &[];

/// What Copilot CLI asks of its API (1.0.102): models, their answers, and GitHub's MCP server, of
/// which it uses the part that reads. Sessions in the cloud and their jobs are not among it.
const API: &[(&[Method], &str)] = &[
    (GET, "/models"),
    (POST, "/models"),
    (POST, "/chat/completions"),
    (EVERY, "/responses"),
    (POST, "/v1/messages"),
    (POST, "/embeddings"),
    (GET, "/agents/swe/internal/memory"),
    (EVERY, "/mcp/readonly"),
];

/// What it reads of GitHub's API with the placeholder of its own. For writing there is `gh`, with
/// the grant's placeholder.
const GITHUB: &[(&[Method], &str)] =
    &[(GET, "/"), (POST, "/graphql"), (EVERY, "/copilot_internal")];

/// Returns the placeholder of Copilot's own variable.
///
/// Copilot CLI refuses what looks like a classic token (`ghp_`), while gh goes by the prefix for
/// what a token can do: so each has one, and this one always looks fine-grained.
pub(crate) fn placeholder(info: &CredentialInfo, run: &RunContext) -> Result<Placeholder> {
    let shape = PlaceholderShape::prefixed("github_pat_", Alphabet::Alphanumeric, 22)
        .literal("_")
        .random(Alphabet::Alphanumeric, 59);
    run.placeholder(info.key(), "copilot", &shape)
}

/// States the rules.
pub(crate) fn of(
    info: &CredentialInfo,
    run: &RunContext,
    instance: &Instance,
    hosts: &[HostPattern],
) -> Result<ProxyRules> {
    let placeholder = placeholder(info, run)?;
    let mut rules = ProxyRules::default();
    let mut bearer = |host: &HostPattern, (methods, path): &(&[Method], &str)| {
        let mut target = Target::from(host.clone()).under(path)?;
        if !methods.is_empty() {
            target = target.methods(methods.iter().cloned())?;
        }
        let header: HeaderName = AUTHORIZATION;
        let secret = SecretRef::token(info.key());
        let rule = CredentialRule::new(target, header, HeaderTemplate::Bearer, secret)
            .placeholder(placeholder.clone())
            .fill(Fill::PlaceholderOnly);
        rules.credential(rule);
        Ok::<(), moat_provider_core::Error>(())
    };
    let github: HostPattern = instance.github_api().parse()?;
    for row in GITHUB {
        bearer(&github, row)?;
    }
    for host in hosts {
        for row in API {
            bearer(host, row)?;
        }
    }
    Ok(rules)
}
