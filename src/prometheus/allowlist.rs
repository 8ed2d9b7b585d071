//! Which upstreams may be asked. Whoever reaches the mirror chooses host and port, so it is a door into the network; this
//! says how far it opens.
//!
//! The list is asked where ureq looks up addresses, before every exchange: what it refuses is neither looked up nor
//! connected to, and the addresses it has checked are the very ones that are connected to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::upstream::unbracketed;

/// The upstreams that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowlist(Vec<Rule>);

/// Upstreams that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Everything,
    /// A host as the connection details write it, at one port or all.
    Host(Host, Option<u16>),
    /// Whatever has an address in a network, under any name and at any port.
    Network(IpNet),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// A name in lower case, without a dot at the end.
    Name(String),
    /// All names that end in this one, which begins with a dot.
    Below(String),
    Address(IpAddr),
}

/// A text that is no list of upstreams.
#[derive(Debug, PartialEq, Eq)]
pub struct BadAllowlist;

impl FromStr for Allowlist {
    type Err = BadAllowlist;

    /// Reads a list of `host`, `host:port`, `*.domain`, networks in CIDR notation, and `*` for everything, separated by
    /// commas. A host is a name or an address, an IPv6 one in brackets if a port follows.
    fn from_str(list: &str) -> Result<Allowlist, BadAllowlist> {
        list.split(',').map(|rule| rule.trim().parse()).collect::<Result<_, _>>().map(Allowlist)
    }
}

impl FromStr for Rule {
    type Err = BadAllowlist;

    fn from_str(rule: &str) -> Result<Rule, BadAllowlist> {
        if rule == "*" {
            return Ok(Rule::Everything);
        }
        if rule.contains('/') {
            let network = rule.parse().map_err(|_| BadAllowlist)?;
            // Addresses are compared as the IPv4 ones they are.
            let is_mapped = matches!(network, IpNet::V6(network) if network.addr().to_ipv4_mapped().is_some());
            return if is_mapped { Err(BadAllowlist) } else { Ok(Rule::Network(network)) };
        }
        let port_of = |digits: &str| digits.parse().ok().filter(|&port: &u16| port > 0).ok_or(BadAllowlist);
        let (host, port) = match rule.rsplit_once(':') {
            // Within an IPv6 address a colon is no sign of a port.
            Some((host, port)) if rule.parse::<IpAddr>().is_err() && !rule.ends_with(']') => {
                (host, Some(port_of(port)?))
            }
            _ => (rule, None),
        };
        let host = match host.strip_prefix('*') {
            Some(domain) if domain.starts_with('.') => {
                is_name(&domain[1..]).then(|| Host::Below(normal_name(domain))).ok_or(BadAllowlist)?
            }
            // With the dot that ends names, an address is neither.
            _ if host.strip_suffix('.').is_some_and(|bare| address(bare).is_some()) => return Err(BadAllowlist),
            _ => Host::named(host).ok_or(BadAllowlist)?,
        };
        Ok(Rule::Host(host, port))
    }
}

impl Host {
    fn named(host: &str) -> Option<Host> {
        match address(host) {
            Some(ip) => Some(Host::Address(ip)),
            None => is_name(host).then(|| Host::Name(normal_name(host))),
        }
    }

    fn covers(&self, asked: &Host) -> bool {
        match (self, asked) {
            (Host::Below(domain), Host::Name(name)) => name.ends_with(domain.as_str()),
            _ => self == asked,
        }
    }
}

/// An address in one form only: an IPv4 address may be written as an IPv6 one, and IPv6 ones stand in brackets in a URL.
fn address(host: &str) -> Option<IpAddr> {
    unbracketed(host).parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

/// Whether a text is a name, of labels that are not empty, perhaps with a dot at its end.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.strip_suffix('.').unwrap_or(text).split('.').all(is_label)
}

fn normal_name(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// What the list says of an upstream before its addresses are known.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    /// Its addresses decide.
    ByAddress,
    Refused,
}

impl Allowlist {
    fn judge(&self, host: &str, port: u16) -> Verdict {
        let asked = Host::named(host);
        let allows = |rule: &Rule| match rule {
            Rule::Everything => true,
            Rule::Host(host, of) => {
                asked.as_ref().is_some_and(|asked| host.covers(asked)) && of.is_none_or(|of| of == port)
            }
            Rule::Network(_) => false,
        };
        if self.0.iter().any(allows) {
            Verdict::Allowed
        } else if self.0.iter().any(|rule| matches!(rule, Rule::Network(_))) {
            Verdict::ByAddress
        } else {
            Verdict::Refused
        }
    }

    fn has(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|rule| matches!(rule, Rule::Network(network) if network.contains(&ip)))
    }
}

/// The failure of an exchange with an upstream that may not be asked.
#[derive(Debug)]
pub(super) struct NotAllowed;

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not allowed")
    }
}

impl std::error::Error for NotAllowed {}

/// Looks up the addresses of those upstreams that may be asked.
#[derive(Debug)]
pub(super) struct AllowedResolver {
    pub(super) allowlist: Allowlist,
    pub(super) system: DefaultResolver,
}

impl Resolver for AllowedResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let refused = || ureq::Error::Other(Box::new(NotAllowed));
        let host = uri.host().unwrap_or_default();
        let is_https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let verdict = self.allowlist.judge(host, port);
        if verdict == Verdict::Refused {
            return Err(refused());
        }
        let found = match address(host) {
            // Known already; the system's resolver would be asked on a thread of its own.
            Some(ip) => vec![SocketAddr::new(ip, port)],
            None => self.system.resolve(uri, config, timeout)?.to_vec(),
        };
        let mut allowed = self.empty();
        for at in found.into_iter().filter(|at| verdict == Verdict::Allowed || self.allowlist.has(at.ip())) {
            allowed.push(at);
        }
        if allowed.is_empty() { Err(refused()) } else { Ok(allowed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whole_or_refused() {
        for good in [
            "*",
            "prometheus",
            "Prometheus.Monitoring.svc.",
            "my_host:9090",
            "10.0.0.1",
            "10.0.0.1:9090",
            "::1",
            "[::1]",
            "[::1]:9090",
            "*.svc",
            "*.svc.cluster.local:9090",
            "10.0.0.0/8",
            "fd00::/8",
            " a , b ",
        ] {
            assert!(good.parse::<Allowlist>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ",",
            "a,",
            "a b",
            "http://a",
            "a/8",
            "10.0.0.0/33",
            "a:",
            "a:0",
            "a:99999",
            "*a",
            "*.",
            "a.*",
            "*:1",
            "[::1",
            "::1]",
            "u@a",
            "é",
        ] {
            assert_eq!(bad.parse::<Allowlist>(), Err(BadAllowlist), "{bad:?}");
        }
    }

    #[test]
    fn a_host_is_judged_by_its_name_before_its_addresses() {
        use Verdict::{Allowed, ByAddress, Refused};
        let check = |list: &str, host: &str, port: u16, expected: Verdict| {
            assert_eq!(list.parse::<Allowlist>().unwrap().judge(host, port), expected, "{list}: {host}:{port}");
        };
        check("*", "anything", 1, Allowed);
        check("p", "p", 1, Allowed);
        check("P.x", "p.X.", 1, Allowed);
        check("p", "pp", 1, Refused);
        check("p", "p.x", 1, Refused);
        check("p:9090", "p", 9090, Allowed);
        check("p:9090", "p", 9091, Refused);
        check("a,p:9090", "p", 9090, Allowed);
        check("*.svc", "p.svc", 1, Allowed);
        check("*.svc", "a.p.SVC.", 1, Allowed);
        check("*.svc", "svc", 1, Refused);
        check("*.svc", "psvc", 1, Refused);
        check("*.svc", "p.svc.evil", 1, Refused);
        check("*.svc:9090", "p.svc", 1, Refused);
        check("*.0.0.1", "10.0.0.1", 1, Refused);
        check("10.0.0.1", "10.0.0.1", 1, Allowed);
        check("10.0.0.1", "::ffff:10.0.0.1", 1, Allowed);
        check("10.0.0.1", "10.0.0.2", 1, Refused);
        check("::1", "[0:0::1]", 1, Allowed);
        check("[::1]:9090", "[::1]", 9090, Allowed);
        check("[::1]:9090", "[::1]", 1, Refused);
        check("10.0.0.0/8", "10.0.0.1", 1, ByAddress);
        check("10.0.0.0/8", "p", 1, ByAddress);
        check("10.0.0.0/8,p", "p", 1, Allowed);
    }

    #[test]
    fn an_address_is_in_a_network_however_it_is_written() {
        let check = |list: &str, ip: &str, expected: bool| {
            assert_eq!(list.parse::<Allowlist>().unwrap().has(ip.parse().unwrap()), expected, "{list}: {ip}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("127.0.0.1,10.0.0.0/8", "127.0.0.1", false);
        check("a,10.0.0.0/8,fd00::/8", "fdff::1", true);
        check("fd00::/8", "fe80::1", false);
        check("*", "10.0.0.1", false);
    }
}
