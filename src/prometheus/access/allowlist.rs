//! Which upstreams the mirror may query. Callers choose host and port, so without this list the mirror would let them reach any
//! host in its network. `connector` enforces the list.

use std::net::IpAddr;
use std::str::FromStr;

use super::hosts::{self, BadHost, Hosts, Rule};

/// The upstreams that the mirror may query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowlist(Hosts);

impl FromStr for Allowlist {
    type Err = BadHost;

    /// Parses a comma-separated list of `host`, `host:port`, `*.domain`, networks in CIDR notation, and `*` for everything. A
    /// network allows every host with an address in it, whatever its name.
    fn from_str(list: &str) -> Result<Allowlist, BadHost> {
        list.split(',').map(|rule| rule.trim().parse()).collect::<Result<_, _>>().map(Hosts).map(Allowlist)
    }
}

/// What the list says about an upstream before its name is looked up.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::prometheus) enum Verdict {
    Allowed,
    /// Its addresses decide.
    ByAddress,
    NotAllowed,
}

impl Allowlist {
    /// Allows everything.
    pub(in crate::prometheus) fn everything() -> Allowlist {
        Allowlist(Hosts(vec![Rule::Everything]))
    }

    /// Judges an upstream by host and port.
    pub(in crate::prometheus) fn judge(&self, host: &str, port: u16) -> Verdict {
        let has_networks = || self.0.0.iter().any(|rule| matches!(rule, Rule::Network(_)));
        if self.0.cover(host, port) {
            Verdict::Allowed
        } else if hosts::address(host).is_none() && has_networks() {
            Verdict::ByAddress
        } else {
            Verdict::NotAllowed
        }
    }

    /// Whether this address is allowed, for a name whose addresses decide.
    pub(in crate::prometheus) fn allows_at(&self, ip: IpAddr) -> bool {
        self.0.have_network_of(ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whole_or_refused() {
        for good in ["*", "prometheus", " a , 10.0.0.0/8 "] {
            assert!(good.parse::<Allowlist>().is_ok(), "{good}");
        }
        for (bad, entry) in [("", ""), (",", ""), ("a,", ""), ("a, b c,d", "b c"), (".svc", ".svc")] {
            assert_eq!(bad.parse::<Allowlist>(), Err(BadHost(entry.to_owned())), "{bad:?}");
        }
    }

    #[test]
    fn a_host_is_judged_by_its_name_before_its_addresses() {
        use Verdict::{Allowed, ByAddress, NotAllowed};
        let check = |list: &str, host: &str, expected: Verdict| {
            assert_eq!(list.parse::<Allowlist>().unwrap().judge(host, 9090), expected, "{list}: {host}");
        };
        check("*", "p", Allowed);
        check("*,10.0.0.0/8", "p", Allowed);
        check("p", "p", Allowed);
        check("p", "q", NotAllowed);
        check("10.0.0.0/8,p", "p", Allowed);
        check("10.0.0.0/8", "p", ByAddress);
        check("10.0.0.0/8", "10.0.0.1", Allowed);
        check("10.0.0.0/8", "11.0.0.1", NotAllowed);
        check("10.0.0.0/8,fd00::/8", "[fe80::1]", NotAllowed);
    }
}
