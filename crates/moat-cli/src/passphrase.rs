//! The passphrase of the store, from the person or from a variable.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use moat_provider_core::{Environment, Error, Secret, Terminal};
use moat_store::{Passphrase, Result, StoreError, StoreErrorKind};
use tokio::runtime::Handle;

/// Holds the passphrase where nobody is there to type it.
const VARIABLE: &str = "MOAT_PASSPHRASE";

/// Returns what asks for the passphrase; to be called from within a runtime.
pub(crate) fn asking(
    environment: Arc<dyn Environment>,
    terminal: Arc<dyn Terminal>,
    home: &Path,
) -> impl Fn() -> Result<Secret> + Send + Sync + 'static {
    let (runtime, home, asked) = (Handle::current(), home.to_owned(), AtomicUsize::new(0));
    move || {
        let given = environment.var(VARIABLE).map_err(|error| failed(&error))?;
        if let Some(given) = given.filter(|given| !given.is_empty()) {
            return Ok(given);
        }
        let question = question(&home, asked.fetch_add(1, Ordering::Relaxed))?;
        runtime.block_on(terminal.ask_secret(question)).map_err(|error| failed(&error))
    }
}

fn question(home: &Path, asked: usize) -> Result<&'static str> {
    let never = || Err(failed(&Error::invalid("it is only being asked for")));
    Ok(match (Passphrase::in_home(home, never).is_new()?, asked % 2) {
        (false, _) => "Passphrase of the store",
        (true, 0) => "New passphrase for the store",
        (true, _) => "The same passphrase again",
    })
}

fn failed(error: &Error) -> StoreError {
    StoreError::new(StoreErrorKind::KeyUnavailable, format!("there is no passphrase: {error}"))
        .with_hint(format!("type it on a terminal, or export {VARIABLE}"))
}
