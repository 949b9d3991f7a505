#![doc = include_str!("../README.md")]

pub mod instructions;
pub mod keys;
pub mod mcp;

mod command_line;
mod grants;
mod session;
mod settings;

pub use crate::command_line::CommandLine;
pub use crate::grants::Backends;
pub use crate::session::{SessionId, SessionStore};
pub use crate::settings::{Layers, ValueKind, pick};
