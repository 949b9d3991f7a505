//! GitHub's endpoints that issue credentials or lasting access (law L16).

use http::Method;
use moat_provider_core::{CredentialKey, IssuingEndpoint, IssuingEndpoints, Result, Target};

use crate::host::{Instance, InstanceKind};

const POST: &[Method] = &[Method::POST];
const PUT: &[Method] = &[Method::PUT];
const POST_PATCH: &[Method] = &[Method::POST, Method::PATCH];
const POST_PUT: &[Method] = &[Method::POST, Method::PUT];
const CHANGE: &[Method] = &[Method::POST, Method::PUT, Method::PATCH];
const EVERY: &[Method] = &[];

/// Methods, REST path with all below it, and what is issued there.
type Row = (&'static [Method], &'static str, &'static str);

/// Access that a person has, or that an account lends to others, outlives a run just like a key:
/// so collaborators, members and teams are here as well, though nothing secret is answered.
///
/// Source: REST docs, version 2022-11-28.
const REST: &[Row] = &[
    (POST, "/user/keys", "an SSH key of the account"),
    (POST, "/user/gpg_keys", "a GPG key of the account"),
    (POST, "/user/ssh_signing_keys", "an SSH signing key of the account"),
    (PUT, "/user/installations", "an installed app's access to a repository"),
    (POST, "/repos/*/*/keys", "a deploy key"),
    (POST_PATCH, "/repos/*/*/hooks", "a webhook of a repository"),
    (PUT, "/repos/*/*/collaborators", "another account's access to a repository"),
    (POST_PATCH, "/repos/*/*/invitations", "another account's access to a repository"),
    (POST, "/repos/*/*/transfer", "another account's ownership of a repository"),
    (POST_PATCH, "/orgs/*/hooks", "a webhook of an organization"),
    (POST, "/orgs/*/invitations", "another account's membership of an organization"),
    (PUT, "/orgs/*/memberships", "another account's membership of an organization"),
    (PUT, "/orgs/*/outside_collaborators", "another account's access to repositories"),
    (PUT, "/orgs/*/organization-roles", "a role in an organization"),
    (PUT, "/orgs/*/security-managers", "a role in an organization"),
    (PUT, "/orgs/*/teams", "a team's members or repositories"),
    (PUT, "/organizations/*/team", "a team's members or repositories"),
    (PUT, "/teams", "a team's members or repositories"),
    (POST, "/orgs/*/personal-access-token-requests", "the approval of a personal access token"),
    (POST_PUT, "/enterprises/*/teams", "an enterprise team's members"),
    (POST_PATCH, "/enterprises/*/apps", "an app's installation in an organization"),
    (CHANGE, "/scim", "an account of an organization or enterprise"),
    (POST, "/app/installations/*/access_tokens", "an installation token"),
    (POST, "/app-manifests/*/conversions", "the keys of a new app"),
    (POST_PATCH, "/applications/*/token", "a token of an OAuth app"),
    (EVERY, "/copilot_internal/v2/token", "a Copilot token"),
    (EVERY, "/copilot_internal/token", "a Copilot token"),
];

/// What is there for repositories, organizations and enterprises alike.
const RUNNERS: [&str; 3] = ["/repos/*/*", "/orgs/*", "/enterprises/*"];
const RUNNER_TOKENS: [(&str, &str); 3] = [
    ("registration-token", "a token that registers a runner of Actions"),
    ("remove-token", "a token that removes a runner of Actions"),
    ("generate-jitconfig", "the configuration of a runner of Actions"),
];

/// Spellings of GitHub's own for the same things: by id instead of name.
const ALIASES: [(&str, &str); 2] =
    [("/repos/*/*", "/repositories/*"), ("/orgs/*", "/organizations/*")];

/// What a GitHub Enterprise Server has besides (its REST docs, "Enterprise administration").
const SERVER_REST: &[Row] = &[
    (CHANGE, "/admin", "an account, a key, a token or a hook of the server"),
    (PUT, "/users/*/site_admin", "the role of a site administrator"),
    (CHANGE, "/authorizations", "a personal access token"),
];

/// Mutations with the same effects. GitHub's public schema has none that creates keys, tokens or
/// webhooks (GraphQL docs, "Mutations").
const MUTATIONS: [&str; 17] = [
    "accessUserNamespaceRepository",
    "addEnterpriseAdmin",
    "addEnterpriseOrganizationMember",
    "approveVerifiableDomain",
    "createIpAllowListEntry",
    "grantEnterpriseOrganizationsMigratorRole",
    "grantMigratorRole",
    "inviteEnterpriseAdmin",
    "inviteEnterpriseMember",
    "regenerateEnterpriseIdentityProviderRecoveryCodes",
    "regenerateVerifiableDomainToken",
    "setEnterpriseIdentityProvider",
    "transferEnterpriseOrganization",
    "updateEnterpriseAdministratorRole",
    "updateEnterpriseOwnerOrganizationRole",
    "updateIpAllowListEntry",
    "updateTeamsRepository",
];

/// Returns the endpoints of the GitHub that a credential is for.
pub(crate) fn endpoints(key: &CredentialKey) -> Result<IssuingEndpoints> {
    let instance = Instance::of(key)?;
    let mut endpoints = Vec::new();
    let mut rest = |methods: &[Method], path: &str, issues: &'static str| -> Result<()> {
        for path in spellings(path) {
            let target = limited(instance.rest_target(&path)?, methods)?;
            endpoints.push(IssuingEndpoint::new(target, issues));
        }
        Ok(())
    };
    for (methods, path, issues) in REST {
        rest(methods, path, issues)?;
    }
    for owner in RUNNERS {
        for (leaf, issues) in RUNNER_TOKENS {
            rest(POST, &format!("{owner}/actions/runners/{leaf}"), issues)?;
        }
    }
    if instance.kind() == InstanceKind::Server {
        for (methods, path, issues) in SERVER_REST {
            rest(methods, path, issues)?;
        }
    }
    endpoints.push(
        IssuingEndpoint::new(
            instance.graphql_target()?.methods([Method::POST])?,
            "lasting access, or recovery codes",
        )
        .graphql(MUTATIONS),
    );
    // The device flow, the code exchange and the form with which people log in.
    endpoints.push(IssuingEndpoint::new(
        Target::host(instance.name())?.under("/login")?,
        "a login of a person or an app",
    ));
    Ok(endpoints.into_iter().collect())
}

fn limited(target: Target, methods: &[Method]) -> Result<Target> {
    match methods {
        [] => Ok(target),
        methods => target.methods(methods.iter().cloned()),
    }
}

fn spellings(path: &str) -> impl Iterator<Item = String> {
    let alias = ALIASES.iter().find_map(|(name, id)| {
        let rest = path.strip_prefix(name)?;
        Some(format!("{id}{rest}"))
    });
    std::iter::once(path.to_owned()).chain(alias)
}
