//! The resolution of one name: queries to all name servers, for all names that it may stand for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};

use super::LookupOutcome;
use super::packet::{self, DnsResponse, IPV4, IPV6, MAX_PACKET_BYTES};
use crate::prometheus::error::LookupFailure;

/// The part of the time after which the next name server is queried as well.
const NEXT_SERVER_PART: u32 = 4;

/// How long one of several name servers is waited for before the next one, and how long a single one before the next check
/// whether the response is still needed.
const MIN_SLICE: Duration = Duration::from_micros(100);
const SLICE: Duration = Duration::from_millis(2);
const LONG_SLICE: Duration = Duration::from_millis(20);

/// The resolution of one name.
pub(super) struct Resolution {
    /// In the order in which they are queried.
    pub(super) servers: Vec<DnsServer>,
    /// In the order of the resolver.
    pub(super) candidates: Vec<Candidate>,
    pub(super) queries: Vec<DnsQuery>,
}

/// An identifier of a query. It is random, because a foreseeable one would let an attacker forge the response.
fn new_id() -> u16 {
    let mut id = [0; 2];
    SystemRandom::new().fill(&mut id).expect("the operating system has random numbers");
    u16::from_ne_bytes(id)
}

/// A name that the name may stand for, and what is known about its addresses. Its IPv6 addresses are queried once it is known to
/// exist.
pub(super) struct Candidate {
    pub(super) name: String,
    ipv4: Option<DnsResponse>,
    ipv6: Option<DnsResponse>,
}

impl Candidate {
    pub(super) fn new(name: String) -> Candidate {
        Candidate { name, ipv4: None, ipv6: None }
    }
}

pub(super) struct DnsQuery {
    pub(super) packet: Vec<u8>,
    pub(super) candidate: usize,
    pub(super) record_type: u16,
    /// How many servers responded with a failure.
    pub(super) failures: usize,
}

pub(super) struct DnsServer {
    pub(super) address: SocketAddr,
    /// `None` until it is queried, or if it cannot be reached.
    pub(super) socket: Option<UdpSocket>,
    pub(super) queried_at: Option<Instant>,
    pub(super) has_answered: bool,
}

impl Resolution {
    pub(super) fn run(&mut self, until: Instant, is_over: &dyn Fn() -> bool) -> Option<LookupOutcome> {
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
                let next = self.servers.iter_mut().find(|server| server.queried_at.is_none());
                next.into_iter().for_each(|server| server.begin(&self.queries));
            }
            let queried = self.servers.iter().filter(|server| server.socket.is_some()).count();
            let end =
                if self.servers.iter().any(|server| server.queried_at.is_none()) { next_at.min(until) } else { until };
            let slice = if queried > 1 { SLICE } else { LONG_SLICE }.min(end.saturating_duration_since(Instant::now()));
            for nth in 0..self.servers.len() {
                if let Some(length) = self.servers[nth].receive(&mut packet, slice) {
                    self.take(nth, &packet[..length]);
                }
            }
        }
    }

    /// Whether the servers that are queried cannot answer everything.
    pub(super) fn need_another_server(&self) -> bool {
        self.queries.iter().any(|query| query.failures > 0) || self.servers.iter().all(|server| server.socket.is_none())
    }

    /// Queries records of a candidate.
    pub(super) fn query(&mut self, candidate: usize, record_type: u16) {
        match packet::query(new_id(), &self.candidates[candidate].name, record_type) {
            Some(packet) => {
                self.servers.iter_mut().for_each(|server| server.send(&packet));
                self.queries.push(DnsQuery { packet, candidate, record_type, failures: 0 });
            }
            // The resolver refuses names that a query cannot contain.
            None => self.set(candidate, record_type, Err(LookupFailure::NotFound)),
        }
    }

    /// Takes a packet of a server. If it is a failure, another server may still answer the query.
    pub(super) fn take(&mut self, server: usize, packet: &[u8]) {
        let mut queries = self.queries.iter().enumerate();
        let Some((nth, response)) =
            queries.find_map(|(nth, query)| Some((nth, packet::response(packet, &query.packet)?)))
        else {
            return;
        };
        self.servers[server].has_answered = true;
        if response == Err(LookupFailure::ServerFails) {
            self.queries[nth].failures += 1;
            return;
        }
        let DnsQuery { candidate, record_type, .. } = self.queries.swap_remove(nth);
        self.set(candidate, record_type, response);
    }

    /// Gives up queries that no server can answer: all have failed, or some have and there is no time left for the others.
    pub(super) fn settle_failures(&mut self, is_last: bool) {
        let unreachable = self.servers.iter().filter(|server| server.is_unreachable()).count();
        let all = self.servers.len();
        let has_failed = |query: &mut DnsQuery| query.failures + unreachable >= all || is_last && query.failures > 0;
        let failed: Vec<DnsQuery> = self.queries.extract_if(.., has_failed).collect();
        for DnsQuery { candidate, record_type, .. } in failed {
            self.set(candidate, record_type, Err(LookupFailure::ServerFails));
        }
    }

    pub(super) fn set(&mut self, candidate: usize, record_type: u16, response: DnsResponse) {
        let Candidate { ipv4, ipv6, .. } = &mut self.candidates[candidate];
        if record_type == IPV6 {
            *ipv6 = Some(response);
            return;
        }
        let exists = response.is_ok();
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
    pub(super) fn new(address: SocketAddr) -> DnsServer {
        DnsServer { address, socket: None, queried_at: None, has_answered: false }
    }

    /// Starts to query this server.
    pub(super) fn begin(&mut self, queries: &[DnsQuery]) {
        self.queried_at = Some(Instant::now());
        self.socket = connected(self.address).ok();
        queries.iter().for_each(|query| self.send(&query.packet));
    }

    pub(super) fn is_unreachable(&self) -> bool {
        self.queried_at.is_some() && self.socket.is_none()
    }

    pub(super) fn send(&mut self, packet: &[u8]) {
        if let Some(socket) = &self.socket
            && socket.send(packet).is_err()
        {
            self.socket = None;
        }
    }

    /// Waits for a packet for at most `slice`. Returns its length.
    pub(super) fn receive(&mut self, packet: &mut [u8], slice: Duration) -> Option<usize> {
        let socket = self.socket.as_ref()?;
        // The system refuses a timeout of zero.
        let received = socket.set_read_timeout(Some(slice.max(MIN_SLICE))).and_then(|()| socket.recv(packet));
        match received {
            Ok(length) => Some(length),
            Err(error) => {
                use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
                if !matches!(error.kind(), Interrupted | TimedOut | WouldBlock) {
                    // Nothing listens there, or there is no route.
                    self.socket = None;
                }
                None
            }
        }
    }
}

/// A socket that receives only the packets of this server.
pub(super) fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    Ok(socket)
}

/// The result for the first of these names that has an address, once it is certain.
pub(super) fn verdict(candidates: &[Candidate]) -> Option<LookupOutcome> {
    let mut has_failed = false;
    for Candidate { ipv4, ipv6, .. } in candidates {
        let of_types = [ipv4.as_ref()?, ipv6.as_ref()?];
        let addresses: Arc<[IpAddr]> =
            of_types.iter().filter_map(|found| found.as_ref().ok()).flatten().copied().collect();
        if !addresses.is_empty() {
            return Some(Ok(addresses));
        }
        has_failed |= of_types.iter().any(|found| matches!(found, Err(why) if *why != LookupFailure::NotFound));
    }
    Some(Err(if has_failed { LookupFailure::ServerFails } else { LookupFailure::NotFound }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_certain_once_all_candidates_up_to_the_first_address_are_known() {
        let response = |letter: char| match letter {
            '-' => Some(Err(LookupFailure::NotFound)),
            '0' => Some(Ok(Vec::new())),
            '1' => Some(Ok(vec![[10, 0, 0, 1].into()])),
            '2' => Some(Ok(vec![[10, 0, 0, 2].into(), [10, 0, 0, 3].into()])),
            'f' => Some(Err(LookupFailure::ServerFails)),
            _ => None,
        };
        let check = |written: &str, expected: Option<LookupOutcome>| {
            let pair = |pair: &str| {
                let mut letters = pair.chars();
                let (ipv4, ipv6) = (response(letters.next().unwrap()), response(letters.next().unwrap()));
                Candidate { name: String::new(), ipv4, ipv6 }
            };
            let candidates: Vec<Candidate> = written.split_whitespace().map(pair).collect();
            assert_eq!(verdict(&candidates), expected, "{written}");
        };
        let found = |last: &[u8]| Some(Ok(last.iter().map(|last| [10, 0, 0, *last].into()).collect()));
        check("", Some(Err(LookupFailure::NotFound)));
        check("-- 00", Some(Err(LookupFailure::NotFound)));
        check("10", found(&[1]));
        check("02", found(&[2, 3]));
        check("12", found(&[1, 2, 3]));
        check("1?", None);
        check("?1", None);
        check("-- 11 ??", found(&[1, 1]));
        check("-- ?? 11", None);
        check("?? 11", None);
        check("f0 1f", found(&[1]));
        check("-- ff", Some(Err(LookupFailure::ServerFails)));
    }
}
