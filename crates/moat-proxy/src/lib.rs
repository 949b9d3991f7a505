#![doc = include_str!("../README.md")]

pub mod engine;
pub mod plane;
pub mod scrub;

mod address;
mod authority;
mod path;
mod policy;
mod reason;
mod refusal;
mod run_rules;

pub use crate::address::{AddressClass, AddressPolicy, HOST_GATEWAY};
pub use crate::authority::{Authority, Host, HostName, TunnelIdentity};
pub use crate::path::{Ambiguity, Match, RequestPath};
pub use crate::policy::{
    Basis, Denial, Mode, Policy, PolicyBuilder, is_misleading_header, is_refused_method,
};
pub use crate::reason::Reason;
pub use crate::refusal::{BLOCKED, FAILED, Refusal, escape};
pub use crate::run_rules::{Keeper, RunRules, RunRulesBuilder};
