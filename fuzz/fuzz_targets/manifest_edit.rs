//! See [`silverback_fuzz::manifest_edit`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::manifest_edit(data));
