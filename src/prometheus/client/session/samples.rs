//! Samples: by remote read, or by a range selector if the upstream has no remote read.

use std::time::Instant;

use super::Session;
use super::call::ApiCall;
use super::remote_read::RemoteRead;
use crate::metrics::SampleSource;
use crate::model::sample::SampleSink;
use crate::prometheus::client::params::seconds;
use crate::prometheus::client::recording::{ReadRecorder, Tee};
use crate::prometheus::client::response::interpret;
use crate::prometheus::client::sample_query::{SampleQuery, SamplesRead};
use crate::prometheus::decode::envelope;
use crate::prometheus::error::{CallKind, Error, ErrorKind};

impl Session<'_> {
    /// Reads samples: by remote read, or by a range selector if the upstream has no remote read. `new_sink` creates the sink that
    /// receives them, a new one for each attempt.
    ///
    /// # Errors
    /// Fails if the samples cannot be read; never because a sink has seen enough.
    pub fn samples<S: SampleSink>(
        &mut self,
        query: &SampleQuery<'_>,
        new_sink: impl Fn() -> S,
    ) -> Result<SamplesRead<S>, Error> {
        let order = self.recording.as_ref().map(|recording| recording.order);
        let new_sink = || Tee { sink: new_sink(), recorder: order.map(ReadRecorder::new) };
        let (source, read) = self.samples_from_anywhere(query, new_sink)?;
        let SamplesRead { sink: Tee { sink, recorder }, too_large } = read;
        if let (Some(recording), Some(recorder)) = (&mut self.recording, recorder) {
            recording.take_read(source, recorder.record);
        }
        Ok(SamplesRead { sink, too_large })
    }

    fn samples_from_anywhere<S: SampleSink>(
        &mut self,
        query: &SampleQuery<'_>,
        new_sink: impl Fn() -> S,
    ) -> Result<(SampleSource, SamplesRead<S>), Error> {
        let by_selector =
            |session: &mut Self| Ok((SampleSource::RangeSelector, session.samples_by_selector(query, new_sink())?));
        let known = &self.client.without_remote_read;
        let is_off = self.upstream.options().is_some_and(|options| options.without_remote_read);
        if is_off || known.contain(&self.upstream, Instant::now()) {
            return by_selector(self);
        }
        let mut sink = new_sink();
        match self.samples_by_remote_read(query, &mut sink)? {
            RemoteRead::Read => Ok((SampleSource::RemoteRead, SamplesRead { sink, too_large: None })),
            RemoteRead::OutOfOrder | RemoteRead::NotNow => by_selector(self),
            RemoteRead::NotOffered => {
                let read = by_selector(self)?;
                // The range selector works, so the upstream is not just down.
                self.client.without_remote_read.add(&self.upstream, Instant::now());
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
        let params = self.evaluation_params(promql, vec![("time", seconds(range.end))]);
        let request = ApiCall {
            endpoint: "query",
            path: "/api/v1/query",
            params,
            query: Some(promql),
            call_kind: CallKind::Evaluation,
            by_post: true,
            deadline: self.deadline,
        };
        let context = self.upstream.context();
        let taken = self.call_with(request, |response| {
            // VictoriaMetrics does not store NaN, and shows the end of a series as NaN.
            let are_nan_stale = response.is_victoria_metrics();
            interpret(response, context, |json| envelope::take_samples(json, range, are_nan_stale, &mut sink))
        });
        self.client.metrics.count_sample_read(SampleSource::RangeSelector);
        match taken {
            Ok(Some(None)) => Err(self.wrong_type(promql)),
            Ok(Some(Some(has_native_histograms))) if has_native_histograms => {
                Err(self.error(Some(promql), CallKind::Evaluation, ErrorKind::NativeHistogram))
            }
            // All samples, or as many as the sink takes.
            Ok(Some(Some(_)) | None) => Ok(SamplesRead { sink, too_large: None }),
            Err(error) if matches!(error.kind, ErrorKind::TooLarge(_)) => {
                Ok(SamplesRead { sink, too_large: Some(error) })
            }
            Err(error) => Err(error),
        }
    }

    /// Notes that PromQL computes the points from now on, because there are too many samples or buckets.
    pub fn answer_by_promql(&mut self) {
        self.client.metrics.count_sample_read(SampleSource::PromQl);
        if let Some(recording) = &mut self.recording {
            recording.answer_by_promql();
        }
    }

    /// Notes that the upstream refuses to aggregate the expression of the query, because it is a scalar.
    pub fn note_scalar(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.is_scalar = true;
        }
    }
}
