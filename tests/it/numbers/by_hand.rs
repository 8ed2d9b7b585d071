//! The oracle: small series, worked out on paper.

use crate::support::oracle::{COUNTER, GAUGE, Nan, Rules};
use crate::support::samples::{HOUR, MINUTE, STALE, Sample, Series, series};

/// A series of seconds and values.
fn of(samples: &[(i64, f64)]) -> Series {
    series("x", &[], samples.iter().map(|(second, value)| Sample { time: second * 1000, value: *value }).collect())
}

/// The values of buckets of this number of seconds from second 0 to `end`, NaN if there is no point.
fn values(rules: Rules, series: &[&Series], method: &str, bucket: i64, end: i64) -> Vec<f64> {
    let points = rules.buckets(series, method, (0, end * 1000), bucket * 1000);
    let mut values = vec![f64::NAN; (end / bucket) as usize];
    for point in points {
        assert_eq!(point[2] - point[1], bucket as f64 * 1000.0);
        values[(point[1] / 1000.0) as usize / bucket as usize] = point[0];
    }
    values
}

fn check(rules: Rules, series: &[&Series], bucket: i64, end: i64, rows: &[(&str, &[f64])]) {
    for (method, expected) in rows {
        let values = values(rules, series, method, bucket, end);
        let same = values.len() == expected.len()
            && values.iter().zip(*expected).all(|(a, b)| (a - b).abs() < 1e-12 || a.is_nan() && b.is_nan());
        assert!(same, "{method}: {values:?}, not {expected:?}");
    }
}

const NO: f64 = f64::NAN;

#[test]
fn gauges_are_pooled() {
    let (a, b) = (of(&[(0, 1.0), (10, 2.0), (19, 6.0), (40, 4.0)]), of(&[(5, 7.0), (20, NO), (45, f64::INFINITY)]));
    // The buckets hold 1 2 6 7 | nothing but NaN | 4.
    let rows: &[(&str, &[f64])] = &[
        ("EVENT_COUNT", &[4.0, 0.0, 1.0]),
        ("EVENT_COUNT_NO_ZEROS", &[4.0, NO, 1.0]),
        ("SUM", &[16.0, 0.0, 4.0]),
        ("SUM_NO_ZEROS", &[16.0, NO, 4.0]),
        ("MEAN", &[4.0, NO, 4.0]),
        ("MAX", &[7.0, NO, 4.0]),
        ("MIN", &[1.0, NO, 4.0]),
        // Ranks 0.75, 1.5 and 2.7 of 1 2 6 7.
        ("PERCENTILE_25", &[1.75, NO, 4.0]),
        ("PERCENTILE_50", &[4.0, NO, 4.0]),
        ("PERCENTILE_90", &[6.7, NO, 4.0]),
    ];
    check(GAUGE, &[&a, &b], 20, 60, rows);
    let zero = Rules { nan: Nan::Zero, ..GAUGE };
    check(zero, &[&a, &b], 20, 60, &[("EVENT_COUNT", &[4.0, 1.0, 1.0]), ("MAX", &[7.0, 0.0, 4.0])]);
    // A whole bucket ends within the range.
    check(GAUGE, &[&a, &b], 20, 59, &[("EVENT_COUNT", &[4.0, 0.0])]);
}

#[test]
fn one_counter() {
    // Rates:        10 s: 2       20 s: 3        40 s: 1 (a reset)  100 s: 0.5
    let a = of(&[(0, 50.0), (10, 70.0), (20, 100.0), (40, 20.0), (100, 50.0)]);
    let points = COUNTER.raw(&a, 0, 100_000);
    assert_eq!(points, [[2.0, 10_000.0], [3.0, 20_000.0], [1.0, 40_000.0], [0.5, 100_000.0]]);
    let rows: &[(&str, &[f64])] = &[
        // Buckets of 25 s hold the samples of 0 10 20 | 40 | none | none | 100 | none.
        ("EVENT_COUNT", &[3.0, 1.0, 0.0, 0.0, 1.0, 0.0]),
        ("SUM", &[50.0, 20.0, 0.0, 0.0, 30.0, 0.0]),
        ("SUM_NO_ZEROS", &[50.0, 20.0, NO, NO, 30.0, NO]),
        // 50 in 20 s; the rate of 40 s is known until 80 s, which is past 74.999 s and before 99.999 s.
        ("MEAN", &[2.5, 1.0, 1.0, NO, 0.5, 0.5]),
        ("MAX", &[3.0, 1.0, 1.0, NO, 0.5, 0.5]),
        ("MIN", &[2.0, 1.0, 1.0, NO, 0.5, 0.5]),
        // At 0 s there is no rate: 2 and 3 are left.
        ("PERCENTILE_50", &[2.5, 1.0, 1.0, NO, 0.5, 0.5]),
    ];
    check(COUNTER, &[&a], 25, 150, rows);
}

#[test]
fn the_rate_last_known_ends_after_twice_its_interval() {
    let a = of(&[(0, 0.0), (10, 10.0)]);
    // Buckets of a second: the last milliseconds are 29.999 s, 30.999 s; known until 30 s.
    let means = values(COUNTER, &[&a], "MEAN", 1, 40);
    assert!(means[..10].iter().all(|mean| mean.is_nan()) && means[30..].iter().all(|mean| mean.is_nan()));
    assert!(means[10..30].iter().all(|mean| *mean == 1.0), "{means:?}");
    // At exactly 30 s it is still known: a sample of another counter there makes a value.
    let b = of(&[(30, 1.0)]);
    check(COUNTER, &[&a, &b], 31, 62, &[("MAX", &[1.0, NO]), ("MIN", &[1.0, NO])]);
    let maxima = values(COUNTER, &[&a, &b], "MAX", 1, 40);
    assert!(maxima[30] == 1.0 && maxima[31].is_nan(), "{maxima:?}");
}

#[test]
fn several_counters() {
    let (a, b) = (of(&[(0, 0.0), (10, 10.0), (19, 37.0)]), of(&[(0, 0.0), (15, 75.0)]));
    // a: 1/s at 10 s, 3/s at 19 s, known until 37 s. b: 5/s at 15 s, known until 45 s.
    // R is nothing at 0, 1 at 10, 1 + 5 at 15, 3 + 5 at 19, and 5 at 39.999 s.
    let rows: &[(&str, &[f64])] = &[
        ("MAX", &[8.0, 5.0, NO]),
        ("MIN", &[1.0, 5.0, NO]),
        ("PERCENTILE_50", &[6.0, 5.0, NO]),
        ("MEAN", &[37.0 / 19.0 + 5.0, 5.0, NO]),
        ("SUM", &[112.0, 0.0, 0.0]),
        ("SUM_NO_ZEROS", &[112.0, NO, NO]),
        ("EVENT_COUNT", &[5.0, 0.0, 0.0]),
    ];
    check(COUNTER, &[&a, &b], 20, 60, rows);
}

#[test]
fn two_counters_sampled_at_once_are_one_instant() {
    let (a, b) = (of(&[(0, 0.0), (10, 10.0)]), of(&[(0, 0.0), (10, 20.0), (15, 20.0)]));
    // 3 at 10 s, 1 + 0 at 15 s: were 10 s counted twice, the median would be 3.
    check(COUNTER, &[&a, &b], 20, 20, &[("PERCENTILE_50", &[2.0]), ("MAX", &[3.0]), ("MIN", &[1.0])]);
}

#[test]
fn what_is_no_number_was_not_scraped() {
    let a = of(&[(0, 0.0), (10, NO), (20, f64::INFINITY), (30, 30.0), (40, STALE), (50, 50.0)]);
    assert_eq!(COUNTER.raw(&a, 0, 60_000), [[1.0, 30_000.0], [1.0, 50_000.0]]);
    check(COUNTER, &[&a], 60, 60, &[("EVENT_COUNT", &[3.0]), ("SUM", &[50.0]), ("MEAN", &[1.0])]);
    let zero = Rules { nan: Nan::Zero, ..COUNTER };
    check(zero, &[&a], 60, 60, &[("EVENT_COUNT", &[3.0]), ("SUM", &[50.0])]);
    let zero = Rules { nan: Nan::Zero, ..GAUGE };
    check(zero, &[&a], 60, 60, &[("EVENT_COUNT", &[4.0]), ("SUM", &[80.0])]);
}

#[test]
fn gaps_have_no_rate_but_are_summed() {
    // Spacings 10 10 301 10 10: the median is 10, so that 5 minutes bound a gap.
    let a = of(&[(0, 0.0), (10, 10.0), (20, 20.0), (321, 321.0), (331, 331.0), (341, 341.0)]);
    assert_eq!(COUNTER.raw(&a, 0, 400_000).len(), 4);
    // The bucket of 321 s has no interval, and at its only sample no rate is known.
    check(
        COUNTER,
        &[&a],
        30,
        360,
        &[
            ("SUM", &[20.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 301.0, 20.0]),
            ("MEAN", &[1.0, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 1.0]),
            ("MAX", &[1.0, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 1.0]),
        ],
    );
    // The median of an even number is the smaller of the middle ones: of 100 and 101 s it is 100 s, four times that 400 s.
    for (gap, rates) in [(400, 4), (401, 3)] {
        let times = [0, 100, 200, 301, 301 + gap];
        let b = of(&times.map(|time| (time, time as f64)));
        // The spacings are 100 100 101 and the gap.
        assert_eq!(COUNTER.raw(&b, 0, HOUR).len(), rates, "a gap of {gap} s");
    }
    // Told that it is scraped each 100 s, a gap of 400 s has a rate.
    for (interval, rates) in [(None, 1), (Some(99_999), 1), (Some(100_000), 2)] {
        let rules = Rules { scrape_interval: interval, ..COUNTER };
        let c = of(&[(0, 0.0), (10, 10.0), (20, 20.0), (420, 420.0)]);
        assert_eq!(rules.raw(&c, 15_000, HOUR).len(), rates, "{interval:?}");
    }
}

#[test]
fn what_is_read_before_the_range_counts_for_it() {
    let a = of(&[(0, 0.0), (15, 15.0), (30, 30.0), (1030, 1030.0), (1045, 1045.0)]);
    let range = (1_020_000, 1_080_000);
    let sum = |look_back| Rules { look_back, ..COUNTER }.buckets(&[&a], "SUM", range, MINUTE)[0][0];
    assert_eq!((sum(None), sum(Some(5 * MINUTE)), sum(Some(HOUR))), (1015.0, 15.0, 1015.0));
    // The sample exactly as long before is read.
    let a = of(&[(0, 0.0), (15, 15.0), (30, 30.0)]);
    let rates = |look_back| Rules { look_back: Some(look_back), ..COUNTER }.raw(&a, 15_001, HOUR).len();
    assert_eq!((rates(15_001), rates(1), rates(0)), (1, 1, 0));
}
