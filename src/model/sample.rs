//! Series and their samples, as the mirror reads them from Prometheus.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// The labels of a series, with `__name__` if Prometheus returns it.
pub type Labels = BTreeMap<String, String>;

/// A value at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub at: i64,
    /// The value; it may be NaN or infinite.
    pub value: f64,
}

/// A series of a result.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Its labels, which identify it.
    pub labels: Labels,
    /// Its samples, each later than the one before.
    pub samples: Vec<Sample>,
    /// Whether it also has, or only has, native histograms, which are left out of `samples`.
    pub has_native_histograms: bool,
}

/// The series in the result of one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeriesSet {
    /// The first hundred series.
    pub series: Vec<Series>,
    /// How many there are.
    pub total: usize,
}

impl SeriesSet {
    /// The first value of the first series.
    pub fn first_value(&self) -> Option<f64> {
        Some(self.series.first()?.samples.first()?.value)
    }

    /// Keeps the series for which `holds` is true. If not all series are in memory, `total` stays as it is, because the others
    /// cannot be checked.
    pub fn retain(&mut self, holds: impl FnMut(&mut Series) -> bool) {
        let are_all_kept = self.total == self.series.len();
        self.series.retain_mut(holds);
        if are_all_kept {
            self.total = self.series.len();
        }
    }
}

/// Receives samples while they are read, series after series, so that they need not be kept in memory.
pub trait SampleSink {
    /// A series begins, which has at least one sample. `labels` makes its labels, if they are needed.
    fn begin(&mut self, labels: impl FnOnce() -> Labels);

    /// Samples of the series that began last: at least one, each later than all samples of the series before it.
    ///
    /// After a break, the sink gets no more samples.
    fn take(&mut self, samples: &[Sample]) -> ControlFlow<()>;

    /// About how many bytes it keeps, and needs for its result.
    fn kept_bytes(&self) -> usize {
        0
    }
}
