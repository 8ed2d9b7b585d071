use std::io::Read;
use std::io::Result as IoResult;
use std::time::{Duration, Instant};

use crate::ConnectionHandle;

/// So many bytes are read at a time to be thrown away.
const DISCARD_BYTES: usize = 16 << 10;

/// How much of a body is read only to be thrown away, and for how long.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discards {
    pub bytes: usize,
    pub time: Duration,
}

/// A `Reader` that reads exactly the number of bytes from a sub-reader.
///
/// If the limit is reached, it returns EOF. If the limit is not reached
/// when the destructor is called, the remaining bytes will be read and
/// thrown away, as far as that is allowed. What is left then is no request:
/// the connection ends.
pub struct EqualReader<R>
where
    R: Read,
{
    reader: R,
    size: usize,
    discards: Discards,
    connection: ConnectionHandle,
}

impl<R> EqualReader<R>
where
    R: Read,
{
    pub fn new(reader: R, size: usize, discards: Discards, connection: ConnectionHandle) -> EqualReader<R> {
        EqualReader { reader, size, discards, connection }
    }
}

impl<R> Read for EqualReader<R>
where
    R: Read,
{
    fn read(&mut self, buf: &mut [u8]) -> IoResult<usize> {
        if self.size == 0 {
            return Ok(0);
        }

        let buf = if buf.len() < self.size { buf } else { &mut buf[..self.size] };

        match self.reader.read(buf) {
            Ok(0) if !buf.is_empty() => {
                // nothing more comes, so that nothing can follow
                self.connection.end();
                Ok(0)
            }
            Ok(len) => {
                self.size -= len;
                Ok(len)
            }
            err @ Err(_) => err,
        }
    }
}

impl<R> Drop for EqualReader<R>
where
    R: Read,
{
    fn drop(&mut self) {
        // where nothing follows, the connection itself takes in what its client still sends
        if self.connection.has_ended() {
            return;
        }
        let deadline = Instant::now() + self.discards.time;
        let mut remaining = self.size.min(self.discards.bytes);
        let is_all = remaining == self.size;
        let mut buf = vec![0; remaining.min(DISCARD_BYTES)];

        while remaining > 0 && Instant::now() < deadline {
            let length = remaining.min(buf.len());
            match self.reader.read(&mut buf[..length]) {
                Err(_) | Ok(0) => break,
                Ok(count) => remaining -= count,
            }
        }
        if remaining > 0 || !is_all {
            self.connection.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Discards, EqualReader};
    use std::io::Read;
    use std::time::Duration;

    const DISCARDS: Discards = Discards { bytes: 100, time: Duration::from_secs(1) };

    #[test]
    fn test_limit() {
        use std::io::Cursor;

        let mut org_reader = Cursor::new("hello world".to_string().into_bytes());

        {
            let mut equal_reader = EqualReader::new(org_reader.by_ref(), 5, DISCARDS, Default::default());

            let mut string = String::new();
            equal_reader.read_to_string(&mut string).unwrap();
            assert_eq!(string, "hello");
        }

        let mut string = String::new();
        org_reader.read_to_string(&mut string).unwrap();
        assert_eq!(string, " world");
    }

    #[test]
    fn test_not_enough() {
        use std::io::Cursor;

        let mut org_reader = Cursor::new("hello world".to_string().into_bytes());

        {
            let mut equal_reader = EqualReader::new(org_reader.by_ref(), 5, DISCARDS, Default::default());

            let mut vec = [0];
            equal_reader.read_exact(&mut vec).unwrap();
            assert_eq!(vec[0], b'h');
        }

        let mut string = String::new();
        org_reader.read_to_string(&mut string).unwrap();
        assert_eq!(string, " world");
    }
}
