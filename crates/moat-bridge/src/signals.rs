//! Signals, read as events.

use std::io;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What is passed on to the command; ends of children come with these.
const FORWARDED: [Signal; 10] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGCONT,
    Signal::SIGTSTP,
    Signal::SIGALRM,
];

/// Holds signals back from this process, and returns the descriptor from which they are read.
///
/// Children inherit that until they [`release`] them.
pub(crate) fn block() -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    FORWARDED.into_iter().chain([Signal::SIGCHLD]).for_each(|signal| set.add(signal));
    // A background process that touches its terminal would be stopped, and nobody continues pid 1.
    set.add(Signal::SIGTTOU);
    set.add(Signal::SIGTTIN);
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// Lets all signals through again.
pub(crate) fn release() -> io::Result<()> {
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Returns the signal that the command gets for one that came, if any.
pub(crate) fn forwarded(number: u32) -> Option<Signal> {
    let signal = Signal::try_from(i32::try_from(number).ok()?).ok()?;
    match signal {
        // The command leads a session of its own: the system discards stops from a terminal there
        // (POSIX, orphaned process groups), so that the stop has to be a real one.
        Signal::SIGTSTP => Some(Signal::SIGSTOP),
        signal => FORWARDED.contains(&signal).then_some(signal),
    }
}
