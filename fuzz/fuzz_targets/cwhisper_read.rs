//! See [`silverback_fuzz::cwhisper_read`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::cwhisper_read(data));
