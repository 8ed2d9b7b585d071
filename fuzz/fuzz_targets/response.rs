//! A body as a response of Prometheus: decoded as it stands, or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| prometheusmirror_fuzz::response::check(input));
