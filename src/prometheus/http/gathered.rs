//! The head of a request and its form go out together: ureq writes the one and then the other, which would be two calls of the
//! system, two packets, and at the upstream two reads.

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// What is gathered at most, 16 KiB, many times what a head and a form have; then it goes out.
const MAX_BYTES: usize = 16 << 10;

/// Gathers what goes out on any connection.
#[derive(Debug)]
pub(super) struct Gather;

impl<T: Transport> Connector<T> for Gather {
    type Out = Gathered<T>;

    fn connect(&self, _: &ConnectionDetails<'_>, connection: Option<T>) -> Result<Option<Gathered<T>>, Error> {
        Ok(connection.map(|connection| Gathered { connection, gathered: Vec::new() }))
    }
}

/// A connection, and what has to go out before an answer is awaited.
#[derive(Debug)]
pub(super) struct Gathered<T> {
    connection: T,
    gathered: Vec<u8>,
}

impl<T: Transport> Transport for Gathered<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.gathered.extend_from_slice(&self.connection.buffers().output()[..amount]);
        if self.gathered.len() > MAX_BYTES { self.send(timeout) } else { Ok(()) }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.send(timeout)?;
        self.connection.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.connection.is_open()
    }

    fn is_tls(&self) -> bool {
        self.connection.is_tls()
    }
}

impl<T: Transport> Gathered<T> {
    fn send(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        let mut left = self.gathered.as_slice();
        while !left.is_empty() {
            let output = self.connection.buffers().output();
            let (now, later) = left.split_at(left.len().min(output.len()));
            output[..now.len()].copy_from_slice(now);
            self.connection.transmit_output(now.len(), timeout)?;
            left = later;
        }
        self.gathered.clear();
        Ok(())
    }
}
