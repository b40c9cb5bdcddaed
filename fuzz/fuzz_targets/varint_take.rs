//! See [`silverback_fuzz::varint_take`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::varint_take(data));
