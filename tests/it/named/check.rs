//! `prometheusmirror check --upstreams`: a line for each upstream.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::Files;
use crate::support::mirror::BINARY;
use crate::support::prometheus;
use crate::support::stub::{self, Request, Stub};

fn check(files: &Files, arguments: &[&str]) -> (i32, String, String) {
    let path = files.path("upstreams.yaml");
    let Output { status, stdout, stderr } =
        Command::new(BINARY).arg("check").args(arguments).env_clear().env("UPSTREAMS_FILE", path).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn each_upstream_and_replica_has_a_line_and_the_exit_code_says_whether_all_answer() {
    let (files, url) = (Files::new(), prometheus::shared().url(""));
    let port = prometheus::shared().details()["port"].to_string();
    files.upstreams(&format!("upstreams: [{{name: one, url: '{url}'}}, {{name: two, url: '{url}/'}}]"));
    let (code, lines, errors) = check(&files, &["--upstreams"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{lines}");
    let [one, two] = lines.lines().collect::<Vec<_>>().try_into().unwrap();
    assert!(one.starts_with(&format!("one (127.0.0.1:{port}): OK, ")) && one.ends_with(" ms"), "{one}");
    assert!(two.starts_with("two (") && two.contains("): OK, "), "{two}");

    files.upstreams(&format!("upstreams: [{{name: one, urls: ['http://127.0.0.1:1', '{url}']}}]"));
    let (code, lines, _) = check(&files, &["--upstreams"]);
    let [down, up] = lines.lines().collect::<Vec<_>>().try_into().unwrap();
    assert!(down.starts_with("one (127.0.0.1:1): FAILED: cannot be reached: Connection refused; check "), "{down}");
    assert_eq!(down.matches("127.0.0.1:1").count(), 1, "{down}");
    assert!(down.contains("check the port of urls in the upstreams file"), "{down}");
    assert!(up.contains("): OK, ") && code == 1, "{up}");

    // An error names the key that the file has.
    for key in ["url: http://127.0.0.1:1", "urls: ['http://127.0.0.1:1']"] {
        files.upstreams(&format!("upstreams: [{{name: one, {key}}}]"));
        let (_, line, _) = check(&files, &["--upstreams"]);
        let (name, _) = key.split_once(':').unwrap();
        assert!(line.contains(&format!("check the port of {name} in the upstreams file")), "{line}");
    }
}

#[test]
fn upstreams_are_tested_at_the_same_time_and_told_of_in_the_order_of_the_file() {
    let slow = Stub::start(|request: &Request| stub::good(request).delayed(Duration::from_millis(700)));
    let (good, files) = (prometheus::shared().url(""), Files::new());
    let names: Vec<String> = (0..20).map(|nth| format!("u{nth}")).collect();
    let upstream = |(nth, name): (usize, &String)| match nth % 2 {
        0 => format!("{{name: {name}, url: 'http://127.0.0.1:{}'}}", slow.port()),
        _ => format!("{{name: {name}, url: '{good}'}}"),
    };
    let list: Vec<String> = names.iter().enumerate().map(upstream).collect();
    files.upstreams(&format!("upstreams: [{}]", list.join(", ")));
    let begun = Instant::now();
    let (code, lines, _) = check(&files, &["--upstreams"]);
    // Ten slow ones, one after the other, would take seven seconds.
    assert!(code == 0 && begun.elapsed() < Duration::from_secs(4), "{:?} {lines}", begun.elapsed());
    let told: Vec<&str> = lines.lines().filter_map(|line| line.split_once(" (").map(|(name, _)| name)).collect();
    assert_eq!(told, names);
}

#[test]
fn what_is_wrong_with_the_file_or_the_command_is_said() {
    let files = Files::new();
    let says = |arguments: &[&str], expected: i32, says: &str| {
        let (code, lines, errors) = check(&files, arguments);
        assert!(code == expected && lines.is_empty() && errors.contains(says), "{arguments:?}: {code} {errors}");
    };
    says(&["--upstreams"], 1, "cannot be read");
    files.upstreams("upstreams: [{name: a, url: 'http://p', hush: x}]");
    says(&["--upstreams"], 1, "line 1: upstreams[0] has an unknown key: the keys are name, ");
    says(&["--upstreams", "http://p"], 2, "give the file with --upstreams-file");
    let output = Command::new(BINARY).args(["--upstreams"]).env_clear().output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("--upstreams goes with check"));
    let output = Command::new(BINARY).args(["check", "--upstreams"]).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--upstreams-file or UPSTREAMS_FILE must be given"));
}
