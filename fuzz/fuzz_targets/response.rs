//! Reads the input as the body of a response of Prometheus, which must be decoded exactly or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| prometheusmirror_fuzz::response::check(input));
