#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod agent;
mod backend;
#[cfg(feature = "cli")]
mod cli;
mod command;
mod provider;

pub use crate::agent::SESSION_ID;
pub use crate::backend::Backend;
pub use crate::provider::Pi;
