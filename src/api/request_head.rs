//! What is known of a request before its body is read.

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
    /// The header `Host`.
    pub host: Option<&'r str>,
    /// The header `Origin`, which browsers send with a POST, and pages cannot change.
    pub origin: Option<&'r str>,
    /// The header `Sec-Fetch-Site`, by which newer browsers say how the page relates to the server (Fetch Metadata).
    pub fetch_site: Option<&'r str>,
}

impl RequestHead<'_> {
    /// Whether a web page of another origin made the request in a browser. Programs send neither header.
    pub(super) fn is_cross_origin(&self) -> bool {
        match (self.fetch_site, self.origin) {
            // A reverse proxy may have changed the host, but not this.
            (Some(site), _) => !matches!(site, "same-origin" | "none"),
            (None, Some(origin)) => {
                let authority = origin.split_once("://").map(|(_, authority)| authority);
                !authority.zip(self.host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
            }
            (None, None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
