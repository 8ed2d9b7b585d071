//! The calls of one request: their deadline, memory and replica, and their results.

mod admission;
mod call;
mod get_or_post;
mod lists;
mod queries;
mod remote_read;
mod samples;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::memory::{Memory, NoMemory};
use crate::model::query::PartialResponse;
use crate::model::trace::Trace;
use crate::prometheus::credentials::hide::hidden;
use crate::prometheus::error::{
    Before, Blame, CallKind, Circumstances, Error, ErrorKind, Queued, predicate, shortened,
};
use crate::prometheus::http::{Deadline, Transport};
use crate::prometheus::upstream::Upstream;

use super::Client;
use super::call_record::CallRecord;

/// The calls of one request to one upstream.
///
/// All calls end before the deadline of the request. A request makes at most [`MAX_CALLS`](crate::prometheus::MAX_CALLS) of
/// them, and what they return counts towards its memory. Each method that makes calls fails with an [`Error`], which names the
/// upstream and the query and says what to do.
///
/// An upstream of the upstreams file may have several replicas. The session stays with one of them, because responses of two
/// replicas do not fit together. After a failure, the caller may switch to another one and repeat everything:
///
/// ```text
/// let found = loop {
///     match session.instant("sum(up)", None) {
///         Err(error) if session.fail_over(&error.kind) => {}
///         result => break result,
///     }
/// };
/// ```
pub struct Session<'c> {
    client: &'c Client,
    upstream: Upstream,
    deadline: Deadline,
    partial: PartialResponse,
    memory: Memory,
    trace: Arc<Trace>,
    /// The replicas that have failed for this query, and why.
    failed_replicas: Vec<(Upstream, String)>,
    /// Whether the upstream counts as answering, or this request may probe it.
    is_admitted: bool,
    /// What came before the last call. Waits for memory are missing here, because they continue during the call.
    before: Before,
    /// The time of all calls, without the waits for memory during them.
    waited_for_calls: Duration,
    calls: u32,
    spent: Duration,
    last_query: Option<String>,
    last_call_kind: CallKind,
    has_missing_data: bool,
    /// Whether one of the responses came from VictoriaMetrics, if there are responses.
    saw_victoria_metrics: Option<bool>,
    /// The calls in their order, if they are recorded.
    recorded_calls: Option<Vec<CallRecord>>,
}

impl Client {
    /// Starts the calls of one request to one upstream. All of them end before the deadline, and their results count towards
    /// `memory`.
    pub fn session(
        &self,
        upstream: Upstream,
        deadline: Deadline,
        partial: PartialResponse,
        memory: Memory,
        trace: Arc<Trace>,
    ) -> Session<'_> {
        Session {
            client: self,
            upstream,
            deadline,
            partial,
            memory,
            trace,
            failed_replicas: Vec::new(),
            is_admitted: false,
            before: Before::default(),
            waited_for_calls: Duration::ZERO,
            calls: 0,
            spent: Duration::ZERO,
            last_query: None,
            last_call_kind: CallKind::Evaluation,
            has_missing_data: false,
            saw_victoria_metrics: None,
            recorded_calls: None,
        }
    }
}

impl Session<'_> {
    fn transport(&self) -> &Transport {
        self.upstream.transport().unwrap_or(&self.client.transport)
    }

    /// Switches to another replica after a failure of the current one. Returns whether there is one that has not failed for this
    /// query. The caller must then repeat all its queries, because responses of two replicas do not fit together.
    pub fn fail_over(&mut self, failure: &ErrorKind) -> bool {
        let blame = failure.blame();
        let may_succeed = matches!(blame, Blame::Replica | Blame::Wait(_) | Blame::Passing);
        if !may_succeed || self.upstream.replica().is_none() || self.deadline.remaining().is_zero() {
            return false;
        }
        if blame == Blame::Replica {
            self.upstream.note_failure();
        }
        self.failed_replicas.push((self.upstream.clone(), failure.brief()));
        let has_failed = |one: &Upstream| self.failed_replicas.iter().any(|(failed, _)| failed == one);
        let candidates = std::iter::once(self.upstream.at_current_replica()).chain(self.upstream.replicas());
        let Some(next) = candidates.into_iter().find(|one| !has_failed(one)) else { return false };
        self.upstream = next;
        (self.is_admitted, self.has_missing_data, self.saw_victoria_metrics) = (false, false, None);
        true
    }

    /// Notes how the request waited for a worker before.
    pub fn set_queued(&mut self, queued: Option<Queued>) {
        self.before.queued = queued;
    }

    /// Starts to record the calls.
    pub fn record_calls(&mut self) {
        self.recorded_calls = Some(Vec::new());
    }

    /// The calls in their order, if they are recorded.
    pub fn recorded_calls(&self) -> Option<&[CallRecord]> {
        self.recorded_calls.as_deref()
    }

    /// Notes how many series and samples the last call found.
    fn note_found(&mut self, series: u64, samples: u64) {
        if let Some(call) = self.recorded_calls.as_mut().and_then(|calls| calls.last_mut()) {
            (call.series, call.samples) = (Some(series), Some(samples));
        }
    }

    /// The replicas that have failed for this query, separated by commas.
    pub fn failed_replicas(&self) -> String {
        self.failed_replicas.iter().filter_map(|(one, _)| one.replica()).collect::<Vec<_>>().join(", ")
    }

    /// Adds the other replicas that failed for this query to an error.
    pub fn with_failed_replicas(&self, mut failure: Error) -> Error {
        let others = self.failed_replicas.iter().filter(|(one, _)| one.replica_nth() != failure.upstream.replica);
        let shown = others.map(|(one, why)| format!("{} ({why})", one.replica().unwrap_or_default()));
        failure.circumstances.failed_replicas = shown.collect();
        failure
    }

    /// The upstream that is queried.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// The memory that the results may use.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Waits until the results may use this many bytes of memory in all.
    ///
    /// # Errors
    /// Fails if there is not enough memory before the deadline.
    pub fn hold(&self, bytes: usize) -> Result<(), Error> {
        self.memory.hold(bytes).map_err(|none| self.no_memory(none))
    }

    /// The error of a request that gets no memory.
    pub fn no_memory(&self, none: NoMemory) -> Error {
        self.error(self.last_query(), self.last_call_kind, ErrorKind::NoMemory(none))
    }

    /// How many calls the request has made.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// The time spent on all calls.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    /// The PromQL that was evaluated last, or the last selector if no PromQL was evaluated.
    pub fn last_query(&self) -> Option<&str> {
        self.last_query.as_deref()
    }

    /// Makes calls that check the result of the last query. The log goes on to name that query.
    pub fn aside<T>(&mut self, calls: impl FnOnce(&mut Self) -> T) -> T {
        let checked = self.last_query.clone();
        let result = calls(self);
        self.last_query = checked;
        result
    }

    /// Whether a response said that data is missing in it and was accepted anyway.
    pub fn has_missing_data(&self) -> bool {
        self.has_missing_data
    }

    /// Whether one of the responses to this session came from VictoriaMetrics. Another engine may have responded a minute before.
    pub fn is_victoria_metrics(&self) -> bool {
        self.saw_victoria_metrics == Some(true)
    }

    /// Whether the upstream may be VictoriaMetrics: what the responses say or, before the first one, what earlier requests found.
    pub fn may_be_victoria_metrics(&self) -> bool {
        let was_one = || self.client.victoria_metrics.has(&self.upstream, Instant::now());
        self.saw_victoria_metrics.unwrap_or_else(was_one)
    }

    fn note_engine(&mut self, is_victoria_metrics: bool) {
        if is_victoria_metrics && !self.is_victoria_metrics() {
            self.client.victoria_metrics.add(self.upstream.clone(), Instant::now());
        }
        self.saw_victoria_metrics = Some(is_victoria_metrics || self.is_victoria_metrics());
    }

    fn circumstances(&self, call_kind: CallKind) -> Circumstances {
        let before = Before { memory_ms: Some(self.memory.waited().as_millis()), ..self.before };
        let before = before.worth_a_word(self.deadline.whole_ms());
        Circumstances { call_kind, before, failed_replicas: Vec::new() }
    }

    fn error(&self, query: Option<&str>, call_kind: CallKind, mut kind: ErrorKind) -> Error {
        if let ErrorKind::NotPrometheus { was_prometheus, .. } = &mut kind {
            *was_prometheus = self.client.health.is_prometheus(&self.upstream.health_key());
        }
        let kind = kind.with_words(|words| self.without_secrets(words));
        let circumstances = Box::new(self.circumstances(call_kind));
        Error {
            upstream: Box::new(self.upstream.shown()),
            query: query.map(|query| shortened(query).into()),
            kind,
            circumstances,
        }
    }

    /// The failure of a call in the words of the log.
    fn told(&self, kind: &ErrorKind, call_kind: CallKind) -> String {
        self.without_secrets(predicate(self.upstream.definition(), kind, &self.circumstances(call_kind)))
    }

    /// A text that the upstream sent, without the secrets that it was sent.
    fn without_secrets(&self, words: String) -> String {
        hidden(words, &self.upstream.secrets())
    }
}
