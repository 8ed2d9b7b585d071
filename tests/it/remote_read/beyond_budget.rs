//! Samples that are not finite, where PromQL computes the points: each point is right, or there is none.
//!
//! A stub makes too many samples of each remote read, and passes all other calls on to a real server.

use serde_json::json;

use crate::support::ask::{Gateway, Query, assert_error, assert_points};
use crate::support::engine::Engine;
use crate::support::oracle::{COUNTER, GAUGE, Nan, Rules, close};
use crate::support::samples::{DAY, HOUR, MINUTE, SECOND, T0, select};
use crate::support::streamed;
use crate::support::stub::{Reply, Stub, forwarded};

const RANGE: (i64, i64) = (T0 + 5 * MINUTE, T0 + 55 * MINUTE);

/// A server with too many samples to read.
fn too_many(engine: Engine) -> Stub {
    let stub = Stub::start(move |request| forwarded(&engine.shared().url(""), request));
    stub.upon_reads(|_| streamed::endless::<{ RANGE.0 }>());
    stub
}

/// A server with too many samples to read in more than `most_ms` milliseconds at a time.
fn too_many_in(engine: Engine, most_ms: i64) -> Stub {
    let stub = Stub::start(move |request| {
        let promql = request.parameter("query").unwrap_or_default();
        let selected = promql.strip_suffix(']').and_then(|text| text.rsplit_once('['));
        // Such as 3600s1ms.
        let seconds = selected.and_then(|(_, length)| length.split('s').next()?.parse::<i64>().ok());
        if seconds.is_some_and(|seconds| seconds * SECOND > most_ms) {
            return Reply::http(200, "application/json", " ".repeat(33 << 20));
        }
        forwarded(&engine.shared().url(""), request)
    });
    // The mirror uses the range selector instead, as long as the server says so.
    stub.upon_reads(|_| Reply::http(503, "text/plain", ""));
    stub
}

/// Connection Details without a scrape interval.
fn of_unknown_interval(stub: &Stub) -> serde_json::Value {
    json!({"host": "127.0.0.1", "port": stub.port()})
}

#[test]
fn a_rate_that_promql_computes_is_right_or_missing_where_samples_are_not_finite() {
    for engine in Engine::ALL {
        let stub = too_many(engine);
        let gateway = Gateway::to(stub.details());
        // Both counters count one a second, so that PromQL's extrapolation is exact.
        for (method, expected) in [("SUM", 120.0), ("MEAN", 2.0), ("MAX", 2.0), ("MIN", 2.0), ("PERCENTILE_90", 2.0)] {
            let query = Query::counter("special_total").between(RANGE.0, RANGE.1).aggregated(method, MINUTE);
            let response = gateway.ask(&query);
            if engine.is_victoria() {
                let parts = ["Too many samples.", "infinite samples in 1 series", "shorter time range"];
                assert_error(&response, "RemoteMirrorError", &parts);
                continue;
            }
            let points = response.points();
            let what = format!("{}: {method}", engine.name());
            assert!((40..=50).contains(&points.len()), "{what}: {}", response.text);
            assert!(points.iter().all(|point| close(point[0], expected, 1e-9)), "{what}: {}", response.text);
        }
        // VictoriaMetrics reads the infinite sample, which is four minutes before this range, too.
        let later =
            Query::counter("special_total").between(T0 + 44 * MINUTE + 5 * SECOND, RANGE.1).aggregated("MEAN", MINUTE);
        // Of a subquery, it reads more.
        let seldom = Gateway::to(stub.details()).with("scrapeInterval", 60_000);
        let much_later = (T0 + 55 * MINUTE + 35 * SECOND, T0 + 59 * MINUTE + 35 * SECOND);
        let much_later = Query::counter("special_total").between(much_later.0, much_later.1).aggregated("MAX", MINUTE);
        if engine.is_victoria() {
            for (gateway, query) in [(&gateway, later), (&seldom, much_later)] {
                assert_error(&gateway.ask(&query), "RemoteMirrorError", &["infinite samples in 1 series"]);
            }
        }
        // Without such a sample, none is missing.
        let steady = Query::counter("special_total").label("worker", "steady").between(RANGE.0, RANGE.1);
        let response = gateway.ask(&steady.aggregated("SUM", MINUTE));
        let counted = response.points().iter().filter(|point| close(point[0], 60.0, 1e-9)).count();
        assert_eq!((counted, response.points().len()), (50, 50), "{}: {}", engine.name(), response.text);
    }
}

#[test]
fn a_counter_that_is_scraped_less_often_than_before_still_has_a_rate() {
    for engine in Engine::ALL {
        let stub = too_many(engine);
        let gateway = Gateway::to(stub.details()).with("scrapeInterval", 60_000);
        // It counts one a second. The last sample is after the range.
        let query = Query::counter("slowing_total").between(T0 + HOUR, T0 + 3 * HOUR - 5 * MINUTE);
        for (method, expected) in [("SUM", 60.0), ("MEAN", 1.0), ("MIN", 1.0)] {
            let response = gateway.ask(&query.clone().aggregated(method, MINUTE));
            let right = response.points().iter().filter(|point| close(point[0], expected, 1e-9)).count();
            // Where the interval changes, Prometheus extrapolates too little, and a minute has an increase of 15 seconds only.
            let least = if !engine.is_victoria() {
                112
            } else if method == "SUM" {
                114
            } else {
                115
            };
            let what = format!("{}: {method}: {right} in {}", engine.name(), response.text);
            assert!(right >= least && response.points().len() == 115, "{what}");
        }
    }
}

#[test]
fn the_scrape_interval_is_measured_where_there_are_samples() {
    let query = Query::counter("slowing_total").between(T0, T0 + 5 * HOUR);
    for engine in Engine::ALL {
        // With fewer samples, an hour is measured at a time; with more, twenty minutes.
        for most_ms in [HOUR, 20 * MINUTE] {
            let stub = too_many_in(engine, most_ms);
            let gateway = Gateway::to(of_unknown_interval(&stub));
            let response = gateway.ask(&query.clone().aggregated("SUM", MINUTE));
            // Every minute is scraped from two hours on, the range goes on for two hours after the last sample.
            let slow = T0 + 2 * HOUR + 5 * MINUTE..T0 + 3 * HOUR - 5 * MINUTE;
            let right = response.points().into_iter().filter(|point| slow.contains(&(point[1] as i64)));
            let right = right.filter(|point| close(point[0], 60.0, 1e-9)).count();
            assert_eq!(right, 50, "{}: {most_ms}: {}", engine.name(), response.text);
        }
    }
}

/// VictoriaMetrics has a function that adds up increases as the mirror does, whether series end, pause, restart, or are scraped more or
/// less often than before.
#[test]
fn victoria_metrics_adds_up_each_increase_once() {
    let (start, end) = (T0 + 20 * MINUTE, T0 + 3 * HOUR + 20 * MINUTE);
    for engine in Engine::ALL.into_iter().filter(|engine| engine.is_victoria()) {
        let stub = too_many_in(engine, HOUR);
        let gateway = Gateway::to(of_unknown_interval(&stub));
        for name in
            ["churning_total", "gappy_total", "slowing_total", "uneven_total", "each_10m_total", "beginning_total"]
        {
            let stored: Vec<_> = select(name, &[]).into_iter().map(|one| engine.stored(one)).collect();
            for bucket in [10 * SECOND, MINUTE, 5 * MINUTE, HOUR] {
                let response = gateway.ask(&Query::counter(name).between(start, end).aggregated("SUM", bucket));
                let expected = COUNTER.buckets(&stored.iter().collect::<Vec<_>>(), "SUM", (start, end), bucket);
                assert_points(&response, &expected, 1e-9, &format!("{}: {name} by {bucket}", engine.name()));
            }
        }
    }
}

/// Of a range of at most two hours, the last two hours are measured, together or one by one.
#[test]
fn a_counter_that_is_scraped_every_half_hour_is_in_a_rate_beside_others() {
    for (engine, most_ms) in Engine::ALL.into_iter().flat_map(|engine| [(engine, 2 * HOUR), (engine, HOUR)]) {
        let stub = too_many_in(engine, most_ms);
        let gateway = Gateway::to(of_unknown_interval(&stub));
        for (method, expected) in [("MEAN", 2.0), ("MAX", 2.0), ("MIN", 2.0)] {
            for start in (0..30).step_by(7).map(|late| T0 + 150 * MINUTE + late * MINUTE) {
                let range = (start, start + 90 * MINUTE);
                let query = Query::counter("mingled_total").between(range.0, range.1).aggregated(method, 5 * MINUTE);
                let response = gateway.ask(&query);
                let right = response.points().iter().filter(|point| close(point[0], expected, 1e-9)).count();
                assert_eq!(right, 18, "{}, {most_ms}: {method} from {start}: {}", engine.name(), response.text);
            }
        }
    }
}

/// VictoriaMetrics limits the evaluations of a subquery in a call, the older one to 30,000.
#[test]
fn a_maximum_of_ten_days_takes_several_calls_to_victoria_metrics() {
    for engine in Engine::ALL.into_iter().filter(|engine| engine.is_victoria()) {
        let stub = too_many_in(engine, HOUR);
        let gateway = Gateway::to(of_unknown_interval(&stub)).with("scrapeInterval", 15_000);
        let (start, end) = (T0 + 5 * MINUTE, T0 + 10 * DAY - 5 * MINUTE);
        let response = gateway.ask(&Query::counter("ten_days_total").between(start, end).aggregated("MAX", 5 * MINUTE));
        let right = response.points().iter().filter(|point| close(point[0], 0.5, 1e-9)).count();
        assert_eq!(right, 2_878, "{}: {}", engine.name(), response.text);
    }
}

/// VictoriaMetrics has rates of series that have ended. A range that suits the proxy contains eight pods that have.
#[test]
fn series_that_have_ended_are_not_counted_where_others_are_scraped_less_often() {
    for engine in Engine::ALL.into_iter().filter(|engine| engine.is_victoria()) {
        let stub = too_many_in(engine, HOUR);
        let gateway = Gateway::to(of_unknown_interval(&stub));
        for (method, expected) in [("MEAN", 2.0), ("MAX", 2.0), ("MIN", 2.0), ("PERCENTILE_50", 2.0)] {
            let query = Query::counter("churning_total").between(T0, T0 + HOUR).aggregated(method, 5 * MINUTE);
            let response = gateway.ask(&query);
            // The proxy has a rate from its second sample on.
            let points = response.points().into_iter().filter(|point| point[1] as i64 >= T0 + 25 * MINUTE);
            let right = points.filter(|point| close(point[0], expected, 1e-9)).count();
            assert_eq!(right, 7, "{}: {method}: {}", engine.name(), response.text);
            // One that ended shortly before the range is still in the range of the others' rates.
            let (start, end) = (T0 + 61 * MINUTE + 20 * SECOND, T0 + 91 * MINUTE + 20 * SECOND);
            let response = gateway.ask(&Query::counter("ended_total").between(start, end).aggregated(method, MINUTE));
            let right = response.points().iter().filter(|point| close(point[0], 1.0, 1e-9)).count();
            assert_eq!(right, 30, "{}: {method} of ended_total: {}", engine.name(), response.text);
        }
    }
}

#[test]
fn a_gauge_that_promql_computes_is_right_or_missing_where_samples_are_not_finite() {
    for engine in Engine::ALL {
        let stub = too_many(engine);
        for nan in [Nan::None, Nan::Zero] {
            let gateway = Gateway::to(stub.details()).with_nan(nan);
            for (name, method) in [
                ("odd_level", "PERCENTILE_50"),
                ("odd_level", "PERCENTILE_99"),
                ("odd_levels", "MAX"),
                ("odd_levels", "MIN"),
                ("odd_levels", "MEAN"),
                ("half_odd_levels", "SUM"),
                ("half_odd_levels", "MEAN"),
                ("odd_levels", "SUM_NO_ZEROS"),
            ] {
                let query = Query::gauge(name).between(T0, T0 + HOUR).aggregated(method, MINUTE);
                let response = gateway.ask(&query);
                let stored: Vec<_> = select(name, &[]).into_iter().map(|one| engine.stored(one)).collect();
                let rules = Rules { nan: if engine.is_victoria() { Nan::None } else { nan }, ..GAUGE };
                let expected = rules.buckets(&stored.iter().collect::<Vec<_>>(), method, (T0, T0 + HOUR), MINUTE);
                let what = format!("{}: {method} of {name}, {nan:?}", engine.name());
                let points = response.points();
                assert!(!points.is_empty(), "{what}: {}", response.text);
                for point in points {
                    let right = expected.iter().find(|right| right[1] == point[1]).map(|right| right[0]);
                    let is_right = right.is_some_and(|right| close(right, point[0], engine.tolerance().max(1e-9)));
                    assert!(is_right, "{what}: {point:?} instead of {right:?}");
                }
            }
        }
    }
}

/// VictoriaMetrics accepts queries of at most 16 KiB, so a long selector is in a query only once.
#[test]
fn a_selector_of_many_pods_is_not_too_long_for_victoria_metrics() {
    let pods = (0..200)
        .map(|pod| json!({"_type": "StringValue", "value": format!("a-deployment-with-a-long-name-{pod:08}-z")}));
    let rooms: Vec<_> = pods.chain([json!({"_type": "StringValue", "value": "attic"})]).collect();
    let set = json!({"_type": "EqualityCondition", "key": "room", "value": {"_type": "InSetValue", "value": rooms}});
    for engine in Engine::ALL.into_iter().filter(|engine| engine.is_victoria()) {
        let stub = too_many(engine);
        let gateway = Gateway::to(stub.details());
        let stored: Vec<_> =
            select("room_celsius", &[("room", "attic")]).into_iter().map(|one| engine.stored(one)).collect();
        for method in ["SUM", "MEAN"] {
            let query =
                Query::gauge("room_celsius").and(set.clone()).between(RANGE.0, RANGE.1).aggregated(method, MINUTE);
            let expected = GAUGE.buckets(&stored.iter().collect::<Vec<_>>(), method, RANGE, MINUTE);
            assert_points(&gateway.ask(&query), &expected, 1e-9, &format!("{}: {method}", engine.name()));
        }
    }
}
