//! Where a redirect points, and what this says about the configured address. The mirror does not follow redirects.

use ureq::http::Uri;

use super::call_context::CallContext;
use super::vocabulary::{URL, Vocabulary};
use crate::prometheus::access::{HIDDEN, host_and_port, shown_path};

/// What comes between a base URL and the names of the calls.
const API: &str = "/api/v1/";

/// Where a redirect points: scheme, host, port and the parts of the path that may be shown, never a query or credentials.
#[derive(Debug, PartialEq, Eq)]
pub enum Redirect {
    /// To the same base URL, but by https.
    Https(String),
    /// To the address of the call.
    Itself,
    /// From https to http.
    Unencrypted(String),
    /// To the API at another base URL.
    Api(String),
    /// To anything else; the address if it may be shown.
    Elsewhere(Option<String>),
}

impl Redirect {
    /// What the header `Location` means for a call of this context.
    pub(in crate::prometheus) fn of(location: Option<&str>, context: &CallContext) -> Redirect {
        Redirect::within(location, context).unwrap_or(Redirect::Elsewhere(None))
    }

    fn within(location: Option<&str>, context: &CallContext) -> Option<Redirect> {
        /// The longest address that is shown.
        const MAX_SHOWN_BYTES: usize = 200;
        let base: Uri = context.base.parse().ok()?;
        let to = absolute(location?, &base)?;
        let (base_path, is_api) = match to.path().rfind(API) {
            Some(end) => (&to.path()[..end], true),
            None => (to.path().trim_end_matches('/'), false),
        };
        let scheme = to.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
        let authority = to.authority()?;
        // A % begins the zone of an IPv6 address.
        let (host, _) = Some(host_and_port(&to)).filter(|(host, _)| !host.is_empty() && !host.contains('%'))?;
        let port = authority.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let path = shown_path(base_path);
        let shown = Some(format!("{scheme}://{host}{port}{path}")).filter(|shown| shown.len() <= MAX_SHOWN_BYTES)?;
        let is_same_host = base.host().is_some_and(|of_base| of_base.eq_ignore_ascii_case(host));
        let is_same_path = base.path().trim_end_matches('/') == base_path;
        let is_same_scheme = base.scheme_str() == Some(scheme);
        if is_same_host && is_same_path && !is_same_scheme && scheme == "https" {
            return Some(Redirect::Https(shown));
        }
        if !is_same_scheme && scheme == "http" {
            return Some(Redirect::Unencrypted(shown));
        }
        let is_same_port = host_and_port(&base).1 == host_and_port(&to).1;
        Some(match is_api {
            true if is_same_scheme && is_same_host && is_same_port && is_same_path => Redirect::Itself,
            true => Redirect::Api(shown),
            false => Redirect::Elsewhere(Some(shown)),
        })
    }

    /// The predicate of a sentence whose subject is the upstream.
    pub(super) fn predicate(&self, status: u16, words: Vocabulary<'_>) -> String {
        if matches!(status, 300 | 304..=306) {
            return format!(
                "returned HTTP status {status} without a response to the query; look at the configuration of the proxy in front \
                 of Prometheus"
            );
        }
        let to = match self {
            Redirect::Itself => "to the same address".to_owned(),
            Redirect::Https(to) | Redirect::Unencrypted(to) | Redirect::Api(to) | Redirect::Elsewhere(Some(to)) => {
                format!("to {to}")
            }
            Redirect::Elsewhere(None) => "elsewhere".to_owned(),
        };
        let hidden = match to.contains(HIDDEN) {
            true => "; ... replaces parts that may be secret: see the header Location",
            false => "",
        };
        format!("redirects {to} (HTTP status {status}), which is not followed; {}{hidden}", self.remedy(status, words))
    }

    fn remedy(&self, status: u16, words: Vocabulary<'_>) -> String {
        let url = words.setting(URL);
        match self {
            Redirect::Https(_) => format!("begin {url} with https://, as this address does"),
            Redirect::Itself => "look at the configuration of the proxy in front of Prometheus".to_owned(),
            Redirect::Unencrypted(_) => format!(
                "that address is not encrypted: make the proxy in front of Prometheus redirect to https, or give the final \
                 https address as {url}"
            ),
            Redirect::Api(_) => format!("give that address as {url}"),
            Redirect::Elsewhere(to) => match (status, to) {
                (301 | 307 | 308, Some(_)) => format!("if Prometheus is there, give that address as {url}"),
                (301 | 307 | 308, None) => format!("give the final address as {url}"),
                _ => format!(
                    "that is probably a login page: query Prometheus without the login, or give the final address as {url}"
                ),
            },
        }
    }
}

/// A `Location` as a complete URL. `None` if it is relative to the path of the call.
fn absolute(location: &str, base: &Uri) -> Option<Uri> {
    let scheme = base.scheme_str()?;
    if location.starts_with("//") {
        format!("{scheme}:{location}").parse().ok()
    } else if location.starts_with('/') {
        format!("{scheme}://{}{location}", base.authority()?).parse().ok()
    } else {
        location.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::upstream::Upstream;

    #[test]
    fn a_redirect_names_the_url_to_give() {
        let give = "; give that address as url";
        let check = |base: &str, status: u16, location: Option<&str>, says: &[&str]| {
            let context = Upstream::at_url(base).unwrap().context();
            let text = Redirect::of(location, &context).predicate(status, Vocabulary::default());
            assert!(says.iter().all(|part| text.contains(part)), "{says:?}: {text}");
            assert!(!text.contains("hush") && !text.contains("api/v1") && !text.contains("check host"), "{text}");
            assert_eq!(
                text.contains("give that address"),
                says.contains(&give) || says.contains(&&give[2..]),
                "{text}"
            );
        };
        let (plain, prefixed) = ("http://p:9090", "https://u:hush@p/prom");
        let https = "begin url in the Connection Details with https://";
        check(plain, 301, Some("https://p:9090/api/v1/query"), &["to https://p:9090 (", https]);
        check(plain, 302, Some("https://P/api/v1/query_range?query=hush"), &["to https://P (", https]);
        check(plain, 301, Some("https://p/"), &["to https://p (", https]);
        check(plain, 301, Some("https://p/thanos/api/v1/query"), &["to https://p/thanos (", give]);
        for status in [301, 302, 303, 307, 308] {
            check(plain, status, Some("https://u:hush@q:1/thanos/api/v1/query"), &["to https://q:1/thanos (", give]);
        }
        check(prefixed, 308, Some("//q/api/v1/query"), &["to https://q (", give]);
        check(prefixed, 308, Some("/thanos/api/v1/label/a/values"), &["to https://p/thanos (", give]);
        let unencrypted = "that address is not encrypted";
        check(
            prefixed,
            301,
            Some("http://p/prom/api/v1/query"),
            &["to http://p/prom (", unencrypted, "the final https address as url"],
        );
        check(prefixed, 302, Some("http://q/login"), &["to http://q/login (", unencrypted]);
        let hidden = "; ... replaces parts that may be secret";
        check(prefixed, 301, Some("https://p/hush/thanos/api/v1/query"), &["to https://p/.../thanos (", give, hidden]);
        check(prefixed, 302, Some("https://p:443/prom/api/v1/query?hush"), &["to the same address (", "configuration"]);
        check(prefixed, 301, Some("/graph?hush"), &["to https://p/graph (", &give[2..]]);
        check(
            prefixed,
            302,
            Some("https://u:hush@login.example/start?x=hush#hush"),
            &["to https://login.example/start (", "login page"],
        );
        check(prefixed, 302, None, &["elsewhere", "login page"]);
        check(prefixed, 307, None, &["elsewhere", "the final address as url"]);
        for hidden in ["hush", "ftp://hush/", "http://[fe80::1%25hush]/", &format!("https://{}/hush", "q".repeat(200))]
        {
            check(prefixed, 302, Some(hidden), &["elsewhere"]);
        }
        for status in [300, 304, 305] {
            check(prefixed, status, Some("https://q/hush"), &["without a response to the query", &status.to_string()]);
        }
    }
}
