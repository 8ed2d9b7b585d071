//! How the points of a query were computed, as far as its explanation needs to know.

use crate::compute::origin_recorder::OriginRecorder;
use crate::compute::origins::Origins;
use crate::metrics::SampleSource;
use crate::model::query::{MetricQuery, Order};
use crate::model::sample_kind::SampleKind;
use crate::model::time::TimeRange;

/// How the points of a query were computed. Samples are recorded only if the query is to be explained.
#[derive(Debug)]
pub(super) struct Recording {
    is_explained: bool,
    range: TimeRange,
    order: Order,
    /// The samples that the first points are computed from, if they are computed from samples.
    pub(super) origins: Option<Origins>,
    /// How the samples were read, or that PromQL computed the points.
    pub(super) source: Option<SampleSource>,
    /// The scrape interval that was measured for PromQL, in milliseconds.
    pub(super) measured_ms: Option<i64>,
    /// Whether the query is an expression that is a scalar, which the upstream refuses to aggregate.
    pub(super) is_scalar: bool,
    /// Whether later reads are ignored, because they belong to later points than the explanation shows.
    is_settled: bool,
}

impl Recording {
    /// An empty recording of a query.
    pub(super) fn new(query: &MetricQuery, is_explained: bool) -> Recording {
        let MetricQuery { range, order, .. } = *query;
        let (origins, source, measured_ms) = (None, None, None);
        Recording { is_explained, range, order, origins, source, measured_ms, is_scalar: false, is_settled: false }
    }

    /// A recorder for the next read, if it is to be recorded.
    pub(super) fn recorder(&self, kind: SampleKind) -> Option<OriginRecorder> {
        let is_wanted = self.is_explained && !self.is_settled;
        is_wanted.then(|| OriginRecorder::new(kind, self.range, self.order))
    }

    /// Takes the samples of a read. They replace those of an earlier read whose range turned out to be too short.
    pub(super) fn take(&mut self, source: SampleSource, recorder: Option<OriginRecorder>) {
        if let Some(recorder) = recorder {
            (self.source, self.origins) = (Some(source), Some(recorder.into_origins()));
        }
    }

    /// Notes that the samples of the first points were read, and that later reads belong to later points.
    pub(super) fn settle(&mut self) {
        self.is_settled = true;
    }

    /// Notes that PromQL computes the points, and that they are not computed from samples that were read.
    pub(super) fn answer_by_promql(&mut self) {
        (self.origins, self.source, self.is_settled) = (None, Some(SampleSource::PromQl), true);
    }
}
