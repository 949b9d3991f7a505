//! Secrets of one run.

use std::sync::Arc;

use moat_provider_core::{ErrorKind, Minted, RunContext};
use moat_provider_testkit::run_context;
use moat_refresh::{Mint, ProblemKind, State};
use moat_store::CredentialStore;

use crate::support::*;

fn run() -> Arc<RunContext> {
    Arc::new(run_context("run-1").build())
}

fn session(minted: &Minted) -> String {
    vendor::session(minted).text().to_owned()
}

fn now_of(mint: &Mint) -> String {
    session(&mint.minted().unwrap())
}

fn texts(canaries: Vec<moat_provider_testkit::Canary>) -> Vec<String> {
    canaries.iter().map(|canary| canary.text().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn secrets_are_minted_renewed_and_at_the_end_revoked_and_never_stored() {
    let world = World::new();
    world.put(world.vendor.fixed(None)).await;
    let engine = world.process();
    let mint = engine.mint(&world.key(), run()).await.unwrap();
    let first = now_of(&mint);
    assert_eq!(world.vendor.mint_calls().len(), 1);
    pass(50 * MINUTE).await;
    assert_eq!(now_of(&mint), first);
    pass(9 * MINUTE).await;
    let second = now_of(&mint);
    assert_ne!(second, first);
    assert_eq!(mint.revision(), 2);
    assert_eq!(world.stored().await.generation.number(), 1, "nothing was saved");
    assert_eq!(world.store.inner().list().await.unwrap().len(), 1);
    // The first has not expired yet, and may be in use.
    assert!(world.vendor.revoked().is_empty());
    mint.end().await.unwrap();
    let mut revoked = texts(world.vendor.revoked());
    revoked.sort();
    let mut all = vec![first, second];
    all.sort();
    assert_eq!(revoked, all);
    assert!(mint.minted().is_none());
    assert_eq!(mint.ensure().await.unwrap_err().kind(), ProblemKind::Ended);
    assert!(mint.prepare().is_none());
    pass(2 * HOUR).await;
    assert_eq!(world.vendor.mint_calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn callers_share_one_mint() {
    let world = World::new();
    world.put(world.vendor.fixed(None)).await;
    world.vendor.set_mint_life(10 * SECOND);
    let engine = world.process();
    let mint = engine.mint(&world.key(), run()).await.unwrap();
    world.vendor.next([Outcome::Fail(ErrorKind::Unavailable)]);
    world.vendor.set_mint_life(HOUR);
    pass(31 * SECOND).await;
    assert!(matches!(mint.state(), State::Retrying { .. }), "{mint:?}");
    pass(29 * SECOND).await;
    let before = world.vendor.mint_calls().len();
    let calls = (0..100).map(|_| mint.ensure());
    let mut answers = Vec::new();
    for call in calls {
        answers.push(session(&call.await.unwrap()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert!(world.vendor.mint_calls().len() <= before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_at_once_share_one_mint() {
    let world = World::new();
    world.put(world.vendor.fixed(None)).await;
    world.vendor.set_mint_life(SECOND);
    let engine = world.process();
    let mint = Arc::new(engine.mint(&world.key(), run()).await.unwrap());
    world.vendor.set_mint_life(HOUR);
    pass(29 * SECOND).await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let mint = Arc::clone(&mint);
        callers.spawn(async move {
            pass(3 * SECOND / 2).await;
            session(&mint.ensure().await.unwrap())
        });
    }
    let mut answers = callers.join_all().await;
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(world.vendor.mint_calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_still_valid_is_served_while_renewing_fails() {
    let world = World::new();
    world.put(world.vendor.fixed(None)).await;
    let engine = world.process();
    let mint = engine.mint(&world.key(), run()).await.unwrap();
    let first = now_of(&mint);
    world.vendor.next([Outcome::Fail(ErrorKind::Unavailable); 20]);
    pass(58 * MINUTE).await;
    assert!(world.vendor.mint_calls().len() > 2);
    assert!(matches!(mint.state(), State::Retrying { .. }), "{mint:?}");
    assert_eq!(session(&mint.ensure().await.unwrap()), first);
    pass(3 * MINUTE).await;
    assert_eq!(mint.ensure().await.unwrap_err().kind(), ProblemKind::Transient);
    world.vendor.forget_outcomes();
    pass(16 * MINUTE).await;
    assert_ne!(session(&mint.ensure().await.unwrap()), first);
    assert_eq!(mint.state(), State::Fresh);
}

#[tokio::test(start_paused = true)]
async fn another_generation_of_the_credential_means_other_secrets() {
    let world = World::new();
    world.grant(2 * HOUR).await;
    world.vendor.set_mint_life(None);
    let engine = world.process();
    let mint = engine.mint(&world.key(), run()).await.unwrap();
    let mut changes = mint.changes();
    let first = now_of(&mint);
    while mint.revision() < 2 {
        assert!(changes.next().await.is_some());
    }
    assert_eq!(world.vendor.calls().len(), 1, "the credential was refreshed");
    assert_ne!(now_of(&mint), first);
    mint.end().await.unwrap();
    assert_eq!(world.vendor.revoked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn secrets_of_a_removed_credential_are_withdrawn() {
    let world = World::new();
    world.put(world.vendor.fixed(None)).await;
    let engine = world.process();
    let mint = engine.mint(&world.key(), run()).await.unwrap();
    let mut changes = mint.changes();
    world.remove().await;
    while mint.minted().is_some() {
        assert!(changes.next().await.is_some());
    }
    assert!(matches!(mint.state(), State::Removed(_)), "{mint:?}");
    assert_eq!(mint.ensure().await.unwrap_err().kind(), ProblemKind::Removed);
    assert!(mint.prepare().is_none());
    world.put(world.vendor.fixed(None)).await;
    while mint.minted().is_none() {
        assert!(changes.next().await.is_some());
    }
    mint.end().await.unwrap();
    assert_eq!(world.vendor.revoked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_and_the_end_of_the_engine_revoke_as_well() {
    for is_dropped in [true, false] {
        let world = World::new();
        world.put(world.vendor.fixed(None)).await;
        let engine = world.process();
        let mint = engine.mint(&world.key(), run()).await.unwrap();
        let first = now_of(&mint);
        if is_dropped {
            drop(mint);
            pass(SECOND).await;
        } else {
            engine.shut_down().await.unwrap();
            assert!(matches!(mint.state(), State::Ended(_)));
            mint.end().await.unwrap();
        }
        assert_eq!(texts(world.vendor.revoked()), [first]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_mint_whose_caller_is_gone_is_revoked() {
    let world = World::new();
    world.put(world.vendor.fixed(None)).await;
    let engine = world.process();
    let key = world.key();
    let call = engine.mint(&key, run());
    assert!(tokio::time::timeout(SECOND / 10, call).await.is_err());
    pass(MINUTE).await;
    assert_eq!(world.vendor.minted().len(), 1);
    assert_eq!(texts(world.vendor.revoked()), texts(world.vendor.minted()));
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_fails_is_reported() {
    let world = World::new();
    world.put(world.vendor.fixed(None)).await;
    let engine = world.process();
    let mint = engine.mint(&world.key(), run()).await.unwrap();
    world.vendor.next([Outcome::Fail(ErrorKind::Offline)]);
    assert_eq!(mint.end().await.unwrap_err().kind(), ProblemKind::Offline);
    assert!(mint.minted().is_none());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_returned_when_nothing_can_be_minted() {
    let world = World::new();
    world.vendor.next([Outcome::Fail(ErrorKind::PermissionDenied)]);
    world.put(world.vendor.fixed(None)).await;
    let engine = world.process();
    let problem = engine.mint(&world.key(), run()).await.unwrap_err();
    assert_eq!((problem.kind(), problem.hint()), (ProblemKind::Failed, "moat grant vendor"));
    pass(HOUR).await;
    assert_eq!(world.vendor.mint_calls().len(), 1);
    assert!(!format!("{engine:?}").contains("vendor"), "nothing is left");
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_the_vendor_rejects_is_refreshed_and_used_again() {
    let world = World::new();
    world.grant(10 * HOUR).await;
    let engine = world.process();
    let mint = engine.mint(&world.key(), run()).await.unwrap();
    let mut changes = mint.changes();
    world.vendor.next([Outcome::Fail(ErrorKind::Unauthenticated)]);
    mint.rejected(mint.revision());
    while mint.revision() < 2 {
        assert!(changes.next().await.is_some());
    }
    assert_eq!(world.vendor.calls().len(), 1);
    assert_eq!(mint.ensure().await.map(|minted| session(&minted)).unwrap(), now_of(&mint));
}

#[tokio::test(start_paused = true)]
async fn a_container_cannot_drive_mints() {
    let world = World::new();
    world.put(world.vendor.fixed(None)).await;
    world.vendor.set_mint_life(None);
    let engine = world.process();
    let mint = engine.mint(&world.key(), run()).await.unwrap();
    for _ in 0..3600 {
        mint.rejected(mint.revision());
        pass(SECOND).await;
    }
    let calls = world.vendor.mint_calls().len();
    assert!((4..=8).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn secrets_that_others_took_the_place_of_do_not_pile_up() {
    let world = World::new();
    world.put(world.vendor.fixed(None)).await;
    world.vendor.set_mint_life(None);
    let engine = world.process();
    let mint = engine.mint(&world.key(), run()).await.unwrap();
    for _ in 0..12 {
        let revision = mint.revision();
        mint.rejected(revision);
        pass(2 * HOUR).await;
        assert_eq!(mint.revision(), revision + 1);
    }
    assert_eq!(world.vendor.revoked().len(), 4, "eight are left");
    mint.end().await.unwrap();
    assert_eq!(texts(world.vendor.revoked()), texts(world.vendor.minted()));
}
