//! What can go wrong with a call.

use crate::memory::NoMemory;
use crate::metrics::NOT_ALLOWED;

use super::api_failure::ApiFailure;
use super::connect_failure::ConnectFailure;
use super::credentials_failure::CredentialsFailure;
use super::foreign::Foreign;
use super::silence::Silence;
use super::status_failure::StatusFailure;
use super::vocabulary::Vocabulary;

/// What went wrong with a call. Words of a peer are only in the variants that `with_words` changes, and in `Credentials`, where they
/// are without secrets already.
#[derive(Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Not queried: this mirror may not query it.
    NotAllowed,
    /// Not queried: only its address could allow it, and the mirror does not learn the address through this proxy.
    AddressUnknown(String),
    /// The proxy in front of it failed.
    AtProxy {
        /// Host and port of the proxy; never a password.
        proxy: String,
        /// What went wrong, in the terms used for upstreams. If the proxy refused, this is the status of the proxy.
        failure: Box<ErrorKind>,
    },
    /// There is no connection, for this reason.
    Unconnected(ConnectFailure),
    /// Not queried: the call cannot be written.
    Unsent,
    /// Not queried: the issuer of its credentials does not provide them.
    Credentials(Box<CredentialsFailure>),
    /// Not queried: the mirror has a secret for this header that a header cannot carry.
    UnsendableCredentials(String),
    /// The connection was closed before the response was complete.
    Closed,
    /// No response, and in the meantime the replica has left its probes without a response, too.
    ReplicaDown,
    /// A connection, but no byte of a response in time.
    Timeout {
        /// How long the mirror waited, in milliseconds.
        waited_ms: u128,
        /// The timeout of the request in milliseconds.
        whole_ms: u128,
    },
    /// The response began, but was not complete in time; the timeout of the request in milliseconds.
    Stalled(u128),
    /// The mirror took too long to read the response; the timeout of the request in milliseconds.
    TimeSpent(u128),
    /// The query is too long for GET, and POST is refused.
    TooLongForGet,
    /// Not queried: the request's timeout, in milliseconds, had expired before.
    NoTimeLeft(u128),
    /// Not queried: no worker was free before the deadline.
    NoWorker {
        /// The request's timeout in milliseconds.
        timeout_ms: u128,
        /// How many workers were busy with the same upstream.
        held_by_upstream: usize,
        /// How many workers there are.
        workers: usize,
        /// The most workers that may query this upstream at a time, if `max_in_flight` is set.
        max_in_flight: Option<usize>,
    },
    /// It has not answered for some time, and is queried by one request at a time until it does.
    Silent(Silence),
    /// There is no memory for the response.
    NoMemory(NoMemory),
    /// The upstream understood the call, but says in Prometheus's envelope that it does not answer it.
    Api(Box<ApiFailure>),
    /// A forward proxy refuses the connection, with this status.
    ProxyStatus(u16),
    /// An HTTP status without data.
    Status(Box<StatusFailure>),
    /// The response has this `Content-Encoding`, although the mirror accepts none.
    Encoded(String),
    /// The result has another type than the query.
    WrongType,
    /// The response is not one of the Prometheus HTTP API.
    NotPrometheus {
        /// The HTTP status, if the response was HTTP.
        status: Option<u16>,
        /// What the response is.
        found: Foreign,
        /// Whether the same upstream has sent a response of the API before.
        was_prometheus: bool,
    },
    /// Not queried: the query goes in the URL and would make it longer than this many bytes.
    UrlTooLong(usize),
    /// The response has more than this many bytes.
    TooLarge(u64),
    /// The list has more than this many names or values.
    TooManyNames(usize),
    /// Not queried: the request has already made this many calls, the most that it may make.
    TooManyCalls(u32),
    /// The response says that data is missing in it, in these words.
    MissingData(String),
    /// The response to a remote read is damaged or cut short, in this way.
    Damaged(String),
    /// The response contains native histograms instead of numbers.
    NativeHistogram,
}

impl ErrorKind {
    /// The response is not one of the Prometheus HTTP API, and no response of the API was seen before.
    pub(in crate::prometheus) fn not_prometheus(status: Option<u16>, found: Foreign) -> ErrorKind {
        ErrorKind::NotPrometheus { status, found, was_prometheus: false }
    }

    /// Whether the query does not fit into the URL, or is too long for the server or the proxy in front of it.
    pub(in crate::prometheus) fn is_too_long(&self) -> bool {
        match self {
            ErrorKind::UrlTooLong(_) => true,
            ErrorKind::Status(failure) => failure.is_too_long(),
            _ => false,
        }
    }

    /// Replaces all words of a peer by what `make` makes of them.
    pub(in crate::prometheus) fn with_words(mut self, make: impl Fn(String) -> String) -> ErrorKind {
        use ErrorKind::*;
        let change = |words: &mut String| *words = make(std::mem::take(words));
        match &mut self {
            Api(failure) => {
                change(&mut failure.error_type);
                change(&mut failure.message);
            }
            MissingData(words) | Encoded(words) => change(words),
            NotPrometheus { found: Foreign::Other(Some(media_type)), .. } => change(media_type),
            Status(failure) => failure.challenges.iter_mut().chain(&mut failure.words).for_each(change),
            // Whoever adds a variant must decide whether it can repeat a secret.
            NotPrometheus { .. } | NotAllowed | AddressUnknown(_) | AtProxy { .. } | Unconnected(_) | Unsent => {}
            Credentials(_) | UnsendableCredentials(_) | Closed | ReplicaDown | Timeout { .. } | Stalled(_) => {}
            TimeSpent(_) | TooLongForGet | NoTimeLeft(_) | NoWorker { .. } | Silent(_) | NoMemory(_) => {}
            ProxyStatus(_) | WrongType | UrlTooLong(_) | TooLarge(_) | TooManyNames(_) | TooManyCalls(_) => {}
            Damaged(_) | NativeHistogram => {}
        }
        self
    }

    /// The timeout of the request in milliseconds, if the failure contains it.
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

    /// Why a replica failed, in a few words, none of which are a peer's.
    pub(in crate::prometheus) fn brief(&self) -> String {
        match self {
            ErrorKind::Unconnected(failure) => failure.cause(Vocabulary::default()),
            ErrorKind::Status(failure) => format!("HTTP status {}", failure.status),
            ErrorKind::Closed => "closed the connection".to_owned(),
            ErrorKind::ReplicaDown => "does not respond to probes".to_owned(),
            ErrorKind::Timeout { waited_ms, .. } => format!("no response within {waited_ms} ms"),
            ErrorKind::Stalled(ms) => format!("no whole response within {ms} ms"),
            ErrorKind::Silent(Silence { lasted, .. }) => format!("no response for {} ms now", lasted.as_millis()),
            other => other.code().to_owned(),
        }
    }

    /// Whether the upstream had almost nothing of the request's time, so that the failure says nothing about it.
    pub fn had_no_time(&self) -> bool {
        match self {
            ErrorKind::NoTimeLeft(_) => true,
            ErrorKind::Timeout { waited_ms, whole_ms, .. } => waited_ms * 10 < *whole_ms,
            _ => false,
        }
    }

    /// Whether the upstream sent a response of any kind.
    pub(in crate::prometheus) fn is_response(&self) -> bool {
        use ErrorKind::*;
        match self {
            Status(_) | Api(_) | Encoded(_) | WrongType => true,
            TooLarge(_) | TooManyNames(_) | MissingData(_) | Damaged(_) | NativeHistogram => true,
            NotPrometheus { status, .. } => status.is_some(),
            NotAllowed | AddressUnknown(_) | AtProxy { .. } | ProxyStatus(_) | Unconnected(_) | Unsent => false,
            Credentials(_) | UnsendableCredentials(_) | Closed | ReplicaDown | Timeout { .. } | Stalled(_) => false,
            TimeSpent(_) | TooLongForGet | NoTimeLeft(_) | NoWorker { .. } | Silent(_) | NoMemory(_) => false,
            UrlTooLong(_) | TooManyCalls(_) => false,
        }
    }

    /// Its stable code in the metrics, the log and docs/troubleshooting.md.
    pub fn code(&self) -> &'static str {
        match self {
            ErrorKind::NotAllowed | ErrorKind::AddressUnknown(_) => NOT_ALLOWED,
            ErrorKind::AtProxy { .. } | ErrorKind::ProxyStatus(_) => "proxy",
            ErrorKind::Unconnected(failure) => failure.code(),
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
            ErrorKind::Api(failure) => failure.cause.code(),
            ErrorKind::Status(failure) => failure.code(),
            ErrorKind::Encoded(_) => "encoded",
            ErrorKind::WrongType => "wrong_type",
            ErrorKind::NotPrometheus { .. } => "not_prometheus",
            ErrorKind::UrlTooLong(_) | ErrorKind::TooLongForGet => "query_too_long",
            ErrorKind::TooLarge(_) | ErrorKind::TooManyNames(_) => "too_large",
            ErrorKind::TooManyCalls(_) => "too_many_calls",
            ErrorKind::MissingData(_) => "missing_data",
            ErrorKind::Damaged(_) => "damaged",
            ErrorKind::NativeHistogram => "native_histogram",
        }
    }
}
