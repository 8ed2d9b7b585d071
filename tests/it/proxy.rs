//! Upstreams behind a proxy, with `--proxy` and `--no-proxy`: a real proxy before a real Prometheus.
//!
//! This file tests which upstreams are reached through the proxy. `allowlist` tests which are allowed, `faults` a proxy that fails,
//! and `secrets` its password.

mod allowlist;
mod faults;
mod secrets;

use serde_json::{Value, json};

use crate::support::certificates::{Certificates, ENCODED};
use crate::support::mirror::Mirror;
use crate::support::process::{Server, free_port, wait_until};
use crate::support::prometheus;
use crate::support::tinyproxy::{PASSWORD, Tinyproxy, USER};

/// A mirror that connects through a proxy, except to names without a dot.
fn mirror_behind(proxy: &str) -> Mirror {
    Mirror::start_with(&["--proxy", proxy, "--no-proxy", ""])
}

/// A mirror that bypasses a proxy for listed hosts. The proxy does not exist, so its use would be noticed.
fn mirror_past_no_proxy(list: &str) -> Mirror {
    Mirror::start_with(&["--proxy", &format!("http://127.0.0.1:{}", free_port()), "--no-proxy", list])
}

/// The verdict of a test connection: `OK`, or the text of its error.
fn verdict(mirror: &Mirror, details: &Value) -> String {
    let response = mirror.post("/api/connection", &json!({"connectionDetails": details}));
    if response.json["status"] == "OK" {
        return "OK".to_owned();
    }
    assert_eq!(response.json["error"]["_type"], "MetricStoreConnectionError", "{}", response.text);
    response.json["error"]["details"].as_str().unwrap().to_owned()
}

/// Checks that a test connection fails with all these words.
fn check_fails(mirror: &Mirror, details: &Value, says: &[&str]) {
    let verdict = verdict(mirror, details);
    for part in says {
        assert!(verdict.contains(part), "{part} is not in {verdict}");
    }
}

/// Host and port of Connection Details, as in a request to a proxy.
fn target(details: &Value) -> String {
    format!("{}:{}", details["host"].as_str().unwrap(), details["port"])
}

#[test]
fn an_upstream_is_called_through_the_proxy_on_connections_that_are_kept() {
    let proxy = Tinyproxy::start("");
    let (mirror, details) = (mirror_behind(&proxy.url()), prometheus::shared().details());
    for _ in 0..5 {
        assert_eq!(verdict(&mirror, &details), "OK");
    }
    assert_eq!(proxy.tunnels(&target(&details)), 1);
    mirror.line_with(&format!("proxy={}", proxy.address()));

    // All connections end with the proxy, and are opened again when it is back.
    proxy.kill();
    check_fails(&mirror, &details, &["through the proxy", &proxy.address(), "Connection refused", "--proxy"]);
    proxy.start_again();
    assert_eq!(verdict(&mirror, &details), "OK");
    assert_eq!(proxy.tunnels(&target(&details)), 2);
}

#[test]
fn an_https_upstream_is_called_through_the_proxy_and_the_way_to_the_proxy_may_be_https_too() {
    let certificates = Certificates::of("127.0.0.1");
    let (proxy, prometheus) = (Tinyproxy::start(""), certificates.prometheus());
    // nginx adds TLS to the proxy, and forwards all bytes.
    let tls = Server::start("socat", "socat", |_, port| {
        let Certificates { certificate, key, .. } = &certificates;
        let files = format!("cert={},key={},verify=0", certificate.display(), key.display());
        vec![format!("OPENSSL-LISTEN:{port},bind=127.0.0.1,{files},fork"), format!("TCP:{}", proxy.address())]
    });
    let of_tls = format!("https://{USER}:{PASSWORD}@127.0.0.1:{}", tls.port());
    let port = prometheus.port();
    let details = json!({"url": format!("https://ever:{ENCODED}@127.0.0.1:{port}/")});
    for (url, before) in [(proxy.url(), 0), (of_tls.clone(), 1)] {
        let authority = certificates.authority.to_str().unwrap();
        let mirror = Mirror::start_with(&["--proxy", &url, "--no-proxy", "", "--ca-path", authority]);
        let good = || verdict(&mirror, &details) == "OK";
        wait_until(|| format!("the connection is good: {}", verdict(&mirror, &details)), good);
        assert!(proxy.tunnels(&format!("127.0.0.1:{port}")) > before, "{url}");
    }

    // A mirror that does not trust the CA trusts neither server: the error names the one that it met first.
    let says = |url: &str| verdict(&mirror_behind(url), &details);
    let (of_upstream, of_proxy) = (says(&proxy.url()), says(&of_tls));
    assert!(
        of_upstream.contains("cannot be reached: no TLS connection") && of_upstream.contains("--ca-path"),
        "{of_upstream}"
    );
    assert!(of_proxy.contains("through the proxy") && of_proxy.contains("--ca-path"), "{of_proxy}");
}

#[test]
fn what_is_listed_and_what_has_no_dot_goes_past_the_proxy() {
    let details = prometheus::shared().details();
    let port = &details["port"];
    let check = |list: &str, host: &str| {
        let details = json!({"host": host, "port": port});
        assert_eq!(verdict(&mirror_past_no_proxy(list), &details), "OK", "{list}: {host}");
    };
    check("127.0.0.1", "127.0.0.1");
    check("127.0.0.0/8", "127.0.0.1");
    check(&format!("10.0.0.0/8, 127.0.0.1:{port},.svc"), "127.0.0.1");
    check("*", "127.0.0.1");
    check("", "localhost");
    check_fails(&mirror_past_no_proxy("127.0.0.2,127.0.0.1:1,localhost,.1"), &details, &["through the proxy"]);
}

#[test]
fn the_variable_is_read_as_other_programs_read_it_and_counts_with_a_proxy_only() {
    let details = prometheus::shared().details();
    let start = |no_proxy: &str, flags: &[&str]| {
        Mirror::start_under(&["env", &format!("NO_PROXY={no_proxy}"), "HTTP_PROXY=http://127.0.0.1:1"], flags)
    };
    let no_listener = format!("http://127.0.0.1:{}", free_port());
    let with_proxy = ["--proxy", no_listener.as_str()];
    assert_eq!(verdict(&start(".svc,127.0.0.0/8,localhost,", &with_proxy), &details), "OK");
    // It replaces the default, which has the loopback addresses in it.
    check_fails(&start(".svc,10.0.0.0/8,localhost", &with_proxy), &details, &["through the proxy"]);
    assert_eq!(verdict(&start("", &with_proxy), &details), "OK");
    // Without a proxy, an invalid list does not matter.
    assert_eq!(verdict(&start("192.168.1.*", &[]), &details), "OK");
}
