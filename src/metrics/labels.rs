//! The labels of the metrics, and their values, which are fixed words or come from the upstreams file.

use std::borrow::Cow;

/// One label and its value.
pub(super) type OneLabel = [(&'static str, &'static str); 1];

/// Labels and their values.
pub(super) type LabelList = Vec<(&'static str, Cow<'static, str>)>;

/// The labels of a call to an endpoint. Without an outcome, they are those of all its outcomes together. Empty labels of the
/// upstream are left out.
pub(super) fn of_call(endpoint: &'static str, outcome: Option<&'static str>, upstream: &UpstreamLabels) -> LabelList {
    let mut labels = vec![("endpoint", Cow::from(endpoint))];
    labels.extend(outcome.map(|outcome| ("outcome", Cow::from(outcome))));
    let upstream = [("upstream", &upstream.name), ("replica", &upstream.replica)];
    let given = upstream.into_iter().filter(|(_, value)| !value.is_empty());
    labels.extend(given.map(|(label, value)| (label, Cow::from(value.clone()))));
    labels
}

/// Which named upstream was called. If the Connection Details give its address, both texts are empty, and the labels are left
/// out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UpstreamLabels {
    /// Its name.
    pub name: String,
    /// The address of the replica, if the upstream has several.
    pub replica: String,
}

/// Outcomes of re-reading a file: a change is in force, or the file is unusable.
pub(super) const TAKEN_OVER: &str = "taken_over";
pub(super) const FAILED: &str = "failed";

/// The files that are re-read regularly: the API key file, and the upstreams file with all files that it names.
pub const WATCHED_FILES: [&str; 2] = ["key", "upstreams"];

/// Where the numbers of gauges and counters come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleSource {
    /// Samples by remote read.
    RemoteRead,
    /// Samples as JSON, by a range selector.
    RangeSelector,
    /// None: there are too many samples or buckets, so PromQL computes the points.
    PromQl,
}

impl SampleSource {
    pub(super) fn name(self) -> &'static str {
        match self {
            SampleSource::RemoteRead => "remote_read",
            SampleSource::RangeSelector => "range_selector",
            SampleSource::PromQl => "promql",
        }
    }
}

/// The endpoints of Prometheus's HTTP API that the mirror calls.
pub(super) const ENDPOINTS: [&str; 7] =
    ["read", "query", "query_range", "labels", "label_values", "series", "metadata"];
