//! An agent that mints: its container asks an endpoint for what was derived from the credential.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue};
use http::{Request, Response};
use moat_provider_core::*;
use moat_provider_testkit::conformance::{Capability, Expect};
use moat_provider_testkit::{
    Canary, FakeEnvironment, FakeTerminal, Vendor, empty, json, requires_bearer,
};
use serde_json::json;

/// What the broker can get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    MintsAnother,
    MintsOverStored,
    BodyInMintError,
    CacheableAnswer,
    AnswersWithoutSecrets,
    RegistersNothing,
    ServesStoredToken,
    ChoosesStranger,
    StartsNothing,
    TokenInFile,
    TokenInState,
    HookKeepsToken,
    DeclaresIssuing,
    DiagnosisAsks,
    DiagnosisRambles,
}

static NAME: ProviderName = ProviderName::from_static("broker");
const SESSION: SecretName = SecretName::from_static("session");
const HOST: &str = "sts.example.com";
const HELP: &str = "run: moat grant broker";

#[derive(Debug)]
pub(crate) struct Broker {
    defect: Option<Defect>,
    minted: Vec<SecretName>,
    kept: Mutex<Option<Secret>>,
}

impl Broker {
    pub(crate) fn correct() -> Self {
        Self { defect: None, minted: vec![SESSION], kept: Mutex::default() }
    }

    pub(crate) fn broken(defect: Defect) -> Self {
        let minted = match defect {
            Defect::MintsOverStored => SecretName::TOKEN,
            _ => SESSION,
        };
        Self { defect: Some(defect), minted: vec![minted], kept: Mutex::default() }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    async fn post(&self, cx: &HostContext, token: &Secret) -> Result<Response<Bytes>> {
        let request = Request::post(format!("https://{HOST}/session"))
            .header(AUTHORIZATION, HeaderTemplate::Bearer.render(token)?)
            .body(Bytes::new());
        let answer = cx.http().send(request.unwrap()).await.map_err(|e| e.with_hint(HELP))?;
        let kind = match answer.status().as_u16() {
            201 => return Ok(answer),
            401 => ErrorKind::Unauthenticated,
            429 => ErrorKind::RateLimited,
            500.. => ErrorKind::Unavailable,
            _ => ErrorKind::UnexpectedAnswer,
        };
        if self.has(Defect::BodyInMintError) {
            let body = String::from_utf8_lossy(answer.body()).into_owned();
            return Err(Error::new(kind, body).with_hint(HELP));
        }
        Err(Error::new(kind, "the vendor makes no session").with_hint(HELP))
    }
}

impl Provider for Broker {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }

    fn as_agent(&self) -> Option<&dyn AgentProvider> {
        Some(self)
    }

    fn as_endpoint(&self) -> Option<&dyn EndpointProvider> {
        Some(self)
    }

    fn as_minting(&self) -> Option<&dyn MintingProvider> {
        Some(self)
    }

    fn as_run_stopped_hook(&self) -> Option<&dyn RunStoppedHook> {
        Some(self)
    }

    fn as_diagnosable(&self) -> Option<&dyn DiagnosableProvider> {
        Some(self)
    }
}

impl CredentialProvider for Broker {
    fn grant<'a>(
        &'a self,
        cx: &'a GrantContext,
        request: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        Box::pin(async move {
            let token = cx.terminal().ask_secret("Key").await;
            let token = token.map_err(|error| error.with_hint(HELP).in_grant_of(&NAME))?;
            if token.is_empty() {
                let error = Error::new(ErrorKind::CredentialNotFound, "there is no key");
                return Err(error.with_hint(HELP).in_grant_of(&NAME));
            }
            *self.kept.lock().unwrap() = Some(token.clone());
            Ok(Credential::builder(request.key().clone(), token, cx.host().clock().now()).build())
        })
    }

    fn configure_proxy(
        &self,
        proxy: &mut dyn ProxyConfigurer,
        info: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        let secret = SecretRef::new(info.key(), self.minted[0].clone());
        let rule = CredentialRule::new(
            Target::host("*.broker.example.com")?,
            AUTHORIZATION,
            HeaderTemplate::Prefix("session ".into()),
            secret,
        );
        proxy.credential(rule.placeholder(placeholder(info, run)?));
        Ok(())
    }

    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        if self.has(Defect::DeclaresIssuing) {
            let target = Target::host("api.broker.example.com")?;
            return Ok([IssuingEndpoint::new(target, "a session")].into_iter().collect());
        }
        Ok(IssuingEndpoints::none("sessions come from another host, which no rule knows"))
    }

    fn container_env(&self, infos: &[&CredentialInfo], run: &RunContext) -> Result<Vec<EnvVar>> {
        let info = infos[0];
        let url = run.endpoint_url(info.key(), "/session")?;
        let mut env = vec![
            EnvVar::new("BROKER_URL", url)?,
            EnvVar::new("BROKER_SESSION", placeholder(info, run)?.as_str())?,
        ];
        if !self.has(Defect::RegistersNothing) {
            env.push(EnvVar::new("BROKER_TOKEN", endpoint_token(info, run)?.as_str())?);
        }
        Ok(env)
    }
}

fn placeholder(info: &CredentialInfo, run: &RunContext) -> Result<Placeholder> {
    let shape = PlaceholderShape::prefixed("", Alphabet::LowerHex, 64);
    run.placeholder(info.key(), "session", &shape)
}

fn endpoint_token(info: &CredentialInfo, run: &RunContext) -> Result<Placeholder> {
    let shape = PlaceholderShape::prefixed("", Alphabet::Base64Url, 43);
    run.placeholder(info.key(), "endpoint", &shape)
}

impl MintingProvider for Broker {
    fn minted_secrets(&self) -> &[SecretName] {
        &self.minted
    }

    fn mint<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
        _: &'a RunContext,
    ) -> BoxFuture<'a, Result<Minted>> {
        Box::pin(async move {
            let answer = self.post(cx, credential.token()).await?;
            let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
            let Some(session) = body["session"].as_str() else {
                let error = Error::new(ErrorKind::UnexpectedAnswer, "the answer has no session");
                return Err(error.with_hint(HELP));
            };
            let name = match self.has(Defect::MintsAnother) {
                true => SecretName::from_static("another"),
                false => self.minted[0].clone(),
            };
            let secrets = [(name, Secret::new(session.to_owned()))].into_iter().collect();
            Ok(Minted::new(secrets, None))
        })
    }
}

impl EndpointProvider for Broker {
    fn register_endpoints(
        &self,
        router: &mut EndpointRouter,
        info: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        if self.has(Defect::RegistersNothing) {
            return Ok(());
        }
        let handler = Arc::new(Session(self.defect));
        router.get("/session", AUTHORIZATION, endpoint_token(info, run)?, handler)
    }
}

#[derive(Debug)]
struct Session(Option<Defect>);

impl EndpointHandler for Session {
    fn call<'a>(&'a self, call: EndpointCall<'a>) -> BoxFuture<'a, Response<Bytes>> {
        Box::pin(async move {
            let name = match self.0 {
                Some(Defect::ServesStoredToken) => SecretName::TOKEN,
                _ => SESSION,
            };
            let mut response = match call.secrets.current().await {
                Ok((secrets, _)) => match secrets.get(&name) {
                    Some(secret) => json(200, &json!({"session": secret.expose()})),
                    None => empty(404),
                },
                Err(_) if self.0 == Some(Defect::AnswersWithoutSecrets) => json(200, &json!({})),
                Err(_) => empty(503),
            };
            if self.0 != Some(Defect::CacheableAnswer) {
                let value = HeaderValue::from_static("no-store");
                response.headers_mut().insert(CACHE_CONTROL, value);
            }
            response
        })
    }
}

impl AgentProvider for Broker {
    fn select_grants(
        &self,
        named: &[CredentialKey],
        stored: &[CredentialKey],
    ) -> Result<Vec<CredentialKey>> {
        if self.has(Defect::ChoosesStranger) {
            return Ok(vec!["stranger".parse()?]);
        }
        let found = named.iter().chain(stored).find(|key| key.provider() == &NAME).cloned();
        let missing = || Error::new(ErrorKind::CredentialNotFound, "no key").with_hint(HELP);
        found.map(|key| vec![key]).ok_or_else(missing)
    }

    fn prepare_container<'a>(
        &'a self,
        _: &'a HostContext,
        opts: &'a PrepareOpts,
    ) -> BoxFuture<'a, Result<ContainerConfig>> {
        Box::pin(async move {
            let token = opts.credentials.first().map(Credential::token);
            let mut config = ContainerConfig::default();
            let path = opts.run.home().join(".broker/settings.json")?;
            let contents = match token {
                Some(token) if self.has(Defect::TokenInFile) => token.expose().to_owned(),
                _ => "{}".to_owned(),
            };
            config.files.push(StagedFile::new(path, contents));
            config.state.insert("session".to_owned(), opts.run.id().to_string());
            if let Some(token) = token.filter(|_| self.has(Defect::TokenInState)) {
                config.state.insert("token".to_owned(), token.expose().to_owned());
            }
            Ok(config)
        })
    }

    fn command(&self, launch: &Launch, _: &ContainerConfig) -> Result<Vec<String>> {
        if self.has(Defect::StartsNothing) {
            return Ok(Vec::new());
        }
        let mut command = vec!["broker".to_owned()];
        if let Some(prompt) = &launch.prompt {
            command.extend(["--".to_owned(), prompt.clone()]);
        }
        Ok(command)
    }
}

impl RunStoppedHook for Broker {
    fn on_run_stopped<'a>(
        &'a self,
        _: &'a HostContext,
        run: &'a RunStoppedContext,
    ) -> BoxFuture<'a, Result<BTreeMap<String, String>>> {
        Box::pin(async move {
            let mut kept = BTreeMap::from([("run".to_owned(), run.run.to_string())]);
            if self.has(Defect::HookKeepsToken)
                && let Some(token) = self.kept.lock().unwrap().as_ref()
            {
                kept.insert("token".to_owned(), token.expose().to_owned());
            }
            Ok(kept)
        })
    }
}

impl DiagnosableProvider for Broker {
    fn diagnose<'a>(
        &'a self,
        cx: &'a GrantContext,
        credentials: &'a [CredentialInfo],
    ) -> BoxFuture<'a, Vec<Diagnosis>> {
        Box::pin(async move {
            if self.has(Defect::DiagnosisAsks) {
                let request = Request::get(format!("https://{HOST}/")).body(Bytes::new()).unwrap();
                _ = cx.host().http().send(request).await;
            }
            let end = if self.has(Defect::DiagnosisRambles) { "\nand so on" } else { "" };
            vec![Diagnosis::good("grants", format!("{} are there{end}", credentials.len()))]
        })
    }
}

/// What the broker is expected to be.
pub(crate) fn expectation() -> Expect {
    use Capability::{Agent, Credential, Diagnosable, Endpoint, Minting, RunStoppedHook};
    Expect::new([Credential, Agent, Endpoint, Minting, RunStoppedHook, Diagnosable])
        .no_issuing_endpoints()
        .grant_from("the terminal", |canary, ports| {
            ports
                .with_environment(FakeEnvironment::forbidden())
                .with_terminal(FakeTerminal::new().expect_secret("Key", canary.secret()))
        })
        .vendor(vendor)
}

fn vendor(canary: &Canary) -> impl Vendor + use<> {
    requires_bearer(&canary.secret(), |_: &Request<Bytes>| {
        json(201, &json!({"session": Canary::new().text()}))
    })
}
