//! Asks the name servers of `/etc/resolv.conf` for the addresses of a name, without the system's resolver.
//!
//! The resolver asks one name server after the other, and one search domain after the other, and blocks for seconds (5 by default)
//! wherever there is no response. What it would find after that wait is found here at once: all servers are asked for all names that it
//! would try, and the servers that are known to be silent last. Responses are judged as it judges them.

mod files;
mod packet;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::log;
use crate::prometheus::error::connect_failure::ServersSeen;

use files::ResolvConf;
use packet::{DnsResponse, IPV4, IPV6, MAX_PACKET_BYTES};

const PORT: u16 = 53;

/// How long is remembered that a name server was silent, or answered.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);

/// How long a name server has to stay silent at least before it counts as silent.
const MIN_SILENCE: Duration = Duration::from_millis(40);

/// The part of the time after which the next name server is asked as well.
const NEXT_SERVER_PART: u32 = 4;

/// How long one of several name servers is waited for in turn, and how long a single one before it is seen whether the response is
/// still needed.
const MIN_TURN: Duration = Duration::from_micros(100);
const TURN: Duration = Duration::from_millis(2);
const LONG_TURN: Duration = Duration::from_millis(20);

/// What the name servers say of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DnsResult {
    /// Its addresses, at least one.
    Addresses(Vec<IpAddr>),
    /// That it has none.
    NotFound,
    /// That they cannot tell, or nothing: they cannot be reached.
    Failure,
}

/// Name servers that are asked directly.
pub(super) trait AskDirectly: fmt::Debug + Send + Sync {
    /// Whether the resolver would wait for a name server that is known to be silent, while another one answers.
    fn resolver_would_wait(&self) -> bool;

    /// Which of them answer.
    fn servers_seen(&self) -> ServersSeen;

    /// Asks for the addresses of a name, until an instant or until this is not needed any more. `None` if there is no response by then.
    fn ask(&self, name: &str, until: Instant, is_over: &dyn Fn() -> bool) -> Option<DnsResult>;
}

/// The name servers of the system.
#[derive(Debug)]
pub(super) struct NameServers {
    port: u16,
    conf: fn() -> ResolvConf,
    /// Of those in `resolv.conf` alone.
    seen: Mutex<HashMap<IpAddr, Seen>>,
    /// Makes the identifiers of queries, which cannot be foreseen.
    ids: RandomState,
    /// How many identifiers were made.
    asked: AtomicU64,
}

/// When a name server was seen to answer, or not to answer where another did.
#[derive(Debug, Clone, Copy)]
enum Seen {
    Answering(Instant),
    Silent(Instant),
}

impl NameServers {
    pub(super) fn of_system() -> NameServers {
        let (seen, ids, asked) = (Mutex::default(), RandomState::new(), AtomicU64::new(0));
        NameServers { port: PORT, conf: ResolvConf::of_system, seen, ids, asked }
    }

    /// Notes which servers have answered. One that has not is silent if another one has told everything meanwhile.
    fn note(&self, known: &[IpAddr], servers: &[DnsServer], is_answered: bool) {
        let now = Instant::now();
        let mut seen = self.seen();
        seen.retain(|ip, _| known.contains(ip));
        let others_answer = is_answered && servers.iter().any(|server| server.has_answered);
        for DnsServer { address, has_answered, asked_at, .. } in servers {
            let ip = address.ip();
            if *has_answered {
                seen.insert(ip, Seen::Answering(now));
            } else if others_answer && asked_at.is_some_and(|at| now - at >= MIN_SILENCE) {
                let before = seen.insert(ip, Seen::Silent(now));
                if !matches!(before, Some(Seen::Silent(_))) {
                    let line = || log::Line::new("a name server did not answer, but another one did");
                    log::warn(|| line().text("name_server", ip.to_string()));
                }
            }
        }
    }

    fn is_silent(&self, server: IpAddr) -> bool {
        matches!(self.seen().get(&server), Some(Seen::Silent(at)) if is_recent(*at))
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<IpAddr, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AskDirectly for NameServers {
    fn resolver_would_wait(&self) -> bool {
        if self.seen().is_empty() {
            return false;
        }
        let conf = (self.conf)();
        let asked = if conf.rotates { &conf.servers[..] } else { &conf.servers[..1] };
        asked.iter().any(|server| self.is_silent(*server)) && conf.servers.iter().any(|server| !self.is_silent(*server))
    }

    fn servers_seen(&self) -> ServersSeen {
        let (conf, seen) = ((self.conf)(), self.seen());
        let is_answering = |server: &IpAddr| matches!(seen.get(server), Some(Seen::Answering(at)) if is_recent(*at));
        let (answering, silent) = conf.servers.into_iter().partition(is_answering);
        ServersSeen { answering, silent }
    }

    fn ask(&self, name: &str, until: Instant, is_over: &dyn Fn() -> bool) -> Option<DnsResult> {
        let in_hosts = files::in_hosts(name);
        if !in_hosts.is_empty() {
            return Some(DnsResult::Addresses(in_hosts));
        }
        let conf = (self.conf)();
        let mut servers = conf.servers.clone();
        servers.sort_by_key(|server| self.is_silent(*server));
        // Its first bits are as unforeseeable as all.
        let new_id = || self.ids.hash_one(self.asked.fetch_add(1, Ordering::Relaxed)) as u16;
        let server = |ip: &IpAddr| DnsServer::new(SocketAddr::new(*ip, self.port));
        let mut exchange = DnsExchange {
            servers: servers.iter().map(server).collect(),
            candidates: conf.candidates(name).into_iter().map(Candidate::new).collect(),
            queries: Vec::new(),
            new_id: &new_id,
        };
        let answer = exchange.run(until, is_over);
        self.note(&conf.servers, &exchange.servers, answer.is_some());
        match answer {
            // It may be known elsewhere.
            Some(DnsResult::NotFound) if !files::only_files_and_dns() => None,
            other => other,
        }
    }
}

fn is_recent(at: Instant) -> bool {
    at.elapsed() < REMEMBERED_FOR
}

/// One query to all servers for all names that a name may stand for.
struct DnsExchange<'a> {
    /// In the order in which they are asked.
    servers: Vec<DnsServer>,
    /// In the order of the resolver.
    candidates: Vec<Candidate>,
    queries: Vec<DnsQuery>,
    new_id: &'a dyn Fn() -> u16,
}

/// A name, and what is known of its addresses. It is asked for its IPv6 addresses once it is known to exist.
struct Candidate {
    name: String,
    ipv4: Option<DnsResponse>,
    ipv6: Option<DnsResponse>,
}

impl Candidate {
    fn new(name: String) -> Candidate {
        Candidate { name, ipv4: None, ipv6: None }
    }
}

struct DnsQuery {
    packet: Vec<u8>,
    candidate: usize,
    record_type: u16,
    /// The servers that cannot tell.
    failures: usize,
}

struct DnsServer {
    address: SocketAddr,
    /// Once it is asked, and unless it cannot be.
    socket: Option<UdpSocket>,
    asked_at: Option<Instant>,
    has_answered: bool,
}

impl DnsExchange<'_> {
    fn run(&mut self, until: Instant, is_over: &dyn Fn() -> bool) -> Option<DnsResult> {
        let begun = Instant::now();
        let (step, mut next_at) = (until.saturating_duration_since(begun) / NEXT_SERVER_PART, begun);
        for candidate in 0..self.candidates.len() {
            self.query(candidate, IPV4);
        }
        let mut packet = [0; MAX_PACKET_BYTES];
        loop {
            let now = Instant::now();
            self.settle_failures(now >= until);
            let answer = verdict(&self.candidates);
            if answer.is_some() || now >= until || is_over() {
                return answer;
            }
            if now >= next_at || self.need_another_server() {
                next_at = now + step;
                let next = self.servers.iter_mut().find(|server| server.asked_at.is_none());
                next.into_iter().for_each(|server| server.begin(&self.queries));
            }
            let asked = self.servers.iter().filter(|server| server.socket.is_some()).count();
            let end =
                if self.servers.iter().any(|server| server.asked_at.is_none()) { next_at.min(until) } else { until };
            let turn = if asked > 1 { TURN } else { LONG_TURN }.min(end.saturating_duration_since(Instant::now()));
            for nth in 0..self.servers.len() {
                if let Some(length) = self.servers[nth].receive(&mut packet, turn) {
                    self.take(nth, &packet[..length]);
                }
            }
        }
    }

    /// Whether those that are asked cannot tell everything.
    fn need_another_server(&self) -> bool {
        self.queries.iter().any(|query| query.failures > 0) || self.servers.iter().all(|server| server.socket.is_none())
    }

    /// Asks for records of a candidate.
    fn query(&mut self, candidate: usize, record_type: u16) {
        match packet::query((self.new_id)(), &self.candidates[candidate].name, record_type) {
            Some(packet) => {
                self.servers.iter_mut().for_each(|server| server.send(&packet));
                self.queries.push(DnsQuery { packet, candidate, record_type, failures: 0 });
            }
            // The resolver refuses a name that cannot be asked for.
            None => self.set(candidate, record_type, DnsResponse::NoName),
        }
    }

    /// Takes a packet of a server. What this one cannot tell, another one may.
    fn take(&mut self, server: usize, packet: &[u8]) {
        let mut queries = self.queries.iter().enumerate();
        let Some((nth, response)) =
            queries.find_map(|(nth, query)| Some((nth, packet::response(packet, &query.packet)?)))
        else {
            return;
        };
        self.servers[server].has_answered = true;
        if response == DnsResponse::Failure {
            self.queries[nth].failures += 1;
            return;
        }
        let DnsQuery { candidate, record_type, .. } = self.queries.swap_remove(nth);
        self.set(candidate, record_type, response);
    }

    /// Gives up the queries that no server can answer: all have said so, or no time is left for those that have not.
    fn settle_failures(&mut self, is_last: bool) {
        let unreachable = self.servers.iter().filter(|server| server.is_unreachable()).count();
        let all = self.servers.len();
        let has_failed = |query: &mut DnsQuery| query.failures + unreachable >= all || is_last && query.failures > 0;
        let failed: Vec<DnsQuery> = self.queries.extract_if(.., has_failed).collect();
        for DnsQuery { candidate, record_type, .. } in failed {
            self.set(candidate, record_type, DnsResponse::Failure);
        }
    }

    fn set(&mut self, candidate: usize, record_type: u16, response: DnsResponse) {
        let Candidate { ipv4, ipv6, .. } = &mut self.candidates[candidate];
        if record_type == IPV6 {
            *ipv6 = Some(response);
            return;
        }
        let exists = matches!(response, DnsResponse::Addresses(_));
        if !exists {
            *ipv6 = Some(response.clone());
        }
        *ipv4 = Some(response);
        if exists {
            self.query(candidate, IPV6);
        }
    }
}

impl DnsServer {
    fn new(address: SocketAddr) -> DnsServer {
        DnsServer { address, socket: None, asked_at: None, has_answered: false }
    }

    /// Asks it as well.
    fn begin(&mut self, queries: &[DnsQuery]) {
        self.asked_at = Some(Instant::now());
        self.socket = connected(self.address).ok();
        queries.iter().for_each(|query| self.send(&query.packet));
    }

    fn is_unreachable(&self) -> bool {
        self.asked_at.is_some() && self.socket.is_none()
    }

    fn send(&mut self, packet: &[u8]) {
        if let Some(socket) = &self.socket
            && socket.send(packet).is_err()
        {
            self.socket = None;
        }
    }

    /// Waits for a packet for so long: its length, if one comes.
    fn receive(&mut self, packet: &mut [u8], turn: Duration) -> Option<usize> {
        let socket = self.socket.as_ref()?;
        // None at all would be without an end.
        let received = socket.set_read_timeout(Some(turn.max(MIN_TURN))).and_then(|()| socket.recv(packet));
        match received {
            Ok(length) => Some(length),
            Err(error) => {
                use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
                if !matches!(error.kind(), Interrupted | TimedOut | WouldBlock) {
                    // Nothing listens there, or nothing leads there.
                    self.socket = None;
                }
                None
            }
        }
    }
}

/// A socket on which only the packets of a server arrive.
fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    Ok(socket)
}

/// What is known of the first of these names that has an address, if enough is known.
fn verdict(candidates: &[Candidate]) -> Option<DnsResult> {
    let mut has_failed = false;
    for Candidate { ipv4, ipv6, .. } in candidates {
        let of_types = [ipv4.as_ref()?, ipv6.as_ref()?];
        let addresses = of_types.iter().filter_map(|response| match response {
            DnsResponse::Addresses(addresses) => Some(addresses),
            DnsResponse::NoName | DnsResponse::Failure => None,
        });
        let addresses: Vec<IpAddr> = addresses.flatten().copied().collect();
        if !addresses.is_empty() {
            return Some(DnsResult::Addresses(addresses));
        }
        has_failed |= of_types.contains(&&DnsResponse::Failure);
    }
    Some(if has_failed { DnsResult::Failure } else { DnsResult::NotFound })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_is_said_which_servers_are_silent() {
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

    #[test]
    fn all_candidates_up_to_the_first_that_has_an_address_have_to_be_known() {
        let response = |letter: char| match letter {
            '-' => Some(DnsResponse::NoName),
            '0' => Some(DnsResponse::Addresses(Vec::new())),
            '1' => Some(DnsResponse::Addresses(vec![[10, 0, 0, 1].into()])),
            '2' => Some(DnsResponse::Addresses(vec![[10, 0, 0, 2].into(), [10, 0, 0, 3].into()])),
            'f' => Some(DnsResponse::Failure),
            _ => None,
        };
        let check = |written: &str, expected: Option<DnsResult>| {
            let pair = |pair: &str| {
                let mut letters = pair.chars();
                let (ipv4, ipv6) = (response(letters.next().unwrap()), response(letters.next().unwrap()));
                Candidate { name: String::new(), ipv4, ipv6 }
            };
            let candidates: Vec<Candidate> = written.split_whitespace().map(pair).collect();
            assert_eq!(verdict(&candidates), expected, "{written}");
        };
        let found =
            |last: &[u8]| Some(DnsResult::Addresses(last.iter().map(|last| [10, 0, 0, *last].into()).collect()));
        check("", Some(DnsResult::NotFound));
        check("-- 00", Some(DnsResult::NotFound));
        check("10", found(&[1]));
        check("02", found(&[2, 3]));
        check("12", found(&[1, 2, 3]));
        check("1?", None);
        check("?1", None);
        check("-- 11 ??", found(&[1, 1]));
        check("-- ?? 11", None);
        check("?? 11", None);
        check("f0 1f", found(&[1]));
        check("-- ff", Some(DnsResult::Failure));
    }

    /// What a server of a test does with a query: the status and the IPv4 addresses of its response.
    type Behaviour = fn(&str) -> Option<(u8, u8)>;

    /// Name servers on loopback addresses of their own, at one port, each with a thread that ends with the test. They note the names
    /// that they are asked for.
    struct Servers {
        names: NameServers,
        asked: Vec<std::sync::Arc<Mutex<Vec<String>>>>,
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

    fn servers(port: u16, conf: fn() -> ResolvConf, behaviours: &[Behaviour]) -> Servers {
        let ResolvConf { servers, .. } = conf();
        let asked = servers.iter().zip(behaviours).map(|(ip, behaviour)| {
            let (socket, behaviour) = (UdpSocket::bind((*ip, port)).unwrap(), *behaviour);
            let asked = std::sync::Arc::new(Mutex::new(Vec::new()));
            let noted = std::sync::Arc::clone(&asked);
            std::thread::spawn(move || {
                let mut packet = [0; MAX_PACKET_BYTES];
                while let Ok((length, from)) = socket.recv_from(&mut packet) {
                    let name = name_in(&packet[..length]);
                    noted.lock().unwrap().push(name.clone());
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
            asked
        });
        let asked = asked.collect();
        let names =
            NameServers { port, conf, seen: Mutex::default(), ids: RandomState::new(), asked: AtomicU64::new(0) };
        Servers { names, asked }
    }

    impl Servers {
        fn ask(&self, name: &str, within: Duration) -> (Option<DnsResult>, Duration) {
            let begun = Instant::now();
            let answer = self.names.ask(name, begun + within, &|| false);
            (answer, begun.elapsed())
        }

        /// What the servers were asked for since this was last called.
        fn asked(&self) -> Vec<Vec<String>> {
            let of = |asked: &Mutex<Vec<String>>| {
                let mut names = std::mem::take(&mut *asked.lock().unwrap());
                names.sort();
                names
            };
            // What came in last is noted soon.
            std::thread::sleep(Duration::from_millis(20));
            self.asked.iter().map(|asked| of(asked)).collect()
        }
    }

    fn found(last: u8) -> Option<DnsResult> {
        Some(DnsResult::Addresses((1..=last).map(|last| [10, 0, 0, last].into()).collect()))
    }

    #[test]
    fn a_silent_first_server_is_passed_over_and_remembered() {
        let conf = || ResolvConf::parse("nameserver 127.53.1.1\nnameserver 127.53.1.2");
        let servers = servers(5_301, conf, &[|_| None, |_| Some((0, 2))]);
        assert!(!servers.names.resolver_would_wait());
        let (answer, took) = servers.ask("p.example", SECOND * 2);
        assert_eq!(answer, found(2));
        // A quarter of the time is the first one's.
        assert!((SECOND / 2..SECOND).contains(&took), "{took:?}");
        assert!(servers.names.resolver_would_wait());
        let [first, second] = ["127.53.1.1", "127.53.1.2"].map(|ip| ip.parse::<IpAddr>().unwrap());
        assert_eq!(servers.names.servers_seen(), ServersSeen { answering: vec![second], silent: vec![first] });
        servers.asked();
        let (answer, took) = servers.ask("p.example", SECOND * 2);
        assert!(answer == found(2) && took < SECOND / 2, "{took:?}");
        assert_eq!(servers.asked(), [vec![], vec!["p.example 1".to_owned(), "p.example 28".to_owned()]]);
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
        assert_eq!(servers.ask("p.m", SECOND * 5).0, found(1));
        assert_eq!(servers.asked(), [["p.m 1", "p.m.a.s 1", "p.m.l 1", "p.m.s 1", "p.m.s 28"]]);
        assert_eq!(servers.ask("q.m", SECOND * 5).0, Some(DnsResult::NotFound));
        assert_eq!(servers.asked(), [["q.m 1", "q.m.a.s 1", "q.m.l 1", "q.m.s 1"]]);
        let (answer, took) = servers.ask("x.m", SECOND / 5);
        assert!(answer.is_none() && (SECOND / 5..SECOND).contains(&took), "{took:?}");
        let server = "127.53.2.1".parse().unwrap();
        assert_eq!(servers.names.servers_seen(), ServersSeen { answering: vec![server], silent: vec![] });
        assert!(!servers.names.resolver_would_wait());
    }

    #[test]
    fn a_server_that_cannot_tell_is_passed_over_at_once() {
        let conf = || ResolvConf::parse("nameserver 127.53.3.1\nnameserver 127.53.3.2\nnameserver 127.53.3.3");
        let refuses: Behaviour = |_| Some((5, 0));
        let check = |port: u16, behaviours: &[Behaviour], expected: Option<DnsResult>, least: Duration| {
            let (answer, took) = servers(port, conf, behaviours).ask("p.example", SECOND);
            assert_eq!(answer, expected, "{port}");
            assert!(took >= least && took < least + SECOND / 5, "{port}: {took:?}");
        };
        let (good, silent): (Behaviour, Behaviour) = (|_| Some((0, 1)), |_| None);
        check(5_303, &[refuses, good, silent], found(1), Duration::ZERO);
        // Nothing listens at the third address.
        check(5_304, &[refuses, refuses], Some(DnsResult::Failure), Duration::ZERO);
        check(5_305, &[], Some(DnsResult::Failure), Duration::ZERO);
        check(5_306, &[refuses, silent, refuses], Some(DnsResult::Failure), SECOND);
        check(5_307, &[silent, silent, silent], None, SECOND);
    }

    #[test]
    fn no_time_is_spent_on_a_name_in_the_file_of_hosts_or_when_it_is_not_needed_any_more() {
        let conf = || ResolvConf::parse("nameserver 127.53.4.1");
        let servers = servers(5_308, conf, &[|_| None]);
        let (answer, _) = servers.ask("localhost", Duration::ZERO);
        assert!(matches!(answer, Some(DnsResult::Addresses(_))), "{answer:?}");
        let begun = Instant::now();
        assert_eq!(servers.names.ask("p.example", begun + SECOND * 5, &|| true), None);
        assert!(begun.elapsed() < SECOND);
    }
}
