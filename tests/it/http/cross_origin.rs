//! Requests by web pages in a browser: only the mirror's own page may send queries.

use serde_json::json;

use super::{address, check_refusal, exchange, header};
use crate::operation::page::Page;
use crate::operation::post;
use crate::support::mirror::Mirror;
use crate::support::stub::{Stub, good};

#[test]
fn a_page_of_another_origin_is_refused_and_no_upstream_is_called() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let own = address(&mirror).to_owned();
    let ask = |lines: &str| {
        let lines = format!("Connection: close\r\n{lines}");
        exchange(&own, &post("/api/connection", &lines, &json!({"connectionDetails": stub.details()})))
    };
    for other in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\nOrigin: http://m\r\n",
    ] {
        let response = ask(other);
        check_refusal(&response, 403, other);
        assert_eq!(header(&response.headers, "access-control-allow-origin"), None, "{other}");
    }
    assert_eq!(stub.requests().len(), 0);
    // `post` has the host `m`.
    for own in ["", "Origin: http://m\r\n", "Sec-Fetch-Site: same-origin\r\nOrigin: https://proxy.example\r\n"] {
        assert_eq!(ask(own).json["status"], "OK", "{own}");
    }
    let is_counted =
        |page: &Page| page.sum("prometheusmirror_rejected_requests_total", &[("reason", "cross_origin")]) == 4.0;
    Page::wait(&mirror, "four pages are counted", is_counted);
}

#[test]
fn a_preflight_request_is_refused() {
    let mirror = Mirror::start();
    let preflight = "OPTIONS /api/metric HTTP/1.1\r\nHost: m\r\nConnection: close\r\nOrigin: http://evil.example\r\n\
                     Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n";
    let response = exchange(address(&mirror), preflight.as_bytes());
    assert_eq!(response.status, 403, "{}", response.text);
    assert!(response.headers.iter().all(|(name, _)| !name.starts_with("access-control")), "{response:?}");
}
