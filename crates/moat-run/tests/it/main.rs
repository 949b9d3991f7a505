//! The tests of moat-run.
