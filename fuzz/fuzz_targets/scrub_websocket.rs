//! See `moat_fuzz::scrub_websocket`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| moat_fuzz::scrub_websocket::check(data));
