//! Reads the input as a request for metric values, which must be understood as the Mirror API means it or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| prometheusmirror_fuzz::request::check(input));
