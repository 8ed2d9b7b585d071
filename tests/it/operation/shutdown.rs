//! Shutdown: requests in flight are finished, new ones are refused, and nothing takes longer than the grace.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::json;
use socket2::{Domain, Socket, Type};

use super::{AT_ONCE, Held, begin, check_ok, exchange_aside, get, post, test_connection};
use crate::http::settings::check_refused;
use crate::http::{address, check_refusal, exchange, header, read_one_response};
use crate::operation::metrics::is_busy;
use crate::support::mirror::{API_KEY, Mirror, condition};
use crate::support::process::{require, status_field, wait_until};
use crate::support::stub::{Reply, Stub, good};

/// How soon the mirror ends if no request is in flight.
const SOON: Duration = Duration::from_secs(3);

/// The timeout of reads from a mirror.
const PATIENCE: Duration = Duration::from_secs(20);

/// A command that runs the mirror with process id 1, as in a container, and passes its exit code on.
fn as_first_process() -> Vec<&'static str> {
    require("unshare", "util-linux");
    let plain = ["unshare", "--pid", "--fork", "--kill-child"];
    // A user other than root needs a user namespace first.
    let as_root = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"];
    let works = |line: &[&str]| Command::new(line[0]).args(&line[1..]).arg("true").output().unwrap().status.success();
    [plain.to_vec(), as_root.to_vec()]
        .into_iter()
        .find(|line| works(line))
        .expect("these tests need a namespace of processes: run them as root, or where users may make namespaces")
}

/// Whether the mirror is ready.
fn readiness(mirror: &Mirror) -> u16 {
    exchange(address(mirror), &get("/-/ready")).status
}

/// Sends the first signal, and waits until the mirror has noticed it.
fn begin_end(mirror: &Mirror, signal: &str) {
    assert_eq!(readiness(mirror), 200);
    mirror.signal(signal);
    wait_until(|| format!("{signal} turns ready to 503"), || readiness(mirror) == 503);
}

fn check_code(status: ExitStatus, code: i32, context: &str) {
    assert_eq!(status.code(), Some(code), "{context}: {status}");
}

fn check_graceful(wrapper: &[&str], signal: &str) {
    let context = format!("{signal} under {wrapper:?}");
    let mirror = Mirror::start_under(wrapper, &["--workers", "1", "--queue-size", "5"]);
    let held = Held::start();
    let running = exchange_aside(&mirror, test_connection(&held.stub.details()));
    is_busy(&mirror, 1, 0);
    let waiting = exchange_aside(&mirror, test_connection(&held.stub.details()));
    is_busy(&mirror, 1, 1);
    let mut kept = begin(&mirror, b"GET / HTTP/1.1\r\nHost: m\r\n\r\n", PATIENCE);
    assert_eq!(read_one_response(&mut kept).unwrap().status, 200);

    begin_end(&mirror, signal);
    assert_eq!(exchange(address(&mirror), &get("/-/healthy")).status, 200, "{context}");
    let fresh = exchange(address(&mirror), &test_connection(&held.stub.details()));
    kept.write_all(&post("/api/connection", "", &json!({"connectionDetails": held.stub.details()}))).unwrap();
    for response in [fresh, read_one_response(&mut kept).unwrap()] {
        check_refusal(&response, 503, &context);
        assert_eq!(response.key.as_deref(), Some(API_KEY), "{context}");
        let seconds = header(&response.headers, "retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
        assert!(seconds.is_some_and(|seconds| seconds > 0), "{context}: {response:?}");
    }
    assert!(mirror.is_running(), "{context}");

    held.release();
    check_ok(&running.join().unwrap());
    check_ok(&waiting.join().unwrap());
    check_code(mirror.end(SOON), 0, &context);
    assert_eq!(held.stub.requests().len(), 2, "{context}: what is refused is not sent upstream");
}

#[test]
fn after_a_first_signal_what_runs_and_waits_is_answered_and_nothing_new_begun() {
    check_graceful(&[], "TERM");
    check_graceful(&[], "INT");
}

#[test]
fn the_first_process_of_a_container_ends_like_any_other() {
    let wrapper = as_first_process();
    let mirror = Mirror::start_under(&wrapper, &[]);
    let ids = status_field(mirror.pid(), "NSpid");
    assert_eq!(ids.split_whitespace().last(), Some("1"), "not the first of its namespace: {ids}");
    mirror.signal("TERM");
    check_code(mirror.end(SOON), 0, "idle");
    check_graceful(&wrapper, "TERM");
    check_graceful(&wrapper, "INT");
    check_second(&wrapper, "TERM", "TERM", 143);
    check_second(&wrapper, "INT", "INT", 130);
}

#[test]
fn a_mirror_with_nothing_to_do_ends_soon_whoever_is_connected() {
    for signal in ["TERM", "INT"] {
        let mirror = Mirror::start();
        let starts: [&[u8]; 3] = [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: m\r\n\r\n"];
        let mut idle: Vec<TcpStream> = (0..9).map(|nth| begin(&mirror, starts[nth % starts.len()], PATIENCE)).collect();
        assert_eq!(read_one_response(&mut idle[2]).unwrap().status, 200);
        mirror.signal(signal);
        check_code(mirror.end(SOON), 0, signal);
    }
}

#[test]
fn the_grace_bounds_how_long_what_runs_may_go_on() {
    let check = |grace: u64| {
        let mirror = Mirror::start_with(&["--shutdown-grace", &grace.to_string()]);
        let held = Held::start();
        let _running = begin(&mirror, &test_connection(&held.stub.details()), PATIENCE);
        held.wait_for(1);
        let now = Instant::now();
        mirror.signal("TERM");
        let status = mirror.end(Duration::from_secs(grace) + SOON);
        check_code(status, 0, "the grace is over");
        assert!(now.elapsed() >= Duration::from_secs(grace), "ended after {:?}", now.elapsed());
    };
    check(0);
    check(2);
}

#[test]
fn a_mirror_that_leaves_late_is_not_ready_and_still_answers_for_that_long() {
    const DELAY: Duration = Duration::from_secs(3);
    let mirror = Mirror::start_with(&["--shutdown-delay", "3"]);
    let stub = Stub::start(good);
    let now = Instant::now();
    begin_end(&mirror, "TERM");
    let request = post("/api/connection", "", &json!({"connectionDetails": stub.details()}));
    let response = read_one_response(&mut begin(&mirror, &request, PATIENCE)).unwrap();
    check_ok(&response);
    assert_eq!(header(&response.headers, "connection"), Some("close"), "its client is to go elsewhere: {response:?}");
    check_code(mirror.end(DELAY + SOON), 0, "after the delay");
    assert!(now.elapsed() >= DELAY, "ended after {:?}", now.elapsed());
    assert_eq!(stub.requests().len(), 1);
}

#[test]
fn a_second_signal_does_not_wait_for_the_delay() {
    let mirror = Mirror::start_with(&["--shutdown-delay", "60"]);
    begin_end(&mirror, "TERM");
    mirror.signal("TERM");
    check_code(mirror.end(AT_ONCE), 143, "a second signal while leaving");
}

fn check_second(wrapper: &[&str], first: &str, second: &str, code: i32) {
    let mirror = Mirror::start_under(wrapper, &[]);
    let held = Held::start();
    let _running = begin(&mirror, &test_connection(&held.stub.details()), PATIENCE);
    held.wait_for(1);
    begin_end(&mirror, first);
    assert!(mirror.is_running());
    mirror.signal(second);
    check_code(mirror.end(AT_ONCE), code, &format!("{first} and {second} under {wrapper:?}"));
}

#[test]
fn a_second_signal_ends_it_at_once_with_the_code_of_the_signal() {
    check_second(&[], "TERM", "TERM", 143);
    check_second(&[], "INT", "INT", 130);
    check_second(&[], "TERM", "INT", 130);
    check_second(&[], "INT", "TERM", 143);
}

#[test]
fn a_response_that_has_begun_is_written_to_its_end() {
    const SAMPLES: i64 = 600_000;
    let mirror = Mirror::start();
    let samples: Vec<_> = (0..SAMPLES).map(|nth| json!([nth as f64 / 2.0, "1.5"])).collect();
    let long = json!({"resultType": "matrix", "result": [{"metric": {}, "values": samples}]});
    let stub = Stub::start(move |_| Reply::success(long.clone()));
    let query = json!({"conditions": [condition("__gauge__", "m")], "startTime": 0, "endTime": 300_000_000});
    let request = json!({"connectionDetails": stub.details(), "query": query});
    // The response is far longer than the buffers of the system, on both sides.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(1 << 16).unwrap();
    socket.connect(&address(&mirror).parse::<SocketAddr>().unwrap().into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&post("/api/metric", "Connection: close\r\n", &request)).unwrap();
    // The response has begun.
    let mut response = vec![0; 16];
    stream.read_exact(&mut response).unwrap();
    begin_end(&mirror, "TERM");
    assert!(mirror.is_running(), "ended while a response was written");
    stream.read_to_end(&mut response).unwrap();
    let text = String::from_utf8(response).unwrap();
    let body: serde_json::Value =
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).expect("a whole response");
    assert_eq!(body["telemetry"]["points"].as_array().unwrap().len(), SAMPLES as usize);
    check_code(mirror.end(SOON), 0, "the response is written");
}

#[test]
fn the_grace_is_a_number_of_seconds() {
    let key = [("API_KEY", API_KEY)];
    for value in ["-1", "soon", "25s", "99999999999999999999"] {
        check_refused(&["--shutdown-grace", value], &key, &["--shutdown-grace", value, "seconds"]);
    }
}
