//! Writes times into an expression, which must replace `start()` and `end()` and nothing else.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| prometheusmirror_fuzz::at_modifier::check(input));
