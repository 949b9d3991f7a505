//! The tasks of one run, which end with it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a run has under way.
///
/// A task that waits for a token of cancellation looks at it, behind a lock that all of the run
/// share, each time that it is woken: for each request, that is. These are ended from outside.
#[derive(Clone)]
pub(crate) struct Tasks {
    stop: CancellationToken,
    tracker: TaskTracker,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    next: u64,
    /// None while a task is being spawned.
    handles: HashMap<u64, Option<AbortHandle>>,
    is_watched: bool,
    has_ended: bool,
}

impl Tasks {
    /// Makes room for the tasks of a run that ends with a token.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self { stop, tracker: TaskTracker::new(), open: Arc::default() }
    }

    /// Runs a future until it is done or the run ends.
    pub(crate) fn spawn<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let number = {
            let mut open = self.lock();
            if open.has_ended || self.stop.is_cancelled() {
                return;
            }
            if !std::mem::replace(&mut open.is_watched, true) {
                let tasks = self.clone();
                tokio::spawn(async move {
                    tasks.stop.cancelled().await;
                    tasks.end();
                });
            }
            let number = open.next;
            open.next += 1;
            open.handles.insert(number, None);
            number
        };
        let entry = Entry { tasks: self.clone(), number };
        // Without the lock: a runtime that shuts down drops the future, and with it the entry.
        let task = self.tracker.spawn(async move {
            let _entry = entry;
            future.await;
        });
        let mut open = self.lock();
        if open.has_ended {
            task.abort();
        } else if let Some(handle) = open.handles.get_mut(&number) {
            *handle = Some(task.abort_handle());
        }
    }

    /// Returns what counts tasks that end by themselves when others do.
    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Ends every task, and starts none any more.
    pub(crate) fn end(&self) {
        let handles = {
            let mut open = self.lock();
            open.has_ended = true;
            std::mem::take(&mut open.handles)
        };
        for handle in handles.into_values().flatten() {
            handle.abort();
        }
        self.tracker.close();
    }

    /// Completes when the run has ended and nothing of it is left.
    pub(crate) async fn wait(&self) {
        self.tracker.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a task when it is over, however that came.
struct Entry {
    tasks: Tasks,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.tasks.lock().handles.remove(&self.number);
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("open", &self.tracker.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_waited_for_where_nothing_was_begun() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.end();
        let second = std::time::Duration::from_secs(1);
        tokio::time::timeout(second, tasks.wait()).await.unwrap();
    }

    #[tokio::test]
    async fn the_end_of_a_run_ends_what_waits_for_nothing() {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        tasks.spawn(std::future::pending());
        tasks.spawn(std::future::ready(()));
        tokio::task::yield_now().await;
        assert_eq!(tasks.lock().handles.len(), 1, "what is over is forgotten");
        stop.cancel();
        tasks.wait().await;
        assert!(tasks.lock().handles.is_empty());
        tasks.spawn(std::future::pending());
        assert!(tasks.tracker().is_empty(), "nothing begins after the end");
    }
}
