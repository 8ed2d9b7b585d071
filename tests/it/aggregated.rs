//! Gauges in buckets: every method against the oracle, with samples on the boundaries of buckets and between them.

use crate::support::ask::{Gateway, METHODS, Query, assert_cut, assert_error, assert_points, error_text};
use crate::support::oracle::{self, Nan};
use crate::support::samples::{DAY, HOUR, MINUTE, SECOND, Series, T0, select};

/// Rounding error of a sum in another order.
const ROUNDING: f64 = 1e-9;

/// Each of these methods gives what the oracle computes for these gauges, which `query` selects.
fn check(gateway: &Gateway, query: &Query, gauges: &[&Series], methods: &[&str], range: (i64, i64, i64), nan: Nan) {
    let (start, end, bucket) = range;
    for method in methods {
        let response = gateway.ask(&query.clone().between(start, end).aggregated(method, bucket));
        let expected = oracle::buckets(gauges, method, (start, end), bucket, nan);
        let what = format!("{method} of {} by {bucket} ms from {start} to {end}", gauges[0].name);
        assert_points(&response, &expected, ROUNDING, &what);
    }
}

#[test]
fn every_method_of_one_gauge_covers_exactly_its_buckets() {
    let gateway = Gateway::to_prometheus();
    let check = |name: &str, labels: &[(&str, &str)], start: i64, end: i64, bucket: i64| {
        let query = labels.iter().fold(Query::gauge(name), |query, (key, value)| query.label(key, value));
        check(&gateway, &query, &select(name, labels), &METHODS, (start, end, bucket), Nan::None);
    };
    // Samples exactly on every boundary.
    check("room_celsius", &[], T0, T0 + HOUR, MINUTE);
    check("room_celsius", &[], T0, T0 + HOUR, 15 * SECOND);
    // Boundaries a millisecond before and after the samples, and far from them.
    check("room_celsius", &[], T0 - 1, T0 + HOUR, MINUTE);
    check("room_celsius", &[], T0 + 1, T0 + HOUR, MINUTE);
    check("room_celsius", &[], T0 + 7123, T0 + HOUR, 5 * MINUTE);
    // A sample exactly on each boundary and another 1 ms before it.
    check("edge_level", &[], T0, T0 + 2 * HOUR, MINUTE);
    check("edge_level", &[], T0, T0 + 2 * HOUR, 30 * SECOND);
    check("edge_level", &[], T0 - 1, T0 + 2 * HOUR, MINUTE);
    check("edge_level", &[], T0 + 1, T0 + 2 * HOUR, MINUTE);
    // Jitter, gaps, and buckets of an odd size below the scrape interval.
    check("queue_depth", &[("pod", "a")], T0 + 456, T0 + HOUR, MINUTE);
    check("queue_depth", &[("pod", "b")], T0 + HOUR, T0 + 2 * HOUR, 10 * SECOND);
    check("gappy_level", &[], T0, T0 + 3 * HOUR, 2 * MINUTE);
    check("gappy_level", &[], T0 + 41, T0 + 3 * HOUR, 73_331);
    check("gappy_level", &[], T0 - HOUR, T0 + 4 * HOUR, 20 * MINUTE);
    check("ten_days_level", &[], T0, T0 + 10 * DAY, DAY);
}

#[test]
fn buckets_of_a_few_milliseconds_are_exact_too() {
    let gateway = Gateway::to_prometheus();
    let (query, gauges) = (Query::gauge("edge_level"), select("edge_level", &[]));
    for bucket in [1, 2, 3, 5] {
        let range = (T0 + MINUTE - 6, T0 + MINUTE + 6, bucket);
        check(&gateway, &query, &gauges, &METHODS, range, Nan::None);
    }
}

#[test]
fn several_gauges_are_pooled() {
    let gateway = Gateway::to_prometheus();
    let (query, gauges) = (Query::gauge("queue_depth").label("namespace", "shop"), select("queue_depth", &[]));
    for (start, bucket) in [(T0, MINUTE), (T0 + 7123, 5 * MINUTE), (T0 - HOUR, 37 * MINUTE), (T0, 10 * SECOND)] {
        check(&gateway, &query, &gauges, &METHODS, (start, T0 + 3 * HOUR, bucket), Nan::None);
    }
}

#[test]
fn nan_and_infinity_are_left_out_or_zero() {
    for nan in [Nan::None, Nan::Zero] {
        let gateway = Gateway::to_prometheus().with_nan(nan);
        for (start, bucket) in [(T0, MINUTE), (T0 + 20_001, 45 * SECOND), (T0, 10 * SECOND)] {
            let range = (start, T0 + HOUR, bucket);
            check(&gateway, &Query::gauge("odd_level"), &select("odd_level", &[]), &METHODS, range, nan);
            check(&gateway, &Query::gauge("odd_levels"), &select("odd_levels", &[]), &METHODS, range, nan);
        }
    }
}

#[test]
fn only_whole_buckets_are_returned() {
    let gateway = Gateway::to_prometheus();
    let check = |end: i64, count: usize| {
        for (method, latest_first) in [("MEAN", false), ("EVENT_COUNT", false), ("MEAN", true)] {
            let query =
                Query::gauge("room_celsius").between(T0, end).aggregated(method, MINUTE).latest_first(latest_first);
            assert_eq!(gateway.ask(&query).points().len(), count, "{method} up to {end}");
        }
    };
    check(T0 + 10 * MINUTE, 10);
    check(T0 + 10 * MINUTE + 1, 10);
    check(T0 + 11 * MINUTE - 2, 10);
    check(T0 + MINUTE, 1);
    check(T0 + MINUTE - 2, 0);
    check(T0, 0);
}

#[test]
fn limit_keeps_the_oldest_buckets_or_with_latest_first_the_newest() {
    let gateway = Gateway::to_prometheus();
    let gauges = select("gappy_level", &[]);
    let range = (T0 + 41, T0 + 3 * HOUR);
    for method in ["MEAN", "MAX", "SUM", "SUM_NO_ZEROS", "EVENT_COUNT"] {
        let all = oracle::buckets(&gauges, method, range, MINUTE, Nan::None);
        for limit in [1, 18, 19, 30, all.len() - 1, all.len(), all.len() + 1, 2_147_483_647] {
            for latest_first in [false, true] {
                let query = Query::gauge("gappy_level").between(range.0, range.1).aggregated(method, MINUTE);
                let response = gateway.ask(&query.limit(limit).latest_first(latest_first));
                let what = format!("{method}, limit {limit}, latest first {latest_first}");
                assert_cut(&response, &oracle::cut(all.clone(), limit, latest_first), ROUNDING, &what);
            }
        }
    }
}

#[test]
fn more_buckets_than_prometheus_answers_at_once_are_all_there() {
    let gateway = Gateway::to_prometheus();
    let gauges = select("sparse_level", &[]);
    let (start, end) = (T0 - HOUR + 123, T0 + 13 * HOUR);
    for (method, bucket) in [("MAX", SECOND), ("PERCENTILE_50", SECOND), ("EVENT_COUNT", SECOND), ("SUM", 1234)] {
        let all = oracle::buckets(&gauges, method, (start, end), bucket, Nan::None);
        let buckets = (end - start) / bucket;
        assert!(buckets > 3 * 11_000, "{buckets} buckets");
        for (limit, latest_first) in
            [(1_000_000, false), (1_000_000, true), (7, false), (7, true), (all.len() - 1, true)]
        {
            let query = Query::gauge("sparse_level").between(start, end).aggregated(method, bucket);
            let response = gateway.ask(&query.limit(limit).latest_first(latest_first));
            let what = format!("{method} by {bucket} ms, limit {limit}, latest first {latest_first}");
            assert_cut(&response, &oracle::cut(all.clone(), limit, latest_first), ROUNDING, &what);
        }
    }
    // Exactly as many as fit into one query of Prometheus, and one more and less.
    for count in [10_999, 11_000, 11_001, 22_000, 22_001] {
        let range = (T0, T0 + count * SECOND, SECOND);
        check(&gateway, &Query::gauge("sparse_level"), &gauges, &["EVENT_COUNT", "MEAN"], range, Nan::None);
    }
}

#[test]
fn no_response_has_more_than_a_million_points() {
    let range = (T0, T0 + 10 * DAY);
    let all = oracle::buckets(&select("exact_level", &[]), "EVENT_COUNT", range, 800, Nan::None);
    assert_eq!(all.len(), 1_080_000);
    let query = Query::gauge("exact_level").between(range.0, range.1).aggregated("EVENT_COUNT", 800);
    let response = Gateway::to_prometheus().with("requestTimeout", 100_000).ask(&query);
    assert_cut(&response, &oracle::cut(all, 1_000_000, false), 0.0, "without a limit");
}

#[test]
fn a_method_is_read_without_regard_to_case() {
    let gateway = Gateway::to_prometheus();
    for (written, meant) in
        [("mean", "MEAN"), ("Percentile_95", "PERCENTILE_95"), ("event_count_No_Zeros", "EVENT_COUNT_NO_ZEROS")]
    {
        let response = gateway.ask(&Query::gauge("room_celsius").between(T0, T0 + HOUR).aggregated(written, MINUTE));
        let expected = oracle::buckets(&select("room_celsius", &[]), meant, (T0, T0 + HOUR), MINUTE, Nan::None);
        assert_points(&response, &expected, ROUNDING, written);
    }
}

#[test]
fn what_makes_no_buckets_is_an_error_that_says_so() {
    let gateway = Gateway::to_prometheus();
    let check = |method: &str, bucket: i64, (start, end): (i64, i64), words: &[&str]| {
        for query in [Query::gauge("room_celsius"), Query::counter("jobs_15s_total"), Query::expression("vector(1)")] {
            let response = gateway.ask(&query.between(start, end).aggregated(method, bucket));
            assert_error(&response, "RemoteMirrorError", &[]);
            let text = error_text(&response.json).to_lowercase();
            assert!(words.iter().all(|word| text.contains(word)), "no {words:?} in: {text}");
        }
    };
    check("MEAN", 0, (T0, T0 + HOUR), &["bucket"]);
    check("MEAN", -60_000, (T0, T0 + HOUR), &["bucket", "-60000"]);
    check("MEDIAN", MINUTE, (T0, T0 + HOUR), &["median"]);
    check("PERCENTILE_42", MINUTE, (T0, T0 + HOUR), &["percentile_42"]);
    check("MEAN", MINUTE, (T0 + 1, T0), &["start", "end"]);
}
