//! What subscribers see, and how tasks begin and end.

use std::time::Duration;

use moat_provider_core::{Credential, Registry};
use moat_refresh::{ProblemKind, Refresher, State};
use moat_store::{CredentialStore, MemoryStore};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn with_the_last_subscriber_the_task_ends() {
    let world = World::new();
    world.grant(HOUR).await;
    let engine = world.process();
    let one = engine.watch(&world.key()).await.unwrap();
    let two = one.clone();
    assert!(format!("{engine:?}").contains("vendor"));
    drop(one);
    pass(MINUTE).await;
    assert!(format!("{engine:?}").contains("vendor"));
    let loads = world.store.loads();
    drop(two);
    pass(10 * HOUR).await;
    assert!(!format!("{engine:?}").contains("vendor"));
    assert!(world.vendor.calls().is_empty());
    assert_eq!(world.store.loads(), loads);
    engine.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_task_serves_all_runs() {
    let world = World::new();
    world.grant(HOUR).await;
    let engine = world.process();
    let mut runs = Vec::new();
    for _ in 0..10 {
        runs.push(engine.watch(&world.key()).await.unwrap());
    }
    assert_eq!(world.store.loads(), 1);
    pass(HOUR).await;
    assert_eq!(world.vendor.calls().len(), 1);
    assert!(runs.iter().all(|run| run.snapshot().revision() == 2));
}

#[tokio::test(start_paused = true)]
async fn generations_are_seen_in_order_and_the_last_is_never_missed() {
    let world = World::new();
    world.grant(HOUR).await;
    let engine = world.process();
    let mut eager = engine.watch(&world.key()).await.unwrap();
    let mut lazy = eager.clone();
    let follow = tokio::spawn(async move {
        let mut seen = vec![eager.snapshot().generation().unwrap().number()];
        while let Some(now) = eager.changed().await {
            seen.extend(now.generation().map(|generation| generation.number()));
        }
        seen
    });
    pass(10 * HOUR).await;
    let last = lazy.changed().await.unwrap();
    engine.shut_down().await.unwrap();
    let mut seen = follow.await.unwrap();
    seen.dedup();
    assert_eq!(seen, (1..=last.generation().unwrap().number()).collect::<Vec<_>>());
    assert!(seen.len() > 10);
}

#[tokio::test(start_paused = true)]
async fn a_removal_is_told_at_once_and_a_new_grant_is_taken_up() {
    let world = World::new();
    world.grant(HOUR).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    world.remove().await;
    let now = until(&mut watched, |now| matches!(now.state(), State::Removed(_))).await;
    assert!(world.clock.elapsed() <= 6 * SECOND);
    assert_eq!((now.revision(), now.removals(), now.credential().is_none()), (2, 1, true));
    assert_eq!(watched.ensure_fresh().await.unwrap_err().hint(), "moat grant vendor");
    world.grant(HOUR).await;
    // Also by one who cannot wait for the next look.
    watched.ensure_fresh().await.unwrap();
    let now = watched.snapshot();
    assert!(is_fresh(&now) && now.removals() == 1);
    pass(2 * HOUR).await;
    assert!(world.vendor.calls().len() >= 2, "and kept fresh");
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_was_made_good_at_once_can_still_be_told() {
    let world = World::new();
    world.grant(HOUR).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    world.remove().await;
    world.grant(HOUR).await;
    let now = until(&mut watched, |now| now.revision() > 1).await;
    assert_eq!(now.removals(), 1);
    assert!(is_fresh(&now));
}

#[tokio::test(start_paused = true)]
async fn a_login_of_another_program_is_read_and_never_refreshed() {
    let world = World::new();
    let imported = world.vendor.grant(Some(HOUR)).renew();
    let imported = imported.metadata(Credential::REFRESHED_BY, "codex").build();
    world.put(imported.clone()).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    let now = watched.snapshot();
    let State::OwnedElsewhere(problem) = now.state() else { panic!("{now:?}") };
    assert!(problem.message().contains("codex"), "{problem:?}");
    watched.rejected(now.generation().unwrap());
    let now = until(&mut watched, |now| matches!(now.state(), State::NeedsPerson(_))).await;
    assert_eq!(now.state().problem().unwrap().kind(), ProblemKind::Rejected);
    pass(2 * HOUR).await;
    let problem = watched.ensure_fresh().await.unwrap_err();
    assert!(problem.hint().contains("moat grant vendor"), "{problem:?}");
    // Somebody imported it again, for its owner has been busy.
    world.put(imported.renew().expires_at(None).build()).await;
    watched.ensure_fresh().await.unwrap();
    // The person says that it is ours now.
    let expiry = moat_provider_core::Clock::now(&*world.clock) + HOUR;
    let ours = imported.renew().without_metadata(Credential::REFRESHED_BY).expires_at(expiry);
    world.put(ours.build()).await;
    assert!(world.vendor.calls().is_empty());
    pass(2 * HOUR).await;
    assert!(!world.vendor.calls().is_empty());
    world.assert_nothing_is_lost().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_or_not_known_is_said_with_what_helps() {
    let world = World::new();
    let engine = world.process();
    let problem = engine.watch(&world.key()).await.unwrap_err();
    assert_eq!((problem.kind(), problem.hint()), (ProblemKind::Removed, "moat grant vendor"));
    assert_eq!(engine.ensure_fresh(&world.key()).await.unwrap_err(), problem);
    let problem = engine.ensure_fresh(&"unheard-of".parse().unwrap()).await.unwrap_err();
    assert_eq!(problem.kind(), ProblemKind::NoProvider);
    assert!(problem.hint().contains("vendor"), "{problem:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_what_is_being_renewed_and_for_nothing_else() {
    let world = World::new();
    world.grant(Duration::ZERO).await;
    let engine = world.process();
    let keys = [world.key()];
    assert!(engine.prepare(&keys).is_none(), "nobody watches it");
    let watched = engine.watch(&world.key()).await.unwrap();
    engine.prepare(&keys).expect("it has expired").await;
    assert_eq!(watched.snapshot().revision(), 2);
    assert!(engine.prepare(&keys).is_none());
    // Nothing is gained by waiting for the person.
    world.put(world.vendor.fixed(Some(Duration::ZERO))).await;
    pass(MINUTE).await;
    assert!(matches!(watched.snapshot().state(), State::NeedsPerson(_)));
    assert!(engine.prepare(&keys).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_was_made_has_done_nothing_and_ends_at_once() {
    let world = World::new();
    let cx = moat_provider_testkit::Ports::new().host_context();
    let store = std::sync::Arc::new(MemoryStore::new());
    let engine = Refresher::new(Registry::default(), store, cx);
    engine.shut_down().await.unwrap();
    engine.shut_down().await.unwrap();
    assert!(world.store.inner().list().await.unwrap().is_empty());
}
