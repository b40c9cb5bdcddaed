//! See [`silverback_fuzz::wal_payload`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| silverback_fuzz::wal_payload(data));
