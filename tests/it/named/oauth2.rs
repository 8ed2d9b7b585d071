//! OAuth 2: tokens from a stub of a token server, which a real nginx before a real Prometheus requires.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Files, named, one, verdict, with_one};
use crate::support::process::{Server, wait_until};
use crate::support::stub::{After, Reply, Request, Stub};
use crate::support::{nginx, prometheus};

/// An nginx before the shared Prometheus that accepts only this token.
fn gate(token: &str) -> Server {
    let backend = prometheus::shared().url("");
    nginx::start(
        "",
        &format!("map $http_authorization $is_good {{ default 0; \"Bearer {token}\" 1; }}"),
        &format!("location / {{ if ($is_good = 0) {{ return 401; }} proxy_pass {backend}; }}"),
    )
}

fn oauth2(server: &Stub, further: &str) -> String {
    format!(
        "  oauth2: {{client_id: 'mirror:1', client_secret_file: secret, token_url: 'http://127.0.0.1:{}/token?tenant=t'{further}}}",
        server.port()
    )
}

fn granted(token: &str, expires_in: Value) -> Reply {
    Reply::json(&json!({"access_token": token, "token_type": "Bearer", "expires_in": expires_in}))
}

fn refused(error: &str) -> Reply {
    Reply::http(401, "application/json", json!({"error": error, "error_description": "no such client"}).to_string())
}

/// `printf 'mirror%3A1:so%2Dhush' | base64`.
const CLIENT: &str = "Basic bWlycm9yJTNBMTpzbyUyRGh1c2g=";

#[test]
fn a_token_is_requested_once_as_the_rfc_says_and_sent_to_the_upstream() {
    let (gate, files) = (gate("token-hush"), Files::new());
    let server = Stub::start(|_: &Request| granted("token-hush", json!(3_600)));
    files.write("secret", "so-hush\n");
    let mirror =
        with_one(&files, &gate.url(""), &oauth2(&server, ", scopes: [a, b/.default], endpoint_params: {audience: x}"));
    for _ in 0..3 {
        assert_eq!(verdict(&mirror, &named("a")), "OK", "{}", mirror.log());
    }
    let [request] = server.requests().try_into().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/token"));
    assert_eq!(request.header("authorization"), Some(CLIENT));
    for (name, value) in
        [("tenant", "t"), ("grant_type", "client_credentials"), ("scope", "a b/.default"), ("audience", "x")]
    {
        assert_eq!(request.parameter(name), Some(value), "{request:?}");
    }
    assert_eq!(request.parameter("client_secret"), None);
    assert!(!mirror.log().contains("hush"), "{}", mirror.log());
}

#[test]
fn a_server_that_takes_the_secret_in_the_form_only_gets_it_there_from_then_on() {
    let (gate, files) = (gate("token-hush"), Files::new());
    let server = Stub::start(|request: &Request| match request.parameter("client_secret") {
        Some("so-hush") if request.parameter("client_id") == Some("mirror:1") => granted("token-hush", json!("1")),
        _ => refused("invalid_client"),
    });
    files.write("secret", "so-hush");
    let mirror = with_one(&files, &gate.url(""), &oauth2(&server, ""));
    assert_eq!(verdict(&mirror, &named("a")), "OK", "{}", mirror.log());
    assert_eq!(server.requests().len(), 2);
    // The token lasted for a second.
    thread::sleep(Duration::from_millis(1_100));
    assert_eq!(verdict(&mirror, &named("a")), "OK");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn many_requests_share_one_token_request() {
    let (gate, files) = (gate("token-hush"), Files::new());
    let server = Stub::start(|_: &Request| granted("token-hush", json!(3_600)).delayed(Duration::from_millis(300)));
    files.write("secret", "so-hush");
    let mirror = with_one(&files, &gate.url(""), &oauth2(&server, ""));
    let barrier = Barrier::new(12);
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                barrier.wait();
                assert_eq!(verdict(&mirror, &named("a")), "OK");
            });
        }
    });
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_token_that_the_upstream_refuses_is_fetched_anew_once() {
    let files = Files::new();
    let fetches = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&fetches);
    let server = Stub::start(move |_: &Request| {
        granted(&format!("token-{}", count.fetch_add(1, Ordering::SeqCst)), json!(3_600))
    });
    files.write("secret", "so-hush");
    let upstream = Stub::start(crate::support::stub::good);
    let mirror = with_one(&files, &format!("http://127.0.0.1:{}", upstream.port()), &oauth2(&server, ""));
    assert_eq!(verdict(&mirror, &named("a")), "OK");
    // All tokens so far are revoked.
    let revoked = |request: &Request| match request.header("authorization") {
        Some("Bearer token-0") => Reply::http(401, "text/plain", "revoked"),
        _ => crate::support::stub::good(request),
    };
    upstream.behave(revoked);
    // A new token is not replaced: the next would be refused as well.
    assert!(verdict(&mirror, &named("a")).contains("401"));
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
    wait_until(|| format!("a newer token is fetched: {}", mirror.log()), || verdict(&mirror, &named("a")) == "OK");
    assert_eq!(fetches.load(Ordering::SeqCst), 2);
}

#[test]
fn why_there_is_no_token_is_said_and_no_secret_is() {
    let files = Files::new();
    files.write("secret", "so-hush");
    let url = prometheus::shared().url("");
    let check = |reply: Reply, says: &[&str]| {
        let server = Stub::start(move |_: &Request| reply.clone());
        files.upstreams(&one(&url, &oauth2(&server, ", endpoint_params: {client_assertion: assert-hush}")));
        let mirror = files.mirror();
        let verdict = verdict(&mirror, &json!({"upstream": "a", "requestTimeout": 1_500}));
        assert!(says.iter().all(|part| verdict.contains(part)), "{says:?}: {verdict}");
        // It is counted after its response.
        let is_counted = || mirror.get("/metrics").text.contains("errors_total{code=\"credentials_unavailable\"} 1");
        wait_until(|| format!("it is counted: {verdict}"), is_counted);
        assert!(!verdict.contains("hush") && !mirror.log().contains("hush"), "{verdict}");
        for foreign in ["shorter time range", "bucket", "port of url", "--allow-upstream"] {
            assert!(!verdict.contains(foreign), "{foreign}: {verdict}");
        }
    };
    let server_is = "the token server 127.0.0.1:";
    let address = "check token_url in the upstreams file";
    check(refused("invalid_client"), &[server_is, "HTTP status 401: invalid_client: no such client", "upstreams file"]);
    check(Reply::http(400, "application/json", r#"{"error":"so-hush is wrong"}"#), &[server_is, "400: ... is wrong"]);
    // One response claims success, and one repeats a parameter, which may be an assertion.
    check(Reply::json(&json!({"error": "invalid_scope"})), &[server_is, "refuses (HTTP status 200: invalid_scope)"]);
    check(Reply::http(400, "application/json", r#"{"error":"not assert-hush"}"#), &["400: not ..."]);
    check(Reply::http(200, "text/html", "<html>hush"), &["answers without a token", address]);
    check(granted("two\nlines", json!(1)), &["that a header cannot carry"]);
    check(Reply::json(&json!({"access_token": "t", "token_type": "mac"})), &["of another type than Bearer"]);
    check(Reply::http(302, "text/html", ""), &["302"]);
    let slow = "look at its load";
    check(granted("t", json!(1)).delayed(Duration::from_secs(3)), &[server_is, "did not answer within", slow]);
    let half = Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").then(After::Hang);
    check(half, &[server_is, "sent only part of the response within", slow]);
    check(Reply::http(200, "application/json", "x".repeat(300_000)), &[server_is, "more than 262144 bytes", address]);
    check(Reply::raw("SSH-2.0-hush\r\n").then(After::Close), &[server_is, "its response is not HTTP", address]);
    check(Reply::raw("").then(After::Close), &[server_is, "closed the connection", address]);
    let gone = Stub::start(|_: &Request| granted("t", json!(1)));
    let keys = oauth2(&gone, "");
    drop(gone);
    files.upstreams(&one(&url, &keys));
    let unreachable = verdict(&files.mirror(), &named("a"));
    assert!(unreachable.contains("Connection refused") && unreachable.contains(server_is), "{unreachable}");
    assert!(unreachable.contains(address) && !unreachable.contains("of url"), "{unreachable}");
}

#[test]
fn what_other_clients_take_for_a_token_is_one() {
    let files = Files::new();
    files.write("secret", "so-hush");
    let check = |response: &'static str, token: &str| {
        let (gate, server) =
            (gate(token), Stub::start(move |_: &Request| Reply::http(200, "application/json", response)));
        let mirror = with_one(&files, &gate.url(""), &oauth2(&server, ""));
        assert_eq!(verdict(&mirror, &named("a")), "OK", "{response}: {}", mirror.log());
    };
    check(r#"{"access_token": "token-hush", "token_type": ""}"#, "token-hush");
    check(r#"{"access_token": "token-hush", "token_type": null, "expires_in": 1e400}"#, "token-hush");
    check(r#"{"access_token": " token hush\n", "token_type": "bearer", "expires_in": {}}"#, "token hush");
}

#[test]
fn a_client_that_is_refused_retries_less_and_less_until_its_secret_changes() {
    let (gate, files) = (gate("token-hush"), Files::new());
    // `printf 'mirror%3A1:new%2Dhush' | base64`.
    const NEW_CLIENT: &str = "Basic bWlycm9yJTNBMTpuZXclMkRodXNo";
    let server = Stub::start(|request: &Request| match request.header("authorization") {
        Some(NEW_CLIENT) => granted("token-hush", json!(3_600)),
        _ => refused("invalid_client"),
    });
    files.write("secret", "so-hush");
    let mirror = with_one(&files, &gate.url(""), &oauth2(&server, ""));
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(3_500) {
        let verdict = verdict(&mirror, &named("a"));
        assert!(verdict.contains("invalid_client") && verdict.contains("tries again within 30 s"), "{verdict}");
        thread::sleep(Duration::from_millis(20));
    }
    // At the beginning, a second after that, and two seconds after that; each with the secret in a header and in the form.
    let asked = server.requests().len();
    assert!((4..=6).contains(&asked), "{asked}");
    files.write("secret", "new-hush");
    let changed = Instant::now();
    wait_until(|| format!("it asks again: {}", mirror.log()), || verdict(&mirror, &named("a")) == "OK");
    // The file is re-read every five seconds.
    assert!(changed.elapsed() < Duration::from_secs(8), "{:?}", changed.elapsed());
}
