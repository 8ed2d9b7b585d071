//! Sums of any numbers: as exact as can be, and without an overflow on the way.

/// Beyond the largest number, a sum goes on in units of 2^64, for which the billions of billions of numbers that it would take
/// to overflow again do not exist.
const UNIT: f64 = 18_446_744_073_709_551_616.0;

/// A sum, with what was lost by rounding (Neumaier's variant of Kahan's summation).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
    /// Whether both are counted in [`UNIT`]s.
    is_in_units: bool,
}

impl Sum {
    /// Adds a finite number.
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        if self.is_in_units {
            return self.add_scaled(value / UNIT);
        }
        if (self.sum + value).is_finite() {
            return self.add_scaled(value);
        }
        *self = Sum { sum: self.sum / UNIT, lost: self.lost / UNIT, is_in_units: true };
        self.add_scaled(value / UNIT);
    }

    #[inline]
    fn add_scaled(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    /// The sum; infinite if no number is as large.
    pub(super) fn value(self) -> f64 {
        self.divided(1.0)
    }

    /// The sum divided by a number.
    pub(super) fn divided(self, by: f64) -> f64 {
        let quotient = (self.sum + self.lost) / by;
        if self.is_in_units { quotient * UNIT } else { quotient }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> Sum {
        let mut sum = Sum::default();
        values.iter().for_each(|&value| sum.add(value));
        sum
    }

    #[test]
    fn a_sum_loses_nothing_by_rounding_on_the_way() {
        assert_eq!(sum(&[]).value(), 0.0);
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]).value(), 2.0);
        assert_eq!(sum(&[0.1; 10]).value(), 1.0);
        assert_eq!(sum(&[9_007_199_254_740_992.0, 1.0, 1.0]).value(), 9_007_199_254_740_994.0);
    }

    #[test]
    fn a_sum_overflows_only_at_its_end() {
        const BIG: f64 = 1.2e308;
        assert_eq!(sum(&[BIG; 4]).divided(4.0), BIG);
        assert_eq!(sum(&[BIG, BIG, -BIG, 5.0]).value(), BIG);
        assert_eq!(sum(&[-BIG, -BIG, BIG]).value(), -BIG);
        assert_eq!(sum(&[BIG, BIG]).value(), f64::INFINITY);
        let mean = sum(&[f64::MAX; 3]).divided(3.0);
        assert!(mean >= f64::MAX * (1.0 - 1e-15), "{mean}");
    }
}
