//! The API key in a file that changes, and which requests must carry the key.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::{Held, begin, check_ok, exchange_aside, get, post, test_connection};
use crate::http::settings::check_refused;
use crate::http::{address, check_refusal, exchange, header, read_one_response};
use crate::support::mirror::{API_KEY, Mirror, Response};
use crate::support::process::wait_until;
use crate::support::stub::{Stub, good};

/// How often the file is read.
const INTERVAL: Duration = Duration::from_secs(5);

/// The timeout of reads from a mirror.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Secret as Kubernetes mounts it: `key` is a link into `..data`, which is a link to a directory with the current version. A new
/// version is another directory; renaming a new link over `..data` activates it.
struct Secret {
    directory: TempDir,
}

impl Secret {
    fn new(version: &str, text: &str) -> Secret {
        let secret = Secret { directory: tempfile::tempdir().unwrap() };
        secret.turn(version, |folder| fs::write(folder.join("key"), text).unwrap());
        symlink("..data/key", secret.path()).unwrap();
        secret
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("key")
    }

    fn flags(&self) -> [String; 2] {
        ["--api-key-file".to_owned(), self.path().to_str().unwrap().to_owned()]
    }

    /// Starts a mirror with the file of its key and further flags.
    fn mirror(&self, flags: &[&str]) -> Mirror {
        let own = self.flags();
        Mirror::start_with(&[&own.each_ref().map(String::as_str), flags].concat())
    }

    /// Replaces the current version by another.
    fn turn(&self, version: &str, fill: impl FnOnce(&Path)) {
        let root = self.directory.path();
        let before = fs::read_link(root.join("..data"));
        let folder = format!("..{version}");
        fs::create_dir(root.join(&folder)).unwrap();
        fill(&root.join(&folder));
        symlink(&folder, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        if let Ok(before) = before {
            fs::remove_dir_all(root.join(before)).unwrap();
        }
    }
}

/// The key that a reply carries.
fn key_of(mirror: &Mirror) -> String {
    exchange(address(mirror), &get("/-/healthy")).key.expect("a key")
}

/// Waits until replies carry this key.
fn wait_for_key(mirror: &Mirror, key: &str) {
    wait_until(|| format!("the key is {key}; it is {}", key_of(mirror)), || key_of(mirror) == key);
}

/// How many warnings about the file the log has.
fn warnings(mirror: &Mirror) -> usize {
    let log = mirror.log();
    log.lines().filter(|line| line.contains("level=warn") && line.contains("msg=\"watched file\" file=key")).count()
}

#[test]
fn a_secret_that_is_turned_to_another_version_is_taken_over() {
    let secret = Secret::new("2024_01", "first-key\n");
    let mirror = secret.mirror(&[]);
    assert_eq!(key_of(&mirror), "first-key");
    let held = Held::start();
    let asked = exchange_aside(&mirror, test_connection(&held.stub.details()));
    held.wait_for(1);

    secret.turn("2024_02", |folder| fs::write(folder.join("key"), "second-key").unwrap());
    wait_for_key(&mirror, "second-key");
    // The reply to a request in flight has a key that was right at some time during it.
    held.release();
    let response = asked.join().unwrap();
    check_ok(&response);
    assert!(matches!(response.key.as_deref(), Some("first-key" | "second-key")), "{response:?}");

    assert_eq!(warnings(&mirror), 0, "{}", mirror.log());
    for key in ["first-key", "second-key"] {
        assert!(!mirror.log().contains(key), "{}", mirror.log());
    }
}

#[test]
fn a_key_taken_over_is_the_one_to_be_shown() {
    let secret = Secret::new("a", "first-key");
    let mirror = secret.mirror(&["--require-api-key", "true"]);
    let stub = Stub::start(good);
    let status_with = |key: &str| ask_with_key(&mirror, &stub, Some(key)).status;
    assert_eq!((status_with("first-key"), status_with("second-key")), (200, 401));
    secret.turn("b", |folder| fs::write(folder.join("key"), "second-key").unwrap());
    wait_until(|| "the second key is right".to_owned(), || status_with("second-key") == 200);
    assert_eq!(status_with("first-key"), 401);
}

#[test]
fn a_file_that_is_of_no_use_any_more_keeps_the_key_and_is_logged_once() {
    let check = |spoil: fn(&Path)| {
        let secret = Secret::new("good", "first-key\n");
        let mirror = secret.mirror(&[]);
        secret.turn("bad", spoil);
        let wait_for_warning =
            |count| wait_until(|| format!("{count} warnings in\n{}", mirror.log()), || warnings(&mirror) >= count);
        wait_for_warning(1);
        // Waits for one more read of the file, which has no visible effect.
        std::thread::sleep(INTERVAL + INTERVAL / 4);
        assert_eq!((warnings(&mirror), key_of(&mirror).as_str()), (1, "first-key"), "{}", mirror.log());
        let log = mirror.log();
        let line = log.lines().find(|line| line.contains("file=key")).unwrap();
        assert!(line.contains(secret.path().to_str().unwrap()), "does not name the file: {line}");
        assert!(!log.contains("hush"), "repeats the file: {log}");

        secret.turn("mended", |folder| fs::write(folder.join("key"), "second-key\n").unwrap());
        wait_for_key(&mirror, "second-key");
        secret.turn("worse", |_| {});
        wait_for_warning(2);
        assert_eq!(key_of(&mirror), "second-key");
    };
    std::thread::scope(|scope| {
        let spoilers: [fn(&Path); 5] = [
            |folder| fs::write(folder.join("key"), "").unwrap(),
            |folder| fs::write(folder.join("key"), "\n\n").unwrap(),
            |folder| fs::write(folder.join("key"), "hush hush\n").unwrap(),
            |folder| fs::create_dir(folder.join("key")).unwrap(),
            |_| {},
        ];
        for spoil in spoilers {
            scope.spawn(move || check(spoil));
        }
    });
}

#[test]
fn a_start_with_a_file_of_no_use_is_refused_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (name, text) in
        [("empty", ""), ("blank", "\n"), ("words", "hush hush"), ("lines", "hu\nsh"), ("long", &"k".repeat(1_025))]
    {
        fs::File::create(file(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }
    for name in ["missing", "empty", "blank", "words", "lines", "long", ""] {
        let path = file(name);
        check_refused(&["--api-key-file", &path], &[], &[&path]);
        check_refused(&[], &[("API_KEY_FILE", &path)], &[&path]);
    }
    // Either may have been meant.
    fs::write(file("good"), "k").unwrap();
    check_refused(&["--api-key-file", &file("good")], &[("API_KEY", API_KEY)], &["--api-key-file", "API_KEY"]);
}

/// A test connection with a key, or with none.
fn ask_with_key(mirror: &Mirror, stub: &Stub, key: Option<&str>) -> Response {
    let line = key.map(|key| format!("X-MIRROR-API-KEY: {key}\r\n")).unwrap_or_default();
    let lines = format!("Connection: close\r\n{line}");
    exchange(address(mirror), &post("/api/connection", &lines, &json!({"connectionDetails": stub.details()})))
}

/// A mirror that requires the key.
fn strict() -> Mirror {
    Mirror::start_with(&["--require-api-key", "true"])
}

/// Checks for a refusal because the key is missing or wrong, which reveals nothing about the key.
fn check_unauthorized(response: &Response, context: &str) {
    check_refusal(response, 401, context);
    assert!(
        header(&response.headers, "www-authenticate").is_some_and(|value| !value.is_empty()),
        "{context}: {response:?}"
    );
    assert_eq!(response.key, None, "{context}");
    assert!(!response.text.contains(API_KEY), "{context}");
}

#[test]
fn a_request_without_the_right_key_is_401_and_not_sent_upstream() {
    let (mirror, stub) = (strict(), Stub::start(good));
    let (longer, shorter) = (format!("{API_KEY}x"), &API_KEY[..API_KEY.len() - 1]);
    for key in [None, Some(""), Some("wrong"), Some(&longer), Some(shorter), Some(&API_KEY.to_uppercase())] {
        check_unauthorized(&ask_with_key(&mirror, &stub, key), &format!("{key:?}"));
    }
    assert_eq!(stub.requests(), []);
    let response = ask_with_key(&mirror, &stub, Some(API_KEY));
    check_ok(&response);
    assert_eq!(response.key.as_deref(), Some(API_KEY));
    assert!(!mirror.log().contains(API_KEY), "{}", mirror.log());
}

#[test]
fn every_path_of_the_mirror_api_wants_the_key_and_no_other_does() {
    let (mirror, stub) = (strict(), Stub::start(good));
    let body = json!({"connectionDetails": stub.details()});
    for path in [
        "/api/connection", "/api/field/name", "/api/field/value", "/api/metric", "//api//metric/", "/api/metric?x=1",
        "http://m/api/metric", "/api/nowhere",
    ] {
        for verb in ["POST", "GET", "PUT"] {
            let request = post(path, "Connection: close\r\n", &body);
            let request = [verb.as_bytes(), &request["POST".len()..]].concat();
            check_unauthorized(&exchange(address(&mirror), &request), &format!("{verb} {path}"));
        }
    }
    for (path, status) in [("/", 200), ("/-/healthy", 200), ("/-/ready", 200), ("/metrics", 200), ("/nowhere", 404)] {
        let response = exchange(address(&mirror), &get(path));
        assert_eq!((response.status, response.key.as_deref()), (status, None), "{path}");
        assert!(!response.text.contains(API_KEY), "{path}");
        let shown = String::from_utf8(get(path)).unwrap();
        let shown = shown.replacen("\r\n", &format!("\r\nx-mirror-api-key: {API_KEY}\r\n"), 1);
        let response = exchange(address(&mirror), shown.as_bytes());
        assert_eq!((response.status, response.key.as_deref()), (status, Some(API_KEY)), "{path}");
    }
}

#[test]
fn each_request_on_a_connection_has_to_show_the_key() {
    let (mirror, stub) = (strict(), Stub::start(good));
    let body = json!({"connectionDetails": stub.details()});
    let (with, without) = (format!("X-Mirror-Api-Key: {API_KEY}\r\n"), "");
    let mut stream = begin(&mirror, &post("/api/connection", &with, &body), PATIENCE);
    check_ok(&read_one_response(&mut stream).unwrap());
    stream.write_all(&post("/api/connection", without, &body)).unwrap();
    check_unauthorized(&read_one_response(&mut stream).unwrap(), "the second on its connection");
}

#[test]
fn without_the_setting_every_reply_carries_the_key_and_no_request_needs_it() {
    for flags in [&[] as &[&str], &["--require-api-key", "false"]] {
        let (mirror, stub) = (Mirror::start_with(flags), Stub::start(good));
        for key in [None, Some("wrong"), Some(API_KEY)] {
            let response = ask_with_key(&mirror, &stub, key);
            check_ok(&response);
            assert_eq!(response.key.as_deref(), Some(API_KEY));
        }
        for path in ["/", "/-/healthy", "/-/ready", "/metrics", "/nowhere", "/api/metric"] {
            assert_eq!(exchange(address(&mirror), &get(path)).key.as_deref(), Some(API_KEY), "{path}");
        }
    }
    check_refused(&["--require-api-key", "maybe"], &[("API_KEY", API_KEY)], &["--require-api-key", "maybe", "true"]);
}
