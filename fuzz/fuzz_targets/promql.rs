//! A query as PromQL: what is read back from the text is what was asked.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| prometheusmirror_fuzz::promql::check(input));
