//! Calls that block, on threads of their own.

use std::thread;

use moat_provider_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

/// Runs a call that may block on a thread of its own.
///
/// Not on the runtime's threads for such calls: to end, a runtime waits for those, and a read from
/// a pipe or a dead file server ends never.
pub(crate) async fn run<T, F>(name: &str, call: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Nobody listens any more when the future was dropped.
        let _ = sender.send(call());
    });
    if let Err(error) = thread {
        return Err(Error::new(ErrorKind::Io, "the system has no thread to give")
            .with_hint("look at the limits of this user with: ulimit -a")
            .with_source(error));
    }
    receiver.await.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Io, "a thread of moat ended before its work was done")
            .with_hint("report a bug, with what was printed before this"))
    })
}
