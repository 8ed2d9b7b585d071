//! The remedies for an upstream that takes too long: only those that can help with the query.

use super::{Query, error_of, in_time, mirrors, queries};
use crate::support::mirror::Mirror;
use crate::support::stub::{After, Reply, Request, Stub};

type Behaviour = fn(&Request) -> Reply;

/// A response that begins and does not go on.
fn stalled(_: &Request) -> Reply {
    Reply::raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{").then(After::Hang)
}

fn silent(_: &Request) -> Reply {
    Reply::raw("").then(After::Hang)
}

fn timed_out(_: &Request) -> Reply {
    Reply::error(503, "timeout", "query timed out in expression evaluation")
}

const OF_RANGES: &str = "choose a shorter time range or longer buckets, ";
const OF_LISTS: &str = "add a condition, give a longer prefix, ";

/// Checks for an error that says what happened, with the remedies for the query.
fn check_advice(mirror: &Mirror, stub: &Stub, query: &Query, says: &str, code: &str) {
    let response = query.ask(mirror, &in_time(stub.details()));
    let text = error_of(&response)["details"].as_str().unwrap_or_default();
    assert!(text.contains(says), "{query:?}: {says}: {text}");
    let expected = match query.path {
        "/api/connection" => "this query takes almost no time, ",
        "/api/metric" => OF_RANGES,
        _ => OF_LISTS,
    };
    // That a trivial query is fast says nothing about a response that has begun.
    assert!(text.contains(expected) || code == "stalled" && query.path == "/api/connection", "{query:?}: {text}");
    for other in ["shorter time range", "bucket", "prefix"] {
        assert!(!text.contains(other) || expected.contains(other), "{other}: {query:?}: {text}");
    }
    assert!(text.contains("raise requestTimeout") || code == "evaluation_timeout", "{query:?}: {text}");
    let line = mirror.line_with(&format!("error_code={code}"));
    assert!(line.contains("level=warn"), "{line}");
}

#[test]
fn only_what_can_help_with_the_query_is_advised() {
    let cases: [(Behaviour, &str, &str); 3] = [
        (silent, "did not answer within the ", "timeout"),
        (stalled, "sent only part of the response within the ", "stalled"),
        (
            timed_out,
            "gave up on the query because it took longer than its timeout (timeout, HTTP status 503)",
            "evaluation_timeout",
        ),
    ];
    for (behaviour, says, code) in cases {
        std::thread::scope(|scope| {
            for (mirror, query) in mirrors().into_iter().zip(queries()) {
                scope.spawn(move || check_advice(&mirror, &Stub::start(behaviour), &query, says, code));
            }
        });
    }
}

#[test]
fn a_remote_read_that_takes_too_long_is_an_evaluation() {
    let query = Query::metric("__gauge__", "stub_metric", None);
    for (behaviour, says, code) in [
        (silent as Behaviour, "did not answer", "timeout"),
        (stalled_read, "sent only part of the response", "stalled"),
    ] {
        let stub = Stub::start(crate::support::stub::good);
        stub.upon_reads(behaviour);
        check_advice(&Mirror::start(), &stub, &query, says, code);
    }
}

fn stalled_read(_: &Request) -> Reply {
    let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    Reply::raw(format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 99\r\n\r\n")).then(After::Hang)
}
