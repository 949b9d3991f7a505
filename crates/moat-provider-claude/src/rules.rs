//! Where token and key go on the wire.

use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use moat_provider_core::{
    AnswerRewrite, CannedAnswer, Companion, CredentialInfo, CredentialRule, Fill, HeaderTemplate,
    LocalAnswer, PathPattern, ProxyConfigurer, Result, RunContext, SecretRef, Slot, SlotGroup,
    Target,
};
use serde_json::{Value, json};

use crate::api::{API_KEY, BETA, HOST, OAUTH_BETA};
use crate::grant::{RATE_LIMIT_TIER, SUBSCRIPTION_TYPE};
use crate::token::Kind;

/// The host of logins.
const LOGIN_HOST: &str = "platform.claude.com";

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const EVERY: &[Method] = &[];

/// Methods, a path, and whether what lies below it belongs to it.
type Row = (&'static [Method], &'static str, Extent);

#[derive(Clone, Copy)]
enum Extent {
    Exact,
    Under,
}
use Extent::{Exact, Under};

/// What both kinds of credentials are used for: models, and what Claude Code asks at its start.
///
/// Source: Claude Code 2.1.197 on the wire.
const COMMON: &[Row] = &[
    (EVERY, MESSAGES, Under),
    (GET, "/v1/models", Under),
    (GET, "/api/claude_cli/bootstrap", Exact),
    (GET, "/api/claude_code/settings", Exact),
    (GET, "/api/claude_code/policy_limits", Exact),
    (GET, "/api/claude_code/organizations/metrics_enabled", Exact),
    (GET, "/api/claude_code_penguin_mode", Exact),
    (POST, "/api/eval", Under),
    (POST, "/api/event_logging", Under),
];

const MESSAGES: &str = "/v1/messages";
const PROFILE: &str = "/api/oauth/profile";
const USAGE: &str = "/api/oauth/usage";

/// What a subscription is used for besides. The rest of `/api/oauth` and `/v1/code` manages the
/// account and its sessions in the cloud.
const OAUTH: &[Row] = &[(GET, PROFILE, Exact), (GET, USAGE, Exact)];

/// What a key is used for besides: the rest of the public API that neither keeps credentials nor
/// starts agents elsewhere.
///
/// Source: Anthropic's API docs.
const API: &[Row] =
    &[(EVERY, "/v1/complete", Exact), (EVERY, "/v1/files", Under), (EVERY, "/v1/skills", Under)];

/// What Claude Code asks without any credential.
const OPEN: &[Row] = &[
    (EVERY, "/api/hello", Exact),
    (GET, "/api/web/domain_info", Exact),
    (GET, "/mcp-registry", Under),
];

/// Hosts of the vendor with documentation and plugins: nobody else can put anything there.
const OPEN_HOSTS: [&str; 2] = ["code.claude.com", "downloads.claude.ai"];

/// States the rules of one grant.
///
/// A request that carries a grant's placeholder gets that grant's secret, in the header that is the
/// secret's own, and loses the other header. One that carries neither is filled by a key that is
/// the only grant, or by the grant that the person made the default; a subscription is for Claude
/// Code, which always sends its placeholder, so it fills nothing unless it is that default.
pub(crate) fn configure(
    proxy: &mut dyn ProxyConfigurer,
    kind: Kind,
    info: &CredentialInfo,
    run: &RunContext,
) -> Result<()> {
    let special = match kind {
        Kind::OAuth => OAUTH,
        Kind::ApiKey => API,
    };
    for row in COMMON.iter().chain(special) {
        proxy.credential(credential(target(row)?, kind, info, run)?);
    }
    if kind == Kind::OAuth {
        proxy.answer(token_endpoint(info, run)?);
    }
    for row in OPEN {
        proxy.reach(target(row)?);
    }
    OPEN_HOSTS.into_iter().try_for_each(|host| {
        proxy.reach(Target::host(host)?);
        Ok(())
    })
}

fn target((methods, path, extent): &Row) -> Result<Target> {
    let target = Target::host(HOST)?;
    let target = match extent {
        Exact => target.exact(path)?,
        Under => target.under(path)?,
    };
    match methods {
        [] => Ok(target),
        methods => target.methods(methods.iter().cloned()),
    }
}

/// Both headers in which the vendor looks. It refuses a request with a valid one and an invalid one.
fn slots() -> SlotGroup {
    SlotGroup::new("anthropic-api", [Slot::Header(AUTHORIZATION), Slot::Header(API_KEY)])
}

fn credential(
    target: Target,
    kind: Kind,
    info: &CredentialInfo,
    run: &RunContext,
) -> Result<CredentialRule> {
    let (header, other, template) = match kind {
        Kind::OAuth => (AUTHORIZATION, API_KEY, HeaderTemplate::Bearer),
        Kind::ApiKey => (API_KEY, AUTHORIZATION, HeaderTemplate::Raw),
    };
    let serves = |path| target.path_pattern().matches(path);
    let (messages, profile, usage) = (serves(MESSAGES), serves(PROFILE), serves(USAGE));
    let mut rule = CredentialRule::new(target, header, template, SecretRef::token(info.key()))
        .placeholder(kind.placeholder(info.key(), run)?)
        .group(slots())
        .fill(fill(kind, info, run))
        .when_used(Companion::RemoveHeader(other));
    if kind == Kind::OAuth {
        rule = rule.when_used(Companion::AppendToList(BETA, OAUTH_BETA));
    }
    if messages {
        rule = rule.when_used(instead_of_401(info)?);
    }
    // Tokens without the scope `user:profile` get a 403, which is no reason for the client to fail.
    if profile {
        rule = rule.when_used(instead_of_403(PROFILE, &no_profile(info))?);
    }
    if usage {
        rule = rule.when_used(instead_of_403(USAGE, &no_usage())?);
    }
    Ok(rule)
}

fn fill(kind: Kind, info: &CredentialInfo, run: &RunContext) -> Fill {
    let is_alone = kind == Kind::ApiKey && Kind::OAuth.grant_of(run).is_none();
    match is_alone || run.is_default(info.key()) {
        true => Fill::EmptyOrPlaceholder,
        false => Fill::PlaceholderOnly,
    }
}

/// Says what to do about a credential that the vendor does not accept any more.
///
/// To a 401 Claude Code answers with advice of its own, to log in from inside; what a 403 says it
/// shows (2.1.197). The host has seen the 401 before.
fn instead_of_401(info: &CredentialInfo) -> Result<Companion> {
    let grant = info.key();
    let message = format!(
        "Anthropic does not accept the credential of the grant {grant} any more. Outside of this \
         sandbox, run: moat grant {grant}"
    );
    let error = json!({ "type": "permission_error", "message": message });
    let body = json!({ "type": "error", "error": error });
    let answer = CannedAnswer::json(StatusCode::FORBIDDEN, body.to_string());
    let path = PathPattern::under(MESSAGES)?;
    Ok(Companion::RewriteAnswer(AnswerRewrite::new(path, StatusCode::UNAUTHORIZED, answer)))
}

fn instead_of_403(path: &str, body: &Value) -> Result<Companion> {
    let answer = CannedAnswer::json(StatusCode::OK, body.to_string());
    let path = PathPattern::exact(path)?;
    Ok(Companion::RewriteAnswer(AnswerRewrite::new(path, StatusCode::FORBIDDEN, answer)))
}

/// A profile of the real shape that names nobody.
fn no_profile(info: &CredentialInfo) -> Value {
    let plan = info.metadata(SUBSCRIPTION_TYPE).unwrap_or(crate::container::DEFAULT_PLAN);
    json!({
        "account": {
            "uuid": NOBODY,
            "email": null,
            "full_name": null,
            "display_name": null,
            "has_claude_max": plan == "max",
            "has_claude_pro": plan == "pro",
        },
        "organization": {
            "uuid": NOBODY,
            "name": null,
            "organization_type": format!("claude_{plan}"),
            "rate_limit_tier": info.metadata(RATE_LIMIT_TIER),
            "subscription_status": null,
            "has_extra_usage_enabled": null,
            "billing_type": null,
        },
    })
}

/// The nil UUID (RFC 9562, section 5.9).
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

fn no_usage() -> Value {
    json!({
        "five_hour": null,
        "seven_day": null,
        "seven_day_opus": null,
        "seven_day_sonnet": null,
        "extra_usage": null,
    })
}

/// Answers in the place of the vendor's token endpoint: whoever logs in or refreshes in the
/// container gets the placeholder that is there already.
fn token_endpoint(info: &CredentialInfo, run: &RunContext) -> Result<LocalAnswer> {
    let placeholder = Kind::OAuth.placeholder(info.key(), run)?;
    let body = json!({
        "token_type": "Bearer",
        "access_token": placeholder.as_str(),
        "refresh_token": placeholder.as_str(),
        "expires_in": 28_800,
        "scope": crate::container::scopes(info).join(" "),
    });
    let target = Target::host(LOGIN_HOST)?.exact("/v1/oauth/token")?.methods([Method::POST])?;
    let answer = CannedAnswer::json(StatusCode::OK, body.to_string());
    Ok(LocalAnswer::new(info.key().provider().clone(), target, answer))
}
