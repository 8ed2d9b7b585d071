//! What an error shows of its upstream, as plain data.

use std::fmt;
use std::sync::Arc;

use crate::prometheus::upstreams_file::definition::Definition;

/// What an error shows of its upstream. `Display` writes its name, if it has one, host, port and path prefix, never credentials.
#[derive(Debug)]
pub struct ShownUpstream {
    pub(in crate::prometheus) text: String,
    /// The index of the replica, in the order of the upstreams file.
    pub(in crate::prometheus) replica: usize,
    /// Its definition, if it is defined in the upstreams file.
    pub(in crate::prometheus) definition: Option<Arc<Definition>>,
}

impl fmt::Display for ShownUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
