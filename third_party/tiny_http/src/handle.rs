use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// A connection, as long as one of its requests or a clone of this is there. It equals no other one.
#[derive(Debug, Clone, Default)]
pub struct ConnectionHandle(Arc<AtomicBool>);

impl ConnectionHandle {
    /// Has nothing more be read as a request from now on. What has been read already may still be handed over.
    ///
    /// The connection is closed when the responses to the requests before are written and the client sends something,
    /// closes its side, or is silent until the read timeout.
    pub fn end(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was ended, or a part of a body is left that is no request.
    pub fn has_ended(&self) -> bool {
        self.0.load(Ordering::Acquire)
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
