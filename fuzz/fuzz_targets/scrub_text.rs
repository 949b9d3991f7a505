//! See `moat_fuzz::scrub_text`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| moat_fuzz::scrub_text::check(data));
