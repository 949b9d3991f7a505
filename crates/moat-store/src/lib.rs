#![doc = include_str!("../README.md")]

mod error;
mod memory;
mod store;

pub use crate::error::{Result, StoreError, StoreErrorKind};
pub use crate::memory::MemoryStore;
pub use crate::store::{CredentialStore, Entry, Expect, Generation, Lease, Stored};
