//! Faults of a remote read: the mirror does not fall back to a range selector, and a stream that is cut or damaged is an error,
//! never a shorter response.

use std::time::Duration;

use super::{MARKER, Query, START, TIMEOUT, check_errors, error_of, is_good};
use crate::support::mirror::Mirror;
use crate::support::protobuf::{bytes, number, text};
use crate::support::streamed::{self, chunk, frame, head, http_chunks, reply, steady, steady_data, stored};
use crate::support::stub::{After, Reply, Stub, good};

/// The labels of the series that are read here.
const LABELS: [(&str, &str); 2] = [("__name__", "stub_metric"), ("job", "a")];

/// The queries that read samples.
fn queries() -> Vec<Query> {
    vec![
        Query::metric("__gauge__", "stub_metric", None),
        Query::metric("__counter__", "stub_metric", None),
        Query::metric("__gauge__", "stub_metric", Some("MEAN")),
        Query::metric("__counter__", "stub_metric", Some("MAX")),
        Query::metric("__counter__", "stub_metric", Some("EVENT_COUNT")),
    ]
}

fn mirrors() -> Vec<Mirror> {
    queries().iter().map(|_| Mirror::start()).collect()
}

/// A good response in three frames: samples of a series from an hour before the range until its end, and two series that ended long
/// before.
fn good_frames() -> [Vec<u8>; 3] {
    let chunk = |nth: i64| steady(START - 3_600_000 + nth * 1_500_000, 15_000, 100, 1.5);
    let ended = |job| {
        let chunk = steady(START - 30 * 86_400_000, 15_000, 100, 1.5);
        frame(&streamed::series(&[("__name__", "stub_metric"), ("job", job)], &[chunk]))
    };
    [frame(&streamed::series(&LABELS, &[0, 1, 2].map(chunk))), ended("b"), ended("c")]
}

/// Responds to reads like this and to all else well: each query must end in an error with this text, without other calls. Then the
/// same upstream works again.
fn check(mirrors: &[Mirror], fault: &str, upon_read: &Reply, says: &str) {
    let stub = Stub::start(good);
    let reply_again = upon_read.clone();
    stub.upon_reads(move |_| reply_again.clone());
    check_errors(mirrors, &stub.details(), &queries(), fault, "MetricStoreConnectionError");
    assert_eq!(stub.requests(), [], "{fault}: asked by another way");
    if !says.is_empty() {
        let mut details = stub.details();
        details["requestTimeout"] = (TIMEOUT.as_millis() as u64).into();
        let response = queries()[0].ask(&mirrors[0], &details);
        let text = error_of(&response)["details"].as_str().unwrap();
        assert!(text.contains(says), "{fault} does not say {says:?}: {text}");
    }
    stub.upon_reads(|_| streamed::in_chunks(&good_frames()));
    for (query, mirror) in queries().iter().zip(mirrors) {
        let response = query.ask(mirror, &stub.details());
        assert!(is_good(&response) && !response.points().is_empty(), "after {fault}: {query:?} {}", response.text);
    }
    assert_eq!((stub.reads(), stub.requests().len()), (queries().len(), 0), "after {fault}");
}

const CLOSED: &str = "closed the connection before the response was complete";
const SILENT: &str = "did not answer within the timeout of 600 ms; choose a shorter time range";
const STALLED: &str = "sent only part of the response within the timeout of 600 ms";
/// In the error of every query that its deadline ended.
const IN_TIME: &str = "within the timeout of 600 ms";
const DAMAGED: &str = "sent samples that cannot be read: ";

#[test]
fn a_read_that_is_not_answered_is_a_connection_error_in_time() {
    let mirrors = mirrors();
    for (fault, bytes) in [
        ("no response at all", Vec::new()),
        ("half a status line", b"HTTP/1.1 20".to_vec()),
        ("a head without a body", head("Content-Length: 1000\r\n")),
        ("a head without chunks", head("Transfer-Encoding: chunked\r\n")),
    ] {
        for (after, says) in [(After::Close, CLOSED), (After::Reset, CLOSED), (After::Hang, SILENT)] {
            let says = match says {
                // A status line that ends early is not HTTP.
                CLOSED if fault.starts_with("half") => "",
                SILENT if !bytes.is_empty() => STALLED,
                says => says,
            };
            check(&mirrors, &format!("{fault}, then {after:?}"), &Reply::raw(bytes.clone()).then(after), says);
        }
    }
    let late = streamed::in_chunks(&good_frames()).delayed(TIMEOUT * 2);
    check(&mirrors, "a good response too late", &late, SILENT);
    let alert = Reply::raw(*b"\x15\x03\x01\x00\x02\x02\x0a").then(After::Close);
    check(&mirrors, "a TLS alert", &alert, "its port uses https");
    let garbage = Reply::raw("").then(After::Repeat(MARKER.repeat(100).into_bytes()));
    check(&mirrors, "garbage without an end", &garbage, "");
}

#[test]
fn a_stream_that_is_cut_is_an_error_and_no_shorter_response() {
    let mirrors = mirrors();
    let frames = good_frames();
    let whole = frames.concat();
    let after_first = frames[0].len();
    for length in [0, 1, 5, after_first - 1, after_first, after_first + 3, whole.len() - 1] {
        let part = &whole[..length];
        let in_length = [head(&format!("Content-Length: {}\r\n", whole.len())), part.to_vec()].concat();
        let begin = head("Transfer-Encoding: chunked\r\n");
        let sent = if part.is_empty() { Vec::new() } else { http_chunks(&[part.to_vec()]) };
        let without_end = [begin.clone(), sent].concat();
        let in_chunk = [begin, format!("{:x}\r\n", whole.len()).into_bytes(), part.to_vec()].concat();
        for (how, bytes) in [("length", in_length), ("last chunk", without_end), ("chunk", in_chunk)] {
            // Waiting takes time, so only once for each.
            let hang = Some((After::Hang, STALLED)).filter(|_| length == after_first);
            for (after, says) in [(After::Close, CLOSED), (After::Reset, CLOSED)].into_iter().chain(hang) {
                let fault = format!("{length} of {} bytes with a {how} that says more, {after:?}", whole.len());
                check(&mirrors, &fault, &Reply::raw(bytes.clone()).then(after), says);
            }
        }
        // With the announced length, but not to the end of a frame.
        if length != 0 && length != after_first {
            check(
                &mirrors,
                &format!("{length} bytes"),
                &reply(part),
                &format!("{DAMAGED}the response ends inside a frame"),
            );
        }
    }
    let trickle = After::Trickle(b"1\r\n\x01\r\n".to_vec(), Duration::from_millis(100));
    let begun = [head("Transfer-Encoding: chunked\r\n"), http_chunks(&frames[..1])].concat();
    check(&mirrors, "a byte every 100 ms", &Reply::raw(begun).then(trickle), "");
}

#[test]
fn a_flipped_bit_anywhere_is_an_error() {
    let mirrors = mirrors();
    let whole = stored("gauge");
    for bit in (0..whole.len() * 8).step_by(whole.len() * 8 / 40).chain([0, 7, 8, 15, 16, 47, 48]) {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        check(&mirrors, &format!("bit {bit} is flipped"), &reply(flipped), DAMAGED);
    }
}

#[test]
fn a_message_that_does_not_decode_is_an_error_although_its_checksum_is_right() {
    let mirrors = mirrors();
    let (last, data) = (START + 99 * 1000, steady_data(START, 1000, 100, 1.5));
    let of = |chunk: Vec<u8>| streamed::series(&[("__name__", "stub_metric"), ("job", "z")], &[chunk]);
    let mut counted_too_high = data.clone();
    counted_too_high[..2].copy_from_slice(&2_000u16.to_be_bytes());
    for (fault, message, says) in [
        (
            "a chunk of more samples than it has",
            of(chunk(START, last, 1, &counted_too_high)),
            "a chunk of the response is damaged",
        ),
        ("a chunk cut short", of(chunk(START, last, 1, &data[..10])), "a chunk of the response is damaged"),
        ("a chunk without data", of(chunk(START, last, 1, &[])), "a chunk of the response is damaged"),
        ("a chunk of an unknown type", of(chunk(START, last, 9, &data)), "a chunk of the response has an unknown type"),
        ("a chunk of no type", of(bytes(4, &data)), "a chunk of the response has an unknown type"),
        ("a field that is longer than its message", vec![0x0a, 0x7f, 1], "a message of the response cannot be parsed"),
        ("a number without an end", vec![0xff; 20], "a message of the response cannot be parsed"),
        ("a label that is a number", bytes(1, &number(1, 5)), "a message of the response cannot be parsed"),
        (
            "more labels than any series has",
            bytes(
                1,
                &(0..5_000)
                    .flat_map(|n| bytes(1, &[text(1, &n.to_string()), text(2, "x")].concat()))
                    .collect::<Vec<_>>(),
            ),
            "a series of the response has too many labels",
        ),
    ] {
        let says = format!("{DAMAGED}{says}");
        check(&mirrors, fault, &reply(frame(&message)), &says);
        // After a good frame, whose samples must not become a response either.
        let behind = [good_frames()[0].clone(), frame(&message)];
        check(&mirrors, &format!("{fault}, behind a good frame"), &streamed::in_chunks(&behind), &says);
    }
}

#[test]
fn a_native_histogram_in_a_stream_is_an_unsupported_field_type() {
    let mirror = Mirror::start();
    for kind in [2, 3] {
        // Samples of counters may be read from a week before the range.
        for (first, is_in_range) in [(START, true), (START - 8 * 86_400_000, false)] {
            let histogram = chunk(first, first + 1000, kind, &[1, 2, 3]);
            let chunks = [histogram, steady(START + 60_000, 1000, 10, 2.5)];
            let stub = Stub::start(good);
            stub.upon_reads(move |_| reply(frame(&streamed::series(&LABELS, &chunks))));
            for query in queries() {
                let response = query.ask(&mirror, &stub.details());
                if is_in_range {
                    let error = error_of(&response);
                    assert_eq!(error["_type"], "UnsupportedFieldTypeError", "{query:?}: {}", response.text);
                    assert_eq!(error["mirrorType"], "native histogram", "{}", response.text);
                } else {
                    assert!(is_good(&response), "{query:?}: {}", response.text);
                }
            }
            assert_eq!(stub.requests(), []);
        }
    }
}

#[test]
fn a_stream_without_an_end_is_ended_by_the_deadline() {
    let mirrors = mirrors();
    // None of these samples is in the range, so no bound on samples ends them.
    let endless = After::Count(|block| {
        let first = block as i64 * 1_000_000;
        frame(&streamed::series(&[("pod", &block.to_string())], &[steady(first, 1, 10_000, 1.5)]))
    });
    check(&mirrors, "frames before the range", &Reply::raw(head("")).then(endless), IN_TIME);
    let empty = After::Repeat(frame(&[]).repeat(1000));
    check(&mirrors, "empty frames", &Reply::raw(head("")).then(empty), IN_TIME);
}
