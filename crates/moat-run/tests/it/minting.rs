//! Secrets that exist for one run: minted, put into requests, served, revoked.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, Response};
use moat_provider_core::*;
use moat_provider_testkit::Canary;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Notify;

use crate::support::{HOST, World, ask, assert_no_leak, var};

static NAME: ProviderName = ProviderName::from_static("minter");
const SESSION: SecretName = SecretName::from_static("session");

/// Mints one session after the other, as soon as there is one.
#[derive(Clone, Debug, Default)]
struct Minter(Arc<State>);

#[derive(Debug, Default)]
struct State {
    next: Mutex<Vec<Secret>>,
    /// Hears of each mint that begins.
    begun: Notify,
    /// Hears of each session that there is.
    added: Notify,
    revoked: Mutex<Vec<Secret>>,
}

impl State {
    fn add(&self, session: &Canary) {
        self.next.lock().unwrap().push(session.secret());
        self.added.notify_one();
    }
}

impl Provider for Minter {
    fn name(&self) -> &ProviderName {
        &NAME
    }

    fn as_credential(&self) -> Option<&dyn CredentialProvider> {
        Some(self)
    }

    fn as_minting(&self) -> Option<&dyn MintingProvider> {
        Some(self)
    }

    fn as_endpoint(&self) -> Option<&dyn EndpointProvider> {
        Some(self)
    }
}

fn placeholder(key: &CredentialKey, run: &RunContext, label: &str) -> Result<Placeholder> {
    run.placeholder(key, label, &PlaceholderShape::prefixed("min_", Alphabet::Alphanumeric, 32))
}

impl CredentialProvider for Minter {
    fn grant<'a>(
        &'a self,
        _: &'a GrantContext,
        _: &'a GrantRequest,
    ) -> BoxFuture<'a, Result<Credential, GrantError>> {
        unreachable!("no test grants")
    }

    fn configure_proxy(
        &self,
        proxy: &mut dyn ProxyConfigurer,
        credential: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        let (target, key) = (Target::host(HOST)?, credential.key());
        let secret = SecretRef::new(key, SESSION);
        let rule = CredentialRule::new(target, AUTHORIZATION, HeaderTemplate::Bearer, secret);
        proxy.credential(rule.placeholder(placeholder(key, run, "session")?));
        Ok(())
    }

    fn issuing_endpoints(&self, _: &CredentialInfo) -> Result<IssuingEndpoints> {
        Ok(IssuingEndpoints::none("the vendor issues nothing"))
    }

    fn container_env(&self, all: &[&CredentialInfo], run: &RunContext) -> Result<Vec<EnvVar>> {
        let key = all[0].key();
        Ok(vec![
            EnvVar::new("MINTER_URL", run.endpoint_url(key, "/session")?)?,
            EnvVar::new("MINTER_TOKEN", placeholder(key, run, "endpoint")?.as_str())?,
        ])
    }
}

impl MintingProvider for Minter {
    fn minted_secrets(&self) -> &[SecretName] {
        static NAMES: [SecretName; 1] = [SESSION];
        &NAMES
    }

    fn mint<'a>(
        &'a self,
        _: &'a HostContext,
        _: &'a Credential,
        _: &'a RunContext,
    ) -> BoxFuture<'a, Result<Minted>> {
        Box::pin(async {
            self.0.begun.notify_one();
            loop {
                let session = self.0.next.lock().unwrap().pop();
                if let Some(session) = session {
                    return Ok(Minted::new([(SESSION, session)].into_iter().collect(), None));
                }
                self.0.added.notified().await;
            }
        })
    }

    fn revoke_minted<'a>(
        &'a self,
        _: &'a HostContext,
        _: &'a Credential,
        minted: &'a Secrets,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            self.0.revoked.lock().unwrap().push(minted.require(&SESSION)?.clone());
            Ok(())
        })
    }
}

impl EndpointProvider for Minter {
    fn register_endpoints(
        &self,
        router: &mut EndpointRouter,
        credential: &CredentialInfo,
        run: &RunContext,
    ) -> Result<()> {
        let token = placeholder(credential.key(), run, "endpoint")?;
        router.get("/session", HeaderName::from_static("x-token"), token, Arc::new(Serves))
    }
}

#[derive(Debug)]
struct Serves;

impl EndpointHandler for Serves {
    #[allow(clippy::disallowed_methods, reason = "the endpoint is there to hand it out")]
    fn call<'a>(&'a self, call: EndpointCall<'a>) -> BoxFuture<'a, Response<Bytes>> {
        Box::pin(async move {
            let (secrets, _) = call.secrets.current().await.unwrap();
            Response::new(secrets.require(&SESSION).unwrap().expose().to_owned().into())
        })
    }
}

/// Asks an endpoint of the run at the proxy's own address.
async fn serve(spec: &moat_run::ContainerSpec, token: &str) -> String {
    let moat_run::Way::Socket { path, .. } = &spec.way else { panic!("there is no socket") };
    let url = var(spec, "MINTER_URL");
    let target = url.strip_prefix("http://127.0.0.1:3128").unwrap();
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nX-Token: {token}\r\nConnection: close\r\n\r\n"
    );
    let mut socket = UnixStream::connect(path).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_session_is_minted_used_served_and_revoked_and_the_stored_token_stays_home() {
    let (stored, session) = (Canary::new(), Canary::new());
    let minter = Minter::default();
    minter.0.add(&session);
    let world = World::with(&session, |registry| drop(registry.register(minter.clone())));
    world.grant("minter", &stored).await;
    let run = world.runner.prepare(world.request(&["minter"])).await.unwrap();
    assert_no_leak(run.spec(), &stored);
    assert_no_leak(run.spec(), &session);
    let answer = ask(run.spec(), None).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let served = serve(run.spec(), var(run.spec(), "MINTER_TOKEN")).await;
    assert!(served.ends_with(session.text()), "{served}");
    assert!(serve(run.spec(), "min_guessed").await.starts_with("HTTP/1.1 401"));
    assert!(minter.0.revoked.lock().unwrap().is_empty());
    run.stopped(0).await;
    let revoked = minter.0.revoked.lock().unwrap();
    assert_eq!(revoked.len(), 1);
    assert!(revoked[0].same_as(&session.secret()));
}

#[tokio::test]
async fn a_request_waits_while_a_session_is_minted_for_what_was_granted_again() {
    let (first, second) = (Canary::new(), Canary::new());
    let minter = Minter::default();
    minter.0.add(&first);
    let world = World::with(&second, |registry| drop(registry.register(minter.clone())));
    world.grant("minter", &Canary::new()).await;
    let run = world.runner.prepare(world.request(&["minter"])).await.unwrap();
    minter.0.begun.notified().await;
    world.grant("minter", &Canary::new()).await;
    world.runner.refresher().ensure_fresh(&"minter".parse().unwrap()).await.unwrap();
    minter.0.begun.notified().await;
    let before = world.vendor.requests().len();
    let spec = run.spec().clone();
    let asked = tokio::spawn(async move { ask(&spec, None).await });
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.vendor.requests().len(), before, "nothing leaves without a session");
    minter.0.add(&second);
    let answer = asked.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    run.stopped(0).await;
}
