//! Where token and key go on the wire.

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use moat_provider_core::{
    AnswerRewrite, CannedAnswer, Companion, CredentialInfo, CredentialRule, Error, Fill,
    HeaderTemplate, LocalAnswer, PathPattern, ProxyConfigurer, Result, RunContext, SecretRef,
    Target,
};
use serde_json::json;

use crate::api::{
    ACCOUNT_ID, ACCOUNTS, API_HOST, CHATGPT_HOST, LOGIN_HOST, ORGANIZATION, PROJECT, is_backend,
};
use crate::grant::{ACCOUNT, BACKEND, ORGANIZATION_ID, PROJECT_ID};
use crate::refresh;
use crate::token::{CODEX, Kind, OPENAI};

const GET: &[Method] = &[Method::GET];
const EVERY: &[Method] = &[];

/// Methods, a path, and whether what lies below it belongs to it.
type Row = (&'static [Method], &'static str, Extent);

#[derive(Clone, Copy)]
enum Extent {
    Exact,
    Under,
}
use Extent::{Exact, Under};

/// Where Codex talks to a model, on a ChatGPT account.
const CHATGPT_RESPONSES: &str = "/backend-api/codex/responses";
/// Where Codex asks which models there are.
const MODELS: &str = "/backend-api/codex/models";
/// Where everybody talks to a model, with a key.
const RESPONSES: &str = "/v1/responses";

/// What Codex works with on a ChatGPT account, and what it asks about it. The rest of the account,
/// its conversations and its agents in the cloud above all, is out of reach.
///
/// Source: Codex 0.169.0 on the wire, and the paths that it names.
const OF_LOGINS: &[Row] = &[
    (EVERY, CHATGPT_RESPONSES, Under),
    (GET, MODELS, Exact),
    (EVERY, "/backend-api/codex/images", Under),
    (EVERY, "/backend-api/codex/alpha/search", Exact),
    (EVERY, "/backend-api/codex/memories/trace_summarize", Exact),
    (GET, ACCOUNTS, Exact),
    (GET, "/backend-api/wham/config/bundle", Exact),
    (GET, "/backend-api/wham/settings/user", Exact),
    (GET, "/backend-api/wham/usage", Exact),
    (GET, "/backend-api/wham/rate-limit-reset-credits", Exact),
    (GET, "/backend-api/wham/workspace-messages", Exact),
];

/// What a key is used for: the public API, but for what manages an organization or keeps access.
///
/// Source: OpenAI's API reference.
const OF_KEYS: &[Row] = &[
    (EVERY, RESPONSES, Under),
    (EVERY, "/v1/conversations", Under),
    (EVERY, "/v1/chat/completions", Under),
    (EVERY, "/v1/completions", Exact),
    (GET, "/v1/models", Under),
    (EVERY, "/v1/embeddings", Exact),
    (EVERY, "/v1/moderations", Exact),
    (EVERY, "/v1/images", Under),
    (EVERY, "/v1/audio", Under),
    (EVERY, "/v1/videos", Under),
    (EVERY, "/v1/files", Under),
    (EVERY, "/v1/uploads", Under),
    (EVERY, "/v1/batches", Under),
    (EVERY, "/v1/vector_stores", Under),
    (EVERY, "/v1/containers", Under),
    (EVERY, "/v1/evals", Under),
    (EVERY, "/v1/fine_tuning/jobs", Under),
    (EVERY, "/v1/fine_tuning/alpha/graders", Under),
    (EVERY, "/v1/realtime", Exact),
    (EVERY, "/v1/realtime/calls", Under),
];

/// States the rules of one grant.
///
/// A key is for every program: it also goes into requests that carry nothing. A login is for Codex,
/// which always sends its placeholder.
pub(crate) fn configure(
    proxy: &mut dyn ProxyConfigurer,
    kind: Kind,
    info: &CredentialInfo,
    run: &RunContext,
) -> Result<()> {
    let (host, rows) = match kind {
        Kind::ChatGpt => (CHATGPT_HOST, OF_LOGINS),
        Kind::ApiKey => (API_HOST, OF_KEYS),
    };
    for host in [host].into_iter().chain(backend_of(info)) {
        for row in rows {
            proxy.credential(credential(target(host, row)?, kind, info, run)?);
        }
    }
    if kind == Kind::ChatGpt {
        token_endpoint(info, run)?.into_iter().for_each(|answer| proxy.answer(answer));
    }
    Ok(())
}

/// Returns the host that the vendor has for the account's workspace, if it is one of its own: Codex
/// goes where the vendor says (0.169.0), which for some workspaces is on another continent.
pub(crate) fn backend_of(info: &CredentialInfo) -> Option<&str> {
    info.metadata(BACKEND).filter(|host| *host != CHATGPT_HOST && is_backend(host))
}

fn target(host: &str, (methods, path, extent): &Row) -> Result<Target> {
    let target = Target::host(host)?;
    let target = match extent {
        Exact => target.exact(path)?,
        Under => target.under(path)?,
    };
    match methods {
        [] => Ok(target),
        methods => target.methods(methods.iter().cloned()),
    }
}

fn credential(
    target: Target,
    kind: Kind,
    info: &CredentialInfo,
    run: &RunContext,
) -> Result<CredentialRule> {
    let serves = |path| target.path_pattern().matches(path);
    let path = [RESPONSES, CHATGPT_RESPONSES, MODELS].into_iter().find(|path| serves(path));
    let fill = match kind {
        Kind::ApiKey => Fill::EmptyOrPlaceholder,
        Kind::ChatGpt => Fill::PlaceholderOnly,
    };
    let secret = SecretRef::token(info.key());
    let mut rule = CredentialRule::new(target, AUTHORIZATION, HeaderTemplate::Bearer, secret)
        .placeholder(kind.placeholder(info, run)?)
        .fill(fill);
    for (header, value) in whose(kind, info)? {
        rule = rule.when_used(Companion::SetHeader(header, value));
    }
    if let Some(path) = path {
        rule = rule.when_used(said_of_401(info, path)?);
    }
    Ok(rule)
}

/// Says which account, organization and project pay. It is said here, so that the container cannot
/// choose another of the person's.
pub(crate) fn whose(kind: Kind, info: &CredentialInfo) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let headers: &[_] = match kind {
        Kind::ChatGpt => &[(ACCOUNT_ID, ACCOUNT)],
        Kind::ApiKey => &[(ORGANIZATION, ORGANIZATION_ID), (PROJECT, PROJECT_ID)],
    };
    let known = headers.iter().filter_map(|(header, entry)| Some((header, info.metadata(entry)?)));
    let headers = known.map(|(header, id)| {
        let value = HeaderValue::from_str(id).map_err(|_| {
            Error::invalid(format!("the id of the account of {} is malformed", info.key()))
                .with_hint(format!("moat grant {}", info.key()))
        })?;
        Ok((header.clone(), value))
    });
    headers.collect()
}

/// Says what to do about a credential that the vendor does not accept any more.
///
/// Codex shows what the answer says, and what it does next hangs on the status (0.169.0). To a 401 it
/// tries again for some seconds: time for the host, which has seen the vendor's own answer, to renew
/// a login. A 400 ends it at once, where nothing can be renewed. What it asks before the model it
/// asks about the account, and shows none of that answer: the list of models is where it shows one.
fn said_of_401(info: &CredentialInfo, path: &str) -> Result<Companion> {
    let grant = info.key();
    let message = format!(
        "OpenAI does not accept the credential of the grant {grant} any more. Outside of this \
         sandbox, run: moat grant {grant}"
    );
    let error = json!({
        "message": message,
        "type": "invalid_request_error",
        "param": null,
        "code": "invalid_api_key",
    });
    let body = json!({ "error": error }).to_string();
    let status = match path == MODELS || refresh::is_possible(info) {
        true => StatusCode::UNAUTHORIZED,
        false => StatusCode::BAD_REQUEST,
    };
    let answer = CannedAnswer::json(status, body);
    let path = PathPattern::under(path)?;
    Ok(Companion::RewriteAnswer(AnswerRewrite::new(path, StatusCode::UNAUTHORIZED, answer)))
}

/// Answers in the place of the vendor's token endpoint: whoever logs in or refreshes in the
/// container gets the placeholder that is there already, and whoever logs out ends nothing.
fn token_endpoint(info: &CredentialInfo, run: &RunContext) -> Result<[LocalAnswer; 2]> {
    let placeholder = Kind::ChatGpt.placeholder(info, run)?;
    let tokens = json!({
        "access_token": placeholder.as_str(),
        "id_token": placeholder.as_str(),
        "refresh_token": placeholder.as_str(),
        "token_type": "Bearer",
        "expires_in": 864_000,
    });
    let answer = |path: &str, body: String| {
        let target = Target::host(LOGIN_HOST)?.exact(path)?.methods([Method::POST])?;
        let answer = CannedAnswer::json(StatusCode::OK, body);
        Ok(LocalAnswer::new(info.key().provider().clone(), target, answer))
    };
    Ok([answer("/oauth/token", tokens.to_string())?, answer("/oauth/revoke", "{}".to_owned())?])
}

/// Answers what Codex with a key asks a host that has no use for a key: which models a ChatGPT account
/// has. It takes an empty list for "what I know myself"; refused, it asks for ten seconds (0.169.0).
pub(crate) fn no_models() -> Result<LocalAnswer> {
    let target = Target::host(CHATGPT_HOST)?.exact(MODELS)?.methods([Method::GET])?;
    let answer = CannedAnswer::json(StatusCode::OK, r#"{"models":[]}"#);
    Ok(LocalAnswer::new(OPENAI.clone(), target, answer))
}

/// Lets Codex leave WebSocket at once: it takes this status for an answer, and any other for a
/// reason to try again six times (0.169.0).
///
/// Without an upgrade these requests mean nothing to the vendor.
pub(crate) fn without_websocket(run: &RunContext) -> Result<Vec<LocalAnswer>> {
    let mut answers = Vec::new();
    for (kind, owner, host, path) in [
        (Kind::ChatGpt, &CODEX, CHATGPT_HOST, CHATGPT_RESPONSES),
        (Kind::ApiKey, &OPENAI, API_HOST, RESPONSES),
    ] {
        if kind.grant_of(run).is_some() {
            let backend = Kind::ChatGpt.grant_of(run).and_then(backend_of);
            let backend = backend.filter(|_| kind == Kind::ChatGpt);
            for host in [host].into_iter().chain(backend) {
                let target = Target::host(host)?.exact(path)?.methods([Method::GET])?;
                let answer = CannedAnswer::new(StatusCode::UPGRADE_REQUIRED);
                answers.push(LocalAnswer::new(owner.clone(), target, answer));
            }
        }
    }
    Ok(answers)
}
