//! Processes that are killed while they save.

use std::fs;
use std::time::Duration;

use moat_store::{CredentialStore, Expect};

use super::child::{Worker, counted, number_of};
use crate::support::{Home, key, names};

/// How many processes are killed.
const KILLS: usize = 1000;

#[tokio::test]
async fn a_killed_save_leaves_the_old_or_the_new_record() {
    let home = Home::new();
    let store = home.store();
    store.save(&counted(0), Expect::Absent).await.unwrap();
    let (mut old, mut new, mut left_behind) = (0, 0, 0);
    for _ in 0..KILLS {
        let before = number_of(&store.load(&key("counter")).await.unwrap().credential);
        let mut worker = Worker::start("count for ever", home.path());
        assert_eq!(worker.next().as_deref(), Some("ready"));
        // A save takes about as long as this at most; where it is cut is up to chance.
        tokio::time::sleep(Duration::from_micros(random_below(4_000))).await;
        let said = worker.kill();
        let last = said.last().map_or(before, |number| number.parse().unwrap());
        let found = number_of(&store.load(&key("counter")).await.unwrap().credential);
        match found.checked_sub(last) {
            Some(0) => old += 1,
            Some(1) => new += 1,
            _ => panic!("the last save that was done is {last}, and {found} was found"),
        }
        let entries = home.names();
        let is_left = entries.contains(&"counter.tmp".to_owned());
        left_behind += usize::from(is_left);
        assert_eq!(entries.len(), 2 + usize::from(is_left), "{entries:?}");
    }
    assert_eq!(names(&home.credentials().join("locks")), ["counter.lock"]);
    // No lock is left: this would wait for it in vain.
    store.save(&counted(0), Expect::Anything).await.unwrap();
    assert_eq!(home.names(), ["counter.cred", "locks"], "what killed writers left is cleaned up");
    println!("{KILLS} kills: {old} old, {new} new records; {left_behind} temporary files met");
    // Otherwise no process was killed in the middle of a save, and nothing was shown.
    assert!(new > 0 || left_behind > 0, "no save was interrupted");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 4);
}

fn random_below(limit: u64) -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) % limit
}
