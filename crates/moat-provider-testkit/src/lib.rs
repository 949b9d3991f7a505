#![doc = include_str!("../README.md")]

pub mod conformance;
pub mod golden;

mod block_on;
mod canary;
mod double;
mod fakes;
mod pty;
mod run;
mod vendor;

pub use crate::block_on::block_on;
pub use crate::canary::{Canary, Encoding};
pub use crate::double::*;
pub use crate::fakes::*;
pub use crate::pty::pty_driver;
pub use crate::run::run_context;
pub use crate::vendor::*;
