//! What several tests share: credentials, runs and a Google.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName};
use http::{Request, Response};
use moat_provider_core::{
    AgentProvider, Alphabet, ContainerConfig, ContainerMounts, Credential, CredentialInfo,
    CredentialKey, CredentialProvider, ErrorKind, GrantError, GrantRequest, HostDir, HostFile,
    Placeholder, PrepareOpts, ProxyRules, Result, RunContext, Secret, SecretName,
};
use moat_provider_gemini::{Gemini, OAuthClient};
use moat_provider_testkit::golden::Picture;
use moat_provider_testkit::{Canary, Ports, Vendor, block_on, json, run_context};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) fn key(text: &str) -> CredentialKey {
    text.parse().unwrap()
}

pub(crate) fn time(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

/// Draws an API key.
pub(crate) fn api_key() -> Canary {
    Canary::shaped("AIza", Alphabet::Base64Url, 35)
}

/// Draws an access token.
pub(crate) fn access_token() -> Canary {
    Canary::shaped("ya29.", Alphabet::Base64Url, 160)
}

/// Draws a refresh token.
pub(crate) fn refresh_token() -> Canary {
    Canary::shaped("1//", Alphabet::Base64Url, 100)
}

/// The OAuth client of these tests.
pub(crate) fn client(secret: &Canary) -> OAuthClient {
    OAuthClient::new("client.example", secret.secret())
}

/// Makes a credential as a grant would have made it.
pub(crate) fn credential(token: &Secret, source: &str) -> Credential {
    let mut credential =
        Credential::builder(key("gemini"), token.clone(), time("2026-11-01T00:00:00Z"))
            .metadata(Credential::TOKEN_SOURCE, source);
    if matches!(source, "login" | "import") {
        credential = credential
            .metadata("auth_type", "oauth")
            .metadata("google_subject", "1234567890")
            .expires_at(time("2026-11-01T01:00:00Z"));
    }
    credential.build()
}

/// Makes a login of its own.
pub(crate) fn login(token: &Secret, refresh: &Canary, secret: &Canary) -> Credential {
    credential(token, "login")
        .renew()
        .secret(SecretName::REFRESH_TOKEN, refresh.secret())
        .secret("client_secret".parse().unwrap(), secret.secret())
        .metadata("google_client_id", "client.example")
        .build()
}

/// Makes a credential of each kind.
pub(crate) fn granted(source: &str) -> Credential {
    match source {
        "login" | "import" => credential(&access_token().secret(), source),
        _ => credential(&api_key().secret(), source),
    }
}

/// Makes a run with these grants.
pub(crate) fn run(credentials: &[Credential]) -> RunContext {
    let run = run_context("golden").workspace("/workspace".parse().unwrap());
    credentials.iter().fold(run, |run, credential| run.grant(credential.info().clone())).build()
}

pub(crate) fn rules_of(info: &CredentialInfo, run: &RunContext) -> ProxyRules {
    let mut rules = ProxyRules::default();
    Gemini::new().configure_proxy(&mut rules, info, run).unwrap();
    rules
}

pub(crate) fn placeholder(info: &CredentialInfo, run: &RunContext) -> Placeholder {
    rules_of(info, run).credentials()[0].placeholders()[0].clone()
}

/// A container with the grant's own part and the agent's.
pub(crate) struct Container {
    pub(crate) credentials: Vec<Credential>,
    pub(crate) run: Arc<RunContext>,
    pub(crate) config: ContainerConfig,
}

/// Prepares a container.
pub(crate) fn prepare(
    gemini: &Gemini,
    ports: &Ports,
    credentials: Vec<Credential>,
    change: impl FnOnce(&mut PrepareOpts),
) -> Result<Container> {
    let run = Arc::new(run(&credentials));
    let mut opts = PrepareOpts::new(Arc::clone(&run), credentials.clone());
    change(&mut opts);
    let config = block_on(gemini.prepare_container(&ports.host_context(), &opts))?;
    Ok(Container { credentials, run, config })
}

impl Container {
    /// Shows everything that is staged, with names in the place of placeholders.
    pub(crate) fn picture(&self) -> String {
        let infos: Vec<&CredentialInfo> = self.credentials.iter().map(Credential::info).collect();
        let infos: Vec<_> =
            infos.into_iter().filter(|info| info.key().provider().as_str() == "gemini").collect();
        let mut mounts = ContainerMounts::default();
        mounts.files.clone_from(&self.config.files);
        mounts.mounts.clone_from(&self.config.mounts);
        let mut picture = Picture::new()
            .env(&Gemini::new().container_env(&infos, &self.run).unwrap())
            .env(&self.config.env)
            .mounts(&mounts);
        for info in infos {
            picture = picture.placeholder("gemini", &placeholder(info, &self.run));
        }
        picture.to_string()
    }

    /// Returns what stands in a file below the home directory.
    pub(crate) fn file(&self, path: &str) -> Option<String> {
        let path = self.run.home().join(path).unwrap();
        let file = self.config.files.iter().find(|file| *file.path() == path)?;
        Some(String::from_utf8(file.contents().to_vec()).unwrap())
    }
}

/// Names a file of the person's Gemini CLI as the crate does.
pub(crate) fn host_file(name: &'static str) -> HostFile {
    let path = format!(".gemini/{name}");
    HostFile::new(format!("gemini/{name}"))
        .at(HostDir::Variable("GEMINI_CLI_HOME"), path.clone())
        .at(HostDir::Home, path)
}

pub(crate) fn grant(
    gemini: &Gemini,
    ports: &Ports,
    source: Option<&str>,
) -> Result<Credential, GrantError> {
    let options = source.map(|source| ("source", source));
    let request =
        GrantRequest::with_options(key("gemini"), gemini.grant_options(), options).unwrap();
    block_on(gemini.grant(&ports.grant_context(), &request))
}

pub(crate) fn table(text: &str) -> Vec<Value> {
    let table: Value = serde_json::from_str(text).unwrap();
    table.as_array().unwrap().clone()
}

/// Names a kind as the tables do.
pub(crate) fn kind_name(kind: ErrorKind) -> String {
    format!("{kind:?}")
}

/// Google's servers, which know some credentials.
#[derive(Default)]
pub(crate) struct Google {
    known: Vec<Secret>,
    issues: Option<Secret>,
    refresh: Option<Secret>,
    client_secret: Option<Secret>,
    lifetime: Option<Value>,
    subject: Option<&'static str>,
}

impl Google {
    pub(crate) fn knowing<'c>(known: impl IntoIterator<Item = &'c Canary>) -> Self {
        let known = known.into_iter().map(Canary::secret).collect();
        Self { known, lifetime: Some(json!(3599)), subject: Some("1234567890"), ..Self::default() }
    }

    /// Issues this access token for a code or a refresh token, to the client with this secret.
    pub(crate) fn issues(mut self, token: &Canary, client_secret: &Canary) -> Self {
        self.issues = Some(token.secret());
        self.client_secret = Some(client_secret.secret());
        self
    }

    /// Issues a refresh token for a code, and takes it.
    pub(crate) fn refresh(mut self, token: &Canary) -> Self {
        self.refresh = Some(token.secret());
        self
    }

    pub(crate) fn lifetime(mut self, lifetime: Value) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    pub(crate) fn subject(mut self, subject: &'static str) -> Self {
        self.subject = Some(subject);
        self
    }

    #[expect(clippy::disallowed_methods, reason = "the vendor looks at what it was sent")]
    fn knows(&self, sent: &str) -> bool {
        self.known.iter().any(|known| known.expose() == sent)
    }

    #[expect(clippy::disallowed_methods, reason = "the vendor issues and compares tokens")]
    fn token(&self, form: &[(String, String)]) -> Response<Bytes> {
        let field = |name: &str| {
            let found = form.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        let is = |sent: Option<&str>, own: &Option<Secret>| {
            sent.is_some() && sent == own.as_ref().map(Secret::expose)
        };
        if field("client_id") != Some("client.example")
            || !is(field("client_secret"), &self.client_secret)
        {
            return json(401, &json!({"error": "invalid_client"}));
        }
        let issued = self.issues.as_ref().map(Secret::expose);
        let mut body = json!({
            "access_token": issued, "expires_in": self.lifetime, "token_type": "Bearer",
        });
        match field("grant_type") {
            Some("authorization_code")
                if field("code") == Some("4/a b")
                    && field("code_verifier").is_some_and(|verifier| verifier.len() == 43)
                    && field("redirect_uri") == Some("http://127.0.0.1:49152/oauth2callback") =>
            {
                body["refresh_token"] = json!(self.refresh.as_ref().map(Secret::expose));
                json(200, &body)
            }
            Some("refresh_token") if is(field("refresh_token"), &self.refresh) => json(200, &body),
            _ => json(400, &json!({"error": "invalid_grant", "error_description": "no"})),
        }
    }
}

impl Vendor for Google {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let header = |name: &HeaderName| request.headers().get(name)?.to_str().ok();
        let bearer = header(&AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let key = header(&HeaderName::from_static("x-goog-api-key"));
        let form: Vec<(String, String)> = String::from_utf8_lossy(request.body())
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| {
                (name.to_owned(), percent_decode_str(value).decode_utf8_lossy().into_owned())
            })
            .collect();
        match (request.method().as_str(), request.uri().path()) {
            ("GET", "/v1beta/models") => match key.filter(|key| self.knows(key)) {
                Some(_) => json(200, &json!({"models": []})),
                None => json(400, &json!({"error": {"code": 400, "status": "INVALID_ARGUMENT"}})),
            },
            ("POST", "/tokeninfo") => match bearer.filter(|token| self.knows(token)) {
                Some(_) => json(200, &json!({"scope": "openid", "sub": self.subject})),
                None => json(400, &json!({"error": "invalid_token"})),
            },
            ("POST", "/token") => self.token(&form),
            ("POST", "/revoke") => {
                let token = form.iter().find(|(name, _)| name == "token");
                match token.is_some_and(|(_, token)| self.knows(token)) {
                    true => json(200, &json!({})),
                    false => json(400, &json!({"error": "invalid_token"})),
                }
            }
            _ => json(404, &json!({})),
        }
    }
}
