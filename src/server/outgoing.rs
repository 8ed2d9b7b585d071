//! Writes a reply to its client, in as few system calls as possible, and gives up when it takes too long.

use std::io::{self, Cursor, Read, Write};
use std::time::{Duration, Instant};

use crate::memory::ResponseMemory;
use crate::server::os::socket::CONNECTION_TIMEOUT;

use tiny_http::{Header, Method, Request, Response, StatusCode};

/// How long a client may take to receive a whole reply, which may have tens of megabytes. The timeout between two of its bytes
/// is in `server/os/socket`.
const REPLY_DEADLINE: Duration = Duration::from_secs(60);

/// A body of at most this length, 32 KiB, is moved to make room for its head. Both are then written in one call, and a small
/// reply is one packet.
const MOVED_BYTES: usize = 32 << 10;

/// Longer than the head of any reply.
const HEAD_BYTES: usize = 1_024;

/// Called once, when a reply is written or given up, with whether its whole body was written.
pub(super) type Account = Box<dyn FnOnce(bool) + Send>;

/// A reply that its client must receive before a deadline. Then the rest is dropped.
pub(super) struct OutgoingReply {
    status: StatusCode,
    headers: Vec<Header>,
    /// The length of the body, which the reply to `HEAD` announces but does not have.
    length: usize,
    body: ReplyBody,
}

/// A body that calls its [`Account`] when it is dropped.
struct ReplyBody {
    bytes: Cursor<Vec<u8>>,
    pace: Pace,
    account: Option<Account>,
}

impl OutgoingReply {
    pub(super) fn new(
        method: &Method,
        status: u16,
        headers: impl Iterator<Item = (&'static str, String)>,
        mut body: Vec<u8>,
        memory: Option<ResponseMemory>,
        account: Account,
    ) -> OutgoingReply {
        let headers = headers.filter_map(|(name, value)| Header::from_bytes(name, value).ok()).collect();
        let length = body.len();
        if *method == Method::Head {
            body.clear();
        }
        OutgoingReply { status: StatusCode(status), headers, length, body: ReplyBody::new(body, memory, account) }
    }

    /// The reply for tiny_http to write, eight kilobytes at a time. The account is called when tiny_http drops the body: `respond`
    /// returns later, since tiny_http first reads the rest of the request's body, which may take long.
    pub(super) fn into_response(self) -> Response<impl Read> {
        response(self.status, self.headers, self.body, self.length)
    }

    /// Writes the reply to a request whose body was read completely; otherwise, tiny_http would wait for the rest of the body
    /// first. Returns whether the whole reply was written.
    pub(super) fn write_at_once(self, request: Request) -> bool {
        let OutgoingReply { status, headers, length, mut body } = self;
        let mut head = Vec::with_capacity(HEAD_BYTES);
        let (version, of_request) = (request.http_version().clone(), request.headers());
        // Writing to memory does not fail.
        let _ = response(status, headers, io::empty(), length).raw_print(&mut head, version, of_request, true, None);
        let mut writer = request.into_writer();
        body.write_behind(head, &mut writer).is_ok()
    }
}

fn response<R: Read>(status: StatusCode, headers: Vec<Header>, body: R, length: usize) -> Response<R> {
    // The length of a reply is known, so it is never chunked.
    Response::new(status, headers, body, Some(length), None).with_chunked_threshold(usize::MAX)
}

impl ReplyBody {
    fn new(bytes: Vec<u8>, memory: Option<ResponseMemory>, account: Account) -> ReplyBody {
        let pace = Pace { deadline: Instant::now() + REPLY_DEADLINE, memory };
        ReplyBody { bytes: Cursor::new(bytes), pace, account: Some(account) }
    }

    /// Writes a head and then this body.
    fn write_behind(&mut self, head: Vec<u8>, writer: &mut impl Write) -> io::Result<()> {
        let ReplyBody { bytes, pace, .. } = self;
        if bytes.get_ref().len() <= MOVED_BYTES {
            bytes.get_mut().splice(..0, head);
        } else {
            pace.write_all(&head, writer)?;
        }
        pace.write_all(bytes.get_ref(), writer)?;
        pace.patiently(|| writer.flush())?;
        bytes.set_position(bytes.get_ref().len() as u64);
        Ok(())
    }
}

/// Until when a reply is written: its deadline, or until other requests need its memory.
struct Pace {
    deadline: Instant,
    memory: Option<ResponseMemory>,
}

impl Pace {
    /// Writes bytes, as many at a time as the system accepts.
    fn write_all(&self, mut bytes: &[u8], writer: &mut impl Write) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = self.patiently(|| writer.write(bytes))?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Repeats a write until it succeeds, the client has been silent for too long, or the deadline of the reply has passed. Each
    /// try lasts for `WRITE_TIMEOUT` at most.
    fn patiently<T>(&self, mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let began = Instant::now();
        loop {
            self.check()?;
            match write() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && began.elapsed() < CONNECTION_TIMEOUT => {}
                other => return other,
            }
        }
    }

    /// Fails if the deadline has passed, or other requests need the memory of the reply.
    fn check(&self) -> io::Result<()> {
        let is_cut = self.memory.as_ref().is_some_and(ResponseMemory::is_cut);
        if is_cut || Instant::now() > self.deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "its client takes it in too slowly"));
        }
        Ok(())
    }
}

impl Read for ReplyBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pace.check()?;
        self.bytes.read(buffer)
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        let is_whole = self.bytes.position() == self.bytes.get_ref().len() as u64;
        if let Some(account) = self.account.take() {
            account(is_whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_sent_until_its_deadline_and_accounts_for_itself() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let body = || {
            let sender = sender.clone();
            ReplyBody::new(vec![1; 10], None, Box::new(move |is_whole| sender.send(is_whole).unwrap()))
        };
        let mut whole = body();
        assert_eq!(whole.read_to_end(&mut Vec::new()).unwrap(), 10);
        drop(whole);
        assert_eq!(receiver.try_recv(), Ok(true));

        let mut late = body();
        assert_eq!(late.read(&mut [0; 4]).unwrap(), 4);
        late.pace.deadline = Instant::now() - Duration::from_millis(1);
        assert_eq!(late.read(&mut [0; 4]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(late);
        assert_eq!(receiver.try_recv(), Ok(false));
    }
}
