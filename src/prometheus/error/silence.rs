//! What calls waited for without success, and for how long.

use std::time::Duration;

use super::vocabulary::{HOST_AND_PORT, Vocabulary};

/// What a call waited for without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitedFor {
    /// A response, or the rest of it.
    Response,
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
    /// How many calls in a row it has left without a response.
    pub calls: u32,
    /// The time since the first of them began.
    pub lasted: Duration,
}

impl Silence {
    /// The predicate of a sentence whose subject is the upstream.
    pub(super) fn predicate(self, words: Vocabulary<'_>) -> String {
        let Silence { calls, lasted, waited_for } = self;
        let (failed, remedy) = match waited_for {
            WaitedFor::Response => ("were not answered", "check that it is running, and the network to it".to_owned()),
            WaitedFor::Connection => (
                "got no connection",
                format!(
                    "check {}, and whether a firewall or NetworkPolicy drops this mirror's connections",
                    words.setting(HOST_AND_PORT)
                ),
            ),
            WaitedFor::Tls => ("got no answer to the TLS hello", "check that the port uses https".to_owned()),
            WaitedFor::NameServer => (
                "failed because the name server of this mirror does not answer",
                "check that a firewall or NetworkPolicy lets this mirror reach the name server in its /etc/resolv.conf"
                    .to_owned(),
            ),
        };
        format!(
            "was not queried: the last {calls} calls {failed}, for {} ms now; until one is answered, this mirror sends one query \
             at a time; {remedy}",
            lasted.as_millis()
        )
    }
}
