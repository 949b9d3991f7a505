#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod agent;
mod api;
#[cfg(feature = "cli")]
mod cli;
mod container;
mod diagnosis;
mod gemini;
mod grant;
mod issuing;
mod kind;
mod oauth;
mod refresh;
mod rejected;
mod revoke;
mod rules;
mod upgrade;

pub use crate::agent::{HostSettings, SESSION_ID};
pub use crate::gemini::Gemini;
pub use crate::oauth::OAuthClient;
