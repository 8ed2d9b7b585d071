//! The JSON of the Prometheus HTTP API, decoded straight into samples.
//!
//! The envelope and the result formats are those of "HTTP API" in Prometheus's documentation. What does not have that
//! form is refused, never guessed at: a body that is no Prometheus's must not become a number.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

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

/// The most series of a result that are kept. More than one is an error for most queries, which names what tells them
/// apart; for that, and for measuring, these are enough, and a label forgotten costs no memory.
const MAX_SERIES: usize = 100;

/// What a query finds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The series, the first hundred of them.
    pub series: Vec<Series>,
    /// How many there are.
    pub total: usize,
}

impl Found {
    /// The first value of the first series.
    pub fn first_value(&self) -> Option<f64> {
        Some(self.series.first()?.samples.first()?.value)
    }

    /// Leaves out the series for which something does not hold.
    pub fn retain(&mut self, holds: impl FnMut(&mut Series) -> bool) {
        let before = self.series.len();
        self.series.retain_mut(holds);
        self.total -= before - self.series.len();
    }
}

/// What surrounds every answer of the API.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) status: Status,
    pub(super) data: Option<T>,
    #[serde(rename = "errorType")]
    pub(super) error_type: Option<String>,
    pub(super) error: Option<String>,
    pub(super) warnings: Option<Vec<String>>,
}

/// Whether the API did what it was asked.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Success,
    Error,
}

/// Decodes a body as an answer with data of type `T`.
///
/// # Errors
/// When it is none, with a reason that repeats nothing of it.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<Envelope<T>, &'static str> {
    serde_json::from_slice(body).map_err(|_| "its answer is not one of the Prometheus HTTP API")
}

/// What a query evaluates to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ResultType {
    /// One value.
    Scalar,
    /// A value a series.
    Vector,
    /// A list of samples a series.
    Matrix,
}

/// `data` of `/api/v1/query` and `/api/v1/query_range`. A scalar is one series without labels.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(try_from = "RawResult")]
pub(super) struct QueryResult {
    pub(super) kind: ResultType,
    pub(super) found: Found,
}

#[derive(Deserialize)]
struct RawResult {
    #[serde(rename = "resultType")]
    kind: ResultType,
    // May be `null`, but not missing.
    #[serde(deserialize_with = "Option::deserialize")]
    result: Option<Elements>,
}

impl TryFrom<RawResult> for QueryResult {
    type Error = &'static str;

    fn try_from(RawResult { kind, result }: RawResult) -> Result<QueryResult, &'static str> {
        let found = match (kind, result) {
            (ResultType::Vector | ResultType::Matrix, None) => Found::default(),
            (ResultType::Vector | ResultType::Matrix, Some(Elements::Series(found))) => found,
            (ResultType::Scalar, Some(Elements::Scalar(sample))) => {
                Found { series: vec![Series { samples: vec![sample], ..Series::default() }], total: 1 }
            }
            _ => return Err("a result that does not have the form of its type"),
        };
        Ok(QueryResult { kind, found })
    }
}

/// `result`: what its first element is tells which of the two it is.
enum Elements {
    Series(Found),
    Scalar(Sample),
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Elements, D::Error> {
        struct ElementsVisitor;

        impl<'de> Visitor<'de> for ElementsVisitor {
            type Value = Elements;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of series, or a time and a value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Elements, A::Error> {
                let mut series = match list.next_element::<Element>()? {
                    None => Vec::new(),
                    Some(Element::Series(first)) => vec![first],
                    Some(Element::Time(time)) => {
                        let value: SampleValue =
                            list.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
                        end_of(list)?;
                        return Ok(Elements::Scalar(Sample { at: time.0, value: value.0 }));
                    }
                };
                while series.len() < MAX_SERIES
                    && let Some(next) = list.next_element()?
                {
                    series.push(next);
                }
                let mut total = series.len();
                while total >= MAX_SERIES && list.next_element::<IgnoredAny>()?.is_some() {
                    total += 1;
                }
                Ok(Elements::Series(Found { series, total }))
            }
        }

        deserializer.deserialize_seq(ElementsVisitor)
    }
}

/// The first element of a result.
enum Element {
    Series(Series),
    Time(Time),
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Element, D::Error> {
        struct ElementVisitor;

        impl<'de> Visitor<'de> for ElementVisitor {
            type Value = Element;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a series or a time")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Element, A::Error> {
                SeriesVisitor.visit_map(map).map(Element::Series)
            }

            fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Element, E> {
                Time::from_seconds(seconds).map(Element::Time)
            }

            fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Element, E> {
                self.visit_f64(seconds as f64)
            }

            fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Element, E> {
                self.visit_f64(seconds as f64)
            }
        }

        deserializer.deserialize_any(ElementVisitor)
    }
}

impl<'de> Deserialize<'de> for Series {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Series, D::Error> {
        deserializer.deserialize_map(SeriesVisitor)
    }
}

struct SeriesVisitor;

impl<'de> Visitor<'de> for SeriesVisitor {
    type Value = Series;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Series, A::Error> {
        let (mut labels, mut samples, mut has_native_histograms) = (None, None, false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metric" => labels = Some(map.next_value()?),
                "value" => samples = Some(vec![map.next_value()?]),
                "values" => samples = Some(map.next_value()?),
                "histogram" | "histograms" => {
                    map.next_value::<IgnoredAny>()?;
                    has_native_histograms = true;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let labels = labels.ok_or_else(|| A::Error::missing_field("metric"))?;
        let mut samples: Vec<Sample> = match samples {
            Some(samples) => samples,
            None if has_native_histograms => Vec::new(),
            None => return Err(A::Error::missing_field("values")),
        };
        if !samples.is_sorted_by_key(|sample| sample.at) {
            return Err(A::Error::custom("samples out of order"));
        }
        // VictoriaMetrics shows a sample as often as it was written, when it is not told to deduplicate.
        samples.dedup_by_key(|sample| sample.at);
        Ok(Series { labels, samples, has_native_histograms })
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
struct Time(i64);

impl Time {
    fn from_seconds<E: serde::de::Error>(seconds: f64) -> Result<Time, E> {
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
struct SampleValue(f64);

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
fn end_of<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    match list.next_element::<IgnoredAny>()? {
        None => Ok(()),
        Some(_) => Err(A::Error::custom("a longer list than expected")),
    }
}

/// The type that a metric's exporter declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// Only goes up, or starts anew at zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, a count and a sum.
    Histogram,
    /// A histogram whose buckets are gauges.
    GaugeHistogram,
    /// Quantiles, a count and a sum.
    Summary,
    /// Untyped, or a type that tells nothing about how to read its values.
    Unknown,
}

/// The declared types by metric family: several when targets disagree.
pub type Metadata = HashMap<String, Vec<MetricType>>;

/// One target's declaration, as `/api/v1/metadata` gives it.
#[derive(Debug, Deserialize)]
pub(super) struct Declaration {
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl From<Declaration> for MetricType {
    fn from(declaration: Declaration) -> MetricType {
        match declaration.kind.as_deref() {
            Some("counter") => MetricType::Counter,
            Some("gauge" | "info" | "stateset") => MetricType::Gauge,
            Some("histogram") => MetricType::Histogram,
            Some("gaugehistogram") => MetricType::GaugeHistogram,
            Some("summary") => MetricType::Summary,
            _ => MetricType::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(data: &str) -> Result<Vec<Series>, &'static str> {
        let body = format!(r#"{{"status":"success","data":{data}}}"#);
        decode::<QueryResult>(body.as_bytes()).map(|envelope| envelope.data.unwrap().found.series)
    }

    fn samples(list: &[(i64, f64)]) -> Vec<Sample> {
        list.iter().map(|&(at, value)| Sample { at, value }).collect()
    }

    #[test]
    fn a_matrix_a_vector_and_a_scalar_become_series() {
        let check = |data: &str, expected: &[(i64, f64)]| {
            let series = result(data).unwrap();
            assert_eq!(series.len(), 1, "{data}");
            assert_eq!(series[0].samples, samples(expected), "{data}");
        };
        check(
            r#"{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1700000059.999,"11"],[1700000060,"-1e+300"]]}]}"#,
            &[(1_700_000_059_999, 11.0), (1_700_000_060_000, -1e300)],
        );
        check(r#"{"result":[{"value":[1.5,"+Inf"],"metric":{}}],"resultType":"vector"}"#, &[(1_500, f64::INFINITY)]);
        check(r#"{"resultType":"scalar","result":[1435781451.781,"1"]}"#, &[(1_435_781_451_781, 1.0)]);
        check(r#"{"resultType":"scalar","result":[2,"1"]}"#, &[(2_000, 1.0)]);
        assert!(
            result(r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"NaN"]}]}"#).unwrap()[0].samples[0]
                .value
                .is_nan()
        );
    }

    #[test]
    fn a_sample_that_is_there_twice_is_one() {
        let twice = r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"5"],[1,"5"],[2,"6"]]}]}"#;
        assert_eq!(result(twice).unwrap()[0].samples, samples(&[(1_000, 5.0), (2_000, 6.0)]));
    }

    #[test]
    fn of_very_many_series_the_first_are_kept_and_all_are_counted() {
        for total in [1, MAX_SERIES - 1, MAX_SERIES, MAX_SERIES + 1, 3 * MAX_SERIES] {
            let one = |nth| format!(r#"{{"metric":{{"nth":"{nth}"}},"value":[1,"2"]}}"#);
            let list: Vec<String> = (0..total).map(one).collect();
            let body =
                format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#, list.join(","));
            let found = decode::<QueryResult>(body.as_bytes()).unwrap().data.unwrap().found;
            assert_eq!((found.series.len(), found.total), (total.min(MAX_SERIES), total));
        }
    }

    #[test]
    fn nothing_found_is_an_empty_result() {
        for kind in ["vector", "matrix"] {
            assert_eq!(result(&format!(r#"{{"resultType":"{kind}","result":[]}}"#)), Ok(vec![]));
            assert_eq!(result(&format!(r#"{{"resultType":"{kind}","result":null}}"#)), Ok(vec![]));
        }
    }

    #[test]
    fn native_histograms_are_seen_and_left_out() {
        let only = r#"{"resultType":"matrix","result":[{"metric":{},"histograms":[[1,{"count":"2"}]]}]}"#;
        let both = r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"]],"histograms":[]}]}"#;
        for (data, count) in [(only, 0), (both, 1)] {
            let series = result(data).unwrap();
            assert!(series[0].has_native_histograms);
            assert_eq!(series[0].samples.len(), count);
        }
    }

    #[test]
    fn what_does_not_have_the_form_of_the_api_is_refused() {
        for data in [
            r#"{"resultType":"string","result":[1,"x"]}"#,
            r#"{"resultType":"scalar","result":[]}"#,
            r#"{"resultType":"scalar","result":null}"#,
            r#"{"resultType":"matrix"}"#,
            r#"{"resultType":"scalar","result":[1,"2",3]}"#,
            r#"{"resultType":"matrix","result":[1,"2"]}"#,
            r#"{"resultType":"matrix","result":[{"metric":{}}]}"#,
            r#"{"resultType":"matrix","result":[{"values":[]}]}"#,
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1]]}]}"#,
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[["1","2"]]}]}"#,
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,2]]}]}"#,
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"x"]]}]}"#,
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1e300,"1"]]}]}"#,
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[2,"1"],[1,"1"]]}]}"#,
            r#"{"resultType":"matrix","result":{"metric":{}}}"#,
            r#"[]"#,
            r#"5"#,
        ] {
            assert!(result(data).is_err(), "{data}");
        }
        assert!(result("<html>").is_err());
        assert!(result(&"[".repeat(100_000)).is_err());
    }
}
