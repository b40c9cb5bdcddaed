//! See [`silverback_fuzz::carbon_name`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::carbon_name(data));
