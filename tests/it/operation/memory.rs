//! The memory that requests share: a query that finds none waits for it, and no response is shorter because of it.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::page::Page;
use super::{begin, post};
use crate::http::{address, exchange};
use crate::support::mirror::{Mirror, Response, condition};
use crate::support::process::{status_field, wait_until};
use crate::support::streamed::{self, frame, series, steady};
use crate::support::stub::{Stub, good};

/// The maximum number of samples in a chunk.
const CHUNK: usize = u16::MAX as usize;

const PATIENCE: Duration = Duration::from_secs(60);

/// A stub with this number of samples of one series, a second apart from 1 s on, all with the value 1.5.
fn stub_of(samples: usize) -> Stub {
    let stub = Stub::start(good);
    let chunks: Vec<Vec<u8>> = (0..samples)
        .step_by(CHUNK)
        .map(|first| {
            let count = CHUNK.min(samples - first) as u16;
            steady(1_000 * (first as i64 + 1), 1_000, count, 1.5)
        })
        .collect();
    let stream = frame(&series(&[("__name__", "x")], &chunks));
    stub.upon_reads(move |_| streamed::reply(&stream));
    stub
}

/// A query for all samples of the stub.
fn all_samples(stub: &Stub, timeout_ms: u64) -> Vec<u8> {
    let mut details = stub.details();
    details["requestTimeout"] = json!(timeout_ms);
    let query = json!({"conditions": [condition("__gauge__", "x")], "startTime": 1_000, "endTime": 10_000_000_000_i64});
    post("/api/metric", "Connection: close\r\n", &json!({"connectionDetails": details, "query": query}))
}

fn points(response: &Response) -> usize {
    let points = response.json["telemetry"]["points"].as_array();
    let points = points.unwrap_or_else(|| panic!("{}", &response.text[..response.text.len().min(1_000)]));
    assert!(points.iter().zip(1..).all(|(point, nth)| *point == json!([1.5, nth * 1_000])));
    points.len()
}

#[test]
fn a_query_that_needs_more_than_half_of_the_budget_is_refused_with_what_to_change() {
    let mirror = Mirror::start_with(&["--memory-budget-mib", "16"]);
    // 52 bytes per point: 16 in memory, and 36 of text.
    for (samples, is_answered) in [(150_000, true), (170_000, false)] {
        let response = exchange(address(&mirror), &all_samples(&stub_of(samples), 20_000));
        if is_answered {
            assert_eq!(points(&response), samples);
            continue;
        }
        assert_eq!((response.status, &response.json["_type"]), (500, &json!("RemoteMirrorError")), "{}", response.text);
        for part in ["8 MiB", "choose a shorter time range", "--memory-budget-mib", "127.0.0.1"] {
            assert!(response.json["details"].as_str().unwrap().contains(part), "{part}: {}", response.text);
        }
    }
    wait_until(
        || "nothing is held any more".to_owned(),
        || Page::of(&mirror).only("prometheusmirror_memory_held_bytes") == 0.0,
    );
}

#[test]
fn queries_that_together_need_more_than_there_is_take_turns() {
    const SAMPLES: usize = 400_000;
    let mirror = Mirror::start_with(&["--memory-budget-mib", "48"]);
    let stub = stub_of(SAMPLES);
    let (address, query) = (address(&mirror), all_samples(&stub, 60_000));
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..12).map(|_| scope.spawn(|| exchange(address, &query))).collect();
        for asked in asked {
            assert_eq!(points(&asked.join().unwrap()), SAMPLES);
        }
    });
    // Together they need 12 times 20 MiB. Besides the 48 MiB, each of 12 workers may keep up to 8 MiB of free memory.
    let peak_kib: u64 = status_field(mirror.pid(), "VmHWM").trim_end_matches(" kB").trim().parse().unwrap();
    assert!(peak_kib < 160 << 10, "{peak_kib} KiB");
}

#[test]
fn responses_to_slow_clients_are_cut_when_others_need_their_memory() {
    const SLOW: usize = 12;
    const SAMPLES: usize = 500_000;
    let mirror = Mirror::start_with(&["--memory-budget-mib", "64"]);
    let stub = stub_of(SAMPLES);
    let query = all_samples(&stub, 30_000);
    let mut slow: Vec<TcpStream> = (0..SLOW)
        .map(|_| {
            let stream = begin(&mirror, &query, PATIENCE);
            // Otherwise, the system buffers megabytes for them.
            socket2::SockRef::from(&stream).set_recv_buffer_size(4_096).unwrap();
            stream
        })
        .collect();
    // They go on reading, but slowly.
    std::thread::scope(|scope| {
        let (address, query) = (address(&mirror), &query);
        let good = scope.spawn(move || {
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(3) {
                assert_eq!(points(&exchange(address, query)), SAMPLES);
            }
        });
        while !good.is_finished() {
            for stream in &mut slow {
                let _ = stream.read(&mut [0; 64]);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        good.join().unwrap();
    });
    let logged = || mirror.log().matches("cut=").count();
    drop(slow);
    wait_until(|| "the responses are cut".to_owned(), || logged() > 0);
    let held: Value = json!(Page::of(&mirror).only("prometheusmirror_memory_held_bytes"));
    assert!(held.as_f64().unwrap() <= f64::from(64 << 20), "{held}");
}

#[test]
fn a_long_query_is_held_while_it_runs() {
    let mirror = Mirror::start_with(&["--memory-budget-mib", "16"]);
    let stub = Stub::start(|request| good(request).delayed(Duration::from_millis(500)));
    // A quote is escaped, so the query has a million bytes.
    let most = "\"".repeat(250_000);
    let conditions = json!([condition("__gauge__", "stub_metric"), condition("a", &most), condition("b", &most)]);
    let query = json!({"conditions": conditions, "startTime": 60_000, "endTime": 120_000});
    let query =
        post("/api/metric", "Connection: close\r\n", &json!({"connectionDetails": stub.details(), "query": query}));
    let held = || Page::of(&mirror).only("prometheusmirror_memory_held_bytes");
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| exchange(address(&mirror), &query));
        wait_until(|| "six bytes are held for each of the query".to_owned(), || held() >= 6e6);
        let response = asked.join().unwrap();
        assert_eq!(response.status, 200, "{:.999}", response.text);
    });
    wait_until(|| "nothing is held any more".to_owned(), || held() == 0.0);
}
