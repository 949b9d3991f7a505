//! What the grants put into a container, whichever program runs there.

use moat_provider_core::{ContainerMounts, CredentialInfo, EnvVar, Result, RunContext, StagedFile};
use serde_json::json;

use crate::grant::{RATE_LIMIT_TIER, SUBSCRIPTION_TYPE};
use crate::token::Kind;

/// The variable in which every program looks for an API key.
pub(crate) const API_KEY_VARIABLE: &str = "ANTHROPIC_API_KEY";
/// The directory of Claude Code, below the home directory.
pub(crate) const DIRECTORY: &str = ".claude";
/// The plan of which Claude Code shows every model; the vendor decides what is answered.
pub(crate) const DEFAULT_PLAN: &str = "max";

/// 2100-01-01: the placeholder does not expire, whatever becomes of the token.
const NEVER: i64 = 4_102_444_800_000;

/// Scopes that the rules serve. Claude Code asks endpoints of the account for each other scope that
/// its file names, and without any of these takes itself for logged out.
const SERVED_SCOPES: [&str; 3] = ["user:inference", "user:ccr_inference", "user:profile"];

/// Whether the key is for commands that Claude Code runs, and not for Claude Code itself, which
/// takes a key that it sees before its own login.
///
/// So it is with both grants, unless the person made the key the default.
pub(crate) fn is_key_scoped(run: &RunContext) -> bool {
    match (Kind::OAuth.grant_of(run), Kind::ApiKey.grant_of(run)) {
        (Some(_), Some(key)) => !run.is_default(key.key()),
        _ => false,
    }
}

/// Returns the variables of an API key.
pub(crate) fn key_env(credentials: &[&CredentialInfo], run: &RunContext) -> Result<Vec<EnvVar>> {
    if is_key_scoped(run) {
        return Ok(Vec::new());
    }
    let variable = |info: &&CredentialInfo| {
        let placeholder = Kind::ApiKey.placeholder(info.key(), run)?;
        EnvVar::new(API_KEY_VARIABLE, placeholder.as_str())
    };
    credentials.first().map(variable).into_iter().collect()
}

/// Returns the login that Claude Code finds.
///
/// It is a file and no variable: Claude Code takes a token from the environment for one that can do
/// less, and offers less (2.1.197).
pub(crate) fn login(
    credentials: &[&CredentialInfo],
    run: &RunContext,
    plan: Option<&str>,
) -> Result<ContainerMounts> {
    let mut mounts = ContainerMounts::default();
    let Some(info) = credentials.first() else {
        return Ok(mounts);
    };
    let mut login = json!({
        "accessToken": Kind::OAuth.placeholder(info.key(), run)?.as_str(),
        "expiresAt": NEVER,
        "scopes": scopes(info),
        "subscriptionType": plan.or(info.metadata(SUBSCRIPTION_TYPE)).unwrap_or(DEFAULT_PLAN),
    });
    if let Some(tier) = info.metadata(RATE_LIMIT_TIER) {
        login["rateLimitTier"] = tier.into();
    }
    let path = run.home().join(&format!("{DIRECTORY}/.credentials.json"))?;
    let contents = json!({ "claudeAiOauth": login }).to_string();
    mounts.files.push(StagedFile::new(path, contents));
    Ok(mounts)
}

/// Returns the scopes that the container is told of.
pub(crate) fn scopes(info: &CredentialInfo) -> Vec<&'static str> {
    let granted = |scope: &&str| info.scopes().iter().any(|granted| granted == scope);
    let mut scopes: Vec<_> = SERVED_SCOPES.into_iter().filter(granted).collect();
    if !scopes.contains(&SERVED_SCOPES[0]) {
        scopes.insert(0, SERVED_SCOPES[0]);
    }
    scopes
}
