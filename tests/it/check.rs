//! `prometheusmirror check`: its verdict on mirrors and on other servers.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::certificates::Certificates;
use crate::support::mirror::{API_KEY, BINARY, Mirror};
use crate::support::nginx;
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
    // Behind an Ingress with a path.
    let prefixed = nginx::start("", "", &format!("location /mirror/ {{ proxy_pass {base}/; }}"));
    let prefixed = format!("http://localhost:{}/mirror/", prefixed.port());
    check(&[&prefixed], &[("API_KEY", API_KEY)], 0, &["/mirror/-/ready responds with 200 and the right key"]);
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
        check(&[base], &[("API_KEY_FILE", &other)], 1, &[base, wrong, "the key given here may be wrong"]);
    }
    check(&[&no_mirror], &[("API_KEY", API_KEY)], 1, &[&no_mirror, "no key", "another program"]);
}

#[test]
fn what_does_not_respond_or_not_well_fails() {
    let no_listener = format!("http://127.0.0.1:{}", free_port());
    check(&[&no_listener], &[], 1, &[&no_listener, "does not respond", "check that the URL has the right scheme"]);
    check(&["http://no-such-name.invalid/"], &[], 1, &["no-such-name.invalid", "does not respond"]);
    let mirror = Mirror::start();
    check(&[&format!("{}/nowhere", mirror.base())], &[], 1, &["/nowhere/-/ready responds with 404 instead of 200"]);
    check(&["http://user:hush@m/"], &[], 2, &["http://prometheusmirror:9900 (http or https", "without user, password"]);
    check(&["nonsense"], &[], 2, &["http://prometheusmirror:9900 (http or https"]);
    check(&["http://localhost:99999/"], &[], 2, &["a port up to 65535"]);
    check(&["--require-api-key", &no_listener], &[], 2, &["--require-api-key does not go with check: leave it out"]);
    let closing = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closing.local_addr().unwrap());
    thread::spawn(move || closing.incoming().for_each(drop));
    check(&[&url], &[], 1, &[&url, "does not respond: it closed the connection before its response ended;"]);
    let proxy = Stub::start(|_| Reply::http(502, "text/html", ""));
    check(&[&format!("http://127.0.0.1:{}", proxy.port())], &[], 1, &["502 instead of 200", "proxy in front"]);
    check(&["--port", "many"], &[], 2, &["--port must be"]);
    check(&["--typo"], &[], 2, &["check --help lists the flags"]);
}

#[test]
fn a_mirror_behind_a_private_authority_is_trusted_by_the_ca_path_and_told_of_in_plain_words() {
    let (certificates, mirror) = (Certificates::of("localhost"), Mirror::start());
    let Certificates { authority, certificate, key, .. } = &certificates;
    let server = format!(
        "ssl_certificate {}; ssl_certificate_key {}; location / {{ proxy_pass {}; }}",
        certificate.display(),
        key.display(),
        mirror.base()
    );
    let ingress = nginx::start(" ssl", "", &server);
    let (good, port) = (format!("https://localhost:{}", ingress.port()), ingress.port());
    let ca = authority.to_str().unwrap();
    let variables = [("API_KEY", API_KEY)];
    check(&[&good, "--ca-path", ca], &variables, 0, &[&good, "right key"]);
    check(&[&good], &[("API_KEY", API_KEY), ("CA_PATH", ca)], 0, &["right key"]);
    let ask = |url: &str, more: &[&str]| {
        let args = [&["ask", "--mirror", url, "--url", "http://127.0.0.1:1", "--test"], more].concat();
        let output = Command::new(BINARY).args(args).env_clear().output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    // The mirror answers that there is no Prometheus.
    let (code, said) = ask(&good, &["--ca-path", ca]);
    assert!(code == 1 && said.contains("Prometheus at 127.0.0.1:1 cannot be reached"), "{said}");
    let untrusted =
        "its certificate is issued by an authority that this command does not trust (it trusts the public ones";
    for (url, parts) in [
        (good.clone(), [untrusted, "added to the --ca-path of this command"]),
        (
            format!("https{}", mirror.base().strip_prefix("http").unwrap()),
            ["does not speak TLS on this port", "http://"],
        ),
    ] {
        check(&[&url], &[], 1, &[&[url.as_str()], &parts[..]].concat());
        let (code, said) = ask(&url, &[]);
        assert!(code == 1 && [url.as_str(), parts[0], parts[1]].iter().all(|part| said.contains(part)), "{said}");
    }
    let other_name = format!("https://127.0.0.1:{port}");
    check(&[&other_name, "--ca-path", ca], &[], 1, &["not for this host", "use a host in the URL of the mirror"]);
    check(&[&good, "--ca-path", "/nowhere"], &[], 1, &["--ca-path, or CA_PATH, must be", "/nowhere"]);
    // The file is not needed for http.
    check(&[mirror.base(), "--ca-path", "/nowhere"], &[], 0, &["200"]);
    check(&[&format!("http://localhost:{port}")], &[], 1, &["responds with 400", "may require https"]);
    for (status, says) in [
        (400, "400 instead of 200: the proxy in front may require a client certificate, and this command has none"),
        (403, "403 instead of 200: the proxy in front refuses the request"),
        (
            429,
            "429 instead of 200: the proxy in front limits or fails requests, or it is another program: look at its log",
        ),
        (404, "404 instead of 200: it is another program, or the path is wrong"),
    ] {
        let refusing = format!(
            "ssl_certificate {}; ssl_certificate_key {}; location / {{ return {status}; }}",
            certificate.display(),
            key.display()
        );
        let refusing = nginx::start(" ssl", "", &refusing);
        let url = format!("https://localhost:{}", refusing.port());
        check(&[&url, "--ca-path", ca], &[], 1, &[says]);
    }
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
