//! A query as PromQL: what is read back from the text is the query.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| prometheusmirror_fuzz::promql::check(input));
