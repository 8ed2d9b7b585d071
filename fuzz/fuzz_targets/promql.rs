//! Writes a described query as PromQL and reads it back, which must give the same query.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| prometheusmirror_fuzz::promql::check(input));
