//! Samples: by remote read, or by a range selector if the upstream has no remote read.

use std::ops::ControlFlow;
use std::time::Instant;

use super::Session;
use super::remote_read::RemoteRead;
use crate::memory::{Memory, NoMemory};
use crate::metrics::SampleSource;
use crate::model::sample::{Labels, Sample, SampleSink};
use crate::prometheus::client::params::seconds;
use crate::prometheus::client::response::interpret;
use crate::prometheus::client::sample_query::{SampleQuery, SamplesRead};
use crate::prometheus::decode::envelope;
use crate::prometheus::error::{CallKind, Error, ErrorKind};

impl Session<'_> {
    /// Reads samples: by remote read, or by a range selector if the upstream has no remote read. `new_sink` creates the sink that
    /// receives them, a new one for each attempt. What the sink keeps counts towards the memory of the request.
    ///
    /// # Errors
    /// Fails if the samples cannot be read, or if there is no memory for them; never because a sink has seen enough.
    pub fn samples<S: SampleSink>(
        &mut self,
        query: &SampleQuery<'_>,
        new_sink: impl Fn() -> S,
    ) -> Result<SamplesRead<S>, Error> {
        let (memory, held_bytes) = (self.memory.clone(), query.held_bytes);
        let metered = || MeteredSink {
            sink: new_sink(),
            memory: memory.clone(),
            held_bytes,
            refused: None,
            series: 0,
            samples: 0,
        };
        let SamplesRead { sink: MeteredSink { sink, refused, series, samples, .. }, source, too_large } =
            self.samples_from_anywhere(query, metered)?;
        self.note_found(series, samples);
        match refused {
            Some(none) => Err(self.no_memory(none)),
            None => Ok(SamplesRead { sink, source, too_large }),
        }
    }

    fn samples_from_anywhere<S: SampleSink>(
        &mut self,
        query: &SampleQuery<'_>,
        new_sink: impl Fn() -> S,
    ) -> Result<SamplesRead<S>, Error> {
        let by_selector = |session: &mut Self| session.samples_by_selector(query, new_sink());
        let known = &self.client.without_remote_read;
        let is_off = self.upstream.options().is_some_and(|options| options.without_remote_read);
        if is_off || known.has(&self.upstream, Instant::now()) {
            return by_selector(self);
        }
        let mut sink = new_sink();
        match self.samples_by_remote_read(query, &mut sink)? {
            RemoteRead::Read => Ok(SamplesRead { sink, source: SampleSource::RemoteRead, too_large: None }),
            RemoteRead::OutOfOrder | RemoteRead::NotNow => by_selector(self),
            RemoteRead::NotOffered => {
                let read = by_selector(self)?;
                // The range selector works, so the upstream is not just down.
                self.client.without_remote_read.add(self.upstream.clone(), Instant::now());
                Ok(read)
            }
        }
    }

    fn samples_by_selector<S: SampleSink>(
        &mut self,
        query: &SampleQuery<'_>,
        mut sink: S,
    ) -> Result<SamplesRead<S>, Error> {
        let SampleQuery { promql, range, .. } = *query;
        let time = vec![("time", seconds(range.end))];
        let api_call = self.evaluation("query", CallKind::Evaluation, promql, time);
        let context = self.upstream.context();
        let taken = self.call_with(api_call, |response| {
            // VictoriaMetrics does not store NaN, and shows the end of a series as NaN.
            let are_nan_stale = response.is_victoria_metrics();
            interpret(response, context, |json| envelope::take_samples(json, range, are_nan_stale, &mut sink))
        });
        let source = SampleSource::RangeSelector;
        let read = match taken {
            Ok(Some(None)) => Err(self.wrong_type(promql)),
            Ok(Some(Some(has_native_histograms))) if has_native_histograms => {
                Err(self.error(Some(promql), CallKind::Evaluation, ErrorKind::NativeHistogram))
            }
            // All samples, or as many as the sink takes.
            Ok(Some(Some(_)) | None) => Ok(SamplesRead { sink, source, too_large: None }),
            Err(error) if matches!(error.kind, ErrorKind::TooLarge(_)) => {
                Ok(SamplesRead { sink, source, too_large: Some(error) })
            }
            Err(error) => Err(error),
        };
        if read.is_ok() {
            self.client.metrics.count_sample_read(source);
        }
        read
    }

    /// Counts a query whose points PromQL computes, because there are too many samples or buckets.
    pub fn count_answer_by_promql(&self) {
        self.client.metrics.count_sample_read(SampleSource::PromQl);
    }
}

/// Passes samples on to a sink while there is memory for what the sink keeps, and counts them.
struct MeteredSink<S> {
    sink: S,
    memory: Memory,
    held_bytes: usize,
    refused: Option<NoMemory>,
    series: u64,
    samples: u64,
}

impl<S: SampleSink> SampleSink for MeteredSink<S> {
    fn begin(&mut self, labels: impl FnOnce() -> Labels) {
        self.series += 1;
        self.sink.begin(labels);
    }

    fn take(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        self.samples += samples.len() as u64;
        self.sink.take(samples)?;
        self.refused = self.memory.hold(self.held_bytes + self.sink.kept_bytes()).err();
        if self.refused.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
