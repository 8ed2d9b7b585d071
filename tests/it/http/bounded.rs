//! How much memory a request takes while it is parsed and answered: several requests of a megabyte at once, in every shape that
//! takes more memory than its bytes.

use serde_json::{Value, json};

use super::MAX_BODY;
use crate::support::mirror::{Mirror, Response, condition};
use crate::support::process::memory;
use crate::support::stub::{Reply, Stub, good};

/// The number of parallel requests.
const AT_ONCE: usize = 5;

/// `unit` repeated, as the items of a list or the fields of an object, as often as a body has room for.
fn many(unit: &str) -> String {
    let room = MAX_BODY - 2_000;
    vec![unit; room / (unit.len() + 1)].join(",")
}

/// A metrics query with conditions besides the stub's metric.
fn query(details: &Value, conditions: &str) -> String {
    let gauge = condition("__gauge__", "stub_metric");
    format!(
        r#"{{"connectionDetails":{details},"query":{{"conditions":[{gauge},{conditions}],"startTime":1,"endTime":60001}}}}"#
    )
}

fn with_set(details: &Value, items: &str) -> String {
    query(details, &format!(r#"{{"key":"k","value":{{"value":[{items}]}}}}"#))
}

/// Sends the same request several times at once, and checks for this status and text each time, and that the mirror needs at most
/// this number of megabytes for all of them.
fn check(shape: &str, body: &str, status: u16, part: &str, most_mib: u64) {
    assert!(body.len() <= MAX_BODY, "{shape} has {} bytes", body.len());
    let mirror = Mirror::start();
    let before = memory(mirror.pid(), "VmHWM");
    let responses: Vec<Response> = std::thread::scope(|scope| {
        let ask = || mirror.post_bytes("/api/metric", body.as_bytes());
        let asked: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    for response in responses {
        assert!(
            response.status == status && response.text.contains(part),
            "{shape}: {} {:.999}",
            response.status,
            response.text
        );
    }
    let grown = (memory(mirror.pid(), "VmHWM") - before) >> 20;
    assert!(grown <= most_mib, "{shape} took {grown} MiB");
}

#[test]
fn a_request_takes_a_few_megabytes_whatever_its_shape() {
    let stub = Stub::start(good);
    let details = &stub.details();
    // The body itself, and some values beyond the bound, of each of them.
    let little = 40;
    let refused = |shape: &str, body: String, part: &str| check(shape, &body, 500, part, little);
    for (shape, unit) in [
        ("a set of zeros", "0"),
        ("a set of texts", r#""a""#),
        ("a set of objects", "{}"),
        ("a set of lists", "[]"),
        ("a set of values with types", r#"{"value":0,"_type":"X"}"#),
    ] {
        refused(shape, with_set(details, &many(unit)), "more than 25000 values");
    }
    let set = format!(r#"{{"key":"k","value":{{"value":[{}]}}}}"#, vec!["0"; 20_000].join(","));
    refused("twenty sets", query(details, &vec![set; 20].join(",")), "more than 25000 values");
    refused("conditions", query(details, &many(r#"{"key":"k"}"#)), "at most 100 are accepted");
    let host = |value: String| format!(r#"{{"connectionDetails":{{"host":{value},"port":1}},"query":{{}}}}"#);
    refused("a list as host", host(format!("[{}]", many(r#"{"a":0}"#))), "host must be a text, not a list");
    refused("an object as host", host(format!("{{{}}}", many(r#""a":0"#))), "host must be a text, not an object");
    refused("fields", format!(r#"{{"connectionDetails":{{{}}},"query":{{}}}}"#, many(r#""a":0"#)), "unknown field a");
    refused(
        "one field",
        format!(r#"{{"connectionDetails":{{{}}},"query":{{}}}}"#, many(r#""url":"x""#)),
        "given twice",
    );
    let long = format!(r#"{{"key":"k","value":{{"value":"{}"}}}}"#, "x".repeat(MAX_BODY - 2_000));
    refused("a long value", query(details, &long), "at most 262144");
    let longs = format!(r#"{{"key":"k","value":{{"value":"{}"}}}}"#, "x".repeat(MAX_BODY / 5));
    refused("long values", query(details, &vec![longs; 4].join(",")), "more than 524288 bytes");

    let answered = |shape: &str, fields: String| {
        let query = json!({"conditions": [condition("__gauge__", "stub_metric")], "startTime": 1, "endTime": 60_001});
        check(shape, &format!(r#"{{{fields},"connectionDetails":{details},"query":{query}}}"#), 200, "points", little);
    };
    answered("unknown fields", many(r#""a":0"#));
    answered("an unknown tree", format!(r#""a":[{}]"#, many(r#"{"a":0}"#)));
    answered("an unknown depth", format!(r#""a":{}{}"#, "[".repeat(520_000), "]".repeat(520_000)));
    answered("a long key", format!(r#""{}":0"#, "\\u0041".repeat(174_000)));
    answered("a long number", format!(r#""a":{}"#, "9".repeat(MAX_BODY - 2_000)));
}

#[test]
fn the_largest_queries_that_are_accepted_take_a_few_megabytes_each() {
    let stub = Stub::start(good);
    let details = &stub.details();
    let most_mib = 25;
    check("texts", &with_set(details, &vec![r#""a""#; 25_000].join(",")), 200, "points", most_mib);
    // Each of these characters is escaped in the pattern, the escape in the query, and that in the form.
    let dots = |sets: usize| vec![format!("{:?}", ".".repeat(38)); sets].join(",");
    check("dots", &with_set(details, &dots(840)), 200, "points", most_mib);
    // The longest values, each character of which is escaped in the query, and the escape in the form.
    let long = |key: &str| condition(key, &"\"".repeat(240_000));
    check("quotes", &query(details, &format!("{},{}", long("a"), long("b"))), 200, "points", 70);
    // A larger query is refused before it is written out.
    let refused = |shape: &str, items: &str| {
        check(shape, &with_set(details, items), 500, "patterns of more than 65536 characters", most_mib);
    };
    refused("many dots", &dots(13_700));
    let numbers: Vec<String> = (0..25_000).map(|nth| format!("1.2345678901234567e-{}", 10 + nth % 290)).collect();
    refused("numbers", &numbers.join(","));
}

#[test]
fn a_query_that_does_not_fit_into_a_url_goes_by_post_or_is_an_error_and_no_panic() {
    let bracket = |count: usize| "(".repeat(count);
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let ask = |field: &str, prefix: String| {
        let query = json!({"field": {"fieldName": field}, "fieldValuePrefix": prefix});
        mirror.post("/api/field/value", &json!({"connectionDetails": stub.details(), "query": query}))
    };
    let queries = [("job", bracket(20_000)), ("__gauge__", bracket(2_000)), (&bracket(1_000), bracket(1_000))];
    for (field, prefix) in queries.clone() {
        let response = ask(field, prefix);
        assert_eq!(response.status, 200, "{:.999}", response.text);
    }
    let refused = |prefix: String, field: &str, says: &str| {
        let response = ask(field, prefix);
        assert_eq!(
            (response.status, &response.json["_type"]),
            (500, &json!("RemoteMirrorError")),
            "{:.999}",
            response.text
        );
        let details = response.json["details"].as_str().unwrap();
        assert!(details.contains(says) && details.len() < 9_999, "{details:.999}");
    };
    refused(bracket(200_000), "job", "patterns of more than 65536 characters");
    stub.behave(|request| match request.method.as_str() {
        "POST" => Reply::http(405, "text/plain", "read-only proxy"),
        _ => good(request),
    });
    for (field, prefix) in queries[..2].iter().cloned() {
        refused(prefix, field, "refuses POST, and the query is too long for GET");
    }
    // Queries within the bound are sent.
    let response = ask("job", bracket(1_500));
    assert_eq!(response.status, 200, "{:.999}", response.text);
    assert!(!mirror.log().contains("panic"), "{:.9999}", mirror.log());
}
