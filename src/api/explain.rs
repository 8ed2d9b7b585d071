//! Explains a response: which calls were made, and which samples each of the first points is made of.

use crate::api::equivalent_promql::{equivalent, graph};
use crate::api::recording::Recording;
use crate::api::run::Run;
use crate::compute::origin_recorder::MAX_SERIES;
use crate::compute::origins::{Increment, OriginSeries, Origins, PointOrigin};
use crate::compute::points::Points;
use crate::compute::subquery::EXPRESSION_INTERVAL_MS;
use crate::metrics::SampleSource;
use crate::model::aggregation::{Aggregation, AggregationMethod};
use crate::model::query::{MetricQuery, Source};
use crate::model::sample::Sample;
use crate::model::sample_kind::SampleKind;
use crate::prometheus::{CallRecord, Session};
use crate::wire::explanation::{
    CallMade, ExplainedIncrement, ExplainedPoint, ExplainedPoints, ExplainedSample, ExplainedSeries, Explanation,
    LeftOut, ScrapeInterval, Share,
};

/// The most points that are explained.
const MAX_POINTS: usize = 20;

/// The most samples and increments that are listed for one point, and for all points: about two megabytes.
const MAX_LISTED_OF_POINT: usize = 1_000;
const MAX_LISTED: usize = 20_000;

/// The explanation of a query that was run, whether it succeeded or not. `of_points` is there if a query for points succeeded.
pub(super) fn explanation(session: &Session<'_>, of_points: Option<Explanation>) -> Explanation {
    Explanation {
        upstream: Some(session.upstream().name().to_owned()),
        replica: session.upstream().replica().map(str::to_owned),
        calls: session.recorded_calls().unwrap_or_default().iter().map(call_made).collect(),
        ..of_points.unwrap_or_default()
    }
}

fn call_made(call: &CallRecord) -> CallMade {
    let CallRecord { replica, path, query, times, status, outcome, took, bytes, series, samples } = call.clone();
    CallMade {
        replica,
        path,
        query,
        times: times.into_iter().collect(),
        status,
        outcome,
        milliseconds: (took.as_secs_f64() * 1e6).round() / 1e3,
        bytes,
        series,
        samples,
    }
}

/// What points are made of and how.
pub(super) fn points_explanation(run: &Run<'_, '_>, points: &Points) -> Explanation {
    let Run { ref session, query, nan, interval_ms, ref recording } = *run;
    let Recording { source, is_scalar, measured_ms, .. } = *recording;
    let (origins, is_promql) = (recording.origins.as_ref(), source == Some(SampleSource::PromQl));
    let mut notes: Vec<String> = origins.into_iter().flat_map(notes_on).collect();
    if is_promql {
        notes.push(
            "The query covers more samples than the mirror reads, or has too many buckets, so PromQL computed the points: choose a \
             shorter range or longer buckets to see the samples."
                .to_owned(),
        );
    }
    let spacing_ms = origins.map_or(measured_ms, |origins| origins.longest_spacing_ms);
    let given = interval_ms.map(|milliseconds| ScrapeInterval { milliseconds, from: "given" });
    let measured = spacing_ms.map(|milliseconds| ScrapeInterval { milliseconds, from: "measured" });
    let equivalent_promql = equivalent(query, nan, interval_ms, spacing_ms, is_scalar);
    let source = match (source, &query.source) {
        (Some(SampleSource::RemoteRead), _) => Some("remote read"),
        (Some(SampleSource::RangeSelector), _) => Some("range selector"),
        (Some(SampleSource::PromQl), _) => Some("PromQL"),
        (None, Source::Expression(_)) if session.calls() > 0 => Some("PromQL"),
        // Without a whole bucket in the range, no values are queried.
        (None, _) => None,
    };
    let dropped = points.dropped;
    let points = ExplainedPoints {
        series_total: origins.map(|origins| origins.series_total),
        samples_total: origins.map(|origins| origins.samples_total),
        series: origins.map(described).unwrap_or_default(),
        left_out: LeftOut { nan: dropped.nan, infinite: dropped.infinite, too_large: dropped.too_large },
        scrape_interval: given.or(measured),
        points: explained_points(query, points, origins),
        graph: graph(session, &equivalent_promql, query.range),
        equivalent_promql,
    };
    let rule = Some(rule(query, is_promql, interval_ms));
    Explanation { source, rule, points: Some(points), notes, ..Explanation::default() }
}

/// What the explanation leaves out of the samples that were read.
fn notes_on(origins: &Origins) -> Vec<String> {
    let mut notes = Vec::new();
    if origins.series_total > MAX_SERIES as u64 {
        notes.push(format!(
            "Samples are listed for {MAX_SERIES} of {} series: add conditions to see those of others.",
            origins.series_total
        ));
    }
    if !origins.is_complete() {
        notes.push(
            "Some series have more samples in this range than the explanation keeps, so points without \"madeOf\" do not list \
             theirs: choose a shorter range."
                .to_owned(),
        );
    }
    notes
}

fn described(origins: &Origins) -> Vec<ExplainedSeries> {
    let is_counter = matches!(origins.kind, SampleKind::Counter(_));
    let described = |series: &OriginSeries| ExplainedSeries {
        labels: series.labels.clone(),
        samples: series.total,
        first: series.first_ms,
        last: series.last_ms,
        median_spacing_millis: series.median_spacing_ms,
        resets: is_counter.then_some(series.resets),
        gaps: is_counter.then_some(series.gaps),
    };
    origins.series.iter().map(described).collect()
}

/// What a point takes from the series: at most `most` samples and increments, and the number of those left out. `None` if not all
/// samples of the point were kept.
fn shares(
    origins: &Origins,
    aggregation: Option<Aggregation>,
    first: i64,
    last: i64,
    most: usize,
) -> Option<(Vec<Share>, usize)> {
    let complete = origins.complete();
    if first < complete.start || last > complete.end {
        return None;
    }
    let (mut shares, mut left, mut omitted) = (Vec::new(), most, 0);
    for (nth, series) in origins.series.iter().enumerate() {
        let mut origin = series.of_point(origins.kind, aggregation, first, last);
        omitted += origin.shorten(left);
        left -= origin.samples.len() + origin.increments.len();
        if !origin.is_empty() {
            shares.push(share(nth, origin));
        }
    }
    Some((shares, omitted))
}

fn share(series: usize, origin: PointOrigin) -> Share {
    let PointOrigin { samples, increments, last_known } = origin;
    let without_end = |one: Increment| ExplainedIncrement { known_until: None, ..increment(one) };
    Share {
        series,
        samples: samples.into_iter().map(sample).collect(),
        increments: increments.into_iter().map(without_end).collect(),
        last_known: last_known.map(increment),
    }
}

fn sample(Sample { at, value }: Sample) -> ExplainedSample {
    ExplainedSample(at, value)
}

fn increment(Increment { from, to, interval }: Increment) -> ExplainedIncrement {
    ExplainedIncrement {
        from: sample(from),
        to: sample(to),
        increase: interval.increase,
        per_second: interval.has_rate.then(|| interval.rate()),
        known_until: Some(interval.known_until()),
    }
}

fn explained_points(query: &MetricQuery, points: &Points, origins: Option<&Origins>) -> Vec<ExplainedPoint> {
    let mut left = MAX_LISTED;
    let explained = |point: &Sample| {
        let end = query.aggregation.map(|aggregation| point.at + aggregation.bucket_ms);
        let last = end.map_or(point.at, |end| end - 1);
        let most = left.min(MAX_LISTED_OF_POINT);
        let shares = origins.and_then(|origins| shares(origins, query.aggregation, point.at, last, most));
        let (made_of, omitted) = shares.map_or((None, 0), |(shares, omitted)| (Some(shares), omitted));
        let listed = made_of.iter().flatten().map(|share| share.samples.len() + share.increments.len());
        left -= listed.sum::<usize>();
        ExplainedPoint { time: point.at, end, value: point.value, made_of, omitted }
    };
    points.first(MAX_POINTS).iter().map(explained).collect()
}

/// How a point is computed, in short sentences.
fn rule(query: &MetricQuery, is_promql: bool, interval_ms: Option<i64>) -> String {
    use AggregationMethod::{EventCount, Max, Mean, Min, Percentile, Sum};
    let method = query.aggregation.map(|aggregation| aggregation.method);
    let (step, value) = (interval_ms.unwrap_or(EXPRESSION_INTERVAL_MS), method.map(of_values).unwrap_or_default());
    let rule = match (&query.source, method) {
        (Source::Expression(_), None) => {
            format!("The value of the expression every {step} ms, as Prometheus evaluates it.")
        }
        (Source::Expression(_), Some(_)) => {
            format!("{value} of the expression's values in the bucket, as Prometheus evaluates it.")
        }
        (Source::Gauge(_), None) => "The samples, as Prometheus has stored them.".to_owned(),
        (_, Some(EventCount)) => "The number of samples in the bucket, of all series.".to_owned(),
        (Source::Gauge(_), Some(_)) => format!("{value} of the samples in the bucket, of all series."),
        (Source::Counter(_), None) => String::from(
            "At each sample: the increase since the sample before it, divided by the seconds between the two.",
        ),
        (Source::Counter(_), Some(Sum)) => String::from(
            "The sum of the increases in the bucket, of all series. An increase counts in the bucket of its later sample.",
        ),
        (Source::Counter(_), Some(Mean)) => String::from(
            "For each series: its increases in the bucket, divided by the seconds that they took. A series without samples in the \
             bucket keeps its last known rate. The point is the sum of all series.",
        ),
        (Source::Counter(_), Some(Max | Min | Percentile(_))) => format!(
            "{value} of the total rates at the samples in the bucket. A total rate is the sum of the last known rates of all series.",
        ),
    };
    if is_promql { rule + " PromQL computed it, so it may differ slightly." } else { rule }
}

fn of_values(method: AggregationMethod) -> String {
    match method {
        AggregationMethod::Mean => "The mean".to_owned(),
        AggregationMethod::Max => "The largest".to_owned(),
        AggregationMethod::Min => "The smallest".to_owned(),
        AggregationMethod::Percentile(percent) => format!("The {percent}th percentile"),
        AggregationMethod::Sum => "The sum".to_owned(),
        AggregationMethod::EventCount => "The number".to_owned(),
    }
}
