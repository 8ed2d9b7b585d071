//! Points in JSON, with the shortest digits that read the same.
//!
//! A long response is nearly all digits. They are written eight at a time into a buffer on the stack that has room for a whole point.
//! A library that returns the text of each number takes twice as long: each text has another length, is copied once more, and needs
//! its own check for room.

/// The buffer is added to the body when it has less room than [`MAX_POINT_BYTES`].
const BUFFER_BYTES: usize = 4_096;

/// The most bytes of a point: a value in exponential notation has 24, each of two times has 16, and then there are brackets, commas,
/// and the up to 7 bytes of [`Text::put`] that do not count.
const MAX_POINT_BYTES: usize = 80;

/// A number of up to three decimals becomes whole when it is multiplied by this. Most values of metrics are whole or have few decimals.
const SCALE: f64 = 1e3;

/// A number below this has at most 15 digits, three of them decimals. Two such numbers never read the same, so no shorter digits
/// exist.
const MAX_SCALABLE: f64 = 1e12;

/// Eight digits are written at a time.
const EIGHT_DIGITS: u64 = 100_000_000;

/// The text `00000000`.
const ZEROS: u64 = u64::from_le_bytes(*b"00000000");

/// Appends points to a body.
pub(super) struct PointWriter {
    body: Vec<u8>,
    buffer: Box<[u8; BUFFER_BYTES]>,
    /// How many bytes of the buffer are written.
    length: usize,
    /// Writes values of more decimals.
    any_value: zmij::Buffer,
    time_start: TimeStart,
}

impl PointWriter {
    pub(super) fn new(body: Vec<u8>) -> PointWriter {
        let buffer = Box::new([0; BUFFER_BYTES]);
        PointWriter { body, buffer, length: 0, any_value: zmij::Buffer::new(), time_start: TimeStart::default() }
    }

    /// Appends `[value,time],` or `[value,start,end],`. The value is finite. Times are in milliseconds, not negative, and have at most
    /// 16 digits.
    pub(super) fn point(&mut self, value: f64, time: i64, end: Option<i64>) {
        let mut text = Text { buffer: &mut self.buffer, length: self.length };
        text.put(u64::from(b'['), 1);
        match scaled(value) {
            Some(scaled) => text.scaled_value(value.is_sign_negative(), scaled),
            None => text.bytes(self.any_value.format_finite(value).as_bytes()),
        }
        text.put(u64::from(b','), 1);
        text.time(time.unsigned_abs(), &mut self.time_start);
        if let Some(end) = end {
            text.put(u64::from(b','), 1);
            text.time(end.unsigned_abs(), &mut self.time_start);
        }
        text.put(u64::from(b']') | u64::from(b',') << 8, 2);
        self.length = text.length;
        if self.length > BUFFER_BYTES - MAX_POINT_BYTES {
            self.flush();
        }
    }

    /// The body with all points, without the comma behind the last one.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.flush();
        self.body.pop_if(|last| *last == b',');
        self.body
    }

    fn flush(&mut self) {
        self.body.extend_from_slice(&self.buffer[..self.length]);
        self.length = 0;
    }
}

/// A time without its last eight digits, and the text of that, kept from point to point: it changes once in a day of data.
#[derive(Default)]
struct TimeStart {
    value: u64,
    text: u64,
    length: u32,
}

/// The text of a point. Its length is a local variable while a point is written: behind a reference, each step would wait until the
/// step before has stored it.
struct Text<'b> {
    buffer: &'b mut [u8; BUFFER_BYTES],
    length: usize,
}

impl Text<'_> {
    #[inline(always)]
    fn scaled_value(&mut self, is_negative: bool, scaled: u64) {
        if is_negative {
            self.put(u64::from(b'-'), 1);
        }
        // The last eight digits are five before the point and three behind it.
        let (high, low) = (scaled / EIGHT_DIGITS, eight_digits(scaled % EIGHT_DIGITS));
        if high == 0 {
            self.without_leading_zeros(low, 5);
        } else {
            self.without_leading_zeros(eight_digits(high), 8);
            self.put(low | ZEROS, 5);
        }
        let decimals = low >> 40;
        // At least one, and otherwise all up to the last that is not zero.
        let needed = 8 - (decimals | 1).leading_zeros() / 8;
        self.put(u64::from(b'.') | (decimals | ZEROS) << 8, 1 + needed);
    }

    #[inline(always)]
    fn time(&mut self, time: u64, start: &mut TimeStart) {
        let (value, low) = (time / EIGHT_DIGITS, eight_digits(time % EIGHT_DIGITS));
        if value == 0 {
            return self.without_leading_zeros(low, 8);
        }
        if value != start.value {
            let (text, length) = without_leading_zeros(eight_digits(value), 8);
            *start = TimeStart { value, text, length };
        }
        self.put(start.text, start.length);
        self.put(low | ZEROS, 8);
    }

    #[inline(always)]
    fn without_leading_zeros(&mut self, digits: u64, count: u32) {
        let (text, length) = without_leading_zeros(digits, count);
        self.put(text, length);
    }

    /// Writes eight bytes, the lowest first, of which the first `count` are kept: what is written next overwrites the others.
    #[inline(always)]
    fn put(&mut self, text: u64, count: u32) {
        self.buffer[self.length..self.length + 8].copy_from_slice(&text.to_le_bytes());
        self.length += count as usize;
    }

    fn bytes(&mut self, text: &[u8]) {
        self.buffer[self.length..self.length + text.len()].copy_from_slice(text);
        self.length += text.len();
    }
}

/// The text of the first `count` of eight digits, and its length. It leaves out zeros before the first other digit, but not the last
/// of the `count`.
#[inline(always)]
fn without_leading_zeros(digits: u64, count: u32) -> (u64, u32) {
    let zeros = (digits | 1 << (8 * (count - 1))).trailing_zeros() / 8;
    ((digits | ZEROS) >> (8 * zeros), count - zeros)
}

/// A thousand times the absolute value of a number, if that is whole and the number is not too large.
#[inline(always)]
fn scaled(value: f64) -> Option<u64> {
    let absolute = value.abs();
    let scaled = (absolute * SCALE + 0.5) as i64;
    (absolute < MAX_SCALABLE && scaled as f64 / SCALE == absolute).then_some(scaled as u64)
}

/// The digits of a number below [`EIGHT_DIGITS`], one in each byte, the first digit in the lowest byte.
///
/// Each step splits all parts of the number in two at once. A division by 100 or by 10 is a multiplication and a shift, which is exact
/// for such small numbers.
#[inline(always)]
fn eight_digits(value: u64) -> u64 {
    let fours = value / 10_000 + ((value % 10_000) << 32);
    let hundreds = ((fours * 5_243) >> 19) & 0x0000_007F_0000_007F;
    let twos = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & 0x000F_000F_000F_000F;
    tens | (twos - 10 * tens) << 8
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    /// The text of points, by the library.
    fn expected(points: &[(f64, i64, Option<i64>)]) -> String {
        let texts = points.iter().map(|&(value, time, end)| {
            let value = serde_json::to_string(&value).unwrap();
            match end {
                None => format!("[{value},{time}]"),
                Some(end) => format!("[{value},{time},{end}]"),
            }
        });
        texts.collect::<Vec<_>>().join(",")
    }

    fn written(points: &[(f64, i64, Option<i64>)]) -> String {
        let mut writer = PointWriter::new(b"[".to_vec());
        points.iter().for_each(|&(value, time, end)| writer.point(value, time, end));
        String::from_utf8(writer.finish()).unwrap().split_off(1)
    }

    #[test]
    fn a_value_has_the_shortest_digits_that_read_the_same() {
        let values =
            [0.0, -0.0, 1.0, -1.5, 0.001, 0.0005, 0.01, 0.1 + 0.2, 1e11, 999_999_999_999.999, 1e12, 1e15, 1e16, 1e21];
        for value in values.into_iter().chain([1e300, 5e-324, -1.5e-7, f64::MAX, 9_007_199_254_740_993.0, 2_000.37]) {
            let text = written(&[(value, 1, None)]);
            assert_eq!(text, expected(&[(value, 1, None)]));
            let (_, number) = text.split_once('[').unwrap();
            assert_eq!(number.split(',').next().unwrap().parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }

    #[test]
    fn points_longer_than_the_buffer_are_complete() {
        let points: Vec<_> =
            (0..3_000).map(|nth| (-1e-300 / f64::from(nth + 3), nth.into(), Some(i64::MAX / 1_000))).collect();
        assert_eq!(written(&points), expected(&points));
    }

    #[test]
    fn a_time_does_not_keep_the_start_of_the_one_before() {
        let times =
            [0, 99_999_999, 100_000_000, 1_700_000_000_000, 99, 1_699_999_999_999, 253_402_300_799_999, 200_000_000];
        let points: Vec<_> = times.map(|time| (1.5, time, Some(time + 1))).to_vec();
        assert_eq!(written(&points), expected(&points));
    }

    #[test]
    fn without_points_there_is_no_text() {
        assert_eq!(written(&[]), "");
    }

    proptest! {
        #[test]
        fn any_value_is_written_as_by_the_library(bits: u64) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                prop_assert_eq!(written(&[(value, 1, None)]), expected(&[(value, 1, None)]));
            }
        }

        #[test]
        fn values_with_few_decimals_are_written_as_by_the_library(digits: i64, shift in 0_u32..40, decimals in 0_i32..6) {
            let value = (digits >> shift) as f64 / 10_f64.powi(decimals);
            for near in [value, f64::from_bits(value.to_bits() + 1), f64::from_bits(value.to_bits().saturating_sub(1))] {
                prop_assert_eq!(written(&[(near, 1, None)]), expected(&[(near, 1, None)]));
            }
        }

        #[test]
        fn times_have_all_of_their_digits(digits in 0_i64..10_000_000_000_000_000, shift in 0_u32..54, length in 0_i64..100_000_000) {
            let time = digits >> shift;
            let points = [(0.5, time, None), (0.5, time / 2, Some(time / 2 + length)), (0.5, time, None)];
            prop_assert_eq!(written(&points), expected(&points));
        }
    }
}
