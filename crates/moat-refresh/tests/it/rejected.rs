//! What a 401 leads to.

use moat_refresh::{ProblemKind, State};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_rejected_generation_is_refreshed_once() {
    let world = World::new();
    let generation = world.grant(10 * HOUR).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    for _ in 0..50 {
        engine.rejected(&world.key(), generation);
        watched.rejected(generation);
    }
    until(&mut watched, |now| now.revision() == 2 && is_fresh(now)).await;
    // Late answers to requests with the old token.
    for _ in 0..50 {
        engine.rejected(&world.key(), generation);
        pass(SECOND).await;
    }
    assert_eq!(world.vendor.calls().len(), 1);
    world.assert_nothing_is_lost().await;
}

#[tokio::test(start_paused = true)]
async fn a_container_cannot_drive_refreshes() {
    let world = World::new();
    world.vendor.set_life(10 * HOUR);
    world.grant(10 * HOUR).await;
    let engine = world.process();
    let watched = engine.watch(&world.key()).await.unwrap();
    for _ in 0..3 * 3600 {
        watched.rejected(watched.snapshot().generation().unwrap());
        pass(SECOND).await;
    }
    let calls = world.vendor.calls();
    assert!((5..=13).contains(&calls.len()), "{calls:?}");
    let apart: Vec<_> = calls.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(apart.is_sorted() && *apart.last().unwrap() >= 29 * MINUTE, "{apart:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_the_provider_cannot_help_is_shown_and_blocks_nobody() {
    let world = World::new();
    world.vendor.next([Outcome::Unchanged; 20]);
    let generation = world.grant(10 * HOUR).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    watched.rejected(generation);
    let now = until(&mut watched, |now| now.state().problem().is_some()).await;
    let State::NeedsPerson(problem) = now.state() else { panic!("{now:?}") };
    assert_eq!(problem.kind(), ProblemKind::Rejected);
    watched.ensure_fresh().await.expect("a container may have provoked it");
    for _ in 0..50 {
        watched.rejected(generation);
        pass(MINUTE / 10).await;
    }
    assert_eq!(world.vendor.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fixed_token_that_is_rejected_needs_the_person() {
    let world = World::new();
    let generation = world.put(world.vendor.fixed(None)).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    watched.rejected(generation);
    let now = until(&mut watched, |now| now.state().problem().is_some()).await;
    let State::NeedsPerson(problem) = now.state() else { panic!("{now:?}") };
    assert!(problem.hint().starts_with("moat grant vendor"), "{problem:?}");
    watched.ensure_fresh().await.unwrap();
    world.put(world.vendor.fixed(None)).await;
    let now = until(&mut watched, is_fresh).await;
    assert_eq!(now.removals(), 1, "another grant");
}

#[tokio::test(start_paused = true)]
async fn what_another_process_has_renewed_is_not_renewed_again() {
    let world = World::new();
    let generation = world.grant(10 * HOUR).await;
    let (one, other) = (world.process(), world.process());
    let mut one_watched = one.watch(&world.key()).await.unwrap();
    let mut other_watched = other.watch(&world.key()).await.unwrap();
    one_watched.rejected(generation);
    until(&mut one_watched, |now| now.revision() == 2).await;
    // It has not seen that yet.
    assert_eq!(other_watched.snapshot().generation(), Some(generation));
    other_watched.rejected(generation);
    until(&mut other_watched, |now| now.revision() == 2 && is_fresh(now)).await;
    assert_eq!(world.vendor.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_refreshes_what_nobody_watches() {
    let world = World::new();
    let generation = world.grant(10 * HOUR).await;
    let engine = world.process();
    engine.rejected(&world.key(), generation);
    pass(HOUR).await;
    assert!(world.vendor.calls().is_empty());
}
