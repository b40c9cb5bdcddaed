//! See [`silverback_fuzz::chunk_decode`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::chunk_decode(data));
