//! Writes and reads XOR chunks, bit by bit from the description of the format alone: slow, obvious, and sharing nothing
//! with the decoder. Unit tests, benchmarks and fuzz targets include this file.

use std::iter::Peekable;

/// A time, and the bits of a value.
pub(crate) type Written = (i64, u64);

/// A chunk of these samples, as Prometheus writes it.
pub(crate) fn chunk(samples: &[(i64, f64)]) -> Vec<u8> {
    let mut bits = String::new();
    let (mut before, mut distance) = ((0, 0), 0_i128);
    // How many zeros are above and below the window.
    let mut window: Option<(usize, usize)> = None;
    for (nth, &(at, value)) in samples.iter().enumerate() {
        let value = value.to_bits();
        match nth {
            0 => {
                bits += &varint(zigzagged(at));
                bits += &format!("{value:064b}");
            }
            1 => {
                distance = i128::from(at) - i128::from(before.0);
                bits += &varint(distance as u64);
            }
            _ => {
                let next = i128::from(at) - i128::from(before.0);
                bits += &changed_distance((next - distance) as i64);
                distance = next;
            }
        }
        if nth > 0 {
            bits += &changed_value(before.1 ^ value, &mut window);
        }
        before = (at, value);
    }
    let mut data = (samples.len() as u16).to_be_bytes().to_vec();
    data.extend(bytes(&bits));
    data
}

/// A chunk of two or more samples that consists of these parts, valid or not. `rest` is written in zeros and ones.
pub(crate) fn chunk_of_parts(count: u16, first_ms: i64, first_bits: u64, distance: u64, rest: &[&str]) -> Vec<u8> {
    let head = varint(zigzagged(first_ms)) + &format!("{first_bits:064b}") + &varint(distance);
    let mut data = count.to_be_bytes().to_vec();
    data.extend(bytes(&(head + &rest.concat())));
    data
}

/// The samples of a chunk; `None` unless it contains exactly those that it announces.
pub(crate) fn decoded(data: &[u8]) -> Option<Vec<Written>> {
    let count = usize::from(*data.first()?) * 256 + usize::from(*data.get(1)?);
    let text: String = data[2..].iter().map(|byte| format!("{byte:08b}")).collect();
    let mut bits = text.chars().peekable();
    let mut samples: Vec<Written> = Vec::new();
    let (mut distance, mut window) = (0_i64, (0, 64));
    for nth in 0..count {
        let Some(&(before_ms, before_bits)) = samples.last() else {
            let zigzagged = read_varint(&mut bits)?;
            let half = (zigzagged / 2) as i64;
            let at = if zigzagged % 2 == 0 { half } else { -half - 1 };
            samples.push((at, read(&mut bits, 64)?));
            continue;
        };
        if nth == 1 {
            distance = read_varint(&mut bits)? as i64;
        } else {
            let ones = leading_ones(&mut bits, 4)?;
            let length = [0, 14, 17, 20, 64][ones];
            let change = i128::from(read(&mut bits, length)?);
            let wraps = length > 0 && length < 64 && change > 1_i128 << (length - 1);
            let change = if wraps { change - (1 << length) } else { change };
            distance = distance.wrapping_add(change as i64);
        }
        let mut value = before_bits;
        let ones = leading_ones(&mut bits, 2)?;
        if ones == 2 {
            let above = read(&mut bits, 5)?;
            let length = read(&mut bits, 6)?;
            window = (above, if length == 0 { 64 } else { length });
        }
        if ones > 0 {
            let below = 64_u64.checked_sub(window.0 + window.1)?;
            value ^= read(&mut bits, window.1)? << below;
        }
        let at = before_ms.wrapping_add(distance);
        if at <= before_ms {
            return None;
        }
        samples.push((at, value));
    }
    let rest: String = bits.collect();
    (rest.len() < 16 && !rest.contains('1')).then_some(samples)
}

fn zigzagged(value: i64) -> u64 {
    if value < 0 { (-(i128::from(value) * 2) - 1) as u64 } else { value as u64 * 2 }
}

/// Seven bits a byte, the lowest first; all bytes but the last begin with a one.
fn varint(mut value: u64) -> String {
    let mut bits = String::new();
    while value >= 128 {
        bits += &format!("1{:07b}", value % 128);
        value /= 128;
    }
    bits + &format!("0{value:07b}")
}

fn changed_distance(change: i64) -> String {
    for (prefix, length) in [("10", 14), ("110", 17), ("1110", 20)] {
        let most = 1_i64 << (length - 1);
        if change != 0 && -most < change && change <= most {
            let wrapped = if change < 0 { change + 2 * most } else { change };
            return format!("{prefix}{wrapped:0length$b}");
        }
    }
    if change == 0 { "0".to_owned() } else { format!("1111{change:064b}") }
}

fn changed_value(change: u64, window: &mut Option<(usize, usize)>) -> String {
    if change == 0 {
        return "0".to_owned();
    }
    let text = format!("{change:064b}");
    let above = text.find('1').unwrap_or(64).min(31);
    let below = 63 - text.rfind('1').unwrap_or(0);
    if let Some((used_above, used_below)) = *window
        && above >= used_above
        && below >= used_below
    {
        return format!("10{}", &text[used_above..64 - used_below]);
    }
    *window = Some((above, below));
    let length = 64 - above - below;
    format!("11{above:05b}{:06b}{}", length % 64, &text[above..64 - below])
}

/// Bits as bytes; zeros fill up the last one.
fn bytes(bits: &str) -> Vec<u8> {
    let byte = |bits: &[u8]| (0..8).fold(0, |byte, nth| byte * 2 + u8::from(bits.get(nth) == Some(&b'1')));
    bits.as_bytes().chunks(8).map(byte).collect()
}

type BitsLeft<'t> = Peekable<std::str::Chars<'t>>;

fn read(bits: &mut BitsLeft<'_>, length: u64) -> Option<u64> {
    (0..length).try_fold(0, |value, _| Some(value * 2 + u64::from(bits.next()? == '1')))
}

/// How many ones come next, at most `most`. Also takes the zero that ends them.
fn leading_ones(bits: &mut BitsLeft<'_>, most: usize) -> Option<usize> {
    for ones in 0..most {
        if bits.next()? == '0' {
            return Some(ones);
        }
    }
    Some(most)
}

fn read_varint(bits: &mut BitsLeft<'_>) -> Option<u64> {
    let mut value = 0_u128;
    for nth in 0..10 {
        let byte = read(bits, 8)?;
        value += u128::from(byte % 128) << (7 * nth);
        if byte < 128 {
            return u64::try_from(value).ok();
        }
    }
    None
}

/// Pseudo-random numbers that are the same each time (SplitMix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
