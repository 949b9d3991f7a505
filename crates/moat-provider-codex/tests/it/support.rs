//! What several tests share: credentials, runs and an OpenAI.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{Request, Response};
use moat_provider_codex::{Codex, OpenAi};
use moat_provider_core::{
    AgentProvider, Alphabet, ContainerConfig, ContainerMounts, Credential, CredentialInfo,
    CredentialKey, CredentialProvider, ErrorKind, GrantError, GrantRequest, HostDir, HostFile,
    Placeholder, PrepareOpts, ProxyRules, Result, RunContext, Secret, SecretName,
};
use moat_provider_testkit::golden::Picture;
use moat_provider_testkit::{Canary, Ports, Vendor, block_on, json, run_context};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The account that every login here is for.
pub(crate) const ACCOUNT: &str = "11111111-2222-4333-8444-555555555555";
/// When the tokens of logins end, unless a test says otherwise.
pub(crate) const END: &str = "2026-11-30T12:00:00Z";

pub(crate) fn key(text: &str) -> CredentialKey {
    text.parse().unwrap()
}

pub(crate) fn time(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

/// Draws an API key.
pub(crate) fn api_key() -> Canary {
    Canary::shaped("sk-proj-", Alphabet::Alphanumeric, 156)
}

/// Draws a token that a person makes for programs.
pub(crate) fn access_token() -> Canary {
    Canary::shaped("at-", Alphabet::Alphanumeric, 60)
}

/// Draws a token of a login, with its claims.
pub(crate) fn login_token(end: &str) -> Canary {
    let claims = json!({
        "exp": time(end).unix_timestamp(),
        "https://api.openai.com/auth": {
            "chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "pro",
        },
    });
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let start = format!("{}.{}.", part(r#"{"alg":"RS256"}"#), part(&claims.to_string()));
    Canary::shaped(&start, Alphabet::Base64Url, 86)
}

/// Draws a refresh token.
pub(crate) fn refresh_token() -> Canary {
    Canary::shaped("rt_", Alphabet::Base64Url, 80)
}

/// Makes a credential as a grant would have made it.
pub(crate) fn credential(grant: &str, token: &Secret, source: &str) -> Credential {
    let mut credential =
        Credential::builder(key(grant), token.clone(), time("2026-11-01T00:00:00Z"))
            .metadata(Credential::TOKEN_SOURCE, source);
    if grant == "codex" {
        credential = credential.metadata("codex_account_id", ACCOUNT).metadata("codex_plan", "pro");
        if matches!(source, "device" | "import") {
            credential = credential.expires_at(time(END));
        }
    }
    credential.build()
}

/// Makes a login of its own.
pub(crate) fn login(token: &Secret, refresh: &Canary) -> Credential {
    let login = credential("codex", token, "device").renew();
    login.secret(SecretName::REFRESH_TOKEN, refresh.secret()).build()
}

/// Makes a credential of each kind: `openai`, else a source of `codex`.
pub(crate) fn granted(what: &str) -> Credential {
    match what {
        "openai" => credential("openai", &api_key().secret(), "prompt"),
        "device" => login(&login_token(END).secret(), &refresh_token()),
        "import" => credential("codex", &login_token(END).secret(), "import"),
        source => credential("codex", &access_token().secret(), source),
    }
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
        "codex" => Codex::new().configure_proxy(&mut rules, info, run).unwrap(),
        "openai" => OpenAi::new().configure_proxy(&mut rules, info, run).unwrap(),
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
    codex: &Codex,
    ports: &Ports,
    credentials: Vec<Credential>,
    default: Option<&str>,
    change: impl FnOnce(&mut PrepareOpts),
) -> Result<Container> {
    let run = Arc::new(run(&credentials, default));
    let mut opts = PrepareOpts::new(Arc::clone(&run), credentials.clone());
    change(&mut opts);
    let config = block_on(codex.prepare_container(&ports.host_context(), &opts))?;
    Ok(Container { credentials, run, config })
}

impl Container {
    fn infos(&self, provider: &str) -> Vec<&CredentialInfo> {
        let infos = self.credentials.iter().map(Credential::info);
        infos.filter(|info| info.key().provider().as_str() == provider).collect()
    }

    /// Shows everything that is staged, with names in the place of placeholders.
    pub(crate) fn picture(&self) -> String {
        let (logins, keys) = (self.infos("codex"), self.infos("openai"));
        let mut mounts = ContainerMounts::default();
        mounts.files.clone_from(&self.config.files);
        mounts.mounts.clone_from(&self.config.mounts);
        let mut picture = Picture::new()
            .env(&OpenAi::new().container_env(&keys, &self.run).unwrap())
            .env(&self.config.env)
            .mounts(&Codex::new().container_mounts(&logins, &self.run).unwrap())
            .mounts(&mounts);
        for info in logins.iter().chain(&keys) {
            let placeholder = placeholder(info, &self.run);
            picture = picture.placeholder(&info.key().to_string(), &placeholder);
        }
        picture.to_string()
    }

    /// Returns what stands in a file below the home directory.
    pub(crate) fn file(&self, path: &str) -> Option<String> {
        let path = self.run.home().join(path).unwrap();
        let of_login =
            Codex::new().container_mounts(&self.infos("codex"), &self.run).unwrap().files;
        let file = self.config.files.iter().chain(&of_login).find(|file| *file.path() == path)?;
        Some(String::from_utf8(file.contents().to_vec()).unwrap())
    }
}

/// Names a file of the person's Codex as the crate does.
pub(crate) fn host_file(name: &'static str) -> HostFile {
    HostFile::new(format!("codex/{name}"))
        .at(HostDir::Variable("CODEX_HOME"), name)
        .at(HostDir::Home, format!(".codex/{name}"))
}

/// The login file of Codex.
pub(crate) fn login_file(token: &str) -> Value {
    json!({
        "auth_mode": "chatgpt",
        "tokens": {
            "id_token": "e30.e30.x", "access_token": token, "refresh_token": "rt_of-codex",
            "account_id": ACCOUNT,
        },
        "last_refresh": "2026-11-01T00:00:00Z",
    })
}

pub(crate) fn grant(
    ports: &Ports,
    grant: &str,
    options: &[(&str, &str)],
) -> Result<Credential, GrantError> {
    let (codex, openai) = (Codex::new(), OpenAi::new());
    let provider: &dyn CredentialProvider = match grant {
        "codex" => &codex,
        _ => &openai,
    };
    let options = options.iter().copied();
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

/// OpenAI's servers, which know some credentials.
#[derive(Default)]
pub(crate) struct Servers {
    known: Vec<Secret>,
    issues: Option<Secret>,
    refresh: Option<Secret>,
    /// How often the code has not been entered yet.
    pending: std::sync::atomic::AtomicUsize,
    backend: Option<String>,
    device: Device,
}

/// What becomes of a device login.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Device {
    #[default]
    Allowed,
    /// The person has not switched it on.
    Forbidden,
    /// There is no refresh token in the end.
    Incomplete,
    /// What comes back is no code.
    Refused,
}

impl Servers {
    pub(crate) fn knowing<'c>(known: impl IntoIterator<Item = &'c Canary>) -> Self {
        Self { known: known.into_iter().map(Canary::secret).collect(), ..Self::default() }
    }

    /// Issues these tokens for a code, and the first for the second.
    pub(crate) fn issues(mut self, token: &Canary, refresh: &Canary) -> Self {
        self.issues = Some(token.secret());
        self.refresh = Some(refresh.secret());
        self
    }

    pub(crate) fn pending(mut self, times: usize) -> Self {
        self.pending = times.into();
        self
    }

    pub(crate) fn backend(mut self, origin: &str) -> Self {
        self.backend = Some(origin.to_owned());
        self
    }

    pub(crate) fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    #[expect(clippy::disallowed_methods, reason = "the vendor looks at what it was sent")]
    fn knows(&self, sent: Option<&str>) -> bool {
        sent.is_some_and(|sent| self.known.iter().any(|known| known.expose() == sent))
    }

    #[expect(clippy::disallowed_methods, reason = "the vendor issues tokens")]
    fn tokens(&self) -> Value {
        let refresh = self.refresh.as_ref().filter(|_| self.device != Device::Incomplete);
        json!({
            "access_token": self.issues.as_ref().map(Secret::expose),
            "id_token": self.issues.as_ref().map(Secret::expose),
            "refresh_token": refresh.map(Secret::expose),
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the vendor compares tokens")]
    fn is_refresh_token(&self, sent: &Value) -> bool {
        self.refresh.as_ref().is_some_and(|own| sent == own.expose())
    }

    fn login(&self, path: &str, sent: &Value, form: &str) -> Response<Bytes> {
        use std::sync::atomic::Ordering::SeqCst;
        let gone = || json(401, &json!({"error": {"code": "refresh_token_invalidated"}}));
        match path {
            "/api/accounts/deviceauth/usercode" => match self.device {
                Device::Forbidden => json(403, &json!({})),
                _ => json(200, &json!({"device_auth_id": "d", "user_code": "AB12-CD34"})),
            },
            "/api/accounts/deviceauth/token" => {
                let waiting = self.pending.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
                match waiting {
                    Ok(_) => json(403, &json!({"error": "pending"})),
                    Err(_) if self.device == Device::Refused => json(200, &json!({})),
                    Err(_) => {
                        json(200, &json!({"authorization_code": "c d", "code_verifier": "v"}))
                    }
                }
            }
            "/oauth/token"
                if form.contains("&code=c%20d&") && form.ends_with("code_verifier=v") =>
            {
                json(200, &self.tokens())
            }
            "/oauth/token" if self.is_refresh_token(&sent["refresh_token"]) => {
                json(200, &self.tokens())
            }
            "/oauth/revoke" if self.is_refresh_token(&sent["token"]) => json(200, &json!({})),
            _ => gone(),
        }
    }
}

impl Vendor for Servers {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let header = |name: &HeaderName| request.headers().get(name)?.to_str().ok();
        let bearer = header(&AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let is_known = self.knows(bearer);
        let account = header(&HeaderName::from_static("chatgpt-account-id"));
        let form = match header(&CONTENT_TYPE) {
            Some("application/x-www-form-urlencoded") => String::from_utf8_lossy(request.body()),
            _ => "".into(),
        };
        let sent: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let refused = json(401, &json!({"error": {"code": "invalid_api_key"}}));
        match (request.method().as_str(), request.uri().path()) {
            ("GET", "/v1/models") if is_known => json(200, &json!({"data": []})),
            ("GET", "/backend-api/wham/accounts/check") if is_known => match account {
                Some(ACCOUNT) => {
                    let own = json!({"id": ACCOUNT, "workspace_backend_origin": self.backend});
                    json(200, &json!({"accounts": [{"id": "another"}, own]}))
                }
                _ => json(403, &json!({})),
            },
            ("GET", "/api/accounts/v1/user-auth-credential/whoami") if is_known => {
                json(200, &json!({"chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "pro"}))
            }
            ("GET", _) => refused,
            (_, path) => self.login(path, &sent, &form),
        }
    }
}
