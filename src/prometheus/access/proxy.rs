//! The proxy in front of upstreams, and the hosts that bypass it. `tunnel` opens connections through it.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ureq::http::Uri;

use crate::file::{self, Unreadable};

use crate::secret::Secret;

use super::address::{Address, BaseUrl};
use super::hosts::{BadHost, Host, Hosts, Rule};

/// The most bytes of a file that contains a proxy's URL.
const MAX_FILE_BYTES: u64 = 4_096;

/// A proxy. `Display` writes host and port; neither `Display` nor `Debug` shows a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    uri: Uri,
    address: Address,
    authorization: Option<Secret>,
    no_proxy: NoProxy,
}

impl Proxy {
    /// The proxy at a URL, `http` or `https`, with optional credentials; `None` if it is not such a URL. Hosts in `no_proxy` bypass
    /// it.
    pub fn at_url(url: &str, no_proxy: NoProxy) -> Option<Proxy> {
        // The URL has the form of a Prometheus address, without a path.
        let BaseUrl { address, authorization } = Address::at_url(url).ok()?;
        let uri: Uri = address.base().parse().ok()?;
        (uri.path() == "/").then_some(Proxy { uri, address, authorization, no_proxy })
    }

    /// The proxy whose URL is in a file.
    ///
    /// # Errors
    /// Fails if the file contains no such URL: why, as a sentence that repeats nothing of the file.
    pub fn from_file(path: &Path, no_proxy: NoProxy) -> Result<Proxy, String> {
        const NO_URL: &str = "must hold a URL such as http://user:password@proxy.example:3128 and nothing else";
        let bad =
            |what: &str| format!("the file of the proxy (--proxy-file, or PROXY_FILE), {}, {what}", path.display());
        let url = file::read_text(path, MAX_FILE_BYTES).map_err(|why| match why {
            Unreadable::NotText => bad(NO_URL),
            other => bad(&other.with_remedy()),
        })?;
        Proxy::at_url(url.trim(), no_proxy).ok_or_else(|| bad(NO_URL))
    }

    /// Whether an upstream is reached through the proxy. Names without a dot bypass it, because only the mirror's own network knows
    /// them.
    pub(in crate::prometheus) fn leads_to(&self, host: &str, port: u16) -> bool {
        let is_local = matches!(Host::named(host), Some(Host::Name(name)) if !name.contains('.'));
        !is_local && !self.no_proxy.0.cover(host, port)
    }

    /// The URL of the proxy.
    pub(in crate::prometheus) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The value of the header `Proxy-Authorization`, if the proxy needs credentials. It must not be shown.
    pub(in crate::prometheus) fn authorization(&self) -> Option<&str> {
        self.authorization.as_ref().map(Secret::reveal)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}, {:?})", self.address, self.no_proxy)
    }
}

/// How an upstream of the upstreams file is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prometheus) enum ProxyChoice {
    /// As `--proxy` and `--no-proxy` say.
    AsSet,
    /// Directly.
    Direct,
    /// Through this proxy, except for its `no_proxy` hosts.
    Through(Proxy),
}

/// The hosts that bypass the proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoProxy(Hosts);

impl FromStr for NoProxy {
    type Err = BadHost;

    /// Parses what other programs accept as `NO_PROXY`: hosts separated by commas or spaces. Unlike in the allow-list, a name also
    /// stands for all names below it, `.domain` means `*.domain`, and entries may be empty, because templates often produce such
    /// lists.
    fn from_str(list: &str) -> Result<NoProxy, BadHost> {
        let mut rules = Vec::new();
        for entry in list.split([',', ' ']).filter(|entry| !entry.is_empty()) {
            let bad = |_| BadHost(entry.to_owned());
            let rule = match entry.strip_prefix('.') {
                Some(domain) => format!("*.{domain}").parse().map_err(bad)?,
                None => entry.parse()?,
            };
            if let Rule::Host(Host::Name(name), port) = &rule {
                rules.push(Rule::Host(Host::Below(format!(".{name}")), *port));
            }
            rules.push(rule);
        }
        Ok(NoProxy(Hosts(rules)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str, no_proxy: &str) -> Option<Proxy> {
        Proxy::at_url(url, no_proxy.parse().unwrap())
    }

    #[test]
    fn a_proxy_has_a_url_without_a_path() {
        let check = |url: &str, uri: &str, name: &str, authorization: Option<&str>| {
            let proxy = proxy(url, "").unwrap();
            assert_eq!((proxy.uri().to_string(), proxy.to_string()), (uri.to_owned(), name.to_owned()));
            assert_eq!(proxy.authorization(), authorization);
        };
        check("http://proxy.example:3128", "http://proxy.example:3128/", "proxy.example:3128", None);
        check("http://proxy.example/", "http://proxy.example/", "proxy.example:80", None);
        check("https://[::1]", "https://[::1]/", "[::1]:443", None);
        // The example of RFC 7617.
        let aladdin = Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        check("http://Aladdin:open%20sesame@p:1", "http://p:1/", "p:1", aladdin);
        for bad in
            ["", "p", "p:3128", "socks5://p:1080", "http://", "http://p/x", "http://p?x", "http://p:0", "http://é"]
        {
            assert_eq!(proxy(bad, ""), None, "{bad:?}");
        }
        let shown = format!("{:?}", proxy("http://user:hush@p:1", "").unwrap());
        assert!(!shown.contains("hush") && !shown.contains("aHVzaA"), "{shown}");
    }

    #[test]
    fn listed_hosts_and_names_without_a_dot_bypass_the_proxy() {
        let check = |no_proxy: &str, host: &str, port: u16, is_direct: bool| {
            let proxy = proxy("http://p:1", no_proxy).unwrap();
            assert_eq!(proxy.leads_to(host, port), !is_direct, "{no_proxy}: {host}:{port}");
        };
        check("", "prometheus", 1, true);
        check("", "Prometheus.", 1, true);
        check("", "prometheus.monitoring", 1, false);
        check("", "127.0.0.1", 1, false);
        check("", "[::1]", 1, false);
        check("a.b", "a.b", 1, true);
        check("a.b", "c.A.B", 1, true);
        check("a.b", "ca.b", 1, false);
        check(".b", "a.b", 1, true);
        check("*.b", "a.b", 1, true);
        check(".a.b", "a.b", 1, false);
        check("*.a.b", "a.b", 1, false);
        check("svc", "prometheus.monitoring.svc", 1, true);
        check("a.b:9090", "a.b", 9090, true);
        check("a.b:9090", "c.a.b", 9090, true);
        check("a.b:9090", "a.b", 1, false);
        check(".b:9090", "a.b", 9090, true);
        check("10.0.0.1", "10.0.0.1", 1, true);
        check("10.0.0.0/8", "10.0.0.1", 1, true);
        check("10.0.0.0/8", "11.0.0.1", 1, false);
        check("::1,[::2]:9090", "[::2]", 9090, true);
        check("*", "a.b", 1, true);
        check(", ,.svc,,10.0.0.0/8 a.b ,", "a.b", 1, true);
    }

    #[test]
    fn the_error_names_an_invalid_entry() {
        for bad in [".", "..b", "http://a", "10.0.0.0/33", "192.168.1.*", "a:", ".a:0"] {
            let list = format!("localhost,{bad},.svc");
            assert_eq!(list.parse::<NoProxy>(), Err(BadHost(bad.to_owned())), "{bad}");
        }
    }
}
