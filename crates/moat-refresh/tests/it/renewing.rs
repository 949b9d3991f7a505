//! A person who wants the next credential now.

use moat_provider_core::{Credential, ErrorKind};
use moat_refresh::{ProblemKind, State};
use moat_store::StoreErrorKind;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_good_for_long_is_renewed_and_saved() {
    let world = World::new();
    let granted = world.grant(10 * HOUR).await;
    let engine = world.process();
    let renewed = engine.renew(&world.key()).await.unwrap();
    assert!(renewed.generation > granted);
    assert_eq!(renewed.generation, world.stored().await.generation);
    assert_eq!(world.vendor.calls().len(), 1);
    world.assert_nothing_is_lost().await;
}

#[tokio::test(start_paused = true)]
async fn impatience_leads_to_one_refresh() {
    let world = World::new();
    world.grant(10 * HOUR).await;
    let engine = world.process();
    let key = world.key();
    let (one, two) = tokio::join!(engine.renew(&key), engine.renew(&key));
    let watched = engine.watch(&key).await.unwrap();
    let three = watched.renew().await.unwrap().generation;
    assert_eq!([one.unwrap().generation, two.unwrap().generation], [three; 2]);
    assert_eq!(world.vendor.calls().len(), 1);
    pass(MINUTE).await;
    assert!(watched.renew().await.unwrap().generation > three);
    assert_eq!(world.vendor.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_or_has_no_successor_is_left_alone() {
    let world = World::new();
    let engine = world.process();
    let removed = engine.renew(&world.key()).await.unwrap_err();
    assert_eq!(removed.kind(), ProblemKind::Removed);
    let foreign = world.vendor.grant(Some(HOUR));
    world.put(foreign.renew().metadata(Credential::REFRESHED_BY, "their tool").build()).await;
    let owned = engine.renew(&world.key()).await.unwrap_err();
    assert_eq!(owned.kind(), ProblemKind::OwnedElsewhere);
    assert!(owned.hint().ends_with("moat grant claim vendor"), "{}", owned.hint());
    world.put(world.vendor.fixed(Some(HOUR))).await;
    let fixed = engine.renew(&world.key()).await.unwrap_err();
    assert_eq!(fixed.kind(), ProblemKind::NotRenewable);
    assert_eq!(world.vendor.calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_although_the_present_one_is_good() {
    let world = World::new();
    world.grant(10 * HOUR).await;
    world.vendor.next([Outcome::Fail(ErrorKind::TokenRevoked)]);
    let engine = world.process();
    let watched = engine.watch(&world.key()).await.unwrap();
    assert_eq!(watched.renew().await.unwrap_err().kind(), ProblemKind::Revoked);
    // The person has mended it: another try is made, which the timer would not.
    pass(MINUTE).await;
    watched.renew().await.unwrap();
    assert_eq!(*watched.snapshot().state(), State::Fresh);
}

#[tokio::test(start_paused = true)]
async fn nothing_newer_is_no_failure() {
    let world = World::new();
    let granted = world.grant(10 * HOUR).await;
    world.vendor.next([Outcome::Unchanged]);
    let engine = world.process();
    assert_eq!(engine.renew(&world.key()).await.unwrap().generation, granted);
    assert_eq!(world.vendor.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_saved_is_told_and_not_renewed_twice() {
    let world = World::new();
    world.grant(10 * HOUR).await;
    world.store.fail_saves(1000, StoreErrorKind::NoSpace);
    let engine = world.process();
    let watched = engine.watch(&world.key()).await.unwrap();
    assert_eq!(watched.renew().await.unwrap_err().kind(), ProblemKind::Store);
    pass(MINUTE).await;
    assert_eq!(watched.renew().await.unwrap_err().kind(), ProblemKind::Store);
    assert_eq!(world.vendor.calls().len(), 1);
    world.store.heal();
    engine.shut_down().await.unwrap();
    world.assert_nothing_is_lost().await;
}
