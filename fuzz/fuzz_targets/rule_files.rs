//! See [`silverback_fuzz::rule_files`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::rule_files(data));
