//! Queries the name servers of `/etc/resolv.conf` for the addresses of a name, without the system's resolver.
//!
//! The resolver queries one name server after the other, and one search domain after the other, and blocks for seconds (5 by
//! default) whenever there is no response. This module finds the same addresses at once: it queries all servers for all names that
//! the resolver would try, those that are known to be silent last. It interprets responses as the resolver does.

mod files;
mod packet;
mod resolution;

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::log;
use crate::prometheus::error::{LookupFailure, ServersSeen};
use crate::sync::Mutex;

use files::ResolvConf;
use resolution::{Candidate, DnsServer, Resolution};

const PORT: u16 = 53;

/// How long the mirror remembers that a name server was silent, or answered.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);

/// How long a name server must stay silent before it counts as silent.
const MIN_SILENCE: Duration = Duration::from_millis(40);

/// What is found out about a name: its addresses, at least one, or why it has none.
pub(super) type LookupOutcome = Result<Arc<[IpAddr]>, LookupFailure>;

/// Name servers that the mirror queries itself.
pub(super) trait DirectQuery: fmt::Debug + Send + Sync {
    /// Whether the resolver would wait for a name server that is known to be silent, while another one answers.
    fn resolver_would_wait(&self) -> bool;

    /// Which of them answer.
    fn servers_seen(&self) -> ServersSeen;

    /// Queries the addresses of a name, until an instant or until `is_over` returns true. `None` if there is no response by then.
    fn query(&self, name: &str, until: Instant, is_over: &dyn Fn() -> bool) -> Option<LookupOutcome>;
}

/// The name servers of the system.
#[derive(Debug)]
pub(super) struct NameServers {
    port: u16,
    conf: fn() -> ResolvConf,
    /// Whether no other source of `nsswitch.conf` may know a name that they do not know.
    is_last_source: fn() -> bool,
    /// Contains only name servers of `resolv.conf`.
    seen: Mutex<HashMap<IpAddr, Seen>>,
}

/// When a name server answered, or did not answer a query that another one answered.
#[derive(Debug, Clone, Copy)]
enum Seen {
    Answering(Instant),
    Silent(Instant),
}

impl NameServers {
    pub(super) fn of_system() -> NameServers {
        let is_last_source = files::only_files_and_dns;
        NameServers { port: PORT, conf: ResolvConf::of_system, is_last_source, seen: Mutex::default() }
    }

    /// Notes which servers have answered. One that has not is silent if another one has answered everything meanwhile.
    fn note(&self, known: &[IpAddr], servers: &[DnsServer], is_answered: bool) {
        let now = Instant::now();
        let mut seen = self.seen.lock();
        seen.retain(|ip, _| known.contains(ip));
        let others_answer = is_answered && servers.iter().any(|server| server.has_answered);
        for DnsServer { address, has_answered, queried_at, .. } in servers {
            let ip = address.ip();
            if *has_answered {
                seen.insert(ip, Seen::Answering(now));
            } else if others_answer && queried_at.is_some_and(|at| now - at >= MIN_SILENCE) {
                let before = seen.insert(ip, Seen::Silent(now));
                if !matches!(before, Some(Seen::Silent(_))) {
                    let line = || log::Line::new("a name server did not answer, but another one did");
                    log::warn(|| line().text("name_server", ip.to_string()));
                }
            }
        }
    }

    fn is_silent(&self, server: IpAddr) -> bool {
        matches!(self.seen.lock().get(&server), Some(Seen::Silent(at)) if is_recent(*at))
    }
}

impl DirectQuery for NameServers {
    fn resolver_would_wait(&self) -> bool {
        if self.seen.lock().is_empty() {
            return false;
        }
        let conf = (self.conf)();
        let queried = if conf.rotates { &conf.servers[..] } else { &conf.servers[..1] };
        queried.iter().any(|server| self.is_silent(*server))
            && conf.servers.iter().any(|server| !self.is_silent(*server))
    }

    fn servers_seen(&self) -> ServersSeen {
        let (conf, seen) = ((self.conf)(), self.seen.lock());
        let is_answering = |server: &IpAddr| matches!(seen.get(server), Some(Seen::Answering(at)) if is_recent(*at));
        let (answering, silent) = conf.servers.into_iter().partition(is_answering);
        ServersSeen { answering, silent }
    }

    fn query(&self, name: &str, until: Instant, is_over: &dyn Fn() -> bool) -> Option<LookupOutcome> {
        let in_hosts = files::in_hosts(name);
        if !in_hosts.is_empty() {
            return Some(Ok(in_hosts.into()));
        }
        let conf = (self.conf)();
        let mut servers = conf.servers.clone();
        servers.sort_by_key(|server| self.is_silent(*server));
        let server = |ip: &IpAddr| DnsServer::new(SocketAddr::new(*ip, self.port));
        let mut resolution = Resolution {
            servers: servers.iter().map(server).collect(),
            candidates: conf.candidates(name).into_iter().map(Candidate::new).collect(),
            queries: Vec::new(),
        };
        let response = resolution.run(until, is_over);
        self.note(&conf.servers, &resolution.servers, response.is_some());
        match response {
            Some(Err(LookupFailure::NotFound)) if !(self.is_last_source)() => None,
            other => other,
        }
    }
}

fn is_recent(at: Instant) -> bool {
    at.elapsed() < REMEMBERED_FOR
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::packet::MAX_PACKET_BYTES;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn errors_name_the_silent_servers() {
        let ips = |lasts: &[u8]| lasts.iter().map(|last| [10, 0, 0, *last].into()).collect();
        let check = |answering: &[u8], silent: &[u8], expected: &str| {
            assert_eq!(ServersSeen { answering: ips(answering), silent: ips(silent) }.to_string(), expected);
        };
        check(&[], &[1], " (10.0.0.1)");
        check(&[], &[1, 2], " (10.0.0.1, 10.0.0.2)");
        check(&[1], &[], " (10.0.0.1, which answers for other names)");
        check(&[1, 2], &[], " (10.0.0.1, 10.0.0.2, which answer for other names)");
        check(&[2], &[1], " (the name server 10.0.0.1 does not answer; 10.0.0.2 does, but not for this name)");
        let several = " (the name servers 10.0.0.1, 10.0.0.2 do not answer; 10.0.0.3 does, but not for this name)";
        check(&[3], &[1, 2], several);
    }

    /// How a test server responds to a query: the status and the IPv4 addresses of its response.
    type Behaviour = fn(&str) -> Option<(u8, u8)>;

    /// Name servers on their own loopback addresses, at one port, each with a thread that ends with the test. They note the names
    /// that are queried.
    struct SocketServers {
        names: NameServers,
        queried: Vec<Arc<Mutex<Vec<String>>>>,
    }

    fn name_in(query: &[u8]) -> String {
        let (mut at, mut labels) = (12, Vec::new());
        while query[at] > 0 {
            let end = at + 1 + usize::from(query[at]);
            labels.push(String::from_utf8(query[at + 1..end].to_vec()).unwrap());
            at = end;
        }
        format!("{} {}", labels.join("."), query[at + 2])
    }

    fn servers(port: u16, conf: fn() -> ResolvConf, behaviours: &[Behaviour]) -> SocketServers {
        let ResolvConf { servers, .. } = conf();
        let queried = servers.iter().zip(behaviours).map(|(ip, behaviour)| {
            let (socket, behaviour) = (UdpSocket::bind((*ip, port)).unwrap(), *behaviour);
            let queried = Arc::new(Mutex::new(Vec::new()));
            let noted = Arc::clone(&queried);
            std::thread::spawn(move || {
                let mut packet = [0; MAX_PACKET_BYTES];
                while let Ok((length, from)) = socket.recv_from(&mut packet) {
                    let name = name_in(&packet[..length]);
                    noted.lock().push(name.clone());
                    let Some((status, addresses)) = behaviour(&name) else { continue };
                    let mut response = packet[..length].to_vec();
                    (response[2], response[3]) = (0x81, status);
                    if name.ends_with(" 1") {
                        response[7] = addresses;
                        for last in 1..=addresses {
                            response.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0");
                            response.push(last);
                        }
                    }
                    socket.send_to(&response, from).unwrap();
                }
            });
            queried
        });
        let queried = queried.collect();
        let names = NameServers { port, conf, is_last_source: || true, seen: Mutex::default() };
        SocketServers { names, queried }
    }

    impl SocketServers {
        fn query(&self, name: &str, within: Duration) -> (Option<LookupOutcome>, Duration) {
            let begun = Instant::now();
            let answer = self.names.query(name, begun + within, &|| false);
            (answer, begun.elapsed())
        }

        /// The names that were queried since the last call.
        fn queried(&self) -> Vec<Vec<String>> {
            let of = |names: &Mutex<Vec<String>>| {
                let mut names = std::mem::take(&mut *names.lock());
                names.sort();
                names
            };
            // The last query is noted soon.
            std::thread::sleep(Duration::from_millis(20));
            self.queried.iter().map(|names| of(names)).collect()
        }
    }

    fn found(last: u8) -> Option<LookupOutcome> {
        Some(Ok((1..=last).map(|last| [10, 0, 0, last].into()).collect()))
    }

    #[test]
    fn a_silent_first_server_is_passed_over_and_remembered() {
        let conf = || ResolvConf::parse("nameserver 127.53.1.1\nnameserver 127.53.1.2");
        let servers = servers(5_301, conf, &[|_| None, |_| Some((0, 2))]);
        assert!(!servers.names.resolver_would_wait());
        let (answer, took) = servers.query("p.example", SECOND * 2);
        assert_eq!(answer, found(2));
        // The first server has a quarter of the time.
        assert!((SECOND / 2..SECOND).contains(&took), "{took:?}");
        assert!(servers.names.resolver_would_wait());
        let [first, second] = ["127.53.1.1", "127.53.1.2"].map(|ip| ip.parse::<IpAddr>().unwrap());
        assert_eq!(servers.names.servers_seen(), ServersSeen { answering: vec![second], silent: vec![first] });
        servers.queried();
        let (answer, took) = servers.query("p.example", SECOND * 2);
        assert!(answer == found(2) && took < SECOND / 2, "{took:?}");
        assert_eq!(servers.queried(), [vec![], vec!["p.example 1".to_owned(), "p.example 28".to_owned()]]);
    }

    #[test]
    fn a_name_that_another_source_may_know_is_left_to_the_resolver() {
        let conf = || ResolvConf::parse("nameserver 127.53.9.1");
        let mut servers = servers(5_309, conf, &[|_| Some((3, 0))]);
        assert_eq!(servers.query("p.m", SECOND * 5).0, Some(Err(LookupFailure::NotFound)));
        servers.names.is_last_source = || false;
        assert_eq!(servers.query("p.m", SECOND * 5).0, None);
    }

    #[test]
    fn few_packets_go_out_for_a_name_in_a_search_domain() {
        let conf = || ResolvConf::parse("nameserver 127.53.2.1\nsearch a.s s l\noptions ndots:5");
        let servers = servers(
            5_302,
            conf,
            &[|name| match name {
                "p.m.s 1" | "p.m.s 28" => Some((0, 1)),
                "x.m 1" => None,
                _ => Some((3, 0)),
            }],
        );
        assert_eq!(servers.query("p.m", SECOND * 5).0, found(1));
        assert_eq!(servers.queried(), [["p.m 1", "p.m.a.s 1", "p.m.l 1", "p.m.s 1", "p.m.s 28"]]);
        assert_eq!(servers.query("q.m", SECOND * 5).0, Some(Err(LookupFailure::NotFound)));
        assert_eq!(servers.queried(), [["q.m 1", "q.m.a.s 1", "q.m.l 1", "q.m.s 1"]]);
        let (answer, took) = servers.query("x.m", SECOND / 5);
        assert!(answer.is_none() && (SECOND / 5..SECOND).contains(&took), "{took:?}");
        let server = "127.53.2.1".parse().unwrap();
        assert_eq!(servers.names.servers_seen(), ServersSeen { answering: vec![server], silent: vec![] });
        assert!(!servers.names.resolver_would_wait());
    }

    #[test]
    fn a_server_with_a_failure_is_passed_over_at_once() {
        let conf = || ResolvConf::parse("nameserver 127.53.3.1\nnameserver 127.53.3.2\nnameserver 127.53.3.3");
        let refuses: Behaviour = |_| Some((5, 0));
        let check = |port: u16, behaviours: &[Behaviour], expected: Option<LookupOutcome>, least: Duration| {
            let (answer, took) = servers(port, conf, behaviours).query("p.example", SECOND);
            assert_eq!(answer, expected, "{port}");
            assert!(took >= least && took < least + SECOND / 5, "{port}: {took:?}");
        };
        let (good, silent): (Behaviour, Behaviour) = (|_| Some((0, 1)), |_| None);
        check(5_303, &[refuses, good, silent], found(1), Duration::ZERO);
        // Nothing listens at the third address.
        check(5_304, &[refuses, refuses], Some(Err(LookupFailure::ServerFails)), Duration::ZERO);
        check(5_305, &[], Some(Err(LookupFailure::ServerFails)), Duration::ZERO);
        check(5_306, &[refuses, silent, refuses], Some(Err(LookupFailure::ServerFails)), SECOND);
        check(5_307, &[silent, silent, silent], None, SECOND);
    }

    #[test]
    fn a_name_in_the_hosts_file_or_no_longer_needed_takes_no_time() {
        let conf = || ResolvConf::parse("nameserver 127.53.4.1");
        let servers = servers(5_308, conf, &[|_| None]);
        let (answer, _) = servers.query("localhost", Duration::ZERO);
        assert!(matches!(answer, Some(Ok(_))), "{answer:?}");
        let begun = Instant::now();
        assert_eq!(servers.names.query("p.example", begun + SECOND * 5, &|| true), None);
        assert!(begun.elapsed() < SECOND);
    }
}
