//! Parses the requests of a mirror for the stub: just enough HTTP.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;

/// A recorded request. Bytes that are not HTTP, such as a TLS hello, have an empty method and path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    pub method: String,
    /// The path, without the query string and as sent.
    pub path: String,
    /// Path and query string as sent.
    pub target: String,
    /// The decoded parameters, first those of the query string, then those of the form.
    pub parameters: Vec<(String, String)>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// A body that is not a form.
    pub body: Vec<u8>,
    /// Any body as sent.
    pub sent_body: Vec<u8>,
    /// The number of its connection, counted from 0.
    pub connection: usize,
    /// How many requests came before it on that connection.
    pub nth: usize,
}

impl Request {
    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.parameters, name)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The PromQL, empty when the request has none.
    pub fn promql(&self) -> &str {
        self.parameter("query").unwrap_or_default()
    }

    /// A time such as `1700000000.123` in milliseconds.
    pub fn millis(&self, name: &str) -> i64 {
        let seconds = self.parameter(name).unwrap_or_else(|| panic!("no {name} in {self:?}"));
        (seconds.parse::<f64>().unwrap() * 1000.0).round() as i64
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// Reads one request. `None` if the connection ends before one begins.
pub(super) fn read(mut stream: &TcpStream) -> std::io::Result<Option<Request>> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut read_more = |bytes: &mut Vec<u8>| -> std::io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        let count = stream.read(&mut chunk)?;
        bytes.extend_from_slice(&chunk[..count]);
        Ok(count)
    };
    let head_end = loop {
        if bytes.first().is_some_and(|byte| !byte.is_ascii_alphabetic()) {
            return Ok(Some(Request::default()));
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if read_more(&mut bytes)? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let (line, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: Vec<(String, String)> = headers
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = find(&headers, "content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head_end + 4 + length {
        if read_more(&mut bytes)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let is_form = find(&headers, "content-type").is_some_and(|kind| kind.starts_with("application/x-www-form"));
    let body = bytes.split_off(head_end + 4);
    let sent_body = body.clone();
    let (form, body) =
        if is_form { (String::from_utf8_lossy(&body).into_owned(), Vec::new()) } else { (String::new(), body) };
    let parameters = [query, &form].into_iter().flat_map(decode_parameters).collect();
    let (method, path, target) = (method.to_owned(), path.to_owned(), target.to_owned());
    Ok(Some(Request { method, path, target, parameters, headers, body, sent_body, ..Request::default() }))
}

fn decode_parameters(encoded: &str) -> Vec<(String, String)> {
    let pairs = encoded.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(k, v)| (percent_decode(k), percent_decode(v)))
        .collect()
}

fn percent_decode(encoded: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).expect("a hex digit");
                (digit() * 16 + digit()) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).expect("the mirror sends UTF-8")
}
