//! See [`silverback_fuzz::cold_encode`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::cold_encode(data));
