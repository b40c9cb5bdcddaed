//! See [`silverback_fuzz::whisper_read`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::whisper_read(data));
