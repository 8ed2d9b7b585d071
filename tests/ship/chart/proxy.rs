//! The proxy to Prometheus.

use serde_json::json;

use super::helm::{HELMS, Install, text};
use super::key::decoded;

fn with_proxy(url: &str) -> Install {
    Install::promised().with(&["--set-literal", &format!("global.proxy.url={url}")])
}

#[test]
fn the_url_of_a_proxy_is_a_file_from_a_secret() {
    for url in [
        "http://proxy.example:3128",
        "https://user:pass%40word@proxy.example",
        "HTTP://user@10.0.0.1:8080/",
        "http://[fd00::1]:3128",
    ] {
        let rendered = with_proxy(url).render();
        let secret = rendered.named("Secret", "prometheusmirror-proxy");
        assert_eq!(decoded(secret["data"]["url"].as_str().unwrap()), url);
        assert_eq!(rendered.variable("PROXY_FILE"), Some("/etc/prometheusmirror/proxy/url"));
        let volume = json!({"name": "proxy", "secret": {"secretName": "prometheusmirror-proxy", "defaultMode": 0o444}});
        assert_eq!(rendered.pod()["volumes"][1], volume);
        let mount = json!({"name": "proxy", "mountPath": "/etc/prometheusmirror/proxy", "readOnly": true});
        assert_eq!(rendered.container()["volumeMounts"][1], mount);
    }
}

#[test]
fn without_a_proxy_nothing_is_said_of_one() {
    for none in ["", "null"] {
        let rendered = Install::promised().set(&format!("global.proxy.url={none}")).render();
        assert_eq!((rendered.variable("PROXY_FILE"), rendered.variable("NO_PROXY")), (None, None));
        assert_eq!(rendered.pod()["volumes"].as_array().unwrap().len(), 1);
    }
    assert_eq!(Install::promised().set("global.proxy=null").render().variable("PROXY_FILE"), None);
}

#[test]
fn hosts_that_bypass_the_proxy_are_a_list() {
    let check = |set: &str, expected: &str| {
        assert_eq!(with_proxy("http://proxy.example").set(set).render().variable("NO_PROXY"), Some(expected), "{set}");
    };
    check("noProxy={.svc,10.0.0.0/8}", ".svc,10.0.0.0/8");
    check("noProxy={*}", "*");
    let url = with_proxy("http://proxy.example").set("noProxy={p,http://p}");
    url.check_refused(&["noProxy[1] must be a host such as", "without http:// and without a path", " .example, "]);
    // An empty variable would count as not given, and the default is not empty.
    let nothing = with_proxy("http://proxy.example").with(&["--set-json", "noProxy=[]"]).render();
    assert_eq!(nothing.variable("NO_PROXY"), Some(","));
}

#[test]
fn a_url_that_no_proxy_has_is_refused_and_not_repeated() {
    for url in [
        "proxy.hush:3128", "socks5://proxy.hush", "http://user:hush@", "http://u:hush@p/path", "http://u:hush@p:x",
        "http://u:hush@p:0", "http://u:hush@p:65536", "http://u:hu@sh@p", "http://hush hush",
    ] {
        let install = with_proxy(url);
        install.check_refused(&["global.proxy.url must be a URL such as http://user:password@proxy.example:3128"]);
        for version in HELMS {
            let said = text(&install.run(version, "template", &[]));
            assert!(!said.contains("hush"), "repeats the URL: {said}");
        }
    }
}

#[test]
fn another_proxy_replaces_the_pods() {
    let annotations = |install: Install| install.render().only("Deployment")["spec"]["template"]["metadata"].clone();
    let (one, other) = (annotations(with_proxy("http://one")), annotations(with_proxy("http://other")));
    assert_ne!(one["annotations"]["checksum/restart"], other["annotations"]["checksum/restart"]);
    // Also if an annotation of a user has the same name.
    let theirs = with_proxy("http://proxy.example:3128").set("podAnnotations.checksum/restart=x").render();
    let theirs = &theirs.only("Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/restart"];
    assert_eq!(theirs.as_str().map(str::len), Some(64), "{theirs}");
    assert_eq!(annotations(Install::promised()).get("annotations"), None);
}
