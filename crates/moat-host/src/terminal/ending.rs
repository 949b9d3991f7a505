//! Signals that end this process, and questions that wait meanwhile.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::{flag, low_level};

/// `SIGTERM` and `SIGHUP`, which end this process, but not in the middle of a question: the terminal
/// gets its former modes first, and then the process ends by that signal.
///
/// For programs that do not handle these signals themselves; one that begins to do so
/// [releases](Self::release) them. The handlers are those of the whole process: one value and its
/// clones serve all terminals. They are set at the first question and stay, so that a program that
/// asks nothing is ended as it always was, and one below `nohup`, which leaves no terminal to ask
/// at, is not.
#[derive(Clone, Default)]
pub struct EndingSignals(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Whether a signal ends the process at once; read by the handlers.
    is_immediate: Arc<AtomicBool>,
    /// The signal that came, or 0.
    came: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    /// Becomes readable when a signal has come.
    wake: Option<Arc<UnixStream>>,
    waiting: usize,
    is_released: bool,
}

impl EndingSignals {
    /// Makes a value; nothing is done before the first question.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves the signals to the program, which listens to them from now on: they still end
    /// questions, and the process no more.
    pub fn release(&self) {
        self.0.update(|state| state.is_released = true);
    }

    /// Takes note of a question, which ends before the process does.
    pub(super) fn hold(&self) -> io::Result<Held> {
        let wake = self.0.update(|state| {
            let wake = match &state.wake {
                Some(wake) => Arc::clone(wake),
                None => Arc::clone(state.wake.insert(self.0.listen()?)),
            };
            state.waiting += 1;
            Ok::<_, io::Error>(wake)
        });
        Ok(Held { signals: self.clone(), wake: wake? })
    }
}

impl Shared {
    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut state);
        let is_immediate = state.wake.is_some() && state.waiting == 0 && !state.is_released;
        self.is_immediate.store(is_immediate, Ordering::SeqCst);
        changed
    }

    /// Sets the handlers. What they do, they do in this order.
    fn listen(&self) -> io::Result<Arc<UnixStream>> {
        let (wake, end) = UnixStream::pair()?;
        for signal in [SIGTERM, SIGHUP] {
            flag::register_conditional_default(signal, Arc::clone(&self.is_immediate))?;
            let number = usize::try_from(signal).map_err(io::Error::other)?;
            flag::register_usize(signal, Arc::clone(&self.came), number)?;
            low_level::pipe::register(signal, end.try_clone()?)?;
        }
        Ok(Arc::new(wake))
    }

    /// Ends the process if a signal came for which a question was in the way.
    fn end(&self) {
        let is_immediate = self.is_immediate.load(Ordering::SeqCst);
        let came = i32::try_from(self.came.load(Ordering::SeqCst));
        if let (true, Ok(signal @ 1..)) = (is_immediate, came) {
            // Returns for no signal that is heard here.
            let _ = low_level::emulate_default_handler(signal);
        }
    }
}

impl fmt::Debug for EndingSignals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndingSignals").finish_non_exhaustive()
    }
}

/// A question that is in the way of a signal for as long as this lives.
pub(super) struct Held {
    signals: EndingSignals,
    wake: Arc<UnixStream>,
}

impl Held {
    /// Returns what becomes readable when a signal has come.
    pub(super) fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.signals.0.update(|state| state.waiting -= 1);
        self.signals.0.end();
    }
}
