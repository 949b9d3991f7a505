#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod agent;
#[cfg(feature = "cli")]
mod cli;
mod command;
mod provider;

pub use crate::agent::SESSION_ID;
#[doc(inline)]
pub use moat_agent::keys::Backend;

pub use crate::provider::Pi;
