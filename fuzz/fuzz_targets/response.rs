//! A body as the answer of Prometheus to a query: decoded as it stands, or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| prometheusmirror_fuzz::response::check(input));
