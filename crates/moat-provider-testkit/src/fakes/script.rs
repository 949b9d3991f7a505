//! What a fake expects, in order, and how strictly.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// The steps that a test expects of one port.
pub(crate) struct Script<S> {
    port: &'static str,
    state: Mutex<State<S>>,
}

struct State<S> {
    steps: VecDeque<S>,
    relaxed: bool,
}

impl<S: fmt::Display> Script<S> {
    pub(crate) fn new(port: &'static str) -> Self {
        Self { port, state: Mutex::new(State { steps: VecDeque::new(), relaxed: false }) }
    }

    pub(crate) fn push(&self, step: S) {
        lock(&self.state).steps.push_back(step);
    }

    /// Lets the code under test leave the script: what is not expected is refused, not a failure.
    pub(crate) fn relax(&self) {
        lock(&self.state).relaxed = true;
    }

    /// Takes the next step, which has to be one that `fits` what was asked. In a relaxed script
    /// that is any step that fits, or none.
    ///
    /// # Panics
    ///
    /// When the script is strict and its next step is another one, or there is none.
    pub(crate) fn take(&self, asked: &dyn fmt::Display, fits: impl Fn(&S) -> bool) -> Option<S> {
        let mut state = lock(&self.state);
        if state.relaxed {
            let at = state.steps.iter().position(fits)?;
            return state.steps.remove(at);
        }
        match state.steps.pop_front() {
            Some(step) if fits(&step) => Some(step),
            next => {
                let wanted = match &next {
                    Some(step) => format!("the script expects it to {step}"),
                    None => "the script expects nothing more of it".to_owned(),
                };
                // What was refused is not also reported as left over.
                state.steps.clear();
                drop(state);
                panic!("{} was asked to {asked}, but {wanted}", self.port)
            }
        }
    }

    /// Takes the next step if it fits.
    pub(crate) fn take_if(&self, fits: impl Fn(&S) -> bool) -> Option<S> {
        let mut state = lock(&self.state);
        let first_fits = state.steps.front().is_some_and(fits);
        if first_fits { state.steps.pop_front() } else { None }
    }

    /// Says what the code under test has not done.
    pub(crate) fn unused(&self) -> Option<String> {
        let state = lock(&self.state);
        if state.relaxed || state.steps.is_empty() {
            return None;
        }
        let steps: Vec<_> = state.steps.iter().map(ToString::to_string).collect();
        Some(format!("{} was never asked to {}", self.port, steps.join(", nor to ")))
    }

    /// Fails the test if the code under test has not done all that was expected.
    ///
    /// # Panics
    ///
    /// As it says.
    pub(crate) fn verify(&self) {
        if let Some(unused) = self.unused() {
            lock(&self.state).steps.clear();
            panic!("{unused}");
        }
    }

    /// Verifies at the end of a test that has not failed yet.
    pub(crate) fn verify_on_drop(&self) {
        if !thread::panicking() {
            self.verify();
        }
    }
}

/// Locks, whatever happened to another holder: a failed test must still be able to report.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
