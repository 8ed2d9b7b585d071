//! How Connection Details choose a named upstream.

use serde_json::{Value, json};

use super::{Files, named, one, verdict};
use crate::support::mirror::Mirror;
use crate::support::process::wait_until;
use crate::support::prometheus;
use crate::support::stub::{After, Reply, Request, Stub};

#[test]
fn connection_details_name_an_upstream_or_give_an_address_but_not_both() {
    let (files, url) = (Files::new(), prometheus::shared().url(""));
    files.upstreams(&format!("upstreams: [{{name: first, url: '{url}'}}, {{name: second, url: '{url}'}}]"));
    let mirror = files.mirror();
    let check = |details: Value, says: &[&str]| {
        let verdict = verdict(&mirror, &details);
        assert!(says.iter().all(|part| verdict.contains(part)), "{details}: {says:?}: {verdict}");
    };
    check(named("first"), &["OK"]);
    check(named(" second "), &["OK"]);
    check(json!({"upstream": "first", "requestTimeout": 5000, "scrapeInterval": 15000}), &["OK"]);
    check(prometheus::shared().details(), &["OK"]);
    check(named("frst"), &["MetricStoreConnectionError", "did you mean first?", "one of first, second"]);
    check(named("x"), &["names no upstream", "one of first, second"]);
    check(json!({}), &["host is missing", "one of first, second"]);
    for beside in [json!({"host": "p"}), json!({"port": 9090}), json!({"url": "http://u:hush@p"})] {
        let mut details = named("first");
        details.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
        check(details, &["MetricStoreConnectionError", "upstream as well as host, port or url"]);
    }
    check(json!({"upstream": ["first"]}), &["upstream must be a text, not a list"]);
    assert!(!mirror.log().contains("hush"));
    // A mirror without such a file.
    let without = verdict(&Mirror::start(), &named("first"));
    assert!(without.contains("this mirror has none (--upstreams-file)"), "{without}");
}

#[test]
fn the_only_named_upstream_needs_no_name() {
    let files = Files::new();
    files.upstreams(&format!("upstreams: [{{name: only, url: '{}'}}]", prometheus::shared().url("")));
    let mirror = files.mirror();
    assert_eq!(verdict(&mirror, &json!({})), "OK");
    wait_until(|| format!("the log has its name: {}", mirror.log()), || mirror.log().contains("upstream=only"));
}

#[test]
fn with_named_upstreams_only_no_address_is_taken() {
    let files = Files::new();
    files.upstreams(&format!("upstreams: [{{name: only, url: '{}'}}]", prometheus::shared().url("")));
    let mirror = files.mirror_with(&["--named-upstreams-only", "true"]);
    assert_eq!(verdict(&mirror, &named("only")), "OK");
    for details in [
        prometheus::shared().details(),
        json!({"url": prometheus::shared().url("")}),
        json!({"host": "p"}),
        json!({"port": 9090}),
    ] {
        let verdict = verdict(&mirror, &details);
        assert!(verdict.contains("--named-upstreams-only") && verdict.contains("give upstream, only"), "{verdict}");
    }
}

#[test]
fn what_the_file_says_holds_where_connection_details_say_nothing() {
    let files = Files::new();
    // A stub that never answers, so that the timeout is visible.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    files.upstreams(&format!("upstreams: [{{name: slow, url: '{url}', timeout: 700ms}}]"));
    let mirror = files.mirror();
    let by_file = verdict(&mirror, &named("slow"));
    assert!(by_file.contains("700 ms"), "{by_file}");
    let by_details = verdict(&mirror, &json!({"upstream": "slow", "requestTimeout": 600}));
    assert!(by_details.contains("600 ms"), "{by_details}");
}

#[test]
fn errors_name_the_keys_of_the_upstreams_file_that_were_in_force() {
    let files = Files::new();
    let denying = Stub::start(|_: &Request| Reply::http(403, "text/plain", ""));
    let silent = Stub::start(|_: &Request| Reply::raw("").then(After::Hang));
    let silent = format!("http://127.0.0.1:{}", silent.port());
    let check = |url: &str, keys: &str, details: Value, says: &str, says_not: &str| {
        files.upstreams(&one(url, keys));
        let verdict = verdict(&files.mirror(), &details);
        assert!(verdict.contains(says) && !verdict.contains(says_not), "{keys} {details}: {verdict}");
    };
    let through = format!("  proxy_url: http://u:hush@127.0.0.1:{}", denying.port());
    let no_proxy = "added to no_proxy of upstream a in the upstreams file";
    check("http://127.0.0.1:1", &through, named("a"), no_proxy, "--no-proxy");
    let of_file = "raise timeout of upstream a in the upstreams file";
    check(&silent, "  timeout: 700ms", named("a"), of_file, "requestTimeout");
    let shorter = json!({"upstream": "a", "requestTimeout": 500});
    let of_details = "raise requestTimeout in the Connection Details";
    check(&silent, "  timeout: 700ms", shorter, of_details, "timeout of upstream");
}
