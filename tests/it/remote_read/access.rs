//! What holds for any call holds for reads: the allow-list, the proxy, credentials, and that no redirect is followed.

use serde_json::json;

use super::{queries, stream_of};
use crate::support::ask::assert_error;
use crate::support::mirror::Mirror;
use crate::support::stub::{After, Reply, Stub, good};
use crate::support::tinyproxy::Tinyproxy;

#[test]
fn a_read_goes_where_the_allow_list_allows_and_nowhere_else() {
    let stub = Stub::start(good);
    stub.upon_reads(|_| stream_of(1.5));
    let mirror = Mirror::start_with(&["--allow-upstream", "127.0.0.2,prometheus.example"]);
    for query in queries() {
        let response = mirror.metric(&stub.details(), query.0);
        assert_error(&response, "MetricStoreConnectionError", &["was not queried", "--allow-upstream"]);
    }
    assert_eq!(stub.connections(), 0);
    let mirror = Mirror::start_with(&["--allow-upstream", &format!("127.0.0.1:{}", stub.port())]);
    assert_eq!(mirror.metric(&stub.details(), queries()[0].0.clone()).points().len(), 61);
}

#[test]
fn a_read_that_is_redirected_leads_nowhere() {
    let (target, stub) = (Stub::start(good), Stub::start(good));
    target.upon_reads(|_| stream_of(9.5));
    for status in [301, 302, 303, 307, 308] {
        let location = format!("http://127.0.0.1:{}/api/v1/read", target.port());
        let reply = Reply::raw(format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"));
        stub.upon_reads(move |_| reply.clone());
        let points = Mirror::start().metric(&stub.details(), queries()[0].0.clone()).points();
        assert!(points.iter().all(|point| point[0] == 1.5), "{status}: {points:?}");
    }
    assert_eq!(target.connections(), 0);
}

#[test]
fn reads_go_through_the_proxy_and_so_do_the_calls_instead_of_them() {
    let proxy = Tinyproxy::start("");
    let mirror = Mirror::start_with(&["--proxy", &proxy.url(), "--no-proxy", ""]);
    let stub = Stub::start(good);
    let target = format!("127.0.0.1:{}", stub.port());
    stub.upon_reads(|_| stream_of(1.5));
    for query in queries() {
        assert_eq!(mirror.metric(&stub.details(), query.0).status, 200);
    }
    assert_eq!((stub.reads(), stub.requests().len()), (queries().len(), 0));
    assert_eq!((proxy.tunnels(&target), stub.connections()), (1, 1), "one connection, kept");
    stub.upon_reads(|_| Reply::http(404, "text/plain", "404 page not found"));
    assert_eq!(mirror.metric(&stub.details(), queries()[0].0.clone()).points().len(), 2);
    assert_eq!(proxy.tunnels(&target), stub.connections());
}

#[test]
fn a_connection_is_used_again_after_a_read_and_after_its_refusal() {
    for (what, reply) in [
        ("a stream", stream_of(1.5)),
        ("a refusal", Reply::http(404, "text/plain", "404 page not found")),
        ("a long refusal", Reply::http(404, "text/html", vec![b' '; 60_000])),
    ] {
        let (mirror, stub) = (Mirror::start(), Stub::start(good));
        stub.upon_reads(move |_| reply.clone());
        for query in queries() {
            assert_eq!(mirror.metric(&stub.details(), query.0).status, 200, "{what}");
        }
        assert_eq!(stub.connections(), 1, "{what}");
    }
}

#[test]
fn the_credentials_are_sent_with_a_read_and_shown_to_nobody() {
    let (mirror, stub) = (Mirror::start_with(&["--log-level", "debug"]), Stub::start(good));
    let url = format!("http://user:secret@127.0.0.1:{}/", stub.port());
    let details = json!({"url": url, "requestTimeout": 500});
    for (what, reply, is_good) in [
        ("a stream", stream_of(1.5), true),
        ("closed", Reply::raw("").then(After::Close), false),
        ("reset", Reply::raw("").then(After::Reset), false),
        ("silent", Reply::raw("").then(After::Hang), false),
        ("garbage", Reply::raw("garbage").then(After::Close), false),
        ("a damaged stream", Reply::http(200, "application/x-streamed-protobuf", b"\x05wrongframe"), false),
        ("401", Reply::http(401, "text/plain", "who are you"), true),
    ] {
        stub.upon_reads(move |_| reply.clone());
        let response = mirror.metric(&details, queries()[0].0.clone());
        assert_eq!(response.status == 200, is_good, "{what}: {}", response.text);
        let reads = stub.read_requests();
        assert!(!reads.is_empty(), "{what}");
        for read in reads {
            assert_eq!(read.header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="), "{what}");
        }
        // The second is base64 of `user:secret`.
        for secret in ["secret", "dXNlcjpzZWNyZXQ"] {
            assert!(!response.text.contains(secret), "{what}: {}", response.text);
            assert!(!mirror.log().contains(secret), "{what}: {}", mirror.log());
        }
    }
    mirror.line_with("/api/v1/read");
    assert!(!mirror.get("/metrics").text.contains("secret"));
}
