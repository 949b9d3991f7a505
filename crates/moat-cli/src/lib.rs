#![doc = include_str!("../README.md")]

mod app;
mod args;
mod command;
mod compose;
mod config;
mod entry;
mod error;
mod output;
mod passphrase;
mod system;

pub use crate::entry::main;

/// The README of the repository, whose example has to compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Repository;
