//! Keeping the memory of the process out of core dumps, debuggers and swap.

/// What [`harden_process`] has reached.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardening {
    /// No core dump is written, and on Linux no other process of the same user attaches a debugger
    /// or reads the memory.
    pub core_dumps: Measure,
    /// No page is written to swap.
    pub swap: Measure,
}

/// Whether a protection is in force.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measure {
    /// It is.
    InForce,
    /// It is not, for this reason.
    NotInForce(String),
}

/// Switches off core dumps and, where the system lets this process lock its memory without bound,
/// swap.
///
/// To be called once, early, by a program that holds secrets for long. On Linux it makes the process
/// not dumpable, after which its files under `/proc` belong to root: what it still has to read there
/// (`/proc/self/…` as an ordinary user), it reads before. Programs that it starts are not affected.
///
/// Swap is left alone when there is a limit to locked memory (`ulimit -l`), because an allocation
/// beyond it would end the process. Neither hibernation nor root is kept out.
#[must_use]
pub fn harden_process() -> Hardening {
    system::harden()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use rustix::mm::{MlockAllFlags, mlockall};
    use rustix::process::{
        DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
    };

    use super::{Hardening, Measure};

    pub(super) fn harden() -> Hardening {
        let no_core = Rlimit { current: Some(0), maximum: Some(0) };
        let core_dumps = setrlimit(Resource::Core, no_core)
            .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
        Hardening { core_dumps: Measure::of(core_dumps), swap: lock_memory() }
    }

    fn lock_memory() -> Measure {
        let limit = getrlimit(Resource::Memlock);
        if limit.maximum.is_some() {
            return Measure::NotInForce(
                "the system limits how much memory this process may lock (ulimit -l)".to_owned(),
            );
        }
        let unlimited = Rlimit { current: None, maximum: None };
        // ONFAULT: a thread's stack is locked as far as it is used, not in its full size.
        let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
        Measure::of(setrlimit(Resource::Memlock, unlimited).and_then(|()| mlockall(all)))
    }
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod system {
    use rustix::process::{Resource, Rlimit, setrlimit};

    use super::{Hardening, Measure};

    pub(super) fn harden() -> Hardening {
        let no_core = Rlimit { current: Some(0), maximum: Some(0) };
        Hardening {
            core_dumps: Measure::of(setrlimit(Resource::Core, no_core)),
            swap: Measure::NotInForce(
                "this system encrypts its swap itself, or does not".to_owned(),
            ),
        }
    }
}

#[cfg(not(unix))]
mod system {
    use super::{Hardening, Measure};

    pub(super) fn harden() -> Hardening {
        let nothing = || Measure::NotInForce("there is no such switch on this system".to_owned());
        Hardening { core_dumps: nothing(), swap: nothing() }
    }
}

#[cfg(unix)]
impl Measure {
    fn of(result: rustix::io::Result<()>) -> Self {
        result.map_or_else(|error| Self::NotInForce(error.to_string()), |()| Self::InForce)
    }
}
