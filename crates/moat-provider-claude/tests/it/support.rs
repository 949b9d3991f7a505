//! What several tests share: credentials, runs and an Anthropic.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName};
use http::{Request, Response};
use moat_provider_claude::{Anthropic, Claude};
use moat_provider_core::{
    AgentProvider, Alphabet, ContainerConfig, Credential, CredentialInfo, CredentialKey,
    CredentialProvider, ErrorKind, GrantError, GrantRequest, HostDir, HostFile, Placeholder,
    PrepareOpts, ProxyRules, Result, RunContext, Secret,
};
use moat_provider_testkit::golden::Picture;
use moat_provider_testkit::{Canary, Ports, Vendor, block_on, json, run_context};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) const OAUTH_PREFIX: &str = "sk-ant-oat01-";
pub(crate) const KEY_PREFIX: &str = "sk-ant-api03-";

pub(crate) fn key(text: &str) -> CredentialKey {
    text.parse().unwrap()
}

pub(crate) fn time(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

/// Draws a secret with one of the vendor's prefixes.
pub(crate) fn token(prefix: &str) -> Canary {
    Canary::shaped(prefix, Alphabet::Alphanumeric, 95)
}

/// Makes a credential as a grant would have made it.
pub(crate) fn credential(grant: &str, token: &Secret, source: &str) -> Credential {
    Credential::builder(key(grant), token.clone(), time("2026-11-01T00:00:00Z"))
        .metadata(Credential::TOKEN_SOURCE, source)
        .build()
}

/// Makes credentials of grants, each with a secret of its own.
pub(crate) fn granted(grants: &[&str]) -> Vec<Credential> {
    let make = |grant: &&str| {
        let prefix = if *grant == "claude" { OAUTH_PREFIX } else { KEY_PREFIX };
        credential(grant, &token(prefix).secret(), "prompt")
    };
    grants.iter().map(make).collect()
}

/// Makes a run with these grants, of which `default` is the default.
pub(crate) fn run(credentials: &[Credential], default: Option<&str>) -> RunContext {
    let mut run = run_context("golden").workspace("/workspace".parse().unwrap());
    for credential in credentials {
        run = run.grant(credential.info().clone());
    }
    if let Some(default) = default {
        run = run.default_grant(key(default));
    }
    run.build()
}

pub(crate) fn rules_of(info: &CredentialInfo, run: &RunContext) -> ProxyRules {
    let mut rules = ProxyRules::default();
    match info.key().provider().as_str() {
        "claude" => Claude::new().configure_proxy(&mut rules, info, run).unwrap(),
        "anthropic" => Anthropic::new().configure_proxy(&mut rules, info, run).unwrap(),
        // Other grants are of no vendor that is tested here.
        _ => {}
    }
    rules
}

pub(crate) fn placeholder(info: &CredentialInfo, run: &RunContext) -> Placeholder {
    rules_of(info, run).credentials()[0].placeholders()[0].clone()
}

/// A container with the grants' own parts and the agent's.
pub(crate) struct Container {
    pub(crate) credentials: Vec<Credential>,
    pub(crate) run: Arc<RunContext>,
    pub(crate) config: ContainerConfig,
}

/// Prepares a container.
pub(crate) fn prepare(
    claude: &Claude,
    ports: &Ports,
    grants: &[&str],
    default: Option<&str>,
    change: impl FnOnce(&mut PrepareOpts),
) -> Result<Container> {
    let credentials = granted(grants);
    let run = Arc::new(run(&credentials, default));
    let mut opts = PrepareOpts::new(Arc::clone(&run), credentials.clone());
    change(&mut opts);
    let cx = ports.host_context();
    let config = block_on(claude.prepare_container(&cx, &opts))?;
    Ok(Container { credentials, run, config })
}

impl Container {
    /// Shows everything that is staged, with names in the place of placeholders and drawn ids.
    pub(crate) fn picture(&self, claude: &Claude) -> String {
        let infos = |provider: &str| -> Vec<&CredentialInfo> {
            let infos = self.credentials.iter().map(Credential::info);
            infos.filter(|info| info.key().provider().as_str() == provider).collect()
        };
        let (subscriptions, keys) = (infos("claude"), infos("anthropic"));
        let mut mounts = moat_provider_core::ContainerMounts::default();
        mounts.files.clone_from(&self.config.files);
        mounts.mounts.clone_from(&self.config.mounts);
        let mut picture = Picture::new()
            .env(&Anthropic::new().container_env(&keys, &self.run).unwrap())
            .env(&self.config.env)
            .mounts(&claude.container_mounts(&subscriptions, &self.run).unwrap())
            .mounts(&mounts);
        for info in subscriptions.iter().chain(&keys) {
            let placeholder = placeholder(info, &self.run);
            picture = picture.placeholder(&info.key().to_string(), &placeholder);
        }
        let mut text = picture.to_string();
        if let Some(key) = keys.first() {
            let placeholder = placeholder(key, &self.run);
            let end = &placeholder.as_str()[placeholder.as_str().len() - 20..];
            text = text.replace(end, "<end of placeholder:anthropic>");
        }
        text
    }

    /// Returns what stands in a file below the home directory.
    pub(crate) fn file(&self, path: &str) -> Option<String> {
        let path = self.run.home().join(path).unwrap();
        let file = self.config.files.iter().find(|file| *file.path() == path)?;
        Some(String::from_utf8(file.contents().to_vec()).unwrap())
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.file(path).unwrap()).unwrap()
    }
}

/// Names a file of the person's Claude Code as the crate does.
pub(crate) fn host_file(path: &'static str) -> HostFile {
    HostFile::new(format!("claude/{path}"))
        .at(HostDir::Variable("CLAUDE_CONFIG_DIR"), path)
        .at(HostDir::Home, format!(".claude/{path}"))
}

pub(crate) fn grant(
    ports: &Ports,
    grant: &str,
    source: Option<&str>,
) -> Result<Credential, GrantError> {
    let options = source.map(|source| ("source", source));
    let (claude, anthropic) = (Claude::new(), Anthropic::new());
    let provider: &dyn CredentialProvider = match grant {
        "claude" => &claude,
        _ => &anthropic,
    };
    let request =
        GrantRequest::with_options(key(grant), provider.grant_options(), options).unwrap();
    block_on(provider.grant(&ports.grant_context(), &request))
}

pub(crate) fn table(text: &str) -> Vec<Value> {
    let table: Value = serde_json::from_str(text).unwrap();
    table.as_array().unwrap().clone()
}

/// Names a kind as the tables do.
pub(crate) fn kind_name(kind: ErrorKind) -> String {
    format!("{kind:?}")
}

/// Anthropic's API, which knows some tokens and keys.
#[derive(Default)]
pub(crate) struct Accounts {
    known: Vec<Secret>,
}

impl Accounts {
    pub(crate) fn knowing<'c>(known: impl IntoIterator<Item = &'c Canary>) -> Self {
        Self { known: known.into_iter().map(Canary::secret).collect() }
    }

    #[expect(clippy::disallowed_methods, reason = "the vendor looks at what it was sent")]
    fn knows(&self, sent: &str) -> bool {
        self.known.iter().any(|known| known.expose() == sent)
    }
}

impl Vendor for Accounts {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let header = |name: &HeaderName| request.headers().get(name)?.to_str().ok();
        let bearer = header(&AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let key = header(&HeaderName::from_static("x-api-key"));
        let beta = header(&HeaderName::from_static("anthropic-beta"));
        let version = header(&HeaderName::from_static("anthropic-version"));
        let known = match (bearer, key) {
            (Some(token), None) => token.starts_with("sk-ant-oat") && self.knows(token),
            (None, Some(key)) => key.starts_with("sk-ant-api") && self.knows(key),
            _ => false,
        };
        let refused = |status, kind: &str| {
            let error = json!({"type": kind, "message": "refused"});
            json(status, &json!({"type": "error", "error": error}))
        };
        if version != Some("2023-06-01") {
            return refused(400, "invalid_request_error");
        }
        if !known {
            return refused(401, "authentication_error");
        }
        match (request.method().as_str(), request.uri().path(), bearer.is_some()) {
            ("GET", "/v1/models", false) => json(200, &json!({"data": [], "has_more": false})),
            ("POST", "/v1/messages", true) if beta == Some("oauth-2025-04-20") => {
                let body: Value = serde_json::from_slice(request.body()).unwrap();
                // Other models want the system prompt of Claude Code.
                match body["model"].as_str().is_some_and(|m| m.starts_with("claude-haiku-")) {
                    true => json(200, &json!({"type": "message", "role": "assistant"})),
                    false => refused(400, "invalid_request_error"),
                }
            }
            _ => refused(404, "not_found_error"),
        }
    }
}
