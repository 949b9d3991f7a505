//! The tests of moat-refresh.
