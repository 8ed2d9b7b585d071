//! Remote read and range selectors give the same responses: each query goes to a real server twice, the second time through a stub
//! that refuses reads. PromQL judges both.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::counted;
use crate::support::ask::{Gateway, METHODS, Query, assert_error, assert_points};
use crate::support::engine::Engine;
use crate::support::mirror::{condition, typed_condition};
use crate::support::oracle::{COUNTER, GAUGE, Nan, Rules};
use crate::support::process::Server;
use crate::support::prometheus::{Prometheus, Samples};
use crate::support::samples::{AWKWARD, DAY, HOUR, MINUTE, SECOND, Sample, T0, all, one};
use crate::support::stub::Stub;

const ENGINES: [Engine; 2] = [Engine::Prometheus2, Engine::Prometheus3];

/// A mirror that queries a server directly, and one that queries it through a stub that refuses reads.
struct Ways {
    reading: Gateway,
    selecting: Gateway,
    _stub: Stub,
}

impl Ways {
    fn to(server: &Server) -> Ways {
        let stub = Stub::in_front_of(server.url(""));
        let details = json!({"host": "127.0.0.1", "port": stub.port()});
        Ways { reading: Gateway::to(server.details()), selecting: Gateway::to(details), _stub: stub }
    }

    /// The same with this `nan_interpretation`.
    fn with_nan(self, nan: Nan) -> Ways {
        Ways { reading: self.reading.with_nan(nan), selecting: self.selecting.with_nan(nan), ..self }
    }

    /// Queries both mirrors, checks that the responses are the same, and returns one.
    fn ask(&self, query: &Query, what: &str) -> crate::support::mirror::Response {
        let (read, selected) = (self.reading.ask(query), self.selecting.ask(query));
        if read.status == 200 {
            assert_eq!(read.text, selected.text, "{what}: {query:?}");
        } else {
            // The errors contain the port of the upstream.
            assert_eq!(
                (read.status, &read.json["_type"]),
                (selected.status, &selected.json["_type"]),
                "{what}: {query:?}"
            );
            assert_eq!(read.json["summary"], selected.json["summary"], "{what}: {query:?}");
        }
        read
    }

    /// Each mirror has used its own way.
    fn check_gone(&self) {
        let (read, selected) = (counted(&self.reading.mirror), counted(&self.selecting.mirror));
        assert!(read[0] > 0.0 && read[1..] == [0.0, 0.0], "{read:?}");
        assert!(selected[1] > 0.0 && selected[0] == 0.0 && selected[2] == 0.0, "{selected:?}");
    }
}

#[test]
fn the_samples_of_every_series_are_those_that_a_range_selector_finds() {
    for engine in ENGINES {
        let ways = Ways::to(engine.shared());
        let (start, end) = (T0 - HOUR, T0 + 21 * DAY);
        for series in all() {
            // A label that a series lacks and another series of the metric has is empty.
            let others = all().iter().filter(|other| other.name == series.name).flat_map(|other| other.labels.keys());
            let keys: BTreeSet<_> = others.collect();
            let conditions = keys.iter().map(|key| condition(key, series.labels.get(*key).map_or("", String::as_str)));
            let query = |key| Query::of(conditions.clone().chain([condition(key, series.name)]).collect());
            let what = format!("{} {} {:?}", engine.name(), series.name, series.labels);
            let counts = |sample: &&Sample| sample.value.is_finite() && !sample.is_stale();
            let counting = series.samples.iter().filter(counts);
            let stored: Vec<Vec<f64>> = counting.map(|sample| vec![sample.value, sample.time as f64]).collect();
            let response = ways.ask(&query("__gauge__").between(start, end), &what);
            assert_points(&response, &stored, 0.0, &what);
            let middle = series.samples[series.samples.len() / 2].time;
            for range in [(middle, middle), (middle + 1, end), (middle - 20 * MINUTE, middle + 1)] {
                for key in ["__gauge__", "__counter__"] {
                    ways.ask(&query(key).between(range.0, range.1), &what);
                }
            }
        }
        ways.check_gone();
    }
}

#[test]
fn every_method_gives_the_same_in_both_ways() {
    for engine in ENGINES {
        let ways = Ways::to(engine.shared());
        for name in ["queue_depth", "odd_levels", "edge_level", "http_requests_total", "once_total", "handover_total"] {
            for method in METHODS {
                for (start, bucket) in [(T0, MINUTE), (T0 + 7123, 61_003), (T0 + HOUR, HOUR), (T0 + MINUTE, 1)] {
                    let range = (start, (start + 100 * bucket).min(start + 3 * HOUR));
                    for query in [Query::gauge(name), Query::counter(name)] {
                        ways.ask(&query.between(range.0, range.1).aggregated(method, bucket), engine.name());
                    }
                }
            }
        }
        ways.check_gone();
    }
}

#[test]
fn a_staleness_marker_is_no_sample_in_either_way_nor_is_it_zero() {
    let (start, end) = (T0 + 20 * DAY, T0 + 20 * DAY + 20 * MINUTE);
    for engine in ENGINES {
        let ways = Ways::to(engine.shared()).with_nan(Nan::Zero);
        for (name, rules) in [("marked_level", GAUGE), ("marked_total", COUNTER)] {
            let query = if name.ends_with("total") { Query::counter(name) } else { Query::gauge(name) };
            let (query, series) = (query.between(start, end), one(name, &[]));
            let rules = Rules { nan: Nan::Zero, ..rules };
            assert_points(&ways.ask(&query, engine.name()), &rules.raw(series, start, end), 1e-12, name);
            for method in METHODS {
                let expected = rules.buckets(&[series], method, (start, end), 30 * SECOND);
                let response = ways.ask(&query.clone().aggregated(method, 30 * SECOND), engine.name());
                assert_points(&response, &expected, 1e-12, &format!("{}: {method} of {name}", engine.name()));
            }
        }
        ways.check_gone();
    }
}

#[test]
fn conditions_choose_the_same_series_in_both_ways() {
    let set = |key: &str, items: Value| typed_condition(key, items, "InSetValue");
    let number = |value: Value| typed_condition("size", value, "DoubleValue");
    let mut conditions: Vec<(&str, Vec<Value>)> = Vec::new();
    for text in AWKWARD {
        conditions.push(("awkward_info", vec![condition("text", text)]));
        conditions.push(("awkward_info", vec![set("text", json!([text, "no such text"]))]));
    }
    for pair in AWKWARD.windows(2) {
        conditions.push(("awkward_info", vec![set("text", json!(pair))]));
    }
    for value in [json!(2), json!(2.0), json!(20), json!(0.5), json!(-3), json!(0)] {
        conditions.push(("sized_info", vec![number(value)]));
    }
    conditions.extend([
        ("sized_info", vec![set("size", json!([2.0, 0.5, true, "20"]))]),
        ("sized_info", vec![set("size", json!(["", "2"]))]),
        // A label that no series has, one that all have, and one that some have.
        ("queue_depth", vec![condition("rack", "")]),
        ("queue_depth", vec![condition("pod", "")]),
        ("queue_depth", vec![condition("rack", ""), condition("pod", "b")]),
        ("queue_depth", vec![set("pod", json!(["a", ""]))]),
        ("queue_depth", vec![condition("pod", "a"), condition("pod", "b")]),
        ("queue_depth", vec![condition("__name__", "queue_depth"), condition("pod", "a")]),
        ("subset_level", vec![condition("side", "")]),
        ("subset_level", vec![condition("side", "left")]),
        ("subset_level", vec![set("side", json!(["", "left"]))]),
        ("no_such_metric", vec![condition("pod", "a")]),
    ]);
    for engine in ENGINES {
        let ways = Ways::to(engine.shared());
        for (name, conditions) in &conditions {
            let query = conditions.iter().cloned().fold(Query::gauge(name), Query::and).between(T0, T0 + HOUR);
            ways.ask(&query, engine.name());
            for method in ["EVENT_COUNT", "SUM_NO_ZEROS", "PERCENTILE_50"] {
                ways.ask(&query.clone().aggregated(method, 10 * MINUTE), engine.name());
            }
        }
        ways.check_gone();
    }
}

/// Prometheus adds its external labels to remote reads, and interprets an equality with one of them as a selection by external
/// label. PromQL does not know external labels: it finds series that have the label themselves.
#[test]
fn a_condition_on_an_external_label_finds_the_series_that_have_it_themselves() {
    let config = "{global: {external_labels: {cluster: eu, pod: a, namespace: shop}}}";
    for engine in ENGINES {
        let prometheus = Prometheus::start_engine(engine, config, Samples::Loaded, &[]);
        let ways = Ways::to(prometheus.server());
        for (conditions, selector) in [
            (vec![], "queue_depth"),
            // Some series have it with this value, others with another one.
            (vec![condition("pod", "a")], r#"queue_depth{pod="a"}"#),
            (vec![condition("pod", "b")], r#"queue_depth{pod="b"}"#),
            (vec![typed_condition("pod", json!(["a", "b"]), "InSetValue")], r#"queue_depth{pod=~"a|b"}"#),
            (vec![typed_condition("pod", json!(["a", ""]), "InSetValue")], r#"queue_depth{pod=~"a|"}"#),
            // All have it with this value.
            (vec![condition("namespace", "shop")], r#"queue_depth{namespace="shop"}"#),
            (vec![condition("namespace", "")], r#"queue_depth{namespace=""}"#),
            // None has it.
            (vec![condition("cluster", "eu")], r#"queue_depth{cluster="eu"}"#),
            (vec![condition("cluster", "")], r#"queue_depth{cluster=""}"#),
            (vec![condition("cluster", ""), condition("pod", "c")], r#"queue_depth{cluster="",pod="c"}"#),
        ] {
            let query = conditions.into_iter().fold(Query::gauge("queue_depth"), Query::and);
            let count = query.clone().between(T0, T0 + 3 * HOUR).aggregated("EVENT_COUNT", 3 * HOUR);
            let promql = format!("sum(count_over_time({selector}[10799999ms]))");
            let response = ways.ask(&count, engine.name());
            match prometheus.value(&promql, T0 + 3 * HOUR - 1) {
                Some(expected) => {
                    let expected = [vec![expected, T0 as f64, (T0 + 3 * HOUR) as f64]];
                    assert_points(&response, &expected, 0.0, &format!("{} {selector}", engine.name()));
                }
                None => assert_error(&response, "MetricNotFoundError", &["queue_depth", "has the metric"]),
            }
            ways.ask(&query.between(T0, T0 + HOUR), engine.name());
        }
        ways.check_gone();
    }
}

/// An external label is added to series that lack it. One of two series then looks like the other one.
#[test]
fn series_that_external_labels_make_alike_are_not_one_series() {
    for engine in ENGINES {
        let config = "{global: {external_labels: {region: eu}}}";
        let prometheus = Prometheus::start_engine(engine, config, Samples::Loaded, &[]);
        let ways = Ways::to(prometheus.server());
        let raw = Query::counter("relabelled_total").between(T0, T0 + 10 * MINUTE);
        assert_error(&ways.ask(&raw, engine.name()), "RemoteMirrorError", &["Too many metrics.", "region"]);
        let sum = |method| raw.clone().aggregated(method, 10 * MINUTE);
        // Each series rises by 10 nineteen times, in 15 s each.
        for (method, expected) in [("SUM", 380.0), ("MEAN", 2.0 * 10.0 / 15.0)] {
            let expected = [vec![expected, T0 as f64, (T0 + 10 * MINUTE) as f64]];
            assert_points(&ways.ask(&sum(method), engine.name()), &expected, 1e-9, method);
        }
    }
}
