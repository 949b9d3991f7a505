//! Drives a future without a runtime.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a future may wait for another thread.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a future to its end on this thread.
///
/// The fakes of this crate complete at once, so most futures are ready at the first poll.
///
/// # Panics
///
/// When the future waits and nobody holds its waker, so that nothing can ever wake it (a future of
/// a runtime that is not running, for one), and when it waits for more than a minute.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let alarm = Arc::new(Alarm { thread: thread::current(), rung: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&alarm));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        while !alarm.rung.swap(false, Ordering::Acquire) {
            // One is `alarm`, one is in `waker`.
            let forgotten = Arc::strong_count(&alarm) == 2 && !alarm.rung.load(Ordering::Acquire);
            assert!(
                !forgotten,
                "the future waits, and nothing is left that could wake it: it asks for a runtime, \
                 or dropped its waker"
            );
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "the future has waited for {} seconds without an end",
                LIMIT.as_secs()
            );
            thread::park_timeout(left);
        }
    }
}

struct Alarm {
    thread: Thread,
    rung: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use super::*;

    #[test]
    fn returns_what_is_ready() {
        assert_eq!(block_on(async { 7 }), 7);
    }

    #[test]
    fn waits_for_another_thread() {
        let mut asked = false;
        block_on(poll_fn(|context| {
            if asked {
                return Poll::Ready(());
            }
            asked = true;
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        }));
    }

    #[test]
    fn goes_on_when_woken_during_the_poll() {
        let mut polls = 0;
        block_on(poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls < 3 { Poll::Pending } else { Poll::Ready(()) }
        }));
    }

    #[test]
    #[should_panic(expected = "nothing is left that could wake it")]
    fn does_not_wait_for_nobody() {
        block_on(pending::<()>());
    }
}
