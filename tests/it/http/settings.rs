//! The start: the mirror reads settings from flags and the environment, and a bad one stops the start with a sentence.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::mirror::API_KEY;
use crate::support::process::wait_until;

use super::exchange;

/// The maximum duration of a start that fails.
const AT_ONCE: Duration = Duration::from_secs(5);

/// The mirror with only this in its environment.
fn program(flags: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prometheusmirror"));
    command.env_clear().envs(environment.iter().copied()).args(flags).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the mirror, which must end by itself.
fn run(flags: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut child = program(flags, environment).spawn().unwrap();
    let deadline = Instant::now() + AT_ONCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("still runs with {flags:?} {environment:?}: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// A mirror that has started, for tests of the start; killed when dropped.
struct Started {
    child: Child,
    address: String,
}

impl Started {
    fn start(flags: &[&str], environment: &[(&str, &str)]) -> Started {
        let mut child = program(flags, environment).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let (_, rest) = line.split_once("msg=listening address=")?;
            rest.split(' ').next().map(str::to_owned)
        });
        // A thread must read on, or the mirror would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Started { child, address: address.expect("a mirror that listens") }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Checks that the start fails with one line that contains all of these, and returns the line.
pub fn check_refused(flags: &[&str], environment: &[(&str, &str)], says: &[&str]) -> String {
    let output = run(flags, environment);
    let text = String::from_utf8(output.stderr).unwrap();
    let context = format!("{flags:?} {environment:?}: {} {text}", output.status);
    assert!(output.status.code().is_some_and(|code| code != 0), "{context}");
    assert!(output.stdout.is_empty(), "{context}");
    assert_eq!(text.trim_end().lines().count(), 1, "{context}");
    for part in says {
        assert!(text.contains(part), "does not say {part}: {context}");
    }
    assert!(!text.contains(API_KEY), "shows the key: {context}");
    text
}

const KEY: [(&str, &str); 1] = [("API_KEY", API_KEY)];

#[test]
fn a_start_without_a_key_is_refused() {
    check_refused(&[], &[], &["API_KEY"]);
    check_refused(&[], &[("API_KEY", "")], &["API_KEY"]);
    // A text that a header cannot carry is not a key.
    for bad in ["two\nlines", "a\rb", "nul\u{1}", "caf\u{e9}"] {
        let output = run(&["--port", "0"], &[("API_KEY", bad)]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains("API_KEY"), "{bad:?}: {text}");
        assert!(!text.contains(bad), "shows the key: {text}");
    }
}

#[test]
fn a_setting_out_of_its_bounds_is_refused_by_name() {
    let check = |flag: &str, value: &str, allowed: &[&str]| {
        check_refused(&[flag, value], &KEY, &[&[flag, value], allowed].concat());
        check_refused(&[&format!("{flag}={value}")], &KEY, &[&[flag, value], allowed].concat());
    };
    check("--workers", "0", &["1"]);
    check("--workers", "-1", &["1"]);
    check("--workers", "many", &["1"]);
    check("--workers", "99999999999999999999", &["1"]);
    check("--port", "70000", &["65535"]);
    check("--port", "http", &["65535"]);
    check("--log-level", "loud", &["error", "warn", "info", "debug"]);
    check("--listen", "not-an-address", &["address"]);
    check("--ca-path", "no-such-file.pem", &["PEM"]);
}

#[test]
fn what_is_no_setting_is_refused() {
    check_refused(&["--no-such-flag"], &KEY, &["--no-such-flag"]);
    check_refused(&["-x"], &KEY, &["-x"]);
    // The error does not repeat the value: it may be a key whose flag is missing.
    check_refused(&["stray"], &KEY, &["flag"]);
    check_refused(&["--port"], &KEY, &["--port"]);
}

#[test]
fn a_port_in_use_is_refused_by_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    check_refused(&["--listen", "127.0.0.1", "--port", &port], &KEY, &["127.0.0.1", &port]);
}

/// The rows of the help, each with the flag, the variable and the default of one setting.
fn settings() -> Vec<(String, String, String)> {
    let output = run(&["--help"], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let help = String::from_utf8(output.stdout).unwrap();
    let word = |line: &str, is_it: &dyn Fn(&str) -> bool| {
        line.split([' ', ',', '[', ']', '(', ')', '=', ':']).find(|word| is_it(word)).map(str::to_owned)
    };
    let is_variable = |word: &str| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    help.lines()
        .filter_map(|line| {
            let flag = word(line, &|word| word.starts_with("--"))?;
            Some((flag, word(line, &is_variable)?, line.to_owned()))
        })
        .collect()
}

#[test]
fn help_lists_every_setting_with_flag_variable_and_default() {
    let settings = settings();
    for (flag, state) in [
        ("--api-key", "required, unless --api-key-file is given"),
        ("--api-key-file", "required, unless --api-key is given"),
        ("--listen", "default: ::"),
        ("--port", "default: 9900"),
        ("--workers", "default: 20"),
        ("--queue-size", "default: 10 × workers"),
        ("--log-level", "default: info"),
        ("--ca-path", "default: off"),
    ] {
        let found = settings.iter().find(|(known, ..)| known == flag);
        let (_, _, line) = found.unwrap_or_else(|| panic!("{flag} is not in {settings:?}"));
        assert!(line.contains(state), "{line}");
    }
}

#[test]
fn a_variable_sets_what_its_flag_sets_and_the_flag_wins() {
    let variable_of = |flag: &str| settings().into_iter().find(|(known, ..)| known == flag).unwrap().1;
    let (listen, port, workers) = (variable_of("--listen"), variable_of("--port"), variable_of("--workers"));
    check_refused(&[], &[KEY[0], (&port, "70000")], &[&port, "70000", "65535"]);
    check_refused(&[], &[KEY[0], (&workers, "0")], &[&workers, "0"]);

    let environment = [KEY[0], (listen.as_str(), "127.0.0.1"), (port.as_str(), "0")];
    let started = Started::start(&[], &environment);
    assert!(started.address.starts_with("127.0.0.1:"), "{}", started.address);

    let flags = ["--listen", "127.0.0.1", "--port", "0", "--workers", "1"];
    let spoilt = [KEY[0], (listen.as_str(), "nowhere"), (port.as_str(), "70000"), (workers.as_str(), "0")];
    let started = Started::start(&flags, &spoilt);
    let request = b"GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";
    wait_until(|| format!("{} answers", started.address), || exchange(&started.address, request).status == 200);
}

#[test]
fn version_prints_name_and_version() {
    let output = run(&["--version"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.trim_end(), concat!("prometheusmirror ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_allocator_is_tuned_for_the_cores_of_the_process_unless_it_is_tuned_already() {
    let variables = |environment: &[(&str, &str)]| {
        let environment: Vec<(&str, &str)> = environment.iter().copied().chain(KEY).collect();
        let started = Started::start(&["--listen", "127.0.0.1", "--port", "0"], &environment);
        fs::read_to_string(format!("/proc/{}/environ", started.child.id())).unwrap()
    };
    let nproc = Command::new("nproc").output().unwrap().stdout;
    let cores: u32 = String::from_utf8(nproc).unwrap().trim().parse().unwrap();
    // Some versions of the C library write zeros between the settings while they read them.
    let ours = variables(&[]);
    assert!(ours.split(['\0', ':']).any(|one| one == format!("glibc.malloc.arena_max={}", cores.max(2))), "{ours:?}");
    let theirs = variables(&[("GLIBC_TUNABLES", "")]);
    assert!(theirs.contains("GLIBC_TUNABLES=") && !theirs.contains("glibc.malloc"), "{theirs:?}");
}

#[test]
fn proxies_of_the_environment_are_not_used() {
    use crate::support::stub::{Reply, Stub, good};
    let proxy = Stub::start(|_| Reply::http(502, "text/plain", "a proxy"));
    let stub = Stub::start(good);
    let address = format!("http://127.0.0.1:{}", proxy.port());
    let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let environment: Vec<(&str, &str)> = names.iter().map(|name| (*name, address.as_str())).chain(KEY).collect();
    let started = Started::start(&["--listen", "127.0.0.1", "--port", "0"], &environment);
    let body = serde_json::json!({"connectionDetails": stub.details()}).to_string();
    let length = body.len();
    let head =
        format!("POST /api/connection HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    let response = exchange(&started.address, (head + &body).as_bytes());
    assert_eq!(response.json["status"], "OK", "{}", response.text);
    assert_eq!(proxy.requests(), []);
}
