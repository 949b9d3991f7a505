//! See `moat_fuzz::scrub_grpc`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| moat_fuzz::scrub_grpc::check(data));
