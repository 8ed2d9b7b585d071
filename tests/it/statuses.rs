//! The errors for HTTP statuses without data, mostly with a real nginx before a real Prometheus.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::support::certificates::Certificates;
use crate::support::mirror::{Mirror, Response, condition};
use crate::support::nginx;
use crate::support::process::{free_port, wait_until};
use crate::support::prometheus;
use crate::support::samples::{HOUR, T0};
use crate::support::stub::{Reply, Stub};

/// A text in bodies, queries and credentials that no error may repeat.
const SECRET: &str = "hush-5ca1ab1e";

/// The error of a response.
fn error_of(response: &Response) -> &Value {
    if response.status == 200 { &response.json["error"] } else { &response.json }
}

/// Checks that the last response is an error with these parts, and that the log has it by its code, as a warning or not.
fn check_error(mirror: &Mirror, response: &Response, kind: &str, code: &str, says: &[&str]) {
    let error = error_of(response);
    assert_eq!(error["_type"], kind, "{code}: {}", response.text);
    let details = error["details"].as_str().unwrap();
    for part in says {
        assert!(details.contains(part), "{code}: {part:?} is not in {details}");
    }
    assert!(!details.contains("check host"), "{code}: {details}");
    assert!(!details.contains(SECRET), "{code}: {details}");
    let level = if kind == "RemoteMirrorError" { "info" } else { "warn" };
    let logged = || {
        let log = mirror.log();
        log.lines()
            .any(|line| line.contains(&format!("level={level}")) && line.contains(&format!("error_code={code} ")))
    };
    wait_until(|| format!("{level} {code} is in\n{}", mirror.log()), logged);
    assert!(!mirror.log().contains(SECRET), "{}", mirror.log());
    let counted = format!("prometheusmirror_errors_total{{code=\"{code}\"}}");
    let page = mirror.get("/metrics").text;
    let count = page.lines().find_map(|line| line.strip_prefix(&counted)).map(|count| count.trim().parse::<u32>());
    assert!(matches!(count, Some(Ok(1..))), "{counted}: {count:?}");
}

fn test_connection(mirror: &Mirror, details: &Value) -> Response {
    mirror.post("/api/connection", &json!({"connectionDetails": details}))
}

/// An expression of this number of bytes, over a range of the samples.
fn long_query(bytes: usize) -> Value {
    let expression = format!("vector({})", "1".repeat(bytes));
    json!({"conditions": [condition("~", &expression)], "startTime": T0, "endTime": T0 + HOUR})
}

#[test]
fn what_nginx_answers_before_a_prometheus_is_told_by_its_status() {
    let (closed, silent) = (free_port(), TcpListener::bind("127.0.0.1:0").unwrap());
    let silent_port = silent.local_addr().unwrap().port();
    let (prometheus, users) = (prometheus::shared().url("/"), tempfile::NamedTempFile::new().unwrap());
    std::fs::write(users.path(), format!("ever:{{PLAIN}}{SECRET}\n")).unwrap();
    let users = users.path().display();
    let limits = "limit_req_zone $binary_remote_addr zone=slow:1m rate=1r/m; limit_req_status 429;";
    let server = format!(
        "location /prom/ {{ proxy_pass {prometheus}; }}\n\
         location /users/ {{ auth_basic {SECRET}; auth_basic_user_file {users}; proxy_pass {prometheus}; }}\n\
         location /denied/ {{ deny all; proxy_pass {prometheus}; }}\n\
         location /login/ {{ return 302 https://u:{SECRET}@login.example/start?next={SECRET}; }}\n\
         location /small/ {{ client_max_body_size 1k; proxy_pass {prometheus}; }}\n\
         location /gone/ {{ proxy_pass http://127.0.0.1:{closed}/; }}\n\
         location /silent/ {{ proxy_read_timeout 300ms; proxy_pass http://127.0.0.1:{silent_port}/; }}\n\
         location /off/ {{ return 503; }}\n\
         location /busy/ {{ limit_req zone=slow; proxy_pass {prometheus}; }}\n\
         location /zipped/ {{ proxy_set_header Accept-Encoding gzip; proxy_pass {prometheus}; }}\n\
         location /posts/ {{ return 405; }}\n\
         location /other/ {{ return 421; }}\n\
         location /moved/ {{ rewrite ^/moved/(.*)$ /prom/$1 permanent; }}\n\
         location /thanos/ {{ return 301 https://$host$request_uri; }}\n\
         location /kept/ {{ return 307 http://elsewhere.example:1234/grafana/api/v1/query?next={SECRET}; }}\n\
         location /legal/ {{ return 451; }}\n\
         location /later/ {{ add_header Retry-After 7 always; return 503; }}\n\
         location /bearer/ {{ add_header WWW-Authenticate Bearer always; return 403; }}\n\
         location /challenges/ {{ add_header WWW-Authenticate Negotiate always; \
             add_header WWW-Authenticate 'Basic realm={SECRET}' always; return 401; }}\n\
         location /old/ {{ return 426; }}\n"
    );
    let nginx = nginx::start("", limits, &server);
    let mirror = Mirror::start();
    let at = |path: &str| json!({"url": nginx.url(path), "requestTimeout": 10_000});
    let as_user = |password: &str| json!({"url": nginx.url("/users/").replace("//", &format!("//ever:{password}@"))});
    for details in [at("/prom/"), as_user(SECRET)] {
        let response = test_connection(&mirror, &details);
        assert_eq!(response.json["status"], "OK", "{}", response.text);
    }
    // The first passes.
    test_connection(&mirror, &at("/busy/"));
    let check = |details: Value, code: &str, says: &[&str]| {
        check_error(&mirror, &test_connection(&mirror, &details), "MetricStoreConnectionError", code, says);
    };
    check(at("/users/"), "credentials_required", &["401", "WWW-Authenticate: Basic", "https://user:password@host/"]);
    check(as_user("wrong"), "credentials_refused", &["401", "check user and password"]);
    check(at("/denied/"), "access_denied", &["403", "allow this mirror"]);
    check(at("/login/"), "redirected", &["302", "to https://login.example/start (", "login page", "url"]);
    check(at("/nothing/"), "api_not_found", &["404", "path prefix", "without /api/v1"]);
    check(at("/posts/"), "method_refused", &["405", "POST"]);
    check(at("/gone/"), "unavailable", &["502", "reachable, but unavailable"]);
    check(at("/silent/"), "unavailable", &["504", "reachable, but unavailable"]);
    check(at("/off/"), "unavailable", &["503", "reachable, but unavailable"]);
    check(at("/busy/"), "too_many_requests", &["429", "rate limit"]);
    check(at("/zipped/"), "encoded", &["Content-Encoding gzip"]);
    check(at("/other/"), "misdirected", &["421"]);
    check(at("/old/"), "wrong_protocol", &["426", "https"]);
    let moved = format!("to {} (", nginx.url("/prom"));
    check(at("/moved/"), "redirected", &["301", &moved, "; give that address as url"]);
    check(at("/thanos/"), "redirected", &["301", "/thanos (", "begin url in the Connection Details with https://"]);
    check(
        at("/kept/"),
        "redirected",
        &["307", "to http://elsewhere.example:1234/grafana (", "; give that address as url"],
    );
    check(at("/legal/"), "request_refused", &["451", "look at the log of"]);
    check(at("/later/"), "unavailable", &["503, again after 7 s)"]);
    check(at("/bearer/"), "access_denied", &["403, WWW-Authenticate: Bearer)", "--upstreams-file"]);
    check(at("/challenges/"), "credentials_required", &["Negotiate, Basic)", "https://user:password@host/"]);

    let says = ["413", "too long", "shorten"];
    let too_long = mirror.metric(&at("/small/"), long_query(2_000));
    check_error(&mirror, &too_long, "RemoteMirrorError", "query_too_long", &says);
    // The mirror queries the values of a label by GET, which nginx refuses with 414, and then by POST.
    let values = json!({"field": {"fieldName": "job"}, "fieldValuePrefix": "x".repeat(10_000)});
    let found = mirror.post("/api/field/value", &json!({"connectionDetails": at("/prom/"), "query": values}));
    assert_eq!((found.status, &found.json["values"]), (200, &json!([])), "{}", found.text);
}

#[test]
fn an_https_port_that_is_called_by_http_is_told_to_be_one() {
    let certificates = Certificates::of("localhost");
    let tls = format!(
        "ssl_certificate {}; ssl_certificate_key {};",
        certificates.certificate.display(),
        certificates.key.display()
    );
    let (nginx, prometheus, mirror) = (nginx::start(" ssl", "", &tls), certificates.prometheus(), Mirror::start());
    wait_until(|| prometheus.log(), || std::net::TcpStream::connect(("127.0.0.1", prometheus.port())).is_ok());
    for server in [nginx, prometheus] {
        let response = test_connection(&mirror, &server.details());
        let says = ["400", "may use https", "as url", &server.port().to_string()];
        check_error(&mirror, &response, "MetricStoreConnectionError", "wrong_protocol", &says);
    }
}

#[test]
fn a_client_certificate_that_nginx_demands_is_asked_for_by_name() {
    let certificates = Certificates::of("localhost");
    let tls = format!(
        "ssl_certificate {}; ssl_certificate_key {}; ssl_client_certificate {}; ssl_verify_client on;",
        certificates.certificate.display(),
        certificates.key.display(),
        certificates.authority.display()
    );
    let nginx = nginx::start(" ssl", "", &tls);
    let mirror = Mirror::start_with(&["--ca-path", certificates.authority.to_str().unwrap()]);
    let response = test_connection(&mirror, &json!({"url": format!("https://localhost:{}/", nginx.port())}));
    let says = ["400", "may require a client certificate", "cert_file and key_file"];
    check_error(&mirror, &response, "MetricStoreConnectionError", "request_refused", &says);
}

#[test]
fn the_words_of_a_refusal_are_kept_if_they_are_prometheus_own() {
    let mirror = Mirror::start();
    let check = |reply: Reply, code: &str, says: &[&str]| {
        let stub = Stub::start(move |_| reply.clone());
        check_error(&mirror, &test_connection(&mirror, &stub.details()), "MetricStoreConnectionError", code, says);
    };
    // The response of Mimir and Cortex.
    check(Reply::http(401, "text/plain; charset=utf-8", "no org id\n"), "tenant_required", &["X-Scope-OrgID"]);
    let reason = "the request has been rejected because the tenant exceeded the request rate limit (err-mimir-tenant-max-request-rate)";
    check(Reply::error(429, "too_many_requests", reason), "too_many_requests", &["429", reason]);
    check(Reply::error(401, "unauthorized", "invalid token"), "credentials_required", &["invalid token"]);
    check(Reply::error(403, "forbidden", "not this tenant"), "access_denied", &["not this tenant"]);
    check(Reply::http(401, "text/plain", SECRET), "credentials_required", &["401"]);
    let message = json!({"message": "Invalid username or password", "traceID": SECRET}).to_string();
    check(
        Reply::http(401, "application/json", message),
        "credentials_required",
        &["401): Invalid username or password; "],
    );
    let forward = "HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    check(Reply::raw(forward), "access_denied", &["forward proxy", "--proxy of this mirror"]);
    check(Reply::http(511, "text/html", SECRET), "access_denied", &["511", "requires a login"]);
    check(Reply::http(429, "application/json", json!({"error": SECRET}).to_string()), "too_many_requests", &["429"]);
    let bearer = "HTTP/1.1 401 X\r\nWWW-Authenticate: Bearer realm=\"hush-5ca1ab1e\"\r\nContent-Length: 0\r\n\r\n";
    check(Reply::raw(bearer), "credentials_required", &["WWW-Authenticate: Bearer)", "--upstreams-file"]);
    let later = "HTTP/1.1 429 X\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n";
    check(Reply::raw(later), "too_many_requests", &["again after 30 s"]);
    // The response of Prometheus while it replays its write-ahead log.
    check(Reply::http(503, "text/plain", "Service Unavailable"), "unavailable", &["503", "may be starting"]);
}
