//! What several tests need.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use moat_provider_core::{
    BoxFuture, Clock, ContainerPath, Credential, CredentialKey, Entropy, HostContext, Placeholder,
    PlaceholderKey, PlaceholderShape, Result, RunContext, RunContextBuilder, Secret,
};
use time::OffsetDateTime;

/// Drives a future that never waits.
pub(crate) fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits for something"),
    }
}

#[derive(Debug)]
pub(crate) struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Each draw differs from the one before.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU8);

impl Entropy for Counter {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        buffer.fill(self.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

pub(crate) fn host_context() -> HostContext {
    HostContext::builder(Arc::new(StoppedClock), Arc::new(Counter::default())).build()
}

pub(crate) fn key(text: &str) -> CredentialKey {
    text.parse().unwrap()
}

pub(crate) fn credential(grant: &str, token: &str) -> Credential {
    Credential::builder(key(grant), Secret::new(token.to_owned()), OffsetDateTime::UNIX_EPOCH)
        .build()
}

pub(crate) fn path(text: &str) -> ContainerPath {
    text.parse().unwrap()
}

pub(crate) fn run_builder(id: &str) -> RunContextBuilder {
    let key = PlaceholderKey::from_bytes([7; 32]);
    RunContext::builder(id.parse().unwrap(), path("/home/agent"), key)
}

pub(crate) fn placeholder(grant: &str) -> Placeholder {
    let shape = PlaceholderShape::prefixed("x_", moat_provider_core::Alphabet::Alphanumeric, 30);
    run_builder("r1").build().placeholder(&key(grant), "token", &shape).unwrap()
}
