//! The mirror checks Connection Details while the user types, by its own rules and without a call to Prometheus.

use serde_json::{Value, json};

use crate::operation::page::Page;
use crate::support::mirror::{API_KEY, Mirror};
use crate::support::stub::{Stub, good};

use super::open;

/// A little less than `PAUSE_MS` of `src/web/connection.js`.
const SHORT_OF_A_PAUSE_MS: u32 = 280;

#[test]
fn what_is_typed_is_judged_as_the_mirror_judges_requests() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let browser = open(&mirror, "");
    let check = |by: &str, fields: &[(&str, &str)], marked: &str, details: Value, part: &str| {
        browser.choose("[name=by]", by);
        for (field, text) in fields {
            browser.set(&format!("[name={field}]"), text);
        }
        // The same words that StackState's admin reads.
        let response = mirror.post("/api/connection", &json!({"connectionDetails": details}));
        let says = response.json["error"]["details"].as_str().unwrap_or_else(|| panic!("{response:?}"));
        assert!(says.contains(part), "{says}");
        browser.wait(&format!("document.querySelector('#fault').textContent === {}", json!(says)));
        browser.wait(&format!("document.querySelector('[aria-invalid=true]')?.name === '{marked}'"));
        assert_eq!(browser.text("#error"), "");
        assert!(!browser.text("#fault").contains("hush"));
    };
    let url = |url: &str, part: &str| check("url", &[("url", url)], "url", json!({"url": url}), part);
    url("prometheus:9090", "must begin with http:// or https://");
    url("ftp://prometheus:9090", "must begin with http:// or https://");
    url("http://prometheus:9090/api/v1", "leave out /api/v1");
    url("http://prometheus:9090/graph", "leave out /graph");
    url("http://prometheus:99999", "port from 1 to 65535");
    url("http://prometheus:9090/?x=1", "without ? and #");
    url("http://user:hush/hush@prometheus", "%2F");
    let host = |host: &str, port: &str, marked: &str, details: Value, part: &str| {
        check("host", &[("host", host), ("port", port)], marked, details, part);
    };
    host("http://p", "9090", "host", json!({"host": "http://p", "port": 9090}), "a name or an address alone");
    host("p", "65536", "port", json!({"host": "p", "port": 65536}), "1 to 65535");
    host("p", "nine", "port", json!({"host": "p", "port": "nine"}), "1 to 65535");
    browser.set("[name=port]", &stub.port().to_string());
    browser.click("#connection summary");
    browser.set("[name=host]", "127.0.0.1");
    let details = json!({"host": "127.0.0.1", "port": stub.port(), "requestTimeout": "soon"});
    check("host", &[("requestTimeout", "soon")], "requestTimeout", details, "requestTimeout must be");
    browser.set("[name=requestTimeout]", "9000");
    browser.wait("!document.querySelector('#fault').textContent && !document.querySelector('[aria-invalid]')");
    // A password is accepted, with a note.
    browser.choose("[name=by]", "url");
    browser.set("[name=url]", &format!("http://user:hush@127.0.0.1:{}", stub.port()));
    browser.wait("document.querySelector('#fault').textContent.startsWith('The password goes to the mirror only.')");
    assert_eq!(stub.requests().len(), 0);
    assert!(!mirror.log().contains("hush"));
    browser.check_clean(mirror.base(), &[]);
}

#[test]
fn a_pause_in_typing_makes_one_check() {
    let mirror = Mirror::start();
    let browser = open(&mirror, "");
    // A busy machine pauses between letters, too.
    browser.run(&format!(
        "let last = Infinity;
        window.pauses = 0;
        document.querySelector('[name=url]').addEventListener('input', () => {{
            const now = performance.now();
            if (now - last > {SHORT_OF_A_PAUSE_MS}) window.pauses++;
            last = now;
        }});"
    ));
    for letter in "http://prometheus.monitoring.svc:9090/a-path/graph".chars() {
        browser.type_into("[name=url]", &letter.to_string());
    }
    browser.wait("document.querySelector('#fault').textContent.includes('/graph')");
    let checks = Page::of(&mirror).sum("prometheusmirror_requests_total", &[("route", "connection_check")]);
    let pauses = browser.run("return window.pauses").as_f64().unwrap();
    assert!((1.0..=1.0 + pauses).contains(&checks), "{checks} checks, {pauses} pauses before");
    browser.check_clean(mirror.base(), &[]);
}

#[test]
fn a_check_adds_no_power() {
    let stub = Stub::start(good);
    let keyed = Mirror::start_with(&["--require-api-key", "true"]);
    let body = json!({"connectionDetails": stub.details()});
    assert_eq!(keyed.post("/api/connection/check", &body).status, 401);
    let response = keyed.post_with("/api/connection/check", &body, "X-MIRROR-API-KEY", API_KEY);
    assert_eq!((response.status, &response.json["status"]), (200, &json!("OK")), "{response:?}");
    let mirror = Mirror::start();
    let response = mirror.post_with("/api/connection/check", &body, "Origin", "http://evil.example");
    assert_eq!(response.status, 403, "{response:?}");
    let response = mirror.post("/api/connection/check", &json!({"connectionDetails": {"host": "p"}}));
    assert_eq!((response.status, &response.json["status"]), (200, &json!("FAILURE")), "{response:?}");
    assert_eq!(stub.requests().len(), 0);
}
