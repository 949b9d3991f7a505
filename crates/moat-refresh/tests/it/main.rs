//! The tests of moat-refresh.

mod support;

mod failures;
mod machine;
mod mint;
mod processes;
mod properties;
mod rejected;
mod saving;
mod secrecy;
mod timing;
mod watching;
