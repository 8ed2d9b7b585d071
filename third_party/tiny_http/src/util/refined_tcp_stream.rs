use std::io::Result as IoResult;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use crate::room::Socket;

/// One direction of a connection, closed when this is dropped.
pub struct RefinedTcpStream {
    stream: Arc<Socket>,
    direction: Shutdown,
}

impl RefinedTcpStream {
    /// The direction in which is read, and that in which is written.
    pub(crate) fn both(stream: &Arc<Socket>) -> (RefinedTcpStream, RefinedTcpStream) {
        let one = |direction| RefinedTcpStream { stream: Arc::clone(stream), direction };
        (one(Shutdown::Read), one(Shutdown::Write))
    }

    /// Says that nothing more is written, and waits for what is still to be read no longer than this.
    pub(crate) fn close_write(&mut self, read_timeout: Duration) -> IoResult<()> {
        self.stream.connection().set_read_timeout(read_timeout)?;
        self.stream.connection().shutdown(Shutdown::Write)
    }
}

impl Drop for RefinedTcpStream {
    fn drop(&mut self) {
        self.stream.connection().shutdown(self.direction).ok();
    }
}

impl Read for RefinedTcpStream {
    fn read(&mut self, buf: &mut [u8]) -> IoResult<usize> {
        self.stream.connection().read(buf)
    }
}

impl Write for RefinedTcpStream {
    fn write(&mut self, buf: &[u8]) -> IoResult<usize> {
        self.stream.connection().write(buf)
    }

    fn flush(&mut self) -> IoResult<()> {
        self.stream.connection().flush()
    }
}
