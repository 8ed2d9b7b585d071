//! An expression: the times are put where `start()` and `end()` stand, and nowhere else.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| prometheusmirror_fuzz::at_modifier::check(input));
