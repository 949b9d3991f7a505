//! See `moat_fuzz::substitute`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| moat_fuzz::substitute::check(data));
