//! `prometheusmirror check`: its verdict on mirrors and on other servers.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::mirror::{API_KEY, BINARY, Mirror};
use crate::support::process::{free_port, wait_until};
use crate::support::stub::{Reply, Stub};

/// Runs the check with these arguments and only these variables.
fn check_with(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(BINARY);
    command.arg("check").args(args).env_clear().envs(variables.iter().copied());
    command.output().unwrap()
}

/// Checks for this exit code, these parts in the one line on standard output or error, and no secret in either.
fn check(args: &[&str], variables: &[(&str, &str)], code: i32, parts: &[&str]) {
    let output = check_with(args, variables);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let context = format!("{args:?} {variables:?}: {out:?} {err:?}");
    assert_eq!(output.status.code(), Some(code), "{context}");
    let (said, silent) = if code == 0 { (&out, &err) } else { (&err, &out) };
    assert!(silent.is_empty() && said.lines().count() == 1 && said.ends_with('\n'), "{context}");
    assert!(parts.iter().all(|part| said.contains(part)), "{context}");
    assert!(!said.contains(API_KEY) && !said.contains("hush"), "{context}");
}

/// The port of a mirror, as text.
fn port(mirror: &Mirror) -> String {
    mirror.base().rsplit_once(':').unwrap().1.to_owned()
}

#[test]
fn a_mirror_that_is_ready_passes() {
    let mirror = Mirror::start();
    let (base, port) = (mirror.base(), port(&mirror));
    check(&[base], &[], 0, &[base, "/-/ready responds with 200"]);
    check(&[&format!("{base}/")], &[("API_KEY", API_KEY)], 0, &["responds with 200 and the right key"]);
    check(&[&format!("{base}/-/healthy")], &[], 0, &["/-/healthy responds with 200"]);
    // The check finds the local mirror by the same settings.
    check(&[], &[("PORT", &port), ("API_KEY", API_KEY)], 0, &["http://127.0.0.1:", &port, "right key"]);
    check(&["--port", &port, "--listen", "127.0.0.1"], &[], 0, &[&port]);
}

#[test]
fn the_key_is_compared_where_it_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (good, other, empty) = (file("good", API_KEY), file("other", "hush"), file("empty", ""));
    let stub = Stub::start(|_| Reply::http(200, "text/plain", "ok\n"));
    let no_mirror = format!("http://127.0.0.1:{}", stub.port());
    for flags in [&[] as &[&str], &["--require-api-key", "true"]] {
        let mirror = Mirror::start_with(flags);
        let base = mirror.base();
        check(&[base], &[("API_KEY_FILE", &good)], 0, &["right key"]);
        check(&[base], &[("API_KEY_FILE", &empty)], 1, &[&empty, "is empty"]);
        // Without a key, the check accepts any.
        check(&[base], &[], 0, &["responds with 200"]);
        let wrong = if flags.is_empty() { "another key" } else { "no key" };
        check(&[base], &[("API_KEY_FILE", &other)], 1, &[base, wrong]);
    }
    check(&[&no_mirror], &[("API_KEY", API_KEY)], 1, &[&no_mirror, "no key", "another program"]);
}

#[test]
fn what_does_not_respond_or_not_well_fails() {
    let no_listener = format!("http://127.0.0.1:{}", free_port());
    check(&[&no_listener], &[], 1, &[&no_listener, "does not respond", "check that the URL has the right scheme"]);
    check(&["http://no-such-name.invalid/"], &[], 1, &["no-such-name.invalid", "does not respond"]);
    let mirror = Mirror::start();
    check(&[&format!("{}/nowhere", mirror.base())], &[], 1, &["/nowhere responds with 404 instead of 200"]);
    check(&["http://user:hush@m/"], &[], 1, &["http://prometheusmirror:9900/", "without user and password"]);
    check(&["--port", "many"], &[], 2, &["--port must be"]);
}

#[test]
fn a_mirror_that_is_leaving_does_not_pass() {
    let mirror = Mirror::start_with(&["--shutdown-delay", "20"]);
    check(&[mirror.base()], &[], 0, &["200"]);
    mirror.signal("TERM");
    wait_until(|| "it fails".to_owned(), || check_with(&[mirror.base()], &[]).status.code() == Some(1));
    check(&[mirror.base()], &[], 1, &["responds with 503 instead of 200", "shutting down"]);
}

#[test]
fn silence_fails_within_five_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let begun = Instant::now();
    check(&[&url], &[], 1, &[&url, "does not respond", "timeout"]);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
