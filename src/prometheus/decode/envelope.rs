//! The JSON of the Prometheus HTTP API, decoded while it arrives.
//!
//! The envelope and the result formats are those of "HTTP API" in Prometheus's documentation. Anything of another form is refused,
//! never guessed at: a body that is not Prometheus's must not become a number.

use std::io::{self, Read};

use super::json::{BUFFER_BYTES, Decode, Decoded, Json, Undecoded, once};
use super::lists::BoundedTexts;
use super::series::{self, time_and_value};
use crate::model::sample::{Sample, SampleSink, Series, SeriesSet};
use crate::model::time::TimeRange;

/// The most series of a result that are kept. Most queries must have one series; for an error that names the labels that tell
/// several apart, and for measuring, these are enough. A forgotten label thus costs no memory.
const MAX_SERIES: usize = 100;

/// The most warnings of a response that are kept for the log, where they soon repeat themselves.
const MAX_WARNINGS: usize = 10;

/// The object around every response of the API.
#[derive(Debug)]
pub struct Envelope<T> {
    /// Whether the call succeeded. The meaning of the response also depends on the HTTP status.
    pub status: Status,
    /// What was asked for, if there is any.
    pub data: Option<T>,
    /// The type of the error, if it is one.
    pub error_type: Option<String>,
    /// What the error says.
    pub error: Option<String>,
    /// The first warnings.
    pub warnings: Vec<String>,
    /// Whether VictoriaMetrics says that data is missing.
    pub is_partial: bool,
}

/// Whether the call succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `success`.
    Success,
    /// `error`.
    Error,
}

/// The most bytes that are read of a body that is not a response of the API: 1 MiB. Most bodies are shorter, so the connection can
/// be reused.
const MAX_FOREIGN_BYTES: u64 = 1 << 20;

/// Reads a body to its end and decodes it as a response. `data` decodes the data while it arrives; nothing else of it is kept.
///
/// # Errors
/// Fails if the body cannot be read or is not such a response (the error repeats nothing of it), or if `data` has seen enough.
pub(in crate::prometheus) fn decode<T>(
    body: &mut impl Read,
    data: impl FnMut(&mut Json<'_>) -> Decoded<T>,
) -> Decoded<Envelope<T>> {
    let mut buffer = [0; BUFFER_BYTES];
    let mut json = Json::new(body, &mut buffer);
    let envelope = Envelope::taken(&mut json, data).and_then(|envelope| json.end().map(|()| envelope));
    let read = json.read();
    if matches!(envelope, Err(Undecoded::Foreign)) {
        io::copy(&mut body.take(MAX_FOREIGN_BYTES.saturating_sub(read)), &mut io::sink())?;
    }
    envelope
}

impl<T> Envelope<T> {
    fn taken(json: &mut Json<'_>, mut take_data: impl FnMut(&mut Json<'_>) -> Decoded<T>) -> Decoded<Envelope<T>> {
        let (mut status, mut data, mut error_type, mut error, mut warnings) = (None, None, None, None, None);
        let mut is_partial = None;
        let names = ["status", "data", "errorType", "error", "warnings", "isPartial"];
        json.fields(&names, |json, name| match name {
            Some("status") => once(&mut status, Status::decode(json)?),
            Some("data") => once(&mut data, json.optional(&mut take_data)?),
            Some("errorType") => once(&mut error_type, json.optional(String::decode)?),
            Some("error") => once(&mut error, json.optional(String::decode)?),
            Some("isPartial") => once(&mut is_partial, json.boolean()?),
            Some(_) => once(&mut warnings, json.optional(BoundedTexts::<MAX_WARNINGS>::decode)?),
            None => json.skip(),
        })?;
        Ok(Envelope {
            status: status.ok_or(Undecoded::Foreign)?,
            data: data.flatten(),
            error_type: error_type.flatten(),
            error: error.flatten(),
            warnings: warnings.flatten().unwrap_or_default().kept.iter().map(str::to_owned).collect(),
            is_partial: is_partial.unwrap_or_default(),
        })
    }
}

impl Decode for Status {
    fn decode(json: &mut Json<'_>) -> Decoded<Status> {
        match json.text()? {
            "success" => Ok(Status::Success),
            "error" => Ok(Status::Error),
            _ => Err(Undecoded::Foreign),
        }
    }
}

/// The type of a query's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultType {
    /// One value.
    Scalar,
    /// One value for each series.
    Vector,
    /// A list of samples for each series.
    Matrix,
}

impl Decode for ResultType {
    fn decode(json: &mut Json<'_>) -> Decoded<ResultType> {
        match json.text()? {
            "scalar" => Ok(ResultType::Scalar),
            "vector" => Ok(ResultType::Vector),
            "matrix" => Ok(ResultType::Matrix),
            _ => Err(Undecoded::Foreign),
        }
    }
}

/// `data` of `/api/v1/query` and `/api/v1/query_range`. A scalar is one series without labels.
#[derive(Debug, PartialEq)]
pub struct QueryResult {
    /// The type of the result.
    pub kind: ResultType,
    /// The series that were found, of which the first are kept.
    pub found: SeriesSet,
}

impl Decode for QueryResult {
    fn decode(json: &mut Json<'_>) -> Decoded<QueryResult> {
        let (kind, result) = typed(json, Elements::decode)?;
        let found = match (kind, result) {
            (ResultType::Vector | ResultType::Matrix, None) => SeriesSet::default(),
            (ResultType::Vector | ResultType::Matrix, Some(Elements::Series(found))) => found,
            (ResultType::Scalar, Some(Elements::Scalar(sample))) => {
                SeriesSet { series: vec![Series { samples: vec![sample], ..Series::default() }], total: 1 }
            }
            _ => return Err(Undecoded::Foreign),
        };
        Ok(QueryResult { kind, found })
    }
}

/// Decodes the `data` of a query: the type of the result, and what `take` makes of the result, which may be `null`.
fn typed<T>(
    json: &mut Json<'_>,
    mut take: impl FnMut(&mut Json<'_>) -> Decoded<T>,
) -> Decoded<(ResultType, Option<T>)> {
    let (mut kind, mut result) = (None, None);
    json.fields(&["resultType", "result"], |json, name| match name {
        Some("resultType") => once(&mut kind, ResultType::decode(json)?),
        Some(_) => once(&mut result, json.optional(&mut take)?),
        None => json.skip(),
    })?;
    Ok((kind.ok_or(Undecoded::Foreign)?, result.ok_or(Undecoded::Foreign)?))
}

/// Decodes the `data` of a range selector and passes the samples that are in the range to a sink while they arrive.
///
/// # Errors
/// As for any data; and [`Undecoded::Enough`] when the sink has seen enough.
pub(in crate::prometheus) fn take_samples(
    json: &mut Json<'_>,
    range: TimeRange,
    are_nan_stale: bool,
    sink: &mut impl SampleSink,
) -> Decoded<bool> {
    let mut has_native_histograms = false;
    let mut take = |json: &mut Json<'_>| {
        has_native_histograms |= take_series(json, range, are_nan_stale, sink)?;
        Ok(())
    };
    let (kind, _) = typed(json, |json| json.list(&mut take))?;
    if kind == ResultType::Matrix { Ok(has_native_histograms) } else { Err(Undecoded::Foreign) }
}

/// Decodes a series of a range selector. Returns whether it has native histograms.
fn take_series(
    json: &mut Json<'_>,
    range: TimeRange,
    are_nan_stale: bool,
    sink: &mut impl SampleSink,
) -> Decoded<bool> {
    let mut has_begun = false;
    series::stream(json, |labels, samples| {
        if are_nan_stale {
            samples.retain(|sample| !sample.value.is_nan());
        }
        // Samples come in the order of time. Engines with closed ranges return one at the left end that does not belong to the query.
        let first = samples.partition_point(|sample| sample.at < range.start);
        let end = samples.partition_point(|sample| sample.at <= range.end);
        if first >= end {
            return Ok(());
        }
        if !has_begun {
            has_begun = true;
            sink.begin(|| labels.clone());
        }
        if sink.take(&samples[first..end]).is_break() { Err(Undecoded::Enough) } else { Ok(()) }
    })
}

/// `result`. Its first element shows which of the two it is.
enum Elements {
    Series(SeriesSet),
    Scalar(Sample),
}

impl Decode for Elements {
    fn decode(json: &mut Json<'_>) -> Decoded<Elements> {
        json.expect(b'[')?;
        if json.is_next(b'{')? || json.is_next(b']')? {
            let mut found = SeriesSet::default();
            json.elements(b']', |json| {
                found.total += 1;
                if found.series.len() == MAX_SERIES {
                    return json.skip();
                }
                found.series.push(Series::decode(json)?);
                Ok(())
            })?;
            return Ok(Elements::Series(found));
        }
        let sample = time_and_value(json)?;
        json.expect(b']')?;
        Ok(Elements::Scalar(sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::Labels;
    use std::ops::ControlFlow;

    fn result(data: &str) -> Option<Vec<Series>> {
        let body = format!(r#"{{"status":"success","data":{data}}}"#);
        let envelope = decode(&mut body.as_bytes(), QueryResult::decode).ok()?;
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

    /// A sink that keeps what it receives, and stops after this many slices.
    #[derive(Default)]
    struct StreamRecorder {
        given: Vec<(Labels, Vec<usize>, Vec<Sample>)>,
        left: Option<usize>,
    }

    impl SampleSink for StreamRecorder {
        fn begin(&mut self, labels: impl FnOnce() -> Labels) {
            self.given.push((labels(), Vec::new(), Vec::new()));
        }

        fn take(&mut self, samples: &[Sample]) -> ControlFlow<()> {
            let (_, slices, all) = self.given.last_mut().expect("a series");
            slices.push(samples.len());
            all.extend_from_slice(samples);
            self.left = self.left.map(|left| left - 1);
            if self.left == Some(0) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }

    fn taken(data: &str, range: TimeRange, are_nan_stale: bool, sink: &mut StreamRecorder) -> Decoded<bool> {
        let body = format!(r#"{{"status":"success","data":{data}}}"#);
        let envelope = decode(&mut body.as_bytes(), |json| take_samples(json, range, are_nan_stale, sink))?;
        Ok(envelope.data.expect("data"))
    }

    #[test]
    fn samples_are_passed_on_while_they_arrive_and_cut_to_the_range() {
        let list =
            |count: i64| (0..count).map(|nth| format!(r#"[{nth},"{nth}"],[{nth},"7"]"#)).collect::<Vec<_>>().join(",");
        for count in [1, 2, 4_095, 4_096, 4_097, 10_000] {
            for (start, end) in [(0, i64::MAX), (1_000, 3_000), (4_095_000, 4_097_000), (5_000_000, 9_999_500)] {
                let range = TimeRange { start, end };
                let all: Vec<Sample> = (0..count).map(|nth| Sample { at: nth * 1000, value: nth as f64 }).collect();
                let expected: Vec<Sample> = all.into_iter().filter(|sample| range.contains(sample.at)).collect();
                let values = list(count);
                for series in [
                    format!(r#"{{"metric":{{"a":"b"}},"values":[{values}]}}"#),
                    format!(r#"{{"values":[{values}],"more":[{{}}],"metric":{{"a":"b"}}}}"#),
                ] {
                    let data = format!(
                        r#"{{"resultType":"matrix","result":[{series},{{"metric":{{}},"values":[]}},{series}]}}"#
                    );
                    let mut sink = StreamRecorder::default();
                    assert!(!taken(&data, range, false, &mut sink).unwrap());
                    assert_eq!(sink.given.len(), if expected.is_empty() { 0 } else { 2 });
                    for (labels, slices, samples) in sink.given {
                        assert_eq!((labels.len(), &samples), (1, &expected));
                        assert!(
                            slices
                                .iter()
                                .all(|&length| length > 0 && (series.starts_with(r#"{"v"#) || length <= 4_096))
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_sink_that_has_seen_enough_ends_the_reading() {
        let values: Vec<String> = (0..20_000).map(|nth| format!(r#"[{nth},"1"]"#)).collect();
        // The rest is not JSON, and is not looked at.
        let data = format!(r#"{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{}"#, values.join(","));
        let mut sink = StreamRecorder { left: Some(2), ..StreamRecorder::default() };
        let range = TimeRange { start: 0, end: i64::MAX };
        assert!(matches!(taken(&data, range, false, &mut sink), Err(Undecoded::Enough)));
        assert_eq!(sink.given[0].1, [4_096, 4_096]);
    }

    #[test]
    fn nan_is_dropped_where_it_marks_the_end_of_a_series() {
        let data = r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"NaN"],[3,"+Inf"]]}]}"#;
        for (are_nan_stale, count) in [(false, 3), (true, 2)] {
            let mut sink = StreamRecorder::default();
            taken(data, TimeRange { start: 0, end: 9_000 }, are_nan_stale, &mut sink).unwrap();
            assert_eq!(sink.given[0].2.len(), count);
        }
    }

    #[test]
    fn samples_of_another_form_are_refused() {
        let check = |series: &str, expected: Option<bool>| {
            let data = format!(r#"{{"resultType":"matrix","result":[{series}]}}"#);
            let range = TimeRange { start: 0, end: i64::MAX };
            assert_eq!(taken(&data, range, false, &mut StreamRecorder::default()).ok(), expected, "{series}");
        };
        check(r#"{"metric":{},"values":[[1,"1"]]}"#, Some(false));
        check(r#"{"metric":{},"histograms":[]}"#, Some(true));
        check(r#"{"metric":{},"values":[[1,"1"]],"histograms":[]}"#, Some(true));
        for refused in [
            r#"{"metric":{}}"#,
            r#"{"values":[[1,"1"]]}"#,
            r#"{"metric":{},"value":[1,"1"]}"#,
            r#"{"metric":{},"values":[[2,"1"],[1,"1"]]}"#,
            r#"{"metric":{},"values":[[1,"1"]],"values":[[2,"1"]]}"#,
            r#"{"metric":{},"values":[[1,"1"]],"metric":{}}"#,
            r#"{"metric":{},"values":[[1,1]]}"#,
            "5",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn a_repeated_sample_counts_once() {
        let twice = r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"5"],[1,"5"],[2,"6"]]}]}"#;
        assert_eq!(result(twice).unwrap()[0].samples, samples(&[(1_000, 5.0), (2_000, 6.0)]));
    }

    #[test]
    fn the_first_series_are_kept_and_all_are_counted() {
        for total in [1, MAX_SERIES - 1, MAX_SERIES, MAX_SERIES + 1, 3 * MAX_SERIES] {
            let one = |nth| format!(r#"{{"metric":{{"nth":"{nth}"}},"value":[1,"2"]}}"#);
            let list: Vec<String> = (0..total).map(one).collect();
            let body =
                format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#, list.join(","));
            let found = decode(&mut body.as_bytes(), QueryResult::decode).unwrap().data.unwrap().found;
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
    fn native_histograms_are_reported_and_skipped() {
        let only = r#"{"resultType":"matrix","result":[{"metric":{},"histograms":[[1,{"count":"2"}]]}]}"#;
        let both = r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"]],"histograms":[]}]}"#;
        for (data, count) in [(only, 0), (both, 1)] {
            let series = result(data).unwrap();
            assert!(series[0].has_native_histograms);
            assert_eq!(series[0].samples.len(), count);
        }
    }

    #[test]
    fn a_response_of_another_form_is_refused() {
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
            r#"{"resultType":"matrix","resultType":"matrix","result":[]}"#,
            r#"{"resultType":"matrix","result":[],"result":[]}"#,
            r#"["vector",[]]"#,
            r#"{"resultType":{"vector":null},"result":[]}"#,
            r#"[]"#,
            r#"5"#,
        ] {
            assert_eq!(result(data), None, "{data}");
        }
        let foreign = |body: &str| assert!(decode(&mut body.as_bytes(), QueryResult::decode).is_err(), "{body}");
        foreign("<html>");
        foreign(r#"["success",{"resultType":"vector","result":[]},null,null,null]"#);
        foreign(r#"{"status":{"success":null}}"#);
        foreign(&"[".repeat(100_000));
    }
}
