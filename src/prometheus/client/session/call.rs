//! One call from begin to end: admission, interpretation, metrics, log and recording.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::Session;
use crate::log;
use crate::model::query::PartialResponse;
use crate::prometheus::client::MAX_CALLS;
use crate::prometheus::client::call_record::CallRecord;
use crate::prometheus::client::response::{NoData, interpret, missing_data};
use crate::prometheus::decode::envelope::Envelope;
use crate::prometheus::decode::json::{Decoded, Json};
use crate::prometheus::error::{CallKind, Error, ErrorKind, logged, shortened};
use crate::prometheus::http::{Deadline, Params, UpstreamResponse};

/// How many bytes of memory each byte of a query uses while it is sent: it is copied, and percent-encoded in a form.
const QUERY_BYTES: usize = 6;

/// The time parameters.
const TIMES: [&str; 4] = ["time", "start", "end", "step"];

/// The endpoint and the parameters of a call.
pub(super) struct ApiCall<'a> {
    /// The name of the endpoint in the metrics.
    pub(super) endpoint: &'static str,
    pub(super) path: String,
    pub(super) params: Params,
    /// The PromQL or selector that an error shows.
    pub(super) query: Option<&'a str>,
    pub(super) call_kind: CallKind,
    /// Whether the endpoint accepts a form by POST, whose length is not limited.
    pub(super) by_post: bool,
    pub(super) deadline: Deadline,
}

/// A call in flight.
pub(super) struct OngoingCall {
    endpoint: &'static str,
    call_kind: CallKind,
    started: Instant,
    /// How long the request had waited for memory before the call.
    waited_for_memory: Duration,
    /// What is known of it so far; its time parameters only if it is recorded.
    pub(super) record: CallRecord,
    /// How many bytes of the response were read.
    read_bytes: Arc<AtomicUsize>,
}

impl OngoingCall {
    /// Notes that the response has begun.
    pub(super) fn begin_response(&mut self, response: &UpstreamResponse) {
        self.record.status = Some(response.status);
        self.read_bytes = Arc::clone(&response.body.read_bytes);
    }
}

impl Session<'_> {
    /// Makes a call and returns its data. `None` if there is none: some servers leave `data` out or write `null` for an empty list.
    pub(super) fn call<T>(
        &mut self,
        api_call: ApiCall<'_>,
        take_data: impl FnMut(&mut Json<'_>) -> Decoded<T>,
    ) -> Result<Option<T>, Error> {
        let (context, memory) = (self.upstream.context(), self.memory.clone());
        let data = self.call_with(api_call, |mut response| {
            response.body.charged = Some(memory);
            interpret(response, context, take_data)
        })?;
        Ok(data.flatten())
    }

    /// Makes a call whose response `interpret` decodes. The outer `None` means that the sink has seen enough.
    pub(super) fn call_with<T>(
        &mut self,
        api_call: ApiCall<'_>,
        interpret: impl FnOnce(UpstreamResponse) -> Result<Envelope<T>, NoData>,
    ) -> Result<Option<Option<T>>, Error> {
        let mut call = self.begin(api_call.endpoint, &api_call.path, api_call.query, api_call.call_kind)?;
        call.record.times = api_call.params.iter().filter(|(name, _)| TIMES.contains(name)).cloned().collect();
        let response = self.send(&api_call);
        if let Ok(response) = &response {
            call.begin_response(response);
            self.note_engine(response.is_victoria_metrics());
        }
        let result = response.map_err(NoData::Failed).and_then(interpret).and_then(|envelope| {
            let missing = missing_data(&envelope).filter(|_| self.partial == PartialResponse::Deny);
            missing.map_or(Ok(envelope), |missing| Err(ErrorKind::MissingData(missing).into()))
        });
        let failure = match &result {
            Err(NoData::Failed(kind)) => Some(kind),
            Ok(_) | Err(NoData::Enough) => None,
        };
        self.end(call, failure.map_or("ok", ErrorKind::code), failure, failure.is_none());
        match result {
            Ok(envelope) => {
                self.note_warnings(&envelope, api_call.query);
                Ok(Some(envelope.data))
            }
            Err(NoData::Enough) => Ok(None),
            Err(NoData::Failed(kind)) => Err(self.error(api_call.query, api_call.call_kind, kind)),
        }
    }

    fn note_warnings<T>(&mut self, envelope: &Envelope<T>, query: Option<&str>) {
        if missing_data(envelope).is_some() {
            self.has_missing_data = true;
            self.client.metrics.partial_responses.inc();
        }
        let is_partial = envelope.is_partial.then(|| "isPartial".to_owned());
        for warning in envelope.warnings.iter().chain(&is_partial) {
            log::warn(|| {
                log::Line::new("Prometheus warns")
                    .text("upstream", self.upstream.name())
                    .text("warning", self.without_secrets(shortened(warning)))
                    .text("promql", query.unwrap_or_default())
            });
        }
    }

    /// Begins a call.
    pub(super) fn begin(
        &mut self,
        endpoint: &'static str,
        path: &str,
        query: Option<&str>,
        call_kind: CallKind,
    ) -> Result<OngoingCall, Error> {
        if self.calls >= MAX_CALLS {
            return Err(self.error(query, call_kind, ErrorKind::TooManyCalls(MAX_CALLS)));
        }
        self.admit().map_err(|kind| self.error(query, call_kind, kind))?;
        self.memory
            .hold(query.map_or(0, str::len) * QUERY_BYTES)
            .map_err(|none| self.error(query, call_kind, ErrorKind::NoMemory(none)))?;
        if call_kind != CallKind::Names || self.last_query.is_none() {
            self.last_query = query.map(logged);
        }
        self.last_call_kind = call_kind;
        let waited_for_memory = self.memory.waited();
        self.before.calls = Some((self.calls, self.waited_for_calls.as_millis()));
        let record = CallRecord { path: path.to_owned(), query: query.map(logged), ..CallRecord::default() };
        let (started, read_bytes) = (Instant::now(), Arc::default());
        Ok(OngoingCall { endpoint, call_kind, started, waited_for_memory, record, read_bytes })
    }

    /// Ends a call: counts, logs and records it.
    pub(super) fn end(
        &mut self,
        call: OngoingCall,
        outcome: &'static str,
        failure: Option<&ErrorKind>,
        as_prometheus: bool,
    ) {
        let took = call.started.elapsed();
        let waited_for_memory = self.memory.waited().saturating_sub(call.waited_for_memory);
        self.waited_for_calls += took.saturating_sub(waited_for_memory);
        self.note_health(call.started, failure, as_prometheus);
        self.calls += 1;
        self.spent += took;
        self.client.metrics.count_call(self.upstream.labels(), call.endpoint, outcome, took);
        log::debug(|| {
            log::Line::new("upstream")
                .text("upstream", self.upstream.name())
                .text("path", &call.record.path)
                .text("promql", call.record.query.as_deref().unwrap_or_default())
                .millis("duration_ms", took)
                .text("error", failure.map(|kind| self.told(kind, call.call_kind)).unwrap_or_default())
        });
        if let Some(recorded) = &mut self.recorded_calls {
            let replica = self.upstream.replica().map(str::to_owned);
            let bytes = call.read_bytes.load(Ordering::Relaxed) as u64;
            recorded.push(CallRecord { replica, outcome, took, bytes, ..call.record });
        }
    }
}
