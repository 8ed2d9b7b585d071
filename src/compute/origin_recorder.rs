//! Records the samples that are read for a query, for the explanation of its response.
//!
//! It keeps the samples that the first points are made of. Its counts, such as that of resets, include all samples. Queries that are
//! not explained are not recorded.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use crate::compute::look_back::{Counted, LookBack};
use crate::compute::origins::{OriginSample, OriginSeries, Origins};
use crate::compute::rate::CounterReader;
use crate::compute::screen::Screen;
use crate::compute::spacing;
use crate::model::query::Order;
use crate::model::sample::{Labels, Sample, SampleSink};
use crate::model::sample_kind::SampleKind;
use crate::model::time::TimeRange;

/// The most series that are described.
pub const MAX_SERIES: usize = 20;

/// The most samples that are kept of each series: 16 hours at a scrape interval of 15 s.
const MAX_SAMPLES: usize = 4_000;

/// The most spacings before the range of the query that are kept of each series. They matter if there are few in the range.
const MAX_SPACINGS_BEFORE: usize = 5;

/// Records the samples of a read.
#[derive(Debug)]
pub struct OriginRecorder {
    range: TimeRange,
    order: Order,
    screen: Screen,
    reader: CounterReader,
    origins: Origins,
    /// The current series, if it is one of the first.
    current: Option<OriginSeries>,
    /// The times between the samples of the current series, in milliseconds; at most [`MAX_SAMPLES`] of them.
    spacings: VecDeque<u32>,
    /// The time of the newest sample of the current series.
    newest_ms: Option<i64>,
    /// The newest sample of the current counter that counts.
    newest: Option<Sample>,
}

impl OriginRecorder {
    /// A recorder for a query of a range, whose points come in this order.
    pub fn new(kind: SampleKind, range: TimeRange, order: Order) -> OriginRecorder {
        let interval_ms = match kind {
            SampleKind::Gauge(_) => None,
            SampleKind::Counter(interval_ms) => interval_ms,
        };
        let look_back = LookBack { start: range.start, read_ms: i64::MAX, samples: 0, counted: Counted::WithRate };
        OriginRecorder {
            range,
            order,
            screen: Screen::of(kind),
            reader: CounterReader::new(look_back, interval_ms),
            origins: Origins { kind, series: Vec::new(), series_total: 0, samples_total: 0, longest_spacing_ms: None },
            current: None,
            spacings: VecDeque::new(),
            newest_ms: None,
            newest: None,
        }
    }

    /// What was recorded.
    pub fn into_origins(mut self) -> Origins {
        self.end_series();
        self.origins
    }

    fn kept_bytes(&self) -> usize {
        let samples = self.origins.series.iter().chain(&self.current).map(|one| one.samples.len()).sum::<usize>();
        samples * size_of::<OriginSample>() + self.spacings.len() * size_of::<u32>()
    }

    fn begin(&mut self, labels: &Labels) {
        self.end_series();
        self.origins.series_total += 1;
        self.current = (self.origins.series.len() < MAX_SERIES).then(|| OriginSeries::new(labels.clone()));
    }

    fn end_series(&mut self) {
        let median_spacing_ms = spacing::median(self.spacings.make_contiguous()).map(i64::from);
        self.origins.longest_spacing_ms = self.origins.longest_spacing_ms.max(median_spacing_ms);
        self.origins.series.extend(self.current.take().map(|series| OriginSeries { median_spacing_ms, ..series }));
        self.reader.end_series();
        self.spacings.clear();
        (self.newest_ms, self.newest) = (None, None);
    }

    fn take(&mut self, samples: &[Sample]) {
        self.origins.samples_total += samples.len() as u64;
        self.note_spacings(samples);
        let Some(series) = &mut self.current else { return };
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return };
        if series.total == 0 {
            series.first_ms = first.at;
        }
        series.last_ms = last.at;
        series.total += samples.len() as u64;
        let finite = self.screen.finite(samples);
        if let SampleKind::Gauge(_) = self.origins.kind {
            let kept = |&sample| OriginSample { sample, has_rate: None };
            finite.iter().map(kept).for_each(|sample| keep(series, self.range.start, self.order, sample));
            return;
        }
        self.reader.take(finite, |sample, interval| {
            let counts = interval.filter(|_| self.range.contains(sample.at));
            // A counter that restarted grew by its new value.
            let from = self.newest.replace(sample);
            series.resets += u64::from(counts.is_some() && from.is_some_and(|from| sample.value < from.value));
            series.gaps += u64::from(counts.is_some_and(|interval| !interval.has_rate));
            let has_rate = interval.map(|interval| interval.has_rate);
            keep(series, self.range.start, self.order, OriginSample { sample, has_rate });
        });
    }

    fn note_spacings(&mut self, samples: &[Sample]) {
        for sample in samples {
            let Some(before_ms) = self.newest_ms.replace(sample.at) else { continue };
            let is_before = sample.at < self.range.start;
            let is_full = self.spacings.len() >= if is_before { MAX_SPACINGS_BEFORE } else { MAX_SAMPLES };
            if is_full && !is_before && self.order == Order::OldestFirst {
                continue;
            }
            if is_full {
                self.spacings.pop_front();
            }
            self.spacings.push_back(u32::try_from(sample.at - before_ms).unwrap_or(u32::MAX));
        }
    }
}

/// Keeps a sample, if it is one of the oldest of the range, or of the newest where the newest points come first. Of those before the
/// range, it keeps the newest, whose rate the first points may take.
fn keep(series: &mut OriginSeries, start: i64, order: Order, sample: OriginSample) {
    if sample.sample.at < start {
        series.before = series.samples.pop_front().map(|one| one.sample);
    } else if series.samples.len() == MAX_SAMPLES {
        match order {
            Order::OldestFirst => {
                series.complete.end = series.samples[MAX_SAMPLES - 1].sample.at;
                return;
            }
            Order::NewestFirst => {
                series.before = series.samples.pop_front().map(|one| one.sample);
                // A later point may also take the rate that is known since the first sample.
                series.complete.start = series.samples[0].sample.at + 1;
            }
        }
    }
    series.samples.push_back(sample);
}

/// A sink, with a recorder of the samples that it gets if the query is recorded.
#[derive(Debug)]
pub struct Recorded<S> {
    /// The sink.
    pub sink: S,
    /// The recorder.
    pub recorder: Option<OriginRecorder>,
}

impl<S: SampleSink> SampleSink for Recorded<S> {
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
        self.sink.kept_bytes() + self.recorder.as_ref().map_or(0, OriginRecorder::kept_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::query::NanInterpretation;

    const GAUGE: SampleKind = SampleKind::Gauge(NanInterpretation::None);
    const COUNTER: SampleKind = SampleKind::Counter(None);

    fn labels(nth: usize) -> Labels {
        Labels::from([("nth".to_owned(), nth.to_string())])
    }

    fn recorded(kind: SampleKind, range: TimeRange, order: Order, given: &[Sample]) -> Origins {
        let mut recorder = OriginRecorder::new(kind, range, order);
        // A series before it leaves no trace.
        recorder.begin(&labels(0));
        recorder.take(&[Sample { at: 1, value: 1e9 }, Sample { at: 500_000_000, value: 2e9 }]);
        recorder.begin(&labels(1));
        given.chunks(120).for_each(|chunk| recorder.take(chunk));
        recorder.into_origins()
    }

    #[test]
    fn the_samples_nearest_to_the_first_points_are_kept() {
        let given: Vec<Sample> = (0..10_000).map(|nth| Sample { at: nth, value: 1.0 }).collect();
        let all = TimeRange { start: i64::MIN, end: i64::MAX };
        for (order, first_kept, complete) in [
            (Order::OldestFirst, 0, TimeRange { end: 3_999, ..all }),
            (Order::NewestFirst, 6_000, TimeRange { start: 6_001, ..all }),
        ] {
            let origins = recorded(GAUGE, TimeRange { start: 0, end: 10_000 }, order, &given);
            assert_eq!((origins.series_total, origins.samples_total, origins.series.len()), (2, 10_002, 2));
            let OriginSeries { total, first_ms, last_ms, samples, .. } = &origins.series[1];
            assert_eq!((*total, *first_ms, *last_ms, samples.len()), (10_000, 0, 9_999, MAX_SAMPLES));
            assert_eq!((samples[0].sample.at, origins.series[1].complete), (first_kept, complete), "{order:?}");
        }
    }

    #[test]
    fn samples_that_do_not_count_make_nothing_incomplete() {
        let value = |nth: i64| if nth % 2 == 0 { f64::NAN } else { 1.0 };
        let given: Vec<Sample> = (0..100).map(|nth| Sample { at: nth, value: value(nth) }).collect();
        let series = &recorded(GAUGE, TimeRange { start: 0, end: 100 }, Order::NewestFirst, &given).series[1];
        assert_eq!((series.total, series.samples.len(), series.median_spacing_ms), (100, 50, Some(1)));
        assert_eq!(series.complete, TimeRange { start: i64::MIN, end: i64::MAX });
    }

    #[test]
    fn resets_and_gaps_are_counted_in_all_samples_of_the_range() {
        // A reset after each hundredth sample, from the hundredth on; a gap of ten minutes after each thousandth.
        let at = |nth: i64| nth * 15_000 + nth / 1_000 * 600_000;
        let given: Vec<Sample> = (0..10_000).map(|nth| Sample { at: at(nth), value: (nth % 100) as f64 }).collect();
        // The reset and the gap at the sample 1,000 end before the range; so do nine other resets.
        let range = TimeRange { start: at(1_000) + 1, end: at(9_999) };
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let origins = recorded(COUNTER, range, order, &given);
            let series = &origins.series[1];
            assert_eq!((series.resets, series.gaps), (89, 8), "{order:?}");
            assert_eq!((series.median_spacing_ms, series.samples.len()), (Some(15_000), MAX_SAMPLES), "{order:?}");
        }
    }

    #[test]
    fn samples_before_the_range_leave_room_for_those_in_it() {
        // Each minute for a week, then each 15 s.
        let before = (0..10_000).map(|nth| nth * 60_000);
        let start = 10_000 * 60_000;
        let inside = (0..400).map(|nth| start + nth * 15_000);
        let given: Vec<Sample> = before.chain(inside).map(|at| Sample { at, value: at as f64 }).collect();
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let series = &recorded(COUNTER, TimeRange { start, end: start + 6_000_000 }, order, &given).series[1];
            assert_eq!((series.total, series.median_spacing_ms), (10_400, Some(15_000)), "{order:?}");
            let first = series.samples[0];
            assert_eq!((first.sample.at, first.has_rate, series.samples.len()), (start - 60_000, Some(true), 401));
            assert_eq!(series.before.map(|one| one.at), Some(start - 120_000));
            assert_eq!(series.complete, TimeRange { start: i64::MIN, end: i64::MAX });
        }
    }

    #[test]
    fn further_series_are_only_counted_and_measured() {
        let mut recorder = OriginRecorder::new(COUNTER, TimeRange { start: 0, end: 1_000_000 }, Order::OldestFirst);
        for nth in 0..30 {
            recorder.begin(&labels(nth));
            let spacing_ms = if nth == 25 { 300_000 } else { 15_000 };
            recorder.take(&[0, 1, 2].map(|scrape| Sample { at: 7 + scrape * spacing_ms, value: nth as f64 }));
        }
        let origins = recorder.into_origins();
        assert_eq!((origins.series.len(), origins.series_total, origins.samples_total), (MAX_SERIES, 30, 90));
        assert_eq!(origins.longest_spacing_ms, Some(300_000));
        let last = &origins.series[19];
        assert_eq!((&last.labels, last.samples[0].sample.value), (&labels(19), 19.0));
    }
}
