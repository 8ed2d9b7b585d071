//! The same gauges on VictoriaMetrics, whose ranges are left-open: raw and in buckets, compared with the same oracle.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::ask::{Gateway, METHODS, Query, assert_cut, assert_error, assert_points};
use crate::support::oracle::{self, Nan};
use crate::support::process::agent;
use crate::support::samples::{DAY, HOUR, MINUTE, SECOND, T0, one, select};
use crate::support::victoria;

/// VictoriaMetrics stores about fifteen decimal digits of a value, and sums in another order.
const DIGITS: f64 = 1e-9;

#[test]
fn raw_points_are_the_samples_as_scraped() {
    let gateway = Gateway::to_victoria();
    let check = |name: &str, labels: &[(&str, &str)], start: i64, end: i64| {
        let series = one(name, labels);
        let query = labels.iter().fold(Query::gauge(name), |query, (key, value)| query.label(key, value));
        let expected = oracle::raw(series, start, end, Nan::None);
        assert_points(&gateway.ask(&query.between(start, end)), &expected, DIGITS, &format!("{name} {start} {end}"));
    };
    check("room_celsius", &[], T0, T0 + HOUR);
    check("room_celsius", &[], T0 + 1, T0 + HOUR - 1);
    check("room_celsius", &[], T0 + 15_000, T0 + 15_000);
    check("queue_depth", &[("pod", "b")], T0 + 7123, T0 + 2 * HOUR);
    check("edge_level", &[], T0, T0 + 2 * HOUR);
    check("ten_days_level", &[], T0, T0 + 10 * DAY);
}

#[test]
fn polls_of_adjacent_ranges_see_every_sample_once() {
    let gateway = Gateway::to_victoria();
    let polls = (0..60).map(|index| T0 + index * MINUTE);
    let polls = polls.map(|start| Query::gauge("edge_level").between(start, start + MINUTE - 1));
    let points: Vec<_> = polls.flat_map(|poll| gateway.ask(&poll).points()).collect();
    let times = |points: &[Vec<f64>]| points.iter().map(|point| point[1]).collect::<Vec<_>>();
    assert_eq!(times(&points), times(&oracle::raw(one("edge_level", &[]), T0, T0 + HOUR - 1, Nan::None)));
}

#[test]
fn raw_rates_are_those_of_the_samples() {
    let gateway = Gateway::to_victoria();
    for name in ["jobs_15s_total", "gappy_total", "ten_days_total"] {
        let response = gateway.ask(&Query::counter(name).between(T0, T0 + 10 * DAY));
        assert_points(&response, &oracle::rates(one(name, &[]), T0, T0 + 10 * DAY, Nan::None), DIGITS, name);
    }
}

#[test]
fn every_method_of_a_gauge_covers_exactly_its_buckets() {
    let gateway = Gateway::to_victoria();
    let check = |name: &str, labels: &[(&str, &str)], start: i64, end: i64, bucket: i64| {
        let query = labels.iter().fold(Query::gauge(name), |query, (key, value)| query.label(key, value));
        let gauges = select(name, labels);
        for method in METHODS.into_iter().filter(|method| gauges.len() == 1 || !method.starts_with("PERCENTILE")) {
            let response = gateway.ask(&query.clone().between(start, end).aggregated(method, bucket));
            let expected = oracle::buckets(&gauges, method, (start, end), bucket, Nan::None);
            assert_points(&response, &expected, DIGITS, &format!("{method} of {name} by {bucket} ms from {start}"));
        }
    };
    check("room_celsius", &[], T0, T0 + HOUR, MINUTE);
    check("room_celsius", &[], T0 + 1, T0 + HOUR, MINUTE);
    check("edge_level", &[], T0, T0 + 2 * HOUR, MINUTE);
    check("edge_level", &[], T0 - 1, T0 + 2 * HOUR, MINUTE);
    check("edge_level", &[], T0 + 1, T0 + 2 * HOUR, 30 * SECOND);
    check("edge_level", &[], T0 + MINUTE - 6, T0 + MINUTE + 6, 1);
    check("queue_depth", &[("pod", "a")], T0 + 7123, T0 + HOUR, 5 * MINUTE);
    check("queue_depth", &[], T0, T0 + 3 * HOUR, MINUTE);
    check("gappy_level", &[], T0 + 41, T0 + 3 * HOUR, 73_331);
    check("gappy_level", &[], T0, T0 + 3 * HOUR, 10 * SECOND);
    // By default, VictoriaMetrics would align the steps by the size of the bucket.
    check("room_celsius", &[], T0 + 7123, T0 + 3 * HOUR, 61_001);
}

#[test]
fn more_buckets_than_one_query_may_have_are_all_there() {
    let gateway = Gateway::to_victoria();
    let range = (T0 - HOUR + 123, T0 + 13 * HOUR);
    for (method, limit, latest_first) in [("EVENT_COUNT", 1_000_000, false), ("MAX", 7, true)] {
        let all = oracle::buckets(&select("sparse_level", &[]), method, range, SECOND, Nan::None);
        let query = Query::gauge("sparse_level").between(range.0, range.1).aggregated(method, SECOND);
        let response = gateway.ask(&query.limit(limit).latest_first(latest_first));
        assert_cut(&response, &oracle::cut(all, limit, latest_first), DIGITS, method);
    }
}

#[test]
fn a_metric_that_does_not_exist_is_not_found_here_either() {
    let gateway = Gateway::to_victoria();
    let response = gateway.ask(&Query::gauge("no_such_metric").between(T0, T0 + HOUR));
    assert_error(&response, "MetricNotFoundError", &["no_such_metric"]);
    let response = gateway.ask(&Query::gauge("room_celsius").between(T0 - 2 * DAY, T0 - DAY));
    assert_points(&response, &[], 0.0, "a range without samples");
}

#[test]
fn fields_are_known_here_too() {
    let gateway = Gateway::to_victoria();
    let (values, _) = gateway.field_values("pod", serde_json::json!({"conditions": []}));
    assert_eq!(values, ["a", "b", "c", "early", "late"]);
}

#[test]
fn the_connection_is_fine() {
    let response = Gateway::to_victoria().connection();
    assert_eq!((response.status, response.json["status"].as_str()), (200, Some("OK")), "{}", response.text);
}

#[test]
fn the_newest_half_minute_is_what_was_scraped() {
    // For range queries of small steps, VictoriaMetrics returns earlier values there, unless the range ends after now.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let end = now / MINUTE * MINUTE + now % MINUTE / (10 * SECOND) * 10 * SECOND;
    let start = end - 2 * MINUTE;
    let rising: String =
        (0..120).map(|index| format!("live_level{{rack=\"r1\"}} {index} {}\n", start + index * SECOND)).collect();
    let server = victoria::shared();
    agent().post(server.url("/api/v1/import/prometheus")).send(rising).expect("an import");
    agent().get(server.url("/internal/force_flush")).call().expect("a flush");

    let gateway = Gateway::to_victoria();
    let query = Query::gauge("live_level").between(start, end).aggregated("MAX", 10 * SECOND);
    // The last of the ten samples of each bucket is its largest.
    let expected: Vec<Vec<f64>> = (0..12)
        .map(|bucket| {
            let from = start + bucket * 10 * SECOND;
            vec![(bucket * 10 + 9) as f64, from as f64, (from + 10 * SECOND) as f64]
        })
        .collect();
    assert_points(&gateway.ask(&query), &expected, 0.0, "MAX");
    let expression = Query::expression("live_level").between(start, end - SECOND).limit(1).latest_first(true);
    let gateway = gateway.with("scrapeInterval", 1000);
    assert_eq!(gateway.ask(&expression).points(), [[119.0, (end - SECOND) as f64]]);
}
