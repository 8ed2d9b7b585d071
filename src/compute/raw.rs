//! Raw queries of a gauge or a counter: the samples of the only series, or the rates between them.

use std::ops::ControlFlow;

use crate::compute::aggregate::MAX_KEPT_SAMPLES;
use crate::compute::distinct::SeriesSeen;
use crate::compute::look_back::{Counted, LookBack};
use crate::compute::rate::CounterReader;
use crate::compute::screen::{Dropped, Screen};
use crate::compute::spacing::longest_sure_ms;
use crate::model::sample::{Labels, Sample, SampleSink};
use crate::model::sample_kind::SampleKind;
use crate::model::time::TimeRange;

/// Which samples a raw query needs, and how they become points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawPlan {
    /// What the samples are.
    pub kind: SampleKind,
    range: TimeRange,
    look_back_ms: i64,
}

impl RawPlan {
    /// The plan for a range.
    pub fn new(kind: SampleKind, range: TimeRange) -> RawPlan {
        let look_back_ms = match kind {
            SampleKind::Gauge(_) => 0,
            // The first rate needs the sample before the range.
            SampleKind::Counter(interval_ms) => LookBack::reach_ms(1, longest_sure_ms(interval_ms)),
        };
        RawPlan { kind, range, look_back_ms }
    }

    /// The same plan, with samples read from at least `at_least_ms` milliseconds before the range.
    pub fn looking_back(self, at_least_ms: i64) -> RawPlan {
        RawPlan { look_back_ms: self.look_back_ms.max(at_least_ms), ..self }
    }

    /// The range in which samples have to be read.
    pub fn read_range(self) -> TimeRange {
        TimeRange { start: (self.range.start - self.look_back_ms).max(0), end: self.range.end }
    }
}

/// Takes samples while they are read, and keeps those of the only series.
#[derive(Debug)]
pub struct RawReader {
    plan: RawPlan,
    /// The series that have samples in the range so far. A series that ended before the range does not count.
    pub seen: SeriesSeen,
    /// The labels of the current series, until it has a sample in the range.
    labels: Option<Labels>,
    /// The samples of the current series.
    current: Vec<Sample>,
    /// The samples of the first series that has some in the range.
    only: Vec<Sample>,
    /// How many series have samples in the range. Two of them can have the same labels, if the upstream adds external labels.
    in_range: usize,
    samples: u64,
}

/// The result of a raw query.
#[derive(Debug, PartialEq)]
pub struct RawResult {
    /// The points, oldest first.
    pub points: Vec<Sample>,
    /// What was left out.
    pub dropped: Dropped,
    /// How far before the range samples should have been read, in milliseconds, if they were not read far enough.
    pub further_ms: Option<i64>,
}

impl RawReader {
    /// A reader without samples.
    pub fn new(plan: RawPlan) -> RawReader {
        let (current, only) = (Vec::new(), Vec::new());
        RawReader { plan, seen: SeriesSeen::default(), labels: None, current, only, in_range: 0, samples: 0 }
    }

    /// Whether there are more samples than can be kept.
    pub fn has_too_many_samples(&self) -> bool {
        self.samples > MAX_KEPT_SAMPLES
    }

    /// From the first to the last sample that was kept of one series.
    pub fn span(&self) -> Option<TimeRange> {
        let samples = if self.only.is_empty() { &self.current } else { &self.only };
        Some(TimeRange { start: samples.first()?.at, end: samples.last()?.at })
    }

    fn end_series(&mut self) {
        // `labels` is `None` if the series has a sample in the range.
        if self.labels.take().is_none() && self.only.is_empty() {
            self.only = std::mem::take(&mut self.current);
        }
        self.current.clear();
    }

    /// The result, after all samples were read.
    pub fn into_result(mut self) -> RawResult {
        self.end_series();
        let RawPlan { kind, range, look_back_ms } = self.plan;
        let mut screen = Screen::of(kind);
        let finite = screen.retain_finite(self.only);
        let SampleKind::Counter(interval_ms) = kind else {
            return RawResult { points: finite, dropped: screen.dropped, further_ms: None };
        };
        let look_back = LookBack { start: range.start, read_ms: look_back_ms, samples: 1, counted: Counted::WithRate };
        let mut reader = CounterReader::new(look_back, interval_ms);
        let mut points = Vec::with_capacity(finite.len());
        reader.take(&finite, |_, interval| {
            let interval = interval.filter(|interval| interval.has_rate && range.contains(interval.end));
            points.extend(interval.map(|interval| Sample { at: interval.end, value: interval.rate() }));
        });
        reader.end_series();
        // The rate of finite samples can be too large for JSON.
        let (mut dropped, rates) = (screen.dropped, points.len());
        points.retain(|point| point.value.is_finite());
        dropped.too_large = (rates - points.len()) as u64;
        RawResult { points, dropped, further_ms: reader.further_ms() }
    }
}

impl SampleSink for RawReader {
    fn begin(&mut self, labels: impl FnOnce() -> Labels) {
        self.end_series();
        self.labels = Some(labels());
    }

    fn take(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        self.samples += samples.len() as u64;
        if self.has_too_many_samples() {
            self.seen.note_more();
            return ControlFlow::Break(());
        }
        if samples.last().is_some_and(|newest| newest.at >= self.plan.range.start)
            && let Some(labels) = self.labels.take()
        {
            self.seen.add(labels);
            self.in_range += 1;
            self.seen.note_result_size(self.in_range);
        }
        // A second series makes the query fail, so its samples do not matter.
        if self.only.is_empty() {
            self.current.extend_from_slice(samples);
        }
        ControlFlow::Continue(())
    }

    fn kept_bytes(&self) -> usize {
        // A counter needs a second list, for its rates.
        let lists = if let SampleKind::Counter(_) = self.plan.kind { 2 } else { 1 };
        (self.only.len() + self.current.len()) * lists * size_of::<Sample>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_is_too_large_for_json_is_left_out_and_counted() {
        // 1.7e308 in half a second would be 3.4e308 per second; the largest f64 is 1.8e308.
        let samples = [(0, 0.0), (500, 1.7e308), (1_000, 1.7e308), (1_500, f64::INFINITY)];
        let samples = samples.map(|(at, value)| Sample { at, value });
        let mut reader = RawReader::new(RawPlan::new(SampleKind::Counter(None), TimeRange::new(0, 2_000).unwrap()));
        reader.begin(Labels::new);
        assert!(reader.take(&samples).is_continue());
        let RawResult { points, dropped, .. } = reader.into_result();
        assert_eq!(points, [Sample { at: 1_000, value: 0.0 }]);
        assert_eq!(dropped, Dropped { infinite: 1, too_large: 1, ..Dropped::default() });
    }
}
