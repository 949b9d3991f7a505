//! What becomes of a refresh that fails.

use std::time::Duration;

use moat_provider_core::ErrorKind;
use moat_refresh::{ProblemKind, Schedule, State};
use moat_store::StoreErrorKind;

use crate::support::*;

/// Returns how far the calls are apart.
fn gaps(world: &World) -> Vec<Duration> {
    world.vendor.calls().windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn waits_double_and_end_with_success() {
    let world = World::new();
    world.vendor.next([Outcome::Fail(ErrorKind::Unavailable); 12]);
    world.grant(10 * SECOND).await;
    let schedule = Schedule::default().with_retries(4 * SECOND, 5 * MINUTE);
    let engine = world.process_with(schedule);
    let mut watched = engine.watch(&world.key()).await.unwrap();
    let failed = until(&mut watched, |now| now.state().problem().is_some()).await;
    let State::Retrying { at, problem } = failed.state() else { panic!("{failed:?}") };
    assert_eq!(problem.kind(), ProblemKind::Transient);
    let now = moat_provider_core::Clock::now(&*world.clock);
    assert!(*at > now && *at <= now + 4 * SECOND, "{at}");
    until(&mut watched, is_fresh).await;
    let gaps = gaps(&world);
    assert_eq!(gaps.len(), 12);
    for (at, gap) in gaps.iter().enumerate() {
        let most = (4 * SECOND * 2_u32.pow(at as u32)).min(5 * MINUTE);
        // The call itself takes a moment.
        assert!((most / 2..=most + SECOND).contains(gap), "{at}: {gap:?} of {most:?}");
    }
    world.assert_nothing_is_lost().await;
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_asks_to_wait_is_obeyed_also_by_those_who_are_in_a_hurry() {
    let world = World::new();
    world.vendor.next([Outcome::FailAndWait(ErrorKind::RateLimited, 20 * MINUTE)]);
    let generation = world.grant(MINUTE).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    until(&mut watched, |now| now.state().problem().is_some()).await;
    for _ in 0..10 {
        pass(MINUTE).await;
        watched.rejected(generation);
        let problem = watched.ensure_fresh().await.unwrap_err();
        assert_eq!(problem.kind(), ProblemKind::Transient);
    }
    assert_eq!(world.vendor.calls().len(), 1);
    until(&mut watched, is_fresh).await;
    assert!(gaps(&world)[0] >= 20 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_an_hour() {
    let world = World::new();
    world.vendor.next([Outcome::FailAndWait(ErrorKind::RateLimited, 1000 * HOUR)]);
    world.grant(MINUTE).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    until(&mut watched, |now| now.revision() == 2 && is_fresh(now)).await;
    assert!((59 * MINUTE..62 * MINUTE).contains(&gaps(&world)[0]));
}

#[tokio::test(start_paused = true)]
async fn without_a_network_a_valid_token_is_served_and_the_return_noticed_within_a_minute() {
    let world = World::new();
    let generation = world.grant(20 * MINUTE).await;
    world.vendor.next([Outcome::Fail(ErrorKind::Offline); 100]);
    let engine = world.process();
    let stored = engine.ensure_fresh(&world.key()).await.unwrap();
    assert_eq!(stored.generation, generation, "still valid, so still good");
    let mut watched = engine.watch(&world.key()).await.unwrap();
    let offline = |now: &moat_refresh::Snapshot| {
        now.state().problem().is_some_and(|problem| problem.kind() == ProblemKind::Offline)
    };
    until(&mut watched, offline).await;
    pass(HOUR).await;
    let problem = watched.ensure_fresh().await.unwrap_err();
    assert_eq!(problem.kind(), ProblemKind::Offline, "expired by now");
    world.vendor.forget_outcomes();
    let before = world.clock.elapsed();
    until(&mut watched, is_fresh).await;
    assert!(world.clock.elapsed() - before <= 62 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_is_revoked_waits_for_the_person_and_asks_nobody() {
    for kind in [ErrorKind::TokenRevoked, ErrorKind::Unauthenticated] {
        let world = World::new();
        world.vendor.next([Outcome::Fail(kind)]);
        let generation = world.grant(MINUTE).await;
        let engine = world.process();
        let mut watched = engine.watch(&world.key()).await.unwrap();
        let now = until(&mut watched, |now| now.state().problem().is_some()).await;
        let State::NeedsPerson(problem) = now.state() else { panic!("{now:?}") };
        assert_eq!(problem.kind(), ProblemKind::Revoked);
        assert_eq!(problem.hint(), "moat grant vendor");
        pass(24 * HOUR).await;
        watched.rejected(generation);
        assert_eq!(watched.ensure_fresh().await.unwrap_err().kind(), ProblemKind::Revoked);
        // Nor does one who comes later.
        drop(watched);
        pass(MINUTE).await;
        let problem = engine.ensure_fresh(&world.key()).await.unwrap_err();
        assert_eq!(problem.kind(), ProblemKind::Revoked);
        assert_eq!(world.vendor.calls().len(), 1);
        // Until there is a new grant.
        world.grant(Duration::ZERO).await;
        engine.ensure_fresh(&world.key()).await.unwrap();
        assert_eq!(world.vendor.calls().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_person_can_mend_elsewhere_is_tried_again_slowly() {
    let world = World::new();
    world.vendor.next([Outcome::Fail(ErrorKind::CommandNotFound); 3]);
    world.grant(MINUTE).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    let now = until(&mut watched, |now| now.state().problem().is_some()).await;
    assert!(matches!(now.state(), State::NeedsPerson(_)), "{now:?}");
    until(&mut watched, is_fresh).await;
    assert!(gaps(&world).iter().all(|gap| *gap > 7 * MINUTE), "{:?}", gaps(&world));
}

#[tokio::test(start_paused = true)]
async fn a_provider_with_nothing_newer_is_asked_again_in_time() {
    let world = World::new();
    world.vendor.next([Outcome::Unchanged; 50]);
    world.grant(HOUR).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    pass(58 * MINUTE).await;
    assert!(is_fresh(&watched.snapshot()));
    let now = until(&mut watched, |now| matches!(now.state(), State::NeedsPerson(_))).await;
    assert_eq!(now.state().problem().unwrap().kind(), ProblemKind::Expired);
    assert!(world.clock.elapsed() <= HOUR + MINUTE);
    assert!(watched.ensure_fresh().await.is_err());
    assert!(world.vendor.calls().len() < 15, "{:?}", world.vendor.calls());
    world.vendor.forget_outcomes();
    until(&mut watched, is_fresh).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_given_up() {
    let world = World::new();
    world.vendor.next([Outcome::Hang]);
    world.grant(MINUTE).await;
    let engine = world.process();
    let problem = engine.ensure_fresh(&world.key()).await;
    assert_eq!(problem.unwrap_err().kind(), ProblemKind::Transient);
    assert!(world.clock.elapsed() >= 2 * MINUTE);
    pass(MINUTE).await;
    engine.ensure_fresh(&world.key()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_ends_its_credential_and_nothing_else() {
    let world = World::new();
    world.vendor.next([Outcome::Panic]);
    world.grant(MINUTE).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    assert_eq!(watched.ensure_fresh().await.unwrap_err().kind(), ProblemKind::Ended);
    while watched.changed().await.is_some() {}
    assert!(matches!(watched.snapshot().state(), State::Ended(_)));
    engine.ensure_fresh(&world.key()).await.unwrap();
    engine.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_refreshed_expires_with_the_command_that_helps() {
    let world = World::new();
    world.put(world.vendor.fixed(Some(HOUR))).await;
    let engine = world.process();
    engine.ensure_fresh(&world.key()).await.unwrap();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    assert!(is_fresh(&watched.snapshot()));
    let now = until(&mut watched, |now| now.state().problem().is_some()).await;
    let State::NeedsPerson(problem) = now.state() else { panic!("{now:?}") };
    assert_eq!((problem.kind(), problem.hint()), (ProblemKind::Expired, "moat grant vendor"));
    assert_eq!(engine.ensure_fresh(&world.key()).await.unwrap_err(), *problem);
    assert!(world.vendor.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_changes_nothing_for_what_is_held() {
    let world = World::new();
    world.grant(10 * HOUR).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    world.store.fail_reads(StoreErrorKind::KeyUnavailable);
    let now = until(&mut watched, |now| now.state().problem().is_some()).await;
    assert!(now.credential().is_some());
    assert_eq!(now.state().problem().unwrap().kind(), ProblemKind::Store);
    let other = world.process().watch(&world.key()).await;
    assert_eq!(other.unwrap_err().kind(), ProblemKind::Store);
    world.store.heal();
    until(&mut watched, is_fresh).await;
}
