//! Refuses heads that do not say with certainty where their request ends.
//!
//! - Defect: tiny_http reads heads leniently. It ignores a `Content-Length` that is not a number, treats every
//!   `Transfer-Encoding` as `chunked`, leaves the trailers of a chunked body on the connection, and does not accept a line feed
//!   alone as the end of a line. It parses the rest of a body as the next request.
//! - Seen: a chunked body with the trailer `GGET /-/ready HTTP/1.1` got two responses, the second with the key. A reverse proxy
//!   that reads such a head differently forwards requests that its rules do not allow (request smuggling).
//! - Here: the response to such a head is 400. Each response after which a part of the request may be left, such as the one to a
//!   chunked body, ends its connection (`server/tiny_http/pipelining`).
//! - Defect: tiny_http 0.12 responds by itself to malformed heads, without the key and without a log line. It does not respond
//!   at all to a head with a byte above 127.
//! - Here: the copy in `third_party/tiny_http` hands such a head over as a request with a fault, and reads nothing after it.
//! - Tests: `tests/it/http/framing.rs`, `tests/it/http/heads.rs`.

use tiny_http::{Fault, HTTPVersion, Header, Request};

use crate::error::Error;

/// Why the head of a request is refused, if it is.
pub(in crate::server) fn fault(request: &Request) -> Option<Error> {
    match request.fault() {
        Some(fault) => Some(refusal(fault)),
        None => uncertainty(request).map(Error::BadFraming),
    }
}

/// The error for a head that tiny_http cannot parse.
fn refusal(fault: Fault) -> Error {
    Error::BadFraming(match fault {
        Fault::TooLong => return Error::HeadTooLarge,
        Fault::TooSlow => return Error::BodyNotReceived,
        Fault::NoRoom => return Error::NoRoom,
        Fault::NotAscii => {
            "its head has a byte above 127: encode such characters in the path and in headers (percent-encoding, RFC 8187)"
        }
        Fault::RequestLine => {
            "its first line is none of HTTP/1.1, or does not end with a carriage return and a line feed: check that the client \
             speaks plain HTTP, without TLS"
        }
        Fault::Version => "its version is HTTP/2 or HTTP/3: send HTTP/1.1",
        Fault::HeaderLine => {
            "a line of its head is no header: it has no colon or a blank before the colon, or continues the line before it"
        }
        Fault::Expectation => "its Expect header is not \"100-continue\": send that or none",
    })
}

/// Why the end of a request is uncertain, if it is.
fn uncertainty(request: &Request) -> Option<&'static str> {
    let line = [request.method().as_str(), request.url()];
    if !line.into_iter().all(is_one_line) || !request.headers().iter().all(is_clean) {
        return Some("its head has a character that may not be there, such as a line feed without a carriage return");
    }
    if values(request.headers(), "Host").len() > 1 {
        return Some("it has several Host headers: send one");
    }
    fault_of_length(request.http_version(), request.headers())
}

fn fault_of_length(version: &HTTPVersion, headers: &[Header]) -> Option<&'static str> {
    if *version < HTTPVersion(1, 0) {
        return Some("its version is HTTP/0.9: send HTTP/1.1");
    }
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<usize>().is_ok();
    match (&*values(headers, "Content-Length"), &*values(headers, "Transfer-Encoding")) {
        ([], []) => None,
        ([length], []) if is_number(length) => None,
        (_, []) => Some("its Content-Length must be there once and be a number of bytes"),
        ([], [encoding]) if encoding.eq_ignore_ascii_case("chunked") => {
            let is_old = *version < HTTPVersion(1, 1);
            is_old.then_some("HTTP/1.0 has no Transfer-Encoding: send Content-Length")
        }
        ([], _) => Some("its Transfer-Encoding must be there once and be \"chunked\""),
        _ => Some("it has both Content-Length and Transfer-Encoding: send one of them"),
    }
}

/// The values of a header, one for each line of the head that has it.
fn values<'r>(headers: &'r [Header], name: &'static str) -> Vec<&'r str> {
    headers.iter().filter(|header| header.field.equiv(name)).map(|header| header.value.as_str()).collect()
}

/// Whether every reader understands a header in the same way (RFC 9110, section 5.5).
fn is_clean(header: &Header) -> bool {
    is_token(header.field.as_str().as_str()) && is_one_line(header.value.as_str())
}

/// Whether a text has no character that some readers of a head treat as the end of a line or of a text.
fn is_one_line(text: &str) -> bool {
    !text.contains(['\r', '\n', '\0'])
}

/// Whether a text is a token (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(headers: &[(&str, &str)]) -> Vec<Header> {
        headers.iter().map(|(name, value)| Header::from_bytes(*name, *value).unwrap()).collect()
    }

    #[test]
    fn the_length_of_a_body_is_certain_or_it_has_a_fault() {
        let check = |version: HTTPVersion, given: &[(&str, &str)], names: &str| {
            let found = fault_of_length(&version, &headers(given)).unwrap_or_default();
            assert!(found.contains(names) && found.is_empty() == names.is_empty(), "{given:?}: {found:?}");
        };
        let now = || HTTPVersion(1, 1);
        check(now(), &[], "");
        check(now(), &[("content-length", "0")], "");
        check(now(), &[("transfer-encoding", "Chunked")], "");
        check(HTTPVersion(1, 0), &[("Content-Length", "2")], "");
        for length in ["abc", "-1", "+2", "2, 2", "", "0x2", "99999999999999999999999"] {
            check(now(), &[("Content-Length", length)], "Content-Length");
        }
        check(now(), &[("Content-Length", "2"), ("content-length", "2")], "Content-Length");
        for encoding in ["identity", "gzip, chunked", "xchunked", "chunked, chunked", "", "chunked;q=1"] {
            check(now(), &[("Transfer-Encoding", encoding)], "Transfer-Encoding");
        }
        check(now(), &[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")], "Transfer-Encoding");
        check(now(), &[("Transfer-Encoding", "chunked"), ("Content-Length", "2")], "both");
        check(HTTPVersion(1, 0), &[("Transfer-Encoding", "chunked")], "HTTP/1.0");
        check(HTTPVersion(0, 9), &[], "HTTP/0.9");
    }

    #[test]
    fn a_header_is_one_line_and_its_name_a_token() {
        let check = |header: (&str, &str), is_good: bool| {
            assert_eq!(is_clean(&headers(&[header])[0]), is_good, "{header:?}");
        };
        check(("X-User_1", "a\tb c~"), true);
        check(("X", "\x1b"), true);
        for bad in [("X", "a\nContent-Length: 2"), ("X", "a\rb"), ("X", "\0"), ("X\0", "a"), ("", "a")] {
            check(bad, false);
        }
    }
}
