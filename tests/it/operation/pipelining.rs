//! Clients that send further requests on a connection before they have the response to the first.

use std::io::Write;
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::json;

use super::metrics::is_busy;
use super::page::Page;
use super::{AT_ONCE, Held, begin, check_ok, post, test_connection};
use crate::http::{header, read_one_response, read_response};
use crate::support::mirror::Mirror;
use crate::support::process::{memory, status_field, wait_until};
use crate::support::stub::{Reply, Request, Stub, good};

/// The timeout of reads from a mirror.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many requests may wait behind one that takes long.
const REQUESTS: usize = 100;

/// The request with this number.
fn numbered(line: &str, nth: usize, rest: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: m\r\nX-Request-Id: {nth}\r\n{rest}").into_bytes()
}

/// Checks for the responses to this number of requests, in their order.
fn check_responses(stream: &mut TcpStream, requests: usize) {
    for nth in 0..requests {
        let response = read_one_response(stream).unwrap_or_else(|error| panic!("{nth}: {error}"));
        assert_eq!(header(&response.headers, "x-request-id"), Some(nth.to_string().as_str()), "{response:?}");
    }
}

#[test]
fn requests_behind_one_that_takes_long_hold_neither_threads_nor_workers() {
    let (mirror, held, stub) = (Mirror::start_with(&["--workers", "2"]), Held::start(), Stub::start(good));
    let threads = || status_field(mirror.pid(), "Threads").parse::<usize>().unwrap();
    let mut stream =
        begin(&mirror, &post("/api/connection", "", &json!({"connectionDetails": held.stub.details()})), PATIENCE);
    is_busy(&mirror, 1, 0);
    let before = threads();
    for nth in 0..REQUESTS {
        let request = match nth % 3 {
            0 => numbered("GET /-/healthy", nth, "\r\n"),
            1 => numbered("POST /api/connection", nth, "Content-Length: 2\r\n\r\n{}"),
            _ => numbered("PUT /nowhere", nth, "\r\n"),
        };
        stream.write_all(&request).unwrap();
    }
    // Long enough for the mirror to read all of them.
    for _ in 0..20 {
        let now = Instant::now();
        check_ok(&read_response(begin(&mirror, &test_connection(&stub.details()), PATIENCE)));
        assert!(now.elapsed() < AT_ONCE, "took {:?}", now.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(Page::of(&mirror).only("prometheusmirror_busy_workers"), 1.0);
    assert!(threads() < before + 60, "{} threads, {before} before", threads());
    held.release();
    assert_eq!(read_one_response(&mut stream).unwrap().status, 200);
    check_responses(&mut stream, REQUESTS);
}

#[test]
fn of_very_many_requests_behind_one_the_last_that_is_answered_says_so() {
    let (mirror, held) = (Mirror::start(), Held::start());
    let details = json!({"connectionDetails": held.stub.details()});
    let mut stream = begin(&mirror, &post("/api/connection", "", &details), PATIENCE);
    is_busy(&mirror, 1, 0);
    let before = memory(mirror.pid(), "VmRSS");
    for nth in 0..100_000 {
        stream.write_all(&numbered("GET /-/healthy", nth, "\r\n")).unwrap();
    }
    // The mirror has read the last of them when it answers one on another connection.
    assert_eq!(mirror.get("/-/healthy").status, 200);
    let grown = memory(mirror.pid(), "VmRSS").saturating_sub(before);
    assert!(grown < 50 << 20, "{grown} bytes more");
    held.release();
    assert_eq!(read_one_response(&mut stream).unwrap().status, 200);
    check_responses(&mut stream, REQUESTS - 1);
    let last = read_one_response(&mut stream).unwrap();
    assert_eq!(header(&last.headers, "connection"), Some("close"), "{last:?}");
}

/// Sends a test connection twenty times, and checks that each response is good and prompt.
fn check_prompt(mirror: &Mirror, stub: &Stub) {
    for _ in 0..20 {
        let now = Instant::now();
        let response = read_response(begin(mirror, &test_connection(&stub.details()), PATIENCE));
        // For a moment, its requests may take all places.
        if response.status != 503 {
            check_ok(&response);
        }
        assert!(now.elapsed() < AT_ONCE, "took {:?}", now.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_client_that_reads_no_responses_holds_no_worker() {
    let (mirror, stub) = (Mirror::start_with(&["--workers", "1", "--queue-size", "1"]), Stub::start(good));
    let mut unread = begin(&mirror, b"", PATIENCE);
    socket2::SockRef::from(&unread).set_recv_buffer_size(2_048).unwrap();
    let request = numbered("POST /api/connection", 0, "Content-Length: 2\r\n\r\n{}");
    unread.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    for _ in 0..20_000 {
        // Until its responses fill all buffers on the way.
        if unread.write_all(&request).is_err() {
            break;
        }
    }
    check_prompt(&mirror, &stub);
}

/// Becomes six megabytes of points, more than the system buffers for a client. It is made once, since making it takes longer than
/// sending it.
static MANY_POINTS: LazyLock<String> = LazyLock::new(|| {
    let samples: Vec<String> = (1..300_000).map(|nth| format!(r#"[{nth},"{nth}.5"]"#)).collect();
    let series = format!(r#"{{"metric":{{}},"values":[{}]}}"#, samples.join(","));
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#)
});

fn is_for_many(request: &Request) -> bool {
    request.parameter("query").is_some_and(|query| query.contains("many"))
}

fn many_points(request: &Request) -> Reply {
    if is_for_many(request) { Reply::http(200, "application/json", MANY_POINTS.clone()) } else { good(request) }
}

#[test]
fn clients_that_read_no_responses_hold_a_quarter_of_the_workers_at_most() {
    const DAY: u64 = 86_400_000;
    const UNREAD: usize = 5;
    LazyLock::force(&MANY_POINTS);
    let (mirror, stub) = (Mirror::start_with(&["--workers", "8"]), Stub::start(many_points));
    let many = json!({
        "connectionDetails": stub.details(),
        "query": {
            "conditions": [{"key": "__gauge__", "value": {"value": "many"}}],
            "startTime": 0,
            "endTime": 4 * DAY,
        },
    });
    let many = post("/api/metric", "", &many);
    let _unread: Vec<TcpStream> = (0..UNREAD)
        .map(|_| {
            let mut unread = begin(&mirror, b"", PATIENCE);
            socket2::SockRef::from(&unread).set_recv_buffer_size(2_048).unwrap();
            unread.write_all(&many).unwrap();
            unread
        })
        .collect();
    // Until each response is being written, and before the mirror gives up the first, eight seconds after its begin. After that,
    // fewer are written, too, but not for long.
    let begun = || stub.requests().iter().filter(|request| is_for_many(request)).count();
    let busy = || Page::of(&mirror).only("prometheusmirror_busy_workers");
    let is_steady = || {
        (0..10).all(|_| {
            std::thread::sleep(Duration::from_millis(100));
            busy() == 2.0
        })
    };
    wait_until(|| format!("{} are answered, {} workers write", begun(), busy()), || begun() >= UNREAD && is_steady());
    check_prompt(&mirror, &stub);
}

/// Checks for a response that says how long its connection is kept, or that it is closed.
fn check_kept(stream: &mut TcpStream, is_kept: bool) {
    let response = read_one_response(stream).unwrap();
    assert_eq!(response.status, 200, "{response:?}");
    let connection = if is_kept { "keep-alive" } else { "close" };
    assert_eq!(header(&response.headers, "connection"), Some(connection), "{response:?}");
    assert_eq!(header(&response.headers, "keep-alive"), is_kept.then_some("timeout=75"), "{response:?}");
}

#[test]
fn a_response_says_for_how_long_its_connection_is_kept_however_long_it_took() {
    // Longer than a connection may be silent in the middle of a request.
    let slow = Stub::start(|request| good(request).delayed(Duration::from_secs(10)));
    let mirror = Mirror::start();
    let keeps = |blanks: usize| {
        let details = json!({"connectionDetails": slow.details(), "_blank": " ".repeat(blanks)});
        let mut stream = begin(&mirror, &post("/api/connection", "", &details), PATIENCE);
        check_kept(&mut stream, true);
        stream.write_all(&numbered("GET /-/healthy", 1, "\r\n")).unwrap();
        check_kept(&mut stream, true);
    };
    std::thread::scope(|scope| {
        // A body that tiny_http has read in advance, and one that it has not.
        scope.spawn(|| keeps(0));
        scope.spawn(|| keeps(2_000));
        scope.spawn(|| {
            let mut stream = begin(&mirror, b"GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n", PATIENCE);
            check_kept(&mut stream, false);
        });
    });
}
