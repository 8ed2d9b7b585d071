//! Computes points from described samples, which must be those of a slow reference, however the samples arrive.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| prometheusmirror_fuzz::aggregate::check(input));
