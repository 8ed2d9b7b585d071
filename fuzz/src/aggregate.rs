//! Samples, raw or in buckets: the points that come of them while they arrive in pieces, beside those of slow arithmetic on
//! all of them at once.

mod described;
mod reference;

use arbitrary::Unstructured;
use prometheusmirror::compute::aggregate::{AggregatePlan, Aggregator};
use prometheusmirror::compute::points::Points;
use prometheusmirror::compute::raw::{RawPlan, RawReader, RawResult};
use prometheusmirror::compute::screen::Dropped;
use prometheusmirror::model::aggregation::{Aggregation, AggregationMethod};
use prometheusmirror::model::query::{NanInterpretation, Order};
use prometheusmirror::model::sample::{Labels, Sample, SampleSink};
use prometheusmirror::model::sample_kind::SampleKind;
use prometheusmirror::model::time::TimeRange;

use described::DescribedQuery;
use reference::{ExpectedPoints, counting};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

/// Checks the points of a query of series, both described by the input.
pub fn check(input: &[u8]) {
    let Ok(query) = described::query(&mut Unstructured::new(input)) else { return };
    match query.aggregation {
        None => check_raw(&query),
        Some(aggregation) => check_buckets(&query, aggregation),
    }
}

fn check_raw(query: &DescribedQuery) {
    let DescribedQuery { kind, range, .. } = *query;
    let mut plan = RawPlan::new(kind, range);
    assert!(plan.read_range().start <= (range.start - least_look_back_ms(kind, 1)).max(0), "{plan:?}");
    let mut is_first = true;
    loop {
        let read = plan.read_range();
        assert_eq!(read.end, range.end);
        let mut handed = within(&query.series, read);
        let mut reader = RawReader::new(plan);
        feed(&mut reader, &handed, &query.pieces);
        // What ended before the range is none of its series.
        handed.retain(|part| part.samples.iter().any(|sample| sample.at >= range.start));
        assert_eq!(reader.seen.len(), handed.len());
        assert_eq!(reader.seen.at_most_one().is_ok(), handed.len() <= 1);
        assert!(!reader.has_too_many_samples());
        if handed.len() > 1 {
            return;
        }
        let RawResult { points, dropped, further_ms } = reader.into_result();
        check_further(further_ms, range.start - read.start, &handed, query);
        if let Some(further_ms) = further_ms.filter(|_| is_first) {
            plan = plan.looking_back(further_ms);
            is_first = false;
            continue;
        }
        let expected = reference::raw(kind, &known(&handed, query).concat(), range);
        let mut expected_dropped = reference::dropped(kind, handed.iter().flat_map(|part| part.samples));
        expected_dropped.too_large = expected.left_out as u64;
        assert_eq!(dropped, expected_dropped);
        let mut found = Points::new(query.limit, query.order);
        found.add_samples(points);
        check_points(found, expected, query);
        return;
    }
}

fn check_buckets(query: &DescribedQuery, aggregation: Aggregation) {
    let DescribedQuery { kind, range, limit, order, .. } = *query;
    let mut plan = AggregatePlan::new(kind, aggregation, range, limit, order);
    let intervals = match aggregation.method {
        AggregationMethod::EventCount => 0,
        AggregationMethod::Sum => 1,
        // A rate is known for two times its interval.
        AggregationMethod::Mean
        | AggregationMethod::Max
        | AggregationMethod::Min
        | AggregationMethod::Percentile(_) => 3,
    };
    assert!(plan.look_back_ms() >= least_look_back_ms(kind, intervals), "{plan:?}");
    let mut is_first = true;
    loop {
        let Some(read) = plan.read_range() else {
            assert!(range.start + aggregation.bucket_ms > range.end);
            return;
        };
        assert!(0 <= read.start && read.end <= range.end, "{plan:?}");
        let handed = within(&query.series, read);
        let mut aggregator = Aggregator::new(plan);
        feed(&mut aggregator, &handed, &query.pieces);
        let further_ms = aggregator.end();
        assert!(!aggregator.has_too_many_samples());
        check_further(further_ms, plan.look_back_ms(), &handed, query);
        if let Some(further_ms) = further_ms.filter(|_| is_first) {
            plan = plan.looking_back(further_ms);
            is_first = false;
            continue;
        }
        assert_eq!(aggregator.dropped(), reference::dropped(kind, handed.iter().flat_map(|part| part.samples)));
        let expected = reference::buckets(kind, &known(&handed, query), aggregation, range);
        let found = aggregator.into_points().expect("not too many buckets");
        assert_eq!(found.has_series, !handed.is_empty());
        check_points(found, expected, query);
        return;
    }
}

/// A series as far as it was read.
struct Part<'q> {
    samples: &'q [Sample],
    /// All of its samples.
    whole: &'q [Sample],
}

/// The samples of each series that lie in a range; none of series without such.
fn within(series: &[Vec<Sample>], range: TimeRange) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for whole in series {
        let before = whole.iter().filter(|sample| sample.at < range.start).count();
        let until = whole.iter().filter(|sample| sample.at <= range.end).count();
        if before < until {
            parts.push(Part { samples: &whole[before..until], whole });
        }
    }
    parts
}

/// Hands over samples in pieces, the sizes of which the input chooses.
fn feed(sink: &mut impl SampleSink, series: &[Part], pieces: &[u8]) {
    let mut sizes = pieces.iter().cycle().map(|piece| usize::from(piece % 7) + 1);
    for part in series {
        sink.begin(Labels::new);
        let mut rest = part.samples;
        while !rest.is_empty() {
            let size = sizes.next().unwrap_or(usize::MAX).min(rest.len());
            let (piece, later) = rest.split_at(size);
            assert!(sink.take(piece).is_continue());
            rest = later;
        }
    }
}

/// How far before a range the samples of counters have to be read at least, for an interval that ends in it to be whole, or for
/// so many times the length of one.
fn least_look_back_ms(kind: SampleKind, intervals: i64) -> i64 {
    match kind {
        SampleKind::Gauge(_) => 0,
        SampleKind::Counter(scrape_interval_ms) => intervals * (5 * MINUTE_MS).max(4 * scrape_interval_ms.unwrap_or(0)),
    }
}

/// What is read once more is longer, and has a bound. Nothing is read again if each series has samples before the range, and all of
/// its samples are so close together that four times their spacing is read anyway.
fn check_further(further_ms: Option<i64>, read_ms: i64, handed: &[Part], query: &DescribedQuery) {
    let DescribedQuery { kind, range, .. } = *query;
    if let Some(further_ms) = further_ms {
        let is_bounded = further_ms <= WEEK_MS && (further_ms >= HOUR_MS || further_ms == range.start);
        assert!(further_ms > read_ms && is_bounded, "{further_ms} after {read_ms}");
        let is_settled = |part: &Part| {
            let counting = counting(kind, part.samples);
            counting.iter().filter(|sample| sample.at < range.start).count() > 1
                && counting.windows(2).all(|pair| 4 * (pair[1].at - pair[0].at) <= 5 * MINUTE_MS)
        };
        assert!(!handed.iter().all(is_settled), "read again for nothing");
    }
}

/// The samples of series that count for what is expected: all there are, if no gap is so long that it matters how many were read.
fn known(handed: &[Part], query: &DescribedQuery) -> Vec<Vec<Sample>> {
    let kind = query.kind;
    let sums = query.aggregation.is_some_and(|aggregation| aggregation.method == AggregationMethod::Sum);
    // A rate goes across such a gap whatever the other gaps are. A sum counts what was counted in an hour.
    let longest_ms = least_look_back_ms(kind, 1).max(if sums { HOUR_MS } else { 0 });
    let is_steady = |part: &Part| {
        let counting = counting(kind, part.whole);
        counting.windows(2).all(|pair| pair[1].at - pair[0].at <= longest_ms)
    };
    let are_steady = handed.iter().all(is_steady);
    handed.iter().map(|part| if are_steady { part.whole.to_vec() } else { part.samples.to_vec() }).collect()
}

/// The points are those that are expected, oldest first, once they are put in order and cut.
fn check_points(found: Points, expected: ExpectedPoints, query: &DescribedQuery) {
    // Only numbers of which a few make more than the largest number get here. Left open is what such sums of rates come to, and
    // whether a point that is left out counts for the limit.
    if expected.has_overflow || expected.left_out > 0 {
        return;
    }
    let mut expected = expected.points;
    if query.order == Order::NewestFirst {
        expected.reverse();
    }
    let (is_partial, limit) = (expected.len() > query.limit, query.limit);
    expected.truncate(limit);
    let found_partial = found.is_partial;
    let found = found.into_list();
    let are_close =
        found.len() == expected.len() && found.iter().zip(&expected).all(|(found, expected)| expected.is_close(*found));
    assert!(are_close, "found {found:?}, expected {expected:?} of {query:#?}");
    assert_eq!(found_partial, is_partial, "{query:#?}");
}

/// What a NaN of a kind becomes.
fn is_nan_zero(kind: SampleKind) -> bool {
    kind == SampleKind::Gauge(NanInterpretation::Zero)
}

/// Nothing that was left out.
const NONE_DROPPED: Dropped = Dropped { nan: 0, infinite: 0, too_large: 0 };
