//! Reads the input as the response to a remote read, which must be decoded to the samples that it holds or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| prometheusmirror_fuzz::remote_read::check(input));
