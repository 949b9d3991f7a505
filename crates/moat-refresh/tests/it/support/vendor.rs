//! A vendor whose refresh tokens work once.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use moat_provider_core::{
    BoxFuture, Clock, Credential, CredentialInfo, CredentialKey, CredentialProvider, Error,
    ErrorKind, GrantContext, GrantError, GrantRequest, HostContext, IssuingEndpoints, Minted,
    MintingProvider, Provider, ProviderName, ProxyConfigurer, RefreshableProvider, Refreshed,
    Result, RunContext, SecretName, Secrets,
};
use moat_provider_testkit::Canary;
use time::OffsetDateTime;

use super::{HOUR, PausedClock};

static NAME: ProviderName = ProviderName::from_static("vendor");
static SESSION: SecretName = SecretName::from_static("session");

/// What the vendor does with one call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// Renews, as it does unless told otherwise.
    Renew,
    Fail(ErrorKind),
    FailAndWait(ErrorKind, Duration),
    Unchanged,
    Hang,
    Panic,
}

/// The vendor and the provider that knows it. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Vendor {
    clock: Arc<PausedClock>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    valid: HashSet<String>,
    spent: HashSet<String>,
    reused: usize,
    outcomes: VecDeque<Outcome>,
    calls: Vec<Duration>,
    life: Option<Duration>,
    interval: Duration,
    latency: Duration,
    minted: Vec<Canary>,
    mint_calls: Vec<Duration>,
    mint_life: Option<Duration>,
    revoked: Vec<Canary>,
    canaries: Vec<Canary>,
    grants: i64,
}

impl Vendor {
    pub(crate) fn new(clock: Arc<PausedClock>) -> Self {
        let state = State {
            valid: HashSet::new(),
            spent: HashSet::new(),
            reused: 0,
            outcomes: VecDeque::new(),
            calls: Vec::new(),
            life: Some(HOUR),
            interval: HOUR,
            latency: Duration::from_millis(300),
            minted: Vec::new(),
            mint_calls: Vec::new(),
            mint_life: Some(HOUR),
            revoked: Vec::new(),
            canaries: Vec::new(),
            grants: 0,
        };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Grants a credential with a refresh token.
    pub(crate) fn grant(&self, life: Option<Duration>) -> Credential {
        let now = self.clock.now();
        let mut state = self.state();
        let refresh = state.draw();
        state.valid.insert(refresh.text().to_owned());
        let created_at = state.created_at(now);
        Credential::builder(CredentialKey::new(NAME.clone()), state.draw().secret(), created_at)
            .secret(SecretName::REFRESH_TOKEN, refresh.secret())
            .expires_at(life.map(|life| now + life))
            .build()
    }

    /// Makes a credential that cannot be refreshed.
    pub(crate) fn fixed(&self, life: Option<Duration>) -> Credential {
        let now = self.clock.now();
        let mut state = self.state();
        let created_at = state.created_at(now);
        Credential::builder(CredentialKey::new(NAME.clone()), state.draw().secret(), created_at)
            .expires_at(life.map(|life| now + life))
            .build()
    }

    /// Says what becomes of the next calls to refresh or to mint.
    pub(crate) fn next(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        self.state().outcomes.extend(outcomes);
    }

    pub(crate) fn forget_outcomes(&self) {
        self.state().outcomes.clear();
    }

    pub(crate) fn set_life(&self, life: impl Into<Option<Duration>>) {
        self.state().life = life.into();
    }

    pub(crate) fn set_mint_life(&self, life: impl Into<Option<Duration>>) {
        self.state().mint_life = life.into();
    }

    /// Returns when refreshes began, since the clock did.
    pub(crate) fn calls(&self) -> Vec<Duration> {
        self.state().calls.clone()
    }

    pub(crate) fn mint_calls(&self) -> Vec<Duration> {
        self.state().mint_calls.clone()
    }

    pub(crate) fn minted(&self) -> Vec<Canary> {
        self.state().minted.clone()
    }

    pub(crate) fn revoked(&self) -> Vec<Canary> {
        self.state().revoked.clone()
    }

    pub(crate) fn reused(&self) -> usize {
        self.state().reused
    }

    /// Every secret that was ever drawn.
    pub(crate) fn canaries(&self) -> Vec<Canary> {
        self.state().canaries.clone()
    }

    /// Whether the credential's refresh token works.
    pub(crate) fn knows(&self, credential: &Credential) -> bool {
        let token = credential.secrets().get(&SecretName::REFRESH_TOKEN).unwrap();
        self.state().valid.contains(Canary::of(token).text())
    }

    async fn refresh(&self, cx: &HostContext, credential: &Credential) -> Result<Refreshed> {
        let latency = {
            let mut state = self.state();
            state.calls.push(self.clock.elapsed());
            state.latency
        };
        cx.clock().sleep(latency).await;
        if !self.decide().await? {
            return Ok(Refreshed::Unchanged);
        }
        let (next, life) = {
            let mut state = self.state();
            let token = credential.secrets().require(&SecretName::REFRESH_TOKEN)?;
            let token = Canary::of(token).text().to_owned();
            if !state.valid.remove(&token) {
                state.reused += usize::from(state.spent.contains(&token));
                return Err(Error::new(ErrorKind::TokenRevoked, "the refresh token is spent"));
            }
            state.spent.insert(token);
            let refresh = state.draw();
            state.valid.insert(refresh.text().to_owned());
            let next = credential
                .renew()
                .token(state.draw().secret())
                .secret(SecretName::REFRESH_TOKEN, refresh.secret())
                .metadata("rotations", state.spent.len().to_string());
            (next, state.life)
        };
        // From here on the old token is spent, and the answer on its way.
        cx.clock().sleep(latency).await;
        let now = self.clock.now();
        Ok(Refreshed::Renewed(next.expires_at(life.map(|life| now + life)).build()))
    }

    /// Does what was said, and returns whether to renew.
    async fn decide(&self) -> Result<bool> {
        let outcome = self.state().outcomes.pop_front();
        match outcome.unwrap_or(Outcome::Renew) {
            Outcome::Renew => Ok(true),
            Outcome::Unchanged => Ok(false),
            Outcome::Fail(kind) => Err(Error::new(kind, "this was to be expected")),
            Outcome::FailAndWait(kind, wait) => {
                Err(Error::new(kind, "this was to be expected").with_retry_after(wait))
            }
            Outcome::Hang => std::future::pending().await,
            Outcome::Panic => panic!("the provider panics"),
        }
    }

    async fn mint(&self, cx: &HostContext) -> Result<Minted> {
        let (latency, life) = {
            let mut state = self.state();
            state.mint_calls.push(self.clock.elapsed());
            (state.latency, state.mint_life)
        };
        cx.clock().sleep(latency).await;
        self.decide().await?;
        let now = self.clock.now();
        let mut state = self.state();
        let session = state.draw();
        state.minted.push(session.clone());
        let secrets = [(SESSION.clone(), session.secret())].into_iter().collect();
        Ok(Minted::new(secrets, life.map(|life| now + life)))
    }
}

impl State {
    /// No two grants are made at the same time.
    fn created_at(&mut self, now: OffsetDateTime) -> OffsetDateTime {
        self.grants += 1;
        now + time::Duration::nanoseconds(self.grants)
    }

    fn draw(&mut self) -> Canary {
        let canary = Canary::with_length("", 32);
        self.canaries.push(canary.clone());
        canary
    }
}

/// Returns the canary of what was minted.
pub(crate) fn session(minted: &Minted) -> Canary {
    Canary::of(minted.secrets().get(&SESSION).unwrap())
}

impl Provider for Vendor {
    fn name(&self) -> &ProviderName {
        &NAME
    }
    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }
    fn as_refreshable(&self) -> Option<&dyn RefreshableProvider> {
        Some(self)
    }
    fn as_minting(&self) -> Option<&dyn MintingProvider> {
        Some(self)
    }
}

impl CredentialProvider for Vendor {
    fn grant<'a>(
        &'a self,
        _: &'a GrantContext,
        _: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        Box::pin(async { Ok(Vendor::grant(self, None)) })
    }
    fn configure_proxy(
        &self,
        _: &mut dyn ProxyConfigurer,
        _: &CredentialInfo,
        _: &RunContext,
    ) -> Result<()> {
        Ok(())
    }
    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        Ok(IssuingEndpoints::none("nothing is sent to it through a proxy"))
    }
}

impl RefreshableProvider for Vendor {
    fn can_refresh(&self, credential: &CredentialInfo) -> bool {
        credential.secret_names().contains(&SecretName::REFRESH_TOKEN)
    }
    fn refresh_interval(&self) -> Duration {
        self.state().interval
    }
    fn refresh<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<Refreshed>> {
        Box::pin(Vendor::refresh(self, cx, credential))
    }
}

impl MintingProvider for Vendor {
    fn minted_secrets(&self) -> &[SecretName] {
        std::slice::from_ref(&SESSION)
    }
    fn mint<'a>(
        &'a self,
        cx: &'a HostContext,
        _: &'a Credential,
        _: &'a RunContext,
    ) -> BoxFuture<'a, Result<Minted>> {
        Box::pin(Vendor::mint(self, cx))
    }
    fn revoke_minted<'a>(
        &'a self,
        _: &'a HostContext,
        _: &'a Credential,
        minted: &'a Secrets,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            let minted = Canary::of(minted.require(&SESSION)?);
            self.state().revoked.push(minted);
            self.decide().await.map(|_| ())
        })
    }
}
