//! Raw queries of gauges: the response has every sample once, and no others.

use crate::support::ask::{Gateway, Query, assert_cut, assert_error, assert_points, error_text};
use crate::support::oracle::{self, Nan};
use crate::support::samples::{DAY, HOUR, MINUTE, SECOND, Series, T0, one, select};

/// The query that selects one series by all its labels.
fn query(series: &Series) -> Query {
    series.labels.iter().fold(Query::gauge(series.name), |query, (key, value)| query.label(key, value))
}

#[test]
fn points_are_the_samples_as_scraped() {
    let gateway = Gateway::to_prometheus();
    let check = |name: &str, labels: &[(&str, &str)], start: i64, end: i64| {
        let series = one(name, labels);
        let response = gateway.ask(&query(series).between(start, end));
        assert_points(&response, &oracle::raw(series, start, end, Nan::None), 0.0, &format!("{name} {start} {end}"));
    };
    check("room_celsius", &[], T0, T0 + HOUR);
    check("room_celsius", &[], T0 - DAY, T0 - 1);
    check("room_celsius", &[], T0 - DAY, T0 + 2 * DAY);
    check("queue_depth", &[("pod", "a")], T0 + 7123, T0 + HOUR + 456);
    check("queue_depth", &[("pod", "c")], T0, T0 + 3 * HOUR);
    check("gappy_level", &[], T0, T0 + 3 * HOUR);
    check("edge_level", &[], T0, T0 + 2 * HOUR);
    check("sparse_level", &[], T0, T0 + 12 * HOUR);
    check("shop:queue_depth:mean5m", &[], T0, T0 + HOUR);
}

#[test]
fn a_value_keeps_all_its_digits() {
    let response = Gateway::to_prometheus().ask(&Query::gauge("exact_level").between(T0, T0 + HOUR));
    // Read from the text, number by number: the JSON parser of these tests is not always exact in the last bit.
    let text = response.text.split_once("\"points\":[[").unwrap().1.split_once("]]").unwrap().0;
    let value = |point: &str| point.split(',').next().unwrap().parse::<f64>().unwrap();
    let values: Vec<f64> = text.split("],[").map(value).collect();
    assert_eq!(values, one("exact_level", &[]).samples.iter().map(|sample| sample.value).collect::<Vec<_>>());
}

#[test]
fn both_ends_of_the_range_are_included() {
    let gateway = Gateway::to_prometheus();
    for series in [one("queue_depth", &[("pod", "a")]), one("edge_level", &[])] {
        let (first, last) = (series.samples[40].time, series.samples[50].time);
        for (start, end) in
            [(first, last), (first + 1, last - 1), (first - 1, last + 1), (first, first), (first + 2, first + 3)]
        {
            let response = gateway.ask(&query(series).between(start, end));
            assert_points(&response, &oracle::raw(series, start, end, Nan::None), 0.0, &format!("{start} to {end}"));
        }
    }
}

#[test]
fn polls_of_adjacent_ranges_see_every_sample_once() {
    let gateway = Gateway::to_prometheus();
    for series in [one("room_celsius", &[]), one("edge_level", &[])] {
        // 59.999 s and a millisecond make a minute, so that every poll ends and begins next to a sample.
        let polls =
            (0..60).map(|index| T0 + index * MINUTE).map(|start| query(series).between(start, start + MINUTE - 1));
        let points: Vec<_> = polls.flat_map(|poll| gateway.ask(&poll).points()).collect();
        assert_eq!(points, oracle::raw(series, T0, T0 + HOUR - 1, Nan::None), "{}", series.name);
    }
}

#[test]
fn limit_keeps_the_oldest_or_with_latest_first_the_newest_and_says_when_some_were_left_out() {
    let gateway = Gateway::to_prometheus();
    let check = |name: &str, labels: &[(&str, &str)], start: i64, end: i64, limits: &[usize]| {
        let series = one(name, labels);
        let all = oracle::raw(series, start, end, Nan::None);
        for limit in limits.iter().copied().chain([all.len() - 1, all.len(), all.len() + 1, 2_147_483_647]) {
            for latest_first in [false, true] {
                let response = gateway.ask(&query(series).between(start, end).limit(limit).latest_first(latest_first));
                let what = format!("{name}, limit {limit}, latest first {latest_first}");
                assert_cut(&response, &oracle::cut(all.clone(), limit, latest_first), 0.0, &what);
            }
        }
    };
    check("room_celsius", &[], T0, T0 + HOUR, &[1, 2, 100]);
    // Ranges that are fetched in several parts: the limit may be reached in any of them.
    check("ten_days_level", &[], T0, T0 + 10 * DAY, &[1, 1440, 2880, 5000, 7200, 10_080, 12_345]);
    check("late_level", &[], T0, T0 + 10 * DAY, &[1, 30]);
    check("turns_level", &[("pod", "early")], T0, T0 + 10 * DAY, &[1, 144, 200]);
    check("turns_level", &[("pod", "late")], T0, T0 + 10 * DAY, &[1, 144, 200]);
}

#[test]
fn a_nan_is_left_out_or_zero_and_an_infinity_is_left_out() {
    let series = one("odd_level", &[]);
    for nan in [Nan::None, Nan::Zero] {
        let gateway = Gateway::to_prometheus().with_nan(nan);
        let all = oracle::raw(series, T0, T0 + HOUR, nan);
        let response = gateway.ask(&query(series).between(T0, T0 + HOUR));
        assert_points(&response, &all, 0.0, &format!("{nan:?}"));
        // Dropped samples (NaN, infinite) do not count against the limit.
        for limit in [1, all.len() - 1, all.len()] {
            let response = gateway.ask(&query(series).between(T0, T0 + HOUR).limit(limit));
            assert_cut(&response, &oracle::cut(all.clone(), limit, false), 0.0, &format!("{nan:?}, limit {limit}"));
        }
    }
    // Only NaNs follow the last point of these three minutes: with NONE, a limit of that number leaves nothing out.
    let (start, end) = (T0, T0 + 3 * MINUTE);
    for nan in [Nan::None, Nan::Zero] {
        let limit = oracle::raw(series, start, end, Nan::None).len();
        let response = Gateway::to_prometheus().with_nan(nan).ask(&query(series).between(start, end).limit(limit));
        assert_cut(
            &response,
            &oracle::cut(oracle::raw(series, start, end, nan), limit, false),
            0.0,
            &format!("{nan:?}"),
        );
    }
    let plain = Gateway::to_prometheus().ask(&query(series).between(T0, T0 + HOUR));
    assert_points(&plain, &oracle::raw(series, T0, T0 + HOUR, Nan::None), 0.0, "nan_interpretation absent");
}

#[test]
fn several_series_are_an_error_that_names_the_labels_that_tell_them_apart() {
    let gateway = Gateway::to_prometheus();
    let check = |query: Query, count: &str, differing: &[&str], common: &[&str]| {
        let response = gateway.ask(&query.between(T0, T0 + 10 * DAY));
        assert_error(&response, "RemoteMirrorError", &[&[count][..], differing].concat());
        assert_eq!(response.json["summary"], "Too many metrics.");
        let details = response.json["details"].as_str().unwrap();
        for label in common {
            assert!(!details.contains(label), "`{label}` is the same in all: {details}");
        }
    };
    check(Query::gauge("queue_depth"), "3", &["pod"], &["namespace"]);
    check(Query::gauge("queue_depth").label("namespace", "shop"), "3", &["pod"], &[]);
    check(Query::counter("http_requests_total"), "6", &["pod", "code"], &["namespace"]);
    check(Query::counter("http_requests_total").label("pod", "a"), "2", &["code"], &["namespace"]);
    check(Query::expression("queue_depth"), "3", &["pod"], &["namespace"]);
    // One pod days after the other, in a range that is read in several parts: these are still two series.
    check(Query::gauge("turns_level"), "2", &["pod"], &["shelf"]);
    check(Query::gauge("turns_level").latest_first(true), "2", &["pod"], &["shelf"]);
    check(Query::expression("turns_level"), "2", &["pod"], &["shelf"]);
}

#[test]
fn a_range_of_many_days_has_every_sample_once() {
    let gateway = Gateway::to_prometheus();
    let series = one("ten_days_level", &[]);
    for (start, end) in [(T0, T0 + 10 * DAY), (T0 + 7 * SECOND, T0 + 9 * DAY + 11), (T0 - 3 * DAY, T0 + 20 * DAY)] {
        let response = gateway.ask(&query(series).between(start, end));
        assert_points(&response, &oracle::raw(series, start, end, Nan::None), 0.0, &format!("{start} to {end}"));
    }
    // A single sample far away is found as well.
    let late = one("late_level", &[]);
    let response = gateway.ask(&query(late).between(T0, T0 + 9 * DAY));
    assert_points(&response, &oracle::raw(late, T0, T0 + 9 * DAY, Nan::None), 0.0, "late_level");
}

#[test]
fn a_series_that_is_alone_in_the_range_is_no_trouble() {
    let gateway = Gateway::to_prometheus();
    let (start, end) = (T0 + 8 * DAY, T0 + 9 * DAY);
    assert_eq!(select("turns_level", &[]).len(), 2);
    let response = gateway.ask(&Query::gauge("turns_level").between(start, end));
    assert_points(&response, &oracle::raw(one("turns_level", &[("pod", "late")]), start, end, Nan::None), 0.0, "late");
}

#[test]
fn a_start_after_the_end_is_an_error() {
    let gateway = Gateway::to_prometheus();
    for query in [Query::gauge("room_celsius"), Query::counter("jobs_15s_total"), Query::expression("vector(1)")] {
        let response = gateway.ask(&query.between(T0 + 1, T0));
        assert_error(&response, "RemoteMirrorError", &[]);
        let text = error_text(&response.json).to_lowercase();
        assert!(text.contains("start") && text.contains("end"), "{text}");
    }
}
