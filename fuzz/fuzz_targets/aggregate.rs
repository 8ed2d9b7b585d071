//! Samples, raw or in buckets: the points are those of slow arithmetic, however the samples arrive.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| prometheusmirror_fuzz::aggregate::check(input));
