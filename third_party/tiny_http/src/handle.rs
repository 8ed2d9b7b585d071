use std::hash::{Hash, Hasher};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use crate::room::Socket;

/// A connection, as long as one of its requests or a clone of this is there. It equals no other one.
#[derive(Debug, Clone, Default)]
pub struct ConnectionHandle(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    has_ended: AtomicBool,
    is_evicted: AtomicBool,
    awaits_body: AtomicBool,
    socket: Weak<Socket>,
}

impl ConnectionHandle {
    pub(crate) fn new(socket: &Arc<Socket>) -> ConnectionHandle {
        ConnectionHandle(Arc::new(Inner { socket: Arc::downgrade(socket), ..Inner::default() }))
    }

    /// Has nothing more be read as a request from now on. What has been read already may still be handed over.
    ///
    /// The connection is closed when the responses to the requests before are written and the client sends something,
    /// closes its side, or is silent until the read timeout.
    pub fn end(&self) {
        self.0.has_ended.store(true, Ordering::Release);
    }

    /// Whether it was ended, or a part of a body is left that is no request.
    pub fn has_ended(&self) -> bool {
        self.0.has_ended.load(Ordering::Acquire)
    }

    /// Tells the client that no further response is written. All that there are have to be written.
    pub fn close_write(&self) {
        self.shutdown(Shutdown::Write);
    }

    pub(crate) fn shutdown(&self, how: Shutdown) {
        if let Some(socket) = self.0.socket.upgrade() {
            let _ = socket.connection().shutdown(how);
        }
    }

    /// Reads nothing more from it, to make room for others. Whoever reads finds that out.
    pub(crate) fn evict(&self) {
        self.0.is_evicted.store(true, Ordering::Release);
        self.shutdown(Shutdown::Read);
    }

    /// Whether it was closed to make room for others.
    pub fn is_evicted(&self) -> bool {
        self.0.is_evicted.load(Ordering::Acquire)
    }

    /// Whether a part of a body is being waited for.
    pub(crate) fn awaits_body(&self) -> bool {
        self.0.awaits_body.load(Ordering::Acquire)
    }

    pub(crate) fn set_awaits_body(&self, awaits: bool) {
        self.0.awaits_body.store(awaits, Ordering::Release);
    }
}

impl PartialEq for ConnectionHandle {
    fn eq(&self, other: &ConnectionHandle) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ConnectionHandle {}

impl Hash for ConnectionHandle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}
