#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod agent;
mod container;
mod credential;
mod diagnosis;
mod endpoint;
mod error;
mod grant;
mod name;
mod placeholder;
mod ports;
mod provider;
mod record;
mod registry;
mod rules;
mod run;
mod secret;
mod target;
mod text;

use std::future::Future;
use std::pin::Pin;

pub use crate::agent::*;
pub use crate::container::*;
pub use crate::credential::*;
pub use crate::diagnosis::*;
pub use crate::endpoint::*;
pub use crate::error::*;
pub use crate::grant::*;
pub use crate::name::*;
pub use crate::placeholder::*;
pub use crate::ports::*;
pub use crate::provider::*;
pub use crate::record::*;
pub use crate::registry::*;
pub use crate::rules::*;
pub use crate::run::*;
pub use crate::secret::*;
pub use crate::target::*;
pub use crate::text::{escape_line, escape_lines};

/// A boxed future, as asynchronous methods of `dyn` traits return it.
///
/// An implementer writes a free `async fn` and boxes it in one line: `Box::pin(grant(cx, request))`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
