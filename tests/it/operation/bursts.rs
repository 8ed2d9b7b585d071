//! Connections that arrive together, as after a pause of the process by a throttled CPU. tiny_http alone leaves some of them
//! waiting behind others that stay open.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::begin;
use crate::http::read_one_response;
use crate::support::mirror::Mirror;
use crate::support::process::{proc_file, require, status_field, wait_until};

/// How many clients send a request while the mirror is stopped.
const CLIENTS: usize = 30;

/// The number of bursts.
const ROUNDS: usize = 10;

/// The time within which all are answered after the mirror continues.
const BOUND: Duration = Duration::from_secs(1);

/// A request that keeps its connection.
const REQUEST: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: m\r\n\r\n";

/// A mirror on one core.
fn pinned() -> Mirror {
    require("taskset", "util-linux");
    let allowed = status_field(std::process::id(), "Cpus_allowed_list");
    let core = allowed.rsplit([',', '-']).next().unwrap();
    Mirror::start_under(&["taskset", "-c", core], &[])
}

/// Stops the mirror during an action.
fn while_stopped<T>(mirror: &Mirror, act: impl FnOnce() -> T) -> T {
    mirror.signal("STOP");
    let is_stopped = || proc_file(mirror.pid(), "stat").rsplit(')').next().unwrap().starts_with(" T");
    wait_until(|| "the mirror is stopped".to_owned(), is_stopped);
    let done = act();
    mirror.signal("CONT");
    done
}

/// Checks that every client gets its response in time.
fn check_answered(clients: &mut [TcpStream], round: usize) {
    let begin = Instant::now();
    let is_answered = |client: &mut TcpStream| {
        let left = BOUND.saturating_sub(begin.elapsed()).max(Duration::from_millis(1));
        client.set_read_timeout(Some(left)).unwrap();
        read_one_response(client).is_ok_and(|response| response.status == 200)
    };
    let answered = clients.iter_mut().filter_map(|client| is_answered(client).then_some(())).count();
    assert_eq!(answered, clients.len(), "so many were answered within {BOUND:?} in round {round}");
}

#[test]
fn connections_that_arrive_together_are_all_answered_though_none_of_them_closes() {
    let mirror = pinned();
    // All stay open to the end: a connection that waits behind one of them waits forever.
    let mut open = Vec::new();
    for round in 0..ROUNDS {
        let connect = || (0..CLIENTS).map(|_| begin(&mirror, REQUEST, BOUND)).collect();
        let mut clients: Vec<TcpStream> = while_stopped(&mirror, connect);
        check_answered(&mut clients, round);
        open.extend(clients);
    }
}

#[test]
fn requests_that_arrive_together_on_kept_connections_are_all_answered() {
    use std::io::Write;
    let mirror = pinned();
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| begin(&mirror, REQUEST, BOUND)).collect();
    check_answered(&mut clients, 0);
    for round in 1..=ROUNDS {
        while_stopped(&mirror, || clients.iter_mut().for_each(|client| client.write_all(REQUEST).unwrap()));
        check_answered(&mut clients, round);
    }
}
