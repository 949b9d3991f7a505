//! The tests of moat-host.
