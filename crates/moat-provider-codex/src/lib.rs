#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod agent;
mod api;
#[cfg(feature = "cli")]
mod cli;
mod codex;
mod container;
mod diagnosis;
mod grant;
mod issuing;
mod jwt;
mod login;
mod openai;
mod refresh;
mod revoke;
mod rules;
mod token;
mod upgrade;

pub use moat_agent::SessionStore;

pub use crate::agent::{HostSettings, Transport};
pub use crate::codex::Codex;
pub use crate::openai::OpenAi;
