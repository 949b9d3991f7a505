//! When a refresh takes place.

use std::time::Duration;

use moat_refresh::State;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_shortly_before_it_expires_again_and_again() {
    let world = World::new();
    world.grant(HOUR).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    assert!(is_fresh(&watched.snapshot()));
    let first = watched.snapshot();
    let second = until(&mut watched, |now| now.revision() == 2).await;
    assert!(second.generation() > first.generation());
    pass(3 * HOUR).await;
    let calls = world.vendor.calls();
    // The margin is five minutes, and up to a quarter of it more.
    assert!((53 * MINUTE..=56 * MINUTE).contains(&calls[0]), "{calls:?}");
    for pair in calls.windows(2) {
        assert!((53 * MINUTE..=56 * MINUTE).contains(&(pair[1] - pair[0])), "{calls:?}");
    }
    assert_eq!(calls.len(), 4);
    world.assert_nothing_is_lost().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_without_expiry_is_renewed_at_the_providers_interval() {
    let world = World::new();
    world.vendor.set_life(None);
    world.grant(None).await;
    let engine = world.process();
    let _watched = engine.watch(&world.key()).await.unwrap();
    pass(5 * HOUR).await;
    let calls = world.vendor.calls();
    assert!((54 * MINUTE..=61 * MINUTE).contains(&calls[0]), "{calls:?}");
    assert_eq!(calls.len(), 5, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn before_a_run_what_expires_within_the_interval_is_renewed() {
    for (life, renewals) in [(50 * MINUTE, 1), (70 * MINUTE, 0)] {
        let world = World::new();
        let generation = world.grant(life).await;
        let stored = world.process().ensure_fresh(&world.key()).await.unwrap();
        assert_eq!(world.vendor.calls().len(), renewals);
        assert_eq!(stored.generation > generation, renewals == 1);
        assert!(world.vendor.knows(&stored.credential));
    }
}

#[tokio::test(start_paused = true)]
async fn before_a_run_a_token_without_expiry_is_left_alone() {
    let world = World::new();
    world.grant(None).await;
    world.process().ensure_fresh(&world.key()).await.unwrap();
    assert!(world.vendor.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn run_after_run_does_not_renew_a_token_that_lives_shorter_than_the_interval() {
    let world = World::new();
    world.vendor.set_life(20 * MINUTE);
    world.grant(MINUTE).await;
    let engine = world.process();
    for _ in 0..20 {
        engine.ensure_fresh(&world.key()).await.unwrap();
        pass(MINUTE).await;
    }
    // At once, and then at half of its life each time.
    assert_eq!(world.vendor.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_whose_tokens_have_expired_already_is_not_asked_all_the_time() {
    for (life, at_most) in [(0, 121), (1, 121), (40, 121), (120, 45)] {
        let world = World::new();
        world.vendor.set_life(life * SECOND);
        world.grant(Duration::ZERO).await;
        let engine = world.process();
        let watched = engine.watch(&world.key()).await.unwrap();
        pass(HOUR).await;
        let calls = world.vendor.calls();
        assert!((30..=at_most).contains(&calls.len()), "{life}: {}", calls.len());
        let apart = calls.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
        assert!(apart >= 30 * SECOND, "{life}: {apart:?}");
        if life == 0 {
            let state = watched.snapshot().state().clone();
            assert!(matches!(state, State::Retrying { .. }), "{state:?}");
            // Nor does anybody who asks before each request.
            let before = world.vendor.calls().len();
            for _ in 0..1000 {
                let answer = watched.ensure_fresh().await;
                assert!(answer.is_err());
            }
            assert!(world.vendor.calls().len() <= before + 1);
        }
        world.assert_nothing_is_lost().await;
    }
}

#[tokio::test(start_paused = true)]
async fn ending_and_beginning_anew_evades_no_limit() {
    let world = World::new();
    world.vendor.set_life(Duration::ZERO);
    world.grant(Duration::ZERO).await;
    let engine = world.process();
    for _ in 0..100 {
        assert!(engine.ensure_fresh(&world.key()).await.is_err());
    }
    assert_eq!(world.vendor.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_renews_within_a_minute_and_once() {
    let world = World::new();
    world.grant(8 * HOUR).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    pass(HOUR).await;
    assert!(world.vendor.calls().is_empty());
    world.clock.set_by(9 * 3600);
    pass(MINUTE).await;
    assert_eq!(world.vendor.calls().len(), 1);
    let now = until(&mut watched, is_fresh).await;
    assert_eq!(now.revision(), 2);
    pass(50 * MINUTE).await;
    assert_eq!(world.vendor.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_causes_no_refresh_and_stops_nothing() {
    let world = World::new();
    world.grant(HOUR).await;
    let engine = world.process();
    let mut watched = engine.watch(&world.key()).await.unwrap();
    pass(MINUTE).await;
    world.clock.set_by(-10 * 3600);
    pass(10 * MINUTE).await;
    assert!(world.vendor.calls().is_empty());
    // What another process saves is still seen at once.
    world.grant(12 * HOUR).await;
    let before = world.clock.elapsed();
    until(&mut watched, |now| now.revision() == 2).await;
    assert!(world.clock.elapsed() - before <= 6 * SECOND);
    // And a retry does not wait for the hours that were lived before.
    watched.rejected(watched.snapshot().generation().unwrap());
    world.clock.set_by(-10 * 3600);
    until(&mut watched, |now| now.revision() == 3 && is_fresh(now)).await;
    assert!(world.clock.elapsed() - before <= 2 * MINUTE);
    world.assert_nothing_is_lost().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_to_and_fro_causes_no_storm() {
    let world = World::new();
    world.grant(HOUR).await;
    let engine = world.process();
    let _watched = engine.watch(&world.key()).await.unwrap();
    for hours in [5, -5, 5, -5, 5, -5, 5, -5] {
        world.clock.set_by(hours * 3600);
        pass(2 * MINUTE).await;
    }
    let calls = world.vendor.calls().len();
    assert!(calls <= 4, "{calls}");
    world.assert_nothing_is_lost().await;
}
