//! The parts of the explorer: their paths, their headers, and who gets them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::mirror::{API_KEY, Mirror};
use crate::support::oracle::{Nan, raw};
use crate::support::samples::{HOUR, T0, one};

use super::{check_table, open, run, url};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The names of the script files.
fn scripts() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".js")).collect()
}

#[test]
fn browsers_get_the_page_with_a_strict_policy_and_programs_text() {
    let mirror = Mirror::start();
    let check = |path: &str, accept: &str, content_type: &str, part: &str| {
        let response = mirror.get_with(path, "Accept", accept);
        let header = |name: &str| response.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!(response.status, 200, "{path}");
        assert!(header("content-type").unwrap().starts_with(content_type), "{path}: {response:?}");
        assert!(response.text.contains(part), "{path}: {}", response.text);
        if content_type != "text/plain" {
            let policy = header("content-security-policy").unwrap();
            assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
            assert_eq!(header("referrer-policy"), Some("no-referrer"), "{path}");
            assert_eq!(header("cache-control"), Some("no-cache"), "{path}");
        }
    };
    check("/", "*/*", "text/plain", "A gateway");
    check("/", "text/plain, text/html;q=0.5", "text/plain", "A gateway");
    check("/", BROWSER, "text/html", "<!DOCTYPE html>");
    check("/explorer.css", "text/css", "text/css", "color-scheme");
    check("/explorer.json", "*/*", "application/json", "version");
    assert!(scripts().len() > 5);
    let page = mirror.get_with("/", "Accept", BROWSER).text;
    for script in scripts() {
        check(&format!("/explorer/{script}"), "*/*", "text/javascript", "// ");
        // A script that the page does not name is loaded only after the one that imports it.
        assert!(page.contains(&format!("\"explorer/{script}\"")), "{script}");
    }
}

#[test]
fn without_the_explorer_browsers_get_the_text() {
    let mirror = Mirror::start_with(&["--explorer", "false"]);
    assert!(mirror.get_with("/", "Accept", BROWSER).text.starts_with("prometheusmirror "));
    for path in ["/explorer/main.js", "/explorer.css", "/explorer.json"] {
        assert_eq!(mirror.get(path).status, 404, "{path}");
    }
    let details = json!({"connectionDetails": {"host": "p", "port": 9090}});
    assert_eq!(mirror.post("/api/connection/check", &details).status, 404);
}

#[test]
fn the_names_of_upstreams_are_for_those_who_have_the_key() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("upstreams: [{{name: shop, url: '{}'}}]", url())).unwrap();
    let upstreams = ["--upstreams-file", file.path().to_str().unwrap()];
    let facts = Mirror::start_with(&upstreams).get("/explorer.json").json;
    let expected = json!({"version": env!("CARGO_PKG_VERSION"), "requiresKey": false, "namedUpstreamsOnly": false, "upstreams": ["shop"]});
    assert_eq!(facts, expected);
    let keyed = Mirror::start_with(
        &[&upstreams[..], &["--require-api-key", "true", "--named-upstreams-only", "true"]].concat(),
    );
    assert_eq!(keyed.get("/explorer.json").json["upstreams"], Value::Null);
    assert_eq!(keyed.get_with("/explorer.json", "X-MIRROR-API-KEY", API_KEY).json["upstreams"], json!(["shop"]));

    let browser = open(&keyed, "name=room_celsius&method=raw");
    browser.set("[name=url]", &url());
    browser.click("#test");
    browser.wait("document.querySelector('#verdict').textContent.includes('key')");
    browser.type_into("#key", API_KEY);
    browser.click("#test");
    browser.wait("document.querySelector('[name=by]').value === 'upstream:shop'");
    browser.click("#test");
    browser.wait("document.querySelector('#verdict').className === 'good'");
    run(&browser);
    check_table(&browser, &raw(one("room_celsius", &[]), T0, T0 + HOUR, Nan::None));
    let kept = browser.run("return location.href + document.cookie + JSON.stringify({...localStorage, ...sessionStorage}) + document.querySelector('#result').textContent");
    assert!(kept.as_str().unwrap().contains("upstream%3Ashop") && !kept.as_str().unwrap().contains(API_KEY), "{kept}");
    browser.check_clean(keyed.base(), &["401 (Unauthorized)"]);
}
