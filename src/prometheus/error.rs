//! What can go wrong between here and a Prometheus, and what the admin can do about it.

pub(super) mod api_failure;
pub(super) mod call_context;
pub(super) mod circumstances;
pub(super) mod connect_failure;
pub(super) mod credentials_failure;
pub(super) mod foreign;
pub(super) mod redirect;
pub(super) mod shown_upstream;
pub(super) mod silence;
pub(super) mod status_failure;

mod named_words;

use std::fmt;

use crate::memory::NoMemory;
use crate::metrics::NOT_ALLOWED;

use api_failure::{ApiCause, ApiFailure};
use circumstances::{CallKind, Circumstances, Either};
use connect_failure::ConnectFailure;
use credentials_failure::CredentialsFailure;
use foreign::Foreign;
use named_words::{Side, in_words_of_file};
use shown_upstream::ShownUpstream;
use silence::{Silence, WaitedFor};
use status_failure::StatusFailure;

/// A failed call: to whom, what was asked, and why it failed.
#[derive(Debug)]
pub struct Error {
    /// The upstream, which shows no password.
    pub upstream: Box<ShownUpstream>,
    /// What was asked: PromQL or a selector, if the call had one.
    pub query: Option<Box<str>>,
    /// What went wrong.
    pub kind: ErrorKind,
    /// Under which circumstances, on which hangs what to do about it.
    pub circumstances: Box<Circumstances>,
}

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
    /// The connection was closed before the answer was whole.
    Closed,
    /// No answer, and meanwhile the replica has left its probes unanswered, too.
    ReplicaDown,
    /// A connection, but no byte of an answer in time.
    Timeout {
        /// How long it was waited for, in milliseconds.
        waited_ms: u128,
        /// The request's whole time in milliseconds.
        whole_ms: u128,
    },
    /// An answer that began, but was not whole in time; the request's whole time in milliseconds.
    Stalled(u128),
    /// The mirror itself took too long to read the answer; the request's whole time in milliseconds.
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
    /// An answer that is encoded in a way that was not asked for, and how.
    Encoded(String),
    /// A result of another type than the query has.
    WrongType,
    /// An answer that is not one of the Prometheus HTTP API.
    NotPrometheus {
        /// The HTTP status, if the answer was HTTP.
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
    /// An answer that itself says that data is missing in it, in its own words.
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

/// The most characters of a query, or of an error of Prometheus's, that an error shows.
const MAX_SHOWN_CHARS: usize = 1_000;

/// The most characters of a query that are kept for the log.
const MAX_LOGGED_CHARS: usize = 4_096;

/// A text cut where it becomes too long to be read in an error.
pub fn shortened(text: &str) -> String {
    cut(text, MAX_SHOWN_CHARS)
}

/// A query cut where it becomes too long for the log. A query may have several megabytes.
pub(super) fn logged(query: &str) -> String {
    cut(query, MAX_LOGGED_CHARS)
}

/// The words of a text in one line, without control characters.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// A text cut behind so many characters.
pub fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

impl Error {
    /// The failure of a request that has made no call.
    pub(super) fn uncalled(upstream: ShownUpstream, kind: ErrorKind) -> Error {
        Error { upstream: Box::new(upstream), query: None, kind, circumstances: Box::new(Circumstances::NONE) }
    }

    /// Whether Prometheus itself refuses what was asked; any other failure is one of the connection to it.
    pub fn is_refused_query(&self) -> bool {
        use ErrorKind::{
            Api, Failed, NativeHistogram, Status, TooLarge, TooLongForGet, TooManyCalls, TooManyNames, UrlTooLong,
        };
        match &self.kind {
            Api { .. }
            | TooLarge(_)
            | TooManyNames(_)
            | TooManyCalls(_)
            | NativeHistogram
            | UrlTooLong(_)
            | TooLongForGet => true,
            Status(failure) => failure.is_too_long(),
            Failed(failure) => failure.is_refusal(),
            _ => false,
        }
    }
}

impl Error {
    /// What went wrong, as the predicate of a sentence about the upstream.
    pub fn predicate(&self) -> String {
        predicate(&self.upstream, &self.kind, &self.circumstances)
    }

    /// Whether whoever asked can mend it: by another query, or by asking where this mirror may.
    pub fn is_callers(&self) -> bool {
        match &self.kind {
            ErrorKind::NotAllowed | ErrorKind::AddressUnknown(_) => true,
            ErrorKind::Api { status, .. } => *status < 500,
            ErrorKind::Failed(_) => false,
            _ => self.is_refused_query(),
        }
    }
}

impl ErrorKind {
    /// An answer that is not one of the Prometheus HTTP API.
    pub(super) fn not_prometheus(status: Option<u16>, found: Foreign) -> ErrorKind {
        ErrorKind::NotPrometheus { status, found, was_prometheus: false }
    }

    /// Whether what was asked does not fit into the URL, or is too long for what stands before the upstream.
    pub(super) fn is_too_long(&self) -> bool {
        match self {
            ErrorKind::UrlTooLong(_) => true,
            ErrorKind::Status(failure) => failure.is_too_long(),
            _ => false,
        }
    }

    /// What was waited for in vain, if a whole timeout was spent on that.
    pub(super) fn waited_for(&self) -> Option<WaitedFor> {
        match self {
            ErrorKind::Timeout { .. } | ErrorKind::Stalled(_) => Some(WaitedFor::Answer),
            ErrorKind::Unconnected(failure) => failure.waited_for(),
            _ => None,
        }
    }

    /// The same with what is made of the words of a peer.
    pub(super) fn with_words(mut self, make: impl Fn(String) -> String) -> ErrorKind {
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

    /// Whether another replica may answer where this one fails: there is no connection or no answer, or one that says that it cannot
    /// answer now (502, 503 or 504, or by its error type), or that it has ended the query.
    pub(super) fn is_of_replica(&self) -> bool {
        let is_passing = match self {
            ErrorKind::Silent(_) => true,
            ErrorKind::Failed(failure) => failure.cause == ApiCause::Canceled,
            _ => false,
        };
        self.is_replicas_own() || self.waited_for().is_some() || is_passing
    }

    /// Whether this is the replica's own fault. That an answer did not come in time may be due to the timeout of the question.
    pub(super) fn is_replicas_own(&self) -> bool {
        match self {
            ErrorKind::Unconnected(failure) => failure.waited_for().is_none(),
            ErrorKind::Closed | ErrorKind::ReplicaDown => true,
            ErrorKind::Status(failure) => matches!(failure.status, 502..=504),
            ErrorKind::Failed(failure) => failure.cause == ApiCause::Unavailable,
            _ => false,
        }
    }

    /// The whole time of the question in milliseconds, if what went wrong says it.
    fn whole_ms(&self) -> Option<u128> {
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
    pub(super) fn brief(&self) -> String {
        match self {
            ErrorKind::Unconnected(failure) => failure.to_string(),
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
    pub(super) fn is_answer(&self) -> bool {
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prometheus at {} {}", self.upstream, self.predicate())?;
        if !self.circumstances.failed_replicas.is_empty() {
            write!(f, "; before it, the mirror tried {}", self.circumstances.failed_replicas.join(", "))?;
        }
        if let Some(query) = &self.query {
            write!(f, "; asked for: {}", shortened(query))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// What went wrong, and what to do about it, as the predicate of a sentence.
pub(super) struct Predicate<'a>(pub(super) &'a ErrorKind, pub(super) &'a Circumstances);

impl fmt::Display for Predicate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Predicate(kind, circumstances) = *self;
        match kind {
            ErrorKind::NotAllowed => f.write_str(
                "was not asked: this mirror may not connect there; check host and port in the connection details, \
                 or have whoever runs the mirror add them to --allow-upstream",
            ),
            ErrorKind::AddressUnknown(proxy) => write!(
                f,
                "was not asked: --allow-upstream of this mirror could allow it by its address only, which it does not \
                 learn through the proxy {proxy}; have whoever runs the mirror add the name to --allow-upstream, \
                 or to --no-proxy, where the name is to be asked directly"
            ),
            ErrorKind::AtProxy { proxy, failure } => {
                write!(f, "cannot be reached through the proxy {proxy}: ")?;
                write_failure_of_proxy(f, failure)
            }
            ErrorKind::Unconnected(failure) => write!(f, "cannot be reached: {failure}; {}", failure.remedy()),
            ErrorKind::Unsent => f.write_str("was not asked: the request cannot be written, its URL may be too long"),
            ErrorKind::Credentials(failure) => failure.fmt(f),
            ErrorKind::UnsendableCredentials(header) => write!(
                f,
                "was not queried: the upstreams file gives a value for the header {header} that a header cannot carry; it must be \
                 one line of visible ASCII characters and blanks"
            ),
            ErrorKind::ReplicaDown => f.write_str(
                "has not answered, and does not answer a trivial query either; check that it is running, and what stands between this \
                 mirror and it",
            ),
            ErrorKind::Closed => write!(
                f,
                "closed the connection before its answer was whole; check that it is running, \
                 and that the port speaks the protocol that was asked (http or https)"
            ),
            ErrorKind::Timeout { waited_ms, whole_ms } => {
                f.write_str("did not answer within the ")?;
                // Less than that is left when others, or the mirror itself, took some of it before.
                if waited_ms * 10 < whole_ms * 9 {
                    write!(f, "{waited_ms} ms that were left of the ")?;
                }
                write!(f, "request's {whole_ms} ms{}; ", circumstances.before())?;
                let (so, suggested): (_, &[_]) = match circumstances.asked {
                    CallKind::Trivial => (
                        "the query takes it no time, so ",
                        &["check that it is running, its load, and what stands between this mirror and it"],
                    ),
                    CallKind::Evaluation | CallKind::Names => ("", &[]),
                };
                write!(f, "{so}{}", Either(&circumstances.against_timeout(suggested)))
            }
            ErrorKind::Stalled(ms) => {
                let before = circumstances.before();
                write!(f, "began to answer, but did not send the whole answer within the request's {ms} ms{before}; ")?;
                let suggested = ["check the network between it and this mirror"];
                write!(f, "{}", Either(&circumstances.against_timeout(&suggested)))
            }
            ErrorKind::TimeSpent(ms) => {
                let before = circumstances.before();
                write!(
                    f,
                    "answered, but this mirror did not finish reading its answer within the request's {ms} ms{before}; "
                )?;
                let remedies = circumstances.against_timeout(&["give this mirror more CPU"]);
                write!(f, "{}", Either(&remedies))
            }
            ErrorKind::TooLongForGet => f.write_str(
                "refuses POST, and the query is too long for GET; shorten the query, or have whatever stands before \
                 Prometheus allow POST or longer URLs",
            ),
            ErrorKind::NoTimeLeft(ms) => {
                write!(f, "was not asked: nothing was left of the request's {ms} ms{}; ", circumstances.before())?;
                write!(f, "{}", Either(&circumstances.against_timeout(&[])))
            }
            ErrorKind::NoWorker { timeout_ms, held_by_upstream, most: Some(most), .. } if held_by_upstream >= most => write!(
                f,
                "was not queried: the timeout of {timeout_ms} ms expired while {held_by_upstream} other queries to this upstream were \
                 under way, which is its max_in_flight in the upstreams file; find out why it answers slowly, or raise max_in_flight"
            ),
            ErrorKind::NoWorker { timeout_ms, held_by_upstream, workers, .. } => {
                write!(
                    f,
                    "was not queried: the timeout of {timeout_ms} ms expired while the request waited for a worker; \
                     {held_by_upstream} of {workers} workers were busy with this upstream; "
                )?;
                // It may have no more than three quarters, and then it is what is slow.
                f.write_str(if held_by_upstream * 2 > *workers {
                    "find out why it answers slowly, or raise --workers of this mirror"
                } else {
                    "the others were busy with other upstreams: raise --workers of this mirror, or requestTimeout in the \
                     connection details"
                })
            }
            ErrorKind::Silent(silence) => write_silence(f, *silence),
            ErrorKind::NoMemory(none) => write_no_memory(f, *none, circumstances),
            ErrorKind::Failed(failure) => failure.write(f, circumstances),
            // Only a proxy's, see below.
            ErrorKind::Refused(status) => write!(f, "is refused (HTTP status {status})"),
            ErrorKind::Status(failure) => failure.fmt(f),
            ErrorKind::Encoded(encoding) => write!(
                f,
                "answers with Content-Encoding {encoding}, which was not asked for; switch compression off in what stands before \
                 Prometheus"
            ),
            ErrorKind::WrongType => f.write_str(
                "answers with a result of another type than the query has; check whether what stands before Prometheus changes \
                 queries or answers",
            ),
            ErrorKind::NotPrometheus { status, found, was_prometheus } => {
                write!(f, "does not answer as a Prometheus does: {found}")?;
                if let Some(status) = status {
                    write!(f, " (HTTP status {status})")?;
                }
                write!(f, "; {}", if *was_prometheus { found.remedy_later() } else { found.remedy() })
            }
            ErrorKind::UrlTooLong(limit) => write!(
                f,
                "was not queried: this query goes in the URL of a GET, which would become longer than {limit} bytes; give fewer \
                 conditions, smaller sets, or a shorter prefix"
            ),
            ErrorKind::TooLarge(limit) => {
                write!(f, "answered with more than {limit} bytes; ")?;
                f.write_str(match circumstances.asked {
                    CallKind::Trivial => "check whether what stands before Prometheus changes its answers",
                    CallKind::Evaluation => "narrow the query: a shorter time range, fewer series, or a wider bucket",
                    CallKind::Names => "narrow the query: a longer prefix, more conditions, or a shorter time range",
                })
            }
            ErrorKind::TooManyNames(limit) => write!(
                f,
                "answered with more than {limit} names or values; narrow the query: \
                 a longer prefix, more conditions, or a shorter time range"
            ),
            ErrorKind::TooManyCalls(most) => write!(
                f,
                "was not queried again: one question may make {most} calls; narrow the time range, or lengthen the bucket"
            ),
            ErrorKind::MissingData(why) => write!(
                f,
                "says that data is missing in its answer ({why}); repair what it reads from, or set partialResponse in the \
                 connection details to \"allow\" to take such answers"
            ),
            ErrorKind::Damaged(why) => write!(
                f,
                "sent samples that cannot be read: {why}; ask again, and if it stays so, check what stands between this mirror \
                 and it"
            ),
            ErrorKind::NativeHistogram => f.write_str("has native histograms where numbers are expected"),
            ErrorKind::Api { status, error_type, message } => {
                write!(f, "refuses the query ({error_type}, HTTP status {status}): {message}")
            }
        }
    }
}

fn write_silence(f: &mut fmt::Formatter<'_>, silence: Silence) -> fmt::Result {
    let Silence { calls, lasted, waited_for } = silence;
    let (failed, remedy) = match waited_for {
        WaitedFor::Answer => {
            ("were not answered", "check that it is running, and what stands between this mirror and it")
        }
        WaitedFor::Connection => (
            "got no connection",
            "check host and port in the connection details, and whether a firewall or NetworkPolicy drops this mirror's \
             connections",
        ),
        WaitedFor::Tls => ("got no answer to the TLS hello", "check that the port speaks https"),
        WaitedFor::NameServer => (
            "failed because the name server of this mirror does not answer",
            "check that a firewall or NetworkPolicy lets this mirror reach the name server in its /etc/resolv.conf",
        ),
    };
    write!(
        f,
        "was not queried: the last {calls} queries {failed}, for {} ms now; until one is answered, this mirror sends one query \
         at a time; {remedy}",
        lasted.as_millis()
    )
}

fn write_no_memory(f: &mut fmt::Formatter<'_>, none: NoMemory, circumstances: &Circumstances) -> fmt::Result {
    const MIB: usize = 1 << 20;
    let later = match none {
        NoMemory::InTime { capacity } => {
            let mib = capacity / MIB;
            write!(
                f,
                "has more data for this query than this mirror had memory for: other queries held its {mib} MiB until the timeout; "
            )?;
            Some("ask again later")
        }
        NoMemory::TooMuch { most } => {
            write!(f, "has more data for this query than the {} MiB that one query may hold; ", most / MIB)?;
            None
        }
    };
    let remedies: Vec<&str> = later
        .into_iter()
        .chain(circumstances.smaller())
        .chain((circumstances.asked == CallKind::Evaluation).then_some("add a condition on a label"))
        .chain(["raise --memory-budget-mib of this mirror"])
        .collect();
    write!(f, "{}", Either(&remedies))
}

/// What went wrong, as the predicate of a sentence about the upstream.
pub(super) fn predicate(upstream: &ShownUpstream, kind: &ErrorKind, circumstances: &Circumstances) -> String {
    let side = if matches!(kind, ErrorKind::Credentials(_)) { Side::Credentials } else { Side::Upstream };
    let predicate = Predicate(kind, circumstances).to_string();
    match upstream.definition.as_deref() {
        Some(definition) => in_words_of_file(predicate, definition, side, kind.whole_ms()),
        None => predicate,
    }
}

/// What went wrong at a proxy, and what whoever runs the mirror can do about it.
fn write_failure_of_proxy(f: &mut fmt::Formatter<'_>, failure: &ErrorKind) -> fmt::Result {
    match failure {
        ErrorKind::Unconnected(failure) => write!(f, "{failure}; {}", failure.remedy_at_proxy()),
        ErrorKind::Closed => f.write_str(
            "it closed the connection before it answered; check that it is running, and that --proxy of this mirror \
             has its port and its protocol (http or https)",
        ),
        ErrorKind::Timeout { waited_ms, .. } => write!(
            f,
            "it did not open the way there within {waited_ms} ms; check that it is running and may connect to this host \
             and port, or have a host that is not behind it added to --no-proxy of this mirror"
        ),
        ErrorKind::Refused(status @ (401 | 407)) => write!(
            f,
            "it does not take our credentials (HTTP status {status}); check user and password in --proxy of this mirror, \
             as http://user:password@host:port"
        ),
        ErrorKind::Refused(403) => f.write_str(
            "it denies us this host or port (HTTP status 403); have whoever runs the proxy allow CONNECT there (many \
             allow it to port 443 only), or have a host that is not behind it added to --no-proxy of this mirror",
        ),
        ErrorKind::Refused(status @ (500 | 502..=504)) => write!(
            f,
            "it cannot connect there (HTTP status {status}); check host and port in the connection details, as they are \
             named where the proxy runs, or have a host that is not behind it added to --no-proxy of this mirror"
        ),
        ErrorKind::Refused(status) => write!(
            f,
            "it does not answer as a proxy does (HTTP status {status}); check that --proxy of this mirror leads to one \
             that takes CONNECT"
        ),
        ErrorKind::NotPrometheus { found, .. } => {
            write!(f, "{found}; check that --proxy of this mirror has its port and its protocol (http or https)")
        }
        // Nothing else goes wrong before there is an upstream.
        other => write!(f, "{}", other.name()),
    }
}
