//! Requests whose end is uncertain, written byte by byte: the mirror does not answer what follows them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{DEADLINE, address, check_refusal, header, read_one_response};
use crate::operation::page::Page;
use crate::support::mirror::{API_KEY, Mirror, Response};
use crate::support::process::{open_descriptors, status_field, wait_until};
use crate::support::stub::{Stub, good};

/// A complete request, which the mirror must not answer if it is in the rest of another one.
const SMUGGLED: &str = "GET /-/healthy HTTP/1.1\r\nHost: m\r\nX-Request-Id: smuggled\r\n\r\n";

/// The head of a POST with these lines, each with its end.
fn post(lines: &str) -> String {
    format!("POST /api/connection HTTP/1.1\r\nHost: m\r\n{lines}\r\n")
}

/// The response to a request, and what follows until the mirror closes the connection, without further data to read.
fn ask(mirror: &Mirror, request: &[u8]) -> (Option<Response>, String) {
    let mut stream = TcpStream::connect(address(mirror)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let response = read_one_response(&mut stream).ok();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    (response, String::from_utf8(rest).unwrap())
}

/// Checks that a request is refused with 400, an error that names the fault, the key, and the end of the connection, and that
/// nothing after it is answered.
fn check_refused(mirror: &Mirror, request: impl AsRef<[u8]>, names: &str) {
    let (response, rest) = ask(mirror, &[request.as_ref(), SMUGGLED.as_bytes()].concat());
    let request = String::from_utf8_lossy(request.as_ref());
    let response = response.unwrap_or_else(|| panic!("{request:?}: no response"));
    check_refusal(&response, 400, &request);
    let details = response.json["details"].as_str().unwrap();
    assert!(details.contains(names), "{request:?}: {details}");
    assert_eq!(response.key.as_deref(), Some(API_KEY), "{request:?}");
    assert_eq!(header(&response.headers, "connection"), Some("close"), "{request:?}: {response:?}");
    assert_eq!(rest, "", "{request:?}");
}

#[test]
fn a_request_without_a_certain_end_is_400_and_nothing_behind_it_is_answered() {
    let mirror = Mirror::start();
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (lines, names) in [
        ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "both"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 60\r\n", "both"),
        ("Content-Length: 0\r\nContent-Length: 60\r\n", "Content-Length"),
        ("Content-Length: 0, 60\r\n", "Content-Length"),
        ("Content-Length: +60\r\n", "Content-Length"),
        ("Content-Length: 61x\r\n", "Content-Length"),
        ("Transfer-Encoding: identity\r\n", "Transfer-Encoding"),
        ("Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding"),
        ("Transfer-Encoding: xchunked\r\n", "Transfer-Encoding"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "Transfer-Encoding"),
        // For a reader that accepts a line feed as the end of a line, the rest is the body.
        ("X-User: a\nContent-Length: 60\r\n", "line feed"),
        ("X-User: a\rContent-Length: 60\r\n", "line feed"),
        ("X-User: a\0\r\n", "character"),
        ("X\0: a\r\n", "character"),
        // Other readers accept a vertical tab in the number.
        ("Content-Length: \x0b60\r\n", "Content-Length"),
        ("Host: other\r\n", "Host"),
    ] {
        check_refused(&mirror, post(lines), names);
    }
    check_refused(
        &mirror,
        "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0",
    );
    check_refused(&mirror, "GET / HTTP/0.9\r\n\r\n", "HTTP/0.9");
    check_refused(&mirror, "GET /-/healthy\n HTTP/1.1\r\n\r\n", "character");
    // Invalid sizes, a chunk that ends early, a trailer, and bytes after the last chunk, which could be read as a request or a
    // chunk.
    for body in [
        "x\r\n", "+2\r\n{}\r\n0\r\n\r\n", "0x2\r\n{}\r\n0\r\n\r\n", " 2\r\n{}\r\n0\r\n\r\n", "2 \r\n{}\r\n0\r\n\r\n",
        "2\t\r\n{}\r\n0\r\n\r\n", "2_\r\n{}\r\n0\r\n\r\n", "2;a\n0\r\n{}\r\n0\r\n\r\n", "2\r\n{}\r\n+0\r\n\r\n",
        "fff\r\n{}", "-2\r\n{}\r\n", "fffffffffffffffff\r\n{}\r\n", "2\r\n{}", "2\n{}\r\n",
        "2\r\n{}\r\n0\r\nX: y\r\n\r\n", "0\r\nG",
    ] {
        check_refused(&mirror, format!("{}{body}", post(chunked)), "chunked body");
    }
}

#[test]
fn a_chunked_body_is_the_end_of_its_connection() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let body = json!({"connectionDetails": stub.details()}).to_string();
    for (size, encoding) in [("", "chunked"), ("0", "Chunked"), ("00", "chunked"), ("", "chunked\r\nX: y")] {
        let head = post(&format!("Transfer-Encoding: {encoding}\r\n"));
        for extension in ["", ";a=b", " ; a"] {
            let request = format!("{head}{size}{:x}{extension}\r\n{body}\r\n0\r\n\r\n{SMUGGLED}", body.len());
            let (response, rest) = ask(&mirror, request.as_bytes());
            let response = response.unwrap();
            assert_eq!(
                (response.status, &response.json["status"]),
                (200, &json!("OK")),
                "{request}: {}",
                response.text
            );
            assert_eq!(header(&response.headers, "connection"), Some("close"), "{request}");
            assert_eq!(rest, "", "{request}");
        }
    }
}

#[test]
fn what_trickles_in_behind_the_end_is_not_answered_either() {
    let mirror = Mirror::start();
    let mut stream = TcpStream::connect(address(&mirror)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
        .write_all(format!("{}2\r\n{{}}\r\n0\r\nG{SMUGGLED}", post("Transfer-Encoding: chunked\r\n")).as_bytes())
        .unwrap();
    assert_eq!(read_one_response(&mut stream).unwrap().status, 400);
    // The last of them arrive after the mirror has closed the connection.
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    for _ in 0..5 {
        let _ = stream.write_all(SMUGGLED.as_bytes());
        let after = read_one_response(&mut stream);
        assert!(after.is_err(), "{after:?}");
    }
    assert_eq!(mirror.get("/-/healthy").status, 200);
    let healthy = |page: &Page| page.sum("prometheusmirror_requests_total", &[("route", "healthy")]);
    // A request is counted after its response is written.
    let page = Page::wait(&mirror, "a request is counted", |page| healthy(page) > 0.0);
    assert_eq!(healthy(&page), 1.0, "the one of the test alone");
}

#[test]
fn a_client_that_comes_from_the_same_address_again_is_answered() {
    use socket2::{Domain, Socket, Type};
    use std::net::{Ipv4Addr, SocketAddr};
    let mirror = Mirror::start();
    let to: SocketAddr = address(&mirror).parse().unwrap();
    let connect = |from: SocketAddr| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect(&to.into()).unwrap();
        // Closing resets it, so that its address is free again at once.
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    };
    let mut first = connect((Ipv4Addr::LOCALHOST, 0).into());
    let from = first.local_addr().unwrap();
    first.write_all(post("Transfer-Encoding: identity\r\n").as_bytes()).unwrap();
    assert_eq!(read_one_response(&mut first).unwrap().status, 400);
    drop(first);
    std::thread::sleep(Duration::from_millis(1_200));
    let mut second = connect(from);
    second.write_all(SMUGGLED.as_bytes()).unwrap();
    assert_eq!(read_one_response(&mut second).unwrap().status, 200);
}

#[test]
fn what_is_no_request_is_400_and_the_end_of_the_connection() {
    let mirror = Mirror::start();
    for (request, names) in [
        (&b"GET / HTTP/1.1\r\nX-User: J\xe4ger\r\n\r\n"[..], "above 127"),
        (b"GET / HTTP/1.1\r\nX-User: J\xc3\xa4ger\r\n\r\n", "above 127"),
        (b"GET /J\xe4ger HTTP/1.1\r\n\r\n", "above 127"),
        (b"GET /\r\n", "first line"),
        (b"GET / HTTP/1.2\r\n\r\n", "first line"),
        (b"GET / HTTP/1.1\nHost: m\n\n", "first line"),
        (b"\x16\x03\x01\x00\x05\x01\r\n", "TLS"),
        (b"GET / HTTP/1.1\r\nX-User: a\r\n b\r\n\r\n", "continues"),
        // With a colon, a reader that ignores the blank reads a separate header.
        (b"GET / HTTP/1.1\r\nX-User: a\r\n Content-Length: 60\r\n\r\n", "continues"),
        (b"GET / HTTP/1.1\r\nContent-Length : 60\r\n\r\n", "colon"),
        (b"GET / HTTP/1.1\r\nX-User\r\n\r\n", "colon"),
        (b"GET / HTTP/1.1\r\nExpect: more\r\n\r\n", "Expect"),
        (b"GET / HTTP/1.1 more\r\n\r\n", "HTTP/1.1"),
        (b"GET  / HTTP/1.1\r\n\r\n", "HTTP/1.1"),
        (b" GET / HTTP/1.1\r\n\r\n", "HTTP/1.1"),
        (b"GET / HTTP/2.0\r\n\r\n", "HTTP/1.1"),
        (b"GET / HTTP/3.0\r\n\r\n", "HTTP/1.1"),
    ] {
        check_refused(&mirror, request, names);
    }
    // Their paths and addresses are in the log, and they are counted, each after its response.
    let line = mirror.line_with("HTTP/2 or HTTP/3");
    assert!(line.contains("client=127.0.0.1:") && line.contains("error_code=bad_request"), "{line}");
    let are_counted =
        |page: &Page| page.sum("prometheusmirror_rejected_requests_total", &[("reason", "bad_request")]) == 17.0;
    Page::wait(&mirror, "all are counted", are_counted);
    assert_eq!(mirror.get("/-/healthy").status, 200);
}

#[test]
fn a_client_that_speaks_http_2_without_negotiation_is_refused_and_costs_no_thread() {
    const CLIENTS: usize = 50;
    let mirror = Mirror::start();
    let threads = || status_field(mirror.pid(), "Threads").parse::<usize>().unwrap();
    let before = threads();
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .flat_map(|_| ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "GET / HTTP/2.0\r\n\r\n"])
        .map(|request| {
            let (response, stream) = ask_slowly(&mirror, request);
            check_refusal(&response, 400, request);
            stream
        })
        .collect();
    // The clients stay, but the connections do not.
    wait_until(
        || format!("{} descriptors and {} threads are as many as before", open_descriptors(mirror.pid()), threads()),
        || open_descriptors(mirror.pid()) < 20 && threads() < before + 40,
    );
    drop(clients);
    // Similar lines are requests.
    for request in ["PRI * HTTP/1.1\r\nHost: m\r\n\r\n", "PRI /x HTTP/1.1\r\nHost: m\r\n\r\n", SMUGGLED] {
        let (response, _) = ask_slowly(&mirror, request);
        assert_eq!(response.status, if request == SMUGGLED { 200 } else { 404 }, "{request}");
    }
}

/// Writes a request in small pieces.
fn ask_slowly(mirror: &Mirror, request: &str) -> (Response, TcpStream) {
    let mut stream = TcpStream::connect(address(mirror)).unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in request.as_bytes().chunks(7) {
        stream.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    (read_one_response(&mut stream).unwrap(), stream)
}

/// The greeting of a client that speaks TLS (RFC 8446, section 4.1.2), without an end of a line.
const TLS_GREETING: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[test]
fn a_client_that_speaks_tls_is_told_so_at_once() {
    let mirror = Mirror::start();
    let mut stream = TcpStream::connect(address(&mirror)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let begun = Instant::now();
    stream.write_all(TLS_GREETING).unwrap();
    let response = read_one_response(&mut stream).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    check_refusal(&response, 400, "TLS");
    assert!(response.text.contains("without TLS"), "{}", response.text);
}

#[test]
fn an_empty_line_before_a_request_is_ignored() {
    let mirror = Mirror::start();
    let mut stream = TcpStream::connect(address(&mirror)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    for empty in ["", "\r\n", "\r\n\r\n"] {
        stream.write_all(format!("{empty}GET /-/healthy HTTP/1.1\r\nHost: m\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(read_one_response(&mut stream).unwrap().status, 200, "{empty:?}");
    }
}

/// How soon the mirror must close its side. It may not wait until the client closes, which takes 8 s.
const END: Duration = Duration::from_secs(2);

#[test]
fn a_response_that_ends_its_connection_is_followed_by_the_end_at_once() {
    let mirror = Mirror::start();
    let withheld = "Expect: 100-continue\r\nContent-Length: 2000\r\n";
    for (request, status) in [
        // The client does not send the body: the mirror would treat its next bytes as the body.
        (format!("POST /nowhere HTTP/1.1\r\nHost: m\r\n{withheld}\r\n"), 404),
        (format!("PUT /api/metric HTTP/1.1\r\nHost: m\r\n{withheld}\r\n"), 405),
        (post("Expect: 100-continue\r\nContent-Length: 99999999\r\n"), 413),
        (post("Content-Length: 999999999\r\n"), 413),
        (post("Connection: close\r\nContent-Length: 99999999\r\n"), 413),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), 200),
        ("GET / HTTP/1.1\r\nConnection: x\r\nConnection: close\r\n\r\n".to_owned(), 200),
        ("GET / HTTP/0.9\r\n\r\n".to_owned(), 400),
    ] {
        let mut stream = TcpStream::connect(address(&mirror)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        let response = read_one_response(&mut stream).unwrap();
        assert_eq!(response.status, status, "{request:?}");
        assert_eq!(header(&response.headers, "connection"), Some("close"), "{request:?}");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty() && begun.elapsed() < END, "{request:?}: {rest:?} after {:?}", begun.elapsed());
    }
}

#[test]
fn a_client_that_sends_its_long_body_first_has_its_refusal_all_the_same() {
    let mirror = Mirror::start();
    for connection in ["", "Connection: close\r\n"] {
        let mut stream = TcpStream::connect(address(&mirror)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let body = vec![b'x'; 20 << 20];
        let head = post(&format!("{connection}Content-Length: {}\r\n", body.len()));
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        assert_eq!(read_one_response(&mut stream).unwrap().status, 413, "{connection:?}");
    }
}
