//! The tests of moat-store.
