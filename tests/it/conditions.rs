//! Conditions: which name the metric, which match labels, and the errors if nothing is found.

use serde_json::{Value, json};

use crate::support::ask::{Gateway, Query, assert_error, assert_points, error_text};
use crate::support::engine::Engine;
use crate::support::exporter;
use crate::support::mirror::{condition, typed_condition};
use crate::support::oracle::{self, COUNTER, GAUGE, Nan};
use crate::support::prometheus;
use crate::support::samples::{AWKWARD, DAY, HOUR, MINUTE, SPELLINGS, T0, one, select};

/// The condition selects exactly the series of `name` whose label has one of these values.
fn check(gateway: &Gateway, name: &str, condition: Value, expected: &[&str]) {
    let query = Query::gauge(name).and(condition.clone()).between(T0, T0 + MINUTE).aggregated("SUM_NO_ZEROS", MINUTE);
    // Each series has its own power of two.
    let is_one_of = |value: &String| expected.contains(&value.as_str());
    let chosen = select(name, &[]).into_iter().filter(|series| series.labels.values().any(is_one_of));
    let sum: f64 = chosen.map(|series| series.samples[0].value).sum();
    let what = format!("{name} {condition}");
    assert_points(&gateway.ask(&query), &[vec![sum, T0 as f64, (T0 + MINUTE) as f64]], 0.0, &what);
}

#[test]
fn each_awkward_label_value_selects_exactly_its_series() {
    let gateway = Gateway::to_prometheus();
    for text in AWKWARD {
        check(&gateway, "awkward_info", condition("text", text), &[text]);
        let series = one("awkward_info", &[("text", text)]);
        let response = gateway.ask(&Query::gauge("awkward_info").label("text", text).between(T0, T0 + HOUR));
        assert_points(&response, &oracle::raw(series, T0, T0 + HOUR, Nan::None), 0.0, text);
    }
}

#[test]
fn a_set_selects_exactly_its_members() {
    let gateway = Gateway::to_prometheus();
    let set = |items: &[Value]| typed_condition("text", json!(items), "InSetValue");
    for text in AWKWARD {
        check(&gateway, "awkward_info", set(&[json!(text)]), &[text]);
        check(&gateway, "awkward_info", set(&[json!(text), json!("no such text")]), &[text]);
    }
    for pair in AWKWARD.windows(2) {
        check(&gateway, "awkward_info", set(&[json!(pair[0]), json!(pair[1])]), pair);
    }
    let all: Vec<Value> = AWKWARD.iter().map(|text| json!({"value": text, "_type": "StringValue"})).collect();
    check(&gateway, "awkward_info", set(&all), AWKWARD);
    let mixed = json!([{"value": 2.0, "_type": "DoubleValue"}, 0.5, true, {"value": "20", "_type": "StringValue"}]);
    check(
        &gateway,
        "sized_info",
        typed_condition("size", mixed, "InSetValue"),
        &["2", "2.0", "2.00", "0.5", "true", "20"],
    );
    let empty = Query::gauge("awkward_info").and(set(&[])).between(T0, T0 + HOUR);
    assert_error(&gateway.ask(&empty), "RemoteMirrorError", &["text"]);
}

#[test]
fn a_set_that_fits_into_no_url_is_answered_like_a_small_one() {
    let gateway = Gateway::to_prometheus();
    for absent in [2, 200, 2_500] {
        let items: Vec<String> = (0..absent).map(|nth| format!("no such pod {nth}")).collect();
        let set = |more: &[&str]| {
            let items: Vec<&str> = items.iter().map(String::as_str).chain(more.iter().copied()).collect();
            typed_condition("pod", json!(items), "InSetValue")
        };
        for key in ["__gauge__", "__counter__"] {
            let query = Query::of(vec![condition(key, "queue_depth"), set(&[])]).between(T0, T0 + HOUR);
            assert_error(
                &gateway.ask(&query),
                "MetricNotFoundError",
                &["has the metric", "change or remove a condition"],
            );
        }
        let values = |label: &str, set: Value| {
            let conditions = json!({"conditions": [condition("__gauge__", "queue_depth"), set]});
            gateway.field_values(label, conditions).0.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(values("namespace", set(&["b"])), ["shop"], "{absent}");
        assert_eq!(values("__name__", set(&["b", "c"])), ["queue_depth"], "{absent}");
        assert!(values("namespace", set(&[])).is_empty(), "{absent}");
    }
}

#[test]
fn a_number_matches_the_ways_a_label_may_write_it_and_nothing_else() {
    let gateway = Gateway::to_prometheus();
    let check = |value: Value, expected: &[&str]| {
        check(&gateway, "sized_info", typed_condition("size", value, "DoubleValue"), expected);
    };
    check(json!(2.0), &["2", "2.0", "2.00"]);
    check(json!(2), &["2", "2.0", "2.00"]);
    check(json!(20), &["20"]);
    check(json!(0.5), &["0.5"]);
    check(json!(-3.0), &["-3", "-3.0"]);
}

#[test]
fn a_number_matches_every_spelling_of_exporters_on_each_engine() {
    let small = &["1e-05", "0.00001", "1E-5", "1e-5", "1.0E-5"][..];
    let million = &["1e+06", "1000000", "1e6", "1.0e6", "1E6", "1000000.0"][..];
    let two = &["2", "2.0", "2.00"][..];
    for engine in Engine::ALL {
        let gateway = Gateway::to_engine(engine);
        let check = |value: Value, expected: &[&str]| {
            let kind = if value.is_array() { "InSetValue" } else { "DoubleValue" };
            check(&gateway, "spelt_info", typed_condition("size", value, kind), expected);
        };
        check(json!(1e-5), small);
        check(json!(0.00001), small);
        check(json!(1e6), million);
        check(json!(1_000_000), million);
        check(json!(1_000_000.0), million);
        check(json!(2), two);
        check(json!(2.0), two);
        check(json!(0.5), &["0.5", "0.50", "5.0e-01"]);
        check(json!(1e-6), &["1e-6"]);
        check(json!(1e7), &["1e+07", "10000000"]);
        check(json!(1e5), &["100000"]);
        check(json!(1e60), &["1e+60", "1e60"]);
        check(json!(12), &["12"]);
        check(json!([2, 1e6]), &[two, million].concat());
        check(json!([{"value": 1e-5, "_type": "DoubleValue"}, "02"]), &[small, &["02"]].concat());
    }
    assert!(SPELLINGS.len() < 52, "a sum of powers of two is exact");
}

#[test]
fn a_series_whose_labels_are_all_labels_of_another_is_chosen_by_what_it_lacks() {
    let range = (T0, T0 + HOUR);
    for engine in Engine::ALL {
        let gateway = Gateway::to_engine(engine);
        for (key, rules) in [("__gauge__", GAUGE), ("__counter__", COUNTER)] {
            let query = Query::of(vec![condition(key, "subset_level")]).between(range.0, range.1);
            let parts = ["Too many metrics.", "2 series", "differ in side", "side = \"\"", "side = \"left\""];
            assert_error(&gateway.ask(&query), "RemoteMirrorError", &parts);
            // Adding what the error suggests leads to one or the other.
            for (side, is_it) in [("", false), ("left", true)] {
                let series =
                    select("subset_level", &[]).into_iter().find(|one| one.labels.contains_key("side") == is_it);
                let expected = rules.raw(series.unwrap(), range.0, range.1);
                let response = gateway.ask(&query.clone().label("side", side));
                assert_points(&response, &expected, engine.tolerance(), &format!("{} {key} {side:?}", engine.name()));
            }
        }
    }
}

#[test]
fn a_boolean_matches_its_lower_case_word() {
    let gateway = Gateway::to_prometheus();
    for (value, word) in [(true, "true"), (false, "false")] {
        check(&gateway, "sized_info", typed_condition("size", json!(value), "BooleanValue"), &[word]);
    }
}

#[test]
fn a_value_is_read_by_its_json_kind_whatever_its_type_is() {
    let gateway = Gateway::to_prometheus();
    let bare = |value: Value| json!({"key": "size", "value": {"value": value}, "_type": "EqualityCondition"});
    for (value, expected) in [
        (json!("2"), &["2"][..]),
        (json!(2.0), &["2", "2.0", "2.00"]),
        (json!(0.5), &["0.5"]),
        (json!(true), &["true"]),
        (json!(["20", "0.5"]), &["20", "0.5"]),
    ] {
        // The JSON type determines which type of value it is.
        check(&gateway, "sized_info", typed_condition("size", value.clone(), "StringValue"), expected);
        check(&gateway, "sized_info", bare(value), expected);
    }
}

#[test]
fn what_no_label_can_hold_is_an_unsupported_type() {
    let gateway = Gateway::to_prometheus();
    for value in [Value::Null, json!({"a": 1})] {
        for kind in ["NovelValue", "StringValue", "DoubleValue", "BooleanValue"] {
            let query = Query::gauge("sized_info").and(typed_condition("size", value.clone(), kind));
            let response = gateway.ask(&query.between(T0, T0 + HOUR));
            assert_error(&response, "UnsupportedFieldTypeError", &[]);
            assert!(response.json["mirrorType"].as_str().is_some_and(|kind| !kind.is_empty()), "{}", response.text);
        }
    }
    for (kind, shown) in [("RegexValue", "RegexValue"), ("https://u:hush@h", "unknown")] {
        let query = Query::gauge("sized_info").and(typed_condition("size", json!("2"), kind));
        let response = gateway.ask(&query.between(T0, T0 + HOUR));
        assert_error(&response, "UnsupportedFieldTypeError", &[]);
        assert_eq!(response.json["mirrorType"], shown, "{}", response.text);
    }
}

#[test]
fn all_conditions_have_to_hold() {
    let gateway = Gateway::to_prometheus();
    let query = Query::gauge("queue_depth").between(T0, T0 + HOUR);
    let expected = oracle::raw(one("queue_depth", &[("pod", "a")]), T0, T0 + HOUR, Nan::None);
    let both = query.clone().label("pod", "a").label("namespace", "shop");
    assert_points(&gateway.ask(&both), &expected, 0.0, "both hold");
    assert_error(&gateway.ask(&query.clone().label("pod", "a").label("namespace", "bar")), "MetricNotFoundError", &[]);
    assert_error(&gateway.ask(&query.clone().label("pod", "a").label("pod", "b")), "MetricNotFoundError", &[]);
    // A label that no series has is the same as an empty one.
    assert_points(&gateway.ask(&query.label("pod", "a").label("rack", "")), &expected, 0.0, "an empty label");
}

#[test]
fn none_or_several_of_the_three_keys_is_an_error_that_names_them() {
    let gateway = Gateway::to_prometheus();
    let gauge = condition("__gauge__", "room_celsius");
    let counter = condition("__counter__", "jobs_15s_total");
    let expression = condition("~", "vector(1)");
    for conditions in [
        vec![],
        vec![condition("pod", "a")],
        vec![gauge.clone(), counter.clone()],
        vec![gauge.clone(), gauge.clone()],
        vec![counter.clone(), expression.clone()],
        vec![gauge, counter, expression],
    ] {
        let response = gateway.ask(&Query::of(conditions).between(T0, T0 + HOUR));
        assert_error(&response, "MetricNotFoundError", &["__gauge__", "__counter__", "~"]);
    }
}

#[test]
fn a_metric_that_never_existed_is_not_found() {
    let gateway = Gateway::to_prometheus();
    let texts: Vec<_> = each_kind("no_such_metric", &[])
        .iter()
        .map(|query| {
            let response = gateway.ask(query);
            assert_error(&response, "MetricNotFoundError", &["no_such_metric"]);
            assert_eq!(response.json["metric"], "no_such_metric");
            error_text(&response.json)
        })
        .collect();
    // The metric exists with other labels: the same error, with a hint.
    for (query, text) in each_kind("queue_depth", &[("pod", "zzz")]).iter().zip(texts) {
        let response = gateway.ask(query);
        assert_error(&response, "MetricNotFoundError", &["has the metric", "pod", "zzz"]);
        assert_eq!(response.json["metric"], "queue_depth");
        assert_ne!(error_text(&response.json).replace("queue_depth", "no_such_metric"), text);
    }
}

#[test]
fn a_metric_that_is_not_there_is_told_the_nearest_there_are() {
    for engine in Engine::ALL {
        let gateway = Gateway::to_engine(engine);
        let check = |name: &str, parts: &[&str]| {
            for key in ["__gauge__", "__counter__"] {
                let query = Query::of(vec![condition(key, name)]).between(T0, T0 + HOUR);
                assert_error(&gateway.ask(&query), "MetricNotFoundError", parts);
            }
        };
        check("que_depth", &["did you mean queue_depth?"]);
        check("Queue_Depth", &["did you mean queue_depth?"]);
        check("jobs_15s", &["did you mean jobs_15s_total?"]);
        check("nothing_like_any_metric_there_is", &["check its spelling"]);
        for expression in ["rate(queue_depth[5m])", "queue_depth{pod=\"a\"}", "queue_depth > 1", "queue_depth[5m]"] {
            check(expression, &["looks like a PromQL expression", "key ~"]);
        }
    }
}

#[test]
fn an_expression_with_several_series_is_told_what_to_write_into_it() {
    let gateway = Gateway::to_prometheus();
    let query = Query::expression("queue_depth").between(T0, T0 + HOUR);
    for query in [query.clone(), query.aggregated("MAX", MINUTE)] {
        let response = gateway.ask(&query);
        assert_error(&response, "RemoteMirrorError", &["into the expression", "pod="]);
        assert!(!error_text(&response.json).contains("condition"), "{}", response.text);
    }
    // What the error suggests leads to a response.
    let chosen = Query::expression("queue_depth{pod=\"a\"}").between(T0, T0 + HOUR);
    assert!(!gateway.ask(&chosen).points().is_empty());
}

#[test]
fn no_text_gets_out_of_its_string() {
    let gateway = Gateway::to_prometheus();
    for name in ["x\"} or vector(1) #", "back\\", "line\nbreak", "{}", "queue_depth{pod=\"a\"}", "queue_depth|x", ".+"]
    {
        let response = gateway.ask(&Query::gauge(name).between(T0, T0 + HOUR));
        assert_error(&response, "MetricNotFoundError", &[]);
        assert_eq!(response.json["metric"], name);
    }
    // Prometheus 2 has no such label names, and says so. Prometheus 3 has them, and no series with these.
    let has_such_names = !prometheus::shared().version().starts_with("2.");
    for label in ["my.label", "pod=\"a\"} or {x", "pod=~"] {
        let response = gateway.ask(&Query::gauge("queue_depth").label(label, "x").between(T0, T0 + HOUR));
        match has_such_names {
            false => assert_error(&response, "RemoteMirrorError", &["parse error", "127.0.0.1"]),
            true => assert_error(&response, "MetricNotFoundError", &["change or remove a condition", "127.0.0.1"]),
        }
    }
}

#[test]
fn a_metric_without_samples_in_the_range_is_an_empty_list_or_zeros() {
    let gateway = Gateway::to_prometheus();
    for (start, end) in [(T0 - 2 * DAY, T0 - DAY), (T0 + 20 * DAY, T0 + 21 * DAY)] {
        let zeros: Vec<_> =
            (0..24).map(|hour| vec![0.0, (start + hour * HOUR) as f64, (start + (hour + 1) * HOUR) as f64]).collect();
        for query in [Query::gauge("queue_depth").label("pod", "a"), Query::counter("jobs_15s_total")] {
            let query = query.between(start, end);
            assert_points(&gateway.ask(&query), &[], 0.0, "raw");
            for method in ["MEAN", "MAX", "PERCENTILE_50", "SUM_NO_ZEROS", "EVENT_COUNT_NO_ZEROS"] {
                assert_points(&gateway.ask(&query.clone().aggregated(method, HOUR)), &[], 0.0, method);
            }
            for method in ["SUM", "EVENT_COUNT"] {
                assert_points(&gateway.ask(&query.clone().aggregated(method, HOUR)), &zeros, 0.0, method);
            }
        }
    }
    // The same for the part of a range that has samples.
    let response = gateway.ask(&Query::gauge("late_level").between(T0, T0 + DAY));
    assert_points(&response, &[], 0.0, "late_level");
}

#[test]
fn the_name_of_a_histogram_or_summary_leads_to_histogram_quantile() {
    let gateway = Gateway::to(exporter::scraped().details());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    for query in [Query::gauge("latency_seconds"), Query::counter("latency_seconds")] {
        for query in [query.clone(), query.aggregated("MEAN", 10_000)] {
            let response = gateway.ask(&query.between(now - MINUTE, now));
            assert_error(&response, "MetricNotFoundError", &["histogram_quantile", "~"]);
            assert_eq!(response.json["metric"], "latency_seconds");
        }
    }
}

/// A raw and aggregated queries of a metric, as a gauge and as a counter.
fn each_kind(name: &str, labels: &[(&str, &str)]) -> Vec<Query> {
    let mut queries = Vec::new();
    for query in [Query::gauge(name), Query::counter(name)] {
        let query = labels.iter().fold(query, |query, (key, value)| query.label(key, value)).between(T0, T0 + HOUR);
        queries.push(query.clone());
        queries.extend(
            ["MEAN", "MAX", "SUM", "EVENT_COUNT", "PERCENTILE_50"]
                .map(|method| query.clone().aggregated(method, MINUTE)),
        );
    }
    queries
}
