//! Responses written from a description: mostly right, and now and then wrong in one place.

use arbitrary::Result;

use super::{STALE, chunks, frames};
use crate::written::{Choices, rarely};

/// Around here lie the times of samples.
pub const START_MS: i64 = 1_700_000_000_000;

/// A stream of some frames.
pub fn stream(choices: Choices) -> Result<Vec<u8>> {
    let mut stream = Vec::new();
    let mut next_ms = START_MS;
    for _ in 0..choices.int_in_range(1..=4)? {
        let mut all = Vec::new();
        for _ in 0..choices.int_in_range(1..=3)? {
            all.push(series(choices, &mut next_ms)?);
        }
        let mut message = frames::response(&all);
        damaged(choices, &mut message)?;
        stream.extend(frames::frame(&message));
    }
    damaged(choices, &mut stream)?;
    Ok(stream)
}

/// A series that begins anew, or goes on where the one before ended.
fn series(choices: Choices, next_ms: &mut i64) -> Result<Vec<u8>> {
    let labels = [&[("__name__", "up"), ("job", "a")][..], &[("__name__", "up"), ("job", "b")], &[], &[("é", "")]];
    if rarely(choices, 2)? {
        *next_ms = START_MS;
    }
    let mut all = Vec::new();
    let mut first_ms = *next_ms;
    for _ in 0..choices.int_in_range(0..=6)? {
        let samples = samples(choices, first_ms)?;
        let last_ms = samples.last().map_or(first_ms, |last| last.0);
        *next_ms = (*next_ms).max(last_ms.saturating_add(1));
        all.push(chunk(choices, first_ms, last_ms, &samples)?);
        // The next follows, overlaps, repeats, or goes back.
        first_ms = match choices.int_in_range(0..=15_u8)? {
            0..=9 => *next_ms,
            10..=12 => first_ms.saturating_add(choices.int_in_range(0..=2_000)?),
            13 | 14 => first_ms,
            _ => START_MS,
        };
    }
    if rarely(choices, 32)? && !all.is_empty() {
        let copies = choices.int_in_range(31..=33)?;
        all = vec![all[0].clone(); copies];
    }
    let labels = *choices.choose(&labels)?;
    let mut series = frames::series(labels, &all);
    if rarely(choices, 16)? {
        // So large that the series may go on in the next message. This field is not read.
        series.extend(frames::field(9, &[0; super::FULL]));
    }
    Ok(series)
}

fn samples(choices: Choices, first_ms: i64) -> Result<Vec<(i64, f64)>> {
    let (mut at, mut value) = (first_ms, 1.0_f64);
    let mut samples = Vec::new();
    let style = choices.int_in_range(0..=3_u8)?;
    for _ in 0..choices.int_in_range(0..=24)? {
        samples.push((at, value));
        let step = match style {
            0 => 15_000,
            1 => 15_000 + choices.int_in_range(-9..=9)?,
            2 => choices.int_in_range(1..=2_000_000)?,
            _ => choices.int_in_range(1..=i64::MAX)?,
        };
        // Times end where 64 bits end.
        let Some(later) = at.checked_add(step) else { break };
        at = later;
        value = match choices.int_in_range(0..=7_u8)? {
            0..=2 => value,
            3 | 4 => value + f64::from(choices.arbitrary::<i8>()?),
            5 => f64::from_bits(STALE),
            _ => f64::from_bits(choices.arbitrary()?),
        };
    }
    Ok(samples)
}

fn chunk(choices: Choices, first_ms: i64, last_ms: i64, samples: &[(i64, f64)]) -> Result<Vec<u8>> {
    let mut data = chunks::chunk(samples);
    if rarely(choices, 16)? {
        data.push(0);
    }
    damaged(choices, &mut data)?;
    let kind = if rarely(choices, 64)? { choices.int_in_range(0..=4)? } else { frames::XOR };
    let (first_ms, last_ms) =
        if rarely(choices, 16)? { (first_ms - 100_000, first_ms - 1) } else { (first_ms, last_ms) };
    let mut chunk = frames::chunk(first_ms, last_ms, kind, &data);
    if rarely(choices, 32)? {
        chunk.extend(frames::field(choices.int_in_range(1..=9)?, b"new"));
    }
    Ok(chunk)
}

/// Rarely changes a byte, or cuts.
fn damaged(choices: Choices, bytes: &mut Vec<u8>) -> Result<()> {
    if rarely(choices, 128)? && !bytes.is_empty() {
        let at = choices.choose_index(bytes.len())?;
        match choices.arbitrary()? {
            0 => bytes.truncate(at),
            change => bytes[at] ^= change,
        }
    }
    Ok(())
}
