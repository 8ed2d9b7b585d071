//! Nothing found: a metric without samples in the range, or one that never existed.

use crate::api::now_ms;
use crate::compute::{metric_kind, promql};
use crate::error::Error;
use crate::model::query::{Matcher, Selector};
use crate::model::time::TimeRange;
use crate::prometheus::{self, ErrorKind, Session};

/// Whether there is something, as far as an upstream can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existence {
    Yes,
    No,
    /// It may have looked at a part of its data only.
    Unknown,
}

/// Makes sure that a series has ever matched a selector, or may have.
///
/// # Errors
/// [`Error::MetricNotFound`] when none has, or when Prometheus does not answer.
pub(super) fn must_exist(session: &mut Session<'_>, of: &Selector, range: TimeRange) -> Result<(), Error> {
    let name = Matcher::equal(promql::METRIC_NAME, &of.metric);
    let mut all = vec![name.clone()];
    all.extend(of.matchers.iter().cloned());
    if existence(session, &all, range)? != Existence::No {
        return Ok(());
    }
    let details = if !of.matchers.is_empty() && existence(session, &[name], range)? != Existence::No {
        format!(
            "the metric {:?} exists, but no series of it has ever matched {}: change or remove a condition",
            of.metric,
            promql::selector(of)
        )
    } else if is_declared_as_family(session, &of.metric) {
        format!(
            "{0:?} is a histogram or a summary, which has no samples under its own name: use a ~ expression such as \
             histogram_quantile(0.95, sum by (le) (rate({0}_bucket[5m]))), or __counter__ with {0}_count or {0}_sum",
            of.metric
        )
    } else {
        format!("there has never been a metric {:?}: check its spelling", of.metric)
    };
    let details = format!("{details}; asked Prometheus at {}", session.upstream());
    Err(Error::MetricNotFound { metric: of.metric.clone(), details })
}

fn existence(session: &mut Session<'_>, matchers: &[Matcher], range: TimeRange) -> Result<Existence, Error> {
    let selector = promql::match_selector(matchers, None);
    let until = now_ms().max(range.end);
    let mut was_refused = false;
    let ever = TimeRange { start: 0, end: until };
    let names = in_range(session, ever, |session, start| {
        // Without a start, some look at their newest data only.
        was_refused = start.is_none();
        session.label_values(promql::METRIC_NAME, selector.as_deref(), start, until)
    })?;
    Ok(match names.is_empty() {
        false => Existence::Yes,
        true if was_refused || session.has_missing_data() => Existence::Unknown,
        true => Existence::No,
    })
}

/// Asks for what there is since a start, or if that is the beginning and a server refuses so long a time, for what it finds
/// without a start.
///
/// # Errors
/// When Prometheus does not answer.
pub(super) fn in_range<T>(
    session: &mut Session<'_>,
    range: TimeRange,
    mut ask: impl FnMut(&mut Session<'_>, Option<i64>) -> Result<T, prometheus::Error>,
) -> Result<T, prometheus::Error> {
    match ask(session, Some(range.start)) {
        Err(refused) if range.start == 0 && is_refusal(&refused) => ask(session, None),
        other => other,
    }
}

fn is_refusal(error: &prometheus::Error) -> bool {
    matches!(error.kind, ErrorKind::Api { status: 400 | 422, .. })
}

fn is_declared_as_family(session: &mut Session<'_>, metric: &str) -> bool {
    let metadata = session.metadata(Some(metric));
    metadata.is_ok_and(|metadata| metric_kind::is_histogram_or_summary(metric, &metadata))
}
