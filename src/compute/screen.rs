//! Leaves out values that are infinite or NaN, or makes NaN 0, because JSON has no such number.

use crate::model::query::NanInterpretation;
use crate::model::sample::Sample;
use crate::model::sample_kind::SampleKind;

/// How many samples and points were left out, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Samples that are NaN.
    pub nan: u64,
    /// Samples that are infinite.
    pub infinite: u64,
    /// Points whose value exceeds the largest number of JSON (1.8e308), such as the sum of a bucket.
    pub too_large: u64,
}

impl Dropped {
    /// The counts, each with its reason.
    pub fn by_reason(self) -> [(&'static str, u64); 3] {
        [("nan", self.nan), ("infinite", self.infinite), ("too_large", self.too_large)]
    }

    /// Adds other counts.
    pub fn add(&mut self, other: Dropped) {
        self.nan += other.nan;
        self.infinite += other.infinite;
        self.too_large += other.too_large;
    }
}

/// Leaves out the samples that do not count.
#[derive(Debug)]
pub struct Screen {
    nan: NanInterpretation,
    /// How many samples were left out so far.
    pub dropped: Dropped,
    /// The samples that count, if others were left out.
    left: Vec<Sample>,
}

impl Screen {
    /// A screen for samples of a kind. A NaN of a counter is always left out, whatever `nan_interpretation` says.
    pub fn of(kind: SampleKind) -> Screen {
        let nan = match kind {
            SampleKind::Gauge(nan) => nan,
            SampleKind::Counter(_) => NanInterpretation::None,
        };
        Screen { nan, dropped: Dropped::default(), left: Vec::new() }
    }

    /// The samples that count. Their values are finite.
    pub fn finite<'s>(&'s mut self, samples: &'s [Sample]) -> &'s [Sample] {
        if samples.iter().all(|sample| sample.value.is_finite()) {
            return samples;
        }
        self.left.clear();
        for &(mut sample) in samples {
            if self.admit(&mut sample) {
                self.left.push(sample);
            }
        }
        &self.left
    }

    /// The samples of a list that count. Their values are finite. This removes the others in place.
    pub fn retain_finite(&mut self, mut samples: Vec<Sample>) -> Vec<Sample> {
        samples.retain_mut(|sample| self.admit(sample));
        samples
    }

    /// Whether a sample counts. A NaN may become 0 in it.
    fn admit(&mut self, sample: &mut Sample) -> bool {
        if sample.value.is_finite() {
            return true;
        }
        if sample.value.is_infinite() {
            self.dropped.infinite += 1;
            return false;
        }
        if self.nan == NanInterpretation::Zero {
            sample.value = 0.0;
            return true;
        }
        self.dropped.nan += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_and_infinities_are_left_out_and_counted() {
        let check = |mut screen: Screen, expected: &[(i64, f64)], dropped: Dropped| {
            let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 4.0, -0.0];
            let given: Vec<Sample> = (1..).zip(values).map(|(at, value)| Sample { at, value }).collect();
            let pairs = |left: &[Sample]| left.iter().map(|sample| (sample.at, sample.value)).collect::<Vec<_>>();
            assert_eq!(pairs(screen.finite(&given)), expected);
            assert_eq!(screen.finite(&given[3..]), &given[3..]);
            assert_eq!(screen.dropped, dropped);
            assert_eq!(pairs(&screen.retain_finite(given)), expected);
        };
        let numbers = [(4, 4.0), (5, 0.0)];
        check(
            Screen::of(SampleKind::Gauge(NanInterpretation::None)),
            &numbers,
            Dropped { nan: 1, infinite: 2, too_large: 0 },
        );
        check(Screen::of(SampleKind::Counter(None)), &numbers, Dropped { nan: 1, infinite: 2, too_large: 0 });
        let with_zero = [(1, 0.0), (4, 4.0), (5, 0.0)];
        check(
            Screen::of(SampleKind::Gauge(NanInterpretation::Zero)),
            &with_zero,
            Dropped { nan: 0, infinite: 2, too_large: 0 },
        );
    }
}
