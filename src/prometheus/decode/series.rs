//! A series of a result and its samples, decoded one by one as they arrive.

use super::json::{Decode, Decoded, Json, Undecoded, number, once};
use super::sample_fast_path;
use crate::model::sample::{Labels, Sample, Series};

/// The most labels of a series, many times the usual number. More are not a series but an endless object.
const MAX_LABELS: usize = 1_000;

impl Decode for Series {
    fn decode(json: &mut Json<'_>) -> Decoded<Series> {
        let (mut labels, mut samples, mut has_native_histograms) = (None, None, false);
        json.fields(&["metric", "value", "values", "histogram", "histograms"], |json, name| {
            match name {
                Some("metric") => labels = Some(labels_of(json)?),
                Some("value") => samples = Some(vec![Sample::decode(json)?]),
                Some("values") => samples = Some(rising(json, usize::MAX, |_| Ok(()))?),
                Some(_) => {
                    has_native_histograms = true;
                    json.skip()?;
                }
                None => json.skip()?,
            }
            Ok(())
        })?;
        let samples = samples.or_else(|| has_native_histograms.then(Vec::new));
        Ok(Series {
            labels: labels.ok_or(Undecoded::Foreign)?,
            samples: samples.ok_or(Undecoded::Foreign)?,
            has_native_histograms,
        })
    }
}

/// The most samples that are passed on at a time.
const PIECE: usize = 4_096;

/// Decodes a series and passes on its samples with its labels: while they arrive, or at the end of the series if its labels come
/// last. Returns whether it has native histograms, beside samples or instead of them.
pub(super) fn stream(
    json: &mut Json<'_>,
    mut hand_on: impl FnMut(&Labels, &mut Vec<Sample>) -> Decoded<()>,
) -> Decoded<bool> {
    let (mut labels, mut samples, mut has_native_histograms) = (None, None, false);
    json.fields(&["metric", "values", "histograms"], |json, name| match name {
        Some("metric") => once(&mut labels, labels_of(json)?),
        Some("values") => {
            let rest = match &labels {
                Some(labels) => rising(json, PIECE, |piece| hand_on(labels, piece))?,
                None => rising(json, usize::MAX, |_| Ok(()))?,
            };
            once(&mut samples, rest)
        }
        Some(_) => {
            has_native_histograms = true;
            json.skip()
        }
        None => json.skip(),
    })?;
    match (labels, samples) {
        (Some(labels), Some(mut samples)) => hand_on(&labels, &mut samples)?,
        (Some(_), None) if has_native_histograms => {}
        _ => return Err(Undecoded::Foreign),
    }
    Ok(has_native_histograms)
}

fn labels_of(json: &mut Json<'_>) -> Decoded<Labels> {
    let mut labels = Labels::new();
    json.entries(|json, name| {
        labels.insert(name, json.text()?.to_owned());
        if labels.len() > MAX_LABELS { Err(Undecoded::Foreign) } else { Ok(()) }
    })?;
    Ok(labels)
}

/// The minimum length of most samples, including the comma.
const USUAL_BYTES: usize = 22;

/// Decodes samples, whose times must rise. Passes them on in pieces of `piece`, and returns the rest.
fn rising(
    json: &mut Json<'_>,
    piece: usize,
    mut hand_on: impl FnMut(&mut Vec<Sample>) -> Decoded<()>,
) -> Decoded<Vec<Sample>> {
    // Has room for the samples that have arrived, and doubles if the list continues.
    let mut samples: Vec<Sample> = Vec::with_capacity(json.ahead().len() / USUAL_BYTES);
    let mut newest = None;
    let mut add = |next: Sample| {
        match newest {
            Some(newest) if next.at < newest => return Err(Undecoded::Foreign),
            // VictoriaMetrics returns a sample as often as it was written, unless it deduplicates.
            Some(newest) if next.at == newest => return Ok(()),
            _ => {}
        }
        if samples.len() == piece {
            hand_on(&mut samples)?;
            samples.clear();
        }
        newest = Some(next.at);
        samples.push(next);
        Ok(())
    };
    json.list(|json| {
        let length = sample_fast_path::samples(json.ahead(), &mut add)?;
        json.pass(length);
        add(Sample::decode(json)?)
    })?;
    Ok(samples)
}

impl Decode for Sample {
    fn decode(json: &mut Json<'_>) -> Decoded<Sample> {
        json.expect(b'[')?;
        let sample = time_and_value(json)?;
        json.expect(b']')?;
        Ok(sample)
    }
}

/// Decodes a time and a value inside a list: the time in seconds, and the value as a string, so that it can be `NaN`, `+Inf` or
/// `-Inf`.
pub(super) fn time_and_value(json: &mut Json<'_>) -> Decoded<Sample> {
    let at = time(json)?;
    json.expect(b',')?;
    let value = json.text()?.parse().map_err(|_| Undecoded::Foreign)?;
    Ok(Sample { at, value })
}

/// Decodes a time in seconds as milliseconds.
fn time(json: &mut Json<'_>) -> Decoded<i64> {
    let token = json.number_token()?;
    if let Some(ms) = plain_ms(token) {
        return Ok(ms);
    }
    let ms = (number(token)? * 1000.0).round();
    // Up to 2^53, every millisecond is exact. No time of a query comes near.
    if ms.abs() < 9e15 { Ok(ms as i64) } else { Err(Undecoded::Foreign) }
}

/// The milliseconds of a time in the usual form: digits, and at most three decimals.
fn plain_ms(token: &[u8]) -> Option<i64> {
    /// This many digits cannot overflow.
    const MAX_DIGITS: usize = 15;
    let mut whole = token;
    let mut fraction: &[u8] = &[];
    if let Some(point) = token.iter().position(|&byte| byte == b'.') {
        (whole, fraction) = (&token[..point], &token[point + 1..]);
        if fraction.is_empty() || fraction.len() > 3 {
            return None;
        }
    }
    if whole.is_empty() || whole.len() > MAX_DIGITS - 3 || whole.len() > 1 && whole[0] == b'0' {
        return None;
    }
    let mut ms = 0;
    for &byte in whole.iter().chain(fraction) {
        if !byte.is_ascii_digit() {
            return None;
        }
        ms = ms * 10 + i64::from(byte - b'0');
    }
    Some(ms * [1000, 100, 10, 1][fraction.len()])
}
