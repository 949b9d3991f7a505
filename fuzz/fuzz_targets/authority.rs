//! See `moat_fuzz::authority`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| moat_fuzz::authority::check(data));
