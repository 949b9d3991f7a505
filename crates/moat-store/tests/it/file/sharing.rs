//! Several processes at one store.

use moat_store::{CredentialStore, Expect};

use super::child::{Worker, counted, number_of};
use crate::support::{Home, key};

#[tokio::test]
async fn eight_processes_lose_no_rotation() {
    let home = Home::new();
    let store = home.store();
    store.save(&counted(0), Expect::Absent).await.unwrap();
    let mut workers: Vec<_> = (0..8).map(|_| Worker::start("rotate", home.path())).collect();
    for worker in &mut workers {
        assert_eq!(worker.next().as_deref(), Some("ready"));
    }
    for worker in &mut workers {
        worker.tell("200");
    }
    let conflicts: Vec<u64> =
        workers.into_iter().map(|worker| worker.finish()[0].parse().unwrap()).collect();
    let stored = store.load(&key("counter")).await.unwrap();
    assert_eq!(number_of(&stored.credential), 8 * 200);
    // Otherwise the processes ran one after the other, and nothing was shown.
    assert!(conflicts.iter().sum::<u64>() > 0, "no two processes met");
    println!("1,600 rotations with {conflicts:?} conflicts");
}

#[tokio::test]
async fn a_lease_is_one_processs_and_ends_with_it() {
    let home = Home::new();
    let store = home.store();
    let mut holder = Worker::start("hold a lease", home.path());
    assert_eq!(holder.next().as_deref(), Some("held"));
    assert!(store.try_lease(&key("counter")).await.unwrap().is_none());
    assert_eq!(Worker::start("hold a lease", home.path()).next().as_deref(), Some("taken"));
    holder.kill();
    let lease = store.try_lease(&key("counter")).await.unwrap();
    assert!(lease.is_some(), "the lease outlived the process that was killed");
    let mut other = Worker::start("hold a lease", home.path());
    assert_eq!(other.next().as_deref(), Some("taken"));
}

#[test]
fn ten_processes_make_one_key() {
    let home = Home::new();
    let mut workers: Vec<_> = (0..10).map(|_| Worker::start("make a key", home.path())).collect();
    for worker in &mut workers {
        assert_eq!(worker.next().as_deref(), Some("ready"));
    }
    for worker in &mut workers {
        worker.tell("now");
    }
    let mut ids: Vec<_> = workers.into_iter().map(|worker| worker.finish().remove(0)).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "several keys were made: {ids:?}");
}
