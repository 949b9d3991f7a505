//! A day with a vendor whose tokens live an hour and whose refresh tokens work once.
//!
//! `cargo run -p moat-refresh --example keep_fresh`. Time is Tokio's and paused, so the day takes a
//! moment; nothing leaves the machine, and the tokens are drawn for this run.

#![expect(clippy::print_stdout, reason = "the example speaks to its terminal")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use moat_provider_core::{
    BoxFuture, Clock, Credential, CredentialInfo, CredentialKey, CredentialProvider, GrantContext,
    GrantError, GrantRequest, HostContext, IssuingEndpoints, Provider, ProviderName,
    ProxyConfigurer, RefreshableProvider, Refreshed, Registry, Result, RunContext, SecretName,
};
use moat_provider_testkit::{Canary, FakeEntropy};
use moat_refresh::Refresher;
use moat_store::{CredentialStore, Expect, MemoryStore};
use time::OffsetDateTime;
use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(PausedClock(Instant::now()));
    let vendor = Vendor(ProviderName::from_static("vendor"));
    let key = CredentialKey::new(vendor.0.clone());
    let store = Arc::new(MemoryStore::new());
    store.save(&issue(None, &key, clock.now()), Expect::Absent).await?;

    let ports = HostContext::builder(clock, Arc::new(FakeEntropy::default())).build();
    let mut registry = Registry::builder();
    registry.register(vendor)?;
    let refresher = Refresher::new(registry.build(), store.clone(), ports);

    let mut subscription = refresher.watch(&key).await?;
    let day = async {
        while let Some(now) = subscription.changed().await {
            let (at, state) = (now.info().and_then(CredentialInfo::expires_at), now.state());
            println!("generation {:?}, good until {at:?}: {state:?}", now.generation());
        }
    };
    let removal = async {
        tokio::time::sleep(24 * HOUR).await;
        println!("Somebody revokes it.");
        let removed = store.remove(&key).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let ended = refresher.shut_down().await;
        (removed, ended)
    };
    let ((), (removed, ended)) = tokio::join!(day, removal);
    removed?;
    println!("Lost: {:?}", ended.err().unwrap_or_default());
    Ok(())
}

/// Draws a token that lives an hour, for a new grant or in the place of another.
fn issue(before: Option<&Credential>, key: &CredentialKey, now: OffsetDateTime) -> Credential {
    let token = Canary::with_length("", 32).secret();
    let next = match before {
        Some(before) => before.renew().token(token),
        None => Credential::builder(key.clone(), token, now),
    };
    let refresh = Canary::with_length("", 32).secret();
    next.secret(SecretName::REFRESH_TOKEN, refresh).expires_at(now + HOUR).build()
}

#[derive(Debug)]
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000) + self.0.elapsed()
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[derive(Debug)]
struct Vendor(ProviderName);

impl Provider for Vendor {
    fn name(&self) -> &ProviderName {
        &self.0
    }
    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }
    fn as_refreshable(&self) -> Option<&dyn RefreshableProvider> {
        Some(self)
    }
}

impl CredentialProvider for Vendor {
    fn grant<'a>(
        &'a self,
        cx: &'a GrantContext,
        request: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        let now = cx.host().clock().now();
        Box::pin(async move { Ok(issue(None, request.key(), now)) })
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
        Ok(IssuingEndpoints::none("it has no host"))
    }
}

impl RefreshableProvider for Vendor {
    fn can_refresh(&self, credential: &CredentialInfo) -> bool {
        credential.secret_names().contains(&SecretName::REFRESH_TOKEN)
    }
    fn refresh_interval(&self) -> Duration {
        HOUR / 2
    }
    fn refresh<'a>(
        &'a self,
        cx: &'a HostContext,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<Refreshed>> {
        Box::pin(async {
            let next = issue(Some(credential), credential.key(), cx.clock().now());
            Ok(Refreshed::Renewed(next))
        })
    }
}
