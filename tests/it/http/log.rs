//! What the operator reads: one line a request, which no client can forge and which never shows the key.

use serde_json::json;

use super::send;
use crate::support::mirror::{API_KEY, Mirror, condition};
use crate::support::process::wait_until;
use crate::support::stub::{Reply, Stub, good};

const START: i64 = 1_700_000_000_000;

/// A text that would pass for a line of the log, and for the end of a field, wherever it is written as it is.
const FORGERY: &str =
    "x\" status=200\nts=0 level=info msg=forged\r\nmsg=forged\u{1b}[2J\u{2028}msg=forged \\\" \u{202e}\t";

/// The fields of a line, unescaped. Panics when the line is no logfmt.
fn fields(line: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=').unwrap_or_else(|| panic!("no field: {rest:?} in {line:?}"));
        let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        assert!(is_key, "no key: {key:?} in {line:?}");
        let (value, tail) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let end = value.find(' ').unwrap_or(value.len());
                (value[..end].to_owned(), &value[end..])
            }
        };
        fields.push((key.to_owned(), value));
        rest = tail.strip_prefix(' ').unwrap_or(tail);
    }
    fields
}

/// The text up to the closing quote, and what follows that.
fn unquote(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut rest = quoted.chars();
    loop {
        text.push(match rest.next().unwrap_or_else(|| panic!("no end of {quoted:?}")) {
            '"' => return (text, rest.as_str()),
            '\\' => match rest.next().unwrap() {
                'n' => '\n',
                'u' => {
                    let (digits, tail) = rest.as_str().strip_prefix('{').unwrap().split_once('}').unwrap();
                    rest = tail.chars();
                    char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap()
                }
                other => other,
            },
            other => other,
        });
    }
}

/// Waits until the log has a line with these fields, and returns all fields of it.
fn line_with(mirror: &Mirror, wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    let find = || {
        let log = mirror.log();
        let mut lines = log.lines().map(fields);
        lines.find(|line| wanted.iter().all(|(name, value)| line.iter().any(|(k, v)| k == name && v == value)))
    };
    wait_until(|| format!("a line with {wanted:?} is in\n{}", mirror.log()), || find().is_some());
    find().unwrap()
}

/// The value of a field as a number.
fn number(line: &[(String, String)], name: &str) -> f64 {
    let value = line.iter().find(|(key, _)| key == name).unwrap_or_else(|| panic!("no {name} in {line:?}"));
    value.1.parse().unwrap_or_else(|_| panic!("no number: {value:?}"))
}

#[test]
fn every_request_is_one_line_with_method_path_status_and_duration() {
    let mirror = Mirror::start();
    for (method, path, body, status) in [
        ("GET", "/", "", "200"),
        ("GET", "/nowhere", "", "404"),
        ("PUT", "/api/metric", "", "405"),
        ("POST", "/api/metric", "no JSON", "400"),
        ("POST", "/api/connection", r#"{"connectionDetails":{"host":"127.0.0.1","port":0}}"#, "200"),
        ("POST", "/api/field/name", r#"{"connectionDetails":{"host":"127.0.0.1","port":0},"query":{}}"#, "500"),
    ] {
        send(&mirror, method, path, body.as_bytes());
        let wanted = [("method", method), ("path", path), ("status", status)];
        assert!(number(&line_with(&mirror, &wanted), "duration_ms") >= 0.0);
        let is_it = |line: &&str| wanted.iter().all(|(k, v)| fields(line).contains(&(k.to_string(), v.to_string())));
        assert_eq!(mirror.log().lines().filter(is_it).count(), 1, "{}", mirror.log());
    }
}

#[test]
fn a_query_is_logged_with_its_promql_and_the_time_of_the_upstream() {
    let delay = std::time::Duration::from_millis(60);
    let (mirror, stub) = (Mirror::start(), Stub::start(move |request| good(request).delayed(delay)));
    let expression = "sum by (job) (stub_metric{job=\"a\"})";
    let query = json!({"conditions": [condition("~", expression)], "startTime": START, "endTime": START + 60_000});
    assert_eq!(mirror.metric(&stub.details(), query).points().len(), 5);
    let line = line_with(&mirror, &[("path", "/api/metric"), ("promql", expression)]);
    let (upstream, whole) = (number(&line, "upstream_ms"), number(&line, "duration_ms"));
    assert!(60.0 <= upstream && upstream <= whole, "{line:?}");
}

#[test]
fn no_text_of_a_client_or_an_upstream_can_forge_a_line() {
    let mirror = Mirror::start();
    let stub = Stub::start(|_| Reply::error(400, "bad_data", FORGERY));
    for (key, value) in [("~", FORGERY), ("__gauge__", FORGERY), (FORGERY, "x"), ("job", FORGERY)] {
        let source = if key == "job" || key == FORGERY { Some(condition("__gauge__", "m")) } else { None };
        let conditions: Vec<_> = source.into_iter().chain([condition(key, value)]).collect();
        let query = json!({"conditions": conditions, "startTime": START, "endTime": START, "metricField": FORGERY});
        mirror.metric(&stub.details(), query);
    }
    let odd = json!({"conditions": [condition("__gauge__", "m")], "startTime": START, "endTime": START + 1,
        "aggregation": {"method": FORGERY, "bucketSizeMillis": 1}});
    mirror.metric(&stub.details(), odd);
    mirror.post("/api/connection", &json!({"connectionDetails": {"host": FORGERY, "port": FORGERY}}));
    mirror.post(
        "/api/field/value",
        &json!({"connectionDetails": stub.details(), "query": {"field": {"fieldName": FORGERY}}}),
    );
    mirror.post_bytes("/api/metric", FORGERY.as_bytes());
    for path in ["/a\"b", "/a\u{1b}[2J", "/a\\\"", "/a%0Amsg=forged", "/a\tmsg=forged", "/a\u{7f}\rmsg=forged"] {
        send(&mirror, "GET", path, b"");
        line_with(&mirror, &[("method", "GET"), ("path", path), ("status", "404")]);
    }
    send(&mirror, "BREW\"\u{1b}", "/last", b"");
    line_with(&mirror, &[("path", "/last"), ("status", "404")]);

    line_with(&mirror, &[("path", "/api/metric"), ("promql", FORGERY)]);
    let log = mirror.log();
    for line in log.lines() {
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{202e}'), "{line:?}");
        assert!(fields(line).iter().all(|(key, value)| key != "msg" || value != "forged"), "{line:?}");
    }
}

#[test]
fn the_key_is_never_logged() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let body = json!({"connectionDetails": stub.details()}).to_string();
    let length = body.len();
    let head = format!(
        "POST /api/connection HTTP/1.1\r\nHost: m\r\nX-MIRROR-API-KEY: {API_KEY}\r\n\
         Connection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    assert_eq!(super::exchange(super::address(&mirror), (head + &body).as_bytes()).status, 200);
    send(&mirror, "GET", "/done", b"");
    line_with(&mirror, &[("path", "/done")]);
    assert!(!mirror.log().contains(API_KEY), "{}", mirror.log());
}
