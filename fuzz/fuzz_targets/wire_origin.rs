//! See `moat_fuzz::wire_origin`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| moat_fuzz::wire_origin::check(data));
