//! The upstreams file: refused at the start, followed while the mirror runs.

use std::fs;

use super::{Files, named, one, until_verdict, verdict, with_one};
use crate::http::settings::check_refused;
use crate::support::certificates::Certificates;
use crate::support::mirror::API_KEY;
use crate::support::process::wait_until;
use crate::support::prometheus;
use crate::support::stub::{self, Stub};

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
    check(
        None,
        &["cannot be read: No such file", "; give the path of a file that this process may read (--upstreams-file"],
    );
    check(
        Some("upstreams: [{name: a, url: 'http://p', pasword: x}]"),
        &["line 1: upstreams[0] has an unknown key: the keys are name, ", "basic_auth"],
    );
    check(Some("upstreams:\n- name: a\n  url: ["), &["not valid YAML", "; check indentation"]);
    // Errors in other files, and missing fields, are reported with the line and the key.
    let in_line_4 = |keys: &str, says: &[&str]| {
        check(Some(&one("https://p", keys)), &[&["upstream a, line 4: upstreams[0]."], says].concat());
    };
    let missing = "missing cannot be read: No such file or directory (os error 2); give the path of a file";
    for key in ["authorization.credentials_file", "basic_auth.username_file", "tls_config.ca_file"] {
        let (mapping, key_in_it) = key.split_once('.').unwrap();
        in_line_4(&format!("  {mapping}: {{{key_in_it}: missing}}"), &[key, missing]);
    }
    in_line_4("  basic_auth: {username: u, password_file: missing}", &["basic_auth.password_file", missing]);
    in_line_4("  bearer_token_file: missing", &["bearer_token_file", missing]);
    in_line_4("  http_headers: {X-A: {files: [missing]}}", &["http_headers.X-A.files[0]", missing]);
    in_line_4("  tls_config: {cert_file: missing, key: k}", &["tls_config.cert_file", missing]);
    in_line_4("  tls_config: {cert: c, key_file: missing}", &["tls_config.key_file", missing]);
    in_line_4("  sigv4: {region: r, access_key: A, secret_key_file: missing}", &["sigv4.secret_key_file", missing]);
    in_line_4("  sigv4: {}", &["sigv4 has no region", "AWS_REGION"]);
    let client = "client_id: c, client_secret_file: missing, token_url: 'https://t'";
    in_line_4(&format!("  oauth2: {{{client}}}"), &["oauth2.client_secret_file", missing]);
    in_line_4(
        "  bearer_token_file: /dev/zero",
        &["bearer_token_file", "is not a regular file", "; give the path of a regular"],
    );
    in_line_4("  tls_config: {ca_file: upstreams.yaml}", &["tls_config.ca_file", "must hold certificates in PEM"]);
    // DER is no text.
    let folder = tempfile::tempdir().unwrap();
    let der = folder.path().join("der");
    fs::write(&der, b"\x30\x82\x01\xff").unwrap();
    let der = der.display();
    let in_pem = "must hold certificates in PEM, each from -----BEGIN";
    in_line_4(&format!("  tls_config: {{ca_file: {der}}}"), &["tls_config.ca_file", in_pem]);
    in_line_4(&format!("  tls_config: {{cert_file: {der}, key: k}}"), &["tls_config.cert_file", in_pem]);
    in_line_4("  tls_config: {cert: c, key: k}", &["tls_config.cert must hold certificates in PEM"]);
    let (one_pair, other_pair) = (Certificates::of("mirror"), Certificates::of("mirror"));
    let (certificate, key) = (one_pair.certificate.display(), other_pair.key.display());
    in_line_4(
        &format!("  tls_config: {{cert_file: {certificate}, key_file: {key}}}"),
        &["tls_config.cert_file", "and the key do not go together"],
    );
    in_line_4(
        &format!("  tls_config: {{cert_file: {certificate}, key_file: {certificate}}}"),
        &["tls_config.key_file", "must hold a private key in PEM"],
    );
    in_line_4(
        &format!("  tls_config: {{cert_file: {certificate}, key_file: {der}}}"),
        &["tls_config.key_file", "must hold a private key in PEM"],
    );
}

#[test]
fn certificates_may_be_among_texts_in_any_encoding() {
    let (files, certificates) = (Files::new(), Certificates::of("mirror"));
    let pem = [b"# Zertifizierungsstelle M\xfcnchen\n".to_vec(), fs::read(&certificates.authority).unwrap()].concat();
    fs::write(files.path("ca.pem"), pem).unwrap();
    files.upstreams(&one("https://p", "  tls_config: {ca_file: ca.pem}"));
    files.mirror();
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_file() {
    const MARK: &str = "\u{feff}";
    let (stub, files) = (Stub::start(stub::good), Files::new());
    for name in ["user", "password", "tenant"] {
        files.write(name, &format!("{MARK}{name}\r\n"));
    }
    files.upstreams(&format!(
        "{MARK}{}",
        one(
            &format!("http://127.0.0.1:{}", stub.port()),
            "  basic_auth: {username_file: user, password_file: password}\n  http_headers: {X-Scope-OrgID: {files: [tenant]}}",
        )
    ));
    assert_eq!(verdict(&files.mirror(), &named("a")), "OK");
    let requests = stub.requests();
    // `printf user:password | base64`
    assert_eq!(requests[0].header("authorization"), Some("Basic dXNlcjpwYXNzd29yZA=="));
    assert_eq!(requests[0].header("x-scope-orgid"), Some("tenant"));
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
    // The change is in force shortly before it is logged.
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

#[test]
fn while_one_file_is_broken_the_others_are_followed_and_told_of() {
    let (files, url) = (Files::new(), "http://127.0.0.1:1");
    for name in ["password", "token", "tenant"] {
        files.write(name, "ever-so-hush");
    }
    let upstream = |name: &str, keys: &str| format!("- {{name: {name}, url: '{url}', {keys}}}\n");
    let basic = upstream("basic", "basic_auth: {username: u, password_file: password}");
    let both =
        upstream("both", "authorization: {credentials_file: token}, http_headers: {X-Scope-OrgID: {files: [tenant]}}");
    files.upstreams(&format!("upstreams:\n{both}{basic}"));
    let mirror = files.mirror();
    let lines = |words: &[&str]| {
        let log = mirror.log();
        log.lines().filter(|line| line.contains("watched file") && words.iter().all(|word| line.contains(word))).count()
    };
    let path = |name: &str| format!("path={}", files.path(name).display());
    let begun = |name: &str, says: &str| lines(&["level=warn", &path(name), says, "change=\"not taken over\""]);
    let ended = |name: &str| lines(&["level=info", &path(name), "change=\"trouble has ended\""]);
    let until = |what: &str, is_so: &dyn Fn() -> bool| wait_until(|| format!("{what}: {}", mirror.log()), is_so);

    // Two files of one upstream are broken, that of another changes, and the upstreams file swaps the two.
    fs::remove_file(files.path("token")).unwrap();
    files.write("tenant", "");
    files.write("password", "another-hush");
    files.upstreams(&format!("upstreams:\n{basic}{both}"));
    until("trouble begins", &|| {
        begun("token", "upstream both: authorization.credentials_file: the file") == 1
            && begun("tenant", "upstream both: http_headers.X-Scope-OrgID.files[0]: the file") == 1
            && lines(&["change=\"taken over\""]) >= 1
    });
    // One is repaired; the upstreams file breaks.
    files.write("tenant", "ever-so-hush");
    files.upstreams(&format!("upstreams:\n{basic}{}", both.replace("both, url", "both, uri")));
    until("trouble ends", &|| ended("tenant") == 1 && begun("upstreams.yaml", "line 3: upstreams[1] has") == 1);
    let before = lines(&[]);
    files.write("password", "one-more-hush");
    until("the third is taken over", &|| lines(&["change=\"taken over\""]) >= 1 && lines(&[]) == before + 1);
    assert_eq!((begun("token", ""), begun("tenant", ""), ended("token")), (1, 1, 0), "{}", mirror.log());
    assert!(!mirror.log().contains("hush"), "{}", mirror.log());
}
