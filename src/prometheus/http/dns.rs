//! Asks the system's name server whether it answers for a name now, without the system's resolver.
//!
//! The resolver blocks for seconds when the name server is silent. While all threads but those kept free wait for it, only names
//! that pass this test are given to it. The addresses in the responses are not used: the resolver finds them.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// The most bytes of these files that are read.
const MAX_FILE_BYTES: u64 = 1 << 20;

const PORT: u16 = 53;

/// The most names that stand for one: itself and itself in each search domain.
const MAX_CANDIDATES: usize = 8;

/// The largest UDP packet of a name server that is not told that more is understood (RFC 1035, "Size limits").
const MAX_PACKET_BYTES: usize = 512;

/// The length of a header, and bounds on names (RFC 1035).
const HEADER_BYTES: usize = 12;
const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// Types of records: IPv4 and IPv6 addresses.
const ADDRESS_TYPES: [u16; 2] = [1, 28];

/// Whether the resolver need not wait for a name: the name server answers its queries before the deadline, with an address or without,
/// or the name stands in `/etc/hosts`.
pub(super) fn is_answered(name: &str, deadline: Instant) -> bool {
    if read(HOSTS).is_ok_and(|hosts| is_host(&hosts, name)) {
        return true;
    }
    let ResolvConf { server, search, ndots } = ResolvConf::parse(&read(RESOLV_CONF).unwrap_or_default());
    are_answered(server, &candidates(name, &search, ndots), deadline).is_ok()
}

fn read(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Whether `/etc/hosts` has an address of a name.
fn is_host(hosts: &str, name: &str) -> bool {
    let is_name = |known: &str| known.eq_ignore_ascii_case(name);
    hosts.lines().any(|line| line.split('#').next().unwrap_or_default().split_whitespace().skip(1).any(is_name))
}

/// What `/etc/resolv.conf` says (resolv.conf(5)).
#[derive(Debug, PartialEq, Eq)]
struct ResolvConf {
    /// The name server that the resolver asks first.
    server: SocketAddr,
    search: Vec<String>,
    /// A name with fewer dots is first looked up in the search domains.
    ndots: usize,
}

impl ResolvConf {
    fn parse(text: &str) -> ResolvConf {
        let (mut server, mut search, mut ndots) = (None, Vec::new(), 1);
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                // One with a zone is not understood here.
                Some("nameserver") => server = server.or_else(|| words.next()?.parse::<IpAddr>().ok()),
                Some("search" | "domain") => search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let mut given = words.filter_map(|option| option.strip_prefix("ndots:")?.parse().ok());
                    ndots = given.next_back().unwrap_or(ndots);
                }
                _ => {}
            }
        }
        let server = server.unwrap_or(Ipv4Addr::LOCALHOST.into());
        ResolvConf { server: SocketAddr::new(server, PORT), search, ndots }
    }
}

/// The names that the resolver asks for when it looks up a name, in its order.
fn candidates(name: &str, search: &[String], ndots: usize) -> Vec<String> {
    if name.ends_with('.') {
        return vec![name.to_owned()];
    }
    let mut candidates: Vec<String> = search.iter().map(|domain| format!("{name}.{domain}")).collect();
    let is_first = name.matches('.').count() >= ndots;
    candidates.truncate(MAX_CANDIDATES - 1);
    candidates.insert(if is_first { 0 } else { candidates.len() }, name.to_owned());
    candidates
}

/// Waits until a name server has answered for names: for all up to the first that has an address.
///
/// # Errors
/// When it has not before the deadline.
fn are_answered(server: SocketAddr, names: &[String], deadline: Instant) -> io::Result<()> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    let mut records = Vec::new();
    for (name, record_type) in names.iter().flat_map(|name| ADDRESS_TYPES.map(|record_type| (name, record_type))) {
        let query = query(u16::try_from(records.len()).unwrap_or_default(), name, record_type);
        // One that cannot be asked for is refused by the resolver.
        records.push(if query.is_some() { None } else { Some(0) });
        query.map(|query| socket.send(&query)).transpose()?;
    }
    let mut packet = [0; MAX_PACKET_BYTES];
    while !suffice(&records) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let length = socket.recv(&mut packet)?;
        if let Some(response) = Response::parse(&packet[..length])
            && let Some(records) = records.get_mut(usize::from(response.id))
        {
            *records = Some(response.records);
        }
    }
    Ok(())
}

/// Whether the resolver need not wait, with so many records of each type for each name; none where an answer is missing.
fn suffice(records: &[Option<u16>]) -> bool {
    for of_name in records.chunks(ADDRESS_TYPES.len()) {
        if of_name.contains(&None) {
            return false;
        }
        if of_name.iter().any(|records| *records != Some(0)) {
            return true;
        }
    }
    true
}

/// A query for records of a type. `None` if no name server can have the name.
fn query(id: u16, name: &str, record_type: u16) -> Option<Vec<u8>> {
    const RECURSION_DESIRED: u16 = 0x100;
    const QUERIES: u16 = 1;
    const INTERNET: u16 = 1;
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > MAX_NAME_BYTES {
        return None;
    }
    let mut packet = Vec::with_capacity(MAX_PACKET_BYTES);
    packet.extend([id, RECURSION_DESIRED, QUERIES, 0, 0, 0].map(u16::to_be_bytes).concat());
    for label in name.split('.') {
        if label.is_empty() || label.len() > MAX_LABEL_BYTES {
            return None;
        }
        packet.push(u8::try_from(label.len()).ok()?);
        packet.extend(label.as_bytes());
    }
    packet.push(0);
    packet.extend([record_type, INTERNET].map(u16::to_be_bytes).concat());
    Some(packet)
}

/// What matters of a response.
#[derive(Debug, PartialEq, Eq)]
struct Response {
    /// The identifier of its query.
    id: u16,
    records: u16,
}

impl Response {
    fn parse(packet: &[u8]) -> Option<Response> {
        const IS_RESPONSE: u8 = 0x80;
        let header = packet.get(..HEADER_BYTES)?;
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        (header[2] & IS_RESPONSE != 0).then(|| Response { id: number(0), records: number(6) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn resolv_conf_is_read_as_the_resolver_reads_it() {
        let check = |text: &str, server: &str, search: &[&str], ndots: usize| {
            let search = search.iter().map(|domain| (*domain).to_owned()).collect();
            assert_eq!(
                ResolvConf::parse(text),
                ResolvConf { server: server.parse().unwrap(), search, ndots },
                "{text}"
            );
        };
        check("", "127.0.0.1:53", &[], 1);
        check("# nameserver 10.0.0.9\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n", "10.0.0.1:53", &[], 1);
        check("nameserver fe80::1%eth0\nnameserver fd00::1\n", "[fd00::1]:53", &[], 1);
        let kubernetes = "search a.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions edns0 ndots:5\n";
        check(kubernetes, "10.96.0.10:53", &["a.svc.cluster.local", "svc.cluster.local"], 5);
        check("search a b\ndomain c\noptions ndots:x\n", "127.0.0.1:53", &["c"], 1);
    }

    #[test]
    fn the_candidates_are_those_of_the_resolver() {
        let search = ["a.example".to_owned(), "example".to_owned()];
        let check = |name: &str, ndots: usize, expected: &[&str]| {
            assert_eq!(candidates(name, &search, ndots), expected, "{name}");
        };
        check("p", 1, &["p.a.example", "p.example", "p"]);
        check("p.b", 1, &["p.b", "p.b.a.example", "p.b.example"]);
        check("p.b", 5, &["p.b.a.example", "p.b.example", "p.b"]);
        check("p.b.", 5, &["p.b."]);
        assert_eq!(candidates("p", &vec!["x".to_owned(); 40], 1).len(), MAX_CANDIDATES);
    }

    #[test]
    fn a_name_in_the_file_of_hosts_is_found_there() {
        let hosts = "127.0.0.1 localhost\n::1 localhost # not.this\n# 10.0.0.1 nor.this\n10.0.0.2\tone.example  ONE\n";
        for (name, expected) in [
            ("localhost", true),
            ("one", true),
            ("One.Example", true),
            ("10.0.0.2", false),
            ("not.this", false),
            ("nor.this", false),
            ("two", false),
        ] {
            assert_eq!(is_host(hosts, name), expected, "{name}");
        }
        // No time is left for the name server.
        assert!(is_answered("localhost", Instant::now()));
    }

    /// The first query of RFC 1035, section 4, worked out by hand for `a.bc`.
    #[test]
    fn a_query_is_written_as_the_rfc_says() {
        let expected = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02bc\x00\x00\x1c\x00\x01";
        assert_eq!(query(7, "a.bc", 28).unwrap(), expected);
        assert_eq!(query(7, "a.bc.", 28).unwrap(), expected);
        for name in ["", ".", "a..b", &"x".repeat(64), &"x.".repeat(128)] {
            assert_eq!(query(0, name, 1), None, "{name}");
        }
    }

    #[test]
    fn a_name_server_has_to_answer_for_all_names_up_to_the_first_that_has_an_address() {
        let check = |records: &[i32], expected: bool| {
            let records: Vec<Option<u16>> = records.iter().map(|records| u16::try_from(*records).ok()).collect();
            assert_eq!(suffice(&records), expected, "{records:?}");
        };
        // A missing answer is written as -1.
        check(&[], true);
        check(&[0, 0, 0, 0], true);
        check(&[1, 0], true);
        check(&[0, 1], true);
        check(&[1, -1], false);
        check(&[-1, 0], false);
        check(&[0, 0, 1, 1, -1, -1], true);
        check(&[0, 0, -1, 1, 1, 1], false);
        check(&[0, 0, 0, -1], false);
        check(&[-1, 0, 1, 1], false);
    }

    #[test]
    fn only_a_response_is_one() {
        let response = |flags: u8| [0, 7, flags, 0, 0, 1, 0, 3, 0, 0, 0, 0];
        assert_eq!(Response::parse(&response(0x81)), Some(Response { id: 7, records: 3 }));
        assert_eq!(Response::parse(&response(0x01)), None);
        assert_eq!(Response::parse(&response(0x81)[..11]), None);
    }

    #[test]
    fn a_name_server_has_to_answer_in_time() {
        // It answers so many queries, each with so many records, and last come the first.
        let check = |names: &[&str], responses: usize, records: u8, expected: bool| {
            let server = UdpSocket::bind("127.0.0.1:0").unwrap();
            let address = server.local_addr().unwrap();
            let answering = std::thread::spawn(move || {
                let mut packet = [0; MAX_PACKET_BYTES];
                let mut queries: Vec<_> = (0..responses)
                    .map(|_| {
                        let (length, from) = server.recv_from(&mut packet).unwrap();
                        (packet[..length].to_vec(), from)
                    })
                    .collect();
                for (query, from) in queries.iter_mut().rev() {
                    (query[2], query[7]) = (0x80, records);
                    server.send_to(query, *from).unwrap();
                }
                server
            });
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let begun = Instant::now();
            let answered = are_answered(address, &names, begun + Duration::from_millis(300));
            let took = begun.elapsed();
            answering.join().unwrap();
            assert_eq!(answered.is_ok(), expected, "{names:?} {responses} {records}");
            assert!(took < Duration::from_secs(2), "{took:?}");
        };
        check(&["p.example"], 2, 1, true);
        check(&["p.example"], 2, 0, true);
        check(&["p.example"], 1, 1, false);
        check(&["p.example"], 0, 0, false);
        check(&["p.example", "p"], 4, 0, true);
        check(&["p.example", "p"], 3, 0, false);
        check(&["p.example", "p"], 2, 1, true);
        check(&["p..example", "p"], 2, 0, true);
    }
}
