//! What the mirror sends to a named upstream, judged by a real nginx before a real Prometheus.

use serde_json::json;

use super::{Files, named, one, verdict, with_one};
use crate::support::ask::{Gateway, Query, assert_points};
use crate::support::process::{Server, wait_until};
use crate::support::samples::{HOUR, T0, one as one_series};
use crate::support::{nginx, oracle, prometheus};

/// An nginx before the shared Prometheus that lets only requests pass whose variable has this value, remote reads included.
fn gate(variable: &str, value: &str) -> Server {
    let backend = prometheus::shared().url("");
    let http = format!("map {variable} $is_good {{ default 0; \"{value}\" 1; }}");
    let server =
        format!("location / {{ if ($is_good = 0) {{ return 401; }} proxy_pass {}; }}", backend.trim_end_matches('/'));
    nginx::start("", &http, &server)
}

#[test]
fn each_kind_of_credentials_reaches_the_upstream_and_a_wrong_one_does_not_pass() {
    let check = |variable: &str, value: &str, right: &str, wrong: &str| {
        let (gate, files) = (gate(variable, value), Files::new());
        files.write("secret", "ever-so-hush\n");
        let mirror = with_one(&files, &gate.url(""), right);
        assert_eq!(verdict(&mirror, &named("a")), "OK", "{right}: {}", mirror.log());
        let refused = verdict(&with_one(&files, &gate.url(""), wrong), &named("a"));
        assert!(refused.contains("HTTP status 401") && refused.contains("upstreams file"), "{wrong}: {refused}");
        assert!(!refused.contains("hush") && !mirror.log().contains("hush"), "{refused}\n{}", mirror.log());
    };
    // `printf ever:so-hush | base64`, and with the password of the file.
    check(
        "$http_authorization",
        "Basic ZXZlcjpzby1odXNo",
        "  basic_auth: {username: ever, password: so-hush}",
        "  basic_auth: {username: ever, password: hushed}",
    );
    check(
        "$http_authorization",
        "Basic ZXZlcjpldmVyLXNvLWh1c2g=",
        "  basic_auth: {username: ever, password_file: secret}",
        "  basic_auth: {username: never, password_file: secret}",
    );
    check(
        "$http_authorization",
        "Bearer ever-so-hush",
        "  authorization: {credentials_file: secret}",
        "  authorization: {credentials: hushed}",
    );
    check(
        "$http_authorization",
        "ApiKey ever-so-hush",
        "  authorization: {type: ApiKey, credentials: ever-so-hush}",
        "  bearer_token_file: secret",
    );
    check(
        "$http_x_scope_orgid",
        "team-a",
        "  http_headers: {X-Scope-OrgID: {values: [team-a]}}",
        "  http_headers: {X-Scope-OrgID: {files: [secret]}}",
    );
    check(
        "$arg_namespace",
        "pay%20ments",
        "  query_parameters: {namespace: [pay ments]}",
        "  query_parameters: {namespace: [other]}",
    );
}

#[test]
fn all_methods_and_remote_reads_carry_the_credentials() {
    let (gate, files) = (gate("$http_authorization$arg_namespace", "Bearer ever-so-hushx"), Files::new());
    files.upstreams(&one(
        &gate.url(""),
        "  authorization: {credentials: ever-so-hush}\n  query_parameters: {namespace: [x]}",
    ));
    let mirror = files.mirror();
    let gateway = Gateway { mirror, details: named("a") };
    let response = gateway.ask(&Query::gauge("room_celsius").between(T0, T0 + HOUR));
    let expected = oracle::raw(one_series("room_celsius", &[]), T0, T0 + HOUR, oracle::Nan::None);
    assert_points(&response, &expected, 0.0, "by remote read");
    let page = gateway.mirror.get("/metrics").text;
    assert!(page.contains("sample_reads_total{source=\"remote_read\"} 1"), "{page}");
    assert!(!gateway.field_names(json!({})).0.is_empty());
    assert!(!gateway.field_values("__gauge__", json!({})).0.is_empty());
}

#[test]
fn a_rotated_secret_is_taken_over_without_a_failed_request() {
    let files = Files::new();
    let backend = prometheus::shared().url("");
    // nginx reads the allowed values from a file, too, but only when it reloads.
    let gate = nginx::start(
        "",
        "map $http_authorization $is_good { default 0; \"Bearer first-hush\" 1; \"Bearer second-hush\" 2; }",
        &format!(
            "location /strict/ {{ if ($is_good != 2) {{ return 401; }} rewrite ^/strict(.*) $1 break; proxy_pass {backend}; }}\n\
             location / {{ if ($is_good != 1) {{ return 401; }} proxy_pass {backend}; }}"
        ),
    );
    files.write("token", "first-hush");
    let both = format!(
        "upstreams:\n- name: a\n  url: {0}\n  authorization: {{credentials_file: token}}\n\
         - name: strict\n  url: {0}/strict\n  authorization: {{credentials_file: token}}\n",
        gate.url("").trim_end_matches('/')
    );
    files.upstreams(&both);
    let mirror = files.mirror();
    assert_eq!(verdict(&mirror, &named("a")), "OK");
    assert!(verdict(&mirror, &named("strict")).contains("401"));
    files.write("token", "second-hush");
    // At once, since a 401 makes the mirror re-read the file.
    assert_eq!(verdict(&mirror, &named("strict")), "OK", "{}", mirror.log());
    // A broken file changes nothing, and is reported.
    for (broken, says) in
        [("", "is empty"), ("so\nhush", "has a line break inside"), ("hush\u{e9}", "outside of ASCII")]
    {
        files.write("token", broken);
        assert_eq!(verdict(&mirror, &named("strict")), "OK");
        let is_told = || {
            let (log, place) = (mirror.log(), "upstream a: authorization.credentials_file: the file ");
            log.lines().any(|line| line.contains(place) && line.contains(says) && line.contains("/token "))
        };
        wait_until(|| format!("it is told of: {}", mirror.log()), is_told);
        assert_eq!(verdict(&mirror, &named("strict")), "OK");
    }
    assert!(!mirror.get("/metrics").text.contains("file_reloads_total{file=\"upstreams\",outcome=\"failed\"} 0"));
    assert!(!mirror.log().contains("hush"), "{}", mirror.log());
}

#[test]
fn two_upstreams_at_one_address_share_nothing() {
    // A gate that allows only GET for one tenant, and only POST for the other.
    let backend = prometheus::shared().url("");
    let gate = nginx::start(
        "",
        "map $http_x_scope_orgid$request_method $is_refused { default 0; aPOST 1; bGET 1; }",
        &format!("location / {{ if ($is_refused) {{ return 405; }} proxy_pass {backend}; }}"),
    );
    let files = Files::new();
    let tenant = |name: &str| {
        format!("- name: {name}\n  url: {}\n  http_headers: {{X-Scope-OrgID: {{values: [{name}]}}}}\n", gate.url(""))
    };
    files.upstreams(&format!("upstreams:\n{}{}", tenant("a"), tenant("b")));
    let mirror = files.mirror();
    for _ in 0..3 {
        assert_eq!(verdict(&mirror, &named("a")), "OK", "{}", mirror.log());
        assert_eq!(verdict(&mirror, &named("b")), "OK", "{}", mirror.log());
    }
}

#[test]
fn a_refused_key_in_a_header_of_its_own_is_not_called_missing() {
    let (gate, files) = (gate("$http_x_api_key", "right"), Files::new());
    let verdict_with = |key: &str| {
        let keys = format!("  http_headers: {{X-API-Key: {{secrets: [{key}]}}}}");
        verdict(&with_one(&files, &gate.url(""), &keys), &named("a"))
    };
    assert_eq!(verdict_with("right"), "OK");
    let refused = verdict_with("wrong");
    assert!(refused.contains("requires credentials, but the mirror sent no header Authorization"), "{refused}");
    assert!(refused.contains("sigv4 or http_headers in the upstreams file"), "{refused}");
}

#[test]
fn what_a_server_repeats_of_its_credentials_is_not_shown() {
    use crate::support::stub::{Reply, Request, Stub};

    let check = |details: &dyn Fn(u16) -> serde_json::Value, keys: &str, response: fn(&str) -> Reply| {
        let stub = Stub::start(move |request: &Request| {
            let of = |name: &str| request.header(name).unwrap_or_default().to_owned();
            response(&format!("{} {} ever-so-hush", of("authorization"), of("x-scope-orgid")))
        });
        let files = Files::new();
        files.upstreams(&one(&format!("http://127.0.0.1:{}", stub.port()), keys));
        let mirror = files.mirror();
        let verdict = verdict(&mirror, &details(stub.port()));
        assert!(verdict.contains("...") && !verdict.contains("hush"), "{verdict}");
        // The parts of `printf ever:ever-so-hush | base64` and the like.
        for secret in ["hush", "ZXZlci1zby1odXNo", "ZXZlcjpldmVyLXNvLWh1c2g"] {
            assert!(!verdict.contains(secret) && !mirror.log().contains(secret), "{secret}: {}", mirror.log());
        }
    };
    let responses: [fn(&str) -> Reply; 3] = [
        |words| Reply::error(422, "bad_data", words),
        |words| Reply::error(503, "unavailable", words),
        |words| Reply::http(401, "application/json", json!({"message": words}).to_string()),
    ];
    let issuer =
        Stub::start(|_: &Request| Reply::json(&json!({"access_token": "ever-so-hush", "token_type": "Bearer"})));
    let token_url = format!("http://127.0.0.1:{}/token", issuer.port());
    let oauth2 = format!("  oauth2: {{client_id: ever, client_secret: secret-hush, token_url: '{token_url}'}}");
    for response in responses {
        check(&|_| named("a"), &oauth2, response);
        check(&|_| named("a"), "  sigv4: {region: r, access_key: id, secret_key: ever-so-hush}", response);
        check(&|_| named("a"), "  authorization: {credentials: ever-so-hush}", response);
        check(&|_| named("a"), "  basic_auth: {username: ever, password: ever-so-hush}", response);
        check(&|_| named("a"), "  http_headers: {X-Scope-OrgID: {secrets: [ever-so-hush]}}", response);
        check(&|port| json!({"url": format!("http://ever:ever-so-hush@127.0.0.1:{port}")}), "", response);
    }
}

#[test]
fn what_a_server_repeats_of_the_url_or_where_no_words_are_expected_is_not_shown() {
    use crate::support::stub::{Reply, Request, Stub};

    let check = |status: u16, head: fn(&str) -> String, body: fn(&str) -> String| {
        let stub = Stub::start(move |request: &Request| {
            let parameter = request.parameter("key").unwrap_or_default();
            let token = request.header("authorization").unwrap_or_default().trim_start_matches("Bearer ");
            let (head, path) = (head(token), request.path.trim_end_matches("/api/v1/query"));
            let body = body(&format!("{path} {parameter} {token}"));
            Reply::raw(format!("HTTP/1.1 {status} X\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len()))
        });
        let files = Files::new();
        let mirror = with_one(
            &files,
            &format!("http://127.0.0.1:{}/path-hush-1", stub.port()),
            "  authorization: {credentials: token-hush-1}\n  query_parameters: {key: [parameter-hush-1]}",
        );
        let verdict = verdict(&mirror, &named("a"));
        assert!(verdict.contains("...") && !verdict.contains("hush"), "{verdict}");
        assert!(!mirror.log().contains("hush"), "{}", mirror.log());
    };
    let plain = |_: &str| "Content-Type: application/json\r\n".to_owned();
    let api = |words: &str| json!({"status": "error", "errorType": "bad_data", "error": words}).to_string();
    let kind = |words: &str| json!({"status": "error", "errorType": words, "error": ""}).to_string();
    let message = |words: &str| json!({"message": words}).to_string();
    check(400, plain, api);
    check(400, plain, kind);
    check(401, plain, message);
    check(403, plain, message);
    check(401, |token| format!("WWW-Authenticate: {token} realm=x\r\n"), |_| String::new());
    check(403, |token| format!("WWW-Authenticate: {token}\r\n"), |_| String::new());
    check(200, |token| format!("Content-Encoding: {token}\r\n"), |_| "x".to_owned());
}
