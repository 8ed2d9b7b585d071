//! A series of a result and its samples, decoded one by one as they arrive.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

use super::bounded::Text;

/// The labels of a series, `__name__` included where Prometheus gives it.
pub type Labels = BTreeMap<String, String>;

/// A value at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// The value; it may be NaN or infinite.
    pub value: f64,
}

/// A series of a result.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// What identifies it.
    pub labels: Labels,
    /// Its samples, each later than the one before.
    pub samples: Vec<Sample>,
    /// Whether it also has, or only has, native histograms, which are left out of `samples`.
    pub has_native_histograms: bool,
}

impl<'de> Deserialize<'de> for Series {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Series, D::Error> {
        deserializer.deserialize_map(SeriesVisitor)
    }
}

pub(super) struct SeriesVisitor;

/// What a series is described by.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Metric,
    Value,
    Values,
    Histogram,
    Histograms,
    #[serde(other)]
    Other,
}

impl<'de> Visitor<'de> for SeriesVisitor {
    type Value = Series;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Series, A::Error> {
        let (mut labels, mut samples, mut has_native_histograms) = (None, None, false);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Metric => labels = Some(map.next_value::<LabelSet>()?.0),
                Field::Value => samples = Some(vec![map.next_value()?]),
                Field::Values => samples = Some(map.next_value::<Rising>()?.0),
                Field::Histogram | Field::Histograms => {
                    map.next_value::<IgnoredAny>()?;
                    has_native_histograms = true;
                }
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let labels = labels.ok_or_else(|| A::Error::missing_field("metric"))?;
        let samples = match samples {
            Some(samples) => samples,
            None if has_native_histograms => Vec::new(),
            None => return Err(A::Error::missing_field("values")),
        };
        Ok(Series { labels, samples, has_native_histograms })
    }
}

/// The most labels of a series, many times what one has. What has more is no series, but an object without an end.
const MAX_LABELS: usize = 1_000;

/// At most [`MAX_LABELS`] labels.
struct LabelSet(Labels);

impl<'de> Deserialize<'de> for LabelSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LabelSet, D::Error> {
        struct LabelsVisitor;

        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = LabelSet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MAX_LABELS} labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LabelSet, A::Error> {
                let mut labels = Labels::new();
                while let Some((Text(name), Text(value))) = map.next_entry()? {
                    labels.insert(name, value);
                    if labels.len() > MAX_LABELS {
                        return Err(A::Error::invalid_length(labels.len(), &self));
                    }
                }
                Ok(LabelSet(labels))
            }
        }

        deserializer.deserialize_map(LabelsVisitor)
    }
}

/// Samples of rising times.
struct Rising(Vec<Sample>);

impl<'de> Deserialize<'de> for Rising {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rising, D::Error> {
        struct RisingVisitor;

        impl<'de> Visitor<'de> for RisingVisitor {
            type Value = Rising;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of samples")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rising, A::Error> {
                let mut samples: Vec<Sample> = Vec::new();
                while let Some(next) = list.next_element::<Sample>()? {
                    match samples.last() {
                        Some(last) if next.at < last.at => return Err(A::Error::custom("samples out of order")),
                        // VictoriaMetrics shows a sample as often as it was written, unless it is told to deduplicate.
                        Some(last) if next.at == last.at => {}
                        _ => samples.push(next),
                    }
                }
                Ok(Rising(samples))
            }
        }

        deserializer.deserialize_seq(RisingVisitor)
    }
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sample, D::Error> {
        struct PairVisitor;

        impl<'de> Visitor<'de> for PairVisitor {
            type Value = Sample;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time and a value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Sample, A::Error> {
                let time: Time = pair.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let value: SampleValue = pair.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
                end_of(pair)?;
                Ok(Sample { at: time.0, value: value.0 })
            }
        }

        deserializer.deserialize_seq(PairVisitor)
    }
}

/// A time given in seconds, kept in milliseconds.
pub(super) struct Time(pub(super) i64);

impl Time {
    pub(super) fn from_seconds<E: serde::de::Error>(seconds: f64) -> Result<Time, E> {
        let ms = (seconds * 1000.0).round();
        // Within 2^53 every millisecond is exact; no time of a query comes near.
        if ms.abs() < 9e15 { Ok(Time(ms as i64)) } else { Err(E::invalid_value(Unexpected::Float(seconds), &"a time")) }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        Time::from_seconds(f64::deserialize(deserializer)?)
    }
}

/// A value, which the API writes as a string so that it can be `NaN`, `+Inf` or `-Inf`.
pub(super) struct SampleValue(pub(super) f64);

impl<'de> Deserialize<'de> for SampleValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SampleValue, D::Error> {
        struct ValueVisitor;

        impl Visitor<'_> for ValueVisitor {
            type Value = SampleValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number as a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SampleValue, E> {
                text.parse().map(SampleValue).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(ValueVisitor)
    }
}

/// Refuses a list that goes on.
pub(super) fn end_of<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    match list.next_element::<IgnoredAny>()? {
        None => Ok(()),
        Some(_) => Err(A::Error::custom("a longer list than expected")),
    }
}
