//! What a query did at its upstream, for those who ask for an explanation: its calls, and the samples that it read.
//!
//! Nothing is recorded of any other query.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

use crate::metrics::SampleSource;
use crate::model::query::Order;
use crate::model::sample::{Labels, Sample, SampleSink};

/// How many series are described.
pub const MAX_SERIES: usize = 20;

/// How many samples of each of them are kept: those of 16 hours at a scrape interval of 15 s.
const MAX_SAMPLES: usize = 4_000;

/// What a query did.
#[derive(Debug)]
pub struct Recording {
    order: Order,
    /// The calls, in their order.
    pub calls: Vec<CallRecord>,
    /// The samples that the points are made of, if they are made of samples.
    pub read: Option<ReadRecord>,
    /// Where the numbers come from, if any were read.
    pub source: Option<SampleSource>,
    is_settled: bool,
}

/// A call.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// Which of several replicas was asked.
    pub replica: Option<String>,
    /// The path below the upstream's base.
    pub path: String,
    /// The PromQL or the selector, shortened.
    pub query: Option<String>,
    /// The parameters that are times, in seconds: `time`, or `start`, `end` and `step`.
    pub times: Vec<(&'static str, String)>,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// `ok`, or the code of the failure.
    pub outcome: &'static str,
    /// How long it took.
    pub took: Duration,
    /// How many bytes of the body were read.
    pub bytes: u64,
    /// How many series the response has, if it has series.
    pub series: Option<u64>,
    /// How many samples it has.
    pub samples: Option<u64>,
}

/// The samples of a read.
#[derive(Debug, Default)]
pub struct ReadRecord {
    /// The first series, at most [`MAX_SERIES`].
    pub series: Vec<SeriesRecord>,
    /// How many series there are.
    pub series_total: u64,
    /// How many samples there are.
    pub samples_total: u64,
}

/// A series that was read.
#[derive(Debug)]
pub struct SeriesRecord {
    /// What identifies it.
    pub labels: Labels,
    /// How many samples of it were read.
    pub total: u64,
    /// The time of the first, in milliseconds since the epoch.
    pub first_ms: i64,
    /// The time of the last.
    pub last_ms: i64,
    /// The oldest samples, or the newest where the newest points come first; at most some thousands.
    pub samples: VecDeque<Sample>,
}

impl Recording {
    /// Nothing yet, of a query whose points come in this order.
    pub(super) fn new(order: Order) -> Recording {
        Recording { order, calls: Vec::new(), read: None, source: None, is_settled: false }
    }

    /// Another replica is asked, for everything anew.
    pub(super) fn start_over(&mut self) {
        (self.read, self.source, self.is_settled) = (None, None, false);
    }

    /// What is read from now on belongs to later points than those that are explained.
    pub(super) fn settle(&mut self) {
        self.is_settled = true;
    }

    /// Takes the samples of a read, in the place of an earlier one that turned out to reach too little far.
    pub(super) fn take_read(&mut self, source: SampleSource, read: ReadRecord) {
        self.found(read.series_total, read.samples_total);
        if !self.is_settled {
            self.source = Some(source);
            self.read = Some(read);
        }
    }

    /// PromQL computes the points, so that they are not made of samples that were read.
    pub(super) fn answer_by_promql(&mut self) {
        (self.read, self.source, self.is_settled) = (None, Some(SampleSource::PromQl), true);
    }

    /// Says what the last call has found.
    pub(super) fn found(&mut self, series: u64, samples: u64) {
        if let Some(call) = self.calls.last_mut() {
            (call.series, call.samples) = (Some(series), Some(samples));
        }
    }

    /// The order of the points.
    pub(super) fn order(&self) -> Order {
        self.order
    }
}

/// Records the samples of a read.
#[derive(Debug)]
pub(super) struct ReadRecorder {
    order: Order,
    record: ReadRecord,
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

    pub(super) fn into_record(self) -> ReadRecord {
        self.record
    }
}

/// A sink, and what records what it is given, if that is recorded.
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
            let ReadRecord { series, series_total, samples_total } = recorder.into_record();
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
        let ReadRecord { series, series_total, samples_total } = recorder.into_record();
        assert_eq!((series.len(), series_total, samples_total), (MAX_SERIES, 30, 30));
        assert_eq!((series[19].labels.clone(), series[19].samples[0].value), (labels(19), 19.0));
    }
}
