//! Numbers as they are spelt, in JSON and in labels.
//!
//! serde_json reads a float a little off when it has many digits or a large exponent. Below that it is exact.

use crate::Refused;

/// A number that both sides read exactly, as a decimal: `digits` times ten to the power of `exponent`, without zeros at
/// the end of `digits`, so that there is one way to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    pub is_negative: bool,
    /// Whether it was spelt without fraction and exponent.
    pub is_integer: bool,
    pub digits: u128,
    pub exponent: i32,
}

/// Reads a number. An integer of up to 20 digits is exact, anything else up to 15 digits.
pub fn decimal(text: &str) -> Result<Decimal, Refused> {
    let is_negative = text.starts_with('-');
    let text = text.trim_start_matches('-');
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_integer = whole.len() == text.len();
    // What is out of the integers of 64 bits becomes a float.
    let digits: u128 = format!("{whole}{fraction}").parse().map_err(|_| Refused::Unsure)?;
    let most = if is_negative { 1 << 63 } else { u128::from(u64::MAX) };
    if digits > if is_integer { most } else { 1 << 53 } {
        return Err(Refused::Unsure);
    }
    let exponent: i32 = exponent.parse().map_err(|_| Refused::Unsure)?;
    let shift = exponent.checked_sub(fraction.len() as i32).filter(|shift| shift.abs() <= 22);
    let (mut digits, mut exponent) = (digits, shift.ok_or(Refused::Unsure)?);
    if digits == 0 {
        exponent = 0;
    }
    while digits > 0 && digits.is_multiple_of(10) {
        (digits, exponent) = (digits / 10, exponent + 1);
    }
    // Two decimals of more digits may be the same float.
    if !is_integer && digits > 999_999_999_999_999 {
        return Err(Refused::Unsure);
    }
    Ok(Decimal { is_negative, is_integer, digits, exponent })
}

impl Decimal {
    /// Its value, if it is a whole number.
    pub fn whole(&self) -> Option<i128> {
        // At most 20 digits and 22 zeros: too large for 128 bits is too large for everything.
        let zeros = u32::try_from(self.exponent).ok()?;
        let value = self.digits.saturating_mul(10_u128.pow(zeros)).min(i128::MAX as u128) as i128;
        Some(if self.is_negative { -value } else { value })
    }
}

/// A number of any length, as a decimal: `digits` times ten to the power of `exponent`. Neither end of `digits` is 0, so that
/// there is one way to write it; zero has none, and no sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exact {
    pub is_negative: bool,
    pub digits: String,
    pub exponent: i64,
}

impl Exact {
    /// The number that a text is, such as `-12.50e+03`.
    pub fn of(text: &str) -> Option<Exact> {
        let is_negative = text.starts_with('-');
        let text = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole) || !are_digits(fraction) || !are_digits(power.trim_start_matches(['+', '-'])) {
            return None;
        }
        let mut exponent = power.parse::<i64>().ok()? - fraction.len() as i64;
        let mut digits = format!("{whole}{fraction}").trim_start_matches('0').to_owned();
        while digits.ends_with('0') {
            digits.pop();
            exponent += 1;
        }
        if digits.is_empty() {
            return Some(Exact { is_negative: false, digits, exponent: 0 });
        }
        Some(Exact { is_negative, digits, exponent })
    }

    /// The ways in which exporters write it: in full or with an exponent, as Go, Python, Java and C do.
    pub fn spellings(&self) -> Vec<String> {
        let (sign, digits) = (if self.is_negative { "-" } else { "" }, self.digits.as_str());
        if digits.is_empty() {
            return ["0", "0.0", "-0", "-0.0", "0e+00", "0e0", "0.0E0", "-0e+00"].map(str::to_owned).to_vec();
        }
        let mut spellings = Vec::new();
        // Where the point is in the digits, if enough zeros stand around them.
        let point = digits.len() as i64 + self.exponent;
        if self.exponent >= 0 {
            let whole = format!("{sign}{digits}{}", "0".repeat(self.exponent as usize));
            spellings.extend([format!("{whole}.0"), format!("{whole}.00"), whole]);
        } else if point > 0 {
            let (whole, fraction) = digits.split_at(point as usize);
            spellings.extend(["", "0"].map(|zeros| format!("{sign}{whole}.{fraction}{zeros}")));
        } else {
            let fraction = format!("{}{digits}", "0".repeat(-point as usize));
            spellings.extend(["", "00"].map(|zeros| format!("{sign}0.{fraction}{zeros}")));
        }
        let (first, rest) = digits.split_at(1);
        let mantissas = if rest.is_empty() {
            vec![first.to_owned(), format!("{first}.0")]
        } else {
            vec![format!("{first}.{rest}")]
        };
        let power = point - 1;
        let mut powers = vec![format!("{power}"), format!("{power:+03}"), format!("{power:+04}")];
        if power >= 0 {
            powers.extend([format!("+{power}"), format!("{power:02}")]);
        }
        for mantissa in mantissas {
            for letter in ['e', 'E'] {
                spellings.extend(powers.iter().map(|power| format!("{sign}{mantissa}{letter}{power}")));
            }
        }
        spellings
    }
}

/// A time of the Prometheus API, in seconds, as the nearest millisecond.
///
/// [`Refused::Form`] is one that is beyond every time. Where the nearest millisecond hangs on the last bits of a
/// float, or the number is at that bound, both is right.
pub fn millis(seconds: &str) -> Result<i64, Refused> {
    let (mantissa, exponent) = seconds.split_once(['e', 'E']).unwrap_or((seconds, "0"));
    // With a larger exponent it is zero or beyond all, even with as many digits as an input has.
    let exponent = exponent.parse::<i32>().ok().filter(|exponent| exponent.abs() < 1_000_000_000);
    let exact: f64 = format!("{mantissa}e{}", exponent.ok_or(Refused::Unsure)? + 3).parse().unwrap();
    let off = exact.abs() * 2_f64.powi(-50);
    if (exact.abs() - 9e15).abs() <= off + 1.0 {
        return Err(Refused::Unsure);
    }
    if exact.abs() > 9e15 {
        return Err(Refused::Form);
    }
    if (exact.fract().abs() - 0.5).abs() <= off {
        return Err(Refused::Unsure);
    }
    Ok(exact.round() as i64)
}
