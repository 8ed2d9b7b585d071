//! A query makes at most a hundred calls. One that needs more is refused before the first, and the error says what to change.

use serde_json::json;

use crate::operation::page::Page;
use crate::support::ask::{Gateway, Query, assert_error, assert_points};
use crate::support::engine::Engine;
use crate::support::mirror::Mirror;
use crate::support::oracle::{self, Nan};
use crate::support::samples::{DAY, HOUR, T0, one};
use crate::support::stub::{After, Reply, Stub, good};

const UPSTREAM_REQUESTS: &str = "prometheusmirror_upstream_requests_total";

/// A million buckets of a millisecond are 92 calls; these are more than a hundred.
const TOO_MANY_MS: i64 = 1_100_000;

#[test]
fn an_expression_that_needs_more_than_a_hundred_calls_is_refused_before_the_first() {
    let mirror = Mirror::start();
    let stub = Stub::start(good);
    let expression = || Query::expression("avg(stub_metric)");
    for (what, query) in [
        ("raw since the beginning", expression().between(0, T0)),
        ("raw since 1970, until now", Query(json!({"conditions": expression().0["conditions"], "startTime": 0}))),
        ("raw without times", expression()),
        ("raw with a limit", expression().between(0, T0).limit(10)),
        ("raw, newest first", expression().between(0, T0).latest_first(true)),
        ("in buckets of a millisecond", expression().between(0, T0).aggregated("MEAN", 1)),
        ("little more than a hundred", expression().between(T0, T0 + TOO_MANY_MS).aggregated("MAX", 1)),
    ] {
        let response = mirror.metric(&stub.details(), query.0);
        let parts = [
            "Too many calls.", "may make 100", "later startTime", "longer bucket", "scrapeInterval", "avg(stub_metric)",
        ];
        assert_error(&response, "RemoteMirrorError", &parts);
        assert_error(&response, "RemoteMirrorError", &["127.0.0.1", &stub.port().to_string(), "was not queried"]);
        assert_eq!((stub.requests().len(), stub.reads(), stub.connections()), (0, 0, 0), "{what}");
    }
}

#[test]
fn zeros_are_queried_as_far_as_a_response_has_points() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let query = Query::expression("avg(stub_metric)").between(0, T0).aggregated("SUM", 1);
    // A million buckets, which are 92 calls, and the probe of range bounds.
    let response = mirror.metric(&stub.details(), query.clone().limit(2_000_000).0);
    assert_eq!((response.points().len(), response.is_partial(), stub.requests().len()), (1_000_000, true, 93));
    stub.behave(good);
    let response = mirror.metric(&stub.details(), query.limit(10).0);
    assert_eq!((response.points().len(), response.is_partial(), stub.requests().len()), (10, true, 2));
}

#[test]
fn a_hundred_calls_may_be_made() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    // One of them is the probe of range bounds.
    for (buckets, is_answered) in [(10_900 * 99, true), (10_900 * 99 + 1, false)] {
        let query = Query::expression("avg(stub_metric)").between(T0, T0 + buckets).aggregated("MAX", 1);
        stub.behave(|request| match request.path.as_str() {
            // Nothing is found, so each part of the range is queried.
            "/api/v1/query_range" => Reply::success(json!({"resultType": "matrix", "result": []})),
            _ => good(request),
        });
        let response = mirror.metric(&stub.details(), query.0);
        if is_answered {
            assert_eq!(response.points(), Vec::<Vec<f64>>::new());
            assert_eq!(stub.requests().len(), 100);
        } else {
            assert_error(&response, "RemoteMirrorError", &["this query needs 101 calls, but may make 100"]);
            assert_eq!(stub.requests(), []);
        }
    }
}

#[test]
fn a_metric_that_promql_would_have_to_answer_in_too_many_calls_is_refused_too() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    // More than the mirror reads of a response.
    stub.behave(|_| Reply::raw("HTTP/1.1 200 OK\r\n\r\n{\"status\":").then(After::Repeat(vec![b' '; 1 << 16])));
    for query in [Query::gauge("stub_metric"), Query::counter("stub_metric")] {
        let query = query.between(T0, T0 + TOO_MANY_MS).aggregated("MAX", 1);
        let response = mirror.metric(&stub.details(), query.0);
        assert_error(&response, "RemoteMirrorError", &["Too many calls.", "may make 100", "stub_metric"]);
        assert_eq!(stub.queries("stub_metric").len(), 1, "the samples were asked for");
        assert_eq!(stub.requests().len(), 1, "{:?}", stub.requests());
        stub.behave(|_| Reply::raw("HTTP/1.1 200 OK\r\n\r\n{\"status\":").then(After::Repeat(vec![b' '; 1 << 16])));
    }
}

#[test]
fn calls_that_measure_the_scrape_interval_count_where_it_is_measured() {
    let stub = Stub::start(good);
    let query = Query::counter("stub_metric").between(T0, T0 + 10_900 * 95).limit(2_000_000);
    let unknown = json!({"host": "127.0.0.1", "port": stub.port()});
    // 95 calls for the points; before them two for samples, one for the bounds, one for infinite samples, and eleven to measure.
    for (method, details, is_answered) in [
        ("MEAN", &unknown, false),
        ("MAX", &unknown, false),
        ("EVENT_COUNT_NO_ZEROS", &unknown, true),
        ("MEAN", &stub.details(), true),
    ] {
        stub.behave(|request| match request.path.as_str() {
            "/api/v1/query_range" => Reply::success(json!({"resultType": "matrix", "result": []})),
            _ if request.promql().starts_with("{__name__") => {
                Reply::raw("HTTP/1.1 200 OK\r\n\r\n{\"status\":").then(After::Repeat(vec![b' '; 1 << 16]))
            }
            _ => good(request),
        });
        let response = Mirror::start().metric(details, query.clone().aggregated(method, 1).0);
        if is_answered {
            // The stub sees one read less, and the call that finds out whether the metric exists.
            assert_eq!((response.status, stub.requests().len()), (200, 98), "{method}: {}", response.text);
        } else {
            assert_error(&response, "RemoteMirrorError", &["this query needs 110 calls, but may make 100"]);
            assert_eq!(stub.requests().len(), 1, "{method}");
        }
    }
}

#[test]
fn a_metric_since_the_beginning_costs_few_calls_however_short_the_buckets() {
    for engine in Engine::ALL {
        let gateway = Gateway::to_engine(engine);
        let calls = || Page::of(&gateway.mirror).sum(UPSTREAM_REQUESTS, &[]);
        let samples = oracle::raw(one("room_celsius", &[]), 0, T0 + DAY, Nan::None);
        let in_buckets: Vec<_> = samples.iter().map(|point| vec![point[0], point[1], point[1] + 1.0]).collect();
        let of = |method: &str| Query::gauge("room_celsius").between(0, T0 + DAY).aggregated(method, 1);
        for (query, expected) in [
            (of("MEAN"), &in_buckets),
            (of("SUM_NO_ZEROS"), &in_buckets),
            (of("PERCENTILE_99"), &in_buckets),
            (Query::gauge("room_celsius").between(0, T0 + DAY), &samples),
        ] {
            let before = calls();
            assert_points(&gateway.ask(&query), expected, engine.tolerance(), engine.name());
            // A read that is refused once is the second call.
            assert!(calls() - before <= 2.0, "{}: {} calls for {query:?}", engine.name(), calls() - before);
        }
        // Zeros from the beginning on are a page, too, and cost no more.
        let before = calls();
        let response = gateway.ask(&of("SUM").limit(10));
        let zeros: Vec<_> = (0..10).map(|at| vec![0.0, f64::from(at), f64::from(at + 1)]).collect();
        assert_eq!((response.points(), response.is_partial()), (zeros, true), "{}", engine.name());
        let newest = gateway.ask(&of("SUM").limit(10).latest_first(true)).points();
        assert!(newest.iter().all(|point| point[0] == 0.0 && point[2] <= (T0 + DAY) as f64), "{newest:?}");
        assert!(calls() - before <= 4.0, "{}: {} calls", engine.name(), calls() - before);
        let counter = Query::counter("jobs_15s_total").between(0, T0 + 3 * HOUR).aggregated("MAX", 1);
        let before = calls();
        assert!(gateway.ask(&counter).points().len() > 700, "{}", engine.name());
        assert!(calls() - before <= 2.0, "{}: {} calls", engine.name(), calls() - before);
    }
}
