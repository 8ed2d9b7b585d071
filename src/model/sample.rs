//! What is read of a Prometheus: series and their samples.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// The labels of a series, `__name__` included where Prometheus gives it.
pub type Labels = BTreeMap<String, String>;

/// A value at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// The value; it may be NaN or infinite.
    pub value: f64,
}

/// A series of a result.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// What identifies it.
    pub labels: Labels,
    /// Its samples, each later than the one before.
    pub samples: Vec<Sample>,
    /// Whether it also has, or only has, native histograms, which are left out of `samples`.
    pub has_native_histograms: bool,
}

/// The series that one call finds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeriesSet {
    /// The series, the first hundred of them.
    pub series: Vec<Series>,
    /// How many there are.
    pub total: usize,
}

impl SeriesSet {
    /// The first value of the first series.
    pub fn first_value(&self) -> Option<f64> {
        Some(self.series.first()?.samples.first()?.value)
    }

    /// Keeps the series for which `holds` is true. If only some of the series are in memory, the others cannot be judged, and
    /// `total` stays as it is.
    pub fn retain(&mut self, holds: impl FnMut(&mut Series) -> bool) {
        let are_all_kept = self.total == self.series.len();
        self.series.retain_mut(holds);
        if are_all_kept {
            self.total = self.series.len();
        }
    }
}

/// Receives samples while they are read, series after series, so that they need not be held in memory.
pub trait SampleSink {
    /// A series begins that has at least one sample. Whoever wants its labels has `labels` make them.
    fn begin(&mut self, labels: impl FnOnce() -> Labels);

    /// Samples of the series that began last: never none, each later than the one before and than all given earlier.
    ///
    /// After a break nothing more is given: the sink has seen enough.
    fn take(&mut self, samples: &[Sample]) -> ControlFlow<()>;

    /// How many bytes it keeps, and needs for its result, roughly.
    fn kept_bytes(&self) -> usize {
        0
    }
}
