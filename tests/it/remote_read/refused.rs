//! Upstreams without remote read, or without streamed chunks: the mirror uses a range selector instead, and remembers it.

use std::slice::from_ref;

use serde_json::json;

use super::{RANGE, ask, counted, queries, reads_with, stream_of};
use crate::support::ask::{Query, assert_error};
use crate::support::mirror::Mirror;
use crate::support::streamed::{self, frame, series, steady};
use crate::support::stub::{After, Reply, Stub, good};

/// The responses of upstreams without remote read, or with another version of it.
fn refusals() -> Vec<(&'static str, Reply)> {
    let text = |status| Reply::http(status, "text/plain; charset=utf-8", "no such thing");
    let redirect = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/login\r\nContent-Length: 0\r\n\r\n";
    vec![
        ("VictoriaMetrics", text(400)),
        ("404", text(404)),
        ("405", text(405)),
        ("promxy", text(500)),
        ("501", text(501)),
        ("401", text(401)),
        ("403", text(403)),
        ("413", text(413)),
        ("415", text(415)),
        ("an error of the API", Reply::error(422, "execution", "remote read is disabled")),
        ("Cortex", Reply::http(200, "application/x-protobuf", b"\x00")),
        ("JSON", Reply::json(&json!({"status": "success"}))),
        ("HTML", Reply::http(200, "text/html", "<html>")),
        ("no type", Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
        ("204", Reply::raw("HTTP/1.1 204 No Content\r\n\r\n")),
        ("a redirect", Reply::raw(redirect)),
        (
            "a stream with a status that is no success",
            Reply::raw("HTTP/1.1 500 X\r\nContent-Type: application/x-streamed-protobuf\r\nContent-Length: 0\r\n\r\n"),
        ),
        // The mirror does not wait for a long text.
        ("a refusal without an end", Reply::raw("HTTP/1.1 404 X\r\n\r\n").then(After::Repeat(vec![b' '; 1 << 16]))),
        (
            "a refusal that is closed too early",
            Reply::raw("HTTP/1.1 404 X\r\nContent-Length: 9\r\n\r\nno").then(After::Close),
        ),
    ]
}

#[test]
fn a_range_selector_is_used_instead_and_that_is_remembered() {
    for (what, refusal) in refusals() {
        let (mirror, stub) = (Mirror::start(), Stub::start(good));
        stub.upon_reads(move |_| refusal.clone());
        let mut asked = 0;
        for query in queries().iter().chain(&queries()) {
            let response = ask(&mirror, &stub, query);
            assert_eq!(response.status, 200, "{what}: {}", response.text);
            let samples = stub.requests().iter().filter(|request| request.promql().ends_with(']')).count();
            assert!(samples > asked, "{what}: no range selector for {query:?}");
            asked = samples;
        }
        let last = ask(&mirror, &stub, &queries()[0]);
        assert_eq!(last.points(), [[1.5, (RANGE.1 - 1000) as f64], [1.5, RANGE.1 as f64]], "{what}");
        assert_eq!(stub.reads(), 1, "{what}: asked again");
        assert_eq!(counted(&mirror), [0.0, asked as f64 + 1.0, 0.0], "{what}");
        assert_eq!(reads_with(&mirror, "no_remote_read"), 1.0, "{what}");
    }
}

#[test]
fn a_refusal_that_passes_is_not_remembered() {
    for status in [408, 429, 502, 503, 504] {
        let (mirror, stub) = (Mirror::start(), Stub::start(good));
        stub.upon_reads(move |_| Reply::http(status, "text/html", "<html>"));
        for _ in 0..3 {
            assert_eq!(ask(&mirror, &stub, &queries()[0]).status, 200, "{status}");
        }
        // A read on an idle connection is repeated once.
        assert_eq!(stub.reads(), if status == 408 { 6 } else { 3 }, "{status}");
        assert_eq!(reads_with(&mirror, "unavailable"), 3.0, "{status}");
        stub.upon_reads(|_| stream_of(2.5));
        assert_eq!(ask(&mirror, &stub, &queries()[0]).points().last().unwrap()[0], 2.5, "{status}");
    }
}

#[test]
fn it_is_remembered_of_the_upstream_that_refuses_and_of_no_other() {
    let mirror = Mirror::start();
    let (without, with) = (Stub::start(good), Stub::start(good));
    with.upon_reads(|_| stream_of(2.5));
    for _ in 0..2 {
        for query in queries() {
            assert_eq!(ask(&mirror, &without, &query).status, 200);
            assert_eq!(ask(&mirror, &with, &query).status, 200);
        }
    }
    assert_eq!((without.reads(), with.reads(), with.requests().len()), (1, 2 * queries().len(), 0));
}

#[test]
fn nothing_is_remembered_when_the_range_selector_fails_as_well() {
    let html = |status| Reply::http(status, "text/html", "<html>");
    for (what, reply, kind) in [
        ("503", html(503), "MetricStoreConnectionError"),
        ("502", html(502), "MetricStoreConnectionError"),
        ("401", html(401), "MetricStoreConnectionError"),
        ("403", html(403), "MetricStoreConnectionError"),
        ("404", html(404), "MetricStoreConnectionError"),
        ("302", html(302), "MetricStoreConnectionError"),
        ("an error", Reply::error(400, "bad_data", "no"), "RemoteMirrorError"),
        ("a timeout", Reply::error(503, "timeout", "too slow"), "MetricStoreConnectionError"),
    ] {
        let (mirror, stub) = (Mirror::start(), Stub::start(good));
        let again = reply.clone();
        stub.behave(move |_| again.clone());
        stub.upon_reads(move |_| reply.clone());
        assert_error(&ask(&mirror, &stub, &queries()[0]), kind, &["127.0.0.1", "stub_metric"]);
        assert_eq!((stub.reads(), stub.requests().is_empty()), (1, false), "{what}");
        // Then it is available.
        stub.behave(good);
        stub.upon_reads(|_| stream_of(2.5));
        let points = ask(&mirror, &stub, &queries()[0]).points();
        assert!(points.len() == 61 && points.iter().all(|point| point[0] == 2.5), "{what}: {points:?}");
        assert_eq!((stub.reads(), stub.requests().len()), (1, 0), "{what}");
        // The read that failed is none.
        assert_eq!(counted(&mirror), [1.0, 0.0, 0.0], "{what}");
    }
}

#[test]
fn chunks_out_of_order_are_read_by_a_range_selector_and_that_is_not_remembered() {
    let labels = [("__name__", "stub_metric"), ("job", "a")];
    let early = steady(RANGE.0, 1000, 30, 2.5);
    let late = steady(RANGE.0 + 60_000, 1000, 30, 2.5);
    let later = steady(RANGE.0 + 120_000, 1000, 30, 2.5);
    let in_one = frame(&series(&labels, &[late.clone(), later, early.clone()]));
    let in_two = [frame(&series(&labels, from_ref(&late))), frame(&series(&labels, from_ref(&early)))].concat();
    // Two series that look alike: external labels have replaced the labels in which they differed.
    let alike = frame(&[series(&labels, from_ref(&early)), series(&labels, from_ref(&early))].concat());
    for (what, stream) in [("in one series", in_one), ("in two frames", in_two), ("two series", alike)] {
        let (mirror, stub) = (Mirror::start(), Stub::start(good));
        stub.upon_reads(move |_| streamed::reply(&stream));
        for nth in 1..=3 {
            let query = Query::gauge("stub_metric").between(RANGE.0, RANGE.1);
            let points = ask(&mirror, &stub, &query).points();
            assert_eq!(points, [[1.5, (RANGE.1 - 1000) as f64], [1.5, RANGE.1 as f64]], "{what}");
            assert_eq!((stub.reads(), stub.requests().len()), (nth, nth), "{what}");
        }
        assert_eq!((counted(&mirror), reads_with(&mirror, "out_of_order")), ([0.0, 3.0, 0.0], 3.0), "{what}");
    }
}
