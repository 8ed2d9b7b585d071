//! A reply on its way to its client, written in as few pieces as there can be and given up when it takes too long.

use std::io::{self, Cursor, Read, Write};
use std::time::{Duration, Instant};

use crate::memory::ResponseMemory;
use crate::server::os::socket::CONNECTION_TIMEOUT;

use tiny_http::{Header, Request, Response, StatusCode};

/// How long a client may take to take in a whole reply, which may have tens of megabytes. Between two of its bytes,
/// `server/os/socket`'s timeout holds.
const REPLY_DEADLINE: Duration = Duration::from_secs(60);

/// Up to this length, 32 KiB, a body is moved to make room for its head, so that both are one packet for small ones, and
/// one call.
const MOVED_BYTES: usize = 32 << 10;

/// More than a head has.
const HEAD_BYTES: usize = 1_024;

/// Is told once, when a reply is written or given up, whether all of its body was written.
pub(super) type Account = Box<dyn FnOnce(bool) + Send>;

/// A reply that its client has to take in before a deadline: what is left then is not sent, and not kept.
pub(super) struct OutgoingReply {
    status: StatusCode,
    headers: Vec<Header>,
    body: ReplyBody,
}

/// A body that accounts for itself.
struct ReplyBody {
    bytes: Cursor<Vec<u8>>,
    pace: Pace,
    account: Option<Account>,
}

impl OutgoingReply {
    pub(super) fn new(
        status: u16,
        headers: impl Iterator<Item = (&'static str, String)>,
        body: Vec<u8>,
        memory: Option<ResponseMemory>,
        account: Account,
    ) -> OutgoingReply {
        let headers = headers.filter_map(|(name, value)| Header::from_bytes(name, value).ok()).collect();
        OutgoingReply { status: StatusCode(status), headers, body: ReplyBody::new(body, memory, account) }
    }

    /// The reply as tiny_http writes it, eight kilobytes at a time. It accounts for itself when tiny_http is done with it, since
    /// tiny_http goes on to read, perhaps for long, what is left of the request's body.
    pub(super) fn into_response(self) -> Response<impl Read> {
        let length = self.body.length();
        response(self.status, self.headers, self.body, length)
    }

    /// Answers a request of whose body nothing is left to wait for, which tiny_http would do before the reply is written. Returns
    /// whether all of the reply was written.
    pub(super) fn write_at_once(self, request: Request) -> bool {
        let OutgoingReply { status, headers, mut body } = self;
        let has_body = *request.method() != tiny_http::Method::Head;
        let length = body.length();
        let mut head = Vec::with_capacity(HEAD_BYTES);
        let (version, of_request) = (request.http_version().clone(), request.headers());
        // Writing to memory does not fail.
        let _ = response(status, headers, io::empty(), length).raw_print(&mut head, version, of_request, true, None);
        let mut writer = request.into_writer();
        body.write_behind(head, has_body, &mut writer).is_ok()
    }
}

fn response<R: Read>(status: StatusCode, headers: Vec<Header>, body: R, length: usize) -> Response<R> {
    // A reply has a known length, so it is sent in one piece however long it is.
    Response::new(status, headers, body, Some(length), None).with_chunked_threshold(usize::MAX)
}

impl ReplyBody {
    fn new(bytes: Vec<u8>, memory: Option<ResponseMemory>, account: Account) -> ReplyBody {
        let pace = Pace { deadline: Instant::now() + REPLY_DEADLINE, memory };
        ReplyBody { bytes: Cursor::new(bytes), pace, account: Some(account) }
    }

    fn length(&self) -> usize {
        self.bytes.get_ref().len()
    }

    /// Writes itself behind a head. Whether it was written is accounted for.
    fn write_behind(&mut self, head: Vec<u8>, has_body: bool, writer: &mut impl Write) -> io::Result<()> {
        let ReplyBody { bytes, pace, .. } = self;
        if has_body && bytes.get_ref().len() <= MOVED_BYTES {
            bytes.get_mut().splice(..0, head);
        } else {
            pace.write_all(&head, writer)?;
        }
        if has_body {
            pace.write_all(bytes.get_ref(), writer)?;
        }
        pace.flush(writer)?;
        if has_body {
            bytes.set_position(bytes.get_ref().len() as u64);
        }
        Ok(())
    }
}

/// How long a client may take.
struct Pace {
    deadline: Instant,
    memory: Option<ResponseMemory>,
}

impl Pace {
    /// Writes bytes, as many at a time as the system takes before the client has to take some in.
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

    fn flush(&self, writer: &mut impl Write) -> io::Result<()> {
        self.patiently(|| writer.flush())
    }

    /// Tries to write until that succeeds, the client has been silent for too long, or there is no more time for it. The system
    /// waits for the client a little each time (`WRITE_TIMEOUT`).
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

    /// Whether the client may still take the reply in.
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
