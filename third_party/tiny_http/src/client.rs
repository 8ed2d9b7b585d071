use ascii::AsciiString;

use std::io::Result as IoResult;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write};

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{HTTPVersion, Method};
use crate::connection::Connection;
use crate::handle::ConnectionHandle;
use crate::limits::{Fault, Host, Limits};
use crate::request::{Body, RequestCreationError};
use crate::room::{Room, Seat};
use crate::util::{Discards, RefinedTcpStream};
use crate::util::{SequentialReader, SequentialReaderBuilder, SequentialWriterBuilder};
use crate::Request;

/// For how long a client may be silent that goes on to send after its last response. A socket that is closed with something
/// unread may take the response from its client.
const LINGER_SILENCE: Duration = Duration::from_secs(1);

/// A ClientConnection is an object that will store a socket to a client
/// and return Request objects.
pub struct ClientConnection {
    // address of the client
    remote_addr: Option<SocketAddr>,

    // sequence of Readers to the stream, so that the data is not read in
    //  the wrong order
    source: SequentialReaderBuilder<BufReader<RefinedTcpStream>>,

    // sequence of Writers to the stream, to avoid writing response #2 before
    //  response #1
    sink: SequentialWriterBuilder<BufWriter<RefinedTcpStream>>,

    // Reader to read the next header from
    next_header_source: SequentialReader<BufReader<RefinedTcpStream>>,

    // set to true if we know that the previous request is the last one
    no_more_requests: bool,

    // set to true if the client may go on to send although nothing more is read as a request
    lingers: bool,

    limits: Limits,

    host: Arc<dyn Host>,

    // as long as it is here, the connection counts
    seat: Seat,

    // by which a request ends the connection
    handle: ConnectionHandle,

    // true once there was a request, so that the connection is worth keeping
    has_brought_request: bool,
}

/// Why there is no request.
#[derive(Debug)]
enum ReadError {
    /// The head is to be refused; its method and path, if they are known.
    Fault(Fault, Method, String),
    /// The client has gone, or has been silent for long.
    Closed,
    /// A request has ended the connection.
    Ended,
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> ReadError {
        ReadError::Fault(fault, Method::Get, String::new())
    }
}

/// How much of a head has come.
struct Progress {
    bytes: usize,
    /// When its first byte was seen.
    began: Option<Instant>,
    /// Until when the connection was not idle for certain.
    busy: Instant,
}

impl ClientConnection {
    /// Creates a new `ClientConnection` that takes ownership of a connection. `None` if there is no room for it.
    pub(crate) fn new(
        connection: Connection,
        remote_addr: Option<SocketAddr>,
        limits: Limits,
        host: Arc<dyn Host>,
        room: &Arc<Room>,
    ) -> Option<ClientConnection> {
        let socket = room.admit(connection)?;
        let handle = ConnectionHandle::new(&socket);
        let (read, write) = RefinedTcpStream::both(&socket);
        let sink = SequentialWriterBuilder::new(BufWriter::with_capacity(1024, write));
        let seat = Seat::new(room.clone(), handle.clone(), sink.usage());
        let mut source = SequentialReaderBuilder::new(BufReader::with_capacity(1024, read));
        let next_header_source = source.next()?;
        Some(ClientConnection {
            source,
            sink,
            remote_addr,
            next_header_source,
            no_more_requests: false,
            lingers: false,
            limits,
            host,
            seat,
            handle,
            has_brought_request: false,
        })
    }

    /// Waits until there are bytes of a head to be read, within the limits of time.
    fn fill(&mut self, head: &mut Progress) -> Result<(), ReadError> {
        // until then a request before may be using the connection
        self.next_header_source.wait_for_turn();
        loop {
            if self.handle.has_ended() && !self.handle.is_evicted() {
                return Err(ReadError::Ended);
            }
            let filled = self.next_header_source.fill_buf().map(|buffered| buffered.is_empty());
            if self.handle.is_evicted() {
                return Err(if head.began.is_some() { Fault::NoRoom.into() } else { ReadError::Closed });
            }
            match filled.map_err(|err| err.kind()) {
                Ok(true) => return Err(ReadError::Closed),
                Ok(false) => break,
                Err(ErrorKind::Interrupted) => {}
                Err(kind) if is_timeout(kind) && head.began.is_some() => return Err(Fault::TooSlow.into()),
                Err(kind) if is_timeout(kind) && self.may_be_idle(head) => {}
                Err(_) => return Err(ReadError::Closed),
            }
        }
        if self.handle.has_ended() {
            return Err(ReadError::Ended);
        }
        if head.began.get_or_insert_with(Instant::now).elapsed() > self.limits.head_time {
            return Err(Fault::TooSlow.into());
        }
        Ok(())
    }

    /// Whether a connection without a byte of a head is kept.
    fn may_be_idle(&self, head: &mut Progress) -> bool {
        if self.sink.is_in_use() {
            head.busy = Instant::now();
        }
        let is_open = self.has_brought_request && !self.handle.has_ended();
        is_open && head.busy.elapsed() < self.host.idle_time()
    }

    /// Reads the next line from self.next_header_source.
    ///
    /// Reads until `CRLF` is reached. The next read will start
    ///  at the first byte of the new line.
    fn read_next_line(&mut self, head: &mut Progress) -> Result<AsciiString, ReadError> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            self.fill(head)?;
            let buffered = match self.next_header_source.fill_buf() {
                Ok(buffered) => buffered,
                Err(_) => return Err(ReadError::Closed),
            };
            let end = buffered.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(buffered.len(), |at| at + 1);
            head.bytes += taken;
            if head.bytes > self.limits.head_bytes {
                return Err(Fault::TooLong.into());
            }
            if head.bytes == taken {
                self.seat.wait(taken);
            } else {
                self.seat.hold(head.bytes);
            }
            line.extend_from_slice(&buffered[..taken]);
            self.next_header_source.consume(taken);
        }
        line.truncate(line.len() - 2); // removing the CRLF
        AsciiString::from_ascii(line).map_err(|_| Fault::NotAscii.into())
    }

    /// Reads a request from the stream.
    /// Blocks until the header has been read.
    fn read(&mut self) -> Result<Request, ReadError> {
        self.seat.wait(0);
        let mut head = Progress { bytes: 0, began: None, busy: Instant::now() };
        let line = self.read_request_line(&mut head)?;
        let (method, path, version) = parse_request_line(line.as_str()).ok_or(Fault::RequestLine)?;
        let request = self.read_rest(&mut head, method.clone(), path.clone(), version);
        if request.is_ok() {
            self.seat.prove();
        }
        request.map_err(|err| match err {
            ReadError::Fault(fault, ..) => ReadError::Fault(fault, method, path),
            other => other,
        })
    }

    /// Reads the first line that is not empty: some clients send an empty one behind a body (RFC 9112, section 2.2).
    fn read_request_line(&mut self, head: &mut Progress) -> Result<AsciiString, ReadError> {
        loop {
            self.fill(head)?;
            // a client that speaks TLS waits for an answer to its first bytes, which have no end of a line
            let first = self.next_header_source.fill_buf().ok().and_then(|buffered| buffered.first().copied());
            if first.map_or(false, |byte| !byte.is_ascii_graphic() && byte != b'\r') {
                return Err(Fault::RequestLine.into());
            }
            let line = self.read_next_line(head)?;
            if !line.is_empty() {
                return Ok(line);
            }
            if self.has_brought_request {
                head.began = None;
            }
        }
    }

    /// Reads what is behind the first line.
    fn read_rest(
        &mut self,
        head: &mut Progress,
        method: Method,
        path: String,
        version: HTTPVersion,
    ) -> Result<Request, ReadError> {
        if version > (1, 1) {
            return Err(Fault::Version.into());
        }
        let mut headers = Vec::new();
        loop {
            let line = self.read_next_line(head)?;
            if line.is_empty() {
                break;
            }
            if headers.len() == self.limits.headers {
                return Err(Fault::TooLong.into());
            }
            // a line that begins with a blank continues the one before it, if anything
            if line.as_str().starts_with(&[' ', '\t'][..]) {
                return Err(Fault::HeaderLine.into());
            }
            headers.push(FromStr::from_str(line.as_str()).map_err(|_| Fault::HeaderLine)?);
        }

        // building the writer for the request
        let writer = self.sink.next().unwrap();

        // follow-up for next potential request
        let mut data_source = self.source.next().unwrap();
        std::mem::swap(&mut self.next_header_source, &mut data_source);

        // building the next reader
        let body = Body {
            deadline: head.began.map(|began| began + self.limits.head_time),
            discards: Discards { bytes: self.limits.discarded_bytes, time: self.limits.head_time },
            connection: self.handle.clone(),
            head_bytes: head.bytes,
        };
        crate::request::new_request(false, method, path, version, headers, self.remote_addr, data_source, writer, body)
            .map_err(|err| match err {
                RequestCreationError::CreationIoError(_) if self.handle.is_evicted() => Fault::NoRoom.into(),
                RequestCreationError::CreationIoError(err) if is_incomplete(err.kind()) => Fault::TooSlow.into(),
                RequestCreationError::CreationIoError(_) => ReadError::Closed,
                RequestCreationError::ExpectationFailed => Fault::Expectation.into(),
            })
    }

    /// Has the client take in the last response before the connection is closed.
    fn linger(&mut self) {
        // waits until the last response is written
        let _ = self.sink.next().unwrap().flush();
        let is_closing = self.sink.with_writer(|writer| writer.get_mut().close_write(LINGER_SILENCE));
        if is_closing.is_err() {
            return;
        }
        self.seat.linger();
        let stream = &mut self.next_header_source;
        let (began, mut buffer, mut total) = (Instant::now(), [0; 4096], 0);
        while began.elapsed() < self.limits.head_time && total < self.limits.discarded_bytes {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => total += count,
            }
        }
    }
}

impl Iterator for ClientConnection {
    type Item = Request;

    /// Blocks until the next Request is available.
    /// Returns None when no new Requests will come from the client.
    ///
    /// A head that is no request comes as one with a fault, the last.
    fn next(&mut self) -> Option<Request> {
        // the client sent a "connection: close" header in this previous request
        //  or is using HTTP 1.0, meaning that no new request will come
        if self.no_more_requests {
            if self.lingers {
                self.linger();
            }
            return None;
        }

        let rq = match self.read() {
            Err(ReadError::Closed) => return None,
            Err(ReadError::Ended) => {
                self.linger();
                return None;
            }
            Err(ReadError::Fault(fault, method, path)) => {
                self.no_more_requests = true;
                self.lingers = fault != Fault::NoRoom;
                let writer = self.sink.next().unwrap();
                return Some(Request::faulty(
                    fault,
                    false,
                    method,
                    path,
                    self.remote_addr,
                    writer,
                    self.handle.clone(),
                ));
            }
            Ok(rq) => rq,
        };
        self.has_brought_request = true;

        self.no_more_requests = rq.is_last();
        self.lingers = self.no_more_requests;

        // returning the request
        Some(rq)
    }
}

/// Whether a body did not come whole, or in time.
fn is_incomplete(kind: ErrorKind) -> bool {
    is_timeout(kind) || kind == ErrorKind::ConnectionAborted
}

fn is_timeout(kind: ErrorKind) -> bool {
    kind == ErrorKind::WouldBlock || kind == ErrorKind::TimedOut
}

/// Parses a "HTTP/1.1" string.
fn parse_http_version(version: &str) -> Option<HTTPVersion> {
    let (major, minor) = match version {
        "HTTP/0.9" => (0, 9),
        "HTTP/1.0" => (1, 0),
        "HTTP/1.1" => (1, 1),
        "HTTP/2.0" => (2, 0),
        "HTTP/3.0" => (3, 0),
        _ => return None,
    };

    Some(HTTPVersion(major, minor))
}

/// Parses the request line of the request.
/// eg. GET / HTTP/1.1
fn parse_request_line(line: &str) -> Option<(Method, String, HTTPVersion)> {
    let mut parts = line.split(' ');

    let method = parts.next().and_then(|w| w.parse().ok());
    let path = parts.next().map(ToOwned::to_owned);
    let version = parts.next().and_then(parse_http_version);
    if parts.next().is_some() || path.as_ref().map_or(false, |path| path.is_empty()) {
        return None;
    }

    method.and_then(|method| Some((method, path?, version?)))
}

#[cfg(test)]
mod test {
    #[test]
    fn test_parse_request_line() {
        let (method, path, ver) = super::parse_request_line("GET /hello HTTP/1.1").unwrap();

        assert!(method == crate::Method::Get);
        assert!(path == "/hello");
        assert!(ver == crate::common::HTTPVersion(1, 1));

        assert!(super::parse_request_line("GET /hello").is_none());
        assert!(super::parse_request_line("qsd qsd qsd").is_none());
        assert!(super::parse_request_line("GET /hello HTTP/1.1 more").is_none());
        assert!(super::parse_request_line("GET  HTTP/1.1").is_none());
        assert!(super::parse_request_line(" GET /hello HTTP/1.1").is_none());
        assert!(super::parse_request_line("GET /hello HTTP/1.1\u{b}").is_none());
    }
}
