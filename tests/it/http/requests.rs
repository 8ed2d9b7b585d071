//! Which deviations in requests the mirror accepts, and which Connection Details it refuses by name.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::ask::assert_error;
use crate::support::mirror::{Mirror, Response, condition, typed_condition};
use crate::support::stub::{Stub, good};

const START: i64 = 1_700_000_000_000;

/// A text in values that no error may repeat.
const SECRET: &str = "hush-5ca1ab1e";

/// A raw query of the stub's metric.
fn query() -> Value {
    json!({"conditions": [condition("__gauge__", "stub_metric")], "startTime": START, "endTime": START + 60_000})
}

/// Connection Details with one changed field.
fn with(details: &Value, field: &str, value: Value) -> Value {
    let mut details = details.clone();
    details[field] = value;
    details
}

fn is_ok(response: &Response) -> bool {
    response.status == 200 && response.json["status"] == "OK"
}

fn test_connection(mirror: &Mirror, details: &Value) -> Response {
    mirror.post("/api/connection", &json!({"connectionDetails": details}))
}

/// Checks that Connection Details are refused with an error that names the field: as a failed test connection, and as an error of
/// every other method.
fn check_bad_details(mirror: &Mirror, details: &Value, field: &str) {
    let names_it = |error: &Value, context: &str| {
        assert_eq!(error["_type"], "MetricStoreConnectionError", "{details}: {context}");
        let text = error["details"].as_str().unwrap();
        assert!(text.contains(field), "{details}: the error does not name {field}: {context}");
        assert!(!text.contains(SECRET), "{details}: the error repeats a value: {context}");
    };
    let response = test_connection(mirror, details);
    assert_eq!((response.status, &response.json["status"]), (200, &json!("FAILURE")), "{details}: {}", response.text);
    names_it(&response.json["error"], &response.text);
    let values = json!({"field": {"fieldName": "job"}});
    for (path, query) in [("/api/field/name", json!({})), ("/api/field/value", values), ("/api/metric", query())] {
        let response = mirror.post(path, &json!({"connectionDetails": details, "query": query}));
        assert_eq!(response.status, 500, "{details}: {}", response.text);
        names_it(&response.json, &response.text);
    }
}

#[test]
fn types_may_be_missing_and_unknown_fields_of_requests_are_ignored() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let plain = json!({"connectionDetails": stub.details(), "query": query()});
    let expected = mirror.post("/api/metric", &plain);
    assert_eq!(expected.points().len(), 2, "{}", expected.text);

    let mut unknown = plain.clone();
    let mut typed = plain.clone();
    for place in ["", "/connectionDetails", "/query", "/query/conditions/0", "/query/conditions/0/value"] {
        // In Connection Details, which an admin types, an unknown field is a mistake.
        let name = if place == "/connectionDetails" { "_somethingNew" } else { "somethingNew" };
        unknown.pointer_mut(place).unwrap()[name] = json!({"a": [1, null]});
        let kind = if place == "/query/conditions/0" { "EqualityCondition" } else { "StringValue" };
        typed.pointer_mut(place).unwrap()["_type"] = json!(kind);
    }
    let mut untyped = plain.clone();
    untyped["query"]["conditions"] = json!([{"key": "__gauge__", "value": {"value": "stub_metric"}}]);
    for request in [unknown, typed, untyped] {
        let response = mirror.post("/api/metric", &request);
        assert_eq!((response.status, response.text), (200, expected.text.clone()), "{request}");
    }
}

#[test]
fn optional_fields_may_be_null() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let check = |path: &str, place: &str, fields: &[&str], query: Value| {
        let plain = json!({"connectionDetails": stub.details(), "query": query});
        let expected = mirror.post(path, &plain);
        assert_eq!(expected.status, 200, "{}", expected.text);
        for field in fields {
            let mut request = plain.clone();
            request.pointer_mut(place).unwrap()[*field] = Value::Null;
            let response = mirror.post(path, &request);
            assert_eq!((response.status, &response.text), (200, &expected.text), "{field} in {request}");
        }
    };
    let values = json!({"field": {"fieldName": "job"}});
    let optional = ["requestTimeout", "nan_interpretation", "url", "scrapeInterval"];
    check("/api/connection", "/connectionDetails", &optional, json!({}));
    check("/api/field/name", "/query", &["conditions", "startTime", "endTime", "limit", "latestFirst"], json!({}));
    let optional = ["conditions", "startTime", "endTime", "limit", "latestFirst", "fieldValuePrefix", "offset"];
    check("/api/field/value", "/query", &optional, values.clone());
    check("/api/field/value", "/query/field", &["fieldType", "classified", "_type"], values);
    check("/api/metric", "/query", &["limit", "latestFirst", "aggregation", "metricField"], query());
    check("/api/metric", "/query/conditions/0/value", &["_type"], query());
}

#[test]
fn a_port_is_a_number_or_a_string_of_digits() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let details = stub.details();
    for port in [json!(stub.port()), json!(stub.port().to_string())] {
        let response = test_connection(&mirror, &with(&details, "port", port.clone()));
        assert!(is_ok(&response), "{port}: {}", response.text);
    }
    for port in [
        json!(0),
        json!(-1),
        json!(65_536),
        json!(4_295_032_256_u64),
        json!(1.5),
        json!("0"),
        json!("65536"),
        json!("abc"),
        json!(""),
        json!("+1"),
        json!("1e3"),
        json!(null),
        json!(true),
        json!([9090]),
        json!({}),
    ] {
        check_bad_details(&mirror, &with(&details, "port", port), "port");
    }
}

#[test]
fn a_host_is_a_name_or_an_address_and_has_to_be_there() {
    let mirror = Mirror::start();
    check_bad_details(&mirror, &json!({"port": 9090}), "host");
    check_bad_details(&mirror, &json!({}), "host");
    for host in ["", " ", "a b", "http://a", "a:9090", "a/b", "u@a", "a?b", "a#b", "a\r\nX: y", "[::1", "[a]"] {
        check_bad_details(&mirror, &json!({"host": host, "port": 9090}), "host");
    }
    for host in [json!(null), json!(5), json!(["a"]), json!({}), json!(false)] {
        check_bad_details(&mirror, &json!({"host": host, "port": 9090}), "host");
    }
}

#[test]
fn the_other_connection_details_are_checked_by_name_too() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let check = |field: &str, bad: &[Value]| {
        for value in bad {
            check_bad_details(&mirror, &with(&stub.details(), field, value.clone()), field);
        }
    };
    let no_duration = [json!(0), json!(-1), json!(-0.5), json!("soon"), json!(true), json!([1]), json!({})];
    check("requestTimeout", &no_duration);
    check("scrapeInterval", &no_duration);
    check("nan_interpretation", &[json!("MAYBE"), json!(0), json!(["NONE"])]);
    check("partialResponse", &[json!("maybe"), json!(1), json!(true), json!(["allow"])]);
    let no_url = ["x", "/x", "ftp://h", "http://", "http://h:0", "http://h:65536", "http://h?q=1", "http://h/#f"];
    for url in no_url.iter().map(|url| json!(url)).chain([json!(5), json!({}), json!([])]) {
        check_bad_details(&mirror, &json!({"url": url}), "url");
    }
}

#[test]
fn connection_details_of_any_other_shape_are_named_and_no_value_is_repeated() {
    let mirror = Mirror::start();
    let password = format!("http://u:{SECRET}@p");
    for (details, part) in [
        (json!({}), "host is missing"),
        (json!(null), "must be an object, not null"),
        (json!(5), "must be an object, not a number"),
        (json!(password), "must be an object, not a text"),
        (json!([password]), "must be an object, not a list"),
        (json!({"url": [password]}), "url must be a text, not a list"),
        (json!({"url": {"a": password}}), "url must be a text, not an object"),
        (json!({"host": "p", "port": password}), "port must be a whole number"),
        (json!({"host": "p", "port": [password]}), "port must be a whole number"),
        (json!({"host": password, "port": 1}), "as url"),
        (json!({"host": "p", "port": 1, "nan_interpretation": password}), "nan_interpretation must be"),
        (json!({"host": "p", "port": 1, "partialResponse": password}), "partialResponse must be"),
        (json!({"host": "p", "port": 1, "requestTimeout": password}), "requestTimeout must be"),
        (json!({"url": format!("http://p/u:{SECRET}@x")}), "credentials go before the host"),
        (json!({"url": format!("https://u:a/{SECRET}@p")}), "%2F"),
        (json!({"url": format!("https://u:a@{SECRET}@p")}), "%40"),
        (json!({"url": format!("https://u:{SECRET}@p/api/v1")}), "leave out /api/v1"),
        (json!({"url": format!("https://u:{SECRET}@p/graph")}), "leave out /graph"),
        (json!({"host": "p", "port": 1, "requestTimeOut": SECRET}), "did you mean requestTimeout?"),
        (json!({"host": "p", "port": 1, "nanInterpretation": "ZERO"}), "did you mean nan_interpretation?"),
        (
            json!({"host": "p", "port": 1, "bearerToken": SECRET}),
            "unknown field bearerToken: The fields are host, port, url",
        ),
        (json!({"host": "p", "port": 1, "headers": {"a": SECRET}}), "unknown field headers"),
        (json!({"host": "p", "port": 1, "aws": [SECRET]}), "unknown field aws"),
    ] {
        check_bad_details(&mirror, &details, part);
    }
    // A path prefix may be a secret, so errors show only its beginning.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (path, shown) in [(format!("u:{SECRET}"), "..."), (format!("prom/{SECRET}"), "prom/...")] {
        let url = json!({"url": format!("http://127.0.0.1:{closed}/{path}/")});
        check_bad_details(&mirror, &url, &format!("127.0.0.1:{closed}/{shown} cannot be reached"));
    }
    assert!(!mirror.log().contains(SECRET), "{}", mirror.log());
}

#[test]
fn a_condition_that_is_no_equality_is_refused_by_every_method() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    for kind in ["NotEqualCondition", "RegexCondition"] {
        let gauge = condition("__gauge__", "stub_metric");
        let conditions = json!([gauge, {"key": "job", "value": {"value": "a"}, "_type": kind}]);
        let query = json!({"conditions": conditions, "startTime": START, "endTime": START + 60_000, "field": {"fieldName": "job"}});
        for path in ["/api/field/name", "/api/field/value", "/api/metric"] {
            let response = mirror.post(path, &json!({"connectionDetails": stub.details(), "query": query}));
            assert_error(&response, "RemoteMirrorError", &["condition on job", kind, "EqualityCondition"]);
        }
    }
    assert_eq!(stub.requests(), []);
}

#[test]
fn a_query_of_more_than_is_accepted_is_refused_with_the_bound() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let gauge = condition("__gauge__", "stub_metric");
    let set = |values: usize| typed_condition("job", json!(vec![0; values]), "InSetValue");
    let check = |conditions: Vec<Value>, parts: &[&str]| {
        let response =
            mirror.metric(&stub.details(), json!({"conditions": conditions, "startTime": START, "endTime": START + 1}));
        assert_error(&response, "RemoteMirrorError", parts);
    };
    check(vec![gauge.clone(), set(25_001)], &["more than 25000 values"]);
    check(vec![gauge.clone(), set(12_501), set(12_500)], &["more than 25000 values"]);
    check([vec![gauge.clone()], vec![condition("job", "a"); 100]].concat(), &["101 conditions", "at most 100"]);
    check(vec![gauge.clone(), set(3_000)], &["patterns of more than 65536 characters", "~ expression"]);
    check(vec![gauge.clone(), condition("job", &"x".repeat(262_145))], &["job", "262145 bytes", "at most 262144"]);
    assert_eq!(stub.requests(), []);
    let most_values = typed_condition("job", json!(vec!["a"; 25_000]), "InSetValue");
    let query = json!({"conditions": [gauge, most_values], "startTime": START, "endTime": START + 1});
    let response = mirror.metric(&stub.details(), query);
    assert_eq!(response.status, 200, "{}", response.text);
}

#[test]
fn good_values_of_the_other_connection_details_are_taken() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    for (field, value) in [
        ("requestTimeout", json!(5000)),
        ("requestTimeout", json!(5000.0)),
        ("requestTimeout", json!(600_000)),
        ("scrapeInterval", json!(1)),
        ("scrapeInterval", json!(86_400_000)),
        ("nan_interpretation", json!("ZERO")),
        ("nan_interpretation", json!("NONE")),
        ("partialResponse", json!("allow")),
        ("partialResponse", json!("deny")),
    ] {
        let response = test_connection(&mirror, &with(&stub.details(), field, value.clone()));
        assert!(is_ok(&response), "{field} {value}: {}", response.text);
    }
}

#[test]
fn a_time_that_is_absent_null_or_zero_is_the_beginning_or_now() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let now_ms = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let times = [None, Some(Value::Null), Some(json!(0))];
    for (start, end) in times.iter().flat_map(|start| times.iter().map(move |end| (start, end))).chain([
        (&Some(json!(START)), &None),
        (&Some(json!(START)), &Some(json!(0))),
        (&None, &Some(json!(START))),
    ]) {
        let mut query = query();
        let fields = query.as_object_mut().unwrap();
        for (name, time) in [("startTime", start), ("endTime", end)] {
            fields.remove(name);
            fields.extend(time.iter().map(|time| (name.to_owned(), time.clone())));
        }
        stub.behave(good);
        let before = now_ms();
        let response = mirror.metric(&stub.details(), query.clone());
        assert_eq!(response.status, 200, "{query}: {}", response.text);
        let asked = stub.requests().remove(0);
        let (time, after) = (asked.millis("time"), now_ms());
        if end == &Some(json!(START)) {
            assert_eq!(time, START, "{query}");
        } else {
            assert!((before..=after).contains(&time), "{query}: {time}");
        }
        // The start belongs to the range, where that does not include its left end, too.
        let length = time + 1 - if start == &Some(json!(START)) { START } else { 0 };
        let selector = match (length / 1000, length % 1000) {
            (s, 0) => format!("[{s}s]"),
            (s, ms) => format!("[{s}s{ms}ms]"),
        };
        assert!(asked.promql().ends_with(&selector), "{query}: {} does not end with {selector}", asked.promql());
    }
}

#[test]
fn field_queries_without_times_are_about_all_time() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    for path in ["/api/field/name", "/api/field/value"] {
        for times in [json!({}), json!({"startTime": null, "endTime": null}), json!({"startTime": 0, "endTime": 0})] {
            let mut query = times;
            query["field"] = json!({"fieldName": "job"});
            stub.behave(good);
            let response = mirror.post(path, &json!({"connectionDetails": stub.details(), "query": query}));
            assert_eq!(response.status, 200, "{query}: {}", response.text);
            assert_eq!(stub.requests()[0].parameter("start"), Some("0.001"), "{path} {query}");
        }
    }
}

#[test]
fn a_url_is_taken_instead_of_host_and_port_with_its_path_prefix() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let prefixed = Stub::start(|request| {
        let mut request = request.clone();
        request.path = request.path.strip_prefix("/select/0/prometheus").unwrap_or("/not/here").to_owned();
        good(&request)
    });
    for (stub, path) in
        [(&stub, ""), (&stub, "/"), (&prefixed, "/select/0/prometheus"), (&prefixed, "/select/0/prometheus/")]
    {
        let url = format!("http://127.0.0.1:{}{path}", stub.port());
        let response = test_connection(&mirror, &json!({"url": url}));
        assert!(is_ok(&response), "{url}: {}", response.text);
    }
}

#[test]
fn an_ipv6_host_may_be_in_brackets_or_not() {
    let mirror = Mirror::start();
    let stub = Stub::start_on("::1".parse().unwrap(), good);
    let port = stub.port();
    for details in [
        json!({"host": "::1", "port": port}),
        json!({"host": "[::1]", "port": port}),
        json!({"host": "0:0:0:0:0:0:0:1", "port": port.to_string()}),
        json!({"url": format!("http://[::1]:{port}/")}),
    ] {
        let response = test_connection(&mirror, &details);
        assert!(is_ok(&response), "{details}: {}", response.text);
    }
    let hosts: Vec<String> = stub.requests().iter().map(|request| request.header("host").unwrap().to_owned()).collect();
    assert!(hosts.iter().all(|host| host.starts_with('[') && host.ends_with(&format!("]:{port}"))), "{hosts:?}");
}
