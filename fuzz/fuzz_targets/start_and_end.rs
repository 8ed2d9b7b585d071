//! Writes times into an expression, which must replace `start()` and `end()` and nothing else.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| prometheusmirror_fuzz::start_and_end::check(input));
