//! What fuzz targets and benchmarks reach of what is private here.

use std::io::Read;
use std::ops::ControlFlow;

use super::decode::remote_read;
use crate::model::sample::{Labels, Sample, SampleSink, Series};
use crate::model::time::TimeRange;

/// What was read of the response to a remote read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteReadCounts {
    /// Whether the sink broke off the reading.
    pub is_broken_off: bool,
    /// The series that have samples in the range.
    pub series: u64,
    /// The samples that the sink was given.
    pub samples: u64,
    /// The bytes that were read.
    pub bytes: u64,
}

/// The body of a remote read.
pub fn remote_read_request(metric: &str, patterns: &[(String, String)], start_ms: i64, end_ms: i64) -> Vec<u8> {
    remote_read::request(metric, patterns, start_ms, end_ms)
}

/// Decodes the response to a remote read.
///
/// # Errors
/// What is wrong with it.
pub fn remote_read(
    body: &mut impl Read,
    range: TimeRange,
    sink: &mut impl SampleSink,
) -> Result<RemoteReadCounts, String> {
    let summary = remote_read::decode(body, range, sink).map_err(|failure| failure.to_string())?;
    let remote_read::ReadSummary { is_broken_off, series, samples, bytes } = summary;
    Ok(RemoteReadCounts { is_broken_off, series, samples, bytes })
}

/// All series of the response to a remote read.
///
/// # Errors
/// What is wrong with it.
pub fn remote_read_series(body: &mut impl Read, range: TimeRange) -> Result<Vec<Series>, String> {
    let mut collected = Collected(Vec::new());
    remote_read(body, range, &mut collected)?;
    Ok(collected.0)
}

struct Collected(Vec<Series>);

impl SampleSink for Collected {
    fn begin(&mut self, labels: impl FnOnce() -> Labels) {
        self.0.push(Series { labels: labels(), ..Series::default() });
    }

    fn take(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        if let Some(series) = self.0.last_mut() {
            series.samples.extend_from_slice(samples);
        }
        ControlFlow::Continue(())
    }
}
