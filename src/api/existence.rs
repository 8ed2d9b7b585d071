//! Tells a metric without samples in the range from one that never existed.

use crate::api::query::is_refusal;
use crate::api::query_fields::now_ms;
use crate::compute::matchers;
use crate::compute::metric_kind::is_histogram_or_summary;
use crate::error::Error;
use crate::log;
use crate::model::query::{Matcher, Selector};
use crate::model::texts::Texts;
use crate::model::time::TimeRange;
use crate::nearest::nearest;
use crate::prometheus::{self, ErrorKind, Session, shortened};
use crate::wire::response::ErrorBody;

/// Checks that a series has ever matched a selector, or may have.
///
/// # Errors
/// `MetricNotFoundError` when no series has, or the error of a call that fails.
pub(super) fn must_exist(session: &mut Session<'_>, of: &Selector, range: TimeRange) -> Result<(), Error> {
    let name = Matcher::equal(matchers::METRIC_NAME, &of.metric);
    let mut all = vec![name.clone()];
    all.extend(of.matchers.iter().cloned());
    if may_exist(session, &all, range)? {
        return Ok(());
    }
    let metric = shortened(&of.metric);
    // Metrics may have any name, but real ones have no characters of PromQL's syntax.
    let (code, details) = if !of.matchers.is_empty() && may_exist(session, &[name], range)? {
        let selector = shortened(&matchers::selector(of));
        let details = format!(
            "has the metric {metric:?}, but no series of it has ever matched {selector}: change or remove a condition"
        );
        ("no_series_matches", details)
    } else if of.metric.contains(|c: char| c.is_whitespace() || "(){}[]=<>!\"'+*^@,".contains(c)) {
        let details = format!(
            "has never had a metric {metric:?}, which looks like a PromQL expression: write it as the value of a condition with the \
             key ~ instead of __gauge__ or __counter__"
        );
        ("metric_is_expression", details)
    } else if session.metadata(Some(&of.metric)).is_ok_and(|declared| is_histogram_or_summary(&of.metric, &declared)) {
        let details = format!(
            "has the histogram or summary {metric:?}, which has no samples under its own name: use a ~ expression such as \
             histogram_quantile(0.95, sum by (le) (rate({metric}_bucket[5m]))), or __counter__ with {metric}_count or {metric}_sum"
        );
        ("metric_is_histogram", details)
    } else {
        let remedy = match near_metrics(session, &of.metric, range).as_slice() {
            [] => "check its spelling; a new metric is there after its first scrape".to_owned(),
            [one] => format!("did you mean {one}?"),
            [others @ .., last] => format!("did you mean {} or {last}?", others.join(", ")),
        };
        ("metric_unknown", format!("has never had a metric {metric:?}: {remedy}"))
    };
    let details = format!("Prometheus at {} {details}", session.upstream());
    Err(Error::Mirror { code, body: ErrorBody::MetricNotFoundError { metric, details } })
}

/// The most names that the error suggests.
const MAX_NEAR_METRICS: usize = 3;

/// The metrics of the upstream in the range whose names are nearest. They are only a hint, so this returns none if they cannot be
/// listed.
fn near_metrics(session: &mut Session<'_>, metric: &str, range: TimeRange) -> Vec<String> {
    let names = session.metric_names(range.start, range.end).unwrap_or_else(|error| {
        log::debug(|| log::Line::new("no metric names").text("error", &error));
        Texts::default()
    });
    let near = nearest(metric, names.iter(), MAX_NEAR_METRICS);
    near.into_iter().map(shortened).collect()
}

/// Whether a series has ever matched, or may have because the upstream may have looked at a part of its data only.
fn may_exist(session: &mut Session<'_>, matchers: &[Matcher], range: TimeRange) -> Result<bool, Error> {
    let selector = matchers::match_selector(matchers, None);
    let until = now_ms().max(range.end);
    let mut was_refused = false;
    let ever = TimeRange { start: 0, end: until };
    let names = in_range(session, ever, |session, start| {
        // Without a start, some upstreams look at their newest data only.
        was_refused = start.is_none();
        session.label_values(matchers::METRIC_NAME, selector.as_deref(), start, until)
    });
    let names = match names {
        // If the upstream refuses POST, a large set does not fit into the URL.
        Err(error) if matches!(error.kind, ErrorKind::UrlTooLong(_)) => return Ok(true),
        // The list is too long to be read, so it is not empty.
        Err(error) if matches!(error.kind, ErrorKind::TooLarge(_)) => return Ok(true),
        names => names?,
    };
    Ok(!names.is_empty() || was_refused || session.has_missing_data())
}

/// Makes a call with the start of a range. If that is 0 and the upstream refuses so long a range, makes the call again
/// without a start.
///
/// # Errors
/// When the call fails.
pub(super) fn in_range<T>(
    session: &mut Session<'_>,
    range: TimeRange,
    mut call: impl FnMut(&mut Session<'_>, Option<i64>) -> Result<T, prometheus::Error>,
) -> Result<T, prometheus::Error> {
    match call(session, Some(range.start)) {
        Err(refused) if range.start == 0 && is_refusal(&refused) => call(session, None),
        other => other,
    }
}
