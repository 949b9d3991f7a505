//! The tests of moat-provider-custom.
