//! The log: one line for each request, in logfmt or JSON, with the request's id. Clients cannot forge lines, and the key is never
//! in them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{post, stub_with};
use crate::http::{address, exchange, header, send};
use crate::support::mirror::{API_KEY, Mirror, Response, condition};
use crate::support::process::wait_until;
use crate::support::stub::{Reply, Stub, good};

const START: i64 = 1_700_000_000_000;

/// A text that would forge a line of the log and the end of a field if it were written unescaped.
const FORGERY: &str = "x\" status=200\nts=0 level=info msg=forged\r\nmsg=forged\u{1b}[2J\u{2028}msg=forged \\\" \u{202e}\t\",\"msg\":\"forged\"}\n{";

/// The formats of the log.
const FORMATS: [&str; 2] = ["logfmt", "json"];

/// A mirror that logs in a format.
fn mirror_with(format: &str) -> Mirror {
    Mirror::start_with(&["--log-format", format])
}

/// The unescaped fields of a line. Panics if the line is neither logfmt nor a JSON object of texts and numbers.
fn fields(line: &str) -> Vec<(String, String)> {
    if !line.starts_with('{') {
        return logfmt_fields(line);
    }
    let object: Map<String, Value> = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => panic!("{other} in {line:?}"),
    };
    object.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn logfmt_fields(line: &str) -> Vec<(String, String)> {
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

/// The text up to the closing quote, and the rest.
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

/// Waits until the log has a line with these fields, and returns all its fields.
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
    FORMATS.into_iter().for_each(check_unforgeable);
}

fn check_unforgeable(format: &str) {
    let mirror = mirror_with(format);
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
        // A proxy may treat a carriage return as the end of a line.
        let status = if path.contains('\r') { "400" } else { "404" };
        line_with(&mirror, &[("method", "GET"), ("path", path), ("status", status)]);
    }
    for id in ["x\" msg=forged", "x\tmsg=forged", "x\",\"msg\":\"forged", "x\\\",msg=forged", "x\u{1b}[2J"] {
        let id = format!("Connection: close\r\nX-Request-Id: {id}\r\n");
        assert_eq!(exchange(address(&mirror), &post("/api/metric", &id, &json!({}))).status, 400);
    }
    send(&mirror, "BREW\"\u{1b}", "/last", b"");
    line_with(&mirror, &[("path", "/last"), ("status", "404")]);

    line_with(&mirror, &[("path", "/api/metric"), ("promql", FORGERY)]);
    let log = mirror.log();
    for line in log.lines() {
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{202e}'), "{line:?}");
        assert!(fields(line).iter().all(|(key, value)| key != "msg" || value != "forged"), "{line:?}");
        assert!(["ts", "level", "msg"].iter().all(|name| fields(line).iter().any(|(key, _)| key == name)), "{line:?}");
    }
}

#[test]
fn the_key_is_never_logged() {
    let stub = Stub::start(good);
    for format in FORMATS {
        let mirror = mirror_with(format);
        let lines = format!("Connection: close\r\nX-MIRROR-API-KEY: {API_KEY}\r\n");
        let request = post("/api/connection", &lines, &json!({"connectionDetails": stub.details()}));
        assert_eq!(exchange(address(&mirror), &request).status, 200);
        send(&mirror, "GET", "/done", b"");
        line_with(&mirror, &[("path", "/done")]);
        assert!(!mirror.log().contains(API_KEY), "{}", mirror.log());
    }
}

/// A metrics query with an id, and its response.
fn ask_with_id(mirror: &Mirror, stub: &Stub, id: &str) -> Response {
    let conditions = json!([condition("__gauge__", "stub_metric"), condition("asked_by", id)]);
    let query = json!({"conditions": conditions, "startTime": START, "endTime": START + 60_000});
    let lines = format!("Connection: close\r\nX-Request-Id: {id}\r\n");
    let body = json!({"connectionDetails": stub.details(), "query": query});
    exchange(address(mirror), &post("/api/metric", &lines, &body))
}

/// The value of a field, if the line has it.
fn field<'l>(line: &'l [(String, String)], name: &str) -> Option<&'l str> {
    line.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The id of a reply.
fn id_of(response: &Response) -> &str {
    header(&response.headers, "x-request-id").unwrap_or_else(|| panic!("no id: {response:?}"))
}

#[test]
fn an_id_that_is_fit_is_taken_over_returned_and_logged() {
    let stub = Stub::start(good);
    for format in FORMATS {
        let mirror = mirror_with(format);
        let visible: String = (b'!'..=b'~').map(char::from).collect();
        for id in ["7", "a-b_c.d", "\"quoted\"", "back\\slash", "k=v", "{}", &visible, &"x".repeat(128)] {
            assert_eq!(id_of(&ask_with_id(&mirror, &stub, id)), id);
            line_with(&mirror, &[("msg", "request"), ("path", "/api/metric"), ("status", "200"), ("request_id", id)]);
        }
    }
}

#[test]
fn a_request_without_a_fit_id_is_given_one_of_its_own() {
    let mirror = Mirror::start();
    let line = |id: &str| format!("X-Request-Id: {id}\r\n");
    let too_long = line(&"x".repeat(129));
    let lines = ["", &line(""), &line("two words"), &line("tab\tbed"), &line("\u{1b}"), &too_long, "", ""];
    let made: BTreeSet<String> = lines
        .iter()
        .map(|lines| {
            let request = format!("GET /-/healthy HTTP/1.1\r\nHost: m\r\nConnection: close\r\n{lines}\r\n");
            let response = exchange(address(&mirror), request.as_bytes());
            assert_eq!(response.status, 200, "{lines:?}");
            let id = id_of(&response).to_owned();
            assert!(
                (8..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()),
                "{lines:?}: {id:?}"
            );
            line_with(&mirror, &[("path", "/-/healthy"), ("request_id", &id)]);
            id
        })
        .collect();
    assert_eq!(made.len(), lines.len(), "no two are alike: {made:?}");
    let other = Mirror::start();
    assert!(!made.contains(id_of(&send(&other, "GET", "/-/healthy", b""))), "not those of another mirror either");
}

#[test]
fn every_reply_carries_the_id_whatever_its_status() {
    let mirror = Mirror::start();
    for (request, status) in [
        ("GET /nowhere HTTP/1.1\r\n", 404),
        ("GET /api/metric HTTP/1.1\r\n", 405),
        ("HEAD / HTTP/1.1\r\n", 200),
        ("POST /api/metric HTTP/1.1\r\n", 400),
        ("POST /api/metric HTTP/1.1\r\nContent-Length: 2000000\r\n", 413),
        ("GET /metrics HTTP/1.1\r\n", 200),
    ] {
        let request = format!("{request}Host: m\r\nConnection: close\r\nx-request-id: my-id\r\n\r\n");
        let response = exchange(address(&mirror), request.as_bytes());
        assert_eq!((response.status, id_of(&response)), (status, "my-id"), "{request}");
    }
}

#[test]
fn every_line_of_a_request_has_its_id() {
    for format in FORMATS {
        let mirror = mirror_with(format);
        let stub = stub_with(&["1.5", "NaN", "+Inf"], START);
        assert_eq!(ask_with_id(&mirror, &stub, "only-one").status, 200);
        line_with(&mirror, &[("msg", "request")]);
        let log = mirror.log();
        let lines: Vec<_> = log.lines().map(fields).collect();
        let of = |message: &str| lines.iter().filter(|line| field(line, "msg") == Some(message)).count();
        let calls = stub.requests().len() + stub.reads();
        assert_eq!((of("listening"), of("request"), of("upstream")), (1, 1, calls), "{log}");
        assert_eq!(stub.reads(), 1);
        for line in lines.iter().filter(|line| field(line, "msg") != Some("listening")) {
            assert_eq!(field(line, "request_id"), Some("only-one"), "{line:?}");
        }
        assert_eq!(of("values dropped"), 1, "{log}");
    }
}

#[test]
fn requests_at_the_same_time_keep_their_ids() {
    const REQUESTS: usize = 24;
    let delay = std::time::Duration::from_millis(20);
    let (mirror, stub) =
        (Mirror::start_with(&["--workers", "4"]), Stub::start(move |request| good(request).delayed(delay)));
    std::thread::scope(|scope| {
        for nth in 0..REQUESTS {
            let (mirror, stub) = (&mirror, &stub);
            scope.spawn(move || {
                let id = format!("id-{nth}");
                assert_eq!(id_of(&ask_with_id(mirror, stub, &id)), id);
            });
        }
    });
    for nth in 0..REQUESTS {
        line_with(&mirror, &[("msg", "request"), ("request_id", &format!("id-{nth}"))]);
    }
    let log = mirror.log();
    let with_promql = log.lines().map(fields).filter(|line| field(line, "promql").is_some());
    let mut seen = 0;
    for line in with_promql {
        let id = field(&line, "request_id").unwrap_or_else(|| panic!("no id: {line:?}"));
        assert!(field(&line, "promql").unwrap().contains(&format!("{id:?}")), "{line:?}");
        seen += 1;
    }
    assert!(seen >= REQUESTS, "{log}");
}

#[test]
fn json_lines_have_the_fields_of_logfmt_lines_and_their_numbers_as_numbers() {
    let stub = Stub::start(good);
    let lines = FORMATS.map(|format| {
        let mirror = mirror_with(format);
        // Its line is written after the response.
        assert_eq!(ask_with_id(&mirror, &stub, "same").status, 200);
        line_with(&mirror, &[("path", "/api/metric")]);
        send(&mirror, "GET", "/nowhere", b"");
        line_with(&mirror, &[("path", "/nowhere")]);
        mirror.log().lines().map(str::to_owned).collect::<Vec<_>>()
    });
    let keys = |lines: &[String]| -> Vec<BTreeSet<String>> {
        lines.iter().map(|line| fields(line).into_iter().map(|(key, _)| key).collect()).collect()
    };
    assert_eq!(keys(&lines[0]), keys(&lines[1]));
    for line in &lines[1] {
        let object: Map<String, Value> = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for (key, value) in &object {
            let is_number = ["status", "workers", "threads_needed", "named_upstreams", "upstream_calls"]
                .contains(&key.as_str())
                || key.ends_with("_ms");
            assert_eq!(value.is_number(), is_number, "{key} in {line}");
            assert_eq!(value.is_string(), !is_number, "{key} in {line}");
        }
        let time = object["ts"].as_str().unwrap();
        let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{line}");
        assert!(["error", "warn", "info", "debug"].contains(&object["level"].as_str().unwrap()), "{line}");
    }
    let request = lines[1].iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let request = request.into_iter().find(|line| line["path"] == "/api/metric").unwrap();
    assert_eq!(
        (&request["msg"], &request["level"], &request["status"]),
        (&json!("request"), &json!("info"), &json!(200))
    );
}
