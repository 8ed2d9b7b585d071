//! What can go wrong, and what kind of failure it is.

use crate::memory::NoMemory;
use crate::metrics::NOT_ALLOWED;

use super::api_failure::{ApiCause, ApiFailure};
use super::connect_failure::ConnectFailure;
use super::credentials_failure::CredentialsFailure;
use super::foreign::Foreign;
use super::silence::{Silence, WaitedFor};
use super::status_failure::StatusFailure;
use super::vocabulary::Vocabulary;

/// What went wrong. No variant carries anything of a body that is not Prometheus's own.
#[derive(Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Not asked, for this mirror may not.
    NotAllowed,
    /// Not asked, for only its address could allow it, which the mirror does not learn through this proxy.
    AddressUnknown(String),
    /// No way to it, for what went wrong at the proxy.
    AtProxy {
        /// Host and port of the proxy; never a password.
        proxy: String,
        /// What went wrong, as it is called where an upstream is at fault. A status of the proxy's own is `Refused`.
        failure: Box<ErrorKind>,
    },
    /// No connection, and why.
    Unconnected(ConnectFailure),
    /// Not asked, for the request cannot be written.
    Unsent,
    /// Not queried: there are no credentials, for what hands them out does not.
    Credentials(Box<CredentialsFailure>),
    /// Not queried: the credentials hold something that this header cannot carry.
    UnsendableCredentials(String),
    /// The connection was closed before the response was whole.
    Closed,
    /// No response, and meanwhile the replica has left its probes unanswered, too.
    ReplicaDown,
    /// A connection, but no byte of a response in time.
    Timeout {
        /// How long it was waited for, in milliseconds.
        waited_ms: u128,
        /// The request's whole time in milliseconds.
        whole_ms: u128,
    },
    /// A response that began, but was not whole in time; the request's whole time in milliseconds.
    Stalled(u128),
    /// The mirror itself took too long to read the response; the request's whole time in milliseconds.
    TimeSpent(u128),
    /// A query that is too long for GET, where POST is refused.
    TooLongForGet,
    /// Not asked, for the request's time was over before; the whole of it in milliseconds.
    NoTimeLeft(u128),
    /// Not queried: no worker was free before the deadline.
    NoWorker {
        /// The request's timeout in milliseconds.
        timeout_ms: u128,
        /// How many workers waited for the same upstream.
        held_by_upstream: usize,
        /// How many workers there are.
        workers: usize,
        /// The most that may ask this upstream at a time, if that is set.
        most: Option<usize>,
    },
    /// It has not answered for some time, and is queried by one request at a time until it does.
    Silent(Silence),
    /// There is no memory for what it answers.
    NoMemory(NoMemory),
    /// The upstream understood the call, and says in Prometheus's envelope that it does not answer it.
    Failed(Box<ApiFailure>),
    /// A status of a proxy's own that says it does not connect us.
    Refused(u16),
    /// An HTTP status without data.
    Status(Box<StatusFailure>),
    /// A response that is encoded in a way that was not asked for, and how.
    Encoded(String),
    /// A result of another type than the query has.
    WrongType,
    /// A response that is not one of the Prometheus HTTP API.
    NotPrometheus {
        /// The HTTP status, if the response was HTTP.
        status: Option<u16>,
        /// What it is instead.
        found: Foreign,
        /// Whether the same upstream has answered as a Prometheus does before.
        was_prometheus: bool,
    },
    /// Not asked, for the query has to stand in the URL and would make that longer than this many bytes.
    UrlTooLong(usize),
    /// A response over this many bytes.
    TooLarge(u64),
    /// A list of more than this many names or values.
    TooManyNames(usize),
    /// Not queried: the query has made as many calls as it may, which is this many.
    TooManyCalls(u32),
    /// A response that itself says that data is missing in it, in its own words.
    MissingData(String),
    /// A remote read whose answer is damaged or cut short, and how.
    Damaged(String),
    /// Native histograms where numbers were expected.
    NativeHistogram,
    /// Prometheus understood and refuses: its status, its error type and its words, shortened.
    Api {
        /// The HTTP status.
        status: u16,
        /// `errorType` of the envelope.
        error_type: String,
        /// `error` of the envelope.
        message: String,
    },
}

impl ErrorKind {
    /// A response that is not one of the Prometheus HTTP API.
    pub(in crate::prometheus) fn not_prometheus(status: Option<u16>, found: Foreign) -> ErrorKind {
        ErrorKind::NotPrometheus { status, found, was_prometheus: false }
    }

    /// Whether what was asked does not fit into the URL, or is too long for what stands before the upstream.
    pub(in crate::prometheus) fn is_too_long(&self) -> bool {
        match self {
            ErrorKind::UrlTooLong(_) => true,
            ErrorKind::Status(failure) => failure.is_too_long(),
            _ => false,
        }
    }

    /// What was waited for in vain, if a whole timeout was spent on that.
    pub(in crate::prometheus) fn waited_for(&self) -> Option<WaitedFor> {
        match self {
            ErrorKind::Timeout { .. } | ErrorKind::Stalled(_) => Some(WaitedFor::Response),
            ErrorKind::Unconnected(failure) => failure.waited_for(),
            _ => None,
        }
    }

    /// The same with what is made of the words of a peer.
    pub(in crate::prometheus) fn with_words(mut self, make: impl Fn(String) -> String) -> ErrorKind {
        let change = |words: &mut String| *words = make(std::mem::take(words));
        match &mut self {
            ErrorKind::Api { error_type, message, .. } => {
                change(error_type);
                change(message);
            }
            ErrorKind::Failed(failure) => {
                change(&mut failure.error_type);
                change(&mut failure.message);
            }
            ErrorKind::MissingData(words) | ErrorKind::Encoded(words) => change(words),
            ErrorKind::NotPrometheus { found: Foreign::Other(Some(media_type)), .. } => change(media_type),
            ErrorKind::Status(failure) => failure.words_of_peer().for_each(change),
            _ => {}
        }
        self
    }

    /// Whether another replica may answer where this one fails: there is no connection or no response, or one that says that it cannot
    /// answer now (502, 503 or 504, or by its error type), or that it has ended the query.
    pub(in crate::prometheus) fn is_of_replica(&self) -> bool {
        let is_passing = match self {
            ErrorKind::Silent(_) => true,
            ErrorKind::Failed(failure) => failure.cause == ApiCause::Canceled,
            _ => false,
        };
        self.is_replicas_own() || self.waited_for().is_some() || is_passing
    }

    /// Whether this is the replica's own fault. That a response did not come in time may be due to the timeout of the query.
    pub(in crate::prometheus) fn is_replicas_own(&self) -> bool {
        match self {
            ErrorKind::Unconnected(failure) => failure.waited_for().is_none(),
            ErrorKind::Closed | ErrorKind::ReplicaDown => true,
            ErrorKind::Status(failure) => matches!(failure.status, 502..=504),
            ErrorKind::Failed(failure) => failure.cause == ApiCause::Unavailable,
            _ => false,
        }
    }

    /// The whole time of the query in milliseconds, if what went wrong says it.
    pub(super) fn whole_ms(&self) -> Option<u128> {
        match self {
            ErrorKind::Timeout { whole_ms: ms, .. }
            | ErrorKind::NoWorker { timeout_ms: ms, .. }
            | ErrorKind::Stalled(ms)
            | ErrorKind::TimeSpent(ms)
            | ErrorKind::NoTimeLeft(ms) => Some(*ms),
            _ => None,
        }
    }

    /// In a few words, why a replica failed. They have nothing of the words of a peer.
    pub(in crate::prometheus) fn brief(&self) -> String {
        match self {
            ErrorKind::Unconnected(failure) => failure.cause(Vocabulary::default()),
            ErrorKind::Status(failure) => format!("HTTP status {}", failure.status),
            ErrorKind::Closed => "closed the connection".to_owned(),
            ErrorKind::ReplicaDown => "does not answer probes".to_owned(),
            ErrorKind::Timeout { waited_ms, .. } => format!("no answer within {waited_ms} ms"),
            ErrorKind::Stalled(ms) => format!("no whole answer within {ms} ms"),
            ErrorKind::Silent(Silence { lasted, .. }) => format!("no answer for {} ms now", lasted.as_millis()),
            other => other.name().to_owned(),
        }
    }

    /// Whether the upstream had next to nothing of the request's time, so that nothing is known about it.
    pub fn had_no_time(&self) -> bool {
        match self {
            ErrorKind::NoTimeLeft(_) => true,
            ErrorKind::Timeout { waited_ms, whole_ms, .. } => waited_ms * 10 < *whole_ms,
            _ => false,
        }
    }

    /// Whether the upstream answered, whatever it was.
    pub(in crate::prometheus) fn is_response(&self) -> bool {
        use ErrorKind::{
            Api, Damaged, Encoded, Failed, MissingData, NativeHistogram, NotPrometheus, Status, TooLarge, TooManyNames,
            WrongType,
        };
        match self {
            Status(_) | Api { .. } | Failed(_) | Encoded(_) | WrongType => true,
            TooLarge(_) | TooManyNames(_) | MissingData(_) | Damaged(_) | NativeHistogram => true,
            NotPrometheus { status, .. } => status.is_some(),
            _ => false,
        }
    }

    /// Its stable code, by which the metrics, the log and docs/troubleshooting.md call it.
    pub fn name(&self) -> &'static str {
        match self {
            ErrorKind::NotAllowed | ErrorKind::AddressUnknown(_) => NOT_ALLOWED,
            ErrorKind::AtProxy { .. } | ErrorKind::Refused(_) => "proxy",
            ErrorKind::Unconnected(failure) => failure.name(),
            ErrorKind::Unsent => "unsent",
            ErrorKind::Credentials(_) => "credentials_unavailable",
            ErrorKind::UnsendableCredentials(_) => "credentials_unusable",
            ErrorKind::Closed => "closed",
            ErrorKind::ReplicaDown => "replica_down",
            ErrorKind::Timeout { .. } => "timeout",
            ErrorKind::Stalled(_) => "stalled",
            ErrorKind::TimeSpent(_) => "time_spent",
            ErrorKind::NoTimeLeft(_) => "no_time_left",
            ErrorKind::NoWorker { .. } => "no_worker",
            ErrorKind::Silent(_) => "silent",
            ErrorKind::NoMemory(_) => "no_memory",
            ErrorKind::Failed(failure) => failure.cause.name(),
            ErrorKind::Status(failure) => failure.name(),
            ErrorKind::Encoded(_) => "encoded",
            ErrorKind::WrongType => "wrong_type",
            ErrorKind::NotPrometheus { .. } => "not_prometheus",
            ErrorKind::UrlTooLong(_) | ErrorKind::TooLongForGet => "query_too_long",
            ErrorKind::TooLarge(_) | ErrorKind::TooManyNames(_) => "too_large",
            ErrorKind::TooManyCalls(_) => "too_many_calls",
            ErrorKind::MissingData(_) => "missing_data",
            ErrorKind::Damaged(_) => "damaged",
            ErrorKind::NativeHistogram => "native_histogram",
            ErrorKind::Api { .. } => "api_error",
        }
    }
}
