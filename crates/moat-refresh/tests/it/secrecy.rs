//! No secret is seen.

use std::fmt::Write;
use std::sync::Arc;

use moat_provider_core::ErrorKind;
use moat_provider_testkit::run_context;
use moat_store::StoreErrorKind;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn neither_debug_nor_errors_nor_the_log_hold_a_secret() {
    let diary = Diary::default();
    let _guard = tracing::subscriber::set_default(diary.clone());
    let world = World::new();
    world.grant(MINUTE).await;
    let engine = world.process();
    let mut seen = String::new();
    world.vendor.next([
        Outcome::Fail(ErrorKind::Offline),
        Outcome::FailAndWait(ErrorKind::RateLimited, MINUTE),
        Outcome::Unchanged,
    ]);
    world.store.fail_saves(3, StoreErrorKind::NoSpace);
    let mut watched = engine.watch(&world.key()).await.unwrap();
    let until_saved = async {
        while let Some(now) = watched.changed().await {
            write!(seen, "{now:?} {watched:?} {engine:?} ").unwrap();
            if let Some(problem) = now.state().problem() {
                write!(seen, "{problem} {problem:?} {} ", problem.hint()).unwrap();
                let error = moat_provider_core::Error::from(problem.clone());
                write!(seen, "{error} {error:?} ").unwrap();
            }
            if is_fresh(&now) {
                break;
            }
        }
    };
    until_saved.await;
    let mint = engine.mint(&world.key(), Arc::new(run_context("run-1").build())).await.unwrap();
    write!(seen, "{mint:?} {:?} {:?} ", mint.minted(), mint.state()).unwrap();
    world.vendor.next([Outcome::Fail(ErrorKind::Unavailable)]);
    write!(seen, "{:?} ", mint.end().await.unwrap_err()).unwrap();
    world.vendor.next([Outcome::Fail(ErrorKind::TokenRevoked)]);
    watched.rejected(watched.snapshot().generation().unwrap());
    let revoked = until(&mut watched, |now| now.state().problem().is_some()).await;
    write!(seen, "{revoked:?} {:?} ", watched.ensure_fresh().await).unwrap();
    world.remove().await;
    let removed = until(&mut watched, |now| now.credential().is_none()).await;
    write!(seen, "{removed:?} ").unwrap();
    engine.shut_down().await.unwrap();
    write!(seen, "{:?} {engine:?}", watched.ensure_fresh().await).unwrap();

    let log = diary.text();
    for word in ["could not be saved", "the refresh failed", "minted", "was removed", "vendor"] {
        assert!(log.contains(word), "{word} is missing in {log}");
    }
    for word in ["Offline", "RateLimited", "Unsaved", "Revoked", "Removed", "Ended"] {
        assert!(seen.contains(word), "{word} is missing in {seen}");
    }
    let canaries = world.vendor.canaries();
    assert!(canaries.len() >= 5);
    for canary in canaries {
        assert_eq!(canary.find_in_str(&seen), None, "{seen}");
        assert_eq!(canary.find_in_str(&log), None, "{log}");
    }
}
