//! See [`silverback_fuzz::log_frames`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::log_frames(data));
