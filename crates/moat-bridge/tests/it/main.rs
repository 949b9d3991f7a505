//! The tests of moat-bridge.
