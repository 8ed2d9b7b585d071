//! Faults in the middle of a response so long that it is decoded while it arrives: the same errors as in short responses.

use std::time::{Duration, Instant};

use super::{GRACE, MARKER, Query, TIMEOUT, error_of, head, in_time, is_good};
use crate::support::mirror::Mirror;
use crate::support::stub::{After, Reply, Stub, good};

/// A matrix that has begun, with this much more than is read before the decoding begins.
fn begun() -> String {
    let samples: String = (1..80_000).map(|nth| format!(r#",[{nth},"{nth}"]"#)).collect();
    assert!(samples.len() > 1 << 20);
    format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[[0,"0"]{samples}"#
    )
}

/// The text of the error for a response that begins, but does not end in time.
const SILENT: &str = "sent only part of the response within the timeout of 600 ms";

/// Sends this as the response to queries of an expression and of samples, and checks for an error with this text.
fn check(mirror: &Mirror, fault: &str, bytes: String, after: After, says: &str) {
    let expression = Query::metric("~", "avg(stub_metric)", Some("MEAN"));
    for (path, query) in [
        ("/api/v1/query_range", expression),
        ("/api/v1/query", Query::metric("__gauge__", "stub_metric", None)),
        ("/api/v1/query", Query::metric("__gauge__", "stub_metric", Some("MEAN"))),
    ] {
        let reply = Reply::raw(bytes.clone()).then(after.clone());
        check_at(mirror, path, &query, &format!("{fault} at {path}"), reply, says);
    }
}

fn check_at(mirror: &Mirror, path: &'static str, query: &Query, fault: &str, reply: Reply, says: &str) {
    let stub = Stub::start(move |request| if request.path == path { reply.clone() } else { good(request) });
    let must_time_out = says == SILENT;
    let details = if must_time_out { in_time(stub.details()) } else { stub.details() };
    let begin = Instant::now();
    let response = query.ask(mirror, &details);
    let took = begin.elapsed();
    assert!(!must_time_out || took < TIMEOUT + GRACE, "{fault}: took {took:?}");
    let error = error_of(&response);
    assert_eq!(error["_type"], "MetricStoreConnectionError", "{fault}: {}", response.text);
    assert!(error["details"].as_str().unwrap().contains(says), "{fault}: {}", response.text);
    assert!(!response.text.contains(MARKER), "{fault}: repeats the body: {}", response.text);
    stub.behave(good);
    assert!(is_good(&query.ask(mirror, &stub.details())), "after {fault}");
}

#[test]
fn a_fault_in_a_long_response_is_called_by_its_name() {
    let mirror = Mirror::start();
    let begun = begun();
    let whole = format!(r#"{begun}]}}]}}}}"#);
    let in_length = |body: &str| format!("{}{body}", head("Content-Length: 90000000\r\n\r\n"));
    let in_chunks = |body: &str| format!("{}{:x}\r\n{body}", head("Transfer-Encoding: chunked\r\n\r\n"), 90_000_000);
    let to_the_end = |body: &str| format!("{}{body}", head("Connection: close\r\n\r\n"));
    let closed = "closed the connection before the response was complete";
    let foreign = "its response is JSON, but not that of the Prometheus HTTP API (HTTP status 200)";
    for bytes in [in_length(&begun), in_chunks(&begun)] {
        check(&mirror, "closed", bytes.clone(), After::Close, closed);
        check(&mirror, "reset", bytes.clone(), After::Reset, closed);
        check(&mirror, "silent", bytes.clone(), After::Hang, SILENT);
        let sample = format!(r#",[80000,"{MARKER}"]"#).into_bytes();
        check(&mirror, "wrong", bytes, After::Repeat(sample), foreign);
    }
    check(&mirror, "cut off", to_the_end(&begun), After::Close, closed);
    check(&mirror, "followed by more", to_the_end(&(whole.clone() + MARKER)), After::Hang, foreign);
    check(&mirror, "whole, but not ended", in_length(&whole), After::Close, closed);
    check(&mirror, "whole, but never ended", in_length(&whole), After::Hang, SILENT);
}

#[test]
fn a_long_response_that_trickles_ends_in_time_although_bytes_keep_coming() {
    let mirror = Mirror::start();
    let begun = format!("{}{}", head("\r\n"), begun());
    for (bytes, pause_ms) in [(&b" "[..], 200), (b" ", 20), (br#",[80000,"1"]"#, 1)] {
        let trickle = After::Trickle(bytes.to_vec(), Duration::from_millis(pause_ms));
        check(&mirror, &format!("{bytes:?} every {pause_ms} ms"), begun.clone(), trickle, SILENT);
    }
}
