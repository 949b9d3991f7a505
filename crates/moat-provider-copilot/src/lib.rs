#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod account;
mod agent;
#[cfg(feature = "cli")]
mod cli;
mod copilot;
mod rules;

pub use crate::agent::{HostSettings, SESSION_ID, Workspace};
pub use crate::copilot::Copilot;
