//! Lists of hosts in settings: by name, domain, address or network, at one port or at all.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use ureq::http::Uri;

use super::address::unbracketed;

/// A list of hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::prometheus) struct Hosts(pub(super) Vec<Rule>);

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prometheus) enum Rule {
    Everything,
    /// A host as it is written, at one port or at all.
    Host(Host, Option<u16>),
    /// Every host with an address in a network, at any port.
    Network(IpNet),
}

/// A host as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prometheus) enum Host {
    /// A name in lower case, without a dot at the end.
    Name(String),
    /// All names that end in this one, which begins with a dot.
    Below(String),
    Address(IpAddr),
}

/// An entry that is not valid.
#[derive(Debug, PartialEq, Eq)]
pub struct BadHost(pub String);

impl Hosts {
    /// Whether a host is in the list, judged by how it is written.
    pub(in crate::prometheus) fn cover(&self, host: &str, port: u16) -> bool {
        let named = Host::named(host);
        self.0.iter().any(|rule| match rule {
            Rule::Everything => true,
            Rule::Host(host, of) => {
                named.as_ref().is_some_and(|named| host.covers(named)) && of.is_none_or(|of| of == port)
            }
            Rule::Network(network) => matches!(&named, Some(Host::Address(ip)) if network.contains(ip)),
        })
    }

    /// Whether an address is in one of the networks of the list.
    pub(in crate::prometheus) fn have_network_of(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|rule| matches!(rule, Rule::Network(network) if network.contains(&ip)))
    }
}

impl FromStr for Rule {
    type Err = BadHost;

    /// Parses one of `host`, `host:port`, `*.domain`, a network in CIDR notation, and `*` for everything. A host is a name or an
    /// address; an IPv6 address needs brackets if a port follows.
    fn from_str(rule: &str) -> Result<Rule, BadHost> {
        let bad = || BadHost(rule.to_owned());
        if rule == "*" {
            return Ok(Rule::Everything);
        }
        if rule.contains('/') {
            let network = rule.parse().map_err(|_| bad())?;
            // Addresses are compared as IPv4, so a network of mapped addresses would match nothing.
            let is_mapped = matches!(network, IpNet::V6(network) if network.addr().to_ipv4_mapped().is_some());
            return if is_mapped { Err(bad()) } else { Ok(Rule::Network(network)) };
        }
        let port_of = |digits: &str| digits.parse().ok().filter(|&port: &u16| port > 0).ok_or_else(bad);
        let (host, port) = match rule.rsplit_once(':') {
            // A colon inside an IPv6 address does not begin a port.
            Some((host, port)) if rule.parse::<IpAddr>().is_err() && !rule.ends_with(']') => {
                (host, Some(port_of(port)?))
            }
            _ => (rule, None),
        };
        let host = match host.strip_prefix('*') {
            Some(domain) if domain.starts_with('.') => {
                is_name(&domain[1..]).then(|| Host::Below(normal_name(domain))).ok_or_else(bad)?
            }
            // An address with a dot at its end is neither an address nor a name.
            _ if host.strip_suffix('.').is_some_and(|bare| address(bare).is_some()) => return Err(bad()),
            _ => Host::named(host).ok_or_else(bad)?,
        };
        Ok(Rule::Host(host, port))
    }
}

impl Host {
    /// Parses a name or an address.
    pub(in crate::prometheus) fn named(host: &str) -> Option<Host> {
        match address(host) {
            Some(ip) => Some(Host::Address(ip)),
            None => is_name(host).then(|| Host::Name(normal_name(host))),
        }
    }

    fn covers(&self, other: &Host) -> bool {
        match (self, other) {
            (Host::Below(domain), Host::Name(name)) => name.ends_with(domain.as_str()),
            _ => self == other,
        }
    }
}

/// Host and port of a URL. Without a port, that of the scheme.
pub(in crate::prometheus) fn host_and_port(uri: &Uri) -> (&str, u16) {
    let of_scheme = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(of_scheme))
}

/// An address in a normal form: an IPv4 address may be written as an IPv6 one, and IPv6 addresses have brackets in a URL.
pub(in crate::prometheus) fn address(host: &str) -> Option<IpAddr> {
    unbracketed(host).parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

/// Whether a text is a name of non-empty labels, with or without a dot at its end.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.strip_suffix('.').unwrap_or(text).split('.').all(is_label)
}

fn normal_name(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_rule_or_refused() {
        for good in [
            "*", "prometheus", "Prometheus.Monitoring.svc.", "my_host:9090", "10.0.0.1", "10.0.0.1:9090", "::1",
            "[::1]", "[::1]:9090", "*.svc", "*.svc.cluster.local:9090", "10.0.0.0/8", "fd00::/8",
        ] {
            assert!(good.parse::<Rule>().is_ok(), "{good}");
        }
        for bad in [
            "", "a b", "http://a", "a/8", "10.0.0.0/33", "a:", "a:0", "a:99999", "*a", "*.", ".a", "a.*", "*:1",
            "[::1", "::1]", "u@a", "é", "10.0.0.1.", "::ffff:10.0.0.0/104",
        ] {
            assert_eq!(bad.parse::<Rule>(), Err(BadHost(bad.to_owned())), "{bad:?}");
        }
    }

    fn hosts(list: &str) -> Hosts {
        Hosts(list.split(',').map(|rule| rule.parse().unwrap()).collect())
    }

    #[test]
    fn a_host_is_judged_as_it_is_written() {
        let check = |list: &str, host: &str, port: u16, expected: bool| {
            assert_eq!(hosts(list).cover(host, port), expected, "{list}: {host}:{port}");
        };
        check("*", "anything", 1, true);
        check("p", "p", 1, true);
        check("P.x", "p.X.", 1, true);
        check("p", "pp", 1, false);
        check("p", "p.x", 1, false);
        check("p:9090", "p", 9090, true);
        check("p:9090", "p", 9091, false);
        check("a,p:9090", "p", 9090, true);
        check("*.svc", "p.svc", 1, true);
        check("*.svc", "a.p.SVC.", 1, true);
        check("*.svc", "svc", 1, false);
        check("*.svc", "psvc", 1, false);
        check("*.svc", "p.svc.evil", 1, false);
        check("*.svc:9090", "p.svc", 1, false);
        check("*.0.0.1", "10.0.0.1", 1, false);
        check("10.0.0.1", "10.0.0.1", 1, true);
        check("10.0.0.1", "::ffff:10.0.0.1", 1, true);
        check("10.0.0.1", "10.0.0.2", 1, false);
        check("::1", "[0:0::1]", 1, true);
        check("[::1]:9090", "[::1]", 9090, true);
        check("[::1]:9090", "[::1]", 1, false);
        check("10.0.0.0/8", "10.0.0.1", 1, true);
        check("10.0.0.0/8", "::ffff:10.0.0.1", 1, true);
        check("10.0.0.0/8", "11.0.0.1", 1, false);
        check("fd00::/8", "[fdff::1]", 1, true);
        check("10.0.0.0/8", "p", 1, false);
    }

    #[test]
    fn an_address_is_in_a_network_however_it_is_written() {
        let check = |list: &str, ip: &str, expected: bool| {
            assert_eq!(hosts(list).have_network_of(ip.parse().unwrap()), expected, "{list}: {ip}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("127.0.0.1,10.0.0.0/8", "127.0.0.1", false);
        check("a,10.0.0.0/8,fd00::/8", "fdff::1", true);
        check("fd00::/8", "fe80::1", false);
        check("*", "10.0.0.1", false);
    }

    #[test]
    fn a_url_without_a_port_has_that_of_its_scheme() {
        for (url, expected) in
            [("http://p/x", ("p", 80)), ("https://p", ("p", 443)), ("https://[::1]:9090/", ("[::1]", 9090))]
        {
            assert_eq!(host_and_port(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
