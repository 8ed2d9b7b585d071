//! The password of a proxy: only the proxy gets it.

use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{check_fails, verdict};
use crate::http::settings::check_refused;
use crate::support::mirror::{API_KEY, Mirror};
use crate::support::process::proc_file;
use crate::support::prometheus;
use crate::support::tinyproxy::{PASSWORD, Tinyproxy, USER};

const KEY: [(&str, &str); 1] = [("API_KEY", API_KEY)];

#[test]
fn with_a_file_the_password_is_nowhere_but_in_it() {
    let proxy = Tinyproxy::start("");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy");
    fs::write(&path, format!("{}\n", proxy.url())).unwrap();
    let mirror = Mirror::start_with(&["--proxy-file", path.to_str().unwrap(), "--no-proxy", ""]);
    let details = prometheus::shared().details();
    assert_eq!(verdict(&mirror, &details), "OK");
    assert_eq!(proxy.tunnels(&super::target(&details)), 1);
    // The file is read once, so later changes do not matter.
    fs::remove_file(&path).unwrap();
    proxy.kill();
    check_fails(&mirror, &details, &["through the proxy", &proxy.address()]);
    proxy.start_again();
    assert_eq!(verdict(&mirror, &details), "OK");

    let places = [
        mirror.log(),
        mirror.get("/metrics").text,
        mirror.get("/").text,
        proc_file(mirror.pid(), "environ"),
        proc_file(mirror.pid(), "cmdline"),
    ];
    for secret in [PASSWORD.to_owned(), BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"))] {
        for place in &places {
            assert!(!place.contains(&secret), "{secret} is in {place}");
        }
    }
}

#[test]
fn a_bad_proxy_stops_the_start_and_is_not_shown() {
    for url in [
        "proxy.example:3128",
        "hush",
        "http://user:hush@",
        "http://user:hush@proxy.example:99999",
        "http://user:hush@proxy.example/path",
        "http://user:hush@proxy.example?hush",
        "http://us er:hush@proxy.example",
        "socks5://user:hush@proxy.example",
        "hush/no-absolute-path",
    ] {
        for (flags, environment, name) in [
            (vec!["--proxy", url], KEY.to_vec(), "--proxy must be"),
            (vec![], vec![KEY[0], ("PROXY", url)], "PROXY must be"),
        ] {
            let text = check_refused(&flags, &environment, &[name, "http://user:password@proxy.example:3128"]);
            assert!(!text.contains("hush"), "{text}");
        }
    }
}

#[test]
fn a_bad_file_of_the_proxy_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy");
    let name = path.to_str().unwrap();
    let check = |says: &str| {
        let text = check_refused(&["--port", "0"], &[KEY[0], ("PROXY_FILE", name)], &[name, says, "--proxy-file"]);
        assert!(!text.contains("hush"), "{text}");
    };
    check("cannot be read: No such file");
    let long = "http://hush@p/".repeat(300);
    for bad in ["", "hush", "http://user:hush@", "http://user:hush@p:1\nhttp://user:hush@q:1"] {
        fs::write(&path, bad).unwrap();
        check("must hold a URL such as http://user:password@proxy.example:3128");
    }
    fs::write(&path, [0xff, 0xfe]).unwrap();
    check("must hold a URL");
    fs::write(&path, long).unwrap();
    check("is longer than 4096 bytes");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    check("is not a regular file");
}

#[test]
fn an_entry_of_no_proxy_that_is_none_is_named() {
    let proxy = ("PROXY", "http://proxy.example:3128");
    for bad in ["http://a", "192.168.1.*", "10.0.0.0/33", "a:0"] {
        let list = format!(".svc,{bad},localhost");
        let says = [bad, "networks such as 10.0.0.0/8", "not \""];
        let text =
            check_refused(&["--no-proxy", &list], &[KEY[0], proxy], &[&["--no-proxy must be"], &says[..]].concat());
        assert!(!text.contains("localhost"), "names others: {text}");
        check_refused(&[], &[KEY[0], proxy, ("NO_PROXY", &list)], &[&["NO_PROXY must be"], &says[..]].concat());
    }
}
