//! What is fuzzed: for each target one function, which panics where a property does not hold.
//!
//! The binaries under `fuzz_targets` hand them to libFuzzer; the test replays the corpus with them.

pub mod authority;
pub mod path;
pub mod pattern;
pub mod policy;
pub mod scrub_coded;
pub mod scrub_grpc;
pub mod scrub_text;
pub mod scrub_websocket;
pub mod substitute;
pub mod wire_client;
pub mod wire_origin;

mod codings;
mod naive;
mod pieces;
mod world;

/// One target: its name, and its property.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 11] = [
    ("authority", authority::check),
    ("path", path::check),
    ("pattern", pattern::check),
    ("policy", policy::check),
    ("scrub_coded", scrub_coded::check),
    ("scrub_grpc", scrub_grpc::check),
    ("scrub_text", scrub_text::check),
    ("scrub_websocket", scrub_websocket::check),
    ("substitute", substitute::check),
    ("wire_client", wire_client::check),
    ("wire_origin", wire_origin::check),
];
