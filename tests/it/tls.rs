//! A real Prometheus that requires https and a password, with a certificate of a CA of the tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::http::settings::check_refused;
use crate::support::certificates::{Certificates, ENCODED, PASSWORD};
use crate::support::mirror::{API_KEY, Mirror};
use crate::support::process::{Server, wait_until};

/// A mirror that trusts the CA certificates in a file, or in a directory.
fn trusting(path: &Path) -> Mirror {
    Mirror::start_with(&["--ca-path", path.to_str().unwrap()])
}

fn url(server: &Server, host: &str, credentials: &str) -> Value {
    let port = &server.details()["port"];
    json!({"url": format!("https://{credentials}{host}:{port}/")})
}

/// The verdict of a test connection: its status, or the text of its error.
fn verdict(mirror: &Mirror, details: &Value) -> String {
    let response = mirror.post("/api/connection", &json!({"connectionDetails": details}));
    let error = &response.json["error"];
    if error.is_null() { response.json["status"].to_string() } else { error.to_string() }
}

#[test]
fn an_upstream_may_speak_https_and_ask_for_a_password() {
    let certificates = Certificates::of("localhost");
    let (mirror, prometheus) = (trusting(&certificates.authority), certificates.prometheus());
    let with_password = url(&prometheus, "localhost", &format!("ever:{ENCODED}@"));
    wait_until(
        || format!("the connection is good: {}", verdict(&mirror, &with_password)),
        || verdict(&mirror, &with_password) == "\"OK\"",
    );

    let without = verdict(&mirror, &url(&prometheus, "localhost", ""));
    assert!(without.contains("MetricStoreConnectionError") && without.contains("401"), "{without}");
    let wrong = verdict(&mirror, &url(&prometheus, "localhost", "ever:wrong-secret@"));
    assert!(wrong.contains("401") && !wrong.contains("wrong-secret"), "{wrong}");

    // A name that is not in the certificate, and a mirror that trusts only public CAs.
    let other_name = verdict(&mirror, &url(&prometheus, "127.0.0.1", &format!("ever:{ENCODED}@")));
    let distrusting = verdict(&Mirror::start(), &with_password);
    for (refused, says) in [(other_name, "its certificate is not for this host"), (distrusting, "--ca-path")] {
        assert!(refused.contains("MetricStoreConnectionError") && refused.contains(says), "{refused}");
    }
    let log = mirror.log();
    for secret in [PASSWORD, ENCODED, "wrong-secret"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn authorities_may_stand_in_the_files_of_a_directory_as_kubernetes_mounts_them() {
    let (ours, other) = (Certificates::of("localhost"), Certificates::of("localhost"));
    let (prometheus, of_other) = (ours.prometheus(), other.prometheus());
    // The entries are links into a directory that is replaced as a whole when the ConfigMap changes.
    let folder = tempfile::tempdir().unwrap();
    let (mounted, data) = (folder.path(), folder.path().join("..2026_01_02_03_04_05.678"));
    fs::create_dir(&data).unwrap();
    symlink(data.file_name().unwrap(), mounted.join("..data")).unwrap();
    for (name, certificates) in [("a.crt", &other), ("b.crt", &ours)] {
        fs::copy(&certificates.authority, data.join(name)).unwrap();
        symlink(Path::new("..data").join(name), mounted.join(name)).unwrap();
    }
    // Files that are not entries of the ConfigMap are not read.
    fs::write(mounted.join(".hidden"), "no certificate").unwrap();
    fs::create_dir(mounted.join("directory")).unwrap();

    let mirror = trusting(mounted);
    for server in [&prometheus, &of_other] {
        let url = url(server, "localhost", &format!("ever:{ENCODED}@"));
        wait_until(
            || format!("the connection is good: {}", verdict(&mirror, &url)),
            || verdict(&mirror, &url) == "\"OK\"",
        );
    }
    let without = trusting(&ours.authority);
    let refused = verdict(&without, &url(&of_other, "localhost", &format!("ever:{ENCODED}@")));
    assert!(refused.contains("--ca-path"), "{refused}");
}

#[test]
fn a_file_of_authorities_that_is_none_stops_the_start_and_is_named() {
    let certificates = Certificates::of("localhost");
    // Beside a good file. If no file is at fault, the error names the directory.
    let check = |make: &dyn Fn(&Path), culprit: Option<&str>, says: &str| {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(&certificates.authority, folder.path().join("good.pem")).unwrap();
        make(folder.path());
        let culprit = culprit.map_or(folder.path().to_owned(), |name| folder.path().join(name));
        let expected = format!("but {} {says}", culprit.display());
        let good = format!("{} ", folder.path().join("good.pem").display());
        for path in [folder.path(), culprit.as_path()] {
            let flags = ["--ca-path", path.to_str().unwrap(), "--port", "0"];
            let text = check_refused(&flags, &[("API_KEY", API_KEY)], &["--ca-path, or CA_PATH, must be", &expected]);
            assert!(!text.contains(&good), "names the good one: {text}");
        }
    };
    const UNUSABLE: &str = "has no certificate that can be used";
    let file = |name: &'static str, content: &'static [u8]| move |at: &Path| fs::write(at.join(name), content).unwrap();
    let (begin, end) = ("-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n");
    check(&file("a.pem", b"no certificate"), Some("a.pem"), UNUSABLE);
    check(&file("z.pem", b""), Some("z.pem"), UNUSABLE);
    check(&file("cacerts.jks", b"\xfe\xed\xfe\xed\0\0\0\x02"), Some("cacerts.jks"), UNUSABLE);
    check(
        &|at| fs::write(at.join("b"), format!("{begin}*****\n{end}")).unwrap(),
        Some("b"),
        "has PEM that is broken or cut off; copy it again",
    );
    check(
        &|at| fs::write(at.join("b"), format!("{begin}AAAA\n")).unwrap(),
        Some("b"),
        "has PEM that is broken or cut off; copy it again",
    );
    check(&|at| fs::write(at.join("b"), format!("{begin}Zm9v\n{end}")).unwrap(), Some("b"), UNUSABLE);
    // Cut in the middle, but with its end.
    let whole = fs::read_to_string(&certificates.authority).unwrap();
    let cut: String = whole.lines().take(5).map(|line| format!("{line}\n")).collect();
    check(&|at| fs::write(at.join("b"), format!("{cut}{end}")).unwrap(), Some("b"), UNUSABLE);
    check(&|at| fs::write(at.join("b"), vec![b'x'; (1 << 20) + 1]).unwrap(), Some("b"), "is longer than 1048576 bytes");
    check(&|at| symlink("gone", at.join("link")).unwrap(), Some("link"), "cannot be read: No such file");
    check(
        &|at| drop(std::os::unix::net::UnixListener::bind(at.join("s")).unwrap()),
        Some("s"),
        "is not a regular file",
    );
    check(
        &|at| fs::remove_file(at.join("good.pem")).unwrap(),
        None,
        "has no file in it; put the CA certificates there",
    );
    let many = |at: &Path| (0..1_000).for_each(|nth| fs::write(at.join(format!("{nth}.pem")), "").unwrap());
    check(&many, None, "has more than 1000 files in it");
}
