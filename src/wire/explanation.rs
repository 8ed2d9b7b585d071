//! The field `explanation` of a response, for requests with the header `X-MIRROR-EXPLAIN: true`.

use std::collections::BTreeMap;

use serde::Serialize;

/// How a response was computed. Times are in milliseconds since 1970.
#[derive(Debug, Default, Serialize)]
pub struct Explanation {
    /// The name of the upstream, or its host, port and path prefix; absent if no upstream was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Which of several replicas responded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// Where the samples come from: `remote read`, `range selector` or `PromQL`; absent if nothing was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'static str>,
    /// How a point is computed, in short sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The calls to the upstream, in their order.
    pub calls: Vec<CallMade>,
    /// What the points are made of, if a query for points succeeded.
    #[serde(flatten)]
    pub points: Option<ExplainedPoints>,
    /// What the mirror left out of this explanation, and how to see it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A call to the upstream.
#[derive(Debug, Serialize)]
pub struct CallMade {
    /// Which of several replicas was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// The path of the endpoint, below the base URL of the upstream.
    pub path: String,
    /// The PromQL or the selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// `time`, or `start`, `end` and `step`, in seconds.
    #[serde(flatten)]
    pub times: BTreeMap<&'static str, String>,
    /// The HTTP status, if there was a response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `ok`, or the code of the failure.
    pub outcome: &'static str,
    /// How long it took.
    pub milliseconds: f64,
    /// How many bytes of the response's body were read.
    pub bytes: u64,
    /// How many series the response has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<u64>,
    /// How many samples it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
}

/// What the points of a response are made of.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedPoints {
    /// How many series were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series_total: Option<u64>,
    /// How many samples were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples_total: Option<u64>,
    /// The first series that were read.
    pub series: Vec<ExplainedSeries>,
    /// How many samples and points were left out, by reason.
    pub left_out: LeftOut,
    /// The scrape interval of the series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_interval: Option<ScrapeInterval>,
    /// What each of the first points is made of.
    pub points: Vec<ExplainedPoint>,
    /// PromQL that computes nearly the same values.
    pub equivalent_promql: String,
    /// The address of the upstream's own page with a graph of `equivalent_promql`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph: Option<String>,
}

/// A series that was read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedSeries {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How many of its samples were read, including those before the range.
    pub samples: u64,
    /// The time of the first one.
    pub first: i64,
    /// The time of the last one.
    pub last: i64,
    /// The median time between two neighbouring samples, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_spacing_millis: Option<i64>,
    /// How often a counter restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets: Option<u64>,
    /// How many gaps are too long for a rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gaps: Option<u64>,
}

/// How many samples and points were left out, by reason.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Samples that are NaN.
    pub nan: u64,
    /// Samples that are infinite.
    pub infinite: u64,
    /// Points whose value is too large for JSON.
    pub too_large: u64,
}

/// How often the series are scraped.
#[derive(Debug, Serialize)]
pub struct ScrapeInterval {
    /// The interval in milliseconds; the longest one if the series differ.
    pub milliseconds: i64,
    /// `given` in the Connection Details or the upstreams file, or `measured`.
    pub from: &'static str,
}

/// A point, and what it is made of.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedPoint {
    /// The time of the point, or the start of its bucket.
    pub time: i64,
    /// The end of its bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<i64>,
    /// Its value.
    pub value: f64,
    /// What the point takes from each series, without the series from which it takes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_of: Option<Vec<Share>>,
    /// How many samples and increments are not listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: usize,
}

/// What a point takes from a series.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// The index in `series`, from 0 on.
    pub series: usize,
    /// The samples that count in the point.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<ExplainedSample>,
    /// The increments of a counter whose later sample counts in the point.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub increments: Vec<ExplainedIncrement>,
    /// The increment before the bucket, if its rate still counts in the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_known: Option<ExplainedIncrement>,
}

/// The increase of a counter between two samples.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedIncrement {
    /// The earlier sample.
    pub from: ExplainedSample,
    /// The later one.
    pub to: ExplainedSample,
    /// The increase; after a reset, the later sample's value.
    pub increase: f64,
    /// The increase per second; absent across a gap that is too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
    /// Until when this rate counts as the rate last known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_until: Option<i64>,
}

/// The time of a sample and its value, which is finite. JSON: `[time, value]`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ExplainedSample(pub i64, pub f64);

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Adds an explanation to the body of a response, which is a JSON object.
pub fn add(mut body: Vec<u8>, explanation: &Explanation) -> Vec<u8> {
    let Ok(explanation) = serde_json::to_vec(explanation) else { return body };
    if body.pop() != Some(b'}') {
        return body;
    }
    body.extend_from_slice(br#","explanation":"#);
    body.extend_from_slice(&explanation);
    body.push(b'}');
    body
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_explanation_is_one_more_field_behind_all_others() {
        let body = br#"{"z":1,"a":{"b":[]}}"#.to_vec();
        let explained = add(body, &Explanation { source: Some("PromQL"), ..Explanation::default() });
        let text = String::from_utf8(explained).unwrap();
        assert!(text.starts_with(r#"{"z":1,"a":{"b":[]},"explanation":{"#), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["explanation"], json!({"source": "PromQL", "calls": []}));
    }
}
