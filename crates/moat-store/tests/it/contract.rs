//! The contract of stores, run against ours.

#![cfg(feature = "testing")]

use std::sync::Arc;

use moat_store::{MemoryStore, testing};

#[tokio::test]
async fn the_store_in_memory_keeps_it() {
    let store = MemoryStore::new();
    testing::check_contract(&|| Arc::new(store.clone())).await;
}

#[cfg(feature = "file")]
#[tokio::test]
async fn the_store_in_files_keeps_it() {
    use crate::support::Home;

    let home = Home::new();
    // No handle shares anything with another one but the files.
    testing::check_contract(&|| Arc::new(home.store())).await;
    let work = || home.builder().profile("Work".parse().unwrap()).build();
    testing::check_contract(&|| Arc::new(work())).await;
}

#[tokio::test]
#[should_panic(expected = "load has failed")]
async fn handles_that_share_nothing_break_it() {
    testing::check_contract(&|| Arc::new(MemoryStore::new())).await;
}
