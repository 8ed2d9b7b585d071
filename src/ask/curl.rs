//! A request as a curl command.

use std::fmt::Write;
use std::path::Path;

use super::request::AskRequest;
use crate::error::{EXPLAIN_HEADER, KEY_HEADER};

/// The URL of a local mirror with the default settings.
const DEFAULT_MIRROR: &str = "http://localhost:9900";

/// The curl command that sends a request to a mirror. It has no secrets: the shell that runs it has the key in `API_KEY`, and the
/// password of a URL is replaced. `to` has the URL of the mirror, and the CA certificates that it is verified against.
pub(super) fn command(
    to: (Option<&str>, Option<&Path>),
    request: &AskRequest,
    has_key: bool,
    explains: bool,
) -> String {
    let (mirror, ca_path) = to;
    let mut body = request.body.clone();
    if let Some(url) = body["connectionDetails"]["url"].as_str().map(without_password) {
        body["connectionDetails"]["url"] = url.into();
    }
    let mirror = mirror.unwrap_or(DEFAULT_MIRROR).trim_end_matches('/');
    let mut command = "curl -sS".to_owned();
    // Writing to a string does not fail.
    if let Some(path) = ca_path.filter(|_| mirror.starts_with("https:")) {
        // curl needs a folder that `openssl rehash` has prepared.
        let flag = if path.is_dir() { "capath" } else { "cacert" };
        let _ = write!(command, " --{flag} {}", quoted(&path.display().to_string()));
    }
    if has_key {
        let _ = write!(command, " -H \"{KEY_HEADER}: $API_KEY\"");
    }
    if explains {
        let _ = write!(command, " -H '{EXPLAIN_HEADER}: true'");
    }
    format!(
        "{command} -H 'Content-Type: application/json' {} -d {}\n",
        quoted(&format!("{mirror}{}", request.path)),
        quoted(&body.to_string())
    )
}

/// A text as one word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A URL, well-formed or not, without the part that may be credentials.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://USER:PASSWORD@{rest}"),
        (None, Some((_, rest))) => format!("USER:PASSWORD@{rest}"),
        (_, None) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_password_is_not_written_out_and_quotes_are_kept() {
        let body = json!({"connectionDetails": {"url": "https://u:hush@p.example/x"}, "q": "it's"});
        let request = AskRequest { path: "/api/metric", kind: "Metrics", body };
        let text = command((Some("http://m:1/"), None), &request, true, true);
        assert!(!text.contains("hush"), "{text}");
        assert!(
            text.contains("$API_KEY") && text.contains("'http://m:1/api/metric'") && text.contains(r"it'\''s"),
            "{text}"
        );
        let text = command((Some("https://m"), Some(Path::new("/my ca"))), &request, false, false);
        assert!(text.starts_with("curl -sS --cacert '/my ca' -H 'Content-Type"), "{text}");
        let text = command((Some("https://m"), Some(Path::new("/"))), &request, false, false);
        assert!(text.starts_with("curl -sS --capath '/' -H 'Content-Type"), "{text}");
        for (url, shown) in [
            ("http://u:hush@p:1/x", "http://USER:PASSWORD@p:1/x"),
            ("http://u:hu/s@h@p:1", "http://USER:PASSWORD@p:1"),
            ("u:hush@p", "USER:PASSWORD@p"),
            ("http://p:9090/prefix", "http://p:9090/prefix"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
