use std::hash::{Hash, Hasher};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use crate::connection::Connection;

/// A connection, as long as one of its requests or a clone of this is there. It equals no other one.
#[derive(Debug, Clone, Default)]
pub struct ConnectionHandle(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    has_ended: AtomicBool,
    connection: Weak<Connection>,
}

impl ConnectionHandle {
    pub(crate) fn new(connection: &Arc<Connection>) -> ConnectionHandle {
        let connection = Arc::downgrade(connection);
        ConnectionHandle(Arc::new(Inner { has_ended: AtomicBool::new(false), connection }))
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
        if let Some(connection) = self.0.connection.upgrade() {
            let _ = connection.shutdown(how);
        }
    }

    /// How many there are of this and its clones.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
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
