//! The texts of errors: what went wrong and what to do about it, in a sentence.

use crate::memory::NoMemory;
use crate::prometheus::upstreams_file::definition::Definition;

use super::ErrorKind;
use super::circumstances::{CallKind, Circumstances, any_of};
use super::connect_failure::ConnectFailure;
use super::vocabulary::{HOST_AND_PORT, URL, Vocabulary};

/// What went wrong and what to do about it, as the predicate of a sentence about an upstream. `definition` is that of an upstream
/// of the upstreams file.
pub(in crate::prometheus) fn predicate(
    definition: Option<&Definition>,
    kind: &ErrorKind,
    circumstances: &Circumstances,
) -> String {
    predicate_in(Vocabulary::new(definition, kind), kind, circumstances)
}

/// Why a mirror that `ask` or `check` calls cannot be connected to, and what to do about it, as a predicate.
pub(in crate::prometheus) fn predicate_of_mirror(failure: ConnectFailure) -> String {
    predicate_in(Vocabulary::of_mirror(), &ErrorKind::Unconnected(failure), &Circumstances::default())
}

/// The predicate, if the vocabulary is already known. The table of the texts: a sentence for each kind.
pub(super) fn predicate_in(words: Vocabulary<'_>, kind: &ErrorKind, circumstances: &Circumstances) -> String {
    // Something other than the response took too long: what it was, what took time before it, and what helps.
    let late = |what: String, suggested: &[&str]| {
        format!("{what}{}; {}", circumstances.before(), circumstances.against_timeout(suggested, words))
    };
    match kind {
        ErrorKind::NotAllowed => format!(
            "was not queried: --allow-upstream of this mirror does not list it; check {}, or have the operator of the \
             mirror add it there",
            words.setting(HOST_AND_PORT)
        ),
        ErrorKind::AddressUnknown(proxy) => format!(
            "was not queried: --allow-upstream of this mirror lists no such name, and the mirror does not learn its address \
             through the proxy {proxy}; have the operator of the mirror add the name to --allow-upstream, or to --no-proxy \
             to connect directly"
        ),
        ErrorKind::AtProxy { proxy, failure } => {
            format!("cannot be reached through the proxy {proxy}: {}", at_proxy(failure, words.at_proxy()))
        }
        ErrorKind::Unconnected(failure) => {
            format!("cannot be reached: {}; {}", failure.cause(words), failure.remedy(words))
        }
        ErrorKind::Unsent => format!(
            "was not queried: the URL of the call is not valid or too long; shorten the query, or check {}",
            words.setting(URL)
        ),
        ErrorKind::Credentials(failure) => failure.predicate(words),
        ErrorKind::UnsendableCredentials(header) => format!(
            "was not queried: the mirror has a key or token for the header {header} that a header cannot carry; it must be one \
             line of visible ASCII characters and spaces"
        ),
        ErrorKind::ReplicaDown => {
            "does not respond, not even to the query 1; check that it is running, and the network to it".to_owned()
        }
        ErrorKind::Closed => {
            "closed the connection before the response was complete; check that it is running, and that the port \
             uses http or https as given"
                .to_owned()
        }
        ErrorKind::Timeout { waited_ms, whole_ms } => timeout(words, circumstances, *waited_ms, *whole_ms),
        ErrorKind::Stalled(ms) => late(
            format!("sent only part of the response within the timeout of {ms} ms"),
            &["check the network between it and this mirror"],
        ),
        ErrorKind::TimeSpent(ms) => late(
            format!("responded, but this mirror could not read the whole response within the timeout of {ms} ms"),
            &["give this mirror more CPU"],
        ),
        ErrorKind::NoTimeLeft(ms) => {
            late(format!("was not queried: the timeout of {ms} ms expired before this call"), &[])
        }
        ErrorKind::TooLongForGet => {
            "refuses POST, and the query is too long for GET; shorten the query, or have the proxy in \
             front of Prometheus allow POST or longer URLs"
                .to_owned()
        }
        ErrorKind::NoWorker { timeout_ms, held_by_upstream, workers, max_in_flight } => {
            let why = while_waiting_for_worker(*held_by_upstream, *workers, *max_in_flight, words);
            format!("was not queried: the timeout of {timeout_ms} ms expired while {why}")
        }
        ErrorKind::Silent(silence) => silence.predicate(words),
        ErrorKind::NoMemory(none) => no_memory(circumstances, *none),
        ErrorKind::Api(failure) => failure.predicate(circumstances, words),
        // Only a proxy has it, see `at_proxy`.
        ErrorKind::ProxyStatus(status) => format!("is refused (HTTP status {status})"),
        ErrorKind::Status(failure) => failure.predicate(words),
        ErrorKind::Encoded(encoding) => format!(
            "sent a response with Content-Encoding {encoding}; switch off compression in the proxy in front of Prometheus"
        ),
        ErrorKind::WrongType => {
            "returned a result of the wrong type; check whether the proxy in front of Prometheus changes \
             queries or responses"
                .to_owned()
        }
        ErrorKind::NotPrometheus { status, found, was_prometheus } => {
            let status = status.map(|status| format!(" (HTTP status {status})")).unwrap_or_default();
            let remedy = if *was_prometheus { found.remedy_later().to_owned() } else { found.remedy(words) };
            format!("did not respond like a Prometheus: {found}{status}; {remedy}")
        }
        ErrorKind::UrlTooLong(limit) => format!(
            "was not queried: this query goes in the URL of a GET, which would become longer than {limit} bytes; give fewer \
             conditions, smaller sets, or a shorter prefix"
        ),
        ErrorKind::TooLarge(limit) => {
            format!("answered with more than {limit} bytes; {}", against_size(circumstances.call_kind))
        }
        ErrorKind::TooManyNames(limit) => {
            format!("answered with more than {limit} names or values; {}", against_size(CallKind::Names))
        }
        ErrorKind::TooManyCalls(most) => format!(
            "was not queried again: a query may make {most} calls; choose a shorter time range or longer buckets"
        ),
        ErrorKind::MissingData(why) => format!(
            "reports missing data ({why}); repair its stores, or set partialResponse in the Connection Details to \"allow\" \
             to accept such responses"
        ),
        ErrorKind::Damaged(why) => format!(
            "sent samples that cannot be read: {why}; try again; if the error persists, check the proxies and the network \
             between this mirror and it"
        ),
        ErrorKind::NativeHistogram => "returned native histograms instead of numbers".to_owned(),
    }
}

fn timeout(words: Vocabulary<'_>, circumstances: &Circumstances, waited_ms: u128, whole_ms: u128) -> String {
    // Less is left if other requests, or the mirror itself, used some of the time before.
    let is_rest = waited_ms * 10 < whole_ms * 9;
    let left = if is_rest { format!("{waited_ms} ms that were left of the ") } else { String::new() };
    let (so, suggested): (_, &[_]) = match circumstances.call_kind {
        CallKind::Trivial => {
            ("this query takes almost no time, so ", &["check that it is running, its load, and the network to it"])
        }
        CallKind::Evaluation | CallKind::Names => ("", &[]),
    };
    let (before, remedies) = (circumstances.before(), circumstances.against_timeout(suggested, words));
    format!("did not answer within the {left}timeout of {whole_ms} ms{before}; {so}{remedies}")
}

fn no_memory(circumstances: &Circumstances, none: NoMemory) -> String {
    const MIB: usize = 1 << 20;
    let (than, later) = match none {
        NoMemory::TakenByOthers { capacity } => {
            let mib = capacity / MIB;
            let than = format!(
                "this mirror had free memory for: other requests held the {mib} MiB of --memory-budget-mib until the timeout"
            );
            (than, Some("try again later"))
        }
        NoMemory::TooMuch { most } => (format!("the {} MiB that one query may hold", most / MIB), None),
    };
    let smaller: &[&str] = match circumstances.call_kind {
        CallKind::Trivial => &[],
        CallKind::Evaluation => &["choose a shorter time range", "add a condition on a label"],
        CallKind::Names => &["add a condition or give a longer prefix"],
    };
    let remedies = [later.as_slice(), smaller, &["raise --memory-budget-mib of this mirror"]].concat();
    format!("has more data for this query than {than}; {}", any_of(&remedies))
}

/// What makes a response smaller.
fn against_size(call_kind: CallKind) -> &'static str {
    match call_kind {
        CallKind::Trivial => "check whether the proxy in front of Prometheus changes its responses",
        CallKind::Evaluation => "choose a shorter time range, fewer series, or longer buckets",
        CallKind::Names => "give a longer prefix, more conditions, or a shorter time range",
    }
}

/// Why no worker was free for a query, and what helps.
fn while_waiting_for_worker(
    held_by_upstream: usize,
    workers: usize,
    max_in_flight: Option<usize>,
    words: Vocabulary<'_>,
) -> String {
    if max_in_flight.is_some_and(|max| held_by_upstream >= max) {
        return format!(
            "{held_by_upstream} other queries to it were in flight, the most that max_in_flight in the upstreams file allows; \
             find out why it is slow, or raise max_in_flight"
        );
    }
    // An upstream may occupy three quarters of the workers at most. If it occupies more than half, it is the slow one.
    let remedy = if held_by_upstream * 2 > workers {
        "find out why it is slow, or raise --workers of this mirror".to_owned()
    } else {
        let timeout = words.request_timeout();
        format!("the others were busy with other upstreams: raise --workers of this mirror, or {timeout}")
    };
    format!(
        "the request waited for a worker; {held_by_upstream} of {workers} workers were busy with this upstream; {remedy}"
    )
}

/// What went wrong at a proxy, and what the operator of the mirror can do about it.
fn at_proxy(failure: &ErrorKind, words: Vocabulary<'_>) -> String {
    let (proxy, no_proxy) = (words.proxy(), words.no_proxy());
    match failure {
        ErrorKind::Unconnected(failure) => format!("{}; {}", failure.cause(words), failure.remedy_at_proxy(words)),
        ErrorKind::Closed => format!(
            "it closed the connection before it answered; check that it is running, and that {proxy} has its port and its protocol \
             (http or https)"
        ),
        ErrorKind::Timeout { waited_ms, .. } => format!(
            "it opened no connection to the upstream within {waited_ms} ms; check that it is running and may connect to this \
             host and port, or have a host that is not behind it added to {no_proxy}"
        ),
        ErrorKind::ProxyStatus(status @ (401 | 407)) => format!(
            "it requires the right credentials (HTTP status {status}); give user and password in {proxy}, as \
             http://user:password@host:port"
        ),
        ErrorKind::ProxyStatus(403) => format!(
            "it denies this host or port (HTTP status 403); have its operator allow CONNECT to them (many proxies allow it to \
             port 443 only), or have a host that is not behind it added to {no_proxy}"
        ),
        ErrorKind::ProxyStatus(status @ (500 | 502..=504)) => format!(
            "it cannot connect there (HTTP status {status}); check {}, as they are named where the proxy runs, or have a host that \
             is not behind it added to {no_proxy}",
            words.setting(HOST_AND_PORT)
        ),
        ErrorKind::ProxyStatus(status) => {
            format!("it is not an HTTP proxy with CONNECT (HTTP status {status}); check {proxy}")
        }
        ErrorKind::NotPrometheus { found, .. } => {
            format!("{found}; check that {proxy} has its port and its protocol (http or https)")
        }
        // No other failure can occur before there is a connection to the upstream.
        other => other.code().to_owned(),
    }
}
