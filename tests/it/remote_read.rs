//! Remote read: the requests, the streams, the range selectors that replace it, and that allow-list, proxy, credentials and
//! deadline hold for it, too.
//!
//! Here and in `refused`, a stub misbehaves. `both_ways` compares both ways on real servers. `faults::reads` has faults of the
//! connection and of the stream.

mod access;
mod beyond_budget;
mod both_ways;
mod many_counters;
mod refused;

use serde_json::json;

use crate::operation::page::Page;
use crate::support::ask::{Query, assert_error, assert_points};
use crate::support::mirror::{Mirror, Response};
use crate::support::oracle::{self, Nan};
use crate::support::protobuf::{bytes, fields, number, take_varint, text};
use crate::support::samples::Series;
use crate::support::streamed::{self, END, NAMES, START, frame, series, steady};
use crate::support::stub::{After, Reply, Request, Stub, good};

const SAMPLE_READS: &str = "prometheusmirror_sample_reads_total";
const UPSTREAM_REQUESTS: &str = "prometheusmirror_upstream_requests_total";

/// The range of the queries here, in milliseconds.
const RANGE: (i64, i64) = (START + 1_200_000, START + 1_800_000);

/// The queries that read samples.
fn queries() -> Vec<Query> {
    let of = |query: Query| query.between(RANGE.0, RANGE.1);
    vec![
        of(Query::gauge("stub_metric")),
        of(Query::counter("stub_metric")),
        of(Query::gauge("stub_metric")).aggregated("MEAN", 60_000),
        of(Query::counter("stub_metric")).aggregated("SUM", 60_000),
        of(Query::counter("stub_metric")).aggregated("PERCENTILE_90", 60_000),
    ]
}

/// A good stream: one series, with samples of this value from long before the range until its end.
fn stream_of(value: f64) -> Reply {
    let chunks: Vec<Vec<u8>> = (-3..3)
        .map(|nth| steady(START + nth * 600_000, 10_000, 60, value))
        .chain([steady(RANGE.1, 1, 1, value)])
        .collect();
    streamed::reply(frame(&series(&[("__name__", "stub_metric"), ("job", "a")], &chunks)))
}

fn ask(mirror: &Mirror, stub: &Stub, query: &Query) -> Response {
    mirror.metric(&stub.details(), query.0.clone())
}

/// How many reads of samples a mirror counts, by source: remote read, range selector, PromQL.
fn counted(mirror: &Mirror) -> [f64; 3] {
    let page = Page::of(mirror);
    ["remote_read", "range_selector", "promql"].map(|source| page.sum(SAMPLE_READS, &[("source", source)]))
}

/// How many remote reads a mirror counts with this outcome.
fn reads_with(mirror: &Mirror, outcome: &str) -> f64 {
    Page::of(mirror).sum(UPSTREAM_REQUESTS, &[("endpoint", "read"), ("outcome", outcome)])
}

#[test]
fn a_read_is_posted_once_for_a_query_as_the_protocol_says() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    for (nth, query) in queries().iter().enumerate() {
        stub.upon_reads(|_| stream_of(1.5));
        let response = ask(&mirror, &stub, query);
        assert_eq!(response.status, 200, "{query:?}: {}", response.text);
        let reads = stub.read_requests();
        assert_eq!(reads.len(), 1, "{query:?}");
        let read = &reads[0];
        assert_eq!((read.method.as_str(), read.path.as_str(), &read.parameters[..]), ("POST", "/api/v1/read", &[][..]));
        for (name, value) in [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-read-version", "0.1.0"),
        ] {
            assert_eq!(read.header(name), Some(value), "{read:?}");
        }
        assert_eq!(counted(&mirror), [nth as f64 + 1.0, 0.0, 0.0]);
    }
    assert_eq!(stub.requests(), [], "nothing else was asked");
    assert_eq!(reads_with(&mirror, "ok"), queries().len() as f64);
}

#[test]
fn a_read_asks_for_chunks_of_the_series_that_match_in_the_range() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    stub.upon_reads(|_| stream_of(1.5));
    let query = Query::gauge("stub_metric").label("job", "a.b").between(RANGE.0, RANGE.1);
    ask(&mirror, &stub, &query);
    let matcher = |kind: u64, name: &str, value: &str| [number(1, kind), text(2, name), text(3, value)].concat();
    // A regular expression for a label, since an external label changes what equality means.
    let query = [
        number(1, RANGE.0 as u64),
        number(2, RANGE.1 as u64),
        bytes(3, &matcher(0, "__name__", "stub_metric")),
        bytes(3, &matcher(2, "job", r"a\.b")),
    ];
    let expected = [bytes(1, &query.concat()), number(2, 1)].concat();
    let sent = snap::raw::Decoder::new().decompress_vec(&stub.read_requests()[0].body).unwrap();
    assert_eq!(sent, expected, "{}", String::from_utf8_lossy(&sent));
}

#[test]
fn a_path_prefix_comes_before_the_path_of_a_read() {
    let stub = Stub::start(|request| match request.path.as_str() {
        "/select/0/prometheus/api/v1/read" => stream_of(1.5),
        _ => Reply::http(404, "text/plain", "404 page not found"),
    });
    let details = json!({"url": format!("http://127.0.0.1:{}/select/0/prometheus", stub.port())});
    let response = Mirror::start().metric(&details, queries()[0].0.clone());
    assert_eq!(response.points().len(), 61, "{}", response.text);
}

/// The series of the real answer, as Prometheus was loaded with them.
fn loaded(name: &str) -> Series {
    crate::support::samples::series("stored", &[("series", name)], streamed::samples(name))
}

#[test]
fn what_a_prometheus_streamed_becomes_the_points_it_was_loaded_with() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let ask = |query: Query, nan: Nan| {
        let mut details = json!({"host": "127.0.0.1", "port": stub.port()});
        details["nan_interpretation"] = json!(if nan == Nan::Zero { "ZERO" } else { "NONE" });
        mirror.metric(&details, query.between(START, END).0)
    };
    for name in NAMES {
        let whole = streamed::stored(name);
        for (how, reply) in [
            ("in one piece", streamed::reply(&whole)),
            ("in one HTTP chunk", streamed::in_chunks(std::slice::from_ref(&whole))),
            ("a byte a chunk", streamed::in_chunks(&whole.iter().map(|byte| vec![*byte]).collect::<Vec<_>>())),
            (
                "to the end of the connection",
                Reply::raw([streamed::head("Connection: close\r\n"), whole].concat()).then(After::Close),
            ),
        ] {
            stub.upon_reads(move |_| reply.clone());
            let (series, what) = (loaded(name), format!("{name} {how}"));
            for nan in [Nan::None, Nan::Zero] {
                let expected = oracle::raw(&series, START, END, nan);
                // The JSON parser of the tests may miss the last bit.
                assert_points(&ask(Query::gauge("stored"), nan), &expected, 1e-15, &what);
                for method in ["EVENT_COUNT", "MAX", "PERCENTILE_75"] {
                    let expected = oracle::buckets(&[&series], method, (START, END), 50_000_000, nan);
                    let response = ask(Query::gauge("stored").aggregated(method, 50_000_000), nan);
                    assert_points(&response, &expected, 1e-12, &what);
                }
            }
            let expected = oracle::rates(&series, START, END, Nan::None);
            assert_points(&ask(Query::counter("stored"), Nan::None), &expected, 1e-12, &what);
        }
    }
    assert_eq!(stub.requests(), [], "nothing else was asked");

    // All series together: too many for a raw query, but not in buckets.
    stub.upon_reads(|_| streamed::reply(streamed::whole()));
    let response = ask(Query::gauge("stored"), Nan::None);
    assert_error(&response, "RemoteMirrorError", &["Too many metrics.", "7 series", "differ in series"]);
    let all: Vec<Series> = NAMES.iter().map(|name| loaded(name)).collect();
    let all: Vec<&Series> = all.iter().collect();
    for method in ["EVENT_COUNT", "MIN", "PERCENTILE_50"] {
        let expected = oracle::buckets(&all, method, (START, END), 50_000_000, Nan::None);
        let response = ask(Query::gauge("stored").aggregated(method, 50_000_000), Nan::None);
        assert_points(&response, &expected, 1e-12, method);
    }
}

#[test]
fn an_empty_stream_means_no_samples_and_no_range_selector_follows() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    stub.upon_reads(|_| streamed::reply(b""));
    let zeros: Vec<Vec<f64>> =
        (0..10).map(|nth| RANGE.0 + nth * 60_000).map(|at| vec![0.0, at as f64, (at + 60_000) as f64]).collect();
    for (query, expected) in queries().iter().zip([&[][..], &[], &[], &zeros, &[]]) {
        assert_points(&ask(&mirror, &stub, query), expected, 0.0, &format!("{query:?}"));
    }
    let asked: Vec<String> = stub.requests().into_iter().map(|request| request.path).collect();
    assert!(asked.iter().all(|path| path == "/api/v1/label/__name__/values"), "whether it exists: {asked:?}");
    assert_eq!(counted(&mirror)[1..], [0.0, 0.0]);
}

#[test]
fn more_samples_than_the_budget_are_aggregated_by_promql() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    stub.upon_reads(|_| streamed::endless::<{ RANGE.0 }>());
    let minutes = |value: f64| -> Vec<Vec<f64>> {
        (0..10).map(|nth| RANGE.0 + nth * 60_000).map(|at| vec![value, at as f64, (at + 60_000) as f64]).collect()
    };
    // Buckets end 20 s after a minute, and are evaluated at the next minute. A rate covers four intervals of 15 s, that of a sum
    // the bucket and one interval.
    for (nth, (query, method, promql)) in [
        (
            Query::gauge("stub_metric"),
            "MEAN",
            "sum(sum_over_time(M[60s] offset 40s1ms)) / sum(count_over_time(M[60s] offset 40s1ms))",
        ),
        (Query::counter("stub_metric"), "EVENT_COUNT", "sum(count_over_time(M[60s] offset 40s1ms))"),
        (
            Query::counter("stub_metric"),
            "MAX",
            "max_over_time(((sum(rate(M[60s])) + 0 * sum(sum_over_time(M[60s]))) > -Inf < Inf)[60s:15s] offset 40s1ms)",
        ),
        (
            Query::counter("stub_metric"),
            "SUM",
            "(sum(rate(M[75s] offset 40s1ms)) + 0 * sum(sum_over_time(M[75s] offset 40s1ms))) * 60",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let response = ask(&mirror, &stub, &query.aggregated(method, 60_000).between(RANGE.0, RANGE.1));
        assert_points(&response, &minutes(1.5), 0.0, "what PromQL says");
        let requests = stub.requests();
        assert_eq!(requests.last().unwrap().promql(), promql.replace('M', r#"{__name__="stub_metric"}"#));
        assert_eq!(counted(&mirror), [nth as f64 + 1.0, 0.0, nth as f64 + 1.0]);
    }
    // If PromQL cannot compute the response, it is an error that says how many there are, and what to do.
    let query = Query::gauge("stub_metric").aggregated("PERCENTILE_90", 60_000).between(RANGE.0, RANGE.1);
    stub.behave(|request| match request.promql() {
        promql if promql.starts_with("count(") || promql.starts_with("sum(count_over") => {
            Reply::success(json!({"resultType": "vector", "result": [{"metric": {}, "value": [0, "7000000"]}]}))
        }
        _ => good(request),
    });
    assert_error(
        &ask(&mirror, &stub, &query),
        "RemoteMirrorError",
        &["Too many samples.", "7000000", "choose a shorter time range"],
    );
    let raw = ask(&mirror, &stub, &Query::gauge("stub_metric").between(RANGE.0, RANGE.1));
    assert_error(&raw, "RemoteMirrorError", &["Too many metrics.", "or more series", "differ in pod"]);
}

#[test]
fn the_explanation_of_what_promql_computed_has_the_scrape_interval_that_was_measured() {
    const DAY: i64 = 86_400_000;
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let labels = [("__name__", "stub_metric"), ("job", "a")];
    stub.upon_reads(move |request| {
        let (from, to) = range_of(&request.body);
        if to - from > DAY / 2 {
            return streamed::endless::<START>();
        }
        let seldom = |nth: i64| (nth * 300_000, 1.0);
        let inside = (from / 300_000 + 1..to / 300_000).map(seldom).map(|(at, value)| steady(at, 1, 1, value));
        streamed::reply(frame(&series(&labels, &inside.collect::<Vec<_>>())))
    });
    let mut details = stub.details();
    details.as_object_mut().unwrap().remove("scrapeInterval");
    let query = Query::counter("stub_metric").aggregated("MAX", DAY / 24).between(START, START + DAY);
    let request = json!({"connectionDetails": details, "query": query.0});
    let explanation = mirror.post_explained("/api/metric", &request).json["explanation"].clone();
    assert_eq!(explanation["source"], "PromQL", "{explanation}");
    assert_eq!(explanation["scrapeInterval"], json!({"milliseconds": 300_000, "from": "measured"}), "{explanation}");
    let promql = r#"max_over_time(sum(rate({__name__="stub_metric"}[1200s]))[3600s:300s])"#;
    assert_eq!(explanation["equivalentPromql"], promql);
}

/// Three million samples, one every 10 ms: more than the mirror keeps, and more than fit into a JSON response. Only one block of
/// three has numbers, so that almost all blocks contain a part of a million points.
const EVERY_MS: i64 = 10;
const MANY: i64 = 3_000_000;
const BLOCK: i64 = 60_000;

fn is_finite(nth: i64) -> bool {
    nth / BLOCK % 3 == 0
}

fn time_of(nth: i64) -> i64 {
    START + nth * EVERY_MS
}

/// The samples in a range: from the first on, up to before the last.
fn many_within(from: i64, to: i64) -> (i64, i64) {
    (((from - START).max(0) + EVERY_MS - 1) / EVERY_MS, ((to - START).div_euclid(EVERY_MS) + 1).min(MANY))
}

/// The samples of a remote read, a block in each chunk.
fn many_streamed(request: &Request) -> Reply {
    let (from, to) = range_of(&request.body);
    let (first, end) = many_within(from, to);
    let chunk = |block: i64| {
        let (first, end) = (first.max(block * BLOCK), end.min((block + 1) * BLOCK));
        let value = if is_finite(first) { 1.5 } else { f64::INFINITY };
        steady(time_of(first), EVERY_MS, (end - first) as u16, value)
    };
    let blocks = if first < end { first / BLOCK..(end - 1) / BLOCK + 1 } else { 0..0 };
    streamed::reply(frame(&series(&[("__name__", "stub_metric")], &blocks.map(chunk).collect::<Vec<_>>())))
}

/// The samples of a range selector.
fn many_as_json(request: &Request) -> Reply {
    let time = request.millis("time");
    let (_, length) = request.promql().rsplit_once('[').unwrap();
    let (seconds, ms) = length.trim_end_matches(']').trim_end_matches("ms").split_once('s').unwrap();
    let length = seconds.parse::<i64>().unwrap() * 1000 + ms.parse::<i64>().unwrap_or_default();
    let sample = |nth: i64| {
        let (at, value) = (time_of(nth), if is_finite(nth) { "1.5" } else { "+Inf" });
        format!(r#"[{}.{:03},"{value}"]"#, at / 1000, at % 1000)
    };
    let (first, end) = many_within(time - length + 1, time);
    let values = (first..end).map(sample).collect::<Vec<_>>().join(",");
    let result = format!(r#"{{"resultType":"matrix","result":[{{"metric":{{"job":"a"}},"values":[{values}]}}]}}"#);
    Reply::http(200, "application/json", format!(r#"{{"status":"success","data":{result}}}"#))
}

#[test]
fn a_raw_range_of_more_samples_than_can_be_kept_is_read_in_shorter_windows() {
    for (way, is_streamed) in [("remote read", true), ("range selector", false)] {
        let (mirror, stub) = (Mirror::start(), Stub::start(many_as_json));
        if is_streamed {
            stub.upon_reads(many_streamed);
        }
        let mut details = stub.details();
        details["requestTimeout"] = json!(100_000);
        for latest_first in [false, true] {
            let query = Query::gauge("stub_metric").between(START, time_of(MANY)).latest_first(latest_first);
            let response = mirror.metric(&details, query.0);
            let points = response.points();
            let what = format!("{way}, latest first {latest_first}");
            let in_order = (0..MANY).map(|nth| if latest_first { MANY - 1 - nth } else { nth });
            let times = in_order.filter(|nth| is_finite(*nth)).map(|nth| time_of(nth) as f64);
            assert_eq!((points.len(), response.is_partial()), (1_000_000, true), "{what}");
            assert!(times.zip(&points).all(|(time, point)| *point == [1.5, time]), "{what}");
        }
        let calls = if is_streamed { stub.reads() } else { stub.requests().len() };
        assert!((5..20).contains(&calls), "{way}: {calls} calls");
        assert!(is_streamed == stub.requests().is_empty(), "{way}");
    }
}

/// The start and the end of a read.
fn range_of(body: &[u8]) -> (i64, i64) {
    let message = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    let mut query = fields(&message)[0].1;
    let mut next = || {
        take_varint(&mut query);
        take_varint(&mut query) as i64
    };
    (next(), next())
}
