//! How the mirror makes calls: POST or GET, kept connections, retries, the remaining time, split ranges, hidden passwords.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{END, Query, START, TIMEOUT, check_error, error_of, in_time, is_good, queries};
use crate::support::mirror::Mirror;
use crate::support::stub::{After, Reply, Request, Stub, good};

/// Sends each query in turn, and checks that its response is good.
fn send_all(mirror: &Mirror, details: &Value) {
    for query in queries() {
        let response = query.ask(mirror, details);
        assert!(is_good(&response), "{query:?}\n{} {}", response.status, response.text);
    }
}

/// An expression in this number of buckets of a second, from START on.
fn buckets(count: i64) -> Query {
    let mut query = Query::metric("~", "avg(stub_metric)", Some("MEAN"));
    query.fields["aggregation"]["bucketSizeMillis"] = json!(1000);
    query.fields["endTime"] = json!(START + count * 1000);
    query
}

fn is_posted(request: &Request) -> bool {
    ["/api/v1/query", "/api/v1/query_range", "/api/v1/labels"].contains(&request.path.as_str())
}

#[test]
fn queries_and_label_names_are_posted_as_forms_and_the_rest_is_got() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    send_all(&mirror, &stub.details());
    for request in stub.requests() {
        if is_posted(&request) {
            assert_eq!(request.method, "POST", "{request:?}");
            assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"), "{request:?}");
        } else {
            assert_eq!(request.method, "GET", "{request:?}");
        }
    }
    let paths: HashSet<String> = stub.requests().into_iter().map(|request| request.path).collect();
    for path in ["/api/v1/query", "/api/v1/query_range", "/api/v1/labels", "/api/v1/label/job/values"] {
        assert!(paths.contains(path), "{path} was not asked: {paths:?}");
    }
}

#[test]
fn a_query_too_long_for_get_is_posted_again() {
    /// Longer than the URLs that the stub takes, or than any URL may be.
    const LONG: [usize; 2] = [2_000, 70_000];
    let is_long = |request: &Request| request.method == "GET" && request.promql().len() > 1_000;
    let query = |length: usize| {
        let expression = format!("avg(stub_metric{{job!=\"{}\"}})", "x".repeat(length));
        Query::metric("~", expression.leak(), Some("MEAN"))
    };
    for status in [413, 414, 431] {
        for length in LONG {
            let mirror = Mirror::start();
            let get_only = move |request: &Request| match request.method.as_str() {
                "POST" => Reply::http(405, "text/plain", "read-only proxy"),
                _ if is_long(request) => Reply::http(status, "text/plain", "too long"),
                _ => good(request),
            };
            let stub = Stub::start(get_only);
            // Regardless of whether the mirror knows that POST is refused.
            for is_remembered in [false, true] {
                if is_remembered {
                    assert!(is_good(&query(1).ask(&mirror, &stub.details())));
                }
                let error = query(length).ask(&mirror, &stub.details()).text;
                for part in ["refuses POST, and the query is too long for GET", "shorten the query"] {
                    assert!(error.contains(part), "{part} is not in {error}");
                }
            }
            // Once POST is allowed, the query that is too long for GET tries it again, and all later ones use POST.
            assert!(is_good(&query(1).ask(&mirror, &stub.details())));
            stub.behave(move |request| if is_long(request) { get_only(request) } else { good(request) });
            assert!(is_good(&query(length).ask(&mirror, &stub.details())));
            let before = stub.requests().len();
            assert!(is_good(&query(length).ask(&mirror, &stub.details())));
            assert!(stub.requests()[before..].iter().all(|request| request.method == "POST"), "{status} {length}");
        }
    }
}

#[test]
fn an_upstream_that_refuses_post_is_called_by_get_from_then_on() {
    for status in [403, 405, 501] {
        let mirror = Mirror::start();
        let stub = Stub::start(move |request| match request.method.as_str() {
            "POST" => Reply::http(status, "text/plain", "read-only proxy"),
            _ => good(request),
        });
        send_all(&mirror, &stub.details());
        let posts = stub.requests().iter().filter(|request| request.method == "POST").count();
        assert_eq!(posts, 1, "status {status} to POST was not remembered");
        // Parameters are then in the URL, with the same text.
        assert!(!stub.queries("avg(stub_metric)").is_empty());
    }
}

#[test]
fn a_400_to_post_is_a_response_and_not_retried() {
    let (mirror, stub) = (Mirror::start(), Stub::start(|_| Reply::error(400, "bad_data", "no")));
    let query = Query { path: "/api/connection", fields: json!({}), promql: "" };
    assert_eq!(error_of(&query.ask(&mirror, &stub.details()))["_type"], "RemoteMirrorError");
    let methods: Vec<String> = stub.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["POST"]);
}

#[test]
fn a_kept_connection_that_the_upstream_closed_in_between_is_no_error() {
    for (how, behaviour) in [
        // Closed while idle: the mirror may notice before it writes, or not.
        ("after each response", (|request| good(request).then(After::Close)) as fn(&Request) -> Reply),
        // Closed or reset just when the next request arrives, as in a race.
        ("upon the second request", |request| match request.nth {
            0 => good(request),
            _ => Reply::raw("").then(After::Close),
        }),
        ("by a reset upon the second request", |request| match request.nth {
            0 => good(request),
            _ => Reply::raw("").then(After::Reset),
        }),
    ] {
        let (mirror, stub) = (Mirror::start(), Stub::start(behaviour));
        for _ in 0..3 {
            for query in queries() {
                let response = query.ask(&mirror, &stub.details());
                assert!(is_good(&response), "closed {how}: {query:?}\n{}", response.text);
            }
        }
    }
}

#[test]
fn a_request_that_is_never_answered_is_tried_twice_at_most() {
    let (mirror, stub) = (Mirror::start(), Stub::start(|_| Reply::raw("").then(After::Close)));
    let query = Query { path: "/api/connection", fields: json!({}), promql: "" };
    assert_eq!(error_of(&query.ask(&mirror, &stub.details()))["_type"], "MetricStoreConnectionError");
    assert!((1..=2).contains(&stub.requests().len()), "{:?}", stub.requests());
}

#[test]
fn connections_are_kept_and_used_again() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    for _ in 0..3 {
        send_all(&mirror, &stub.details());
    }
    let connections: HashSet<usize> = stub.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections.len(), 1, "{} requests came on {connections:?}", stub.requests().len());
}

#[test]
fn a_connection_is_used_again_after_a_response_of_any_length() {
    let names = |count: usize| {
        let names: Vec<String> = (0..count).map(|nth| format!("a name of thirty bytes {nth:07}")).collect();
        json!({"status": "success", "data": names})
    };
    for (what, reply) in [
        ("a short response", Reply::json(&names(3))),
        ("a short response in chunks", Reply::chunked(&names(3))),
        ("300 KB", Reply::json(&names(10_000))),
        ("300 KB in chunks", Reply::chunked(&names(10_000))),
        ("3 MB", Reply::json(&names(100_000))),
        ("3 MB in chunks", Reply::chunked(&names(100_000))),
        ("a refusal", Reply::error(422, "execution", "no")),
        ("no Prometheus", Reply::http(404, "text/plain", "404 page not found")),
    ] {
        let (mirror, stub) = (Mirror::start(), Stub::start(move |_| reply.clone()));
        // With 1970 as start, the mirror would repeat a refused query without a start.
        let mut query = Query::values("job");
        query.fields["startTime"] = json!(START);
        for _ in 0..3 {
            query.ask(&mirror, &stub.details());
        }
        let seen: Vec<(usize, usize)> = stub.requests().iter().map(|seen| (seen.connection, seen.nth)).collect();
        assert_eq!(seen, [(0, 0), (0, 1), (0, 2)], "after {what}");
    }
}

#[test]
fn every_query_carries_the_time_that_is_left_and_asks_for_no_cache() {
    let each = Duration::from_millis(50);
    let (mirror, stub) = (Mirror::start(), Stub::start(move |request| good(request).delayed(each)));
    for query in queries().into_iter().chain([buckets(11_001)]) {
        stub.behave(move |request| good(request).delayed(each));
        let response = query.ask(&mirror, &in_time(stub.details()));
        assert!(is_good(&response), "{query:?}\n{}", response.text);
        for (before, request) in (0..).zip(stub.requests()) {
            if request.path.starts_with("/api/v1/query") {
                let left = duration(request.parameter("timeout").unwrap_or_else(|| panic!("no timeout: {request:?}")));
                assert!(left <= TIMEOUT - each * before, "{left:?} after {before} responses: {request:?}");
                assert!(left > Duration::ZERO, "{request:?}");
                assert_eq!(request.parameter("nocache"), Some("1"), "{request:?}");
            }
        }
    }
}

/// A duration in one of Prometheus's forms: `600ms`, `0.6s` or `0.6`.
fn duration(text: &str) -> Duration {
    let millis = text.strip_suffix("ms").map(|millis| millis.parse::<f64>().unwrap());
    let seconds = || text.trim_end_matches('s').parse::<f64>().unwrap();
    Duration::from_secs_f64(millis.map_or_else(seconds, |millis| millis / 1000.0))
}

#[test]
fn times_are_sent_with_exactly_three_decimals() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    send_all(&mirror, &stub.details());
    for mut query in queries() {
        // Field queries have a time range as well.
        query.fields["startTime"] = json!(START);
        query.fields["endTime"] = json!(END);
        assert!(is_good(&query.ask(&mirror, &stub.details())));
    }
    let mut seen = 0;
    for request in stub.requests() {
        for time in ["time", "start", "end"].into_iter().filter_map(|name| request.parameter(name)) {
            let (whole, decimals) = time.split_once('.').unwrap_or_else(|| panic!("{time} in {request:?}"));
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            assert!(digits(whole) && digits(decimals) && decimals.len() == 3, "{time} in {request:?}");
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} times were sent");
}

#[test]
fn a_long_range_is_split_on_one_grid_within_prometheus_bound() {
    let mirror = Mirror::start();
    for count in [1, 10_999, 11_000, 11_001, 22_000, 22_001, 50_000] {
        let stub = Stub::start(good);
        let response = buckets(count).ask(&mirror, &stub.details());
        let expected = (0..count).map(|k| vec![1.5, (START + k * 1000) as f64, (START + (k + 1) * 1000) as f64]);
        assert!(response.points().into_iter().eq(expected), "{count} buckets: {:.300}", response.text);

        let mut asked = stub.requests();
        asked.retain(|request| request.path == "/api/v1/query_range");
        for request in &asked {
            let steps = (request.millis("end") - request.millis("start")) / request.millis("step");
            assert!(steps <= 10_999, "{count} buckets: {request:?}");
        }
        let mut ranges: Vec<(i64, i64)> = asked.iter().map(|r| (r.millis("start"), r.millis("end"))).collect();
        ranges.sort();
        assert!(ranges.len() <= 1 + count as usize / 10_000, "{count} buckets were asked for as {ranges:?}");
        // Each bucket is evaluated once, at its last millisecond.
        let instants = ranges.iter().flat_map(|(start, end)| (*start..=*end).step_by(1000));
        assert!(instants.eq((1..=count).map(|k| START + k * 1000 - 1)), "{count} buckets were asked for as {ranges:?}");
    }
}

#[test]
fn request_timeout_bounds_several_upstream_calls_together() {
    let mirror = Mirror::start();
    let stub = Stub::start(|request| good(request).delayed(TIMEOUT * 2 / 5));
    let six_calls = buckets(60_000);
    let details = in_time(stub.details());
    check_error(&mirror, &details, &six_calls, "slow calls", "MetricStoreConnectionError");
    stub.behave(good);
    assert!(is_good(&six_calls.ask(&mirror, &stub.details())));
}

#[test]
fn the_credentials_of_a_url_are_decoded_and_sent_as_basic_authentication() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    for (userinfo, base64) in [
        ("user:secret", "dXNlcjpzZWNyZXQ="),
        // `us@er:se/cret%`
        ("us%40er:se%2Fcret%25", "dXNAZXI6c2UvY3JldCU="),
        ("user:", "dXNlcjo="),
        ("user", "dXNlcjo="),
    ] {
        stub.behave(good);
        let details = json!({"url": format!("http://{userinfo}@127.0.0.1:{}", stub.port()), "scrapeInterval": 15_000});
        send_all(&mirror, &details);
        for request in stub.requests() {
            assert_eq!(request.header("authorization"), Some(format!("Basic {base64}").as_str()), "{userinfo}");
        }
    }
}

#[test]
fn the_password_of_a_url_is_shown_to_nobody() {
    let mirror = Mirror::start();
    let stub = Stub::start(good);
    let url = format!("http://user:secret@127.0.0.1:{}/", stub.port());
    let mut details = json!({"url": url, "scrapeInterval": 15_000});
    send_all(&mirror, &details);

    let hide = |text: &str, context: &str| {
        // The second is base64 of `user:secret`.
        let shown = ["secret", "dXNlcjpzZWNyZXQ"].iter().any(|form| text.contains(form));
        assert!(!shown, "shows the password after {context}: {text}");
    };
    for (fault, reply) in [
        ("401", Reply::http(401, "text/plain", "who are you")),
        ("an error", Reply::error(400, "bad_data", "parse error")),
        ("no response", Reply::raw("").then(After::Close)),
        ("garbage", Reply::http(200, "text/plain", "hello")),
        ("silence", Reply::raw("").then(After::Hang)),
    ] {
        stub.behave(move |_| reply.clone());
        let response = queries()[8].ask(&mirror, &in_time(details.clone()));
        error_of(&response);
        hide(&response.text, fault);
    }
    for bad in [
        "http://user:secret@", "http://user:secret@:x/", "ftp://user:secret@h/", "user:secret@h",
        "http://user:secret@h:0/",
    ] {
        details["url"] = json!(bad);
        let response = queries()[8].ask(&mirror, &in_time(details.clone()));
        assert!(response.text.contains("url"), "does not name the field: {}", response.text);
        hide(&response.text, bad);
    }
    hide(&mirror.log(), "all of it in the log");
}
