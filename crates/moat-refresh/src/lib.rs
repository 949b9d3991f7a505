#![doc = include_str!("../README.md")]

mod deadline;
mod limit;
mod mint;
mod problem;
mod refresher;
mod schedule;
mod slot;
mod state;
mod subscription;
mod task;

pub use crate::mint::{Mint, MintChanges};
pub use crate::problem::{Problem, ProblemKind};
pub use crate::refresher::Refresher;
pub use crate::schedule::Schedule;
pub use crate::state::{Snapshot, State};
pub use crate::subscription::Subscription;
