//! What calls waited for in vain, and for how long.

use std::time::Duration;

/// What a call waited for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitedFor {
    /// A response, or the rest of it.
    Answer,
    /// A connection.
    Connection,
    /// A response to the TLS hello.
    Tls,
    /// The mirror's name server.
    NameServer,
}

/// How long an upstream has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// What the last of the calls waited for.
    pub waited_for: WaitedFor,
    /// How many calls in a row it has left unanswered.
    pub calls: u32,
    /// Since the first of them began.
    pub lasted: Duration,
}
