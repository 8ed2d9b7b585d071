//! What went wrong, and what to do about it, in a sentence.

use std::fmt;

use crate::memory::NoMemory;
use crate::prometheus::upstreams_file::definition::Definition;

use super::ErrorKind;
use super::circumstances::{CallKind, Circumstances, Either};
use super::vocabulary::Vocabulary;

/// What went wrong, and what to do about it, as the predicate of a sentence about an upstream: one of this definition, or one of
/// Connection Details.
pub(in crate::prometheus) fn predicate(
    definition: Option<&Definition>,
    kind: &ErrorKind,
    circumstances: &Circumstances,
) -> String {
    Predicate { kind, circumstances, words: Vocabulary::new(definition, kind) }.to_string()
}

/// The same in words that are known already.
pub(super) struct Predicate<'a> {
    pub(super) kind: &'a ErrorKind,
    pub(super) circumstances: &'a Circumstances,
    pub(super) words: Vocabulary<'a>,
}

impl fmt::Display for Predicate<'_> {
    /// The table of the texts: a sentence for each kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Predicate { kind, circumstances, words } = *self;
        match kind {
            ErrorKind::NotAllowed => write!(
                f,
                "was not asked: this mirror may not connect there; check {}, or have whoever runs the mirror add them to \
                 --allow-upstream",
                words.host_and_port()
            ),
            ErrorKind::AddressUnknown(proxy) => write!(
                f,
                "was not asked: --allow-upstream of this mirror could allow it by its address only, which it does not learn through \
                 the proxy {proxy}; have whoever runs the mirror add the name to --allow-upstream, or to --no-proxy, where the name \
                 is to be asked directly"
            ),
            ErrorKind::AtProxy { proxy, failure } => {
                write!(f, "cannot be reached through the proxy {proxy}: {}", at_proxy(failure, words.at_proxy()))
            }
            ErrorKind::Unconnected(failure) => {
                write!(f, "cannot be reached: {}; {}", failure.cause(words), failure.remedy(words))
            }
            ErrorKind::Unsent => f.write_str("was not asked: the request cannot be written, its URL may be too long"),
            ErrorKind::Credentials(failure) => failure.write(f, words),
            ErrorKind::UnsendableCredentials(header) => write!(
                f,
                "was not queried: the upstreams file gives a value for the header {header} that a header cannot carry; it must be \
                 one line of visible ASCII characters and blanks"
            ),
            ErrorKind::ReplicaDown => f.write_str(
                "has not answered, and does not answer a trivial query either; check that it is running, and what stands between this \
                 mirror and it",
            ),
            ErrorKind::Closed => f.write_str(
                "closed the connection before its answer was whole; check that it is running, and that the port speaks the protocol \
                 that was asked (http or https)",
            ),
            ErrorKind::Timeout { waited_ms, whole_ms } => self.write_timeout(f, *waited_ms, *whole_ms),
            ErrorKind::Stalled(ms) => self.write_late(
                f,
                &format!("began to answer, but did not send the whole answer within the request's {ms} ms"),
                &["check the network between it and this mirror"],
            ),
            ErrorKind::TimeSpent(ms) => self.write_late(
                f,
                &format!("answered, but this mirror did not finish reading its answer within the request's {ms} ms"),
                &["give this mirror more CPU"],
            ),
            ErrorKind::NoTimeLeft(ms) => {
                self.write_late(f, &format!("was not asked: nothing was left of the request's {ms} ms"), &[])
            }
            ErrorKind::TooLongForGet => f.write_str(
                "refuses POST, and the query is too long for GET; shorten the query, or have whatever stands before Prometheus allow \
                 POST or longer URLs",
            ),
            ErrorKind::NoWorker { timeout_ms, held_by_upstream, workers, most } => {
                write!(f, "was not queried: the timeout of {timeout_ms} ms expired while ")?;
                f.write_str(&while_waiting_for_worker(*held_by_upstream, *workers, *most, words))
            }
            ErrorKind::Silent(silence) => silence.write(f, words),
            ErrorKind::NoMemory(none) => self.write_no_memory(f, *none),
            ErrorKind::Failed(failure) => failure.write(f, circumstances, words),
            // Only a proxy's, see below.
            ErrorKind::Refused(status) => write!(f, "is refused (HTTP status {status})"),
            ErrorKind::Status(failure) => failure.write(f, words),
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
                let status = status.map(|status| format!(" (HTTP status {status})")).unwrap_or_default();
                let remedy = if *was_prometheus { found.remedy_later().to_owned() } else { found.remedy(words) };
                write!(f, "does not answer as a Prometheus does: {found}{status}; {remedy}")
            }
            ErrorKind::UrlTooLong(limit) => write!(
                f,
                "was not queried: this query goes in the URL of a GET, which would become longer than {limit} bytes; give fewer \
                 conditions, smaller sets, or a shorter prefix"
            ),
            ErrorKind::TooLarge(limit) => {
                write!(f, "answered with more than {limit} bytes; {}", against_size(circumstances.asked))
            }
            ErrorKind::TooManyNames(limit) => {
                write!(f, "answered with more than {limit} names or values; {}", against_size(CallKind::Names))
            }
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
                "sent samples that cannot be read: {why}; ask again, and if it stays so, check what stands between this mirror and it"
            ),
            ErrorKind::NativeHistogram => f.write_str("has native histograms where numbers are expected"),
            ErrorKind::Api { status, error_type, message } => {
                write!(f, "refuses the query ({error_type}, HTTP status {status}): {message}")
            }
        }
    }
}

impl Predicate<'_> {
    fn write_timeout(&self, f: &mut fmt::Formatter<'_>, waited_ms: u128, whole_ms: u128) -> fmt::Result {
        // Less than that is left when others, or the mirror itself, took some of it before.
        let left = if waited_ms * 10 < whole_ms * 9 {
            format!("{waited_ms} ms that were left of the ")
        } else {
            String::new()
        };
        let (so, suggested): (_, &[_]) = match self.circumstances.asked {
            CallKind::Trivial => (
                "the query takes it no time, so ",
                &["check that it is running, its load, and what stands between this mirror and it"],
            ),
            CallKind::Evaluation | CallKind::Names => ("", &[]),
        };
        let remedies = self.circumstances.against_timeout(suggested, self.words);
        let before = self.circumstances.before();
        write!(f, "did not answer within the {left}request's {whole_ms} ms{before}; {so}{remedies}")
    }

    /// Something else took too long: what, what took time before it, and what helps.
    fn write_late(&self, f: &mut fmt::Formatter<'_>, what: &str, suggested: &[&str]) -> fmt::Result {
        let remedies = self.circumstances.against_timeout(suggested, self.words);
        write!(f, "{what}{}; {remedies}", self.circumstances.before())
    }

    fn write_no_memory(&self, f: &mut fmt::Formatter<'_>, none: NoMemory) -> fmt::Result {
        const MIB: usize = 1 << 20;
        f.write_str("has more data for this query than ")?;
        let later = match none {
            NoMemory::InTime { capacity } => {
                let mib = capacity / MIB;
                write!(f, "this mirror had memory for: other queries held its {mib} MiB until the timeout; ")?;
                Some("ask again later")
            }
            NoMemory::TooMuch { most } => {
                write!(f, "the {} MiB that one query may hold; ", most / MIB)?;
                None
            }
        };
        let asked = self.circumstances.asked;
        let remedies: Vec<&str> = later
            .into_iter()
            .chain(self.circumstances.smaller())
            .chain((asked == CallKind::Evaluation).then_some("add a condition on a label"))
            .chain(["raise --memory-budget-mib of this mirror"])
            .collect();
        write!(f, "{}", Either(&remedies))
    }
}

/// What makes a response smaller.
fn against_size(asked: CallKind) -> &'static str {
    match asked {
        CallKind::Trivial => "check whether what stands before Prometheus changes its answers",
        CallKind::Evaluation => "narrow the query: a shorter time range, fewer series, or a wider bucket",
        CallKind::Names => "narrow the query: a longer prefix, more conditions, or a shorter time range",
    }
}

/// What kept the workers from a query, and what helps.
fn while_waiting_for_worker(
    held_by_upstream: usize,
    workers: usize,
    most: Option<usize>,
    words: Vocabulary<'_>,
) -> String {
    if most.is_some_and(|most| held_by_upstream >= most) {
        return format!(
            "{held_by_upstream} other queries to this upstream were under way, which is its max_in_flight in the upstreams file; \
             find out why it answers slowly, or raise max_in_flight"
        );
    }
    // It may have no more than three quarters, and then it is what is slow.
    let remedy = if held_by_upstream * 2 > workers {
        "find out why it answers slowly, or raise --workers of this mirror".to_owned()
    } else {
        let timeout = words.request_timeout();
        format!("the others were busy with other upstreams: raise --workers of this mirror, or {timeout}")
    };
    format!(
        "the request waited for a worker; {held_by_upstream} of {workers} workers were busy with this upstream; {remedy}"
    )
}

/// What went wrong at a proxy, and what whoever runs the mirror can do about it.
fn at_proxy(failure: &ErrorKind, words: Vocabulary<'_>) -> String {
    let (proxy, no_proxy) = (words.proxy(), words.no_proxy());
    match failure {
        ErrorKind::Unconnected(failure) => format!("{}; {}", failure.cause(words), failure.remedy_at_proxy(words)),
        ErrorKind::Closed => format!(
            "it closed the connection before it answered; check that it is running, and that {proxy} has its port and its protocol \
             (http or https)"
        ),
        ErrorKind::Timeout { waited_ms, .. } => format!(
            "it did not open the way there within {waited_ms} ms; check that it is running and may connect to this host and port, or \
             have a host that is not behind it added to {no_proxy}"
        ),
        ErrorKind::Refused(status @ (401 | 407)) => format!(
            "it does not take our credentials (HTTP status {status}); check user and password in {proxy}, as \
             http://user:password@host:port"
        ),
        ErrorKind::Refused(403) => format!(
            "it denies us this host or port (HTTP status 403); have whoever runs the proxy allow CONNECT there (many allow it to \
             port 443 only), or have a host that is not behind it added to {no_proxy}"
        ),
        ErrorKind::Refused(status @ (500 | 502..=504)) => format!(
            "it cannot connect there (HTTP status {status}); check {}, as they are named where the proxy runs, or have a host that \
             is not behind it added to {no_proxy}",
            words.host_and_port()
        ),
        ErrorKind::Refused(status) => format!(
            "it does not answer as a proxy does (HTTP status {status}); check that {proxy} leads to one that takes CONNECT"
        ),
        ErrorKind::NotPrometheus { found, .. } => {
            format!("{found}; check that {proxy} has its port and its protocol (http or https)")
        }
        // Nothing else goes wrong before there is an upstream.
        other => other.name().to_owned(),
    }
}
