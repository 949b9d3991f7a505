//! See `moat_fuzz::wire_client`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| moat_fuzz::wire_client::check(data));
