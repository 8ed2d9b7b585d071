//! Decodes the samples of an XOR chunk, the format in which Prometheus stores and sends them.
//!
//! It knows neither the series of a chunk nor the meaning of its values: a NaN keeps its bits.
//!
//! The format is Gorilla's ("Gorilla: A Fast, Scalable, In-Memory Time Series Database", section 4.1) with the changes
//! of Prometheus's `tsdb/chunkenc/xor.go`:
//!
//! | part | how it is written |
//! |---|---|
//! | number of samples | 2 bytes, big-endian |
//! | first time | zigzag varint, milliseconds |
//! | first value | 64 bits |
//! | second time | the distance to the first as a varint |
//! | each later time | how much the distance changes: `0` not at all, `10` and 14 bits, `110` and 17, `1110` and 20, `1111` and 64 |
//! | each later value | what changes of its bits: `0` nothing; `10` and the bits of the window used last; `11`, a new window (5 bits for the zeros before it, 6 for its length, 0 meaning 64) and its bits |

#[cfg(test)]
#[path = "../../../tests/reference/xor_chunk.rs"]
pub(super) mod reference;

use super::protobuf::{self, Malformed};
use crate::model::sample::Sample;

/// Adds the samples of a chunk, each later than the one before.
///
/// # Errors
/// Fails if the chunk does not hold as many samples as it says, or if they are not in the order of time; some of its samples may
/// have been added by then.
pub(super) fn decode(data: &[u8], samples: &mut Vec<Sample>) -> Result<(), Malformed> {
    let (&count, mut rest) = data.split_first_chunk().ok_or(Malformed)?;
    let count = usize::from(u16::from_be_bytes(count));
    if count == 0 {
        return Bits::of(rest).end();
    }
    samples.reserve(count);
    let mut at = zigzag(protobuf::varint(&mut rest)?);
    let (&value, mut rest) = rest.split_first_chunk().ok_or(Malformed)?;
    let mut value = u64::from_be_bytes(value);
    samples.push(Sample { at, value: f64::from_bits(value) });
    if count == 1 {
        return Bits::of(rest).end();
    }
    let mut distance = protobuf::varint(&mut rest)? as i64;
    let mut bits = Bits::of(rest);
    let mut window = BitWindow::WHOLE;
    let mut is_damaged = false;
    // Damage is reported at the end: a loop that cannot end early extends the list by a known number of samples, without a check
    // for room at each sample.
    samples.extend((1..count).map(|nth| {
        if nth > 1 {
            distance = distance.wrapping_add(bits.change_of_distance());
        }
        // Wrapping, because the distance of two times may exceed an `i64`.
        let next = at.wrapping_add(distance);
        is_damaged |= next <= at;
        at = next;
        value ^= bits.change_of_value(&mut window);
        is_damaged |= window.below > 63;
        Sample { at, value: f64::from_bits(value) }
    }));
    if is_damaged { Err(Malformed) } else { bits.end() }
}

/// The integer of a zigzag varint: 0, -1, 1, -2 and so on.
fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The bits of a value that differ from the value before.
#[derive(Clone, Copy)]
struct BitWindow {
    /// Their number, 1 to 64.
    length: u32,
    /// How many bits lie below them, 0 to 63. More if the window does not fit into 64 bits.
    below: u32,
}

impl BitWindow {
    /// All bits: the window before the first one. Prometheus refers to it when it appends to a chunk that it has read from disk.
    const WHOLE: BitWindow = BitWindow { length: 64, below: 0 };
}

/// Reads bits, the highest of each byte first. After the last bit it gives zeros without end; [`Bits::end`] reports whether any of
/// those was read.
struct Bits<'c> {
    data: &'c [u8],
    /// How many bits are read.
    at: usize,
    /// The next bits, the first one being the highest. `look` provides at least 57; a time and the head of a value need at most 37.
    ahead: u64,
    /// The last 64 bits of the data, or all of them and zeros, and where they begin.
    last: u64,
    last_at: usize,
}

impl Bits<'_> {
    fn of(data: &[u8]) -> Bits<'_> {
        let mut last = [0; 8];
        let last_at = data.len().saturating_sub(last.len());
        let end = &data[last_at..];
        last[..end.len()].copy_from_slice(end);
        let last = u64::from_be_bytes(last);
        let mut bits = Bits { data, at: 0, ahead: 0, last, last_at: 8 * last_at };
        bits.look();
        bits
    }

    /// Fills `ahead`.
    #[inline(always)]
    fn look(&mut self) {
        let (byte, taken) = (self.at / 8, self.at % 8);
        self.ahead = match self.data.get(byte..).and_then(|ahead| ahead.first_chunk()) {
            Some(&eight) => u64::from_be_bytes(eight) << taken,
            None => self.last_ahead(),
        };
    }

    /// The next 64 bits, all of them.
    #[inline(always)]
    fn all_ahead(&self) -> u64 {
        let (byte, taken) = (self.at / 8, self.at % 8);
        match self.data.get(byte..).and_then(|ahead| ahead.first_chunk()) {
            Some(&[a, b, c, d, e, f, g, h, ninth]) => {
                let eight = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                eight << taken | u64::from(ninth) >> (8 - taken)
            }
            None => self.last_ahead(),
        }
    }

    /// The next 64 bits, where the data ends within them.
    fn last_ahead(&self) -> u64 {
        u32::try_from(self.at - self.last_at).ok().and_then(|taken| self.last.checked_shl(taken)).unwrap_or(0)
    }

    /// Skips bits of `ahead`.
    #[inline(always)]
    fn pass(&mut self, length: usize) {
        self.at += length;
        self.ahead <<= length;
    }

    /// Reads by how much the distance between two times changes, with which a sample begins.
    #[inline(always)]
    fn change_of_distance(&mut self) -> i64 {
        self.look();
        let (prefix, length) = match self.ahead >> 60 {
            0b0000..0b1000 => {
                self.pass(1);
                return 0;
            }
            0b1000..0b1100 => (2, 14),
            0b1100..0b1110 => (3, 17),
            0b1110 => (4, 20),
            _ => {
                self.at += 4;
                let change = self.all_ahead() as i64;
                self.at += 64;
                self.look();
                return change;
            }
        };
        let change = (self.ahead << prefix >> (64 - length)) as i64;
        self.pass(prefix + length);
        // This is not two's complement: 10...0 is the greatest positive number.
        if change > 1 << (length - 1) { change - (1 << length) } else { change }
    }

    /// Reads which bits of a value change, with which a sample ends. It leaves `ahead` as it is, because the next sample fills it.
    #[inline(always)]
    fn change_of_value(&mut self, window: &mut BitWindow) -> u64 {
        if self.ahead >> 63 == 0 {
            self.at += 1;
            return 0;
        }
        if self.ahead >> 62 == 0b10 {
            self.at += 2;
        } else {
            let above = (self.ahead >> 57 & 0x1f) as u32;
            let length = match (self.ahead >> 51 & 0x3f) as u32 {
                0 => 64,
                length => length,
            };
            *window = BitWindow { length, below: 64_u32.wrapping_sub(above + length) };
            self.at += 13;
        }
        let change = self.all_ahead() >> (64 - window.length);
        self.at += window.length as usize;
        change.wrapping_shl(window.below)
    }

    /// Checks that all bits that were read exist, and that the rest is padding: zeros up to the end of the byte, and possibly one
    /// more byte, which Prometheus sometimes added before prometheus/prometheus#14854.
    fn end(&self) -> Result<(), Malformed> {
        match (8 * self.data.len()).checked_sub(self.at) {
            Some(0..16) if self.all_ahead() == 0 => Ok(()),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::reference::{self, Numbers, Written, chunk, chunk_of_parts};
    use super::*;

    fn decoded(data: &[u8]) -> Result<Vec<Sample>, Malformed> {
        let mut samples = Vec::new();
        decode(data, &mut samples).map(|()| samples)
    }

    /// Samples with the bits of their values, which can be compared.
    fn plain(samples: &[Sample]) -> Vec<Written> {
        samples.iter().map(|sample| (sample.at, sample.value.to_bits())).collect()
    }

    /// Both decoders give these samples back, bit by bit.
    fn check(samples: &[(i64, f64)]) {
        let data = chunk(samples);
        let expected: Vec<Written> = samples.iter().map(|&(at, value)| (at, value.to_bits())).collect();
        assert_eq!(reference::decoded(&data), Some(expected.clone()), "the reference, {samples:?}");
        assert_eq!(plain(&decoded(&data).unwrap()), expected, "{samples:?}");
    }

    const WILD: [f64; 14] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        5e-324,
        -5e-324,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        0.1,
        9_007_199_254_740_993.0,
    ];

    #[test]
    fn chunks_of_any_length_are_decoded() {
        for count in [0, 1, 2, 3, 4, 119, 120, 121, 1_000, 65_535] {
            let samples: Vec<_> = (0..count).map(|nth| (1_700_000_000_000 + 15_000 * nth, nth as f64)).collect();
            check(&samples);
        }
        assert_eq!(chunk(&[]), [0, 0]);
    }

    #[test]
    fn every_class_of_a_change_of_distance_is_decoded_up_to_its_edges() {
        for bits in [14_u32, 17, 20] {
            let most = 1_i64 << (bits - 1);
            for change in [-most - 1, -most, -most + 1, -most + 2, -1, 0, 1, most - 1, most, most + 1] {
                // The distances before and after are positive.
                let (first, second) = (5_000_000, 5_000_000 + change);
                check(&[(-7, 1.0), (-7 + first, 1.0), (-7 + first + second, 1.0), (first + 2 * second, 1.0)]);
            }
        }
        let far = 1_i64 << 40;
        check(&[(0, 1.0), (1, 1.0), (1 + far, 1.0), (2 + far, 1.0), (3 + 2 * far, 1.0)]);
    }

    #[test]
    fn the_greatest_change_of_a_class_is_not_a_negative_number() {
        for (prefix, bits) in [("10", 14), ("110", 17), ("1110", 20)] {
            let greatest = format!("{prefix}1{}0", "0".repeat(bits - 1));
            let data = chunk_of_parts(3, 0, 0, 5, &["0", &greatest]);
            assert_eq!(plain(&decoded(&data).unwrap())[2].0, 10 + (1 << (bits - 1)), "{bits} bits");
        }
    }

    #[test]
    fn times_span_all_64_bits() {
        check(&[(i64::MIN, 1.0), (i64::MAX, 2.0)]);
        check(&[(i64::MIN, 1.0), (-1, 2.0), (i64::MAX, 3.0)]);
        check(&[(i64::MIN, 1.0), (i64::MIN + 1, 2.0), (i64::MAX, 3.0)]);
        check(&[(i64::MIN, 1.0), (i64::MAX - 1, 2.0), (i64::MAX, 3.0)]);
        check(&[(-100_000, 1.0), (-85_000, 2.0), (-70_001, 3.0), (0, 4.0)]);
    }

    #[test]
    fn a_value_keeps_its_bits() {
        let pairs = WILD.iter().flat_map(|&one| WILD.iter().map(move |&other| [one, other]));
        let values: Vec<f64> = pairs.flatten().collect();
        check(&values.iter().zip(0..).map(|(&value, at)| (at, value)).collect::<Vec<_>>());
        for bits in [0x7ff0_0000_0000_0002, 0x7ff8_0000_0000_0001, 0xfff8_dead_beef_0001, 0x7ff0_0000_0000_0001] {
            check(&[(1, f64::from_bits(bits)), (2, 1.0), (3, f64::from_bits(bits))]);
        }
    }

    #[test]
    fn every_window_is_decoded() {
        // All places and lengths of the bits that change, each followed by changes that fit into the window.
        for above in 0..64 {
            for below in 0..64 - above {
                let ones = u64::MAX >> above >> below << below;
                let edges = [ones, ones & ones.wrapping_neg(), 1 << (63 - above), ones];
                let mut bits = 0;
                let samples: Vec<_> = edges
                    .iter()
                    .zip(0..)
                    .map(|(edge, at)| {
                        bits ^= edge;
                        (at, f64::from_bits(bits))
                    })
                    .collect();
                check(&samples);
            }
        }
    }

    #[test]
    fn the_first_window_is_all_bits() {
        let data = chunk_of_parts(2, 0, 7, 1, &[&format!("10{:064b}", 0x8000_0000_0000_0101_u64)]);
        assert_eq!(plain(&decoded(&data).unwrap()), [(0, 7), (1, 7 ^ 0x8000_0000_0000_0101)]);
        assert_eq!(reference::decoded(&data), Some(plain(&decoded(&data).unwrap())));
    }

    #[test]
    fn random_series_are_decoded() {
        let mut numbers = Numbers(1);
        for _ in 0..3_000 {
            let count = 1 + numbers.below(300);
            let (time_style, value_style) = (numbers.below(5), numbers.below(6));
            let mut at = numbers.next() as i64 >> (1 + numbers.below(60));
            let mut value = 1_000.0;
            let mut samples = Vec::new();
            for _ in 0..count {
                samples.push((at, value));
                at += match time_style {
                    0 => 15_000,
                    1 => 15_000 + numbers.below(21) as i64 - 10,
                    2 => 1 + numbers.below(20_000) as i64,
                    3 => 1 + numbers.below(2_000_000) as i64,
                    _ => 1 + (numbers.next() >> (10 + numbers.below(50))) as i64,
                };
                value = match value_style {
                    0 => value,
                    1 => value + numbers.below(100) as f64,
                    2 => value + (numbers.below(2_001) as f64 - 1_000.0) / 100.0,
                    3 => value + numbers.next() as f64 / 1e19,
                    4 => WILD[numbers.below(14) as usize],
                    _ => f64::from_bits(numbers.next()),
                };
            }
            check(&samples);
        }
    }

    #[test]
    fn samples_are_added_to_those_there_are() {
        let mut samples = vec![Sample { at: 9, value: 9.0 }];
        decode(&chunk(&[(1, 1.0), (2, 2.0)]), &mut samples).unwrap();
        assert_eq!(samples.iter().map(|sample| sample.at).collect::<Vec<_>>(), [9, 1, 2]);
    }

    #[test]
    fn times_that_do_not_rise_are_damage() {
        let third = |change: i64| {
            let rest = format!("10{:014b}0", change.rem_euclid(1 << 14));
            decoded(&chunk_of_parts(3, 100, 0, 5, &["0", &rest])).map(|samples| samples[2].at)
        };
        assert_eq!(third(1), Ok(111));
        assert_eq!(third(-4), Ok(106));
        assert_eq!(third(-5), Err(Malformed));
        assert_eq!(third(-6), Err(Malformed));
        let second = |distance: u64| decoded(&chunk_of_parts(2, 100, 0, distance, &["0"])).map(|samples| samples[1].at);
        assert_eq!(second(1), Ok(101));
        assert_eq!(second(0), Err(Malformed));
        assert_eq!(second(u64::MAX), Err(Malformed));
    }

    #[test]
    fn a_window_beyond_64_bits_is_damage() {
        let with = |above: u32, length: u32| {
            let rest = format!("11{above:05b}{length:06b}{}", "1".repeat(64));
            // As many bits as the window has, so that nothing else is wrong.
            decoded(&chunk_of_parts(2, 0, 0, 1, &[&rest[..13 + length as usize]]))
        };
        assert!(with(31, 33).is_ok() && with(1, 63).is_ok());
        assert_eq!(with(31, 34), Err(Malformed));
        assert_eq!(with(2, 63), Err(Malformed));
    }

    #[test]
    fn a_chunk_that_is_cut_is_damage() {
        for samples in
            [&[][..], &[(1, 1.0)], &[(1, 1.0), (2, 1.0)], &[(1, 1.0), (2, 2.0), (3, 2.5), (90_000, 7.0), (90_001, 0.1)]]
        {
            let data = chunk(samples);
            for length in 0..data.len() {
                assert_eq!(decoded(&data[..length]), Err(Malformed), "{length} bytes of {data:x?}");
            }
        }
    }

    #[test]
    fn a_byte_of_zeros_may_follow_and_nothing_else() {
        for samples in [&[][..], &[(1, 1.0)], &[(1, 1.0), (2, 1.0)], &[(1, 1.0), (2, 2.0), (3, 3.0), (4, 0.3)]] {
            let with = |more: &[u8]| decoded(&[&chunk(samples), more].concat());
            assert!(with(&[0]).is_ok());
            for more in [&[1][..], &[0x80], &[0, 0], &[0; 9], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]] {
                assert_eq!(with(more), Err(Malformed), "{more:?} behind {samples:?}");
            }
        }
        // Three bits of the last byte are used.
        let mut data = chunk(&[(1, 1.0), (2, 1.0), (3, 1.0)]);
        *data.last_mut().unwrap() |= 1;
        assert_eq!(decoded(&data), Err(Malformed));
    }

    #[test]
    fn whatever_bits_there_are_they_mean_what_the_reference_reads() {
        let mut numbers = Numbers(2);
        let both = |data: &[u8]| {
            let found = decoded(data).ok().map(|samples| plain(&samples));
            assert_eq!(found, reference::decoded(data), "{data:x?}");
            found.is_some()
        };
        let walk: Vec<_> =
            (0..40_u8).map(|nth| (1_000 * i64::from(nth) + i64::from(nth % 7), f64::from(nth) / 3.0)).collect();
        let data = chunk(&walk);
        for bit in 0..8 * data.len() {
            let mut flipped = data.clone();
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            both(&flipped);
        }
        let mut whole = 0;
        for _ in 0..20_000 {
            let mut random: Vec<u8> = (0..numbers.below(40)).map(|_| numbers.next() as u8).collect();
            if let Some(count) = random.get_mut(..2) {
                count.copy_from_slice(&[0, numbers.below(6) as u8]);
            }
            whole += usize::from(both(&random));
        }
        assert!(whole > 10, "only {whole} were chunks");
    }
}
