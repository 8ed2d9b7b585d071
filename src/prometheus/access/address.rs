//! The checked address of an upstream.

use std::fmt;
use std::net::Ipv6Addr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use ureq::http::Uri;
use zeroize::Zeroizing;

use crate::secret::Secret;

use super::shown_path::{HIDDEN, hidden_segments, shown_path};

/// The checked address of a Prometheus: scheme, host, port and path prefix, without credentials.
///
/// A path prefix may be a secret, such as a token in a URL. So there are two forms: `base`, which calls use and nothing may show, and
/// `name`, in which `...` replaces all segments that are not well known. `Display` and `Debug` write the name.
///
/// ```text
/// at_url("https://p.example/s3cr3t/prom/")    base https://p.example/s3cr3t/prom    name p.example:443/.../prom
/// at_host("fd00::1", 9090)                    base http://[fd00::1]:9090            name [fd00::1]:9090
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::prometheus) struct Address {
    /// Scheme, host, port and path prefix, without a slash at the end.
    base: String,
    name: String,
}

/// Why something is not an address: the predicate of a sentence whose subject is the field.
pub type BadAddress = &'static str;

/// A base URL.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::prometheus) struct BaseUrl {
    pub(in crate::prometheus) address: Address,
    /// The value of the header `Authorization`, if the URL contains credentials.
    pub(in crate::prometheus) authorization: Option<Secret>,
}

impl Address {
    /// The Prometheus at a host, which is a name, an IPv4 address, or an IPv6 address with or without brackets.
    ///
    /// # Errors
    /// Fails if the host is none of these.
    pub(in crate::prometheus) fn at_host(host: &str, port: u16) -> Result<Address, BadAddress> {
        const EXPECTED: BadAddress =
            "must be a name or an address alone; give the port as port, or scheme, port and path together as url";
        let name = if unbracketed(host).parse::<Ipv6Addr>().is_ok() {
            format!("[{}]:{port}", unbracketed(host))
        } else if !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
            format!("{host}:{port}")
        } else {
            return Err(EXPECTED);
        };
        let base = format!("http://{name}");
        base.parse::<Uri>().map_err(|_| EXPECTED)?;
        Ok(Address { base, name })
    }

    /// The Prometheus at a base URL, `http` or `https`, with optional credentials and path prefix.
    ///
    /// # Errors
    /// Fails if it is not such a URL.
    pub(in crate::prometheus) fn at_url(url: &str) -> Result<BaseUrl, BadAddress> {
        match mistake(url).or_else(|| mistake_in_path(url)) {
            Some(mistake) => Err(mistake),
            None => Address::anywhere(url),
        }
    }

    /// Any server at a URL, `http` or `https`.
    ///
    /// # Errors
    /// Fails if it is not such a URL.
    pub(in crate::prometheus) fn anywhere(url: &str) -> Result<BaseUrl, BadAddress> {
        const EXPECTED: BadAddress = "must be a base URL such as https://prometheus.example:9090/prefix";
        const SCHEME: BadAddress = "must begin with http:// or https://, such as https://prometheus.example:9090";
        if let Some(mistake) = mistake(url) {
            return Err(mistake);
        }
        if !url.contains("://") {
            return Err(SCHEME);
        }
        let uri: Uri = url.parse().map_err(|_| EXPECTED)?;
        let scheme = uri.scheme_str().ok_or(EXPECTED)?;
        let authority = uri.authority().ok_or(EXPECTED)?;
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(SCHEME),
        };
        if authority.host().is_empty() {
            return Err(EXPECTED);
        }
        if authority.host().contains('%') {
            return Err("must have a host without %: an IPv6 address stands there without a zone");
        }
        let port = match authority.as_str().rsplit_once(':') {
            // A port follows the last colon, unless that colon is inside an IPv6 address.
            Some((_, digits)) if !digits.contains([']', '@']) => {
                digits.parse().ok().filter(|&port: &u16| port > 0).ok_or("must have a port from 1 to 65535, or none")?
            }
            _ => default_port,
        };
        let (credentials, host_and_port) = match authority.as_str().rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, authority.as_str()),
        };
        let path = uri.path().trim_end_matches('/');
        let shown_path = shown_path(path);
        let address = Address {
            base: format!("{scheme}://{host_and_port}{path}"),
            name: format!("{}:{port}{shown_path}", authority.host()),
        };
        Ok(BaseUrl { address, authorization: credentials.map(basic_of_url) })
    }

    /// Host, port and path prefix; never a password.
    pub(in crate::prometheus) fn name(&self) -> &str {
        &self.name
    }

    /// The base URL of its web pages, unless a part of its path may be a secret.
    pub(in crate::prometheus) fn page_base(&self) -> Option<String> {
        let scheme = if self.base.starts_with("https") { "https" } else { "http" };
        (!self.name.contains(HIDDEN)).then(|| format!("{scheme}://{}", self.name))
    }

    /// Host and port in a normal form.
    pub(in crate::prometheus) fn server(&self) -> String {
        // A dot at the end of a name only says that no search domain follows.
        self.name.split('/').next().unwrap_or_default().to_ascii_lowercase().replace(".:", ":")
    }

    /// Scheme, host, port and path prefix. It must not be shown, because the prefix may be a secret.
    pub(in crate::prometheus) fn base(&self) -> &str {
        &self.base
    }

    /// The segments of the path that are not shown, as they are in the URL, and decoded.
    pub(in crate::prometheus) fn hidden_segments(&self) -> impl Iterator<Item = String> {
        let path = self.base.splitn(4, '/').nth(3).unwrap_or_default();
        hidden_segments(path)
            .flat_map(|segment| [segment.to_owned(), percent_decode_str(segment).decode_utf8_lossy().into_owned()])
    }
}

/// Splits any URL without credentials: its address, the slash at the end of its path, which an address does not keep, and its
/// query.
///
/// # Errors
/// Fails if it is not such a URL.
pub(in crate::prometheus) fn split_url(url: &str) -> Result<(Address, &'static str, String), BadAddress> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let BaseUrl { address, authorization } = Address::anywhere(base)?;
    let path = if base.ends_with('/') { "/" } else { "" };
    match authorization {
        Some(_) => Err("must have no user and password"),
        None => Ok((address, path, query.to_owned())),
    }
}

/// A common mistake in a base URL, and what to write instead.
fn mistake(url: &str) -> Option<BadAddress> {
    let (_, rest) = url.split_once("://")?;
    let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
    let is_in_password = |c: char| rest.rsplit_once('@').is_some_and(|(credentials, _)| credentials.contains(c));
    if is_in_password('/') {
        return Some(
            "has a @ behind a /: credentials go before the host, as https://user:password@host/prefix, and in them / is written \
             as %2F and @ as %40",
        );
    }
    if is_in_password('?') {
        return Some("must be a base URL without ?: in a password, ? is written as %3F");
    }
    if is_in_password('#') {
        return Some("must be a base URL without #: in a password, # is written as %23");
    }
    if url.contains(['?', '#']) {
        return Some("must be a base URL, without ? and #");
    }
    if authority.matches('@').count() > 1 {
        return Some("has more than one @: in user and password, @ is written as %40");
    }
    None
}

/// A common mistake in the path of a base URL, and what to write instead.
fn mistake_in_path(url: &str) -> Option<BadAddress> {
    /// What follows `/api/v1` in Prometheus's own API.
    const CALLS: [&str; 12] = [
        "alerts", "label", "labels", "metadata", "query", "query_range", "read", "rules", "series", "status",
        "targets", "write",
    ];
    let (_, rest) = url.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let behind_api = segments.windows(2).rposition(|two| two == ["api", "v1"]).map(|at| &segments[at + 2..]);
    // The path of the Kubernetes API, which also leads to services, begins like this, too.
    let is_call = |rest: &&[&str]| rest.first().is_none_or(|call| CALLS.contains(call));
    if behind_api.as_ref().is_some_and(is_call) || segments.ends_with(&["api"]) {
        return Some("must be a base URL: leave out /api/v1 and what follows, which the mirror adds");
    }
    if segments.ends_with(&["graph"]) {
        return Some("must be a base URL, not that of a page: leave out /graph");
    }
    None
}

/// A host without the brackets that an IPv6 address has in a URL.
pub(in crate::prometheus) fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// The value of the header `Authorization` for the percent-encoded `user:password` of a URL.
///
/// ureq does not decode credentials in a URL, so a password could not contain a slash.
fn basic_of_url(credentials: &str) -> Secret {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let decoded = |text: &str| Zeroizing::new(percent_decode_str(text).collect::<Vec<u8>>());
    basic(&decoded(user), &decoded(password))
}

/// The value of the header `Authorization` for basic authentication (RFC 7617).
pub(in crate::prometheus) fn basic(user: &[u8], password: &[u8]) -> Secret {
    let plain = Zeroizing::new([user, b":", password].concat());
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(plain.as_slice()));
    Secret::new(&Zeroizing::new(format!("Basic {}", encoded.as_str())))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        let check = |host: &str, expected: &str| {
            let address = Address::at_host(host, 9090).unwrap();
            assert_eq!(address.to_string(), expected);
            assert_eq!(address.base(), format!("http://{expected}"));
        };
        check("prometheus.monitoring.svc", "prometheus.monitoring.svc:9090");
        check("my_host", "my_host:9090");
        check("10.0.0.1", "10.0.0.1:9090");
        check("::1", "[::1]:9090");
        check("[::1]", "[::1]:9090");
        for bad in ["", "http://a", "a:9090", "a/b", "u@a", "a b", "[a]", "[::1", "a?b", "é", "a\r\nb"] {
            assert!(Address::at_host(bad, 9090).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn different_spellings_are_one_server() {
        let check = |address: Address| assert_eq!(address.server(), "p.svc:9090");
        for host in ["p.svc", "P.SVC", "p.svc."] {
            check(Address::at_host(host, 9090).unwrap());
            check(Address::at_url(&format!("http://u:w@{host}:9090/a/b")).unwrap().address);
        }
    }

    #[test]
    fn a_url_keeps_prefix_and_credentials_and_shows_no_credentials() {
        let check = |url: &str, base: &str, name: &str, authorization: Option<&str>| {
            let BaseUrl { address, authorization: found } = Address::at_url(url).unwrap();
            assert_eq!((address.base(), address.to_string().as_str()), (base, name));
            assert_eq!(found.as_ref().map(Secret::reveal), authorization);
            assert_eq!(format!("{address:?}"), format!("Address({name})"));
        };
        check("http://p:9090", "http://p:9090", "p:9090", None);
        check("http://p/", "http://p", "p:80", None);
        check("https://p/select/0//", "https://p/select/0", "p:443/select/0", None);
        // The example of RFC 7617.
        let aladdin = Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        check("https://Aladdin:open%20sesame@p:1/prom", "https://p:1/prom", "p:1/prom", aladdin);
        check("https://u@p", "https://p", "p:443", Some("Basic dTo="));
        check("http://[::1]", "http://[::1]", "[::1]:80", None);
        check("http://[::1]:9090/", "http://[::1]:9090", "[::1]:9090", None);
        check("https://u:a:b@p", "https://p", "p:443", Some("Basic dTphOmI="));
        check("http://p/select/1:2/prometheus", "http://p/select/1:2/prometheus", "p:80/select/1:2/prometheus", None);
    }

    #[test]
    fn a_bad_base_url_is_refused_with_what_to_write() {
        let check = |url: &str, remedy: &str| {
            let error = Address::at_url(url).unwrap_err();
            assert!(error.contains(remedy) && !error.contains("hush"), "{url:?}: {error}");
        };
        for url in ["", "p", "p:9090", "/x", "http://"] {
            check(url, "such as https://");
        }
        for url in ["", "p", "p:9090", "ftp://p"] {
            check(url, "begin with http:// or https://");
        }
        check("http://[fe80::1%25hush]:9090", "without a zone");
        check("http://p:0", "port from 1 to 65535");
        check("http://p:99999", "port from 1 to 65535");
        check("http://p?x", "without ? and #");
        check("http://p/#x", "without ? and #");
        check("https://u:hu/sh@p:9090/", "/ is written as %2F");
        check("https://p/u:hush@x", "credentials go before the host");
        check("https://u:hu@sh@p/", "@ is written as %40");
        check("https://u:hu?sh@p/", "? is written as %3F");
        check("https://u:hu#sh@p/", "# is written as %23");
        for path in ["/api/v1", "/api/v1/", "/x/api/v1/query", "//api//v1/query_range", "/api"] {
            check(&format!("http://p{path}"), "leave out /api/v1");
        }
        let of_kubernetes = "https://k/api/v1/namespaces/monitoring/services/prometheus:9090/proxy";
        assert_eq!(Address::at_url(of_kubernetes).unwrap().address.base(), of_kubernetes);
        check(&format!("{of_kubernetes}/api/v1/query"), "leave out /api/v1");
        check("http://p/x/graph", "leave out /graph");
        check("http://p/graph/", "leave out /graph");
    }

    #[test]
    fn any_url_has_an_address_a_last_slash_and_a_query() {
        let check = |url: &str, base: &str, path: &str, query: &str| {
            let (address, found_path, found_query) = split_url(url).unwrap();
            assert_eq!((address.base(), found_path, found_query.as_str()), (base, path, query), "{url}");
        };
        check("https://login/T/oauth2/v2.0/token", "https://login/T/oauth2/v2.0/token", "", "");
        check("https://login/api/v1/token/?a=b&c", "https://login/api/v1/token", "/", "a=b&c");
        for bad in ["", "login", "https://u:hush@login/token", "ftp://x"] {
            assert!(split_url(bad).is_err_and(|why| !why.contains("hush")), "{bad}");
        }
    }
}
