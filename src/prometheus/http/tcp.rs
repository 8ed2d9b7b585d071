//! TCP connections for ureq. Every wait has a deadline.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use socket2::SockRef;
use ureq::Error;
use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout, Transport};

/// How much of a response is read at a time, and of a call sent. Every connection holds this much memory while it is kept.
pub(super) const INPUT_BYTES: usize = 128 << 10;
pub(super) const OUTPUT_BYTES: usize = 16 << 10;

/// A TCP connection.
pub(super) struct Tcp {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl fmt::Debug for Tcp {
    /// Shows nothing of the buffers, which contain credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Tcp {
    pub(super) fn new(stream: TcpStream) -> Tcp {
        Tcp { stream, buffers: LazyBuffers::new(INPUT_BYTES, OUTPUT_BYTES) }
    }
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let begun = Instant::now();
        let mut left = &self.buffers.output()[..amount];
        // The system usually accepts all bytes at once, and then no timeout is needed.
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let mut sent = SockRef::from(&self.stream).send_with_flags(left, flags);
        loop {
            match sent {
                Ok(0) => return Err(Error::Io(ErrorKind::WriteZero.into())),
                Ok(sent) => left = &left[sent..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error.into()),
            }
            if left.is_empty() {
                return Ok(());
            }
            let after = timeout.after.saturating_sub(begun.elapsed());
            if after.is_zero() {
                return Err(Error::Timeout(timeout.reason));
            }
            self.stream.set_write_timeout(Some(after))?;
            sent = self.stream.write(left);
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let begun = Instant::now();
        let mut after = *timeout.after;
        loop {
            if after.is_zero() {
                return Err(Error::Timeout(timeout.reason));
            }
            self.stream.set_read_timeout(Some(after))?;
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(amount) => {
                    self.buffers.input_appended(amount);
                    return Ok(amount > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Error::Timeout(timeout.reason)),
                Err(error) => return Err(error.into()),
            }
            after = timeout.after.saturating_sub(begun.elapsed());
        }
    }

    /// Whether the connection is open and has no unexpected input.
    fn is_open(&mut self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let flags = libc::MSG_DONTWAIT | libc::MSG_PEEK;
        let received = SockRef::from(&self.stream).recv_with_flags(&mut byte, flags);
        received.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}
