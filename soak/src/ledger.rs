//! Who may carry which secret, and everything that was seen to the contrary.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::time::Instant;

/// How long after its end a run's secret may still be on the way, and its streams open.
pub(crate) const GRACE: Duration = Duration::from_secs(2);
/// How many violations are told in full.
const SHOWN: usize = 40;

/// The secret of one run at one generation. Whoever sees it can tell both.
pub(crate) fn secret(run: u64, generation: u64, salt: u64) -> String {
    format!("ven_R{run:06}G{generation:06}x{salt:025x}")
}

/// Reads run and generation out of a secret.
pub(crate) fn read(secret: &str) -> Option<(u64, u64)> {
    let rest = secret.strip_prefix("ven_R")?;
    let (run, rest) = (rest.get(..6)?, rest.get(6..)?.strip_prefix('G')?);
    Some((run.parse().ok()?, rest.get(..6)?.parse().ok()?))
}

/// Whether a text holds the plain beginning of a secret.
pub(crate) fn names_a_secret(text: &str) -> bool {
    text.match_indices("ven_R").any(|(at, _)| read(&text[at..]).is_some())
}

/// What of every secret of a run must not reach a client, in the forms in which hosts repeat it.
pub(crate) fn traces(run: u64) -> Vec<Vec<u8>> {
    let text = format!("ven_R{run:06}G");
    let bytes = text.as_bytes();
    let hex = bytes[4..].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut traces = vec![bytes[4..].to_vec(), hex.into_bytes()];
    // At each alignment six bytes that depend on no neighbour.
    traces.extend((0..3).map(|skip| STANDARD_NO_PAD.encode(&bytes[4 + skip..][..6]).into_bytes()));
    traces
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) secrets_seen: AtomicU64,
    pub(crate) swaps: AtomicU64,
    pub(crate) runs: AtomicU64,
    panics: Arc<AtomicU64>,
    /// How often each thing was done, by name and outcome.
    done: Mutex<BTreeMap<String, u64>>,
    violations: Mutex<Vec<String>>,
    /// When each run had stopped.
    stopped: Mutex<BTreeMap<u64, Instant>>,
}

impl Ledger {
    pub(crate) fn count_panics(&self) {
        let (panics, before) = (Arc::clone(&self.panics), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            panics.fetch_add(1, Ordering::Relaxed);
            before(panic);
        }));
    }

    pub(crate) fn done(&self, what: &str, outcome: &str) {
        *lock(&self.done).entry(format!("{what}: {outcome}")).or_default() += 1;
    }

    pub(crate) fn violation(&self, what: String) {
        lock(&self.violations).push(what);
    }

    pub(crate) fn stopped(&self, run: u64) {
        lock(&self.stopped).insert(run, Instant::now());
    }

    pub(crate) fn has_stopped_for(&self, run: u64) -> Option<Duration> {
        lock(&self.stopped).get(&run).map(Instant::elapsed)
    }

    /// Judges a secret that a host was sent, for a request that names its run and the generation
    /// that was in force when it began.
    pub(crate) fn judge(&self, sent: &str, claimed: Option<(u64, u64)>, what: &str) {
        self.secrets_seen.fetch_add(1, Ordering::Relaxed);
        let (Some((run, generation)), Some((claimed, floor))) = (read(sent), claimed) else {
            return self.violation(format!("{what}: {sent:?} is no secret, or nobody's"));
        };
        if run != claimed {
            self.violation(format!("{what}: run {claimed} carries the secret of run {run}"));
        }
        if generation < floor {
            self.violation(format!("{what}: generation {generation} where {floor} was in force"));
        }
        if let Some(late) = self.has_stopped_for(run).filter(|late| *late > GRACE) {
            self.violation(format!("{what}: the secret of run {run} {late:?} after its end"));
        }
    }

    pub(crate) fn line(&self) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let requests: u64 = lock(&self.done).values().sum();
        format!(
            "{requests} done, {} secrets at hosts, {} swaps, {} runs, {} violations",
            count(&self.secrets_seen),
            count(&self.swaps),
            count(&self.runs),
            lock(&self.violations).len()
        )
    }

    /// Prints everything, and returns what must not have been.
    pub(crate) fn report(&self) -> Vec<String> {
        println!("{}", self.line());
        for (what, count) in lock(&self.done).iter() {
            println!("{count:>9}  {what}");
        }
        let all = lock(&self.violations);
        let mut wrong: Vec<String> = all.iter().take(SHOWN).cloned().collect();
        if all.len() > SHOWN {
            wrong.push(format!("and {} more", all.len() - SHOWN));
        }
        // Now and then a busy machine is to blame.
        let slow = lock(&self.done).get("stop: slow").copied().unwrap_or_default();
        if 100 * slow > self.runs.load(Ordering::Relaxed) {
            wrong.push(format!("{slow} runs took long to stop"));
        }
        let panics = self.panics.load(Ordering::Relaxed);
        if panics > 0 {
            wrong.push(format!("{panics} panics"));
        }
        wrong
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
