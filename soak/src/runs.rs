//! Runs that come and go, and get a new secret every second.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::AUTHORIZATION;
use moat_provider_core::{
    Alphabet, CredentialKey, CredentialRule, HeaderTemplate, PlaceholderKey, PlaceholderShape,
    ProxyConfigurer, ProxyRules, RunContext, Secret, SecretName, SecretRef, Target,
};
use moat_proxy::engine::Generation;
use moat_proxy::plane::{RunHandle, RunRegistration};
use moat_proxy::{Mode, Policy, RunRules};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::ledger::{self, GRACE};
use crate::options::Options;
use crate::world::{RealClock, World, authority, provider};

/// How often a run gets a new secret.
const ROTATION: Duration = Duration::from_secs(1);
/// How long a run lives.
const LIFE: std::ops::Range<u64> = 3..30;

/// All runs of the moment.
pub(crate) struct Runs {
    pub(crate) world: Arc<World>,
    slots: Vec<Mutex<Option<Arc<Run>>>>,
    next: AtomicU64,
    seed: u64,
    over: AtomicBool,
}

impl Runs {
    pub(crate) fn new(world: Arc<World>, options: &Options) -> Self {
        let slots = (0..options.runs).map(|_| Mutex::default()).collect();
        Self {
            world,
            slots,
            next: AtomicU64::new(1),
            seed: options.seed,
            over: AtomicBool::new(false),
        }
    }

    /// Keeps every slot filled until the end.
    pub(crate) async fn keep(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        for slot in 0..self.slots.len() {
            tasks.spawn(Arc::clone(&self).keep_slot(slot));
        }
        while let Some(kept) = tasks.join_next().await {
            kept.expect("a slot is kept");
        }
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn any(&self, random: &mut fastrand::Rng) -> Option<Arc<Run>> {
        self.slots[random.usize(..self.slots.len())].lock().expect("no panic").clone()
    }

    async fn keep_slot(self: Arc<Self>, slot: usize) {
        while !self.is_over() {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let mut random = fastrand::Rng::with_seed(self.seed ^ number);
            let (run, handle) = Run::begin(&self.world, number, &mut random);
            let run = Arc::new(run);
            *self.slots[slot].lock().expect("no panic") = Some(Arc::clone(&run));
            let end = Instant::now() + Duration::from_secs(random.u64(LIFE));
            // Not all at once.
            sleep(Duration::from_millis(random.u64(0..1000))).await;
            while Instant::now() < end && !self.is_over() {
                run.rotate(&handle, &self.world, &mut random);
                sleep(ROTATION).await;
            }
            *self.slots[slot].lock().expect("no panic") = None;
            run.stop(handle, &self.world).await;
        }
    }
}

/// One run, as its clients know it.
pub(crate) struct Run {
    pub(crate) number: u64,
    pub(crate) token: String,
    pub(crate) placeholder: String,
    pub(crate) connector: [TlsConnector; 2],
    /// What must never reach a client.
    pub(crate) traces: Vec<Vec<u8>>,
    context: Arc<RunContext>,
    key: PlaceholderKey,
    rules: Mutex<Arc<RunRules>>,
    /// The generation that is in force for sure.
    floor: AtomicU64,
    ending: watch::Sender<Option<Instant>>,
}

impl Run {
    fn begin(world: &World, number: u64, random: &mut fastrand::Rng) -> (Self, RunHandle) {
        let key = PlaceholderKey::from_bytes([9; 32]);
        let home = "/home/agent".parse().expect("a path");
        let id = format!("run-{number}").parse().expect("an id");
        let context = Arc::new(RunContext::builder(id, home, key.clone()).build());
        let placeholder = context.placeholder(&grant(), "token", &shape()).expect("a placeholder");
        let token = format!("{:032x}", random.u128(..));
        let rules = rules(&context, &key, number, 1, None, random);
        let mut registration = RunRegistration::new(context.id().clone(), rules.clone())
            .token(&Secret::new(token.clone()));
        if number.is_multiple_of(4) {
            registration = registration.authority(Arc::new(authority()));
        }
        if number.is_multiple_of(3) {
            registration = registration.sample_bodies(2048);
        }
        let handle = world.proxy.register(registration).expect("a token of its own");
        world.ledger.runs.fetch_add(1, Ordering::Relaxed);
        let run = Self {
            number,
            token,
            placeholder: placeholder.to_string(),
            connector: ["http/1.1", "h2"].map(|alpn| connector(&handle, alpn)),
            traces: ledger::traces(number),
            context,
            key,
            rules: Mutex::new(rules),
            floor: AtomicU64::new(1),
            ending: watch::channel(None).0,
        };
        (run, handle)
    }

    /// Returns the generation that every request from now on must carry, or a later one.
    pub(crate) fn floor(&self) -> u64 {
        self.floor.load(Ordering::SeqCst)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ending.borrow().is_some()
    }

    /// Waits for the end of the run.
    pub(crate) async fn ended(&self) {
        _ = self.ending.subscribe().wait_for(Option::is_some).await;
    }

    /// Waits for the end of the run, and for as long as its streams may stay open behind it.
    pub(crate) async fn must_be_closed(&self) {
        self.ended().await;
        sleep(GRACE + Duration::from_secs(1)).await;
    }

    fn rotate(&self, handle: &RunHandle, world: &World, random: &mut fastrand::Rng) {
        let next = self.floor() + 1;
        let mut current = self.rules.lock().expect("no panic");
        *current = rules(&self.context, &self.key, self.number, next, Some(&current), random);
        handle.swap(current.clone());
        self.floor.store(next, Ordering::SeqCst);
        world.ledger.swaps.fetch_add(1, Ordering::Relaxed);
    }

    async fn stop(&self, handle: RunHandle, world: &World) {
        let begun = Instant::now();
        if timeout(GRACE + Duration::from_secs(1), handle.stop()).await.is_err() {
            world.ledger.violation(format!("run {} does not stop", self.number));
        }
        world.ledger.done("stop", if begun.elapsed() < GRACE { "in time" } else { "slow" });
        world.ledger.stopped(self.number);
        self.ending.send_replace(Some(Instant::now()));
    }
}

fn grant() -> CredentialKey {
    "vendor".parse().expect("a key")
}

fn shape() -> PlaceholderShape {
    PlaceholderShape::prefixed("ven_", Alphabet::Alphanumeric, 40)
}

fn rules(
    context: &Arc<RunContext>,
    key: &PlaceholderKey,
    run: u64,
    generation: u64,
    previous: Option<&RunRules>,
    random: &mut fastrand::Rng,
) -> Arc<RunRules> {
    let placeholder = context.placeholder(&grant(), "token", &shape()).expect("a placeholder");
    let target = Target::host("*.vendor.test").expect("a pattern");
    let mut rules = ProxyRules::default();
    let bearer = HeaderTemplate::Bearer;
    rules.credential(
        CredentialRule::new(target, AUTHORIZATION, bearer, SecretRef::token(&grant()))
            .placeholder(placeholder),
    );
    let secret = Secret::new(ledger::secret(run, generation, random.u64(..)));
    let secrets = [(SecretName::TOKEN, secret)].into_iter().collect();
    let secrets = BTreeMap::from([(grant(), secrets)]);
    let table = Generation::new(&rules, &[], &secrets, key.clone(), Mode::Strict);
    let policy = Policy::builder(Mode::Strict).allow("203.0.113.0/24").expect("a network").build();
    let table = table.expect("a generation");
    let next = RunRules::builder(Arc::clone(context), Arc::new(RealClock), policy, table);
    let next = match previous {
        Some(previous) => next.succeeding(previous),
        None => next,
    };
    Arc::new(next.build().expect("rules"))
}

fn connector(handle: &RunHandle, alpn: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(handle.authority().certificate().clone()).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    TlsConnector::from(Arc::new(config))
}
