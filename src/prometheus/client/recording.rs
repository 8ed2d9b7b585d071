//! What a query did at its upstream: its calls, and the samples that it read. `explain` shows it.
//!
//! Other queries are not recorded.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

use crate::metrics::SampleSource;
use crate::model::query::Order;
use crate::model::sample::{Labels, Sample, SampleSink};

/// The most series that are described.
pub const MAX_SERIES: usize = 20;

/// The most samples that are kept of each series: 16 hours at a scrape interval of 15 s.
const MAX_SAMPLES: usize = 4_000;

/// What a query did at its upstream.
#[derive(Debug)]
pub struct Recording {
    pub(super) order: Order,
    /// The calls, in the order in which they were made.
    pub calls: Vec<CallRecord>,
    /// The samples that the points are computed from, if they are computed from samples.
    pub read: Option<ReadRecord>,
    /// How the samples were read, if any were.
    pub source: Option<SampleSource>,
    /// Whether the query is an expression that is a scalar, which the upstream refuses to aggregate.
    pub is_scalar: bool,
    /// Whether later reads are ignored, because they belong to later points than the explanation shows.
    pub(super) is_settled: bool,
}

/// A call to the upstream.
#[derive(Debug, Clone, Default)]
pub struct CallRecord {
    /// The replica that was queried, if the upstream has several.
    pub replica: Option<String>,
    /// The path below the upstream's base.
    pub path: String,
    /// The PromQL or the selector, shortened.
    pub query: Option<String>,
    /// The time parameters, in seconds: `time`, or `start`, `end` and `step`.
    pub times: Vec<(&'static str, String)>,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// `ok`, or the code of the failure.
    pub outcome: &'static str,
    /// How long it took.
    pub took: Duration,
    /// How many bytes of the response's body were read.
    pub bytes: u64,
    /// How many series the response contains, if it contains series.
    pub series: Option<u64>,
    /// How many samples the response contains.
    pub samples: Option<u64>,
}

/// The samples that one read returned.
#[derive(Debug, Default)]
pub struct ReadRecord {
    /// The first series, at most [`MAX_SERIES`].
    pub series: Vec<SeriesRecord>,
    /// How many series there are in all.
    pub series_total: u64,
    /// How many samples there are in all.
    pub samples_total: u64,
}

/// A series that was read.
#[derive(Debug)]
pub struct SeriesRecord {
    /// Its labels.
    pub labels: Labels,
    /// How many samples of it were read.
    pub total: u64,
    /// The time of its first sample, in milliseconds since the epoch.
    pub first_ms: i64,
    /// The time of its last sample, in milliseconds since the epoch.
    pub last_ms: i64,
    /// The oldest samples, or the newest where the newest points come first; at most 4,000.
    pub samples: VecDeque<Sample>,
}

impl Recording {
    /// An empty recording of a query whose points come in this order.
    pub(super) fn new(order: Order) -> Recording {
        Recording { order, calls: Vec::new(), read: None, source: None, is_scalar: false, is_settled: false }
    }

    /// Starts over, because another replica is queried from scratch.
    pub(super) fn start_over(&mut self) {
        (self.read, self.source, self.is_scalar, self.is_settled) = (None, None, false, false);
    }

    /// Records the samples of a read. They replace those of an earlier read whose range turned out to be too short.
    pub(super) fn take_read(&mut self, source: SampleSource, read: ReadRecord) {
        self.found(read.series_total, read.samples_total);
        if !self.is_settled {
            self.source = Some(source);
            self.read = Some(read);
        }
    }

    /// Notes that PromQL computes the points, and that they are not computed from samples that were read.
    pub(super) fn answer_by_promql(&mut self) {
        (self.read, self.source, self.is_settled) = (None, Some(SampleSource::PromQl), true);
    }

    /// Notes how many series and samples the last call found.
    pub(super) fn found(&mut self, series: u64, samples: u64) {
        if let Some(call) = self.calls.last_mut() {
            (call.series, call.samples) = (Some(series), Some(samples));
        }
    }
}

/// Records the samples of a read.
#[derive(Debug)]
pub(super) struct ReadRecorder {
    order: Order,
    pub(super) record: ReadRecord,
}

impl ReadRecorder {
    /// A recorder for a query whose points come in this order.
    pub(super) fn new(order: Order) -> ReadRecorder {
        ReadRecorder { order, record: ReadRecord::default() }
    }

    fn begin(&mut self, labels: &Labels) {
        let ReadRecord { series, series_total, .. } = &mut self.record;
        *series_total += 1;
        if series.len() < MAX_SERIES {
            let (labels, samples) = (labels.clone(), VecDeque::new());
            series.push(SeriesRecord { labels, total: 0, first_ms: 0, last_ms: 0, samples });
        }
    }

    fn take(&mut self, samples: &[Sample]) {
        let ReadRecord { series, series_total, samples_total } = &mut self.record;
        *samples_total += samples.len() as u64;
        let Some(series) = series.last_mut().filter(|_| *series_total <= MAX_SERIES as u64) else { return };
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return };
        if series.total == 0 {
            series.first_ms = first.at;
        }
        series.last_ms = last.at;
        series.total += samples.len() as u64;
        match self.order {
            Order::OldestFirst => series.samples.extend(samples.iter().take(MAX_SAMPLES - series.samples.len())),
            Order::NewestFirst => {
                series.samples.extend(samples);
                let excess = series.samples.len().saturating_sub(MAX_SAMPLES);
                series.samples.drain(..excess);
            }
        }
    }
}

/// A sink, with a recorder of the samples that it gets if the query is recorded.
pub(super) struct Tee<S> {
    pub(super) sink: S,
    pub(super) recorder: Option<ReadRecorder>,
}

impl<S: SampleSink> SampleSink for Tee<S> {
    fn begin(&mut self, labels: impl FnOnce() -> Labels) {
        match &mut self.recorder {
            None => self.sink.begin(labels),
            Some(recorder) => {
                let labels = labels();
                recorder.begin(&labels);
                self.sink.begin(|| labels);
            }
        }
    }

    fn take(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        if let Some(recorder) = &mut self.recorder {
            recorder.take(samples);
        }
        self.sink.take(samples)
    }

    fn kept_bytes(&self) -> usize {
        self.sink.kept_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(nth: usize) -> Labels {
        Labels::from([("nth".to_owned(), nth.to_string())])
    }

    #[test]
    fn the_samples_nearest_to_the_first_points_are_kept() {
        for (order, first_kept) in [(Order::OldestFirst, 0), (Order::NewestFirst, 6_000)] {
            let mut recorder = ReadRecorder::new(order);
            recorder.begin(&labels(0));
            for chunk in 0..100 {
                let samples: Vec<Sample> = (0..100).map(|nth| Sample { at: chunk * 100 + nth, value: 1.0 }).collect();
                recorder.take(&samples);
            }
            let ReadRecord { series, series_total, samples_total } = recorder.record;
            assert_eq!((series_total, samples_total, series.len()), (1, 10_000, 1));
            let SeriesRecord { total, first_ms, last_ms, samples, .. } = &series[0];
            assert_eq!((*total, *first_ms, *last_ms, samples.len()), (10_000, 0, 9_999, MAX_SAMPLES));
            assert_eq!(samples[0].at, first_kept, "{order:?}");
        }
    }

    #[test]
    fn further_series_are_only_counted() {
        let mut recorder = ReadRecorder::new(Order::OldestFirst);
        for nth in 0..30 {
            recorder.begin(&labels(nth));
            recorder.take(&[Sample { at: 1, value: nth as f64 }]);
        }
        let ReadRecord { series, series_total, samples_total } = recorder.record;
        assert_eq!((series.len(), series_total, samples_total), (MAX_SERIES, 30, 30));
        assert_eq!((series[19].labels.clone(), series[19].samples[0].value), (labels(19), 19.0));
    }
}
