//! A provider that keeps to every rule, or breaks exactly one.

mod expectation;
mod fault;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use moat_provider_core::*;

pub(crate) use self::expectation::expectation;
pub(crate) use self::fault::Fault;

pub(crate) static NAME: ProviderName = ProviderName::from_static("sample");
const HELP: &str = "run: moat grant sample";
const HOST: &str = "api.example.com";
const PREFIX: &str = "smp_";

pub(crate) struct Sample {
    fault: Option<Fault>,
    options: Vec<GrantOption>,
    host_files: Vec<HostFile>,
    calls: AtomicUsize,
    shared: Mutex<BTreeMap<CredentialKey, Placeholder>>,
    /// The last token that a grant saw.
    kept: Mutex<String>,
    other: Other,
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Sample");
        if self.has(Fault::KeepsTokenInDebug) {
            debug.field("kept", &self.kept());
        }
        debug.finish_non_exhaustive()
    }
}

impl Sample {
    pub(crate) fn correct() -> Self {
        Self::with(None)
    }

    pub(crate) fn broken(fault: Fault) -> Self {
        Self::with(Some(fault))
    }

    fn with(fault: Option<Fault>) -> Self {
        let mut options = vec![GrantOption::switch("read-only", "ask for less")];
        match fault {
            Some(Fault::OptionInCapitals) => options.push(GrantOption::switch("Wide", "more")),
            Some(Fault::OptionTwice) => options.push(GrantOption::switch("read-only", "again")),
            _ => {}
        }
        Self {
            fault,
            options,
            host_files: vec![state_file()],
            calls: AtomicUsize::new(0),
            shared: Mutex::default(),
            kept: Mutex::default(),
            other: Other(ProviderName::from_static("other")),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn kept(&self) -> String {
        self.kept.lock().unwrap().clone()
    }

    fn error(&self, kind: ErrorKind, message: &'static str) -> Error {
        self.hinted(Error::new(kind, message))
    }

    fn hinted(&self, error: Error) -> Error {
        if self.has(Fault::NoHint) || error.hint().is_some() {
            error
        } else {
            error.with_hint(HELP)
        }
    }

    /// Finds a token and says where it was.
    async fn find(&self, cx: &GrantContext) -> Result<(Secret, &'static str)> {
        let variable = if self.has(Fault::LooksElsewhere) { "OTHER_TOKEN" } else { "SAMPLE_TOKEN" };
        match cx.environment().var(variable) {
            Ok(Some(token)) => return Ok((token, "env")),
            Err(error) if error.kind() != ErrorKind::PortMissing => return Err(error),
            _ => {}
        }
        let command = CommandSpec::new("sample").args(["auth", "token"]);
        match cx.host().commands().run(&command).await {
            Ok(output) if output.succeeded() => return Ok((output.stdout, "cli")),
            _ => {}
        }
        cx.terminal().tell("make a token at https://example.com/tokens").await?;
        Ok((cx.terminal().ask_secret("Token").await?, "prompt"))
    }

    async fn grant(&self, cx: &GrantContext, request: &GrantRequest) -> Result<Credential> {
        let (token, source) = self.find(cx).await?;
        let token = token.trimmed();
        if token.is_empty() && !self.has(Fault::TakesEmptyToken) {
            return Err(self.error(ErrorKind::CredentialNotFound, "there is no token"));
        }
        token.expose().clone_into(&mut self.kept.lock().unwrap());
        if self.has(Fault::TokenOnTerminal) {
            cx.terminal().tell(&format!("checking {}", &token.expose()[8..])).await?;
        }
        if self.has(Fault::TokenInArguments) && source == "env" {
            let whoami = ["whoami", "--token", token.expose()];
            let _ = cx.host().commands().run(&CommandSpec::new("sample").args(whoami)).await;
        }
        let login = self.check(cx.host(), &token).await?;
        let key = match self.has(Fault::GrantsAnotherKey) {
            true => "sample:another".parse()?,
            false => request.key().clone(),
        };
        let kept = match self.has(Fault::ChangesToken) {
            true => Secret::new(format!("{}x", token.expose())),
            false => token.clone(),
        };
        let mut credential = Credential::builder(key, kept, cx.host().clock().now())
            .metadata("account", login)
            .metadata(Credential::TOKEN_SOURCE, source);
        if self.has(Fault::TokenInMetadata) {
            credential = credential.metadata("label", &token.expose()[PREFIX.len()..][..20]);
        }
        if self.has(Fault::TokenInScopes) {
            credential = credential.scopes([token.expose()]);
        }
        Ok(credential.build())
    }

    /// Asks the vendor whose token it is.
    async fn check(&self, cx: &HostContext, token: &Secret) -> Result<String> {
        let mut url = format!("https://{HOST}/user");
        if self.has(Fault::PlainHttpFirst) {
            let plain = Request::get(format!("http://{HOST}/user")).body(Bytes::new());
            let _ = cx.http().send(plain.unwrap()).await;
        }
        if self.has(Fault::TokenInUrl) {
            let hex: String = token.expose().bytes().map(|byte| format!("{byte:02x}")).collect();
            url = format!("{url}?check={hex}");
        }
        let response = self.send(cx, "GET", &url, token).await?;
        let status = response.status();
        if !status.is_success() && !self.has(Fault::IgnoresStatus) {
            return Err(self.refusal(status, response.body()));
        }
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap_or_default();
        Ok(body["login"].as_str().unwrap_or("unknown").to_owned())
    }

    async fn send(
        &self,
        cx: &HostContext,
        method: &str,
        url: &str,
        token: &Secret,
    ) -> Result<http::Response<Bytes>> {
        let mut value = HeaderTemplate::Bearer.render(token)?;
        value.set_sensitive(!self.has(Fault::UnmarkedHeader));
        let request = Request::builder().method(method).uri(url).header(AUTHORIZATION, value);
        cx.http().send(request.body(Bytes::new()).unwrap()).await
    }

    fn refusal(&self, status: StatusCode, body: &Bytes) -> Error {
        let kind = match status.as_u16() {
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::PermissionDenied,
            429 => ErrorKind::RateLimited,
            500.. if self.has(Fault::BlamesTokenForOutage) => ErrorKind::Unauthenticated,
            500.. => ErrorKind::Unavailable,
            _ => ErrorKind::UnexpectedAnswer,
        };
        let body = String::from_utf8_lossy(body).into_owned();
        let error = self.error(kind, "the vendor does not take the token");
        match self.fault {
            Some(Fault::BodyInError) => Error::new(kind, body).with_hint(HELP),
            Some(Fault::BodyInHint) => error.with_hint(format!("look at {body:?}")),
            Some(Fault::BodyInSource) => error.with_source(body),
            _ => error,
        }
    }

    async fn refreshed(&self, cx: &HostContext, credential: &Credential) -> Result<Refreshed> {
        let possible = self.can_refresh(credential.info()) || self.has(Fault::RefreshesStatic);
        if !possible || self.has(Fault::RefuseRefresh) {
            return Err(self.error(ErrorKind::RefreshNotSupported, "this token is static"));
        }
        if self.has(Fault::RefreshesStatic) && !self.can_refresh(credential.info()) {
            return Ok(Refreshed::Unchanged);
        }
        let mut command = CommandSpec::new("sample").args(["auth", "token"]).inherit(["LANG"]);
        if self.has(Fault::RefreshInheritsToken) {
            command = command.inherit(["SAMPLE_TOKEN"]);
        }
        let token = cx.commands().run(&command).await.map_err(|e| self.hinted(e))?.stdout.trimmed();
        if token.is_empty() && !self.has(Fault::RefreshTakesEmptyToken) {
            return Err(self.error(ErrorKind::CredentialNotFound, "the tool has no token"));
        }
        let url = format!("https://{HOST}/user");
        let answer = self.send(cx, "GET", &url, &token).await.map_err(|e| self.hinted(e))?;
        match answer.status() {
            status if status.is_success() => {}
            status if self.has(Fault::RefreshBodyInError) => {
                let body = String::from_utf8_lossy(answer.body()).into_owned();
                let error = self.refusal(status, &Bytes::new());
                return Err(Error::new(error.kind(), body).with_hint(HELP));
            }
            status => return Err(self.refusal(status, answer.body())),
        }
        if self.has(Fault::RefreshRestartsClock) {
            let key = credential.key().clone();
            let now = cx.clock().now() + Duration::from_secs(1);
            return Ok(Refreshed::Renewed(Credential::builder(key, token, now).build()));
        }
        if token.same_as(credential.token()) {
            return Ok(Refreshed::Unchanged);
        }
        Ok(Refreshed::Renewed(credential.renew().token(token).build()))
    }

    fn placeholder(&self, info: &CredentialInfo, run: &RunContext) -> Result<Placeholder> {
        let prefix = if self.has(Fault::OddShape) { "odd_" } else { PREFIX };
        let shape = PlaceholderShape::prefixed(prefix, Alphabet::Alphanumeric, 32);
        let label = match info.expires_at() {
            Some(expiry) if self.has(Fault::PlaceholderFollowsExpiry) => expiry.to_string(),
            _ => "token".to_owned(),
        };
        let placeholder = run.placeholder(info.key(), &label, &shape)?;
        if self.has(Fault::SharesPlaceholder) {
            let mut shared = self.shared.lock().unwrap();
            return Ok(shared.entry(info.key().clone()).or_insert(placeholder).clone());
        }
        Ok(placeholder)
    }

    fn config(&self, infos: &[&CredentialInfo], run: &RunContext) -> Result<String> {
        let mut config = format!("accounts: {}\n", infos.len());
        for info in infos {
            config.push_str(&format!("token: {}\n", self.placeholder(info, run)?));
        }
        if let Some(state) = run.host_file(&state_file()) {
            if self.has(Fault::StagesHostFile) {
                config.push_str(state.expose());
            }
            if state.expose().lines().any(|line| line == "theme: dark") {
                config.push_str("theme: dark\n");
            }
        }
        if self.has(Fault::ImpureFiles) {
            let calls = self.calls.fetch_add(1, Ordering::Relaxed);
            config.push_str(&format!("# {calls}\n"));
        }
        Ok(config)
    }
}

fn state_file() -> HostFile {
    HostFile::new("the sample tool's state").at(HostDir::Config, "sample/state")
}

impl Provider for Sample {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }

    fn as_refreshable(&self) -> Option<&dyn RefreshableProvider> {
        Some(self)
    }

    fn as_revocable(&self) -> Option<&dyn RevocableProvider> {
        Some(self)
    }

    fn as_run_stopped_hook(&self) -> Option<&dyn RunStoppedHook> {
        self.has(Fault::UndeclaredHook).then_some(self)
    }

    fn as_describable(&self) -> Option<&dyn DescribableProvider> {
        match self.has(Fault::DescribedByAnother) {
            true => Some(&self.other),
            false => Some(self),
        }
    }
}

impl CredentialProvider for Sample {
    fn grant_options(&self) -> &[GrantOption] {
        &self.options
    }

    fn check_qualifier(&self, qualifier: &str) -> Result<()> {
        if self.has(Fault::TakesAnyQualifier) {
            return Ok(());
        }
        if self.has(Fault::PanicsOnQualifiers) {
            assert_ne!(&qualifier[..1], "!");
        }
        let word = (1..=32).contains(&qualifier.len())
            && qualifier.bytes().all(|byte| byte.is_ascii_lowercase());
        if word { Ok(()) } else { Err(Error::invalid("an account is a word").with_hint(HELP)) }
    }

    fn grant<'a>(
        &'a self,
        cx: &'a GrantContext,
        request: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        Box::pin(async move {
            let name = match self.has(Fault::NamesAnotherInErrors) {
                true => &self.other.0,
                false => &NAME,
            };
            let granted = Self::grant(self, cx, request).await;
            granted.map_err(|error| self.hinted(error).in_grant_of(name))
        })
    }

    fn configure_proxy(
        &self,
        proxy: &mut dyn ProxyConfigurer,
        info: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        if self.has(Fault::NeedsMetadata) {
            return Err(self.error(ErrorKind::InvalidInput, "the credential names no region"));
        }
        let key = info.key();
        let alone = run.grants_of(&NAME).count() == 1
            || run.is_default(key)
            || self.has(Fault::BothFillEmpty);
        let rule = |host: &str, header: &'static str, secret: SecretRef| {
            let header = HeaderName::from_static(header);
            let target = Target::host(host)?;
            Ok(CredentialRule::new(target, header, HeaderTemplate::Bearer, secret))
        };
        let main = rule(HOST, "authorization", SecretRef::token(key))?
            .placeholder(self.placeholder(info, run)?)
            .fill(if alone { Fill::EmptyOrPlaceholder } else { Fill::PlaceholderOnly });
        let odd = |rule: CredentialRule| rule.fill(Fill::PlaceholderOnly);
        match self.fault {
            Some(Fault::AddressTarget) => {
                let address = rule("192.0.2.1", "x-address", SecretRef::token(key))?;
                proxy.credential(odd(address.placeholder(self.placeholder(info, run)?)));
            }
            Some(Fault::UnknownSecret) => {
                let unknown = SecretRef::new(key, SecretName::REFRESH_TOKEN);
                let unknown = rule(HOST, "x-refresh", unknown)?;
                let placeholder = run.placeholder(
                    key,
                    "refresh",
                    &PlaceholderShape::prefixed(PREFIX, Alphabet::Alphanumeric, 32),
                )?;
                proxy.credential(odd(unknown.placeholder(placeholder)));
            }
            Some(Fault::ForeignSecret) => {
                let foreign = SecretRef::token(&"other".parse()?);
                let foreign = rule(HOST, "x-foreign", foreign)?;
                proxy.credential(odd(foreign.placeholder(self.placeholder(info, run)?)));
            }
            Some(Fault::FillsByNoPlaceholder) => {
                proxy.credential(odd(rule(HOST, "x-dead", SecretRef::token(key))?));
            }
            Some(Fault::TokenInAnswer) => {
                let answer = CannedAnswer::json(StatusCode::OK, format!("{{{:?}}}", self.kept()));
                let target = Target::host(HOST)?.exact("/answer")?;
                proxy.answer(LocalAnswer::new(NAME.clone(), target, answer));
            }
            _ => {}
        }
        if self.has(Fault::TokenInRule) {
            let mut value = HeaderValue::from_str(&self.kept()).unwrap();
            value.set_sensitive(true);
            let header = HeaderName::from_static("x-kept");
            proxy.credential(main.when_used(Companion::SetHeader(header, value)));
        } else {
            proxy.credential(main);
        }
        proxy.reach(Target::host("cdn.example.com")?);
        Ok(())
    }

    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        let host = if self.has(Fault::IssuingElsewhere) { "other.example.com" } else { HOST };
        let keys = Target::host(host)?.under("/keys")?.methods([http::Method::POST])?;
        let issues = match self.fault {
            Some(Fault::IssuesWithoutWords) => String::new(),
            Some(Fault::TokenInIssuing) => self.kept(),
            Some(Fault::NoIssuing) => return Ok([].into_iter().collect()),
            _ => "a key".to_owned(),
        };
        Ok([IssuingEndpoint::new(keys, issues)].into_iter().collect())
    }

    fn container_env(&self, infos: &[&CredentialInfo], run: &RunContext) -> Result<Vec<EnvVar>> {
        let mut env = Vec::new();
        for (at, info) in infos.iter().enumerate() {
            let name = if at == 0 { "SAMPLE_TOKEN".into() } else { format!("SAMPLE_TOKEN_{at}") };
            env.push(EnvVar::new(name, self.placeholder(info, run)?.as_str())?);
        }
        let extra = match self.fault {
            Some(Fault::TokenInEnv) => ("SAMPLE_NOTE", self.kept().replace('%', "%25")),
            Some(Fault::ImpureEnv) => {
                let calls = self.calls.fetch_add(1, Ordering::Relaxed);
                ("SAMPLE_NOTE", calls.to_string())
            }
            Some(Fault::StaticDummy) => ("SAMPLE_NOTE", format!("{PREFIX}{}", "0".repeat(32))),
            Some(Fault::StagesDeadPlaceholder) => {
                let shape = PlaceholderShape::prefixed(PREFIX, Alphabet::Alphanumeric, 32);
                let dead = run.placeholder(infos[0].key(), "dead", &shape)?;
                ("SAMPLE_NOTE", format!("Bearer {dead}"))
            }
            Some(Fault::SetsPath) => ("PATH", "/opt/sample/bin".to_owned()),
            Some(Fault::SetsProxy) => ("https_proxy", "http://127.0.0.1:1".to_owned()),
            Some(Fault::SetsTwice) => ("SAMPLE_TOKEN", env[0].value().to_owned()),
            _ => ("SAMPLE_HOST", HOST.to_owned()),
        };
        env.push(EnvVar::new(extra.0, extra.1)?);
        Ok(env)
    }

    fn container_mounts(
        &self,
        infos: &[&CredentialInfo],
        run: &RunContext,
    ) -> Result<ContainerMounts> {
        let path = match self.has(Fault::StagesOutsideHome) {
            true => "/etc/sample/config".parse()?,
            false => run.home().join(".config/sample/config")?,
        };
        let mode = if self.has(Fault::WorldWritable) { 0o666 } else { 0o600 };
        let file = StagedFile::new(path, self.config(infos, run)?).mode(mode);
        let source = match self.fault {
            Some(Fault::MountsHostHome) => MountSource::Host("/home/alex".into()),
            Some(Fault::MountsUnderOddName) => MountSource::PrivateToRun("../alex".into()),
            _ => MountSource::PrivateToWorkspace("sample-cache".into()),
        };
        let cache = run.home().join(".cache/sample")?;
        let mut mounts = ContainerMounts::default();
        mounts.files.push(file);
        mounts.mounts.push(MountConfig::new(source, cache, MountAccess::ReadWrite));
        Ok(mounts)
    }

    fn host_files(&self) -> &[HostFile] {
        &self.host_files
    }

    fn upgrade_record(&self, record: &mut CredentialRecord) -> Result<()> {
        if self.has(Fault::UpgradesAgain) {
            let times = record.metadata().len().to_string();
            record.metadata_mut().insert(format!("upgrade-{times}"), "done".to_owned());
        }
        record.lift_secret("refresh_token", SecretName::REFRESH_TOKEN);
        Ok(())
    }

    fn implied_dependencies(&self) -> &[&'static str] {
        if self.has(Fault::DependencyTwice) { &["sample", "sample"] } else { &["sample", "git"] }
    }
}

impl RefreshableProvider for Sample {
    fn can_refresh(&self, info: &CredentialInfo) -> bool {
        info.metadata(Credential::TOKEN_SOURCE) == Some("cli")
    }

    fn refresh_interval(&self) -> Duration {
        Duration::from_secs(if self.has(Fault::RefreshEverySecond) { 1 } else { 1800 })
    }

    fn refresh<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<Refreshed>> {
        Box::pin(self.refreshed(cx, credential))
    }
}

impl RevocableProvider for Sample {
    fn revocation(&self, info: &CredentialInfo) -> Revocation {
        let by_hand = info.metadata(Credential::TOKEN_SOURCE) == Some("cli");
        match by_hand {
            true => Revocation::Manual { instructions: "run: sample auth logout".to_owned() },
            false if self.has(Fault::EmptyRevocation) => {
                Revocation::Automatic { effect: String::new() }
            }
            false => Revocation::Automatic { effect: "the token ends everywhere".to_owned() },
        }
    }

    fn revoke<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if self.has(Fault::RevokesNothing) {
                return Ok(());
            }
            if let Revocation::Manual { instructions } = self.revocation(credential.info()) {
                let error = Error::new(ErrorKind::Unsupported, "the tool's token is the tool's");
                return Err(error.with_hint(instructions));
            }
            let url = format!("https://{HOST}/tokens/current");
            let answer = self.send(cx, "DELETE", &url, credential.token()).await;
            let answer = answer.map_err(|error| self.hinted(error))?;
            match answer.status().as_u16() {
                204 | 401 | 404 => Ok(()),
                _ => Err(self.refusal(answer.status(), &Bytes::new())),
            }
        })
    }
}

impl RunStoppedHook for Sample {
    fn on_run_stopped<'a>(
        &'a self,
        _: &'a HostContext,
        _: &'a RunStoppedContext,
    ) -> BoxFuture<'a, Result<BTreeMap<String, String>>> {
        Box::pin(async { Ok(BTreeMap::new()) })
    }
}

impl DescribableProvider for Sample {
    fn description(&self) -> &str {
        match self.has(Fault::LongDescription) {
            true => {
                "Tokens of the sample vendor, which are used for samples of all kinds, in tests."
            }
            false => "Sample token",
        }
    }
}

#[derive(Debug)]
struct Other(ProviderName);

impl Provider for Other {
    fn name(&self) -> &ProviderName {
        &self.0
    }
}

impl DescribableProvider for Other {
    fn description(&self) -> &str {
        "Another"
    }
}
