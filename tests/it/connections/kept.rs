//! Kept connections that are closed, silent, or slow.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use serde_json::{Value, json};

use super::{check_good, verdict};
use crate::support::certificates::Certificates;
use crate::support::mirror::Mirror;
use crate::support::process::{Server, wait_until};
use crate::support::stub::{After, Reply, Request, Stub, good};

/// The `requestTimeout` of these tests. The mirror waits for a silent connection for a quarter of it.
const TIMEOUT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_millis(500);

/// How long everything else may take.
const SLACK: Duration = Duration::from_millis(400);

fn details(stub: &Stub) -> Value {
    let mut details = stub.details();
    details["requestTimeout"] = json!(TIMEOUT.as_millis() as u64);
    details
}

/// Makes the mirror keep this number of connections to a stub.
fn keep(mirror: &Mirror, stub: &Stub, connections: usize) {
    // The stub answers none before all have arrived.
    let all = Barrier::new(connections);
    stub.behave(move |request| {
        all.wait();
        good(request)
    });
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| check_good(mirror, &details(stub), TIMEOUT));
        }
    });
    assert_eq!(stub.connections(), connections);
}

#[test]
fn silent_connections_delay_one_query_and_only_a_little() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    keep(&mirror, &stub, 5);
    stub.behave(|request| match request.connection {
        0..5 => Reply::raw("").then(After::Hang),
        _ => good(request),
    });
    let (said, took) = verdict(&mirror, &details(&stub));
    assert!(said == "OK" && took >= PATIENCE && took < PATIENCE + SLACK, "{took:?}: {said}");
    for _ in 0..6 {
        let (said, took) = verdict(&mirror, &details(&stub));
        assert!(said == "OK" && took < SLACK, "{took:?}: {said}");
    }
    assert_eq!((stub.connections(), stub.requests().len()), (6, 8));
}

#[test]
fn an_upstream_that_is_silent_on_new_connections_too_is_a_timeout() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    keep(&mirror, &stub, 1);
    stub.behave(|_| Reply::raw("").then(After::Hang));
    let (said, took) = verdict(&mirror, &details(&stub));
    assert!(said.contains("did not answer within the timeout of 2000 ms; this query takes almost no time"), "{said}");
    assert!(!said.contains("shorter time range"), "{said}");
    assert!(took >= TIMEOUT && took < TIMEOUT + SLACK, "{took:?}");
    // Two calls, not more.
    assert_eq!((stub.connections(), stub.requests().len()), (2, 2));
}

#[test]
fn a_slow_response_on_a_kept_connection_is_neither_lost_nor_later() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    keep(&mirror, &stub, 1);
    const SLOW: Duration = Duration::from_millis(1_200);
    for times in [1, 2] {
        stub.behave(|request| good(request).delayed(SLOW));
        let (said, took) = verdict(&mirror, &details(&stub));
        assert!(said == "OK" && took >= SLOW && took < SLOW + SLACK, "{times}: {took:?}: {said}");
        assert!(stub.requests().len() <= 2, "{:?}", stub.requests());
        assert_eq!(stub.requests()[0].connection, 0, "the connection that won is kept");
    }
}

#[test]
fn silent_and_slow_connections_are_told_apart_behind_tls_too() {
    let (certificates, stub) = (Certificates::of("127.0.0.1"), Stub::start(good));
    let tls = Server::start("socat", "socat", |_, port| {
        let Certificates { certificate, key, .. } = &certificates;
        let files = format!("cert={},key={},verify=0", certificate.display(), key.display());
        vec![
            format!("OPENSSL-LISTEN:{port},bind=127.0.0.1,{files},fork"),
            format!("TCP:127.0.0.1:{},nodelay", stub.port()),
        ]
    });
    let listens = || std::net::TcpStream::connect(("127.0.0.1", tls.port())).is_ok();
    wait_until(|| format!("socat listens; its log:\n{}", tls.log()), listens);
    let mirror = Mirror::start_with(&["--ca-path", certificates.authority.to_str().unwrap()]);
    let mut details = details(&stub);
    details["host"] = Value::Null;
    details["port"] = Value::Null;
    details["url"] = json!(format!("https://127.0.0.1:{}/", tls.port()));
    check_good(&mirror, &details, TIMEOUT);
    let kept = stub.requests()[0].connection;
    stub.behave(|request| good(request).delayed(Duration::from_millis(1_200)));
    check_good(&mirror, &details, Duration::from_millis(1_200) + SLACK);
    stub.behave(
        move |request| if request.connection == kept { Reply::raw("").then(After::Hang) } else { good(request) },
    );
    let (said, took) = verdict(&mirror, &details);
    // The slow response has doubled the patience, but it is at most a quarter of the time.
    assert!(said == "OK" && took >= PATIENCE && took < PATIENCE + SLACK, "{took:?}: {said}");
    check_good(&mirror, &details, SLACK);
}

#[test]
fn responses_are_not_mixed() {
    // The old connection is silent at first, and then gets another response than the new one, in pieces.
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    keep(&mirror, &stub, 1);
    let response = |value: &str| {
        let sample = json!({"metric": {}, "value": [1, value]});
        Reply::success(json!({"resultType": "vector", "result": [sample]}))
    };
    for (old_ms, new_ms) in [(650, 150), (700, 100), (620, 200), (800, 10)] {
        stub.behave(move |request| match request.nth {
            0 => response("1").delayed(Duration::from_millis(new_ms)),
            _ => response("1").delayed(Duration::from_millis(old_ms)).dripping(Duration::from_micros(300)),
        });
        let (said, _) = verdict(&mirror, &details(&stub));
        assert_eq!(said, "OK", "{old_ms} {new_ms}");
    }
}

#[test]
fn a_connection_that_is_closed_before_its_response_begins_is_replaced_once() {
    for (ends, after) in [("closed", After::Close), ("reset", After::Reset)] {
        let (mirror, stub) = (Mirror::start(), Stub::start(good));
        keep(&mirror, &stub, 1);
        let end = after.clone();
        stub.behave(move |request| if request.nth == 0 { good(request) } else { Reply::raw("").then(end.clone()) });
        check_good(&mirror, &details(&stub), SLACK);
        assert_eq!((stub.connections(), stub.requests().len()), (2, 2), "{ends}");
        // A new connection that is closed as well is not replaced again.
        let end = after.clone();
        stub.behave(move |_| Reply::raw("").then(end.clone()));
        let (said, took) = verdict(&mirror, &details(&stub));
        assert!(said.contains("closed the connection before the response was complete") && took < SLACK, "{said}");
        assert_eq!(stub.requests().len(), 2, "{ends}");
    }
}

#[test]
fn an_idle_connection_that_is_given_up_by_status_408_is_replaced_once() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    keep(&mirror, &stub, 1);
    // As haproxy does it.
    let given_up = || {
        Reply::raw("HTTP/1.0 408 Request Time-out\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n<html>")
            .then(After::Close)
    };
    stub.behave(move |request| if request.nth == 0 { good(request) } else { given_up() });
    check_good(&mirror, &details(&stub), SLACK);
    assert_eq!(stub.requests().len(), 2);
    stub.behave(move |_| given_up());
    assert_ne!(verdict(&mirror, &details(&stub)).0, "OK");
    assert_eq!(stub.requests().len(), 2);
}

#[test]
fn no_encoding_is_requested_and_one_that_is_sent_is_named() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    check_good(&mirror, &details(&stub), SLACK);
    assert!(stub.requests().iter().all(|request| request.header("accept-encoding") == Some("identity")));
    for encoding in ["gzip", "br", "zstd"] {
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: 4\r\n\r\n\x1f\x08\x00\x00");
        stub.behave(move |_| Reply::raw(head.clone()));
        let (said, _) = verdict(&mirror, &details(&stub));
        let part = format!("sent a response with Content-Encoding {encoding}; switch off");
        assert!(said.contains(&part), "{part} is not in {said}");
    }
}

#[test]
fn the_time_of_a_timeout_is_that_of_the_call_it_befalls() {
    // The first call takes most of the time, so that little is left for the second.
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let stub = Stub::start(move |request: &Request| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::http(405, "text/plain", "no POST").delayed(TIMEOUT * 3 / 4),
        _ => good(request).delayed(TIMEOUT),
    });
    let (said, _) = verdict(&Mirror::start(), &details(&stub));
    assert!(said.contains("ms that were left of the timeout of 2000 ms"), "{said}");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}
