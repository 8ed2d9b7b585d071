//! The source `~`: PromQL at steps or in buckets, compared with the same expression sent to Prometheus directly.

use crate::support::ask::{Gateway, METHODS, Query, assert_cut, assert_error, assert_points};
use crate::support::engine::Engine;
use crate::support::oracle::{self, GAUGE, Nan, Rules};
use crate::support::prometheus;
use crate::support::remote_write::{remote_write, remote_write_histograms};
use crate::support::samples::{DAY, HOUR, MINUTE, SECOND, Sample, T0, one, select, series};

/// Rounding error of a sum in another order.
const ROUNDING: f64 = 1e-9;

/// Expressions with one result: over a histogram, and with texts that are easily embedded wrongly.
const EXPRESSIONS: &[&str] = &[
    "room_celsius",
    "sum(rate(http_requests_total{code=\"200\"}[2m]))",
    "histogram_quantile(0.9, sum by (le) (rate(request_seconds_bucket[5m])))",
    "rpc_seconds{quantile=\"0.9\"}",
    "sum(queue_depth) # the comment of a careful admin",
    "sum(awkward_info{text=\"# comment\"})",
    "# before\n  sum(queue_depth)\n# after",
    "max(queue_depth) - min(queue_depth) or vector(0)",
    "avg_over_time(sum(queue_depth)[10m:1m] offset 5m)",
    "sum(queue_depth{pod=~\"a|b\"} > 25)",
    "vector(7)",
];

/// VictoriaMetrics limits the evaluations of a subquery in a call, so that a long range takes several.
#[test]
fn an_expression_has_buckets_over_forty_days() {
    for engine in Engine::ALL {
        for late in [0, 1] {
            let (start, count) = (T0 + late * SECOND, 40 * DAY / (5 * MINUTE));
            let query = Query::expression("time()").between(start, start + count * 5 * MINUTE);
            let response = Gateway::to_engine(engine).ask(&query.aggregated("MIN", 5 * MINUTE));
            let times = (0..count).map(|nth| start + nth * 5 * MINUTE);
            // The first evaluation in a bucket is at the next multiple of 15 s.
            let first = |at: i64| ((at + 14 * SECOND) / (15 * SECOND) * 15) as f64;
            let expected: Vec<_> = times.map(|at| vec![first(at), at as f64, (at + 5 * MINUTE) as f64]).collect();
            assert_points(&response, &expected, 0.0, engine.name());
        }
    }
}

#[test]
fn raw_points_are_the_expression_at_every_step() {
    let check = |promql: &str, given: Option<i64>, start: i64, end: i64| {
        let mut gateway = Gateway::to_prometheus();
        if let Some(interval) = given {
            gateway = gateway.with("scrapeInterval", interval);
        }
        let expected = prometheus::shared().values(promql, start, end, given.unwrap_or(15_000));
        let response = gateway.ask(&Query::expression(promql).between(start, end));
        assert_points(&response, &expected, ROUNDING, &format!("{promql} by {given:?} from {start} to {end}"));
    };
    for promql in EXPRESSIONS {
        check(promql, None, T0, T0 + 30 * MINUTE);
        check(promql, Some(20_500), T0 + 7123, T0 + 30 * MINUTE + 1);
    }
    // A scalar makes points, too, though no buckets.
    check("time() - 1.6e9", None, T0, T0 + HOUR);
    // Both ends are steps; a range shorter than a step has one.
    check("room_celsius", None, T0 + 45_000, T0 + 60_000);
    check("room_celsius", None, T0 + 45_000, T0 + 59_999);
    check("room_celsius", None, T0 + 45_000, T0 + 45_000);
    // More steps than Prometheus allows in one query.
    check("ten_days_level", None, T0 + 1, T0 + 10 * DAY);
    check("ten_days_level", Some(60_000), T0, T0 + 11_000 * MINUTE);
}

#[test]
fn raw_points_are_cut_at_the_limit() {
    let gateway = Gateway::to_prometheus();
    let (start, end) = (T0 - HOUR, T0 + 10 * DAY + HOUR);
    let all = prometheus::shared().values("ten_days_level", start, end, 15_000);
    for limit in [1, 11_000, 30_000, all.len() - 1, all.len()] {
        for latest_first in [false, true] {
            let query = Query::expression("ten_days_level").between(start, end).limit(limit).latest_first(latest_first);
            let expected = oracle::cut(all.clone(), limit, latest_first);
            assert_cut(&gateway.ask(&query), &expected, 0.0, &format!("limit {limit}, latest first {latest_first}"));
        }
    }
}

/// The PromQL of each method that fills in no zeros: function, and its first argument.
const FUNCTIONS: &[(&str, &str)] = &[
    ("MEAN", "avg_over_time("),
    ("MAX", "max_over_time("),
    ("MIN", "min_over_time("),
    ("PERCENTILE_25", "quantile_over_time(0.25, "),
    ("PERCENTILE_50", "quantile_over_time(0.5, "),
    ("PERCENTILE_75", "quantile_over_time(0.75, "),
    ("PERCENTILE_90", "quantile_over_time(0.9, "),
    ("PERCENTILE_95", "quantile_over_time(0.95, "),
    ("PERCENTILE_98", "quantile_over_time(0.98, "),
    ("PERCENTILE_99", "quantile_over_time(0.99, "),
    ("SUM_NO_ZEROS", "sum_over_time("),
    ("EVENT_COUNT_NO_ZEROS", "count_over_time("),
];

/// In buckets of `bucket`, every method gives its function over a subquery of the width and resolution in `window`.
fn check_buckets(given: Option<i64>, promql: &str, start: i64, end: i64, bucket: i64, window: &str) {
    let mut gateway = Gateway::to_prometheus();
    if let Some(interval) = given {
        gateway = gateway.with("scrapeInterval", interval);
    }
    for (method, function) in FUNCTIONS {
        let direct = format!("{function}(\n{promql}\n)[{window}])");
        let expected = prometheus::shared().buckets(&direct, start, end, bucket);
        let response = gateway.ask(&Query::expression(promql).between(start, end).aggregated(method, bucket));
        assert_points(&response, &expected, ROUNDING, &format!("{method} by {bucket} ms from {start}: {direct}"));
    }
}

#[test]
fn each_method_is_its_function_over_a_subquery() {
    for promql in EXPRESSIONS {
        check_buckets(None, promql, T0 + 7123, T0 + 30 * MINUTE, 5 * MINUTE, "300s:15s");
    }
    check_buckets(Some(60_000), "sum(queue_depth)", T0, T0 + HOUR, 5 * MINUTE, "300s:60s");
    // Never more than 120 evaluations in a bucket, and at least one.
    check_buckets(None, "sum(queue_depth)", T0, T0 + 3 * HOUR, HOUR, "3600s:30s");
    check_buckets(None, "sum(queue_depth)", T0, T0 + 10 * MINUTE, 10 * SECOND, "10s:10s");
    check_buckets(Some(60_000), "sum(queue_depth)", T0, T0 + 10 * MINUTE, 20 * SECOND, "20s:20s");
}

#[test]
fn an_evaluation_a_millisecond_before_the_bucket_is_not_in_it() {
    // Buckets that begin 1 ms after an evaluation: with closed ranges, a width of 60 s would include five of them.
    check_buckets(None, "room_celsius", T0 + 1, T0 + 10 * MINUTE + 1, MINUTE, "59999ms:15s");
    let gateway = Gateway::to_prometheus();
    let query = Query::expression("vector(1)").between(T0 + 1, T0 + 10 * MINUTE + 1).aggregated("EVENT_COUNT", MINUTE);
    let points = gateway.ask(&query).points();
    assert_eq!((points.len(), points.iter().all(|point| point[0] == 4.0)), (10, true), "{points:?}");
}

#[test]
fn sum_and_event_count_give_zero_where_the_expression_has_nothing() {
    let gateway = Gateway::to_prometheus();
    let (start, end, bucket) = (T0 - HOUR, T0 + HOUR, 10 * MINUTE);
    for (method, function) in [("SUM", "sum_over_time"), ("EVENT_COUNT", "count_over_time")] {
        let found = prometheus::shared().buckets(&format!("{function}(room_celsius[600s:15s])"), start, end, bucket);
        assert_eq!(found.len(), 6);
        let empty =
            (0..6).map(|index| start + index * bucket).map(|from| vec![0.0, from as f64, (from + bucket) as f64]);
        let response = gateway.ask(&Query::expression("room_celsius").between(start, end).aggregated(method, bucket));
        assert_points(&response, &empty.chain(found).collect::<Vec<_>>(), ROUNDING, method);
    }
}

#[test]
fn an_expression_that_finds_nothing_has_no_points_but_zeros_of_sum_and_event_count() {
    let gateway = Gateway::to_prometheus();
    let zeros: Vec<_> =
        (0..60).map(|nth| T0 + nth * MINUTE).map(|start| vec![0.0, start as f64, (start + MINUTE) as f64]).collect();
    for promql in ["no_such_metric", "sum(rate(no_such_metric_total[5m]))", "room_celsius > 1e9"] {
        let query = Query::expression(promql).between(T0, T0 + HOUR);
        assert_points(&gateway.ask(&query), &[], 0.0, promql);
        for (method, expected) in [
            ("MEAN", &[][..]),
            ("SUM", &zeros),
            ("EVENT_COUNT", &zeros),
            ("SUM_NO_ZEROS", &[]),
            ("EVENT_COUNT_NO_ZEROS", &[]),
        ] {
            let response = gateway.ask(&query.clone().aggregated(method, MINUTE));
            assert_points(&response, expected, 0.0, &format!("{method} of {promql}"));
        }
    }
}

#[test]
fn nan_and_infinity_of_an_expression_are_dropped_or_zero() {
    let range = (T0, T0 + MINUTE);
    for (nan, expected) in [(Nan::None, None), (Nan::Zero, Some(0.0))] {
        let gateway = Gateway::to_prometheus().with_nan(nan);
        let points: Vec<_> = (0..5).filter_map(|index| Some(vec![expected?, (T0 + index * 15_000) as f64])).collect();
        let response = gateway.ask(&Query::expression("vector(0) / 0").between(range.0, range.1));
        assert_points(&response, &points, 0.0, &format!("{nan:?}"));
        let response = gateway.ask(&Query::expression("vector(1) / 0").between(range.0, range.1));
        assert_points(&response, &[], 0.0, &format!("{nan:?}"));
    }
}

#[test]
fn several_results_in_buckets_are_an_error() {
    let gateway = Gateway::to_prometheus();
    for method in ["MEAN", "MAX", "SUM", "EVENT_COUNT", "PERCENTILE_50"] {
        let query = Query::expression("queue_depth").between(T0, T0 + 3 * HOUR).aggregated(method, 5 * MINUTE);
        let response = gateway.ask(&query);
        assert_error(&response, "RemoteMirrorError", &["3", "pod"]);
        assert_eq!(response.json["summary"], "Too many metrics.");
    }
    assert_eq!(select("queue_depth", &[]).len(), 3);
}

#[test]
fn results_that_differ_only_in_their_names_are_several() {
    // One ends before the other begins. In calls of 11,000 buckets of 100 ms, none has both.
    let renamed = "{__name__=~\"renamed_level.*\"}";
    let both = (T0, T0 + HOUR);
    for engine in Engine::ALL {
        for nan in [Nan::None, Nan::Zero] {
            let gateway = Gateway::to_engine(engine).with_nan(nan);
            for bucket in [MINUTE, 100] {
                for method in ["MEAN", "MAX", "PERCENTILE_50", "SUM_NO_ZEROS"] {
                    let query = Query::expression(renamed).between(both.0, both.1).aggregated(method, bucket);
                    let response = gateway.ask(&query);
                    let what = format!("{}: {method} by {bucket} ms, {nan:?}", engine.name());
                    assert_eq!(response.json["summary"], "Too many metrics.", "{what}: {}", response.text);
                    assert_error(&response, "RemoteMirrorError", &["2 series", "differ in __name__", renamed]);
                }
            }
            let alone = Query::expression(renamed).between(T0, T0 + 20 * MINUTE).aggregated("MAX", MINUTE);
            // The last evaluation in a bucket is 45 s after its start, and the newest sample then is the third of the bucket.
            let expected: Vec<_> = (0..20)
                .map(|nth| {
                    let start = (T0 + nth * MINUTE) as f64;
                    vec![(4 * nth + 2) as f64, start, start + MINUTE as f64]
                })
                .collect();
            assert_points(&gateway.ask(&alone), &expected, 0.0, &format!("{}: {nan:?}", engine.name()));
        }
    }
}

#[test]
fn a_label_condition_beside_an_expression_is_an_error_that_names_it() {
    let gateway = Gateway::to_prometheus();
    for query in [Query::expression("queue_depth"), Query::expression("queue_depth").aggregated("MEAN", MINUTE)] {
        let query = query.label("pod", "a").label("namespace", "shop").between(T0, T0 + HOUR);
        assert_error(&gateway.ask(&query), "RemoteMirrorError", &["pod", "namespace", "expression"]);
    }
}

#[test]
fn what_prometheus_says_of_a_faulty_expression_is_passed_on() {
    let gateway = Gateway::to_prometheus();
    for promql in ["sum(", "rate(queue_depth)", "queue_depth{", "no_such_function(queue_depth)", "queue_depth[5m]"] {
        let response = gateway.ask(&Query::expression(promql).between(T0, T0 + HOUR));
        let port = prometheus::shared().details()["port"].to_string();
        assert_error(&response, "RemoteMirrorError", &["127.0.0.1", &port, promql]);
        if promql == "queue_depth[5m]" {
            continue; // Right as an instant query, so there is no message to compare with.
        }
        // After the position, which may differ.
        let message = prometheus::shared().error(promql);
        let message = message.split_once("parse error: ").map_or(message.as_str(), |(_, message)| message);
        assert_error(&response, "RemoteMirrorError", &[message]);
        // In buckets, too, the message is about the expression as it was given.
        for nan in [Nan::None, Nan::Zero] {
            let query = Query::expression(promql).between(T0, T0 + HOUR).aggregated("MAX", MINUTE);
            let response = Gateway::to_prometheus().with_nan(nan).ask(&query);
            assert_error(&response, "RemoteMirrorError", &[message, &format!("query: {promql}")]);
        }
    }
}

#[test]
fn in_buckets_only_the_finite_values_of_an_expression_count() {
    type ValueAt = fn(i64) -> f64;
    // At each full minute, the first is NaN, the others are infinite.
    let expressions: [(&str, ValueAt); 4] = [
        ("vector(time() % 60 / (time() % 60))", |at| (at % MINUTE) as f64 / (at % MINUTE) as f64),
        ("time() % 60 / (time() % 60) # of each minute", |at| (at % MINUTE) as f64 / (at % MINUTE) as f64),
        ("vector(30 / (time() % 60))", |at| 30_000.0 / (at % MINUTE) as f64),
        ("vector(-30 / (time() % 60))", |at| -30_000.0 / (at % MINUTE) as f64),
    ];
    for engine in Engine::ALL {
        for nan in [Nan::None, Nan::Zero] {
            let gateway = Gateway::to_engine(engine).with_nan(nan);
            // For VictoriaMetrics, a NaN is no value.
            let seen = if engine.is_victoria() { Nan::None } else { nan };
            for (promql, value) in expressions {
                for (start, bucket) in [(T0, 5 * MINUTE), (T0 + 7123, MINUTE), (T0, 15 * SECOND)] {
                    let end = start + 4 * bucket;
                    let times = (start / (15 * SECOND)..=end / (15 * SECOND)).map(|nth| nth * 15 * SECOND);
                    let evaluated =
                        series("evaluated", &[], times.map(|time| Sample { time, value: value(time) }).collect());
                    for method in METHODS {
                        let query = Query::expression(promql).between(start, end).aggregated(method, bucket);
                        let expected =
                            Rules { nan: seen, ..GAUGE }.buckets(&[&evaluated], method, (start, end), bucket);
                        let what = format!("{}: {method} of {promql} by {bucket} ms, {nan:?}", engine.name());
                        assert_points(&gateway.ask(&query), &expected, ROUNDING, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn a_native_histogram_is_an_unsupported_field_type_and_no_zero() {
    let samples =
        |from: i32| (from..120).map(|nth| Sample { time: T0 + i64::from(nth) * 15 * SECOND, value: 4.0 }).collect();
    let floats =
        series("either", &[], (0..60).map(|nth| Sample { time: T0 + nth * 15 * SECOND, value: 7.0 }).collect());
    for engine in [Engine::Prometheus2, Engine::Prometheus3] {
        let server = prometheus::Prometheus::start_engine(
            engine,
            "",
            prometheus::Samples::None,
            &["--enable-feature=native-histograms"],
        );
        let url = server.url("/api/v1/write");
        remote_write_histograms(&url, &series("native", &[("job", "a")], samples(0)));
        remote_write(&url, &floats);
        remote_write_histograms(&url, &series("either", &[], samples(60)));
        for nan in [Nan::None, Nan::Zero] {
            let gateway = Gateway::to(server.details()).with_nan(nan);
            let ask = |promql: &str, method: &str| {
                gateway.ask(&Query::expression(promql).between(T0, T0 + 30 * MINUTE).aggregated(method, MINUTE))
            };
            for method in METHODS {
                for promql in ["native", "sum(native)", "rate(native[1m])", "native + native"] {
                    assert_error(&ask(promql, method), "UnsupportedFieldTypeError", &["histogram"]);
                }
            }
            if engine == Engine::Prometheus2 {
                assert_error(&ask("time() + native", "MAX"), "UnsupportedFieldTypeError", &["histogram"]);
            }
            // No zero of a histogram is among the points.
            let response = ask("either", "MAX");
            if engine == Engine::Prometheus2 {
                assert_error(&response, "UnsupportedFieldTypeError", &["histogram"]);
            } else {
                assert!(response.points().iter().all(|point| point[0] == 7.0), "{}", response.text);
            }
            // Numbers of histograms, and zeros.
            for (promql, value) in [("histogram_count(native)", 4.0), ("sum(either) * 0", 0.0), ("0", 0.0)] {
                let points = 14;
                let response =
                    gateway.ask(&Query::expression(promql).between(T0, T0 + points * MINUTE).aggregated("MAX", MINUTE));
                let what = format!("{}: {promql}: {}", engine.name(), response.text);
                assert_eq!(response.points().len() as i64, points, "{what}");
                assert!(response.points().iter().all(|point| point[0] == value), "{what}");
            }
        }
    }
}

#[test]
fn a_scalar_in_buckets_is_evaluated_like_any_expression() {
    type ValueAt = fn(i64) -> f64;
    let scalars: [(&str, ValueAt); 5] = [
        ("1", |_| 1.0),
        ("time()", |at| at as f64 / 1000.0),
        ("time() - 1.6e9 # since then", |at| at as f64 / 1000.0 - 1.6e9),
        ("scalar(vector(2)) * 3", |_| 6.0),
        ("-time() % 7", |at| -(at as f64 / 1000.0) % 7.0),
    ];
    for engine in Engine::ALL {
        let gateway = Gateway::to_engine(engine);
        for (promql, value) in scalars {
            // The first begins a millisecond after an evaluation.
            for (start, bucket) in [(T0 + 1, MINUTE), (T0, MINUTE), (T0 + 7123, 61_003), (T0, 10 * SECOND), (T0, HOUR)]
            {
                let end = start + 5 * bucket;
                let resolution = (15 * SECOND).min(bucket).max((bucket + 119) / 120);
                let times = (start / resolution..=end / resolution).map(|nth| nth * resolution);
                let evaluated =
                    series("evaluated", &[], times.map(|time| Sample { time, value: value(time) }).collect());
                for method in METHODS {
                    let response =
                        gateway.ask(&Query::expression(promql).between(start, end).aggregated(method, bucket));
                    let expected = GAUGE.buckets(&[&evaluated], method, (start, end), bucket);
                    let what = format!("{}: {method} of {promql} by {bucket} ms from {start}", engine.name());
                    assert_points(&response, &expected, ROUNDING, &what);
                }
            }
        }
    }
}

#[test]
fn start_and_end_are_those_of_the_query_in_each_of_its_calls() {
    let days = one("ten_days_level", &[]);
    let newest = |time: i64| days.samples[days.samples.partition_point(|sample| sample.time <= time) - 1].value;
    // More steps than one call has.
    let (start, end) = (T0 + HOUR + 7123, T0 + 73 * HOUR + 7123);
    let steps: Vec<i64> = (start..=end).step_by(15_000).collect();
    assert!(steps.len() > 11_000);
    for engine in [Engine::Prometheus2, Engine::Prometheus3] {
        let gateway = Gateway::to_engine(engine);
        let check = |promql: &str, value: &dyn Fn(i64) -> f64| {
            let query = Query::expression(promql).between(start, end);
            for latest_first in [false, true] {
                let mut expected: Vec<_> = steps.iter().map(|time| vec![value(*time), *time as f64]).collect();
                if latest_first {
                    expected.reverse();
                }
                let what = format!("{}: {promql}, latest first {latest_first}", engine.name());
                assert_points(&gateway.ask(&query.clone().latest_first(latest_first)), &expected, ROUNDING, &what);
            }
            // Each bucket has one evaluation, at a multiple of its length.
            let buckets: Vec<_> = steps[..steps.len() - 1]
                .iter()
                .map(|from| vec![value((from + 14_999) / 15_000 * 15_000), *from as f64, (from + 15_000) as f64])
                .collect();
            // More buckets than one call has, too.
            let response = gateway.ask(&query.aggregated("MAX", 15_000));
            assert_points(&response, &buckets, ROUNDING, &format!("{}: {promql} in buckets", engine.name()));
        };
        check("ten_days_level @ end()", &|_| newest(end));
        check("ten_days_level @ start()", &|_| newest(start));
        check("ten_days_level - (ten_days_level @ start())", &|time| newest(time) - newest(start));
        check("ten_days_level + 0 * max_over_time(ten_days_level[1h] @ end ( ))", &newest);
        // None of these is a call: a comment, a string, and labels of that name.
        check("sum by (end) (ten_days_level{rack!=\"end()\"}) # start()", &newest);
    }
}
