//! See [`silverback_fuzz::gorilla_decode`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::gorilla_decode(data));
