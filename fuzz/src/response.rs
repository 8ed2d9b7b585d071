//! Responses of Prometheus: compares the decoder with a reader that keeps the whole tree in memory.

mod described;

use std::collections::BTreeMap;
use std::io::Read;

use prometheusmirror::internals::{self, Envelope, QueryResult, Status};
use prometheusmirror::model::sample::{Sample, Series, SeriesSet};
use prometheusmirror::prometheus::ResultType;

use crate::Refused;
use crate::json::{self, Json};
use crate::number;
use crate::pieces::Pieces;
use crate::written;

/// The decoder reads this much at a time.
const BUFFER_BYTES: usize = 16 << 10;

/// One input of every so many is put across the end of what is read at first, which takes time.
const ONE_IN: u16 = 16;

type Decoded = Envelope<QueryResult>;

/// Checks a body, or the body that the input describes.
pub fn check(input: &[u8]) {
    if let Some(body) = written::body(input, described::written) {
        check_body(&body, input);
    }
}

fn check_body(body: &[u8], choices: &[u8]) {
    let found = internals::response(&mut &*body);
    // What was described is seen here only.
    let text = String::from_utf8_lossy(body);
    match (&found, json::checked(body).and_then(|tree| reference(&tree))) {
        (_, Err(Refused::Unsure)) => {}
        (_, expected) => {
            let expected = expected.ok();
            assert!(are_same(&found, &expected), "found {found:#?}, expected {expected:#?} of {text}");
        }
    }

    // However it arrives, it is the same.
    let pieces = internals::response(&mut Pieces::of(body, choices));
    assert!(are_same(&found, &pieces), "found {found:#?}, in pieces {pieces:#?} of {text}");
    let choice = choices.iter().fold(0_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(u16::from(*byte)));
    if choice.is_multiple_of(ONE_IN) && !body.is_empty() {
        let before = choices.len().wrapping_mul(31).wrapping_add(usize::from(choice)) % body.len().min(BUFFER_BYTES);
        let blanks = vec![b' '; BUFFER_BYTES - before];
        let long = internals::response(&mut blanks.chain(Pieces::of(body, choices)));
        assert!(are_same(&found, &long), "found {found:#?}, behind very many blanks {long:#?} of {text}");
    }
}

/// Equal, a NaN being equal to another, but 0 not to -0.
fn are_same(one: &Option<Decoded>, other: &Option<Decoded>) -> bool {
    let bits = |value: f64| if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
    let plain = |decoded: &Decoded| {
        let result = decoded.data.as_ref().map(|QueryResult { kind, found }| {
            let series = found.series.iter().map(|one| {
                let samples = one.samples.iter().map(|sample| (sample.at, bits(sample.value)));
                (one.labels.clone(), samples.collect::<Vec<_>>(), one.has_native_histograms)
            });
            (*kind, found.total, series.collect::<Vec<_>>())
        });
        let (error_type, error) = (decoded.error_type.clone(), decoded.error.clone());
        (decoded.status, result, error_type, error, decoded.warnings.clone())
    };
    one.as_ref().map(plain) == other.as_ref().map(plain)
}

/// The most series and warnings that are kept.
const MAX_SERIES: usize = 100;
const MAX_WARNINGS: usize = 10;

/// The most labels of a series.
const MAX_LABELS: usize = 1_000;

/// A response to a query by "HTTP API" in Prometheus's documentation, and by what the mirror makes of it: the fields
/// of the envelope and of `data` are there once, or it is refused; of a series, the last counts.
fn reference(tree: &Json) -> Result<Decoded, Refused> {
    let [status, data, error_type, error, warnings] = once(tree, ["status", "data", "errorType", "error", "warnings"])?;
    let status = match text(status.ok_or(Refused::Form)?)?.as_str() {
        "success" => Status::Success,
        "error" => Status::Error,
        _ => return Err(Refused::Form),
    };
    Ok(Decoded {
        status,
        data: given(data).map(result).transpose()?,
        error_type: given(error_type).map(text).transpose()?,
        error: given(error).map(text).transpose()?,
        warnings: given(warnings).map(texts).transpose()?.unwrap_or_default(),
        is_partial: false,
    })
}

/// The fields of these names, none of which may be there twice.
fn once<'j, const COUNT: usize>(object: &'j Json, names: [&str; COUNT]) -> Result<[Option<&'j Json>; COUNT], Refused> {
    let fields = object.fields().ok_or(Refused::Form)?;
    let count = |name: &str| fields.iter().filter(|(key, _)| *key == name).count();
    if names.iter().any(|name| count(name) > 1) {
        return Err(Refused::Form);
    }
    Ok(names.map(|name| fields.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)))
}

/// What may be absent may be `null`.
fn given(field: Option<&Json>) -> Option<&Json> {
    field.filter(|value| **value != Json::Null)
}

fn text(json: &Json) -> Result<String, Refused> {
    match json {
        Json::Text(Some(text)) => Ok(text.clone()),
        _ => Err(Refused::Form),
    }
}

fn list(json: &Json) -> Result<&[Json], Refused> {
    match json {
        Json::List(items) => Ok(items),
        _ => Err(Refused::Form),
    }
}

/// What goes beyond what is kept is not looked at.
fn texts(json: &Json) -> Result<Vec<String>, Refused> {
    list(json)?.iter().take(MAX_WARNINGS).map(text).collect()
}

fn result(data: &Json) -> Result<QueryResult, Refused> {
    let [kind, result] = once(data, ["resultType", "result"])?;
    let (kind, result) = (text(kind.ok_or(Refused::Form)?)?, result.ok_or(Refused::Form)?);
    let found = match (kind.as_str(), result) {
        ("scalar", pair) => {
            SeriesSet { series: vec![Series { samples: vec![sample(pair)?], ..Series::default() }], total: 1 }
        }
        ("vector" | "matrix", Json::Null) => SeriesSet::default(),
        ("vector" | "matrix", found) => {
            let all = list(found)?;
            let series = all.iter().take(MAX_SERIES).map(series).collect::<Result<_, _>>()?;
            SeriesSet { series, total: all.len() }
        }
        _ => return Err(Refused::Form),
    };
    let kind = match kind.as_str() {
        "scalar" => ResultType::Scalar,
        "vector" => ResultType::Vector,
        _ => ResultType::Matrix,
    };
    Ok(QueryResult { kind, found })
}

/// A series, whose samples are `value` or `values`, whatever the type of the result.
fn series(json: &Json) -> Result<Series, Refused> {
    let (mut labels, mut samples, mut has_native_histograms) = (None, None, false);
    for (key, value) in json.fields().ok_or(Refused::Form)? {
        match key {
            "metric" => labels = Some(label_set(value)?),
            "value" => samples = Some(vec![sample(value)?]),
            "values" => samples = Some(rising(list(value)?)?),
            "histogram" | "histograms" => has_native_histograms = true,
            _ => {}
        }
    }
    let samples = if has_native_histograms { Some(samples.unwrap_or_default()) } else { samples };
    match (labels, samples) {
        (Some(labels), Some(samples)) => Ok(Series { labels, samples, has_native_histograms }),
        _ => Err(Refused::Form),
    }
}

fn label_set(json: &Json) -> Result<BTreeMap<String, String>, Refused> {
    let mut labels = BTreeMap::new();
    for (name, value) in json.fields().ok_or(Refused::Form)? {
        labels.insert(name.to_owned(), text(value)?);
    }
    if labels.len() > MAX_LABELS { Err(Refused::Form) } else { Ok(labels) }
}

/// Samples in the order of time; of those at one time, the first.
fn rising(list: &[Json]) -> Result<Vec<Sample>, Refused> {
    let mut samples = list.iter().map(sample).collect::<Result<Vec<Sample>, _>>()?;
    if !samples.is_sorted_by_key(|sample| sample.at) {
        return Err(Refused::Form);
    }
    samples.dedup_by_key(|sample| sample.at);
    Ok(samples)
}

/// A time in seconds, and a value as a text.
fn sample(json: &Json) -> Result<Sample, Refused> {
    let [Json::Number(seconds), Json::Text(Some(value))] = list(json)? else { return Err(Refused::Form) };
    let value = value.parse().map_err(|_| Refused::Form)?;
    Ok(Sample { at: number::millis(seconds)?, value })
}
