#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod agent;
mod anthropic;
mod api;
mod claude;
#[cfg(feature = "cli")]
mod cli;
mod container;
mod diagnosis;
mod grant;
mod issuing;
mod revoke;
mod rules;
mod session;
mod token;
mod upgrade;

pub use moat_agent::SessionStore;

pub use crate::agent::{HostSettings, Identity, NonessentialTraffic, SettingsSource};
pub use crate::anthropic::Anthropic;
pub use crate::claude::Claude;
pub use crate::session::{SESSION_ID, transcript_directory};
