//! A rotated token is not lost, and nothing is overwritten or brought back.

use moat_provider_core::{Credential, SecretName};
use moat_refresh::{ProblemKind, State};
use moat_store::{CredentialStore, Expect, StoreErrorKind};

use crate::support::*;

fn refresh_token(credential: &Credential) -> moat_provider_core::Secret {
    credential.secrets().get(&SecretName::REFRESH_TOKEN).unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_saved_is_served_and_saved_later() {
    let world = World::new();
    world.store.fail_saves(6, StoreErrorKind::NoSpace);
    let generation = world.grant(MINUTE).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    let unsaved = until(&mut watched, |now| now.revision() == 2).await;
    let State::Unsaved(problem) = unsaved.state() else { panic!("{unsaved:?}") };
    assert_eq!(problem.kind(), ProblemKind::Store);
    assert_eq!(unsaved.generation(), Some(generation));
    let served = unsaved.credential().unwrap().clone();
    assert!(world.vendor.knows(&served));
    let ensured = watched.ensure_fresh().await.unwrap();
    assert!(ensured.credential.token().same_as(served.token()));
    // Nobody spends the old token a second time.
    assert!(world.store.inner().try_lease(&world.key()).await.unwrap().is_none());
    let other = world.process();
    assert!(tokio::time::timeout(10 * SECOND, other.ensure_fresh(&world.key())).await.is_err());

    let saved = until(&mut watched, is_fresh).await;
    assert!(saved.generation() > Some(generation));
    assert_eq!(saved.revision(), 2, "nothing to swap");
    let stored = world.stored().await;
    assert!(stored.credential.token().same_as(served.token()));
    assert!(world.store.inner().try_lease(&world.key()).await.unwrap().is_some());
    assert_eq!(world.vendor.calls().len(), 1);
    world.assert_nothing_is_lost().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_saved_is_renewed_from_memory_and_outlives_its_last_subscriber() {
    let world = World::new();
    world.store.fail_saves(1000, StoreErrorKind::NoSpace);
    world.grant(MINUTE).await;
    let engine = world.process();
    let watched = engine.watch(&world.key()).await.unwrap();
    pass(3 * HOUR).await;
    assert!(world.vendor.calls().len() >= 3);
    assert!(world.vendor.knows(watched.snapshot().credential().unwrap()));
    drop(watched);
    pass(HOUR / 2).await;
    world.store.heal();
    pass(HOUR / 2).await;
    world.assert_nothing_is_lost().await;
    assert!(world.store.inner().try_lease(&world.key()).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_end_saves_what_it_can_and_names_what_is_lost() {
    for failures in [1, 100] {
        let world = World::new();
        world.store.fail_saves(failures, StoreErrorKind::Io);
        world.grant(MINUTE).await;
        let engine = world.process();
        let mut watched = engine.watch(&world.key()).await.unwrap();
        until(&mut watched, |now| matches!(now.state(), State::Unsaved(_))).await;
        let end = engine.shut_down().await;
        if failures == 1 {
            end.unwrap();
            world.assert_nothing_is_lost().await;
        } else {
            assert_eq!(end.unwrap_err(), [world.key()]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_shut_down_waits_for_the_vendors_answer_and_saves_it() {
    let world = World::new();
    let generation = world.grant(MINUTE).await;
    let engine = world.process();
    let _watched = engine.watch(&world.key()).await.unwrap();
    // The old token is spent, the answer on its way.
    pass(SECOND * 2 / 5).await;
    engine.shut_down().await.unwrap();
    assert!(world.stored().await.generation > generation);
    world.assert_nothing_is_lost().await;
    let problem = engine.ensure_fresh(&world.key()).await.unwrap_err();
    assert_eq!(problem.kind(), ProblemKind::Ended);
    assert_eq!(engine.watch(&world.key()).await.unwrap_err().kind(), ProblemKind::Ended);
}

#[tokio::test(start_paused = true)]
async fn a_new_grant_wins_over_a_refresh_of_the_old_one() {
    let world = World::new();
    world.grant(MINUTE).await;
    let new = world.vendor.grant(Some(10 * HOUR));
    let wins = new.clone();
    world.store.before_save(|store| async move {
        store.save(&new, Expect::Anything).await.unwrap();
    });
    let engine = world.process();
    let watched = engine.watch(&world.key()).await.unwrap();
    let answer = watched.ensure_fresh().await.unwrap();
    assert!(answer.credential.token().same_as(wins.token()));
    assert!(world.stored().await.credential.token().same_as(wins.token()));
    assert_eq!(watched.snapshot().removals(), 1);
    assert!(is_fresh(&watched.snapshot()));
    world.assert_nothing_is_lost().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_removed_meanwhile_is_not_brought_back() {
    let world = World::new();
    world.grant(MINUTE).await;
    let key = world.key();
    world.store.before_save(|store| async move {
        assert!(store.remove(&key).await.unwrap());
    });
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    assert_eq!(watched.ensure_fresh().await.unwrap_err().kind(), ProblemKind::Removed);
    let now = until(&mut watched, |now| now.credential().is_none()).await;
    assert!(matches!(now.state(), State::Removed(_)));
    pass(HOUR).await;
    assert!(world.store.inner().load(&world.key()).await.is_err());
    assert!(world.store.inner().try_lease(&world.key()).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn removal_and_a_new_grant_also_win_over_what_is_not_saved_yet() {
    for is_granted in [false, true] {
        let world = World::new();
        world.store.fail_saves(3, StoreErrorKind::NoSpace);
        world.grant(MINUTE).await;
        let engine = world.process();
        let mut watched = engine.watch(&world.key()).await.unwrap();
        until(&mut watched, |now| matches!(now.state(), State::Unsaved(_))).await;
        world.remove().await;
        if is_granted {
            world.grant(HOUR).await;
        }
        until(&mut watched, |now| now.removals() == 1).await;
        pass(10 * MINUTE).await;
        assert_eq!(watched.snapshot().credential().is_some(), is_granted);
        assert_eq!(world.store.inner().load(&world.key()).await.is_ok(), is_granted);
        assert!(world.store.inner().try_lease(&world.key()).await.unwrap().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn renewed_secrets_go_on_top_of_a_record_that_somebody_edited() {
    let world = World::new();
    world.grant(MINUTE).await;
    let old = world.stored().await;
    let edited = old.credential.renew().metadata("note", "of the person").build();
    world.store.before_save(|store| async move {
        store.save(&edited, Expect::Anything).await.unwrap();
    });
    let engine = world.process();
    let watched = engine.watch(&world.key()).await.unwrap();
    watched.ensure_fresh().await.unwrap();
    let stored = world.stored().await;
    assert_eq!(stored.credential.info().metadata("note"), Some("of the person"));
    assert_eq!(stored.credential.info().metadata("rotations"), Some("1"));
    assert!(!refresh_token(&stored.credential).same_as(&refresh_token(&old.credential)));
    world.assert_nothing_is_lost().await;
    assert_eq!(watched.snapshot().removals(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_save_that_failed_only_seemingly_is_found_again() {
    let world = World::new();
    world.grant(MINUTE).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    world.store.fail_saves(1, StoreErrorKind::Io);
    let unsaved = until(&mut watched, |now| matches!(now.state(), State::Unsaved(_))).await;
    // It reached the disk nevertheless.
    let generation = world.put(unsaved.credential().unwrap().clone()).await;
    let now = until(&mut watched, is_fresh).await;
    assert_eq!(now.generation(), Some(generation));
    world.assert_nothing_is_lost().await;
    assert_eq!(world.stored().await.generation, generation);
}
