//! Exact decimal numbers, so that two spellings of the same number are equal.

/// A decimal number: `digits` times ten to the power of `exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// Whether it is below zero.
    pub is_negative: bool,
    /// Its digits. The last one is not 0, unless the number is zero.
    pub digits: u64,
    /// The power of ten of the last digit; 0 if the number is zero.
    pub exponent: i32,
}

impl Decimal {
    /// The number of a text in the form of JSON, such as `-12.50e+3`. `None` if the text is not a number, its digits do not fit
    /// into a `u64`, or its exponent into an `i16`.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = all.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Some(Decimal { is_negative: false, digits: 0, exponent: 0 });
        }
        let zeros_behind = all.len() - all.trim_end_matches('0').len();
        let last_digit = i32::try_from(zeros_behind).ok()? - i32::try_from(fraction.len()).ok()?;
        let digits = significant.parse().ok()?;
        Some(Decimal { is_negative, digits, exponent: i32::from(exponent) + last_digit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_number_are_one_decimal() {
        let check = |spellings: &[&str], is_negative: bool, digits: u64, exponent: i32| {
            for spelling in spellings {
                let expected = Decimal { is_negative, digits, exponent };
                assert_eq!(Decimal::parse(spelling), Some(expected), "{spelling}");
            }
        };
        check(&["0", "-0", "0.0", "0e5", "-0.00E-3"], false, 0, 0);
        check(&["2", "2.0", "2.00", "0.2e1", "20e-1", "2E+0"], false, 2, 0);
        check(&["1000000", "1e6", "1.0e6", "1E+06", "0.1e7"], false, 1, 6);
        check(&["0.00001", "1e-05", "1.0e-5"], false, 1, -5);
        check(&["-12.5", "-1.25e1", "-0.0125e3"], true, 125, -1);
        check(&["18446744073709551615"], false, 18_446_744_073_709_551_615, 0);
        for text in ["", "-", ".", "e5", "1e", "1e99999", "18446744073709551616", "NaN", "1x", "+1", "1.2.3"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}
