//! DNS packets (RFC 1035): a query for the addresses of a name, and its response.

use std::net::IpAddr;

use crate::prometheus::error::LookupFailure;

/// The largest UDP packet that a name server sends if the client does not announce more ("Size limits").
pub(super) const MAX_PACKET_BYTES: usize = 512;

/// The length of a header, and the bounds on names.
const HEADER_BYTES: usize = 12;
const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// The record types of addresses.
pub(super) const IPV4: u16 = 1;
pub(super) const IPV6: u16 = 28;

const INTERNET: u16 = 1;

/// A query for records of a type. `None` if DNS cannot express the name.
pub(super) fn query(id: u16, name: &str, record_type: u16) -> Option<Vec<u8>> {
    const RECURSION_DESIRED: u16 = 0x100;
    const QUERIES: u16 = 1;
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

/// What a name server says about the records of a name: these addresses, or as many as the packet could hold (none if the name has
/// no record of this type), or why it has none.
pub(super) type DnsResponse = Result<Vec<IpAddr>, LookupFailure>;

/// The response in a packet; `None` if the packet is not a response to this query.
pub(super) fn response(packet: &[u8], query: &[u8]) -> Option<DnsResponse> {
    const IS_RESPONSE: u8 = 0x80;
    const IS_CUT: u8 = 0x02;
    const STATUS: u8 = 0x0f;
    const SUCCESS: u8 = 0;
    const NO_NAME: u8 = 3;
    let (header, question) = (packet.get(..HEADER_BYTES)?, query.get(HEADER_BYTES..)?);
    let repeated = packet.get(HEADER_BYTES..query.len())?;
    let is_of_query =
        header[..2] == query[..2] && header[2] & IS_RESPONSE != 0 && repeated.eq_ignore_ascii_case(question);
    if !is_of_query {
        return None;
    }
    match header[3] & STATUS {
        SUCCESS => {}
        NO_NAME => return Some(Err(LookupFailure::NotFound)),
        _ => return Some(Err(LookupFailure::ServerFails)),
    }
    let mut rest = PacketRest(&packet[query.len()..]);
    let mut addresses = Vec::new();
    for _ in 0..u16::from_be_bytes([header[6], header[7]]) {
        match rest.record() {
            Some(address) => addresses.extend(address),
            None => break,
        }
    }
    // Queries over TCP are left to the resolver.
    let tells_nothing = addresses.is_empty() && header[2] & IS_CUT != 0;
    Some(if tells_nothing { Err(LookupFailure::ServerFails) } else { Ok(addresses) })
}

/// The rest of a packet.
struct PacketRest<'p>(&'p [u8]);

impl<'p> PacketRest<'p> {
    /// The next record: the address in it, if it contains one.
    fn record(&mut self) -> Option<Option<IpAddr>> {
        self.name()?;
        let head = self.take(10)?;
        let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let (record_type, class, length) = (number(0), number(2), number(8));
        let data = self.take(usize::from(length))?;
        Some(match (class, record_type) {
            (INTERNET, IPV4) => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
            (INTERNET, IPV6) => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
            _ => None,
        })
    }

    /// Skips a name, which may end in a pointer to another one ("Message compression").
    fn name(&mut self) -> Option<()> {
        const IS_POINTER: u8 = 0xc0;
        loop {
            let length = self.take(1)?[0];
            if length & IS_POINTER == IS_POINTER {
                return self.take(1).map(|_| ());
            }
            if length == 0 {
                return Some(());
            }
            self.take(usize::from(length))?;
        }
    }

    fn take(&mut self, bytes: usize) -> Option<&'p [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The query of RFC 1035, section 4, worked out by hand for `a.bc`.
    const QUERY: &[u8] = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02bc\x00\x00\x1c\x00\x01";

    #[test]
    fn a_query_is_written_as_the_rfc_says() {
        assert_eq!(query(7, "a.bc", 28).unwrap(), QUERY);
        assert_eq!(query(7, "a.bc.", 28).unwrap(), QUERY);
        for name in ["", ".", "a..b", &"x".repeat(64), &"x.".repeat(128)] {
            assert_eq!(query(0, name, 1), None, "{name}");
        }
    }

    #[test]
    fn a_response_is_read_as_the_rfc_says() {
        // An alias of the queried name, by a pointer to it, and the addresses of the name that the alias stands for.
        let alias = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01d\xc0\x0e";
        let ipv4 = b"\x01d\x02bc\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01";
        let ipv6 = b"\xc0\x1c\x00\x1c\x00\x01\x00\x00\x00\x3c\x00\x10\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02";
        let packet = |flags: [u8; 2], records: &[&[u8]]| {
            let mut packet = QUERY.to_vec();
            (packet[2], packet[3], packet[7]) = (flags[0], flags[1], records.len() as u8);
            packet.extend(records.concat());
            packet
        };
        let check = |packet: &[u8], expected: Option<DnsResponse>| {
            assert_eq!(response(packet, QUERY), expected, "{packet:x?}");
        };
        let addresses = |ips: &[&str]| Some(Ok(ips.iter().map(|ip| ip.parse().unwrap()).collect()));
        let (good, cut) = ([0x81, 0x80], [0x83, 0x80]);
        let whole = packet(good, &[alias, ipv4, ipv6]);
        check(&whole, addresses(&["10.0.0.1", "fd00::2"]));
        check(&packet(good, &[]), addresses(&[]));
        check(&packet(good, &[alias]), addresses(&[]));
        check(&whole[..whole.len() - 1], addresses(&["10.0.0.1"]));
        check(&packet(cut, &[alias, ipv4]), addresses(&["10.0.0.1"]));
        check(&packet(cut, &[alias]), Some(Err(LookupFailure::ServerFails)));
        check(&packet([0x81, 0x83], &[]), Some(Err(LookupFailure::NotFound)));
        for status in [1, 2, 4, 5] {
            check(&packet([0x81, 0x80 | status], &[]), Some(Err(LookupFailure::ServerFails)));
        }
        // Not the response to this query.
        check(&packet([0x01, 0x80], &[ipv4]), None);
        check(&whole[..QUERY.len() - 1], None);
        check(&whole[..11], None);
        for at in [1, 13, 15, 19] {
            let mut other = whole.clone();
            other[at] ^= 1;
            check(&other, None);
        }
        let mut upper = whole.clone();
        upper[13] = b'A';
        check(&upper, addresses(&["10.0.0.1", "fd00::2"]));
    }
}
