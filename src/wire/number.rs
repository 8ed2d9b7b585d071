//! Numbers in JSON: the shortest digits that read the same. Most values of metrics are whole or have a few decimals, whose digits are
//! found by a multiplication and a division; an answer of such values is written in three quarters of the time.

/// By this, a number with up to three decimals becomes whole.
const SCALE: u64 = 1_000;

/// Below this, scaled numbers have at most 15 digits, of which any two read as different numbers: no shorter digits read the same.
const MAX_SCALED: f64 = 1e15;

/// Writes numbers.
pub(super) struct NumberWriter {
    any: zmij::Buffer,
    whole: itoa::Buffer,
}

impl NumberWriter {
    pub(super) fn new() -> NumberWriter {
        NumberWriter { any: zmij::Buffer::new(), whole: itoa::Buffer::new() }
    }

    /// Appends a finite number.
    pub(super) fn write(&mut self, into: &mut Vec<u8>, value: f64) {
        match scaled(value) {
            Some(scaled) => self.write_scaled(into, value.is_sign_negative(), scaled),
            None => into.extend_from_slice(self.any.format_finite(value).as_bytes()),
        }
    }

    fn write_scaled(&mut self, into: &mut Vec<u8>, is_negative: bool, scaled: u64) {
        let (whole, decimals) = (scaled / SCALE, scaled % SCALE);
        if is_negative {
            into.push(b'-');
        }
        into.extend_from_slice(self.whole.format(whole).as_bytes());
        let digits = [decimals / 100, decimals / 10 % 10, decimals % 10].map(|digit| b'0' + digit as u8);
        let needed = match digits {
            [_, b'0', b'0'] => 1,
            [_, _, b'0'] => 2,
            _ => 3,
        };
        into.push(b'.');
        into.extend_from_slice(&digits[..needed]);
    }
}

/// A thousand times the amount of a number, if that is whole.
fn scaled(value: f64) -> Option<u64> {
    let amount = value.abs();
    let scaled = (amount * SCALE as f64 + 0.5) as u64;
    (amount < MAX_SCALED / SCALE as f64 && scaled as f64 / SCALE as f64 == amount).then_some(scaled)
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    fn written(value: f64) -> String {
        let mut text = Vec::new();
        NumberWriter::new().write(&mut text, value);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_number_has_the_shortest_digits_that_read_the_same() {
        let values =
            [0.0, -0.0, 1.0, -1.5, 0.001, 0.0005, 0.01, 0.1 + 0.2, 1e11, 999_999_999_999.999, 1e12, 1e15, 1e16, 1e21];
        for value in values.into_iter().chain([1e300, 5e-324, -1.5e-7, f64::MAX, 9_007_199_254_740_993.0, 2_000.37]) {
            assert_eq!(written(value), serde_json::to_string(&value).unwrap());
            assert_eq!(written(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }

    proptest! {
        #[test]
        fn any_number_is_written_as_by_the_library(bits: u64) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                prop_assert_eq!(written(value), serde_json::to_string(&value).unwrap());
            }
        }

        #[test]
        fn numbers_with_few_decimals_are_written_as_by_the_library(digits: i64, shift in 0_u32..40, decimals in 0_i32..6) {
            let value = (digits >> shift) as f64 / 10_f64.powi(decimals);
            for near in [value, f64::from_bits(value.to_bits() + 1), f64::from_bits(value.to_bits().saturating_sub(1))] {
                prop_assert_eq!(written(near), serde_json::to_string(&near).unwrap());
            }
        }
    }
}
