//! Signatures for Amazon, compared with those of botocore, and the sources of their keys.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, UNIX_EPOCH};

use prometheusmirror::internals::{AwsKeys, Scope, UnsignedCall, signature};
use prometheusmirror::secret::Secret;
use serde_json::{Value, json};

use super::{Files, named, one, verdict};
use crate::support::ask::{Gateway, Query};
use crate::support::mirror::{API_KEY, BINARY, Mirror};
use crate::support::process::{tool, wait_until};
use crate::support::samples::Random;
use crate::support::stub::{self, After, Reply, Request, Stub};

const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "so/hush+EXAMPLE";

/// Signs each request with botocore, at the time in its signature.
const JUDGE: &str = r#"
import base64, datetime, json, sys
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
for line in sys.stdin:
    asked = json.loads(line)
    at = datetime.datetime.strptime(asked["date"], "%Y%m%dT%H%M%SZ")
    botocore.auth.get_current_datetime = lambda: at
    request = AWSRequest(method=asked["method"], url=asked["url"], data=base64.b64decode(asked["body"]))
    keys = Credentials(asked["access_key"], asked["secret_key"], asked["token"])
    botocore.auth.SigV4Auth(keys, asked["service"], asked["region"]).add_auth(request)
    print(request.headers["Authorization"])
"#;

/// The header `Authorization` of requests, as botocore computes it.
fn judged(requests: &[Request], port: u16, keys: (&str, &str, Option<&str>), scope: (&str, &str)) -> Vec<String> {
    let asked = requests.iter().map(|request| {
        json!({
            "method": request.method,
            "url": format!("http://127.0.0.1:{port}{}", request.target),
            "body": base64(&request.sent_body),
            "date": request.header("x-amz-date").expect("a date"),
            "access_key": keys.0,
            "secret_key": keys.1,
            "token": keys.2,
            "region": scope.0,
            "service": scope.1,
        })
    });
    by_botocore(asked)
}

/// The signatures of requests in the form of the judge's input.
fn by_botocore(asked: impl Iterator<Item = Value>) -> Vec<String> {
    let mut judge = Command::new("python3")
        .args(["-c", JUDGE])
        .env("PYTHONPATH", tool("botocore-1.43.11"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut input = judge.stdin.take().unwrap();
    let lines: String = asked.map(|asked| format!("{asked}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = judge.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |three: &[u8]| {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        let digit =
            |nth: usize| if nth <= three.len() { DIGITS[(bits >> (18 - 6 * nth)) as usize & 63] as char } else { '=' };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(encode).collect()
}

/// Checks all requests of a stub, of which there must be some.
fn check_all(stub: &Stub, keys: (&str, &str, Option<&str>), scope: (&str, &str)) {
    let requests: Vec<Request> = stub.requests().into_iter().chain(stub.read_requests()).collect();
    assert!(!requests.is_empty());
    let expected = judged(&requests, stub.port(), keys, scope);
    for (request, expected) in requests.iter().zip(&expected) {
        assert_eq!(request.header("authorization"), Some(expected.as_str()), "{} {}", request.method, request.target);
        assert_eq!(request.header("x-amz-security-token"), keys.2);
    }
    assert_eq!(requests.len(), expected.len());
}

fn url(stub: &Stub, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", stub.port())
}

/// A mirror with these variables in its environment.
fn mirror_in(files: &Files, variables: &[(&str, &str)]) -> Mirror {
    let path = files.path("upstreams.yaml");
    let mut command = Command::new(BINARY);
    command.args(["--listen", "127.0.0.1", "--port", "0", "--log-level", "debug", "--upstreams-file"]).arg(path);
    command.env_clear().env("API_KEY", API_KEY).envs(variables.iter().copied());
    Mirror::start_by(command)
}

#[test]
fn every_kind_of_request_is_signed_as_botocore_does_it() {
    let check = |path: &str, keys: &str| {
        let (stub, files) = (Stub::start(stub::good), Files::new());
        files.write("secret", SECRET_KEY);
        files.upstreams(&one(
            &url(&stub, path),
            &format!("  sigv4: {{region: eu-west-1, access_key: {ACCESS_KEY}, secret_key_file: secret}}\n{keys}"),
        ));
        let behind_path = path.to_owned();
        stub.behave(move |request: &Request| {
            let inner = request.path.strip_prefix(&behind_path).unwrap_or(&request.path).to_owned();
            stub::good(&Request { path: inner, ..request.clone() })
        });
        let mirror = files.mirror();
        assert_eq!(verdict(&mirror, &named("a")), "OK", "{}", mirror.log());
        let gateway = Gateway { mirror, details: named("a") };
        let odd = "a b&c=d%e+f/g?h#é~!*'()";
        for query in [
            Query::gauge("stub_metric").label("job", odd),
            Query::counter("stub_requests_total").label("job", "x"),
            Query::expression("sum by (a) (rate(x{y=~\"a|b+ %20\"}[5m]))").aggregated("MAX", 60_000),
        ] {
            gateway.ask(&query.between(1_700_000_000_000, 1_700_000_600_000));
        }
        gateway.field_names(json!({}));
        gateway.field_values("job", json!({}));
        gateway.field_values("__gauge__", json!({}));
        check_all(&stub, (ACCESS_KEY, SECRET_KEY, None), ("eu-west-1", "aps"));
        assert!(!gateway.mirror.log().contains("hush"), "{}", gateway.mirror.log());
    };
    check("", "");
    check("/workspaces/ws-1", "  query_parameters: {namespace: [b, 'a c', ''], A: ['~']}");
    check("/workspaces/a%20b/%7Ec", "  http_method: GET");
}

#[test]
fn keys_come_from_where_amazons_programs_find_them() {
    let sts = Stub::start(|request: &Request| match request.parameter("Action") {
        Some("AssumeRoleWithWebIdentity") if request.parameter("WebIdentityToken") == Some("web-hush") => {
            token_service("WEB")
        }
        Some("AssumeRole") if request.parameter("ExternalId") == Some("ext") => token_service("ROLE"),
        _ => Reply::http(
            403,
            "text/xml",
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>web-hush</Message></Error></ErrorResponse>",
        ),
    });
    let machine = Stub::start(|request: &Request| match (request.method.as_str(), request.path.as_str()) {
        ("PUT", "/latest/api/token") => Reply::http(200, "text/plain", "imds-hush"),
        _ if request.header("x-aws-ec2-metadata-token") != Some("imds-hush") => Reply::http(401, "text/plain", ""),
        (_, "/latest/meta-data/iam/security-credentials/") => Reply::http(200, "text/plain", "my-role\n"),
        (_, "/latest/meta-data/iam/security-credentials/my-role") => json_keys("MACHINE"),
        _ => Reply::http(404, "text/plain", ""),
    });
    let pod = Stub::start(|request: &Request| match request.header("authorization") {
        Some("pod-hush") => json_keys("POD"),
        _ => Reply::http(401, "text/plain", ""),
    });
    let files = Files::new();
    files.write("web", "web-hush\n");
    files.write("pod", "pod-hush\n");
    files.write(
        "shared",
        "[default]\naws_access_key_id = FILE\naws_secret_access_key = hush\n[team]\naws_access_key_id = TEAM\naws_secret_access_key = hush\n\
         aws_session_token = token-hush\n",
    );
    let path = |name: &str| files.path(name).to_str().unwrap().to_owned();
    let (web, token, shared) = (path("web"), path("pod"), path("shared"));
    let (sts_url, machine_url, pod_url) = (url(&sts, "/"), url(&machine, ""), url(&pod, "/v1/credentials"));
    let region = ("AWS_REGION", "us-east-2");
    let of_web = [
        region,
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &web),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_ENDPOINT_URL_STS", &sts_url),
    ];
    let of_env = [region, ("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "hush")];
    let of_pod =
        [region, ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &pod_url), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token)];
    let of_machine = [region, ("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine_url.as_str())];
    let of_file = [region, ("AWS_SHARED_CREDENTIALS_FILE", &shared)];
    let temporary = Some("token-hush");
    let check = |sigv4: &str, variables: &[(&str, &str)], access_key: &str, token: Option<&str>| {
        let stub = Stub::start(stub::good);
        files.upstreams(&one(&url(&stub, ""), &format!("  sigv4: {sigv4}")));
        let mirror = mirror_in(&files, variables);
        for _ in 0..2 {
            assert_eq!(verdict(&mirror, &named("a")), "OK", "{sigv4} {variables:?}: {}", mirror.log());
        }
        check_all(&stub, (access_key, "hush", token), ("us-east-2", "aps"));
        assert!(!mirror.log().contains("hush"), "{}", mirror.log());
    };
    check("{}", &of_env, "ENV", None);
    check("{region: us-east-2}", &of_env[1..], "ENV", None);
    check("{}", &of_web, "WEB", temporary);
    check("{}", &of_pod, "POD", temporary);
    check("{}", &of_machine, "MACHINE", temporary);
    check("{}", &of_file, "FILE", None);
    check("{profile: team}", &[&of_file[..], &of_env[1..]].concat(), "TEAM", temporary);
    check(
        "{access_key: BASE, secret_key: base-hush, role_arn: 'arn:aws:iam::1:role/r', external_id: ext}",
        &[region, ("AWS_ENDPOINT_URL_STS", &sts_url)],
        "ROLE",
        temporary,
    );
    // Each was requested once, and signed requests are signed for the token service.
    let assumed: Vec<Request> =
        sts.requests().into_iter().filter(|request| request.parameter("ExternalId").is_some()).collect();
    let expected = judged(&assumed, sts.port(), ("BASE", "base-hush", None), ("us-east-2", "sts"));
    assert_eq!(
        assumed.iter().map(|request| request.header("authorization")).collect::<Vec<_>>(),
        [Some(expected[0].as_str())]
    );
    assert_eq!((sts.requests().len(), pod.requests().len(), machine.requests().len()), (2, 1, 3));
}

#[test]
fn why_there_are_no_keys_is_said() {
    let files = Files::new();
    let sts = Stub::start(|_: &Request| {
        Reply::http(403, "text/xml", "<E><Error><Code>AccessDenied</Code><Message>not web-hush</Message></Error></E>")
    });
    let sts_url = url(&sts, "/");
    files.write("web", "web-hush");
    let web = files.path("web").to_str().unwrap().to_owned();
    let check = |sigv4: &str, variables: &[(&str, &str)], says: &[&str]| {
        files.upstreams(&one("http://127.0.0.1:1", &format!("  sigv4: {sigv4}")));
        let mirror = mirror_in(&files, variables);
        let verdict = verdict(&mirror, &named("a"));
        assert!(says.iter().all(|part| verdict.contains(part)) && !verdict.contains("hush"), "{says:?}: {verdict}");
    };
    check(
        "{region: r}",
        &[("AWS_EC2_METADATA_DISABLED", "true")],
        &["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"],
    );
    check(
        "{region: r}",
        &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")],
        &[
            "was not queried: the mirror has no credentials for it: there is no access key in the environment",
            "and none of this machine: the instance metadata service 127.0.0.1:1/",
            " cannot be reached: Connection refused; give one in",
        ],
    );
    let without_role = Stub::start(|request: &Request| match request.method.as_str() {
        "PUT" => Reply::http(200, "text/plain", "imds-hush"),
        _ => Reply::http(404, "text/plain", ""),
    });
    check(
        "{region: r}",
        &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url(&without_role, ""))],
        &["instance metadata service 127.0.0.1:", " has no role; attach one to this machine"],
    );
    let slow = Stub::start(|_: &Request| Reply::raw("").then(After::Hang));
    let slow_url = url(&slow, "/");
    let did_not_answer = "did not answer within ";
    check(
        "{region: r}",
        &[("AWS_WEB_IDENTITY_TOKEN_FILE", &web), ("AWS_ROLE_ARN", "a"), ("AWS_ENDPOINT_URL_STS", &slow_url)],
        &["the Security Token Service 127.0.0.1:", did_not_answer, "look at its load"],
    );
    check(
        "{region: r}",
        &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &slow_url)],
        &["the credentials service of this container 127.0.0.1:", did_not_answer, "look at its load"],
    );
    check(
        "{region: r}",
        &[("AWS_WEB_IDENTITY_TOKEN_FILE", &web), ("AWS_ROLE_ARN", "a"), ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")],
        &["Connection refused", "region in the upstreams file, or AWS_ENDPOINT_URL_STS"],
    );
    check(
        "{region: r}",
        &[("AWS_WEB_IDENTITY_TOKEN_FILE", &web), ("AWS_ROLE_ARN", "a"), ("AWS_ENDPOINT_URL_STS", &sts_url)],
        &["HTTP status 403: AccessDenied: not ..."],
    );
    check(
        "{region: r}",
        &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/missing"), ("AWS_ROLE_ARN", "a")],
        &["/missing cannot be read: No such file or directory (os error 2); give the path of a file"],
    );
    check("{region: r, profile: x}", &[("AWS_SHARED_CREDENTIALS_FILE", &web)], &["has no access key of the profile x"]);
    check(
        "{region: r}",
        &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/x")],
        &["leads by http to another machine; give an https URL"],
    );
}

#[test]
fn the_token_service_cannot_make_an_error_repeat_a_secret() {
    const TOKEN: &str = "web/hush&1";
    let files = Files::new();
    files.write("web", &format!("{TOKEN}\n"));
    let web = files.path("web").to_str().unwrap().to_owned();
    let check = |code: &str, message: &str, says: &str| {
        let body = format!("<E><Error><Code>{code}</Code><Message>{message}</Message></Error></E>");
        let sts = Stub::start(move |_: &Request| Reply::http(403, "text/xml", &body));
        let sts_url = url(&sts, "/");
        let of_web =
            [("AWS_WEB_IDENTITY_TOKEN_FILE", web.as_str()), ("AWS_ROLE_ARN", "a"), ("AWS_ENDPOINT_URL_STS", &sts_url)];
        let of_role = format!("access_key: AKID, secret_key: '{TOKEN}', role_arn: a, ");
        for (keys, variables) in [("", &of_web[..]), (&of_role, &of_web[2..])] {
            files.upstreams(&one("http://127.0.0.1:1", &format!("  sigv4: {{{keys}region: r}}")));
            let mirror = mirror_in(&files, variables);
            let verdict = verdict(&mirror, &named("a"));
            assert!(verdict.contains(says), "{keys} {message}: {verdict}");
            for text in [verdict, mirror.log()] {
                for leak in ["hush", "d2ViL2h1c2gmM", "#119"] {
                    assert!(!text.contains(leak), "{keys} {message}: {text}");
                }
            }
        }
    };
    check("AccessDenied", "not web/hush&amp;1", "HTTP status 403: AccessDenied: not ...)");
    check("not web/hush&amp;1", "really", "HTTP status 403: not ...: really)");
    check(
        "Denied",
        "form was WebIdentityToken=web%2Fhush%261&amp;x=%2f",
        "Denied: form was WebIdentityToken=...&x=%2f)",
    );
    // `printf 'web/hush&1' | base64`
    check("Denied", "d2ViL2h1c2gmMQ==", "Denied: ...)");
    // The error does not show a response that the mirror cannot parse.
    check("Denied", "&#119;eb/hush&amp;1", "HTTP status 403: Denied)");
    check("Denied", "<![CDATA[web/hush&1]]>", "HTTP status 403: Denied)");
    check("<x>web/hush&amp;1</x>", "m", "(HTTP status 403); check");
}

#[test]
fn amazons_words_about_a_refusal_are_kept_and_the_clock_is_named() {
    let files = Files::new();
    let check = |kind: &'static str, body: &'static str, says: &[&str]| {
        let stub = Stub::start(move |_: &Request| Reply::http(403, kind, body));
        let keys = format!("  sigv4: {{region: r, access_key: {ACCESS_KEY}, secret_key: so-hush}}");
        files.upstreams(&one(&url(&stub, ""), &keys));
        let mirror = files.mirror();
        let verdict = verdict(&mirror, &named("a"));
        assert!(says.iter().all(|part| verdict.contains(part)) && !verdict.contains("hush"), "{says:?}: {verdict}");
        assert!(!mirror.log().contains("hush"), "{}", mirror.log());
    };
    let remedy =
        "policy AmazonPrometheusQueryAccess), region in the upstreams file, and the clock of this mirror's machine";
    check(
        "application/json",
        r#"{"message":"Signature expired: 20261126T120000Z is now earlier than 20261126T125500Z (so-hush)\n"}"#,
        &["403): Signature expired: 20261126T120000Z is now earlier than 20261126T125500Z (...); check", remedy],
    );
    check("application/x-amz-json-1.1", r#"{"Message":"Missing\r\n\u0000token"}"#, &["): Missing token; ", remedy]);
    check("text/html", "hush", &["(HTTP status 403); check", remedy]);
}

#[test]
fn a_slow_metadata_service_is_waited_for_and_keys_that_have_expired_are_requested_once() {
    let (stub, files) = (Stub::start(stub::good), Files::new());
    let machine = Stub::start(|request: &Request| {
        let reply = match (request.method.as_str(), request.path.as_str()) {
            ("PUT", _) => Reply::http(200, "text/plain", "imds-hush"),
            (_, "/latest/meta-data/iam/security-credentials/") => Reply::http(200, "text/plain", "my-role"),
            _ => json_keys("MACHINE").edited(|keys| keys["Expiration"] = json!("2001-01-01T00:00:00Z")),
        };
        reply.delayed(Duration::from_millis(900))
    });
    files.upstreams(&one(&url(&stub, ""), "  sigv4: {region: r}"));
    let mirror = mirror_in(&files, &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url(&machine, ""))]);
    for _ in 0..20 {
        assert_eq!(verdict(&mirror, &named("a")), "OK", "{}", mirror.log());
    }
    // Three calls, of which a slow one on a kept connection may be repeated on a new one.
    assert!((3..=5).contains(&machine.requests().len()), "{:?}", machine.requests());
}

#[test]
fn a_role_that_is_refused_is_requested_less_and_less_until_the_token_changes() {
    let (stub, files) = (Stub::start(stub::good), Files::new());
    let sts = Stub::start(|request: &Request| match request.parameter("WebIdentityToken") {
        Some("new-hush") => token_service("WEB"),
        _ => Reply::http(400, "text/xml", "<E><Error><Code>InvalidIdentityToken</Code></Error></E>"),
    });
    files.write("web", "web-hush");
    files.upstreams(&one(&url(&stub, ""), "  sigv4: {region: r}"));
    let (web, sts_url) = (files.path("web"), url(&sts, "/"));
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", web.to_str().unwrap()),
        ("AWS_ROLE_ARN", "a"),
        ("AWS_ENDPOINT_URL_STS", &sts_url),
    ];
    let mirror = mirror_in(&files, &variables);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(3_500) {
        assert!(verdict(&mirror, &named("a")).contains("InvalidIdentityToken"));
        std::thread::sleep(Duration::from_millis(20));
    }
    // At the beginning, a second after that, and two seconds after that.
    assert!((2..=3).contains(&sts.requests().len()), "{}", sts.requests().len());
    files.write("web", "new-hush");
    let changed = Instant::now();
    wait_until(|| format!("it asks again: {}", mirror.log()), || verdict(&mirror, &named("a")) == "OK");
    assert!(changed.elapsed() < Duration::from_secs(8), "{:?}", changed.elapsed());
}

#[test]
fn a_session_token_that_the_upstream_repeats_is_not_shown() {
    let stub = Stub::start(|request: &Request| {
        let token = request.header("x-amz-security-token").unwrap_or_default();
        Reply::http(403, "application/json", json!({"message": format!("no {token}, {token}")}).to_string())
    });
    let files = Files::new();
    files.upstreams(&one(&url(&stub, ""), "  sigv4: {region: eu-west-1}"));
    let keys = [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_SESSION_TOKEN", "session-hush"),
    ];
    let mirror = mirror_in(&files, &keys);
    let verdict = verdict(&mirror, &named("a"));
    assert!(verdict.contains("no ..., ...") && !verdict.contains("hush"), "{verdict}");
    assert!(!mirror.log().contains("session-hush"), "{}", mirror.log());
}

/// The response of the Security Token Service, with keys that are valid for more than an hour.
fn token_service(access_key: &str) -> Reply {
    Reply::http(
        200,
        "text/xml",
        format!(
            "<R><Result><Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>hush</SecretAccessKey>\
             <SessionToken>token-hush</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></Result></R>"
        ),
    )
}

fn json_keys(access_key: &str) -> Reply {
    let keys: Value = json!({
        "AccessKeyId": access_key, "SecretAccessKey": "hush", "Token": "token-hush", "Expiration": "2999-01-01T00:00:00Z",
    });
    Reply::json(&keys)
}

#[test]
fn any_request_is_signed_as_botocore_does_it() {
    let mut random = Random::new(14);
    let mut pick = |of: &[&'static str]| of[random.below(of.len())];
    // Characters of URLs that the mirror writes, and further ones that the path of a base URL may have.
    const PIECES: [&str; 18] =
        ["a", "Z", "0", "-", ".", "_", "~", "/", "//", "%20", "%2F", "%C3%A9", "%7E", "%25", "..", "@", ":", "+"];
    const VALUES: [&str; 12] = ["a", "B", "9", "-", ".", "_", "~", "%20", "%2B", "%26", "%3D", "%E2%82%AC"];
    let mut asked = Vec::new();
    let mut signed = Vec::new();
    for nth in 0..400_u64 {
        let mut text =
            |of: &[&'static str], most: usize| (0..nth as usize % most).map(|_| pick(of)).collect::<String>();
        let path = format!("/{}", text(&PIECES, 9));
        let pairs: Vec<String> = (0..nth % 5).map(|_| format!("{}={}", text(&VALUES, 4), text(&VALUES, 6))).collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        let host = ["example.com", "example.com:443", "example.com:8443", "[::1]:9090"][nth as usize % 4];
        let (url, body) = (format!("https://{host}{path}{query}"), text(&VALUES, 40));
        let token = (nth % 3 == 0).then_some("to/ken+=");
        let method = ["GET", "POST", "PUT"][nth as usize % 3];
        let call = UnsignedCall { method, uri: &url.parse().unwrap(), body: body.as_bytes() };
        let (access_key, secret_key) = ("AKID".to_owned(), Secret::new(SECRET_KEY));
        let keys = AwsKeys { access_key, secret_key, session_token: token.map(Secret::new) };
        let (region, service) = [("eu-west-1", "aps"), ("us-gov-east-1", "sts")][nth as usize % 2];
        let at = UNIX_EPOCH + Duration::from_secs(1_000_000_000 + nth * 1_234_567);
        let headers = signature(&call, &keys, Scope { region, service }, at);
        let header = |name: &str| headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.reveal());
        asked.push(json!({
            "method": method,
            "url": url,
            "body": base64(body.as_bytes()),
            "date": header("x-amz-date"),
            "access_key": "AKID",
            "secret_key": SECRET_KEY,
            "token": token,
            "region": region,
            "service": service,
        }));
        signed.push((url.clone(), header("authorization").unwrap().to_owned()));
    }
    let expected = by_botocore(asked.into_iter());
    assert_eq!(expected.len(), signed.len());
    for ((url, found), expected) in signed.iter().zip(&expected) {
        assert_eq!(found, expected, "{url}");
    }
}
