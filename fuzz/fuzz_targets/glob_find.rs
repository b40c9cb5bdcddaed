//! See [`silverback_fuzz::glob_find`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::glob_find(data));
