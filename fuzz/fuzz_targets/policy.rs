//! See `moat_fuzz::policy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| moat_fuzz::policy::check(data));
