//! The upstreams file: refused at the start, followed while the mirror runs.

use super::{Files, named, one, until_verdict, verdict, with_one};
use crate::http::settings::check_refused;
use crate::support::mirror::API_KEY;
use crate::support::process::wait_until;
use crate::support::prometheus;

#[test]
fn a_bad_file_stops_the_start_with_path_line_and_what_is_allowed() {
    let check = |yaml: Option<&str>, says: &[&str]| {
        let files = Files::new();
        if let Some(yaml) = yaml {
            files.upstreams(yaml);
        }
        let path = files.path("upstreams.yaml");
        let path = path.to_str().unwrap();
        let all: Vec<&str> = says.iter().copied().chain([path]).collect();
        check_refused(&["--upstreams-file", path], &[("API_KEY", API_KEY)], &all);
    };
    check(None, &["cannot be read", "No such file"]);
    check(
        Some("upstreams: [{name: a, url: 'http://p', pasword: x}]"),
        &["line 1", "unknown key pasword", "basic_auth"],
    );
    check(Some("upstreams:\n- name: a\n  url: ["), &["not valid YAML"]);
    check(
        Some(&one("http://p", "  authorization: {credentials_file: missing}")),
        &["upstream a", "missing cannot be read"],
    );
    check(Some(&one("https://p", "  tls_config: {ca_file: upstreams.yaml}")), &["upstream a", "certificates in PEM"]);
}

#[test]
fn a_changed_file_is_taken_over_and_a_broken_one_is_not() {
    let (files, url) = (Files::new(), prometheus::shared().url(""));
    let mirror = with_one(&files, &url, "");
    assert_eq!(verdict(&mirror, &named("a")), "OK");
    files.upstreams("upstreams: [{name: a, hush: x}]");
    files.upstreams(&one("http://127.0.0.1:1", ""));
    until_verdict(&mirror, "Connection refused");
    files.upstreams("upstreams: [{name: a, hush: x}]");
    wait_until(
        || format!("it is told of: {}", mirror.log()),
        || mirror.log().contains("unknown key") && mirror.log().contains("not taken over"),
    );
    assert!(verdict(&mirror, &named("a")).contains("Connection refused"));
    files.upstreams(&one(&url, ""));
    until_verdict(&mirror, "OK");
    // It holds a moment before it is told.
    let is_told = || mirror.log().matches("change=\"taken over\"").count() >= 2;
    wait_until(|| format!("both changes are told: {}", mirror.log()), is_told);
    let page = mirror.get("/metrics").text;
    let counted = |outcome: &str| {
        let series = format!("prometheusmirror_file_reloads_total{{file=\"upstreams\",outcome=\"{outcome}\"}} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or_else(|| panic!("{page}"));
        line.parse::<u64>().unwrap()
    };
    assert!(counted("taken_over") >= 2 && counted("failed") >= 1, "{page}");
}
