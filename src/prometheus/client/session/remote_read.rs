//! Remote read: samples as Prometheus stores them, streamed.

use std::io::{self, Read};

use super::Session;
use crate::metrics::SampleSource;
use crate::model::sample::SampleSink;
use crate::model::time::TimeRange;
use crate::prometheus::client::params::seconds;
use crate::prometheus::client::response;
use crate::prometheus::client::sample_query::SampleQuery;
use crate::prometheus::decode::remote_read::{self, ReadFailure};
use crate::prometheus::error::{CallKind, Error, ErrorKind};
use crate::prometheus::http::{CallContent, OutgoingCall, UpstreamResponse, content_type};

/// The endpoint of remote read in the metrics, and its path.
const READ: &str = "read";
const READ_PATH: &str = "/api/v1/read";

/// How much of the body of a refused remote read is read.
const MAX_REFUSAL_BYTES: u64 = 64 << 10;

/// The media type of a streamed response.
const STREAMED: &str = "application/x-streamed-protobuf";

/// How an upstream answers a remote read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RemoteRead {
    /// It sent the samples.
    Read,
    /// It sent chunks in an order in which they cannot be merged.
    OutOfOrder,
    /// It, or the proxy in front of it, cannot answer now.
    NotNow,
    /// It has no remote read, or none that streams.
    NotOffered,
}

impl RemoteRead {
    /// The outcome of the call in the metrics.
    fn outcome(&self) -> &'static str {
        match self {
            RemoteRead::Read => "ok",
            RemoteRead::OutOfOrder => "out_of_order",
            RemoteRead::NotNow => "unavailable",
            RemoteRead::NotOffered => "no_remote_read",
        }
    }
}

impl Session<'_> {
    pub(super) fn samples_by_remote_read(
        &mut self,
        query: &SampleQuery<'_>,
        sink: &mut impl SampleSink,
    ) -> Result<RemoteRead, Error> {
        let SampleQuery { promql, metric, label_patterns, range, .. } = *query;
        let mut call = self.begin(READ, READ_PATH, Some(promql), CallKind::Evaluation)?;
        call.record.times = vec![("start", seconds(range.start)), ("end", seconds(range.end))];
        let body = remote_read::request(metric, label_patterns, range.start, range.end);
        let outgoing = OutgoingCall {
            target: self.upstream.target(),
            path: READ_PATH,
            content: CallContent::RemoteRead(&body),
            deadline: self.deadline,
            trace: Some(&self.trace),
            // The decoder bounds it.
            max_bytes: u64::MAX,
        };
        let result = self.transport().send(outgoing).and_then(|response| {
            call.begin_response(&response);
            streamed(response, range, sink)
        });
        let as_prometheus = result.as_ref().is_ok_and(|read| *read == RemoteRead::Read);
        let outcome = result.as_ref().map_or_else(ErrorKind::code, RemoteRead::outcome);
        self.end(call, outcome, result.as_ref().err(), as_prometheus);
        let read = result.map_err(|kind| self.error(Some(promql), CallKind::Evaluation, kind))?;
        if read == RemoteRead::Read {
            self.client.metrics.count_sample_read(SampleSource::RemoteRead);
        }
        Ok(read)
    }
}

/// Passes the samples of a streamed response to a sink.
fn streamed(response: UpstreamResponse, range: TimeRange, sink: &mut impl SampleSink) -> Result<RemoteRead, ErrorKind> {
    let UpstreamResponse { status, headers, mut body } = response;
    let is_streamed = content_type(&headers).is_some_and(|content_type| content_type.starts_with(STREAMED));
    if status != 200 || !is_streamed {
        // The connection can be reused after a short body is read to its end. An unreadable body does not matter.
        let _ = io::copy(&mut body.take(MAX_REFUSAL_BYTES), &mut io::sink());
        let is_passing = matches!(status, 408 | 429 | 502..=504);
        return Ok(if is_passing { RemoteRead::NotNow } else { RemoteRead::NotOffered });
    }
    if let Some(encoding) = response::encoding(&headers) {
        return Err(ErrorKind::Encoded(encoding));
    }
    match remote_read::decode(&mut body, range, sink) {
        Ok(()) => Ok(RemoteRead::Read),
        Err(ReadFailure::Unsorted) => Ok(RemoteRead::OutOfOrder),
        Err(ReadFailure::NativeHistogram) => Err(ErrorKind::NativeHistogram),
        Err(ReadFailure::Unread(error)) => Err(body.failure(error)),
        Err(ReadFailure::Broken(why)) => Err(ErrorKind::Damaged(why.to_owned())),
    }
}
