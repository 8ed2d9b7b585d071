//! The head of a request: what is known before its body is read.

#[cfg(doc)]
use crate::error::{EXPLAIN_HEADER, KEY_HEADER};

/// A request without its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestHead<'r> {
    /// The HTTP method.
    pub verb: &'r str,
    /// The request target. Its query string, repeated slashes and a trailing slash do not matter.
    pub target: &'r str,
    /// The header [`KEY_HEADER`].
    pub key: Option<&'r str>,
    /// The header [`EXPLAIN_HEADER`].
    pub explain: Option<&'r str>,
    /// The header `Accept`.
    pub accept: Option<&'r str>,
    /// The header `Host`.
    pub host: Option<&'r str>,
    /// The header `Origin`, which browsers send with a POST, and which pages cannot change.
    pub origin: Option<&'r str>,
    /// The header `Sec-Fetch-Site`, in which newer browsers say how the page relates to the server (Fetch Metadata).
    pub fetch_site: Option<&'r str>,
}

impl RequestHead<'_> {
    /// Whether the client prefers HTML to plain text. Browsers do; programs that accept anything (`*/*`) get text.
    pub(super) fn prefers_html(&self) -> bool {
        let accept = self.accept.unwrap_or_default();
        let html = quality(accept, "text/html");
        html > 0.0 && html >= quality(accept, "text/plain")
    }

    /// Whether the client wants an explanation of the response.
    pub(super) fn wants_explanation(&self) -> bool {
        self.explain.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// Whether a web page of another origin made the request in a browser. Programs send neither header.
    pub(super) fn is_cross_origin(&self) -> bool {
        match (self.fetch_site, self.origin) {
            // A reverse proxy may change `Host`, but not this header.
            (Some(site), _) => !matches!(site, "same-origin" | "none"),
            (None, Some(origin)) => {
                let authority = origin.split_once("://").map(|(_, authority)| authority);
                !authority.zip(self.host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
            }
            (None, None) => false,
        }
    }
}

/// The quality value of a media type in a header `Accept`, 0 to 1; 0 if it is not named (RFC 9110, section 12.4.2).
fn quality(accept: &str, media_type: &str) -> f32 {
    let named = accept.split(',').find_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        parts.next().filter(|name| name.eq_ignore_ascii_case(media_type)).map(|_| parts)
    });
    let Some(mut parameters) = named else { return 0.0 };
    let weight = parameters.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
    weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
}

/// The path of a request target, with repeated slashes collapsed and without a slash at the end. The DataSourceUrl usually ends
/// with a slash, so StackState really requests `//api/metric`. A target may also be a whole URL (RFC 9112, "absolute-form").
pub fn normal_path(target: &str) -> String {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let whole = path.strip_prefix("http://").or_else(|| path.strip_prefix("https://"));
    let path = whole.map_or(path, |whole| whole.split_once('/').map_or("", |(_, path)| path));
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_prefer_html_and_programs_text() {
        let check = |accept: Option<&str>, prefers_html: bool| {
            assert_eq!(RequestHead { accept, ..RequestHead::default() }.prefers_html(), prefers_html, "{accept:?}");
        };
        for browser in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            "text/html",
            "Text/HTML; charset=utf-8",
            "text/plain;q=0.5, text/html;q=0.9",
            "text/html, text/plain",
        ] {
            check(Some(browser), true);
        }
        for program in [
            "", "*/*", "text/*", "text/plain", "text/html;q=0", "text/html;q=0.5, text/plain", "text/htmlx",
            "text/html;q=x",
        ] {
            check(Some(program), false);
        }
        check(None, false);
    }

    #[test]
    fn only_pages_of_the_mirror_itself_may_ask() {
        let check = |origin: Option<&str>, fetch_site: Option<&str>, is_cross: bool| {
            let head = RequestHead { host: Some("mirror:9900"), origin, fetch_site, ..RequestHead::default() };
            assert_eq!(head.is_cross_origin(), is_cross, "{origin:?} {fetch_site:?}");
        };
        check(None, None, false);
        check(Some("http://mirror:9900"), None, false);
        check(Some("https://Mirror:9900"), None, false);
        for other in ["http://mirror", "http://mirror:9901", "http://evil.example", "null", "", "mirror:9900"] {
            check(Some(other), None, true);
        }
        for (site, is_cross) in
            [("same-origin", false), ("none", false), ("same-site", true), ("cross-site", true), ("", true)]
        {
            check(None, Some(site), is_cross);
            check(Some("https://behind.example"), Some(site), is_cross);
        }
        let without_host = RequestHead { origin: Some("http://mirror:9900"), ..RequestHead::default() };
        assert!(without_host.is_cross_origin());
    }

    #[test]
    fn slashes_and_query_strings_do_not_matter() {
        let check = |target: &str, expected: &str| assert_eq!(normal_path(target), expected, "{target}");
        check("/api/metric", "/api/metric");
        check("/api/metric/", "/api/metric");
        check("//api/metric", "/api/metric");
        check("//api///metric/", "/api/metric");
        check("/api/metric?x=/y", "/api/metric");
        check("/", "/");
        check("", "/");
        check("//?", "/");
        check("http://mirror:9900/api/metric/", "/api/metric");
        check("http://mirror:9900", "/");
    }
}
