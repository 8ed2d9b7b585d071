//! Buckets of sizes that engines round: if an engine uses 2097 ms for a step of 2098 ms, the grid moves by a millisecond with each
//! bucket.

use super::{Row, check_all};
use crate::support::ask::{Gateway, METHODS, Query, assert_points};
use crate::support::engine::Engine;
use crate::support::oracle::{COUNTER, GAUGE, Nan};
use crate::support::samples::{HOUR, MINUTE, SECOND, Sample, Series, T0, one, series};

/// Milliseconds, with the times that such buckets may be counted from.
const BUCKETS: [i64; 7] = [1001, 2050, 2098, 4100, 16_900, 67_588, 128_617];
const STARTS: [i64; 2] = [T0 + HOUR, T0 + HOUR + 7123];

/// Up to 150 buckets.
fn range(start: i64, bucket: i64) -> (i64, i64) {
    (start, (start + 150 * bucket).min(T0 + 3 * HOUR))
}

#[test]
fn every_method_of_a_gauge_keeps_the_grid() {
    for start in STARTS {
        for bucket in BUCKETS {
            let row = Row::new(GAUGE, "queue_depth", range(start, bucket));
            check_all(&METHODS.map(|method| row.clone().by(method, bucket).label(&[("pod", "a")])));
            check_all(&["MEAN", "SUM", "PERCENTILE_75"].map(|method| row.clone().by(method, bucket)));
        }
    }
}

#[test]
fn every_method_of_a_counter_keeps_the_grid() {
    for start in STARTS {
        for bucket in BUCKETS {
            let row = Row::new(COUNTER, "http_requests_total", range(start, bucket));
            check_all(&METHODS.map(|method| row.clone().by(method, bucket).label(&[("pod", "a"), ("code", "200")])));
            check_all(&["MEAN", "SUM", "MAX"].map(|method| row.clone().by(method, bucket)));
        }
    }
}

#[test]
fn every_method_of_an_expression_keeps_the_grid() {
    for engine in Engine::ALL {
        let gateway = Gateway::to_engine(engine);
        for start in STARTS {
            for bucket in BUCKETS {
                let (start, end) = range(start, bucket);
                let evaluated = evaluated(one("room_celsius", &[]), start, end, bucket);
                for method in METHODS {
                    let query = Query::expression("room_celsius").between(start, end).aggregated(method, bucket);
                    let expected = GAUGE.buckets(&[&evaluated], method, (start, end), bucket);
                    let what = format!("{}: {method} by {bucket} ms from {start}", engine.name());
                    assert_points(&gateway.ask(&query), &expected, engine.tolerance(), &what);
                }
            }
        }
    }
}

/// A gauge where a subquery evaluates it: every 15 s, or once in a shorter bucket, at multiples of that; there it has its
/// newest value.
fn evaluated(gauge: &Series, start: i64, end: i64, bucket: i64) -> Series {
    let resolution = (15 * SECOND).min(bucket).max((bucket + 119) / 120);
    let first = (start + resolution - 1) / resolution;
    let newest = |time: i64| gauge.samples.iter().rfind(|sample| sample.time <= time).map(|sample| sample.value);
    let times = (first..=end / resolution).map(|n| n * resolution);
    series("evaluated", &[], times.map(|time| Sample { time, value: newest(time).unwrap() }).collect())
}

#[test]
fn raw_expressions_keep_the_grid() {
    for engine in Engine::ALL {
        let gateway = Gateway::to_engine(engine);
        for step in BUCKETS {
            let (start, end) = range(T0 + HOUR + 7123, step);
            let gauge = one("room_celsius", &[]);
            let newest = |time: i64| gauge.samples.iter().rfind(|sample| sample.time <= time).unwrap().value;
            let times = (start..=end).step_by(step as usize);
            let expected: Vec<_> = times.map(|time| vec![newest(time), time as f64]).collect();
            let mut details = gateway.details.clone();
            details["scrapeInterval"] = step.into();
            let response = gateway.mirror.metric(&details, Query::expression("room_celsius").between(start, end).0);
            assert_points(&response, &expected, engine.tolerance(), &format!("{}: {step} ms", engine.name()));
        }
    }
}

#[test]
fn buckets_of_a_millisecond_are_exact_too() {
    let range = (T0 + MINUTE - 6, T0 + MINUTE + 6);
    for bucket in [1, 2, 3, 5] {
        check_all(&METHODS.map(|method| Row::new(GAUGE, "edge_level", range).by(method, bucket)));
        check_all(&METHODS.map(|method| Row::new(COUNTER, "edge_level", range).by(method, bucket)));
    }
}

#[test]
fn nan_as_zero_changes_no_grid() {
    let mut row = Row::new(GAUGE, "odd_level", (T0, T0 + HOUR));
    for nan in [Nan::None, Nan::Zero] {
        row.rules.nan = nan;
        check_all(&METHODS.map(|method| row.clone().by(method, 45_001)));
    }
}
