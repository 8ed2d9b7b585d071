//! What every call gets in addition: headers, and parameters in the URL.

use std::path::Path;

use ureq::http::HeaderName;

use crate::prometheus::access::{SecretForm, SecretSource, Unusable};
use crate::prometheus::upstreams_file::fields::FileFields;

use super::MAX_ITEMS;
use super::secrets::{given, in_file};

/// Headers that the mirror sets, or that frame a message. Prometheus reserves these, too ("http_headers", and "headers" of a remote
/// write for those of Amazon).
const RESERVED_HEADERS: [&str; 20] = [
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "x-prometheus-remote-read-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

pub(super) fn headers(fields: &FileFields<'_>, folder: &Path) -> Result<Vec<(HeaderName, SecretSource)>, Unusable> {
    let Some(field) = fields.get("http_headers") else { return Ok(Vec::new()) };
    let mut headers = Vec::new();
    let all = field.mapping("{X-Scope-OrgID: {values: [team-a]}}")?;
    for (name, field) in all.all() {
        let header: HeaderName =
            name.parse().map_err(|_| all.bad_at(field.place.line, "has a key that is not the name of a header"))?;
        if RESERVED_HEADERS.contains(&header.as_str()) {
            return Err(field.bad(
                "is a header that cannot be given here; credentials go into basic_auth, authorization, oauth2 or sigv4",
            ));
        }
        let before = headers.len();
        let sources = field.fields(&["values", "secrets", "files"], "{values: [team-a]}")?;
        let items = |key| sources.get(key).map_or(Ok(Vec::new()), |list| list.list(MAX_ITEMS, "[team-a]"));
        for value in items("values")?.iter().chain(&items("secrets")?) {
            headers.push((header.clone(), given(value, SecretForm::HeaderValue)?));
        }
        for file in items("files")? {
            headers.push((header.clone(), in_file(&file, folder, SecretForm::HeaderValue)?));
        }
        if headers.len() == before {
            return Err(field.bad("has no values, secrets or files, of which it needs one"));
        }
        if headers.len() > MAX_ITEMS {
            return Err(field.bad(&format!("is one of more than {MAX_ITEMS} headers; give fewer")));
        }
    }
    Ok(headers)
}

pub(super) fn query_parameters(fields: &FileFields<'_>) -> Result<Vec<(String, String)>, Unusable> {
    /// Parameters that the mirror sends itself.
    const OWN: [&str; 12] = [
        "query", "time", "start", "end", "step", "timeout", "match[]", "metric", "limit", "nocache",
        "partial_response", "deny_partial_response",
    ];
    let Some(field) = fields.get("query_parameters") else { return Ok(Vec::new()) };
    let mut parameters = Vec::new();
    for (name, field) in field.mapping("{namespace: [payments]}")?.all() {
        if OWN.contains(&name) {
            return Err(field.bad("is a parameter that the mirror sends itself; remove it"));
        }
        for value in field.list(MAX_ITEMS, "[payments]")? {
            parameters.push((name.to_owned(), value.text_or_empty()?.to_owned()));
        }
        if parameters.len() > MAX_ITEMS {
            return Err(field.bad(&format!("is one of more than {MAX_ITEMS} parameters; give fewer")));
        }
    }
    Ok(parameters)
}
