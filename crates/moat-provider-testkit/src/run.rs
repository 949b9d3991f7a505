//! Runs for tests.

use moat_provider_core::{PlaceholderKey, RunContext, RunContextBuilder};

use crate::canary::random_bytes;

/// Begins a run with this id, the home directory `/home/moatuser` and a placeholder key of its own.
///
/// # Panics
///
/// When the id is not valid.
#[must_use]
pub fn run_context(id: &str) -> RunContextBuilder {
    let mut key = [0; 32];
    key.copy_from_slice(&random_bytes(32));
    match (id.parse(), "/home/moatuser".parse()) {
        (Ok(id), Ok(home)) => RunContext::builder(id, home, PlaceholderKey::from_bytes(key)),
        (Err(error), _) | (_, Err(error)) => panic!("no run can be made: {error}"),
    }
}
