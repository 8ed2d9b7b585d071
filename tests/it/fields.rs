//! Field names and field values, which StackState offers to the admin who builds a query.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::ask::{Gateway, Query, assert_points};
use crate::support::engine::Engine;
use crate::support::exporter;
use crate::support::mirror::{condition, typed_condition};
use crate::support::oracle::{self, Nan};
use crate::support::samples::{self, AWKWARD, DAY, DRAWERS, ESCAPED_LABEL, HOUR, Series, T0};
use crate::support::stub::{Reply, Stub, good};

/// The keys that name the source of a query. They come first.
const KEYS: [&str; 3] = ["__counter__", "__gauge__", "~"];

/// A field query with these conditions and no time range.
fn query(conditions: &[Value]) -> Value {
    json!({"conditions": conditions})
}

/// A query with some more members.
fn and(mut query: Value, more: Value) -> Value {
    query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    query
}

/// The three keys and the labels of the series, sorted.
fn names_of<'a>(series: impl Iterator<Item = &'a Series>) -> Vec<String> {
    let labels: BTreeSet<_> = series.flat_map(|series| series.labels.keys().copied()).collect();
    KEYS.into_iter().chain(labels).map(str::to_owned).collect()
}

/// The values of a label of the series, sorted.
fn values_of<'a>(series: impl Iterator<Item = &'a Series>, label: &str) -> Vec<String> {
    series.filter_map(|series| series.labels.get(label)).cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// The names of the metrics, sorted.
fn metrics_of<'a>(series: impl Iterator<Item = &'a Series>) -> Vec<String> {
    series.map(|series| series.name.to_owned()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Series with a sample in the range.
fn during(start: i64, end: i64) -> impl Iterator<Item = &'static Series> {
    samples::all().iter().filter(move |series| series.samples.iter().any(|s| start <= s.time && s.time <= end))
}

fn named(name: &str) -> impl Iterator<Item = &'static Series> {
    samples::all().iter().filter(move |series| series.name == name)
}

#[test]
fn field_names_are_the_three_keys_and_then_the_labels() {
    let gateway = Gateway::to_prometheus();
    let all = names_of(samples::all().iter());
    assert_eq!(gateway.field_names(query(&[])), (all.clone(), false));
    assert_eq!(gateway.field_names(and(query(&[]), json!({"startTime": 0, "endTime": 0}))), (all, false));
}

#[test]
fn a_field_name_is_a_descriptor_of_a_string() {
    let gateway = Gateway::to_prometheus();
    let request =
        json!({"connectionDetails": gateway.details, "query": query(&[condition("__gauge__", "queue_depth")])});
    let response = gateway.mirror.post("/api/field/name", &request);
    let fields = ["__counter__", "__gauge__", "~", "namespace", "pod"]
        .map(|name| json!({"_type": "FieldDescriptor", "classified": false, "fieldName": name, "fieldType": "STRING"}));
    assert_eq!(response.json, json!({"fields": fields, "isPartial": false, "_type": "FieldNamesResponse"}));
}

#[test]
fn field_names_are_narrowed_by_the_conditions() {
    let gateway = Gateway::to_prometheus();
    let check = |conditions: &[Value], expected: &mut dyn Iterator<Item = &'static Series>| {
        assert_eq!(gateway.field_names(query(conditions)), (names_of(expected), false), "{conditions:?}");
    };
    check(&[condition("__gauge__", "queue_depth")], &mut named("queue_depth"));
    check(&[condition("__counter__", "http_requests_total")], &mut named("http_requests_total"));
    let shop = |series: &&Series| series.labels.get("namespace").is_some_and(|value| value == "shop");
    check(&[condition("namespace", "shop")], &mut samples::all().iter().filter(shop));
    check(&[condition("text", "two\nlines")], &mut named("awkward_info"));
    check(&[typed_condition("size", json!(2.0), "DoubleValue")], &mut named("sized_info"));
    check(&[condition("__gauge__", "no_such_metric")], &mut std::iter::empty());
    // An expression narrows nothing.
    check(&[condition("~", "queue_depth")], &mut samples::all().iter());
    check(&[condition("~", "sum("), condition("__gauge__", "queue_depth")], &mut named("queue_depth"));
}

#[test]
fn fields_are_narrowed_by_the_time_range() {
    let gateway = Gateway::to_prometheus();
    for (start, end) in [(T0, T0 + HOUR), (T0 + 9 * DAY, T0 + 9 * DAY + HOUR), (T0 + 30 * DAY, T0 + 31 * DAY)] {
        let query = and(query(&[]), json!({"startTime": start, "endTime": end}));
        assert_eq!(gateway.field_names(query.clone()), (names_of(during(start, end)), false), "{start} to {end}");
        let pods = values_of(during(start, end), "pod");
        assert_eq!(gateway.field_values("pod", query), (pods, false), "{start} to {end}");
    }
}

#[test]
fn a_limit_of_field_names_counts_the_three_keys_too() {
    let gateway = Gateway::to_prometheus();
    let all = names_of(samples::all().iter());
    for limit in [1, 3, 4, all.len() - 1, all.len(), all.len() + 1, 2_147_483_647] {
        let (names, partial) = gateway.field_names(and(query(&[]), json!({"limit": limit})));
        assert_eq!((&names[..], partial), (&all[..limit.min(all.len())], limit < all.len()), "limit {limit}");
    }
}

#[test]
fn field_values_are_the_values_of_the_label_sorted() {
    let gateway = Gateway::to_prometheus();
    for label in ["pod", "text", "size", "le", "code", "no_such_label"] {
        let expected = values_of(samples::all().iter(), label);
        assert_eq!(gateway.field_values(label, query(&[])), (expected, false), "{label}");
    }
}

#[test]
fn a_field_value_is_complete() {
    let gateway = Gateway::to_prometheus();
    let field = json!({"fieldName": "room", "fieldType": "STRING", "classified": false, "_type": "FieldDescriptor"});
    let request = json!({"connectionDetails": gateway.details, "query": {"conditions": [], "field": field}});
    let values = json!([{"value": "attic", "_type": "CompleteValue"}]);
    let response = gateway.mirror.post("/api/field/value", &request);
    assert_eq!(response.json, json!({"values": values, "isPartial": false, "_type": "FieldValuesResponse"}));
}

#[test]
fn field_values_are_narrowed_by_all_conditions_but_the_one_on_the_field_itself() {
    let gateway = Gateway::to_prometheus();
    let check = |label: &str, conditions: &[Value], expected: &[&str]| {
        let (values, partial) = gateway.field_values(label, query(conditions));
        assert_eq!(
            (values, partial),
            (expected.iter().map(|v| (*v).to_owned()).collect(), false),
            "{label} {conditions:?}"
        );
    };
    let queue = condition("__gauge__", "queue_depth");
    check("pod", std::slice::from_ref(&queue), &["a", "b", "c"]);
    check("pod", &[queue.clone(), condition("pod", "b")], &["a", "b", "c"]);
    check("namespace", &[queue, condition("pod", "b")], &["shop"]);
    check("pod", &[condition("shelf", "s1")], &["early", "late"]);
    check("pod", &[condition("shelf", "s2")], &[]);
    check("code", &[condition("__counter__", "http_requests_total"), condition("pod", "a")], &["200", "500"]);
    check("code", &[condition("__counter__", "jobs_15s_total")], &[]);
    check("pod", &[condition("~", "vector(1)"), condition("shelf", "s1")], &["early", "late"]);
}

#[test]
fn field_values_have_the_requested_prefix() {
    let gateway = Gateway::to_prometheus();
    let all = values_of(samples::all().iter(), "text");
    for prefix in AWKWARD.iter().copied().chain(["", "two", "a", "caf", "C:\\", "nothing begins like this"]) {
        let expected = all.iter().filter(|text| text.starts_with(prefix)).cloned().collect();
        let query = and(query(&[]), json!({"fieldValuePrefix": prefix}));
        assert_eq!(gateway.field_values("text", query), (expected, false), "{prefix}");
    }
}

#[test]
fn field_values_are_cut_by_offset_and_limit_after_the_prefix() {
    let gateway = Gateway::to_prometheus();
    let all = values_of(samples::all().iter(), "text");
    for prefix in ["", "a"] {
        let all: Vec<_> = all.iter().filter(|text| text.starts_with(prefix)).cloned().collect();
        let count = all.len();
        for offset in [0, 1, count - 1, count, count + 1] {
            for limit in [1, 2, count - 1, count, count + 1, 2_147_483_647] {
                let rest = &all[offset.min(count)..];
                let more = json!({"fieldValuePrefix": prefix, "offset": offset, "limit": limit});
                let expected = (rest[..limit.min(rest.len())].to_vec(), rest.len() > limit);
                assert_eq!(gateway.field_values("text", and(query(&[]), more.clone())), expected, "{more}");
            }
        }
    }
}

#[test]
fn an_expression_has_no_values() {
    let gateway = Gateway::to_prometheus();
    assert_eq!(gateway.field_values("~", query(&[])), (vec![], false));
    assert_eq!(gateway.field_values("~", query(&[condition("pod", "a")])), (vec![], false));
}

#[test]
fn a_field_that_no_label_can_be_is_not_blamed_on_the_connection() {
    let gateway = Gateway::to_prometheus();
    for name in ["", "a/b", "../status/config", "a b", "a?x=1", "a%2Fb"] {
        let request =
            json!({"connectionDetails": gateway.details, "query": {"conditions": [], "field": {"fieldName": name}}});
        let response = gateway.mirror.post("/api/field/value", &request);
        let nothing = response.json["values"].as_array().is_some_and(Vec::is_empty);
        assert!(nothing || response.json["_type"] == "RemoteMirrorError", "`{name}`: {}", response.text);
    }
}

#[test]
fn without_metadata_every_metric_is_offered_as_a_counter_and_as_a_gauge() {
    let gateway = Gateway::to_prometheus();
    let check = |conditions: &[Value], series: &mut dyn Iterator<Item = &'static Series>| {
        let metrics = metrics_of(series);
        assert!(metrics.len() > 1, "{conditions:?}");
        for key in ["__counter__", "__gauge__"] {
            assert_eq!(gateway.field_values(key, query(conditions)), (metrics.clone(), false), "{key} {conditions:?}");
        }
    };
    check(&[], &mut samples::all().iter());
    let carries = |label: &'static str, text: &'static str| {
        samples::all().iter().filter(move |series| series.labels.get(label).is_some_and(|value| value == text))
    };
    check(&[condition("namespace", "shop")], &mut carries("namespace", "shop"));
    check(&[condition("job", "shop")], &mut carries("job", "shop"));
    check(&[condition("pod", "a"), condition("~", "vector(1)")], &mut carries("pod", "a"));
    // A condition on the field itself does not narrow it.
    let itself = condition("__counter__", "jobs_15s_total");
    let (counters, _) = gateway.field_values("__counter__", query(&[itself, condition("worker", "w1")]));
    assert_eq!(counters, metrics_of(carries("worker", "w1")));
}

#[test]
fn metric_names_are_cut_like_other_values() {
    let gateway = Gateway::to_prometheus();
    let all = metrics_of(samples::all().iter());
    let more = json!({"offset": 2, "limit": 3});
    assert_eq!(gateway.field_values("__gauge__", and(query(&[]), more)), (all[2..5].to_vec(), true));
    let tens = json!({"fieldValuePrefix": "ten_days"});
    let tens_of = ["ten_days_level", "ten_days_total"].map(str::to_owned).to_vec();
    assert_eq!(gateway.field_values("__gauge__", and(query(&[]), tens)), (tens_of, false));
}

#[test]
fn metadata_sorts_metrics_into_counters_and_gauges_whatever_their_names() {
    let gateway = Gateway::to(exporter::scraped().details());
    let zone = query(&[condition("zone", "z1")]);
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(gateway.field_values("__counter__", zone.clone()), (owned(&exporter::COUNTERS), false));
    assert_eq!(gateway.field_values("__gauge__", zone), (owned(&exporter::GAUGES), false));
}

#[test]
fn the_parts_of_a_family_are_sorted_by_its_declared_type() {
    let types = [
        ("build", "info"),
        ("release_info", "info"),
        ("depth", "gaugehistogram"),
        ("latency", "histogram"),
        ("jobs", "counter"),
        ("size", "summary"),
        ("state", "stateset"),
    ];
    let metadata: Value = types
        .map(|(name, kind)| (name.to_owned(), json!([{"type": kind, "help": "", "unit": ""}])))
        .into_iter()
        .collect();
    // In the random order of a server.
    const NAMES: [&str; 20] = [
        "state", "depth_gsum", "build_info", "jobs_total", "latency_sum", "depth_bucket", "size", "jobs_created",
        "latency", "depth_gcount", "latency_bucket", "latency_count", "release_info", "size_sum", "size_count",
        "other_info", "build", "other_gcount", "other_gsum", "other_total",
    ];
    let stub = Stub::start(move |request| match request.path.as_str() {
        "/api/v1/metadata" => Reply::success(metadata.clone()),
        "/api/v1/label/__name__/values" => Reply::success(json!(NAMES)),
        _ => good(request),
    });
    let gateway = Gateway::to(stub.details());
    let both = ["other_gcount", "other_gsum", "other_info", "other_total"];
    let sorted = |names: &[&str]| {
        let mut names: Vec<_> = names.iter().chain(&both).map(|name| (*name).to_owned()).collect();
        names.sort();
        (names, false)
    };
    let counters = ["jobs_total", "latency_bucket", "latency_count", "latency_sum", "size_count", "size_sum"];
    assert_eq!(gateway.field_values("__counter__", query(&[])), sorted(&counters));
    let gauges = [
        "build", "build_info", "depth_bucket", "depth_gcount", "depth_gsum", "jobs_created", "release_info", "size",
        "state",
    ];
    assert_eq!(gateway.field_values("__gauge__", query(&[])), sorted(&gauges));
}

#[test]
fn pages_of_values_give_each_value_exactly_once_on_each_engine() {
    let mut all: Vec<String> = DRAWERS.iter().map(|drawer| (*drawer).to_owned()).collect();
    all.sort();
    for engine in Engine::ALL {
        let gateway = Gateway::to_engine(engine);
        for (field, all) in [("drawer", &all), ("text", &values_of(samples::all().iter(), "text"))] {
            let mut found = Vec::new();
            for offset in (0..).step_by(2) {
                let page = and(query(&[]), json!({"offset": offset, "limit": 2}));
                let (values, is_partial) = gateway.field_values(field, page);
                assert!(values.len() == 2 || !is_partial, "{}: {values:?}", engine.name());
                assert_eq!(is_partial, offset + 2 < all.len(), "{} {offset}", engine.name());
                found.extend(values);
                if !is_partial {
                    break;
                }
            }
            assert_eq!(&found, all, "{}", engine.name());
        }
    }
}

#[test]
fn a_label_that_begins_like_an_escaped_one_is_read_as_it_is_written() {
    for engine in Engine::ALL {
        let gateway = Gateway::to_engine(engine);
        let of_metric = query(&[condition("__gauge__", "escaped_level")]);
        let names = KEYS.into_iter().chain([ESCAPED_LABEL]).map(str::to_owned).collect();
        assert_eq!(gateway.field_names(of_metric.clone()), (names, false), "{}", engine.name());
        for query in [query(&[]), of_metric, and(query(&[]), json!({"fieldValuePrefix": "pl"}))] {
            let values = gateway.field_values(ESCAPED_LABEL, query);
            assert_eq!(values, (vec!["plain".to_owned()], false), "{}", engine.name());
        }
        assert_eq!(gateway.field_values("U__y", query(&[])), (vec![], false), "{}", engine.name());
    }
    // As a condition, each engine reads it so.
    for engine in Engine::ALL {
        let query = Query::gauge("escaped_level").label(ESCAPED_LABEL, "plain").between(T0, T0 + HOUR);
        let expected = oracle::raw(samples::one("escaped_level", &[]), T0, T0 + HOUR, Nan::None);
        assert_points(&Gateway::to_engine(engine).ask(&query), &expected, 0.0, engine.name());
    }
}
