//! More clients than the system has descriptors for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::page::Page;
use super::{Held, begin, check_ok, post, test_connection};
use crate::http::{address, read_one_response};
use crate::support::mirror::Mirror;
use crate::support::process::proc_file;
use crate::support::stub::{Stub, good};

/// The number of clients that arrive at once, how long they stay, and how often they come.
const CLIENTS: usize = 150;
const STAY: Duration = Duration::from_secs(3);
const BURSTS: usize = 3;

/// The time within which the mirror answers again after they have left.
const RECOVERY: Duration = Duration::from_secs(15);

/// The timeout of reads from a mirror.
const PATIENCE: Duration = Duration::from_secs(20);

/// The maximum time that a connection may be silent.
const SILENCE: Duration = Duration::from_secs(12);

/// What the clients send: nothing, half a head, a whole request.
const REQUESTS: [&[u8]; 3] = [b"", b"GET / HTTP/1.1\r\nHo", b"GET / HTTP/1.1\r\nHost: m\r\n\r\n"];

/// A shell that sets limits on descriptors and then executes its further arguments.
fn limited(limits: &str) -> [String; 4] {
    ["sh", "-c", &format!("{limits}; exec \"$@\""), "sh"].map(str::to_owned)
}

/// Starts a mirror with limits on descriptors.
pub fn start(limits: &str) -> Mirror {
    Mirror::start_under(&limited(limits).each_ref().map(String::as_str), &["--workers", "4"])
}

/// Whether a test connection succeeds within a second. It may fail in any way.
fn answers(address: &str, stub: &Stub) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(&test_connection(&stub.details()))?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response)
    };
    ask().is_ok_and(|response| response.starts_with("HTTP/1.1 200 ") && response.contains(r#""status":"OK""#))
}

/// Lets many clients arrive, stay for a while and leave.
fn burst(mirror: &Mirror) {
    let connect = |_| TcpStream::connect(address(mirror)).expect("room in the backlog");
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(connect).collect();
    for (nth, client) in clients.iter_mut().enumerate() {
        // It may be refused already.
        let _ = client.write_all(REQUESTS[nth % REQUESTS.len()]);
    }
    std::thread::sleep(STAY);
}

/// Waits until the mirror answers, for the allowed time.
fn wait_for_recovery(mirror: &Mirror, stub: &Stub, context: &str) {
    let left = Instant::now();
    while !answers(address(mirror), stub) {
        assert!(mirror.is_running(), "{context}: ended\n{}", mirror.log());
        assert!(left.elapsed() < RECOVERY, "{context}: no response\n{}", mirror.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn check_survives(limit: usize) {
    let (mirror, stub) = (start(&format!("ulimit -n {limit}")), Stub::start(good));
    for nth in 1..=BURSTS {
        burst(&mirror);
        wait_for_recovery(&mirror, &stub, &format!("limit {limit}, burst {nth}"));
    }
}

#[test]
fn more_clients_than_descriptors_do_not_stop_the_mirror() {
    make_room();
    std::thread::scope(|scope| {
        for limit in 59..=66 {
            scope.spawn(move || check_survives(limit));
        }
    });
}

/// Raises the limit of this process, which has the clients.
fn make_room() {
    rlimit::increase_nofile_limit(4_096).unwrap();
}

#[test]
fn connections_that_were_there_before_are_served_on() {
    make_room();
    let (mirror, held, stub) = (start("ulimit -n 64"), Held::start(), Stub::start(good));
    let request = |stub: &Stub| post("/api/connection", "", &json!({"connectionDetails": stub.details()}));
    let mut waiting = begin(&mirror, &request(&held.stub), PATIENCE);
    held.wait_for(1);
    let mut kept = begin(&mirror, &request(&stub), PATIENCE);
    check_ok(&read_one_response(&mut kept).unwrap());

    burst(&mirror);
    wait_for_recovery(&mirror, &stub, "one request is held");
    let failures = Page::of(&mirror).only("prometheusmirror_accept_failures_total");
    assert!(failures > 0.0, "nothing has happened: {}", mirror.log());
    kept.write_all(&request(&stub)).unwrap();
    check_ok(&read_one_response(&mut kept).unwrap());
    // This response comes later than the mirror would close a silent connection.
    std::thread::sleep(SILENCE);
    held.release();
    check_ok(&read_one_response(&mut waiting).unwrap());
}

/// The soft and the hard limit on descriptors of a process.
fn limits(pid: u32) -> (String, String) {
    let limits = proc_file(pid, "limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

#[test]
fn the_soft_limit_on_descriptors_is_raised_to_the_hard_one() {
    for (given, hard) in [("ulimit -Sn 64; ulimit -Hn 1000", "1000"), ("ulimit -n 64", "64")] {
        let mirror = start(given);
        assert_eq!(limits(mirror.pid()), (hard.to_owned(), hard.to_owned()), "{given}");
    }
}
