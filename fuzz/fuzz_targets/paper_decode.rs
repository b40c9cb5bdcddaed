//! See [`silverback_fuzz::paper_decode`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::paper_decode(data));
