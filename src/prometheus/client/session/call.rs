//! One call from its beginning to its end: what it costs, what it means, and who is told of it.

use std::time::{Duration, Instant};

use super::Session;
use crate::log;
use crate::model::query::PartialResponse;
use crate::prometheus::client::MAX_CALLS;
use crate::prometheus::client::recording::CallRecord;
use crate::prometheus::client::response::{Unanswered, interpret, missing_data};
use crate::prometheus::decode::envelope::Envelope;
use crate::prometheus::decode::json::{Json, Undecoded};
use crate::prometheus::error::circumstances::CallKind;
use crate::prometheus::error::shortened::{logged, shortened};
use crate::prometheus::error::{Error, ErrorKind};
use crate::prometheus::http::deadline::Deadline;
use crate::prometheus::http::form::Params;
use crate::prometheus::http::response::{ByteMeter, UpstreamResponse};

/// How many bytes of memory a byte of a query takes while it is sent: it is copied, and percent-encoded in a form.
const QUERY_BYTES: usize = 6;

/// The parameters that are times.
const TIMES: [&str; 4] = ["time", "start", "end", "step"];

/// Where a call goes, and what it carries.
pub(super) struct ApiCall<'a> {
    /// What the metrics call the endpoint.
    pub(super) endpoint: &'static str,
    pub(super) path: &'a str,
    pub(super) params: Params,
    /// The PromQL or selector, for the error.
    pub(super) query: Option<&'a str>,
    pub(super) asked: CallKind,
    /// Whether the endpoint takes a form by POST, which has no bound on its length.
    pub(super) by_post: bool,
    pub(super) deadline: Deadline,
}

/// A call under way.
pub(super) struct OngoingCall {
    endpoint: &'static str,
    asked: CallKind,
    path: String,
    query: Option<String>,
    started: Instant,
    /// How long the request had waited for memory before.
    waited_for_memory: Duration,
    /// Its parameters that are times, if it is recorded.
    pub(super) times: Params,
    /// The HTTP status, once there is a response.
    status: Option<u16>,
    /// Counts the bytes of the response, if it is recorded.
    meter: Option<ByteMeter>,
}

impl OngoingCall {
    pub(super) fn has_response(&mut self, response: &mut UpstreamResponse) {
        self.status = Some(response.status);
        if let Some(meter) = &self.meter {
            response.body.measure(meter.clone());
        }
    }
}

impl Session<'_> {
    /// Makes a call and gives its data, which some servers leave out, or write as `null`, when a list is empty.
    pub(super) fn call<T>(
        &mut self,
        request: ApiCall<'_>,
        take_data: impl FnMut(&mut Json<'_>) -> Result<T, Undecoded>,
    ) -> Result<Option<T>, Error> {
        let (context, memory) = (self.upstream.context(), self.memory.clone());
        let data = self.call_with(request, |mut response| {
            response.body.charge(memory);
            interpret(response, context, take_data)
        })?;
        Ok(data.flatten())
    }

    /// Makes a call whose answer `interpret` reads. Gives nothing when that has seen enough.
    pub(super) fn call_with<T>(
        &mut self,
        request: ApiCall<'_>,
        interpret: impl FnOnce(UpstreamResponse) -> Result<Envelope<T>, Unanswered>,
    ) -> Result<Option<Option<T>>, Error> {
        let mut call = self.begin(request.endpoint, request.path, request.query, request.asked)?;
        if self.recording.is_some() {
            call.times = request.params.iter().filter(|(name, _)| TIMES.contains(name)).cloned().collect();
        }
        let mut response = self.exchange(&request);
        if let Ok(response) = &mut response {
            call.has_response(response);
        }
        if response.as_ref().is_ok_and(|response| response.is_victoria_metrics) && !self.is_victoria_metrics() {
            self.client.victoria_metrics.put(self.upstream.clone(), (), Instant::now());
        }
        let result = response.map_err(Unanswered::Failed).and_then(interpret).and_then(|envelope| {
            let missing = missing_data(&envelope).filter(|_| self.partial == PartialResponse::Deny);
            missing.map_or(Ok(envelope), |missing| Err(ErrorKind::MissingData(missing).into()))
        });
        let failure = match &result {
            Err(Unanswered::Failed(kind)) => Some(kind),
            Ok(_) | Err(Unanswered::Enough) => None,
        };
        self.end(call, failure.map_or("ok", ErrorKind::name), failure, failure.is_none());
        match result {
            Ok(envelope) => {
                self.note_warnings(&envelope, request.query);
                Ok(Some(envelope.data))
            }
            Err(Unanswered::Enough) => Ok(None),
            Err(Unanswered::Failed(kind)) => Err(self.error(request.query, request.asked, kind)),
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
        asked: CallKind,
    ) -> Result<OngoingCall, Error> {
        if self.calls_left() == 0 {
            return Err(self.error(query, asked, ErrorKind::TooManyCalls(MAX_CALLS)));
        }
        self.admit().map_err(|kind| self.error(query, asked, kind))?;
        self.memory
            .hold(query.map_or(0, str::len) * QUERY_BYTES)
            .map_err(|none| self.error(query, asked, ErrorKind::NoMemory(none)))?;
        if asked != CallKind::Names || self.last_query.is_none() {
            self.last_query = query.map(logged);
        }
        self.last_asked = asked;
        let waited_for_memory = self.memory.waited();
        self.before.calls = Some((self.calls, self.waited_for_calls.as_millis()));
        let meter = self.recording.as_ref().map(|_| ByteMeter::default());
        let (path, query) = (path.to_owned(), query.map(logged));
        Ok(OngoingCall {
            endpoint,
            asked,
            path,
            query,
            started: Instant::now(),
            waited_for_memory,
            times: Vec::new(),
            status: None,
            meter,
        })
    }

    /// Ends a call: counts it and tells of it.
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
                .text("path", &call.path)
                .text("promql", call.query.as_deref().unwrap_or_default())
                .millis("duration_ms", took)
                .text("error", failure.map(|kind| self.told(kind, call.asked)).unwrap_or_default())
        });
        if let Some(recording) = &mut self.recording {
            let OngoingCall { path, query, times, status, meter, .. } = call;
            recording.calls.push(CallRecord {
                replica: self.upstream.replica().map(str::to_owned),
                path,
                query,
                times,
                status,
                outcome,
                took,
                bytes: meter.map_or(0, |meter| meter.bytes()),
                series: None,
                samples: None,
            });
        }
    }
}
