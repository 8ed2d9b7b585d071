//! The files that configure the system's resolver, read as it reads them: `resolv.conf`, `hosts` and `nsswitch.conf`.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use zeroize::Zeroizing;

use crate::file::{self, Unreadable};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";
const NSSWITCH_CONF: &str = "/etc/nsswitch.conf";

/// The most bytes of such a file; lists of blocked hosts have some megabytes. A longer file is ignored.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The most name servers that the resolver queries (resolv.conf(5), `MAXNS`).
const MAX_SERVERS: usize = 3;

/// The most candidates for a name: itself, and itself in each search domain.
const MAX_CANDIDATES: usize = 8;

fn read(path: &str) -> Result<Zeroizing<String>, Unreadable> {
    file::read_text(Path::new(path), MAX_FILE_BYTES)
}

/// The content of `/etc/resolv.conf` (resolv.conf(5)), except for the resolver's own timeout and attempts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// The name servers in the order in which the resolver queries them, at least one.
    pub(super) servers: Vec<IpAddr>,
    search: Vec<String>,
    /// A name with fewer dots is first looked up in the search domains.
    ndots: usize,
    /// Whether each look-up begins with another name server.
    pub(super) rotates: bool,
}

impl ResolvConf {
    pub(super) fn of_system() -> ResolvConf {
        ResolvConf::parse(&read(RESOLV_CONF).unwrap_or_default())
    }

    pub(super) fn parse(text: &str) -> ResolvConf {
        let (mut servers, mut search, mut ndots, mut rotates) = (Vec::new(), Vec::new(), 1, false);
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                // An address with a zone is not supported here.
                Some("nameserver") => servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok())),
                Some("search" | "domain") => search = words.map(str::to_owned).collect(),
                Some("options") => {
                    for option in words {
                        rotates |= option == "rotate";
                        ndots = option.strip_prefix("ndots:").and_then(|dots| dots.parse().ok()).unwrap_or(ndots);
                    }
                }
                _ => {}
            }
        }
        servers.truncate(MAX_SERVERS);
        if servers.is_empty() {
            servers.push(Ipv4Addr::LOCALHOST.into());
        }
        ResolvConf { servers, search, ndots, rotates }
    }

    /// The names that the resolver queries when it looks up a name, in its order.
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let mut candidates: Vec<String> = self.search.iter().map(|domain| format!("{name}.{domain}")).collect();
        let is_first = name.matches('.').count() >= self.ndots;
        candidates.truncate(MAX_CANDIDATES - 1);
        candidates.insert(if is_first { 0 } else { candidates.len() }, name.to_owned());
        candidates
    }
}

/// The addresses of a name in `/etc/hosts`.
pub(super) fn in_hosts(name: &str) -> Vec<IpAddr> {
    read(HOSTS).map(|hosts| addresses_in(&hosts, name)).unwrap_or_default()
}

fn addresses_in(hosts: &str, name: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|known| known.eq_ignore_ascii_case(name)).then_some(address)
    };
    hosts.lines().filter_map(address).collect()
}

/// Whether the resolver uses only `/etc/hosts` and the name servers, in this order.
pub(super) fn only_files_and_dns() -> bool {
    match read(NSSWITCH_CONF) {
        Ok(text) => is_plain(&text),
        Err(why) => matches!(why, Unreadable::System(error) if error.kind() == io::ErrorKind::NotFound),
    }
}

fn is_plain(nsswitch: &str) -> bool {
    let sources = |line: &str| {
        let (database, sources) = line.split('#').next()?.split_once(':')?;
        (database.trim() == "hosts").then(|| sources.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    nsswitch.lines().find_map(sources).is_none_or(|sources| sources == ["files", "dns"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_is_read_as_the_resolver_reads_it() {
        let check = |text: &str, servers: &[&str], search: &[&str], ndots: usize, rotates: bool| {
            let servers = servers.iter().map(|server| server.parse().unwrap()).collect();
            let search = search.iter().map(|domain| (*domain).to_owned()).collect();
            assert_eq!(ResolvConf::parse(text), ResolvConf { servers, search, ndots, rotates }, "{text}");
        };
        check("", &["127.0.0.1"], &[], 1, false);
        let two = "# nameserver 10.0.0.9\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n";
        check(two, &["10.0.0.1", "10.0.0.2"], &[], 1, false);
        let four: String = (1..5).map(|nth| format!("nameserver 10.0.0.{nth}\n")).collect();
        check(&four, &["10.0.0.1", "10.0.0.2", "10.0.0.3"], &[], 1, false);
        check("nameserver fe80::1%eth0\nnameserver fd00::1\n", &["fd00::1"], &[], 1, false);
        let kubernetes = "search a.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions edns0 ndots:5\n";
        check(kubernetes, &["10.96.0.10"], &["a.svc.cluster.local", "svc.cluster.local"], 5, false);
        check("search a b\ndomain c\noptions ndots:x rotate\n", &["127.0.0.1"], &["c"], 1, true);
    }

    #[test]
    fn the_candidates_are_those_of_the_resolver() {
        let check = |name: &str, ndots: usize, expected: &[&str]| {
            let conf = ResolvConf::parse(&format!("search a.example example\noptions ndots:{ndots}"));
            assert_eq!(conf.candidates(name), expected, "{name}");
        };
        check("p", 1, &["p.a.example", "p.example", "p"]);
        check("p.b", 1, &["p.b", "p.b.a.example", "p.b.example"]);
        check("p.b", 5, &["p.b.a.example", "p.b.example", "p.b"]);
        check("p.b.", 5, &["p.b."]);
        let many = ResolvConf::parse(&format!("search {}", "x ".repeat(40)));
        assert_eq!(many.candidates("p").len(), MAX_CANDIDATES);
    }

    #[test]
    fn a_name_in_the_hosts_file_is_found() {
        let hosts = "127.0.0.1 localhost\n::1 localhost # not.this\n# 10.0.0.1 nor.this\n10.0.0.2\tone.example  ONE\n";
        for (name, expected) in [
            ("localhost", &["127.0.0.1", "::1"][..]),
            ("one", &["10.0.0.2"]),
            ("One.Example", &["10.0.0.2"]),
            ("10.0.0.2", &[]),
            ("not.this", &[]),
            ("nor.this", &[]),
            ("two", &[]),
        ] {
            let expected: Vec<IpAddr> = expected.iter().map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(addresses_in(hosts, name), expected, "{name}");
        }
    }

    #[test]
    fn further_sources_of_names_are_detected() {
        for (text, expected) in [
            ("", true),
            ("passwd: files systemd\n", true),
            ("passwd: db\nhosts:\t files dns # as usual\n", true),
            ("hosts: files mdns4_minimal [NOTFOUND=return] dns", false),
            ("hosts: files resolve [!UNAVAIL=return] dns", false),
            ("hosts: dns files", false),
            ("# hosts: files dns\nhosts: files dns myhostname\n", false),
        ] {
            assert_eq!(is_plain(text), expected, "{text}");
        }
    }
}
