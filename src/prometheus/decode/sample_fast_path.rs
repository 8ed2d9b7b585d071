//! Decodes samples as servers write them, `[1700000059.781,"50.12"]`, eight digits at a time.
//!
//! Samples make up most of a response, and decoding them byte by byte costs several times as much. Samples in any other form are
//! left to [`json`](super::json), which reads everything that is allowed. Both give the same result.

use crate::model::sample::Sample;

/// How many bytes are looked at. Every sample that is decoded here fits into them.
const MAX_BYTES: usize = 64;

/// The most digits of a value: any number with this many fits into 64 bits.
const MAX_DIGITS: usize = 19;

/// Up to here, every integer is exact as a float of 64 bits, and so is each of [`POWERS`]. Their quotient is rounded once, so it is
/// the float nearest to the text.
const MAX_EXACT: u64 = 1 << 53;

const POWERS: [f64; 20] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19];

/// Decodes the samples at the start of a text, each with the comma behind it, and passes them to `take`. Returns how many bytes
/// they have.
///
/// # Errors
/// Fails with the error of `take`.
#[inline]
pub(super) fn samples<E>(text: &[u8], mut take: impl FnMut(Sample) -> Result<(), E>) -> Result<usize, E> {
    let mut at = 0;
    while let Some((sample, length)) = sample(&text[at..])
        && text.get(at + length) == Some(&b',')
    {
        take(sample)?;
        at += length + 1;
    }
    Ok(at)
}

/// The sample at the start of a text, and how many bytes it has; `None` if it is not written as usual.
#[inline]
fn sample(text: &[u8]) -> Option<(Sample, usize)> {
    let text: &[u8; MAX_BYTES] = text.first_chunk()?;
    if text[0] != b'[' {
        return None;
    }
    // Seconds have ten digits from 2001 to 2286.
    let (first, length) = up_to_eight(text, 1)?;
    if length != 8 || text[1] == b'0' {
        return None;
    }
    let seconds = (first * 10 + digit(text[9])?) * 10 + digit(text[10])?;
    let (ms, at) = match text[11] {
        b'.' => {
            let (fraction, length) = up_to_eight(text, 12)?;
            // Prometheus writes all three digits, VictoriaMetrics only as many as it needs.
            (fraction * [0, 100, 10, 1].get(length).filter(|_| length > 0)?, 12 + length)
        }
        _ => (0, 11),
    };
    if text[at..at + 2] != *b",\"" {
        return None;
    }
    let (value, end) = value(text, at + 2)?;
    if text.get(end..end + 2)? != b"\"]" {
        return None;
    }
    Some((Sample { at: (seconds * 1000 + ms) as i64, value }, end + 2))
}

/// The number at `start`, with or without a sign and a fraction, and where it ends.
fn value(text: &[u8; MAX_BYTES], start: usize) -> Option<(f64, usize)> {
    let is_negative = text[start] == b'-';
    let whole = start + usize::from(is_negative);
    let (mut mantissa, mut end) = digits(text, whole, 0)?;
    let mut count = end - whole;
    let mut decimals = 0;
    if count > 0 && text[end] == b'.' {
        (mantissa, decimals) = digits(text, end + 1, mantissa).map(|(more, stop)| (more, stop - end - 1))?;
        end += 1 + decimals;
        count += decimals;
        if decimals == 0 {
            return None;
        }
    }
    if count == 0 {
        return None;
    }
    if count > MAX_DIGITS || mantissa > MAX_EXACT {
        return Some((str::from_utf8(&text[start..end]).ok()?.parse().ok()?, end));
    }
    let value = mantissa as f64 / POWERS[decimals];
    Some((if is_negative { -value } else { value }, end))
}

/// Continues the number `begun` by the digits at `start`. Also returns where they end. With too many digits, the
/// number is wrong: the caller counts them.
fn digits(text: &[u8; MAX_BYTES], start: usize, begun: u64) -> Option<(u64, usize)> {
    let (mut number, mut at) = (begun, start);
    loop {
        let (more, length) = up_to_eight(text, at)?;
        number = number.wrapping_mul(POWERS_OF_TEN[length]).wrapping_add(more);
        at += length;
        if length < 8 {
            return Some((number, at));
        }
    }
}

const POWERS_OF_TEN: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The number in up to eight digits at `at`, and how many digits it has; `None` at the end of the text.
///
/// Processes eight bytes as one integer: a byte is a digit if its upper half is 3 and its lower half at most 9. Then neighbours are
/// combined into four numbers below 100, two below 10,000, and one.
fn up_to_eight(text: &[u8; MAX_BYTES], at: usize) -> Option<(u64, usize)> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let bytes = u64::from_le_bytes(*text.get(at..)?.first_chunk()?);
    let digits = bytes ^ (ONES * 0x30);
    // For a digit, the upper half of the byte stays empty even if 6 is added.
    let others = (digits | (digits & (ONES * 0x7f)).wrapping_add(ONES * 0x06)) & (ONES * 0xf0);
    let length = others.trailing_zeros() as usize / 8;
    if length == 0 {
        return Some((0, 0));
    }
    // Shifts the bytes behind the digits out, and zeros in front of the digits.
    let digits = digits << (64 - 8 * length);
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some(((fours * 10_000 + (fours >> 32)) & 0xffff_ffff, length))
}

fn digit(byte: u8) -> Option<u64> {
    byte.is_ascii_digit().then(|| u64::from(byte - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> Option<(Sample, usize)> {
        sample(format!("{text:_<64}").as_bytes())
    }

    #[test]
    fn a_sample_is_what_the_standard_library_reads() {
        for value in [
            "0", "5", "-5", "-0", "0.5", "50.12", "-0.001", "12345678", "123456789", "1234567.8", "12345678.9",
            "123456789.25", "0.12345678", "0.123456789", "9007199254740992", "900719925474099.2", "0.000000000000001",
            "9007199254740993", "12345678901234567890", "18446744073709551617", "0.46800000000002915",
            "-12345.670000000001", "0.00000000000000000001", "007", "00.10",
        ] {
            for (seconds, ms) in [
                ("1700000059", 1_700_000_059_000),
                ("1700000059.781", 1_700_000_059_781),
                ("1700000059.05", 1_700_000_059_050),
                ("1700000059.7", 1_700_000_059_700),
                ("9999999999.001", 9_999_999_999_001),
            ] {
                let text = format!("[{seconds},\"{value}\"]");
                let (sample, length) = taken(&text).unwrap();
                let expected: f64 = value.parse().unwrap();
                assert_eq!((sample.at, sample.value.to_bits(), length), (ms, expected.to_bits(), text.len()), "{text}");
            }
        }
    }

    #[test]
    fn other_forms_are_left_to_the_json_reader() {
        for text in [
            "[1700000059.,\"1\"]", "[1700000059.7812,\"1\"]", "[170000005,\"1\"]", "[17000000590,\"1\"]",
            "[0700000059,\"1\"]", "[-700000059,\"1\"]", "[1700000059,\"\"]", "[1700000059,\"-\"]",
            "[1700000059,\".\"]", "[1700000059,\"1.\"]", "[1700000059,\".5\"]", "[1700000059,\"+1\"]",
            "[1700000059,\"1e5\"]", "[1700000059,\"NaN\"]", "[1700000059,\"+Inf\"]", "[1700000059,1]",
            "[1700000059, \"1\"]", "[1700000059,\"1\" ]", "[ 1700000059,\"1\"]", "[1700000059,\"1\\u0030\"]",
            "[1700000059,\"1:\"]", "[170000005:,\"1\"]", "[1700000059,\"1/\"]", "[1700000059,\"\u{b1}\"]", "{}",
        ] {
            assert_eq!(taken(text), None, "{text}");
        }
        // So is a sample that may continue behind the bytes that are looked at.
        let long = format!("[1700000059,\"{}1\"]", "0".repeat(45));
        assert_eq!(sample(&long.as_bytes()[..long.len().min(64)]), None);
        assert_eq!(sample(b"[1700000059,\"1\"]"), None);
    }
}
