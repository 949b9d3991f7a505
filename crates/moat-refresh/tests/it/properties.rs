//! Whatever happens in whatever order: no refresh token is spent twice, and the last is not lost.

use std::time::Duration;

use moat_provider_core::ErrorKind;
use moat_refresh::{Refresher, Subscription};
use moat_store::{CredentialStore, Expect, StoreErrorKind};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::*;

const PROCESSES: usize = 3;

/// Something that happens to a person's machine.
#[derive(Clone, Debug)]
enum Step {
    Pass(Duration),
    SetClock(i64),
    Ensure(usize),
    /// A caller that goes away after a while.
    EnsureAndLeave(usize, Duration),
    Reject(usize),
    Vendor(Vec<Outcome>),
    FailSaves(usize, StoreErrorKind),
    FailReads,
    Heal,
    Grant(u64),
    RemoveAndGrant(u64),
    /// Somebody changes the record and leaves its secrets as they are.
    Edit(u8),
    /// A process that ends in good order, and another in its place.
    Restart(usize),
    /// A process that wants nothing for a while.
    Unwatch(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let process = 0..PROCESSES;
    let outcome = prop_oneof![
        4 => Just(Outcome::Renew),
        2 => select(vec![ErrorKind::Offline, ErrorKind::Unavailable, ErrorKind::RateLimited])
            .prop_map(Outcome::Fail),
        1 => Just(Outcome::Fail(ErrorKind::TokenRevoked)),
        1 => (0_u64..1000)
            .prop_map(|s| Outcome::FailAndWait(ErrorKind::RateLimited, Duration::from_secs(s))),
        1 => Just(Outcome::Unchanged),
        1 => Just(Outcome::Hang),
    ];
    let kinds = vec![StoreErrorKind::NoSpace, StoreErrorKind::KeyUnavailable, StoreErrorKind::Io];
    prop_oneof![
        4 => (0_u64..1500).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        4 => (1_u64..900).prop_map(|s| Step::Pass(Duration::from_secs(s))),
        1 => (-5 * 3600_i64..5 * 3600).prop_map(Step::SetClock),
        4 => process.clone().prop_map(Step::Ensure),
        3 => (process.clone(), 0_u64..1000)
            .prop_map(|(at, ms)| Step::EnsureAndLeave(at, Duration::from_millis(ms))),
        4 => process.clone().prop_map(Step::Reject),
        2 => vec(outcome, 1..4).prop_map(Step::Vendor),
        2 => (1_usize..8, select(kinds)).prop_map(|(count, kind)| Step::FailSaves(count, kind)),
        1 => Just(Step::FailReads),
        2 => Just(Step::Heal),
        2 => (0_u64..1000).prop_map(Step::Grant),
        1 => (0_u64..1000).prop_map(Step::RemoveAndGrant),
        2 => any::<u8>().prop_map(Step::Edit),
        1 => process.clone().prop_map(Step::Restart),
        1 => process.prop_map(Step::Unwatch),
    ]
}

struct Machine {
    world: World,
    processes: Vec<(Refresher, Option<Subscription>)>,
}

impl Machine {
    async fn new(latency: Duration, life: u64) -> Self {
        let world = World::new();
        world.store.set_latency(latency);
        world.vendor.set_life(Duration::from_secs(life));
        world.grant(Duration::from_secs(300)).await;
        let mut machine = Self { world, processes: Vec::new() };
        for _ in 0..PROCESSES {
            let process = machine.begin().await;
            machine.processes.push(process);
        }
        machine
    }

    async fn begin(&self) -> (Refresher, Option<Subscription>) {
        let process = self.world.process();
        let watched = process.watch(&self.world.key()).await.ok();
        (process, watched)
    }

    async fn take(&mut self, step: Step) {
        let key = self.world.key();
        match step {
            Step::Pass(duration) => pass(duration).await,
            Step::SetClock(seconds) => self.world.clock.set_by(seconds),
            Step::Ensure(at) => {
                let (process, watched) = &mut self.processes[at];
                let _ = process.ensure_fresh(&key).await;
                if watched.is_none() {
                    *watched = process.watch(&key).await.ok();
                }
            }
            Step::EnsureAndLeave(at, after) => {
                let call = self.processes[at].0.ensure_fresh(&key);
                let _ = tokio::time::timeout(after, call).await;
            }
            Step::Reject(at) => {
                if let (process, Some(watched)) = &self.processes[at]
                    && let Some(generation) = watched.snapshot().generation()
                {
                    process.rejected(&key, generation);
                }
            }
            Step::Vendor(outcomes) => self.world.vendor.next(outcomes),
            Step::FailSaves(count, kind) => self.world.store.fail_saves(count, kind),
            Step::FailReads => self.world.store.fail_reads(StoreErrorKind::Io),
            Step::Heal => self.world.store.heal(),
            Step::Grant(life) => {
                self.world.grant(Duration::from_secs(life)).await;
            }
            Step::RemoveAndGrant(life) => {
                self.world.remove().await;
                pass(Duration::from_millis(life * 10)).await;
                self.world.grant(Duration::from_secs(life)).await;
            }
            Step::Edit(note) => {
                let stored = self.world.stored().await;
                let edited = stored.credential.renew().metadata("note", note.to_string()).build();
                let expect = Expect::Generation(stored.generation);
                self.world.store.inner().save(&edited, expect).await.unwrap();
            }
            Step::Restart(at) => {
                // Else what is in memory only may be lost, as it says.
                self.world.store.heal();
                self.processes[at].0.shut_down().await.unwrap();
                self.processes[at] = self.begin().await;
            }
            Step::Unwatch(at) => self.processes[at].1 = None,
        }
        assert_eq!(self.world.vendor.reused(), 0, "a refresh token was spent twice");
    }

    /// When nothing goes wrong any more, everything is well again.
    async fn calm_down(&mut self) {
        self.world.store.heal();
        self.world.vendor.forget_outcomes();
        // No refresh is under way at the time of the search.
        self.world.vendor.set_life(10 * HOUR);
        pass(HOUR).await;
        self.world.assert_nothing_is_lost().await;
        let newest = self.world.stored().await.generation;
        for (_, watched) in &self.processes {
            if let Some(watched) = watched {
                let now = watched.snapshot();
                assert!(now.generation() >= Some(newest), "{now:?} is not {newest}");
            }
        }
        for (process, _) in &self.processes {
            process.shut_down().await.unwrap();
        }
        self.world.assert_nothing_is_lost().await;
        assert!(self.world.store.inner().try_lease(&self.world.key()).await.unwrap().is_some());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_token_is_spent_twice_or_lost(
        latency in 0_u64..200,
        life in select(vec![0_u64, 60, 400, 3600]),
        steps in vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut machine = Machine::new(Duration::from_millis(latency), life).await;
            for step in steps {
                machine.take(step).await;
            }
            machine.calm_down().await;
        });
    }
}
