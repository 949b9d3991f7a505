//! See `moat_fuzz::path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| moat_fuzz::path::check(data));
