//! See [`silverback_fuzz::block_open`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::block_open(data));
