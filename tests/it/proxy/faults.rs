//! A proxy that fails: the error names the proxy and a remedy, and arrives in time.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{check_fails, mirror_behind, verdict};
use crate::support::mirror::Mirror;
use crate::support::process::free_port;
use crate::support::prometheus;
use crate::support::stub::{After, Reply, Request, Stub, good};
use crate::support::tinyproxy::{PASSWORD, Tinyproxy};

/// The `requestTimeout` of these tests.
const TIMEOUT: Duration = Duration::from_millis(600);

/// How much later than `requestTimeout` a response may arrive.
const GRACE: Duration = Duration::from_millis(500);

/// A text in every response of a proxy that the mirror must not repeat.
const MARKER: &str = "MARKER-9f0c55";

/// Some upstream, which is never reached.
fn some_upstream() -> Value {
    json!({"host": "127.0.0.1", "port": 9090, "requestTimeout": TIMEOUT.as_millis() as u64})
}

/// Checks that a test connection fails in time, with an error that names the proxy at this address and has these words.
fn check_fails_at(mirror: &Mirror, address: &str, details: &Value, says: &[&str]) {
    let begin = Instant::now();
    let verdict = verdict(mirror, details);
    let took = begin.elapsed();
    assert!(took < TIMEOUT + GRACE, "took {took:?}: {verdict}");
    let through = format!("cannot be reached through the proxy {address}: ");
    for part in says.iter().chain(&[through.as_str(), "proxy of this mirror"]) {
        assert!(verdict.contains(part), "{part} is not in {verdict}");
    }
    for secret in [PASSWORD, "hush", MARKER] {
        assert!(!verdict.contains(secret), "shows {secret}: {verdict}");
    }
    let page = mirror.get("/metrics").text;
    let counted = r#"prometheusmirror_upstream_requests_total{endpoint="query",outcome="proxy"} 1"#;
    assert!(page.contains(counted), "{counted} is not in {page}");
}

#[test]
fn what_a_proxy_refuses_is_told_apart() {
    let prometheus = prometheus::shared().details();
    let mut details = prometheus.clone();
    details["requestTimeout"] = json!(TIMEOUT.as_millis() as u64);
    let proxy = Tinyproxy::start("ConnectPort 443");
    let closed = Tinyproxy::start(&format!("ConnectPort {}\nConnectPort 1", prometheus["port"]));
    for (proxy, url, port, says) in [
        (&closed, closed.url_with(""), &prometheus["port"], ["credentials (HTTP status 407)", "user and password"]),
        (
            &closed,
            closed.url_with("ever:wrong-hush@"),
            &prometheus["port"],
            ["credentials (HTTP status 401)", "give user"],
        ),
        (&proxy, proxy.url(), &prometheus["port"], ["denies this host or port (HTTP status 403)", "allow CONNECT"]),
        (&closed, closed.url(), &json!(1), ["cannot connect there (HTTP status 500)", "Connection Details"]),
    ] {
        details["port"] = port.clone();
        check_fails_at(&mirror_behind(&url), &proxy.address(), &details, &says);
    }
}

#[test]
fn a_proxy_that_is_not_there_is_told_from_an_upstream_that_is_not() {
    let port = free_port();
    let no_listener = mirror_behind(&format!("http://u:hush@127.0.0.1:{port}"));
    let says = ["Connection refused", "the proxy is running"];
    check_fails_at(&no_listener, &format!("127.0.0.1:{port}"), &some_upstream(), &says);

    let nowhere = mirror_behind("http://u:hush@no-such-proxy.invalid");
    check_fails_at(
        &nowhere,
        "no-such-proxy.invalid:80",
        &some_upstream(),
        &["has no address for the name no-such-proxy.invalid"],
    );

    // The proxy may know a name that the mirror does not know, so the proxy decides.
    let proxy = Tinyproxy::start("");
    let unknown = json!({"host": "no-such-host.invalid", "port": 9090});
    check_fails(&mirror_behind(&proxy.url()), &unknown, &[&proxy.address(), "HTTP status 500", "where the proxy runs"]);
}

#[test]
fn a_proxy_that_does_not_answer_as_one_is_an_error_in_time() {
    let not_http = "its response is not HTTP; check that --proxy";
    let established = "HTTP/1.1 200 Connection established\r\n";
    for (reply, says) in [
        (Reply::raw("").then(After::Hang), "opened no connection to the upstream within"),
        (Reply::raw(established).then(After::Hang), "opened no connection to the upstream within"),
        // Each byte is in time, but not all of them.
        (
            Reply::raw(format!("{established}Via: {MARKER}\r\n\r\n")).dripping(Duration::from_millis(100)),
            "opened no connection to the upstream within",
        ),
        (Reply::raw("").then(After::Close), "closed the connection before it answered"),
        (Reply::raw("").then(After::Reset), "closed the connection before it answered"),
        (Reply::raw("HTTP/1.1 20").then(After::Close), "closed the connection before it answered"),
        (Reply::raw(format!("{MARKER}\r\n\r\n")).then(After::Hang), not_http),
        (Reply::raw("HTTP/1.1 2x0 OK\r\n\r\n").then(After::Hang), not_http),
        (Reply::raw("HTTP/1.1 \r\n\r\n").then(After::Hang), not_http),
        (Reply::raw(established).then(After::Repeat(vec![b'x'; 1 << 16])), "the header of its response is too large"),
        (Reply::http(502, "text/html", MARKER), "cannot connect there (HTTP status 502)"),
        (Reply::http(503, "text/html", MARKER), "cannot connect there (HTTP status 503)"),
        (Reply::http(504, "text/html", MARKER), "cannot connect there (HTTP status 504)"),
        // Web servers that are configured as proxies by mistake.
        (Reply::http(405, "text/html", MARKER), "is not an HTTP proxy with CONNECT (HTTP status 405)"),
        (Reply::http(501, "text/html", MARKER), "is not an HTTP proxy with CONNECT (HTTP status 501)"),
        (Reply::http(302, "text/html", MARKER), "is not an HTTP proxy with CONNECT (HTTP status 302)"),
        // The head says everything, so the mirror does not wait for the body.
        (Reply::raw("HTTP/1.1 403 X\r\nContent-Length: 9\r\n\r\n").then(After::Hang), "denies this host or port"),
    ] {
        let stub = Stub::start(move |_| reply.clone());
        let address = format!("127.0.0.1:{}", stub.port());
        check_fails_at(&mirror_behind(&format!("http://u:hush@{address}")), &address, &some_upstream(), &[says]);
    }

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let unaccepted = silent.local_addr().unwrap().to_string();
    let says = ["opened no connection to the upstream within"];
    check_fails_at(&mirror_behind(&format!("http://{unaccepted}")), &unaccepted, &some_upstream(), &says);
    let says = ["did not answer the TLS hello within"];
    // The same with silence before TLS, and with a server without TLS.
    check_fails_at(&mirror_behind(&format!("https://{unaccepted}")), &unaccepted, &some_upstream(), &says);
    let plain = Stub::start(|_| Reply::http(400, "text/plain", MARKER).then(After::Close));
    let address = format!("127.0.0.1:{}", plain.port());
    let says = ["check that its port uses https"];
    check_fails_at(&mirror_behind(&format!("https://{address}")), &address, &some_upstream(), &says);
}

/// A proxy with a tunnel to an upstream that behaves like this.
fn proxy_to(upstream: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Stub {
    Stub::start(move |request| match request.method.as_str() {
        "CONNECT" => Reply::raw("HTTP/1.1 200 Connection established\r\n\r\n"),
        _ => upstream(request),
    })
}

#[test]
fn what_the_upstream_does_behind_an_open_way_is_the_upstreams() {
    for (reply, says) in [
        (
            Reply::raw("").then(After::Hang),
            "did not answer within the timeout of 600 ms; this query takes almost no time",
        ),
        (Reply::raw("").then(After::Close), "closed the connection before the response was complete"),
        (Reply::http(407, "text/plain", MARKER), "requires its own credentials, or is behind one (HTTP status 407)"),
        (Reply::http(502, "text/plain", MARKER), "unavailable (HTTP status 502)"),
    ] {
        let proxy = proxy_to(move |_| reply.clone());
        let verdict = verdict(&mirror_behind(&format!("http://127.0.0.1:{}", proxy.port())), &some_upstream());
        let is_upstreams = !verdict.contains("through the proxy");
        assert!(verdict.contains(says) && is_upstreams && !verdict.contains(MARKER), "{verdict}");
    }
}

#[test]
fn a_kept_connection_that_the_proxy_closes_is_opened_anew() {
    // The tunnel is closed on the second query, when the mirror trusts the connection.
    let proxy = proxy_to(|request| match request.nth {
        0 | 1 => good(request),
        _ => Reply::raw("").then(After::Close),
    });
    let mirror = mirror_behind(&format!("http://127.0.0.1:{}", proxy.port()));
    for _ in 0..3 {
        assert_eq!(verdict(&mirror, &some_upstream()), "OK");
    }
    let ways = proxy.requests().iter().filter(|request| request.method == "CONNECT").count();
    assert_eq!((ways, proxy.connections()), (3, 3));
}
