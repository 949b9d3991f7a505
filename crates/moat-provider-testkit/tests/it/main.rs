//! Tests of the public interface.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "some providers here leak on purpose, and canaries protect nothing"
)]

mod broker;
mod canary;
mod conformance;
mod double;
mod fakes;
mod golden;
mod sample;
mod vendor;
