//! TLS on a connection. ureq's own TLS supports neither the versions nor the server name that an upstream may have, nor
//! certificates that change at run time.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::transport::time::Instant as UreqInstant;
use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout, Transport, TransportAdapter};

use crate::prometheus::access::unbracketed;
use crate::prometheus::error::ErrorKind;
use crate::sync::Current;

use super::tcp::{INPUT_BYTES, OUTPUT_BYTES};
use super::tls_failure::of_handshake;
use super::ureq_time::until;

/// A TLS configuration, which can be replaced.
#[derive(Debug)]
pub(in crate::prometheus) struct Tls {
    config: Current<ClientConfig>,
    /// The name that the server's certificate must be for, instead of the host in the URL.
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// An invalid server name counts as not given.
    pub(in crate::prometheus) fn new(config: ClientConfig, server_name: Option<&str>) -> Tls {
        let server_name = server_name.and_then(|name| ServerName::try_from(name.to_owned()).ok());
        Tls { config: Current::new(config), server_name }
    }

    /// Uses another configuration for new handshakes.
    pub(super) fn replace(&self, config: ClientConfig) {
        self.config.set(config);
    }

    /// Adds TLS to a connection, if the scheme requires it.
    ///
    /// # Errors
    /// Fails if the handshake fails or does not end before the deadline.
    pub(super) fn secure(
        &self,
        uri: &Uri,
        connection: Box<dyn Transport>,
        deadline: Instant,
    ) -> Result<Box<dyn Transport>, ErrorKind> {
        if uri.scheme_str() != Some("https") {
            return Ok(connection);
        }
        let begun = Instant::now();
        self.handshake(uri, connection, deadline)
            .map_err(|error| ErrorKind::Unconnected(of_handshake(error, begun.elapsed().as_millis())))
    }

    fn handshake(
        &self,
        uri: &Uri,
        connection: Box<dyn Transport>,
        deadline: Instant,
    ) -> Result<Box<dyn Transport>, Error> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(unbracketed(uri.host().unwrap_or_default()))
                .map_err(|_| Error::Tls("the host can be the name of no certificate"))?
                .to_owned(),
        };
        let config = self.config.get();
        let mut session = ClientConnection::new(config, name)?;
        let connection = BelowTls { connection, broken: None }.boxed();
        let mut below = TransportAdapter::new(connection, Arc::new(UreqInstant::now));
        below.set_timeout(until(deadline));
        session.complete_io(&mut below)?;
        let stream = StreamOwned { conn: session, sock: below };
        Ok(Secured { stream, buffers: LazyBuffers::new(INPUT_BYTES, OUTPUT_BYTES) }.boxed())
    }
}

/// A connection with TLS.
struct Secured {
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    buffers: LazyBuffers,
}

impl fmt::Debug for Secured {
    /// Shows nothing of the buffers, which contain credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").finish_non_exhaustive()
    }
}

impl Transport for Secured {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// The connection below TLS, which may itself use TLS to a proxy. A failure to send is reported when input is awaited: a server
/// that closes the connection during the handshake often sends an alert with the reason first.
#[derive(Debug)]
struct BelowTls {
    connection: Box<dyn Transport>,
    broken: Option<io::Error>,
}

impl Transport for BelowTls {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.broken.is_none() {
            match self.connection.transmit_output(amount, timeout) {
                Err(Error::Io(error)) => self.broken = Some(error),
                other => return other,
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        match (self.connection.await_input(timeout), self.broken.take()) {
            (Ok(true), broken) => {
                self.broken = broken;
                Ok(true)
            }
            (_, Some(error)) => Err(error.into()),
            (waited, None) => waited,
        }
    }

    fn is_open(&mut self) -> bool {
        self.connection.is_open()
    }
}
