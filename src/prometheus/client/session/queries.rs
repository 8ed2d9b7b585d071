//! Expressions, evaluated at one time or over a range.

use super::Session;
use super::call::ApiCall;
use crate::model::query::PartialResponse;
use crate::model::sample::SeriesSet;
use crate::prometheus::client::params::{seconds, step};
use crate::prometheus::decode::envelope::{QueryResult, ResultType};
use crate::prometheus::decode::json::Decode;
use crate::prometheus::error::{CallKind, Error, ErrorKind};
use crate::prometheus::http::Params;

impl Session<'_> {
    /// Evaluates an expression at a time in milliseconds since 1970 (`None`: the upstream's current time). Returns the result
    /// and its type.
    pub fn instant(&mut self, promql: &str, time_ms: Option<i64>) -> Result<(ResultType, SeriesSet), Error> {
        let time = time_ms.map(|time_ms| ("time", seconds(time_ms))).into_iter().collect();
        self.evaluate("query", CallKind::Evaluation, promql, time, &[ResultType::Scalar, ResultType::Vector])
    }

    /// Evaluates an expression that costs the upstream almost no time.
    pub fn trivial_instant(&mut self, promql: &str, time_ms: Option<i64>) -> Result<SeriesSet, Error> {
        let time = time_ms.map(|time_ms| ("time", seconds(time_ms))).into_iter().collect();
        let expected = [ResultType::Scalar, ResultType::Vector];
        self.evaluate("query", CallKind::Trivial, promql, time, &expected).map(|(_, found)| found)
    }

    /// Evaluates an expression over a range; start and end in milliseconds since 1970, the step in milliseconds.
    pub fn range(&mut self, promql: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<SeriesSet, Error> {
        let times = vec![("start", seconds(start_ms)), ("end", seconds(end_ms)), ("step", step(step_ms))];
        self.evaluate("query_range", CallKind::Evaluation, promql, times, &[ResultType::Matrix]).map(|(_, found)| found)
    }

    fn evaluate(
        &mut self,
        endpoint: &'static str,
        call_kind: CallKind,
        promql: &str,
        params: Params,
        expected: &[ResultType],
    ) -> Result<(ResultType, SeriesSet), Error> {
        match self.call(self.evaluation(endpoint, call_kind, promql, params), QueryResult::decode)? {
            Some(result) if expected.contains(&result.kind) => {
                let samples = result.found.series.iter().map(|one| one.samples.len() as u64).sum();
                self.note_found(result.found.total as u64, samples);
                Ok((result.kind, result.found))
            }
            _ => Err(self.wrong_type(promql)),
        }
    }

    /// The call that evaluates an expression. `params` has the times.
    pub(super) fn evaluation<'a>(
        &self,
        endpoint: &'static str,
        call_kind: CallKind,
        promql: &'a str,
        mut params: Params,
    ) -> ApiCall<'a> {
        params.push(("query", promql.to_owned()));
        // Prometheus stops the evaluation when the mirror stops waiting.
        params.push(("timeout", seconds(self.deadline.remaining().as_millis().max(1) as i64)));
        // VictoriaMetrics moves the times to multiples of the step, unless `nocache` is set.
        params.push(("nocache", "1".to_owned()));
        params.extend(self.partial_params());
        let (path, query, deadline) = (format!("/api/v1/{endpoint}"), Some(promql), self.deadline);
        ApiCall { endpoint, path, params, query, call_kind, by_post: true, deadline }
    }

    /// Tells VictoriaMetrics clusters and Thanos what to do when data is missing. Other servers ignore it.
    pub(super) fn partial_params(&self) -> Params {
        match self.partial {
            PartialResponse::Deny => {
                vec![("deny_partial_response", "1".to_owned()), ("partial_response", "false".to_owned())]
            }
            PartialResponse::Allow => vec![("partial_response", "true".to_owned())],
        }
    }

    pub(super) fn wrong_type(&self, promql: &str) -> Error {
        self.error(Some(promql), CallKind::Evaluation, ErrorKind::WrongType)
    }
}
