//! Where key and token go on the wire.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use moat_provider_core::{
    AnswerRewrite, CannedAnswer, Companion, CredentialInfo, CredentialRule, Fill, HeaderTemplate,
    LocalAnswer, PathPattern, ProxyConfigurer, Result, RunContext, SecretRef, Slot, SlotGroup,
    Target, TransformRule,
};
use serde_json::json;

use crate::api::{API_KEY, KEY_HOST, TOKEN_HOST};
use crate::kind::{self, Kind, NAME};
use crate::rejected::{QUERY_KEYS, RejectedKey};

/// Google's server for Gemini Code Assist, for logins.
pub(crate) const LOGIN_HOST: &str = "cloudcode-pa.googleapis.com";

const VERSIONS: [&str; 3] = ["v1", "v1alpha", "v1beta"];

/// What a key is used for, below each version: models and what they work on. Ephemeral tokens
/// (`auth_tokens`) and who else may use a tuned model or a corpus (`permissions`) are not.
///
/// Source: Gemini API docs, "All methods".
const RESOURCES: [&str; 7] =
    ["models", "files", "cachedContents", "batches", "operations", "fileSearchStores", "openai"];

/// The rest of the API: uploads, downloads, and the Live API, which is a WebSocket.
const BESIDE: [&str; 3] = [
    "/upload/v1beta",
    "/download/v1beta",
    "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
];

/// What Gemini CLI asks with a login (0.61.0), all by `POST` but for settings and operations.
const METHODS: [&str; 9] = [
    "countTokens",
    "fetchAdminControls",
    "generateContent",
    "listExperiments",
    "loadCodeAssist",
    "onboardUser",
    "recordCodeAssistMetrics",
    "retrieveUserQuota",
    "streamGenerateContent",
];

/// States the rules of one grant.
pub(crate) fn configure(
    proxy: &mut dyn ProxyConfigurer,
    info: &CredentialInfo,
    run: &RunContext,
) -> Result<()> {
    match Kind::of(info) {
        Kind::ApiKey => key(proxy, info, run),
        Kind::OAuth => login(proxy, info, run),
    }
}

/// Clients send a key in the header, as a bearer (OpenAI's SDKs) or in the query (Google's own
/// examples): it goes out in the header alone.
fn key(proxy: &mut dyn ProxyConfigurer, info: &CredentialInfo, run: &RunContext) -> Result<()> {
    let placeholder = kind::placeholder(info, run)?;
    let slots = SlotGroup::new(
        "gemini-api",
        [
            Slot::Header(API_KEY),
            Slot::Header(AUTHORIZATION),
            Slot::QueryKey(QUERY_KEYS[0].into()),
            Slot::QueryKey(QUERY_KEYS[1].into()),
        ],
    );
    let resources = VERSIONS
        .iter()
        .flat_map(|version| RESOURCES.iter().map(move |resource| format!("/{version}/{resource}")));
    let beside = BESIDE.iter().map(|path| (*path).to_owned());
    let rejected = Arc::new(RejectedKey::new(info, placeholder.clone()));
    for path in resources.chain(beside) {
        let target = Target::host(KEY_HOST)?.under(&path)?;
        // Not for the whole host: a strict run may go wherever a rule is.
        proxy.transform(TransformRule::new(NAME.clone(), target.clone(), rejected.clone()));
        proxy.credential(
            CredentialRule::new(target, API_KEY, HeaderTemplate::Raw, SecretRef::token(info.key()))
                .placeholder(placeholder.clone())
                .group(slots.clone())
                .when_used(Companion::RemoveHeader(AUTHORIZATION)),
        );
    }
    Ok(())
}

fn login(proxy: &mut dyn ProxyConfigurer, info: &CredentialInfo, run: &RunContext) -> Result<()> {
    let placeholder = kind::placeholder(info, run)?;
    let mut bearer = |target: Target, companion: Option<Companion>| {
        let secret = SecretRef::token(info.key());
        let rule = CredentialRule::new(target, AUTHORIZATION, HeaderTemplate::Bearer, secret)
            .placeholder(placeholder.clone())
            .fill(Fill::PlaceholderOnly);
        proxy.credential(match companion {
            Some(companion) => rule.when_used(companion),
            None => rule,
        });
    };
    for method in METHODS {
        let path = format!("/v1internal:{method}");
        let target = Target::host(LOGIN_HOST)?.exact(&path)?.methods([Method::POST])?;
        bearer(target, Some(said_of_401(info, &path)?));
    }
    let settings = "CodeAssistGlobalUserSetting";
    for (method, name) in [(Method::GET, "get"), (Method::POST, "set")] {
        let path = format!("/v1internal:{name}{settings}");
        bearer(Target::host(LOGIN_HOST)?.exact(&path)?.methods([method])?, None);
    }
    let operations = Target::host(LOGIN_HOST)?.under("/v1internal/operations")?;
    bearer(operations.methods([Method::GET])?, None);
    let what_one_may = Target::host(TOKEN_HOST)?.exact("/tokeninfo")?;
    bearer(what_one_may.methods([Method::GET, Method::POST])?, None);
    for answer in answers(info, placeholder.as_str())? {
        proxy.answer(answer);
    }
    Ok(())
}

/// Says what to do about a login that Google does not accept any more. Gemini CLI shows what the answer
/// says (0.61.0), and the host has seen the vendor's own before.
fn said_of_401(info: &CredentialInfo, path: &str) -> Result<Companion> {
    let grant = info.key();
    let message = format!(
        "Google does not accept the login of the grant {grant} any more. Outside of this sandbox, \
         run: moat grant {grant}"
    );
    let error = json!({ "code": 401, "message": message, "status": "UNAUTHENTICATED" });
    let body = json!({ "error": error }).to_string();
    let answer = CannedAnswer::json(StatusCode::UNAUTHORIZED, body);
    let path = PathPattern::exact(path)?;
    Ok(Companion::RewriteAnswer(AnswerRewrite::new(path, StatusCode::UNAUTHORIZED, answer)))
}

/// Answers in Google's place: whoever refreshes in the container gets the placeholder that is there
/// already, nothing is ended from inside, and the container is not told whose account it uses.
fn answers(info: &CredentialInfo, placeholder: &str) -> Result<[LocalAnswer; 3]> {
    let owner = info.key().provider();
    let answer = |host: &str, path: &str, method: Method, answer: CannedAnswer| {
        let target = Target::host(host)?.exact(path)?.methods([method])?;
        Ok(LocalAnswer::new(owner.clone(), target, answer))
    };
    let token = json!({
        "access_token": placeholder,
        "expires_in": 3600,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "token_type": "Bearer",
    });
    let token = CannedAnswer::json(StatusCode::OK, token.to_string());
    let refused = |message: &str| {
        let error =
            json!({ "error": { "code": 403, "message": message, "status": "PERMISSION_DENIED" } });
        CannedAnswer::json(StatusCode::FORBIDDEN, error.to_string())
    };
    Ok([
        answer(TOKEN_HOST, "/token", Method::POST, token)?,
        answer(
            TOKEN_HOST,
            "/revoke",
            Method::POST,
            refused("A login is ended outside of this sandbox: moat revoke gemini"),
        )?,
        answer(
            "www.googleapis.com",
            "/oauth2/v2/userinfo",
            Method::GET,
            refused("Whose account this is stays outside of this sandbox."),
        )?,
    ])
}
