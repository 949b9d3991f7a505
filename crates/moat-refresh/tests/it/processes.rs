//! Many callers and many processes, one refresh.

use std::sync::Arc;
use std::time::Duration;

use moat_refresh::{ProblemKind, Schedule, State};
use moat_store::{CredentialStore, Expect};
use tokio::task::JoinSet;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_share_one_refresh() {
    let world = World::new();
    world.grant(MINUTE).await;
    let engine = world.process();
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let (engine, key) = (engine.clone(), world.key());
        callers.spawn(async move { engine.ensure_fresh(&key).await.unwrap().generation });
    }
    let generations = callers.join_all().await;
    let newest = world.stored().await.generation;
    assert!(generations.iter().all(|generation| *generation == newest));
    assert_eq!(world.vendor.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn callers_the_timer_and_a_401_share_one_refresh() {
    let world = World::new();
    let generation = world.grant(MINUTE).await;
    let engine = world.process();
    let watched = engine.watch(&world.key()).await.unwrap();
    pass(SECOND / 10).await;
    assert_eq!(*watched.snapshot().state(), State::Refreshing, "the timer began");
    watched.rejected(generation);
    let key = world.key();
    let (one, two) = tokio::join!(watched.ensure_fresh(), engine.ensure_fresh(&key));
    assert_eq!(one.unwrap().generation, two.unwrap().generation);
    pass(10 * MINUTE).await;
    assert_eq!(world.vendor.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_goes_on_when_its_caller_is_gone() {
    let world = World::new();
    let generation = world.grant(MINUTE).await;
    let engine = world.process();
    let key = world.key();
    let call = engine.ensure_fresh(&key);
    // In the middle of the call, when the old token is spent already.
    assert!(tokio::time::timeout(SECOND * 2 / 5, call).await.is_err());
    assert_eq!(world.stored().await.generation, generation);
    pass(SECOND).await;
    assert!(world.stored().await.generation > generation);
    world.assert_nothing_is_lost().await;
    assert_eq!(world.vendor.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn sixteen_processes_ask_the_vendor_once_for_each_rotation() {
    let world = World::new();
    world.grant(2 * HOUR).await;
    let processes: Vec<_> = (0..16).map(|_| world.process()).collect();
    let mut watched = Vec::new();
    for process in &processes {
        watched.push(process.watch(&world.key()).await.unwrap());
    }
    pass(24 * HOUR).await;
    let newest = world.stored().await.generation;
    for subscription in &watched {
        let now = subscription.snapshot();
        assert_eq!(now.generation(), Some(newest));
        assert!(is_fresh(&now));
    }
    let calls = world.vendor.calls();
    assert_eq!(newest.number() as usize, calls.len() + 1);
    assert!((23..=26).contains(&calls.len()), "{}", calls.len());
    world.assert_nothing_is_lost().await;
}

#[tokio::test(start_paused = true)]
async fn sixteen_processes_that_begin_together_ask_once() {
    let world = Arc::new(World::new());
    world.grant(Duration::ZERO).await;
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let world = Arc::clone(&world);
        callers.spawn(async move {
            let process = world.process();
            let generation = process.ensure_fresh(&world.key()).await.unwrap().generation;
            process.shut_down().await.unwrap();
            generation
        });
    }
    let generations = callers.join_all().await;
    assert!(generations.iter().all(|generation| generation.number() == 2), "{generations:?}");
    assert_eq!(world.vendor.calls().len(), 1);
    world.assert_nothing_is_lost().await;
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_process_that_dies_is_taken_over() {
    let world = World::new();
    world.grant(MINUTE).await;
    let lease = world.store.inner().try_lease(&world.key()).await.unwrap().unwrap();
    let engine = world.process();
    let key = world.key();
    let call = engine.ensure_fresh(&key);
    let release = async {
        pass(20 * SECOND).await;
        assert!(world.vendor.calls().is_empty(), "somebody else has the lease");
        drop(lease);
    };
    let (answer, ()) = tokio::join!(call, release);
    assert_eq!(answer.unwrap().generation.number(), 2);
    assert!(world.clock.elapsed() < 22 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_never_comes_is_not_waited_for_without_end() {
    let world = World::new();
    world.grant(20 * MINUTE).await;
    let lease = world.store.inner().try_lease(&world.key()).await.unwrap().unwrap();
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    watched.ensure_fresh().await.expect("it is still valid");
    let elapsed = world.clock.elapsed();
    assert!((MINUTE..MINUTE + 2 * SECOND).contains(&elapsed), "{elapsed:?}");
    let now = watched.snapshot();
    assert_eq!(now.state().problem().unwrap().kind(), ProblemKind::Busy, "{now:?}");
    drop(lease);
    until(&mut watched, |now| now.revision() == 2).await;
    assert_eq!(world.vendor.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_shuts_down_does_not_wait_for_a_lease() {
    let world = World::new();
    world.grant(MINUTE).await;
    let _lease = world.store.inner().try_lease(&world.key()).await.unwrap().unwrap();
    let engine = world.process();
    let watched = engine.watch(&world.key()).await.unwrap();
    pass(SECOND).await;
    engine.shut_down().await.unwrap();
    assert!(world.clock.elapsed() < 2 * SECOND);
    assert!(matches!(watched.snapshot().state(), State::Ended(_)));
}

#[tokio::test(start_paused = true)]
async fn what_another_process_saves_is_picked_up_and_not_refreshed() {
    let world = World::new();
    world.grant(7 * MINUTE).await;
    let engine = world.process_with(Schedule::default().with_store_poll(3 * SECOND));
    let mut watched = engine.watch(&world.key()).await.unwrap();
    let stored = world.stored().await;
    let now = moat_provider_core::Clock::now(&*world.clock);
    let next = stored.credential.renew().expires_at(now + HOUR).build();
    let expect = Expect::Generation(stored.generation);
    let generation = world.store.inner().save(&next, expect).await.unwrap();
    let seen = until(&mut watched, |now| now.revision() == 2).await;
    assert_eq!(seen.generation(), Some(generation));
    assert_eq!(seen.removals(), 0, "the same grant");
    assert!(world.clock.elapsed() <= 4 * SECOND);
    pass(40 * MINUTE).await;
    assert!(world.vendor.calls().is_empty());
}
