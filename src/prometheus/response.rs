//! The JSON of the Prometheus HTTP API, decoded while it arrives.
//!
//! The envelope and the result formats are those of "HTTP API" in Prometheus's documentation. What does not have that
//! form is refused, never guessed at: a body that is no Prometheus's must not become a number.

use std::fmt;
use std::io::{self, BufReader, Read};

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::bounded::{First, Text};
use super::series::{Sample, SampleValue, Series, SeriesVisitor, Time, end_of};

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

    /// Leaves out the series for which something does not hold. When there are more than are kept, nobody knows of how many
    /// it holds, so that all go on counting.
    pub fn retain(&mut self, holds: impl FnMut(&mut Series) -> bool) {
        let are_all_kept = self.total == self.series.len();
        self.series.retain_mut(holds);
        if are_all_kept {
            self.total = self.series.len();
        }
    }
}

/// The most warnings of an answer that are kept, for the log; there they repeat themselves soon.
const MAX_WARNINGS: usize = 10;

/// What surrounds every answer of the API.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) status: Status,
    pub(super) data: Option<T>,
    #[serde(rename = "errorType")]
    pub(super) error_type: Option<Text>,
    pub(super) error: Option<Text>,
    pub(super) warnings: Option<First<Text, MAX_WARNINGS>>,
}

/// Whether the API did what it was asked.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Success,
    Error,
}

/// Why there is no envelope.
#[derive(Debug)]
pub(super) enum Undecoded {
    /// The body cannot be read to its end.
    Unread(io::Error),
    /// It is not one of the Prometheus HTTP API.
    Foreign,
}

impl From<io::Error> for Undecoded {
    fn from(error: io::Error) -> Undecoded {
        Undecoded::Unread(error)
    }
}

impl From<serde_json::Error> for Undecoded {
    fn from(error: serde_json::Error) -> Undecoded {
        if error.is_io() { Undecoded::Unread(error.into()) } else { Undecoded::Foreign }
    }
}

/// How much of a body is read before it is decoded: 1 MiB, so that most answers (11,000 steps, or four days of samples)
/// are whole then. From memory, JSON is decoded in some three fifths of the time that it takes from a reader.
const READ_AHEAD_BYTES: usize = 1 << 20;

/// How much of a longer body is read at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// Reads a body to its end and decodes it as an answer with data of type `T`, keeping nothing but that.
///
/// # Errors
/// When it cannot be read, or is no such answer; nothing in them repeats anything of it.
pub(super) fn decode<T: DeserializeOwned>(body: &mut impl Read) -> Result<Envelope<T>, Undecoded> {
    let mut start = Vec::new();
    body.take(READ_AHEAD_BYTES as u64).read_to_end(&mut start)?;
    let envelope = if start.len() < READ_AHEAD_BYTES {
        serde_json::from_slice(&start)
    } else {
        serde_json::from_reader(BufReader::with_capacity(BUFFER_BYTES, start.chain(body)))
    };
    Ok(envelope?)
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
                let first = match list.next_element::<Element>()? {
                    None => Vec::new(),
                    Some(Element::Series(first)) => vec![first],
                    Some(Element::Time(time)) => {
                        let value: SampleValue =
                            list.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
                        end_of(list)?;
                        return Ok(Elements::Scalar(Sample { at: time.0, value: value.0 }));
                    }
                };
                let First { kept, total } = First::<Series, MAX_SERIES>::after(first, list)?;
                Ok(Elements::Series(Found { series: kept, total }))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn result(data: &str) -> Option<Vec<Series>> {
        let body = format!(r#"{{"status":"success","data":{data}}}"#);
        let envelope = decode::<QueryResult>(&mut body.as_bytes()).ok()?;
        Some(envelope.data?.found.series)
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
            let found = decode::<QueryResult>(&mut body.as_bytes()).unwrap().data.unwrap().found;
            assert_eq!((found.series.len(), found.total), (total.min(MAX_SERIES), total));
        }
    }

    #[test]
    fn nothing_found_is_an_empty_result() {
        for kind in ["vector", "matrix"] {
            assert_eq!(result(&format!(r#"{{"resultType":"{kind}","result":[]}}"#)), Some(vec![]));
            assert_eq!(result(&format!(r#"{{"resultType":"{kind}","result":null}}"#)), Some(vec![]));
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
            assert_eq!(result(data), None, "{data}");
        }
        assert_eq!(result("<html>"), None);
        assert_eq!(result(&"[".repeat(100_000)), None);
    }
}
