//! Errors because of the data of an upstream: more than one series, too many samples, values for instants that were not queried.

use crate::compute::distinct::TooMany;
use crate::compute::points::NotAStep;
use crate::error::Error;
use crate::prometheus::{Upstream, shortened};
use crate::wire::response::ErrorBody;

/// The code of an upstream that responds like several engines.
pub(super) const SEVERAL_ENGINES: &str = "several_engines";
/// The code of values for instants that were not queried.
pub(super) const TIMES_MOVED: &str = "times_moved";

/// An error that shows the query.
fn with_query(code: &'static str, summary: &'static str, details: String, promql: &str) -> Error {
    let details = format!("{details}; query: {}", shortened(promql));
    Error::Mirror { code, body: ErrorBody::RemoteMirrorError { summary, details } }
}

impl Error {
    /// The result has native histograms, which a list of points cannot show.
    pub fn native_histogram() -> Error {
        let mirror_type = "native histogram".to_owned();
        Error::Mirror { code: "native_histogram", body: ErrorBody::UnsupportedFieldTypeError { mirror_type } }
    }

    /// Several series match, but a list of points shows only one.
    pub fn too_many_series(too_many: &TooMany, promql: &str, upstream: &Upstream) -> Error {
        let remedy = match (too_many.to_require_empty.as_slice(), too_many.differing.first()) {
            ([], Some((label, value))) => {
                format!("add a condition on one of these labels, such as {label} = {value:?}")
            }
            ([], None) => "add a condition on a label".to_owned(),
            // No condition on a value selects a series that only lacks labels of the others.
            (labels, _) => {
                let conditions: Vec<String> = labels.iter().map(|label| format!("{label} = \"\"")).collect();
                let example = too_many.differing.first();
                let other = example.map(|(label, value)| format!(" (for another one, such as {label} = {value:?})"));
                format!(
                    "one series lacks labels of the others: to select it, add the condition {}{}",
                    conditions.join(" and "),
                    other.unwrap_or_default()
                )
            }
        };
        let details = format!(
            "{too_many}: {remedy}, or aggregate in a ~ expression, for example with sum(...); upstream: {upstream}"
        );
        with_query("too_many_series", "Too many metrics.", details, promql)
    }

    /// An expression has several results, but a list of points shows only one.
    pub fn too_many_results(too_many: &TooMany, promql: &str, upstream: &Upstream) -> Error {
        let remedy = match too_many.differing.first() {
            Some((label, value)) => format!(
                "write a matcher of one of these labels into the expression, such as {{{label}={value:?}}}, or aggregate there, \
                 for example with sum(...)"
            ),
            None => "aggregate in the expression, for example with sum(...)".to_owned(),
        };
        let details = format!("{too_many}: {remedy}; upstream: {upstream}");
        with_query("too_many_series", "Too many metrics.", details, promql)
    }

    /// There are more samples than can be kept, and PromQL cannot compute the points instead.
    pub fn too_many_samples(samples: u64, series: u64, promql: &str, upstream: &Upstream) -> Error {
        let details = format!(
            "Prometheus at {upstream} has {samples} samples in {series} series for this query, more than the mirror reads: \
             choose a shorter time range, or add a condition on a label"
        );
        with_query("too_many_samples", "Too many samples.", details, promql)
    }

    /// Counters of VictoriaMetrics have infinite samples, so that PromQL cannot compute points from too many samples.
    pub fn infinite_samples(series: u64, promql: &str, upstream: &Upstream) -> Error {
        let details = format!(
            "VictoriaMetrics at {upstream} has infinite samples in {series} series for this query, which has more samples than \
             the mirror reads, and its rates are wrong after such a sample: choose a shorter time range, or add a condition on a label"
        );
        with_query("too_many_samples", "Too many samples.", details, promql)
    }

    /// A query needs more calls than it may make.
    pub fn too_many_calls(needed: i64, most: u32, promql: &str, upstream: &Upstream) -> Error {
        let details = format!(
            "Prometheus at {upstream} was not queried: this query needs {needed} calls, but may make {most}; give a later \
             startTime, longer buckets (for raw values of a ~ expression, a longer scrapeInterval in the Connection \
             Details), or, if the method fills in zeros, a smaller limit"
        );
        with_query("too_many_calls", "Too many calls.", details, promql)
    }

    /// An upstream responds like two different engines.
    pub fn several_engines(promql: &str, upstream: &Upstream) -> Error {
        let details = format!(
            "Prometheus at {upstream} responds like several engines of different versions behind one proxy, which do not \
             agree on the ends of a range: query one of them directly, or upgrade them to the same version"
        );
        with_query(SEVERAL_ENGINES, "Several engines.", details, promql)
    }

    /// An upstream returns values for instants that were not queried.
    pub fn times_moved(stray: NotAStep, promql: &str, upstream: &Upstream) -> Error {
        let details = format!(
            "Prometheus at {upstream} returned a value for another time ({} ms) than queried, so buckets would be shown at \
             wrong times: a query frontend in front of it aligns range queries to their step, or cuts off their start at a \
             limit on the look-back; query Prometheus itself, switch off the alignment, or choose a shorter time range",
            stray.at
        );
        with_query(TIMES_MOVED, "Times were moved.", details, promql)
    }
}
