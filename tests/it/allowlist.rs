//! `--allow-upstream`: the mirror neither looks up other hosts nor connects to them.

use serde_json::{Value, json};

use crate::support::mirror::{Mirror, Response};
use crate::support::stub::{Stub, good};

/// A test connection with these Connection Details.
fn ask(mirror: &Mirror, details: &Value) -> Response {
    mirror.post("/api/connection", &json!({ "connectionDetails": details }))
}

fn check_allowed(list: &str, stub: &Stub, details: &Value) {
    let response = ask(&Mirror::start_with(&["--allow-upstream", list]), details);
    assert_eq!(response.json["status"], "OK", "{list} {details}: {}", response.text);
    assert_eq!(stub.requests().len(), 1, "{list} {details}");
    stub.behave(good);
}

fn check_refused(list: &str, stub: &Stub, details: &Value) {
    let mirror = Mirror::start_with(&["--allow-upstream", list]);
    let response = ask(&mirror, details);
    let error = &response.json["error"];
    assert_eq!(error["_type"], "MetricStoreConnectionError", "{list} {details}: {}", response.text);
    let text = error["details"].as_str().unwrap();
    let named = details["host"].as_str().unwrap_or("127.0.0.1");
    for part in [named, "was not queried", "--allow-upstream"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(stub.connections(), 0, "{list} {details}");
    let query = json!({"conditions": [{"key": "__gauge__", "value": {"value": "m"}}], "startTime": 0, "endTime": 1});
    let response = mirror.post("/api/metric", &json!({"connectionDetails": details, "query": query}));
    assert_eq!(
        (response.status, &response.json["_type"]),
        (500, &json!("MetricStoreConnectionError")),
        "{}",
        response.text
    );
    assert_eq!(stub.connections(), 0, "{list} {details}");
}

#[test]
fn a_host_is_allowed_by_its_name_its_port_its_domain_or_its_network() {
    let stub = Stub::start(good);
    let port = stub.port();
    let at = |host: &str| json!({"host": host, "port": port});
    for list in
        ["*", "127.0.0.1", &format!("127.0.0.1:{port}"), "127.0.0.0/8", "a.example,127.0.0.1", "::ffff:127.0.0.1"]
    {
        check_allowed(list, &stub, &at("127.0.0.1"));
    }
    // The mirror looks the name up, and connects only to the allowed addresses.
    for list in ["localhost", &format!("LOCALHOST:{port}"), "127.0.0.0/8", "*.example,127.0.0.1/32"] {
        check_allowed(list, &stub, &at("localhost"));
    }
    let url = json!({"url": format!("http://user:password@127.0.0.1:{port}/prefix")});
    for list in ["127.0.0.1", &format!("127.0.0.1:{port}"), "127.0.0.0/8"] {
        stub.behave(|request| match request.path.strip_prefix("/prefix") {
            Some(path) => good(&crate::support::stub::Request { path: path.to_owned(), ..request.clone() }),
            None => good(request),
        });
        check_allowed(list, &stub, &url);
    }
}

#[test]
fn what_is_not_allowed_is_not_connected_to() {
    let stub = Stub::start(good);
    let port = stub.port();
    let at = |host: &str| json!({"host": host, "port": port});
    for list in ["localhost", "*.0.0.1", "10.0.0.0/8", "127.0.0.1:1", "127.0.0.2", "::1/128"] {
        check_refused(list, &stub, &at("127.0.0.1"));
    }
    for list in ["127.0.0.1", "localhost:1", "*.localhost", "10.0.0.0/8", "local", "localhost.example"] {
        check_refused(list, &stub, &at("localhost"));
    }
    check_refused("10.0.0.0/8", &stub, &json!({"url": format!("http://10.0.0.1@127.0.0.1:{port}/")}));
}

#[test]
fn a_name_that_is_not_allowed_is_not_looked_up() {
    let stub = Stub::start(good);
    // A look-up would end in another error.
    check_refused("prometheus.example", &stub, &json!({"host": "no-such-host.invalid", "port": 9090}));
    let mirror = Mirror::start_with(&["--allow-upstream", "no-such-host.invalid"]);
    let response = ask(&mirror, &json!({"host": "no-such-host.invalid", "port": 9090}));
    assert!(response.text.contains("has no address for the name no-such-host.invalid"), "{}", response.text);
}

#[test]
fn a_redirect_leads_nowhere_else() {
    use crate::support::stub::Reply;

    let (target, stub) = (Stub::start(good), Stub::start(good));
    let location =
        format!("HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:{}/\r\nContent-Length: 0\r\n\r\n", target.port());
    stub.behave(move |_| Reply::raw(location.clone()));
    let mirror = Mirror::start_with(&["--allow-upstream", &format!("127.0.0.1:{}", stub.port())]);
    let response = ask(&mirror, &stub.details());
    assert_eq!(response.json["status"], "FAILURE", "{}", response.text);
    assert_eq!(target.connections(), 0);
}
