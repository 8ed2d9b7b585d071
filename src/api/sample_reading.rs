//! Reads samples of a metric, within the memory that a query may hold.

use crate::compute::origin_recorder::{OriginRecorder, Recorded};
use crate::compute::{matchers, promql};
use crate::error::Error;
use crate::model::query::Selector;
use crate::model::sample::SampleSink;
use crate::model::time::TimeRange;
use crate::prometheus::{ErrorKind, SampleQuery, SamplesRead, Session};

/// Reads the samples of a metric into a sink, within the memory that the query may hold. The query already holds `held_bytes`.
/// `new_recorder` creates a recorder of the samples, if they are to be recorded.
pub(super) fn read<S: SampleSink>(
    session: &mut Session<'_>,
    of: &Selector,
    range: TimeRange,
    held_bytes: usize,
    new_recorder: impl Fn() -> Option<OriginRecorder>,
    new_sink: impl Fn() -> S,
) -> Result<SamplesRead<Recorded<S>>, Error> {
    // One millisecond more, so that the selector includes the start of the range on engines with left-open ranges, too.
    let promql = promql::samples(of, range.length() + 1);
    let label_patterns = &matchers::label_patterns(of);
    let query = SampleQuery { promql: &promql, metric: &of.metric, label_patterns, range, held_bytes };
    let recorded = || Recorded { sink: new_sink(), recorder: new_recorder() };
    session.samples(&query, recorded).map_err(|error| match error.kind {
        ErrorKind::NativeHistogram => Error::native_histogram(),
        _ => error.into(),
    })
}
