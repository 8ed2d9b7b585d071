use std::io::Read;
use std::io::Result as IoResult;

use crate::ConnectionHandle;

/// A reader of a body, by which its connection tells whether a part of the body is being waited for.
pub struct AwaitedReader<R> {
    reader: R,
    connection: ConnectionHandle,
}

impl<R> AwaitedReader<R> {
    pub fn new(reader: R, connection: ConnectionHandle) -> AwaitedReader<R> {
        AwaitedReader { reader, connection }
    }
}

impl<R: Read> Read for AwaitedReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> IoResult<usize> {
        self.connection.set_awaits_body(true);
        let read = self.reader.read(buf);
        self.connection.set_awaits_body(false);
        read
    }
}
