//! Reads samples of a metric, within the memory that a query may hold.

use std::ops::ControlFlow;

use crate::compute::origin_recorder::{OriginRecorder, Recorded};
use crate::compute::{matchers, promql};
use crate::error::Error;
use crate::memory::{Memory, NoMemory};
use crate::model::query::Selector;
use crate::model::sample::{Labels, Sample, SampleSink};
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
    let label_patterns = matchers::label_patterns(of);
    let query = SampleQuery { promql: &promql, metric: &of.metric, label_patterns: &label_patterns, range };
    let memory = session.memory().clone();
    let recorded = || Recorded { sink: new_sink(), recorder: new_recorder() };
    let bounded = || Bounded { sink: recorded(), memory: memory.clone(), held_bytes, refused: None };
    let SamplesRead { sink: Bounded { sink, refused, .. }, source, too_large } =
        session.samples(&query, bounded).map_err(|error| match error.kind {
            ErrorKind::NativeHistogram => Error::native_histogram(),
            _ => error.into(),
        })?;
    match refused {
        Some(none) => Err(session.no_memory(none).into()),
        None => Ok(SamplesRead { sink, source, too_large }),
    }
}

/// Passes samples on to a sink while there is memory for what the sink keeps.
struct Bounded<S> {
    sink: S,
    memory: Memory,
    held_bytes: usize,
    refused: Option<NoMemory>,
}

impl<S: SampleSink> SampleSink for Bounded<S> {
    fn begin(&mut self, labels: impl FnOnce() -> Labels) {
        self.sink.begin(labels);
    }

    fn take(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        self.sink.take(samples)?;
        self.refused = self.memory.hold(self.held_bytes + self.sink.kept_bytes()).err();
        if self.refused.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
