//! Counters: raw rates and rates in buckets, against the samples and against the real increase.

use crate::support::ask::{Gateway, Query, assert_cut, assert_error, assert_points};
use crate::support::oracle::{self, COUNTER, Nan, close};
use crate::support::samples::{DAY, HOUR, MINUTE, SECOND, T0, one, select};

/// Rounding error of a sum in another order.
const ROUNDING: f64 = 1e-9;

#[test]
fn raw_points_are_the_rates_between_neighbouring_samples() {
    let check = |name: &str, labels: &[(&str, &str)], (start, end): (i64, i64), nan: Nan| {
        let gateway = Gateway::to_prometheus().with_nan(nan);
        let query = labels.iter().fold(Query::counter(name), |query, (key, value)| query.label(key, value));
        let response = gateway.ask(&query.between(start, end));
        let expected = oracle::rates(one(name, labels), start, end, nan);
        assert_points(&response, &expected, ROUNDING, &format!("{name} {labels:?} from {start} to {end}"));
    };
    let three_hours = (T0, T0 + 3 * HOUR);
    // Resets, two of them in a row.
    check("http_requests_total", &[("pod", "a"), ("code", "200")], three_hours, Nan::None);
    check("http_requests_total", &[("pod", "a"), ("code", "500")], three_hours, Nan::None);
    check("jobs_60s_total", &[], three_hours, Nan::None);
    // Gaps of just under, exactly and just over five minutes.
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
    let response = Gateway::to_prometheus().ask(&Query::counter("jobs_15s_total").between(T0 - DAY, first));
    assert_points(&response, &[], 0.0, "up to the first sample");
}

#[test]
fn what_ended_before_the_range_is_none_of_its_series() {
    // Its last samples are fetched with those of the range: for the first rate, and since ranges are closed.
    let gateway = Gateway::to_prometheus();
    let (ended, new) = (T0 + HOUR, one("handover_total", &[("host", "new")]));
    let range = (ended + MINUTE, ended + 30 * MINUTE);
    let response = gateway.ask(&Query::counter("handover_total").between(range.0, range.1));
    assert_points(&response, &oracle::rates(new, range.0, range.1, Nan::None), ROUNDING, "rates");
    let range = (ended + 1, ended + 30 * MINUTE);
    let response = gateway.ask(&Query::gauge("handover_total").between(range.0, range.1));
    assert_points(&response, &oracle::raw(new, range.0, range.1, Nan::None), 0.0, "samples");
    // A millisecond earlier there are two.
    let response = gateway.ask(&Query::gauge("handover_total").between(ended, range.1));
    assert_error(&response, "RemoteMirrorError", &["Too many metrics.", "host"]);
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

#[test]
fn a_range_that_ends_long_after_the_last_sample_changes_no_bucket() {
    let gateway = Gateway::to_prometheus();
    // A chart of a week must show what ended on its first day.
    for (end, limit) in [(T0 + 20 * HOUR, 100), (T0 + 9 * DAY, 100), (4_102_444_800_000, 3), (253_402_300_799_999, 3)] {
        for (name, method) in
            [("jobs_15s_total", "MAX"), ("jobs_60s_total", "MEAN"), ("jobs_30s_total", "SUM_NO_ZEROS")]
        {
            let query = Query::counter(name).between(T0, end).aggregated(method, HOUR).limit(limit);
            let expected = COUNTER.buckets(&select(name, &[]), method, (T0, T0 + 20 * HOUR), HOUR);
            let what = format!("{method} of {name} to {end}");
            assert_cut(&gateway.ask(&query), &oracle::cut(expected, limit, false), ROUNDING, &what);
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
                let response = gateway.ask(&Query::counter(name).between(range.0, range.1).aggregated(method, bucket));
                let expected = oracle::buckets(&select(name, &[]), method, range, bucket, Nan::None);
                assert_points(&response, &expected, 0.0, &format!("{method} of {name} by {bucket} ms from {start}"));
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
