#![doc = include_str!("../README.md")]

#[cfg(not(unix))]
compile_error!("moat-host needs a Unix: process groups, terminal modes and signals");

mod background;
mod bounded;
mod clock;
mod commands;
mod entropy;
mod environment;
mod files;
mod http;
mod ports;
mod redirects;
mod stdin;
mod terminal;

pub use crate::clock::SystemClock;
pub use crate::commands::SystemCommands;
pub use crate::entropy::SystemEntropy;
pub use crate::environment::SystemEnvironment;
pub use crate::files::SystemFiles;
pub use crate::http::{ConnectTo, CorporateProxy, HttpsClient, HttpsClientBuilder};
pub use crate::ports::{HostPorts, HostPortsBuilder};
pub use crate::redirects::LoopbackRedirects;
pub use crate::stdin::{read_secret_from, read_secret_from_stdin};
pub use crate::terminal::{EndingSignals, SystemTerminal};
