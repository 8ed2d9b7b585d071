//! Sums with an error far below the last digit, and without an overflow of intermediate results.

/// A sum that exceeds the largest number continues in units of 2^64. No query has enough values to overflow that.
const UNIT: f64 = 18_446_744_073_709_551_616.0;

/// A number with twice the digits of an `f64`: a sum, and the sum of its rounding errors. So the order of the numbers makes no
/// difference to the rounded result, except in extreme cases.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Twofold {
    high: f64,
    low: f64,
}

impl Twofold {
    /// A number without a rounding error.
    pub(super) fn of(value: f64) -> Twofold {
        Twofold { high: value, low: 0.0 }
    }

    /// The sum of two numbers. Knuth's two-sum gives the exact rounding error of the high parts.
    #[inline]
    pub(super) fn plus(self, other: Twofold) -> Twofold {
        let high = self.high + other.high;
        let of_other = high - self.high;
        let lost = (self.high - (high - of_other)) + (other.high - of_other);
        // The rounding error of an infinite sum is NaN.
        let low = if high.is_finite() { self.low + other.low + lost } else { 0.0 };
        Twofold { high, low }
    }

    /// The nearest `f64`.
    pub(super) fn value(self) -> f64 {
        self.high + self.low
    }

    fn divided(self, by: f64) -> Twofold {
        Twofold { high: self.high / by, low: self.low / by }
    }
}

/// A sum of finite numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    sum: Twofold,
    /// Whether the sum counts [`UNIT`]s.
    is_in_units: bool,
}

impl Sum {
    /// Adds a finite number.
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        if !self.is_in_units {
            let sum = self.sum.plus(Twofold::of(value));
            if sum.high.is_finite() {
                self.sum = sum;
                return;
            }
            *self = Sum { sum: self.sum.divided(UNIT), is_in_units: true };
        }
        self.sum = self.sum.plus(Twofold::of(value / UNIT));
    }

    /// Adds another sum.
    pub(super) fn add_sum(&mut self, other: Sum) {
        let in_units = |sum: Sum| if sum.is_in_units { sum.sum } else { sum.sum.divided(UNIT) };
        let sum = self.sum.plus(other.sum);
        let is_in_units = self.is_in_units || other.is_in_units || !sum.high.is_finite();
        self.sum = if is_in_units { in_units(*self).plus(in_units(other)) } else { sum };
        self.is_in_units = is_in_units;
    }

    /// The sum, or infinity if it exceeds the largest `f64`.
    pub(super) fn value(self) -> f64 {
        self.divided(1.0)
    }

    /// The sum divided by a number.
    pub(super) fn divided(self, by: f64) -> f64 {
        let quotient = self.sum.value() / by;
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
    fn sums_of_parts_add_up_to_the_sum_of_all() {
        const BIG: f64 = 1.2e308;
        for (one, other, expected) in [
            (&[][..], &[][..], 0.0),
            (&[1.0, 1e100], &[1.0, -1e100], 2.0),
            (&[BIG], &[BIG, -BIG], BIG),
            (&[BIG, BIG], &[-BIG], BIG),
            (&[BIG, BIG], &[-BIG, -BIG, 5.0], 5.0),
        ] {
            let mut whole = sum(one);
            whole.add_sum(sum(other));
            assert_eq!(whole.value(), expected, "{one:?} {other:?}");
        }
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
