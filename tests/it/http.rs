//! Routing, verbs, bodies, and the key in each reply. The tests write requests byte by byte, since a client library would correct
//! them.
//!
//! `bounded` tests how much memory a request takes, `framing` requests whose end is uncertain, `heads` long and slow heads,
//! `requests` which requests are accepted, `responses` the exact shapes, `settings` the start, and `strange` unusual clients.

mod bounded;
mod cross_origin;
mod framing;
mod heads;
mod requests;
mod responses;
pub mod settings;
mod strange;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::mirror::{API_KEY, Mirror, Response};
use crate::support::stub::{Stub, good};

/// No response takes longer here.
const DEADLINE: Duration = Duration::from_secs(30);

/// The maximum size of a request body.
const MAX_BODY: usize = 1 << 20;

/// Writes bytes to an address and reads until the other side closes.
pub fn exchange(address: &str, request: &[u8]) -> Response {
    let mut stream = TcpStream::connect(address).expect("connect to the mirror");
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // A mirror that refuses a body need not read it to its end.
    let _ = stream.write_all(request);
    read_response(stream)
}

/// Reads a response until the other side closes.
pub fn read_response(mut stream: TcpStream) -> Response {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}, {end:?}"));
    response_of(head, body)
}

/// Reads one response with a length from a connection that may stay open.
pub fn read_one_response(stream: &mut TcpStream) -> std::io::Result<Response> {
    let head = read_head(stream)?;
    let mut response = response_of(head.trim_end(), "");
    let length = header(&response.headers, "content-length").expect("a length").parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    response.text = String::from_utf8(body).expect("UTF-8");
    response.json = serde_json::from_str(&response.text).unwrap_or_default();
    Ok(response)
}

fn response_of(head: &str, body: &str) -> Response {
    let mut lines = head.lines();
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap_or_else(|| panic!("no header: {line}")))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Response {
        status: status.unwrap_or_else(|| panic!("no status in {status_line:?}")),
        json: serde_json::from_str(body).unwrap_or_default(),
        key: header(&headers, "x-mirror-api-key").map(str::to_owned),
        text: body.to_owned(),
        headers,
    }
}

/// The value of a header, by its name in lower case.
pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// Sends one request with a body, and checks that the reply has the key.
pub fn send(mirror: &Mirror, method: &str, target: &str, body: &[u8]) -> Response {
    let length = body.len();
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    let response = exchange(address(mirror), &[head.as_bytes(), body].concat());
    assert_eq!(response.key.as_deref(), Some(API_KEY), "the key of {method} {target}: {response:?}");
    response
}

/// The address of a mirror.
pub fn address(mirror: &Mirror) -> &str {
    mirror.base().trim_start_matches("http://")
}

/// The error of a reply outside of the Mirror API, which is always typed JSON.
pub fn check_refusal(response: &Response, status: u16, context: &str) {
    assert_eq!(response.status, status, "{context}: {response:?}");
    assert_eq!(response.json["_type"], "RemoteMirrorError", "{context}: {}", response.text);
    assert!(!response.json["summary"].as_str().unwrap().is_empty(), "{context}: {}", response.text);
    assert!(!response.json["details"].as_str().unwrap().is_empty(), "{context}: {}", response.text);
    assert_eq!(header(&response.headers, "content-type"), Some("application/json"), "{context}");
}

/// A good test connection to a stub.
pub fn connection_request(stub: &Stub) -> Vec<u8> {
    json!({"connectionDetails": stub.details()}).to_string().into_bytes()
}

const GOT: [&str; 4] = ["/", "/-/healthy", "/-/ready", "/healthcheck"];
const POSTED: [&str; 4] = ["/api/connection", "/api/field/name", "/api/field/value", "/api/metric"];

#[test]
fn the_pages_of_the_mirror_itself_are_got() {
    let mirror = Mirror::start();
    for path in GOT {
        let response = send(&mirror, "GET", path, b"");
        assert_eq!(response.status, 200, "{path}: {}", response.text);
        assert!(!response.text.is_empty(), "{path}");
    }
    let page = send(&mirror, "GET", "/", b"").text;
    assert!(page.contains("prometheusmirror") && page.contains(env!("CARGO_PKG_VERSION")), "{page}");
}

#[test]
fn head_gives_the_head_of_get() {
    let mirror = Mirror::start();
    for path in GOT {
        let (head, get) = (send(&mirror, "HEAD", path, b""), send(&mirror, "GET", path, b""));
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        for name in ["content-type", "content-length"] {
            assert_eq!(header(&head.headers, name), header(&get.headers, name), "{name} of {path}");
        }
    }
}

#[test]
fn another_path_is_404_whatever_the_verb() {
    let mirror = Mirror::start();
    for path in
        ["/x", "/api", "/api/", "/api/metrics", "/api/metric/x", "/API/METRIC", "/-/", "/..", "/%2e", "/?/api/metric"]
    {
        for method in ["GET", "POST", "PUT"] {
            // `/` with a query string is `/`, which does not allow POST.
            if path != "/?/api/metric" {
                check_refusal(&send(&mirror, method, path, b"{}"), 404, &format!("{method} {path}"));
            }
        }
    }
}

#[test]
fn another_verb_is_405_and_says_which_is_right() {
    let mirror = Mirror::start();
    let check = |path: &str, wrong: &[&str], right: &[&str]| {
        for method in wrong {
            let response = send(&mirror, method, path, b"{}");
            if *method == "HEAD" {
                assert_eq!((response.status, response.text.as_str()), (405, ""), "{method} {path}");
            } else {
                check_refusal(&response, 405, &format!("{method} {path}"));
            }
            let allow = header(&response.headers, "allow").unwrap_or_else(|| panic!("no Allow: {response:?}"));
            let allowed: Vec<&str> = allow.split(',').map(str::trim).collect();
            assert_eq!(allowed, right, "{method} {path}");
        }
    };
    for path in GOT {
        check(path, &["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"], &["GET", "HEAD"]);
    }
    for path in POSTED {
        check(path, &["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"], &["POST"]);
    }
}

#[test]
fn slashes_and_query_strings_are_forgiven() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    for target in [
        "/api/connection", "//api/connection", "///api///connection//", "/api/connection/", "/api/connection?x=1",
        "//api/connection/?x=/y/&z", "/api/connection?",
    ] {
        let response = send(&mirror, "POST", target, &connection_request(&stub));
        assert_eq!((response.status, &response.json["status"]), (200, &json!("OK")), "{target}: {}", response.text);
    }
    for target in ["//", "/?x", "//-/healthy/", "/healthcheck?probe=1"] {
        assert_eq!(send(&mirror, "GET", target, b"").status, 200, "{target}");
    }
}

#[test]
fn a_body_that_is_not_this_request_is_400() {
    let mirror = Mirror::start();
    let details = json!({"host": "h", "port": 1});
    let not_json: [&[u8]; 8] =
        [b"", b" ", b"{", b"not JSON", b"{} {}", b"{'a':1}", b"{\"a\":\"\xff\"}", &[b'['; 100_000]];
    let wrong: Vec<Value> = vec![
        json!(null),
        json!([]),
        json!("text"),
        json!(5),
        json!({}),
        json!({"query": {}}),
        json!([details, {"field": {"fieldName": "job"}}]),
    ];
    for path in POSTED {
        for body in
            not_json.iter().map(|body| body.to_vec()).chain(wrong.iter().map(|body| body.to_string().into_bytes()))
        {
            let context = format!("{path} {:.80}", String::from_utf8_lossy(&body));
            check_refusal(&send(&mirror, "POST", path, &body), 400, &context);
        }
    }
    let field = json!({"fieldName": "job"});
    let condition = |key: Value, value: Value| json!([{"key": key, "value": value}]);
    for (path, query) in [
        ("/api/field/name", json!(null)),
        ("/api/field/name", json!("text")),
        ("/api/field/name", json!({"conditions": "text"})),
        ("/api/field/name", json!({"conditions": [5]})),
        ("/api/field/name", json!({"conditions": [{}]})),
        ("/api/field/name", json!({"conditions": condition(json!(5), json!({"value": "x"}))})),
        ("/api/field/name", json!({"conditions": condition(json!("job"), json!("x"))})),
        ("/api/field/name", json!({"limit": "ten"})),
        ("/api/field/name", json!({"startTime": "today"})),
        ("/api/field/value", json!({})),
        ("/api/field/value", json!({"field": "job"})),
        ("/api/field/value", json!({"field": {}})),
        ("/api/field/value", json!({"field": {"fieldName": 5}})),
        ("/api/field/value", json!({"field": field, "fieldValuePrefix": 5})),
        ("/api/field/value", json!({"field": field, "offset": "one"})),
        ("/api/metric", json!(null)),
        ("/api/metric", json!({"conditions": [], "startTime": "today"})),
        ("/api/metric", json!({"conditions": [], "startTime": 1.5})),
        ("/api/metric", json!({"conditions": [], "endTime": []})),
        ("/api/metric", json!({"conditions": [], "startTime": 1, "endTime": true})),
        ("/api/metric", json!({"conditions": [], "startTime": 1, "endTime": 1, "latestFirst": "yes"})),
        ("/api/metric", json!({"conditions": [], "startTime": 1, "endTime": 1, "aggregation": "MEAN"})),
        ("/api/metric", json!({"conditions": [], "startTime": 1, "endTime": 1, "aggregation": {"method": 5}})),
    ] {
        let body = json!({"connectionDetails": details, "query": query}).to_string();
        check_refusal(&send(&mirror, "POST", path, body.as_bytes()), 400, &format!("{path} {body}"));
    }
}

#[test]
fn a_body_may_have_a_mebibyte_and_no_more() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let mut body = connection_request(&stub);
    body.resize(MAX_BODY, b' ');
    let response = send(&mirror, "POST", "/api/connection", &body);
    assert_eq!((response.status, &response.json["status"]), (200, &json!("OK")), "{}", response.text);

    body.push(b' ');
    for path in POSTED {
        check_refusal(&send(&mirror, "POST", path, &body), 413, path);
    }
    // The announced length is enough for the refusal.
    let announced = b"POST /api/metric HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n";
    let response = exchange(address(&mirror), announced);
    check_refusal(&response, 413, "announced");
    assert_eq!(response.key.as_deref(), Some(API_KEY));
}

#[test]
fn a_body_may_come_in_chunks_within_the_same_bound() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let chunked = |body: &[u8]| {
        let head =
            "POST /api/connection HTTP/1.1\r\nHost: m\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunks = body
            .chunks(60_000)
            .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        let request: Vec<u8> = head.bytes().chain(chunks).chain(*b"0\r\n\r\n").collect();
        exchange(address(&mirror), &request)
    };
    let mut body = connection_request(&stub);
    let response = chunked(&body);
    assert_eq!((response.status, &response.json["status"]), (200, &json!("OK")), "{}", response.text);
    body.resize(MAX_BODY + 1, b' ');
    let response = chunked(&body);
    check_refusal(&response, 413, "chunks");
    assert_eq!(response.key.as_deref(), Some(API_KEY));
}

#[test]
fn a_client_that_waits_for_continue_gets_it() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let body = connection_request(&stub);
    let mut stream = TcpStream::connect(address(&mirror)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let length = body.len();
    let head =
        format!("POST /api/connection HTTP/1.1\r\nHost: m\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    assert!(read_head(&mut stream).unwrap().starts_with("HTTP/1.1 100 "));
    stream.write_all(&body).unwrap();
    assert!(read_head(&mut stream).unwrap().starts_with("HTTP/1.1 200 "));
}

/// Reads up to the empty line that ends a head.
fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8(head).expect("UTF-8"))
}
