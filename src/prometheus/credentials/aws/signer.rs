//! Signature Version 4: the headers that authenticate a call at Amazon ("Create a signed AWS API request"). Pure.
//!
//! The signature covers the method, the path, the query, the body, the host and the headers that are added here. The path is
//! encoded once more than it is sent, as all services except S3 require.

use std::time::{SystemTime, UNIX_EPOCH};

use percent_encoding::{AsciiSet, utf8_percent_encode};
use ring::digest::{SHA256, digest};
use ring::hmac::{HMAC_SHA256, Key, Tag, sign};

use crate::model::calendar::DateTime;
use crate::prometheus::http::{RESERVED, UnsignedCall};
use crate::secret::Secret;

/// Keys of an Amazon account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsKeys {
    /// The id of the key, which is not secret.
    pub access_key: String,
    /// The secret key.
    pub secret_key: Secret,
    /// The token that belongs to temporary keys.
    pub session_token: Option<Secret>,
}

impl AwsKeys {
    /// The secrets, which no text may contain.
    pub(in crate::prometheus) fn secrets(&self) -> Vec<Secret> {
        self.session_token.iter().chain([&self.secret_key]).cloned().collect()
    }
}

/// The region and the service that a signature is valid for.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// For example `eu-west-1`.
    pub region: &'a str,
    /// For example `aps`.
    pub service: &'a str,
}

/// The characters that are percent-encoded in a canonical path.
const PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The headers that sign a call: names in lower case, sorted by name.
pub fn signature(
    request: &UnsignedCall<'_>,
    keys: &AwsKeys,
    scope: Scope<'_>,
    at: SystemTime,
) -> Vec<(&'static str, Secret)> {
    let time = amz_date(at);
    let date = &time[..8];
    let mut signed = vec![("host", host(request)), ("x-amz-date", time.clone())];
    if let Some(token) = &keys.session_token {
        signed.push(("x-amz-security-token", token.reveal().to_owned()));
    }
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let headers: String = signed.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let canonical = format!(
        "{}\n{}\n{}\n{headers}\n{names}\n{}",
        request.method,
        canonical_path(request.uri.path()),
        canonical_query(request.uri.query().unwrap_or_default()),
        hex(digest(&SHA256, request.body).as_ref())
    );
    let Scope { region, service } = scope;
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(digest(&SHA256, canonical.as_bytes()).as_ref()));
    let secret = Secret::new(&format!("AWS4{}", keys.secret_key.reveal()));
    let by_date = hmac(secret.reveal().as_bytes(), date);
    let by_region = hmac(by_date.as_ref(), region);
    let by_service = hmac(by_region.as_ref(), service);
    let key = hmac(by_service.as_ref(), "aws4_request");
    let signature = hex(hmac(key.as_ref(), &to_sign).as_ref());
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        keys.access_key
    );
    // ureq adds the host.
    let sent = signed.into_iter().filter(|(name, _)| *name != "host");
    [("authorization", authorization)]
        .into_iter()
        .chain(sent)
        .map(|(name, value)| (name, Secret::new(&value)))
        .collect()
}

/// The header `Host` as it is sent: with a port unless it is that of the scheme.
fn host(request: &UnsignedCall<'_>) -> String {
    let host = request.uri.host().unwrap_or_default();
    let default = if request.uri.scheme_str() == Some("https") { 443 } else { 80 };
    match request.uri.port_u16() {
        Some(port) if port != default => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}

/// A path without empty segments, `.` and `..`, encoded once more.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let last = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    utf8_percent_encode(&format!("/{}{last}", segments.join("/")), PATH).to_string()
}

/// The parameters of a query, which are already encoded, sorted by name and value.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// A time in Amazon's format, such as `20261126T123456Z`.
fn amz_date(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let DateTime { date: (year, month, day), time: (hour, minute, second), .. } =
        DateTime::of_ms(since.as_millis() as i64);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

fn hmac(key: &[u8], text: &str) -> Tag {
    sign(&Key::new(HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The example of "Create a signed AWS API request", with the keys of Amazon's test suite (`get-vanilla-query-order-key-case`).
    #[test]
    fn the_example_of_amazons_test_suite_is_signed_as_there() {
        let uri = "https://example.amazonaws.com/?Param2=value2&Param1=value1".parse().unwrap();
        let keys = AwsKeys {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: None,
        };
        let scope = Scope { region: "us-east-1", service: "service" };
        // 20150830T123600Z
        let at = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let headers = signature(&UnsignedCall { method: "GET", uri: &uri, body: b"" }, &keys, scope, at);
        let shown: Vec<_> = headers.iter().map(|(name, value)| (*name, value.reveal())).collect();
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                             SignedHeaders=host;x-amz-date, \
                             Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
        assert_eq!(shown, [("authorization", authorization), ("x-amz-date", "20150830T123600Z")]);
    }

    #[test]
    fn a_path_is_canonical() {
        let check = |path: &str, expected: &str| assert_eq!(canonical_path(path), expected, "{path}");
        check("", "/");
        check("/", "/");
        check("//a//b/", "/a/b/");
        check("/a/./b/../c", "/a/c");
        check("/../..", "/");
        check("/workspaces/ws-1/api/v1/query", "/workspaces/ws-1/api/v1/query");
        check("/a%20b/~c", "/a%2520b/~c");
    }
}
