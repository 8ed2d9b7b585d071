//! `--allow-upstream` also holds for upstreams behind a proxy, by the names and addresses that the mirror knows.

use serde_json::json;

use super::{check_fails, target, verdict};
use crate::support::mirror::Mirror;
use crate::support::prometheus;
use crate::support::stub::{Reply, Request, Stub, good};
use crate::support::tinyproxy::Tinyproxy;

fn mirror_that_may_query(list: &str, proxy: &str) -> Mirror {
    Mirror::start_with(&["--allow-upstream", list, "--proxy", proxy, "--no-proxy", ""])
}

/// A proxy that claims to connect to every host, and answers instead of it: it knows names that do not exist.
fn all_knowing() -> Stub {
    Stub::start(|request: &Request| match request.method.as_str() {
        "CONNECT" => Reply::raw("HTTP/1.1 200 Connection established\r\n\r\n"),
        _ => good(request),
    })
}

#[test]
fn an_address_is_allowed_by_itself_and_the_proxy_needs_no_allowance() {
    let proxy = Tinyproxy::start("");
    let details = prometheus::shared().details();
    for list in ["127.0.0.0/8", "127.0.0.1", &target(&details)] {
        let before = proxy.tunnels(&target(&details));
        assert_eq!(verdict(&mirror_that_may_query(list, &proxy.url()), &details), "OK", "{list}");
        assert_eq!(proxy.tunnels(&target(&details)), before + 1, "{list}");
    }
}

#[test]
fn a_name_is_allowed_as_it_is_written_and_the_proxy_looks_it_up() {
    let proxy = all_knowing();
    let details = json!({"host": "prometheus.invalid", "port": 9090});
    for list in ["prometheus.invalid", "*.invalid:9090", "10.0.0.0/8,*"] {
        let mirror = mirror_that_may_query(list, &format!("http://127.0.0.1:{}", proxy.port()));
        assert_eq!(verdict(&mirror, &details), "OK", "{list}");
        let seen = proxy.requests();
        assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("CONNECT", "prometheus.invalid:9090"), "{list}");
        assert_eq!(seen[0].header("host"), Some("prometheus.invalid:9090"), "{list}");
        proxy.behave(|request| match request.method.as_str() {
            "CONNECT" => Reply::raw("HTTP/1.0 200 OK\r\nVia: stub\r\n\r\n"),
            _ => good(request),
        });
    }
}

#[test]
fn what_is_not_allowed_never_reaches_the_proxy() {
    let proxy = all_knowing();
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let name = json!({"host": "prometheus.invalid", "port": 9090});
    let address = json!({"host": "127.0.0.1", "port": 9090});
    // The host of the proxy is allowed here, which does not allow hosts behind it.
    for (list, details) in [
        ("127.0.0.1", &name),
        ("*.example", &name),
        ("prometheus.invalid:9091", &name),
        ("10.0.0.0/8", &address),
        ("127.0.0.1:9091", &address),
    ] {
        check_fails(
            &mirror_that_may_query(list, &url),
            details,
            &["was not queried: --allow-upstream of this mirror does not list it", "--allow-upstream"],
        );
    }
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn a_name_that_only_its_address_could_allow_is_refused_with_the_way_out() {
    let proxy = all_knowing();
    let url = format!("http://user:hush@127.0.0.1:{}", proxy.port());
    let details = json!({"host": "prometheus.invalid", "port": 9090});
    let mirror = mirror_that_may_query("10.0.0.0/8,127.0.0.0/8", &url);
    let name = format!("through the proxy 127.0.0.1:{}", proxy.port());
    check_fails(
        &mirror,
        &details,
        &["was not queried", "does not learn its address", &name, "--allow-upstream", "--no-proxy"],
    );
    assert_eq!(proxy.connections(), 0);
    let counted = r#"upstream_requests_total{endpoint="query",outcome="not_allowed"} 1"#;
    assert!(mirror.get("/metrics").text.contains(counted), "{}", mirror.get("/metrics").text);
}

#[test]
fn what_goes_past_the_proxy_is_allowed_by_its_addresses_as_ever() {
    let details = json!({"host": "localhost", "port": prometheus::shared().details()["port"]});
    let no_listener = "http://127.0.0.1:1";
    assert_eq!(verdict(&mirror_that_may_query("127.0.0.0/8", no_listener), &details), "OK");
    check_fails(
        &mirror_that_may_query("10.0.0.0/8", no_listener),
        &details,
        &["was not queried: --allow-upstream of this mirror does not list it"],
    );
}
