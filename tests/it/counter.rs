//! Counters: raw rates against the samples, rates in buckets against Prometheus's own answer to the expression that the
//! translation rules give, and both against what was really counted.

use crate::support::ask::{Gateway, Query, assert_cut, assert_error, assert_points};
use crate::support::oracle::{self, Nan, close};
use crate::support::prometheus;
use crate::support::samples::{DAY, HOUR, MINUTE, SECOND, T0, one, select};

/// Rounding of a sum in another order.
const ROUNDING: f64 = 1e-9;

#[test]
fn raw_points_are_the_rates_between_neighbouring_samples() {
    let check = |name: &str, labels: &[(&str, &str)], (start, end): (i64, i64), nan: Nan| {
        let gateway = Gateway::to_prometheus().with_nan(nan);
        let query = labels.iter().fold(Query::counter(name), |query, (key, value)| query.label(key, value));
        let answer = gateway.ask(&query.between(start, end));
        let expected = oracle::rates(one(name, labels), start, end, nan);
        assert_points(&answer, &expected, ROUNDING, &format!("{name} {labels:?} from {start} to {end}"));
    };
    let three_hours = (T0, T0 + 3 * HOUR);
    // Resets, two of them in a row.
    check("http_requests_total", &[("pod", "a"), ("code", "200")], three_hours, Nan::None);
    check("http_requests_total", &[("pod", "a"), ("code", "500")], three_hours, Nan::None);
    check("jobs_60s_total", &[], three_hours, Nan::None);
    // Silences of just under, exactly and just over five minutes.
    check("gappy_total", &[], (T0, T0 + 6 * HOUR), Nan::None);
    check("odd_total", &[], three_hours, Nan::None);
    check("odd_total", &[], three_hours, Nan::Zero);
    // The sample before the range counts for the first rate in it, however close the range begins.
    let samples = &one("gappy_total", &[]).samples;
    for index in 1..samples.len() {
        let time = samples[index].time;
        check("gappy_total", &[], (time, time), Nan::None);
        check("gappy_total", &[], (samples[index - 1].time + 1, time), Nan::None);
    }
}

#[test]
fn the_first_sample_of_a_series_has_no_rate() {
    let series = one("jobs_15s_total", &[]);
    let first = series.samples[0].time;
    let answer = Gateway::to_prometheus().ask(&Query::counter("jobs_15s_total").between(T0 - DAY, first));
    assert_points(&answer, &[], 0.0, "up to the first sample");
}

#[test]
fn what_ended_before_the_range_is_none_of_its_series() {
    // Its last samples are fetched with those of the range: for the first rate, and since ranges are closed.
    let gateway = Gateway::to_prometheus();
    let (ended, new) = (T0 + HOUR, one("handover_total", &[("host", "new")]));
    let range = (ended + MINUTE, ended + 30 * MINUTE);
    let answer = gateway.ask(&Query::counter("handover_total").between(range.0, range.1));
    assert_points(&answer, &oracle::rates(new, range.0, range.1, Nan::None), ROUNDING, "rates");
    let range = (ended + 1, ended + 30 * MINUTE);
    let answer = gateway.ask(&Query::gauge("handover_total").between(range.0, range.1));
    assert_points(&answer, &oracle::raw(new, range.0, range.1, Nan::None), 0.0, "samples");
    // A millisecond earlier there are two.
    let answer = gateway.ask(&Query::gauge("handover_total").between(ended, range.1));
    assert_error(&answer, "RemoteMirrorError", &["Too many metrics.", "host"]);
}

#[test]
fn a_range_that_ends_in_the_future_changes_no_interval() {
    let gateway = Gateway::to_prometheus();
    for end in [4_102_444_800_000, 253_402_300_799_999_i64] {
        let promql = "max_over_time(sum(rate(jobs_15s_total[1m]))[1h:30s])";
        let query = Query::counter("jobs_15s_total").between(T0, end).aggregated("MAX", HOUR).limit(3);
        let expected = prometheus::shared().buckets(promql, T0, T0 + 3 * HOUR, HOUR);
        assert_cut(&gateway.ask(&query), &(expected, true), ROUNDING, &format!("to {end}"));
    }
}

#[test]
fn polls_of_adjacent_ranges_see_every_rate_once() {
    let gateway = Gateway::to_prometheus();
    let starts = (0..60).map(|index| T0 + index * MINUTE);
    let polls = starts.map(|start| Query::counter("jobs_15s_total").between(start, start + MINUTE - 1));
    let points: Vec<_> = polls.flat_map(|poll| gateway.ask(&poll).points()).collect();
    let expected = oracle::rates(one("jobs_15s_total", &[]), T0, T0 + HOUR - 1, Nan::None);
    assert_eq!(points.len(), expected.len());
    assert!(
        points.iter().zip(&expected).all(|(point, rate)| point[1] == rate[1] && close(point[0], rate[0], ROUNDING))
    );
}

#[test]
fn a_range_of_many_days_has_every_rate_once_and_without_a_break() {
    let gateway = Gateway::to_prometheus();
    let series = one("ten_days_total", &[]);
    for (start, end) in [(T0, T0 + 10 * DAY), (T0 + DAY + 1, T0 + 9 * DAY + 17 * SECOND)] {
        let expected = oracle::rates(series, start, end, Nan::None);
        assert!(expected.iter().all(|point| point[0] == 0.5));
        for (limit, latest_first) in [(20_000, false), (20_000, true), (9000, false), (9000, true)] {
            let query = Query::counter(series.name).between(start, end).limit(limit).latest_first(latest_first);
            let what = format!("{start} to {end}, limit {limit}, latest first {latest_first}");
            assert_cut(&gateway.ask(&query), &oracle::cut(expected.clone(), limit, latest_first), 0.0, &what);
        }
    }
}

/// In each bucket of `range` the counter has the value of `promql`, times `factor`, at the bucket's last millisecond.
fn check_buckets(gateway: &Gateway, query: &Query, method: &str, range: (i64, i64, i64), promql: &str, factor: f64) {
    let (start, end, bucket) = range;
    let mut expected = prometheus::shared().buckets(promql, start, end, bucket);
    assert!(!expected.is_empty(), "{promql} says nothing");
    expected.iter_mut().for_each(|point| point[0] *= factor);
    if method == "SUM" {
        expected = filled(expected, start, end, bucket);
    }
    let answer = gateway.ask(&query.clone().between(start, end).aggregated(method, bucket));
    assert_points(&answer, &expected, ROUNDING, &format!("{method} by {bucket} ms from {start}: {promql}"));
}

/// The same points with a zero for each whole bucket that has none.
fn filled(points: Vec<Vec<f64>>, start: i64, end: i64, bucket: i64) -> Vec<Vec<f64>> {
    let starts = (0..(end - start) / bucket).map(|index| (start + index * bucket) as f64);
    let there = |from: f64| points.iter().find(|point| point[1] == from).cloned();
    starts.map(|from| there(from).unwrap_or_else(|| vec![0.0, from, from + bucket as f64])).collect()
}

/// The expressions of the translation rules for a scrape interval of 15 s, written out: method, bucket in seconds,
/// expression, factor. `S` stands for the selector.
const EXPRESSIONS: &[(&str, i64, &str, f64)] = &[
    ("MEAN", 10, "sum(rate(S[60s]))", 1.0),
    ("MEAN", 60, "sum(rate(S[60s]))", 1.0),
    ("MEAN", 300, "sum(rate(S[300s]))", 1.0),
    ("MAX", 10, "max_over_time(sum(rate(S[60s]))[10s:10s])", 1.0),
    ("MAX", 60, "max_over_time(sum(rate(S[60s]))[60s:15s])", 1.0),
    ("MAX", 300, "max_over_time(sum(rate(S[60s]))[300s:15s])", 1.0),
    ("MIN", 300, "min_over_time(sum(rate(S[60s]))[300s:15s])", 1.0),
    ("PERCENTILE_25", 300, "quantile_over_time(0.25, sum(rate(S[60s]))[300s:15s])", 1.0),
    ("PERCENTILE_50", 300, "quantile_over_time(0.5, sum(rate(S[60s]))[300s:15s])", 1.0),
    ("PERCENTILE_75", 300, "quantile_over_time(0.75, sum(rate(S[60s]))[300s:15s])", 1.0),
    ("PERCENTILE_90", 300, "quantile_over_time(0.9, sum(rate(S[60s]))[300s:15s])", 1.0),
    ("PERCENTILE_95", 300, "quantile_over_time(0.95, sum(rate(S[60s]))[300s:15s])", 1.0),
    ("PERCENTILE_98", 300, "quantile_over_time(0.98, sum(rate(S[60s]))[300s:15s])", 1.0),
    ("PERCENTILE_99", 300, "quantile_over_time(0.99, sum(rate(S[60s]))[300s:15s])", 1.0),
    // At most 120 evaluations a bucket: 20 s apart where a bucket takes 40 minutes, not a multiple of 15 s at 31.
    ("MAX", 1200, "max_over_time(sum(rate(S[60s]))[1200s:15s])", 1.0),
    ("MAX", 1860, "max_over_time(sum(rate(S[60s]))[1860s:15500ms])", 1.0),
    ("PERCENTILE_90", 2400, "quantile_over_time(0.9, sum(rate(S[60s]))[2400s:20s])", 1.0),
    ("SUM", 10, "sum(rate(S[60s]))", 10.0),
    ("SUM", 60, "sum(rate(S[60s]))", 60.0),
    ("SUM", 300, "sum(rate(S[300s]))", 300.0),
    ("SUM_NO_ZEROS", 10, "sum(rate(S[60s]))", 10.0),
    ("SUM_NO_ZEROS", 300, "sum(rate(S[300s]))", 300.0),
];

#[test]
fn each_method_is_the_expression_of_the_translation_rules() {
    let gateway = Gateway::to_prometheus().with("scrapeInterval", 15_000);
    for (method, bucket, expression, factor) in EXPRESSIONS {
        // Enough buckets of each size; from before the first sample, so that there are buckets without data.
        let (start, bucket) = (T0 - 10 * MINUTE, bucket * SECOND);
        let end = start + (120 * bucket).clamp(30 * MINUTE, 6 * HOUR);
        for (name, offset) in [("http_requests_total", 0), ("http_requests_total", 7123), ("jobs_15s_total", 3218)] {
            let range = (start + offset, end + offset, bucket);
            let promql = expression.replace('S', name);
            check_buckets(&gateway, &Query::counter(name), method, range, &promql, *factor);
        }
    }
}

#[test]
fn the_scrape_interval_is_measured_where_it_is_not_given() {
    let check = |name: &str, given: Option<i64>, method: &str, bucket: i64, promql: &str| {
        let mut gateway = Gateway::to_prometheus();
        if let Some(interval) = given {
            gateway = gateway.with("scrapeInterval", interval);
        }
        let range = (T0 + HOUR, T0 + 2 * HOUR, bucket);
        check_buckets(&gateway, &Query::counter(name), method, range, promql, 1.0);
    };
    for given in [false, true] {
        let given = |seconds: i64| given.then_some(seconds * SECOND);
        check("jobs_15s_total", given(15), "MEAN", 10 * SECOND, "sum(rate(jobs_15s_total[1m]))");
        check("jobs_30s_total", given(30), "MEAN", 10 * SECOND, "sum(rate(jobs_30s_total[2m]))");
        check("jobs_60s_total", given(60), "MEAN", 10 * SECOND, "sum(rate(jobs_60s_total[4m]))");
        check("jobs_60s_total", given(60), "MEAN", 5 * MINUTE, "sum(rate(jobs_60s_total[5m]))");
        check("jobs_15s_total", given(15), "MAX", 5 * MINUTE, "max_over_time(sum(rate(jobs_15s_total[1m]))[5m:15s])");
        check("jobs_30s_total", given(30), "MAX", 5 * MINUTE, "max_over_time(sum(rate(jobs_30s_total[2m]))[5m:30s])");
        check("jobs_60s_total", given(60), "MAX", 5 * MINUTE, "max_over_time(sum(rate(jobs_60s_total[4m]))[5m:60s])");
        check("jobs_60s_total", given(60), "MIN", 20 * SECOND, "min_over_time(sum(rate(jobs_60s_total[4m]))[20s:20s])");
    }
    // Nor does one measurement pass for another's.
    let gateway = Gateway::to_prometheus();
    let range = (T0 + HOUR, T0 + 2 * HOUR, 10 * SECOND);
    for _ in 0..2 {
        for (worker, window) in [("fast", "1m"), ("slow", "4m")] {
            let promql = format!("sum(rate(uneven_total{{worker=\"{worker}\"}}[{window}]))");
            let query = Query::counter("uneven_total").label("worker", worker);
            check_buckets(&gateway, &query, "MEAN", range, &promql, 1.0);
        }
        check_buckets(&gateway, &Query::counter("jobs_30s_total"), "MEAN", range, "sum(rate(jobs_30s_total[2m]))", 1.0);
    }
    // A given interval rules, even one that is not what the samples say.
    check("jobs_15s_total", Some(45_000), "MEAN", 10 * SECOND, "sum(rate(jobs_15s_total[3m]))");
}

#[test]
fn the_interval_is_measured_although_the_range_reaches_past_the_last_sample() {
    let gateway = Gateway::to_prometheus();
    let range = (T0 + 2 * HOUR, T0 + 5 * HOUR, 10 * SECOND);
    let query = Query::counter("jobs_60s_total");
    check_buckets(&gateway, &query, "MEAN", range, "sum(rate(jobs_60s_total[4m]))", 1.0);
}

#[test]
fn the_interval_is_measured_although_the_range_ends_days_after_the_last_sample() {
    let gateway = Gateway::to_prometheus();
    // A chart of a week has to show what ended on its first day.
    for end in [T0 + 20 * HOUR, T0 + 3 * DAY, T0 + 9 * DAY] {
        for (name, window, resolution) in [("jobs_15s_total", "1m", "30s"), ("jobs_30s_total", "2m", "30s")] {
            let promql = format!("max_over_time(sum(rate({name}[{window}]))[1h:{resolution}])");
            check_buckets(&gateway, &Query::counter(name), "MAX", (T0, end, HOUR), &promql, 1.0);
        }
    }
}

#[test]
fn event_count_is_the_number_of_samples_of_all_series() {
    let gateway = Gateway::to_prometheus();
    for name in ["http_requests_total", "jobs_30s_total", "gappy_total"] {
        for (start, bucket) in [(T0, MINUTE), (T0 + 3217, MINUTE), (T0 + 3218, 7 * MINUTE)] {
            for method in ["EVENT_COUNT", "EVENT_COUNT_NO_ZEROS"] {
                let range = (start, start + 4 * HOUR);
                let answer = gateway.ask(&Query::counter(name).between(range.0, range.1).aggregated(method, bucket));
                let expected = oracle::buckets(&select(name, &[]), method, range, bucket, Nan::None);
                assert_points(&answer, &expected, 0.0, &format!("{method} of {name} by {bucket} ms from {start}"));
            }
        }
    }
}

#[test]
fn the_mean_over_five_minutes_and_more_is_what_was_counted() {
    let gateway = Gateway::to_prometheus();
    let check = |name: &str, bucket: i64, offset: i64| {
        let (start, end) = (T0 + 10 * MINUTE + offset, T0 + 170 * MINUTE);
        let points = gateway.ask(&Query::counter(name).between(start, end).aggregated("MEAN", bucket)).points();
        assert_eq!(points.len() as i64, (end - start) / bucket);
        let counters = select(name, &[]);
        let error = |point: &Vec<f64>| {
            let truth = oracle::increase(&counters, point[1] as i64, point[2] as i64) * 1000.0 / bucket as f64;
            (point[0] - truth).abs() / truth
        };
        let mut errors: Vec<f64> = points.iter().map(error).collect();
        errors.sort_by(f64::total_cmp);
        let (median, worst) = (errors[errors.len() / 2], errors[errors.len() - 1]);
        eprintln!(
            "{name}, buckets of {} s: median error {:.3} %, worst {:.3} %",
            bucket / 1000,
            median * 100.0,
            worst * 100.0
        );
        assert!(median <= 0.03, "{name}, buckets of {bucket} ms: half of the means are off by {median} or more");
    };
    for name in ["http_requests_total", "jobs_15s_total", "jobs_30s_total", "jobs_60s_total"] {
        for bucket in [5 * MINUTE, 10 * MINUTE, 30 * MINUTE] {
            check(name, bucket, 0);
            check(name, bucket, 7123);
        }
    }
}
