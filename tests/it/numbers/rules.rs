//! A row for each input that once failed, with the right value.

use super::{Row, check, check_all, check_values};
use crate::support::ask::{Gateway, METHODS, assert_points};
use crate::support::engine::Engine;
use crate::support::oracle::{COUNTER, GAUGE, Nan, Rules};
use crate::support::samples::{DAY, HOUR, MINUTE, SECOND, T0, one};

/// Gauges whose NaNs count as zero.
const ZERO: Rules = Rules { nan: Nan::Zero, ..GAUGE };

#[test]
fn sum_counts_the_increment_between_two_buckets() {
    let row = Row::new(COUNTER, "burst_total", (T0, T0 + 3 * MINUTE));
    check_values(&row.clone().by("SUM", MINUTE), &[0.0, 100.0, 0.0]);
    check_values(&row.clone().by("SUM", 3 * MINUTE), &[100.0]);
    check(&row.by("SUM_NO_ZEROS", 10 * SECOND));
}

#[test]
fn the_worked_example_of_the_documentation_is_right() {
    let text = include_str!("../../../docs/numbers.md");
    let row = Row::new(COUNTER, "example_requests_total", (T0 + MINUTE, T0 + 2 * MINUTE));
    for (method, value, written) in [
        ("EVENT_COUNT", 5.0, "4 + 1 samples | 5 |"),
        ("SUM", 6050.0, "15 + 5 + 15 + 15 + 6000 = 6050 |"),
        ("MEAN", 50.0 / 60.0 + 100.0, "0.8333 + 100 = 100.8333 |"),
        ("MAX", 101.0, "100 | 101 |"),
        ("MIN", 5.0 / 15.0 + 100.0, "the same totals | 100.3333 |"),
    ] {
        assert!(text.contains(written), "{method}: {written}");
        check_values(&row.clone().by(method, MINUTE), &[value]);
    }
}

#[test]
fn sum_of_a_hundred_counters_counts_one_for_each() {
    let row = Row::new(COUNTER, "once_total", (T0, T0 + HOUR)).by("SUM", MINUTE);
    for engine in Engine::ALL {
        let sums = row.ask(&Gateway::to_engine(engine)).points();
        assert_eq!(sums.iter().map(|point| point[0]).sum::<f64>(), 100.0, "{}: {sums:?}", engine.name());
        assert!(sums.iter().all(|point| point[0].fract() == 0.0), "{}: {sums:?}", engine.name());
    }
    check(&row);
}

#[test]
fn counters_of_two_scrape_intervals_add_up() {
    let row = Row::new(COUNTER, "req_total", (T0 + 10 * MINUTE, T0 + 20 * MINUTE));
    for (method, value) in [("MEAN", 101.0), ("SUM", 6060.0), ("MAX", 101.0), ("MIN", 101.0), ("PERCENTILE_50", 101.0)]
    {
        check_values(&row.clone().by(method, MINUTE), &[value; 10]);
    }
    check_all(&METHODS.map(|method| row.clone().by(method, 20 * SECOND)));
}

#[test]
fn sum_follows_a_scrape_interval_that_changes() {
    let row = Row::new(COUNTER, "changed_total", (T0 + HOUR, T0 + 2 * DAY)).by("SUM", MINUTE);
    check_values(&row, &vec![60.0; 47 * 60]);
}

#[test]
fn a_response_does_not_depend_on_earlier_queries() {
    let hour = (T0 + DAY - HOUR / 2, T0 + DAY + HOUR / 2);
    let row = Row::new(COUNTER, "changed_total", hour);
    for engine in Engine::ALL {
        let used = Gateway::to_engine(engine);
        // The first half hour alone is scraped once a minute, the second four times a minute.
        for range in [(hour.0, T0 + DAY), (T0 + DAY, hour.1), (T0 + DAY, T0 + DAY + MINUTE)] {
            for method in ["MAX", "SUM", "MEAN"] {
                Row { range, ..row.clone() }.by(method, 20 * SECOND).ask(&used).points();
            }
        }
        for (method, value) in [("SUM", 60.0), ("MEAN", 1.0), ("MAX", 1.0), ("MIN", 1.0)] {
            let row = row.clone().by(method, MINUTE);
            row.check_on(engine, &used);
            let (used, fresh) = (row.ask(&used), row.ask(&Gateway::to_engine(engine)));
            assert_eq!(used.text, fresh.text, "{}: {row:?}", engine.name());
            assert!(fresh.points().iter().all(|point| point[0] == value), "{}: {}", engine.name(), fresh.text);
        }
        for method in METHODS {
            let row = row.clone().by(method, 20 * SECOND);
            row.check_on(engine, &used);
        }
    }
}

#[test]
fn rates_survive_four_scrape_intervals() {
    let points = |name, count: usize| {
        let row = Row::new(COUNTER, name, (T0, T0 + 4 * HOUR));
        assert_eq!(row.expected(Engine::Prometheus2).len(), count, "the oracle: {name}");
        check(&row);
        check_all(&METHODS.map(|method| row.clone().by(method, 7 * MINUTE)));
    };
    points("each_5m_total", 19);
    points("each_10m_total", 19);
    // A gap of exactly four intervals has a rate, one that is a millisecond longer has none.
    points("each_100s_total", 28);
    // Of an even number of intervals, the median is the smaller of the two in the middle.
    let row = Row::new(COUNTER, "median_total", (T0, T0 + HOUR));
    check_values(&row.clone().label(&[("item", "400")]), &[1.0; 4]);
    check_values(&row.label(&[("item", "401")]), &[1.0; 3]);
    // One sample does not determine an interval, but the Connection Details can.
    let third = one("each_5m_total", &[]).samples[2].time;
    let told = Rules { scrape_interval: Some(5 * MINUTE), ..COUNTER };
    let row = Row::new(told, "each_5m_total", (third, third));
    assert_eq!(row.expected(Engine::Prometheus2).len(), 1);
    check(&row);
}

#[test]
fn nan_of_a_gauge_is_no_sample_or_zero() {
    let minute = (T0, T0 + MINUTE);
    let below = Row::new(GAUGE, "below_level", minute);
    check_values(&below, &[-6.0, -7.0, -8.0]);
    for (method, value) in [
        ("PERCENTILE_50", -7.0),
        ("MEAN", -7.0),
        ("EVENT_COUNT", 3.0),
        ("EVENT_COUNT_NO_ZEROS", 3.0),
        ("SUM", -21.0),
        ("MAX", -6.0),
        ("MIN", -8.0),
    ] {
        check_values(&below.clone().by(method, MINUTE), &[value]);
    }
    // On VictoriaMetrics, which drops NaN, these have the values without it.
    let below = Row::new(ZERO, "below_level", minute);
    check_values(&below, &[0.0, -6.0, -7.0, -8.0]);
    check_values(&below.clone().by("MAX", MINUTE), &[0.0]);
    check_values(&below.by("EVENT_COUNT", MINUTE), &[4.0]);
    check_values(&Row::new(ZERO, "above_level", minute).by("MEAN", MINUTE), &[15.0]);
    check_values(&Row::new(GAUGE, "above_level", minute).by("MEAN", MINUTE), &[20.0]);
}

#[test]
fn the_mean_of_huge_numbers_does_not_overflow() {
    let row = Row::new(GAUGE, "huge_level", (T0, T0 + MINUTE));
    check_values(&row.clone().by("MEAN", MINUTE), &[1.2e308]);
    check_values(&row.by("PERCENTILE_90", MINUTE), &[1.2e308]);
}

#[test]
fn nan_and_infinity_of_a_counter_are_skipped_as_if_not_scraped() {
    for rules in [COUNTER, Rules { nan: Nan::Zero, ..COUNTER }] {
        let row = Row::new(rules, "infinite_total", (T0, T0 + 3 * MINUTE));
        check_values(&row, &[1.0; 9]);
        check_values(&row.clone().by("SUM", MINUTE), &[45.0, 45.0, 75.0]);
        check_values(&row.clone().by("EVENT_COUNT", MINUTE), &[4.0, 2.0, 4.0]);
        check_all(&METHODS.map(|method| row.clone().by(method, 20 * SECOND)));
    }
}

#[test]
fn a_percentile_of_several_gauges_is_that_of_all_their_samples() {
    let row = Row::new(GAUGE, "queue_depth", (T0, T0 + 3 * HOUR));
    for bucket in [10 * SECOND, MINUTE, HOUR] {
        check_all(&["PERCENTILE_25", "PERCENTILE_50", "PERCENTILE_95"].map(|method| row.clone().by(method, bucket)));
    }
}

#[test]
fn sum_counts_what_grew_in_a_silence_before_the_range() {
    let row = Row::new(COUNTER, "silent_total", (T0, T0 + 3 * HOUR));
    check_values(&row.clone().by("SUM", 3 * HOUR), &[7.0 * 59.0]);
    // In the first silence of half an hour, a range that begins in it finds the sample before it.
    let after = |start: i64| Row { range: (start, start + 2 * MINUTE), ..row.clone() }.by("SUM", 2 * MINUTE);
    let second = one("silent_total", &[]).samples[20].time;
    check_values(&after(second - MINUTE), &[7.0 * 5.0 - 7.0]);
    // The second lasts more than an hour.
    let third = one("silent_total", &[]).samples[40].time;
    check_values(&after(third - MINUTE), &[7.0 * 4.0]);
    check_values(&after(third), &[7.0 * 8.0]);
    check_all(&METHODS.map(|method| row.clone().by(method, 4 * MINUTE)));
}

#[test]
fn counters_that_are_scraped_seldom_have_the_same_rate_in_every_range() {
    for minutes in [0, 17, 45, 72, 89] {
        let start = T0 + 30 * HOUR + minutes * MINUTE;
        let both = Row::new(COUNTER, "seldom_total", (start, start + 20 * MINUTE));
        for method in ["MEAN", "MAX", "MIN", "PERCENTILE_50"] {
            check_values(&both.clone().by(method, 5 * MINUTE), &[101.0; 4]);
        }
        let seldom = both.clone().label(&[("scraped", "seldom")]);
        check_values(&seldom.clone().by("MEAN", 10 * MINUTE), &[1.0; 2]);
        check_all(&METHODS.map(|method| seldom.clone().by(method, 5 * MINUTE)));
    }
    let seldom = Row::new(COUNTER, "seldom_total", (T0 + 30 * HOUR, T0 + 30 * HOUR + MINUTE));
    check_values(&seldom.label(&[("scraped", "seldom")]), &[1.0]);
}

#[test]
fn the_interval_before_a_range_has_its_rate_where_scrapes_become_frequent() {
    let first = one("hastened_total", &[]).samples[19].time;
    for start in [first, first - 1] {
        let row = Row::new(COUNTER, "hastened_total", (start, first + MINUTE));
        check_values(&row, &[1.0; 5]);
        check_values(&row.clone().by("MEAN", MINUTE), &[1.0]);
    }
}

#[test]
fn a_silence_is_no_interval_with_a_rate_however_far_back_samples_are_read() {
    let last = one("resumed_total", &[]).samples[11].time;
    for start in [last + 345 * MINUTE, last + 30 * MINUTE, last + 61 * MINUTE] {
        let row = Row::new(COUNTER, "resumed_total", (start, last + 595 * MINUTE));
        check(&row);
        check_all(&["MEAN", "MAX", "PERCENTILE_50", "SUM"].map(|method| row.clone().by(method, 10 * MINUTE)));
    }
    // After the silence, the second and the third sample have a rate, and each rate is known for an hour.
    let row = Row::new(COUNTER, "resumed_total", (last + 345 * MINUTE, last + 595 * MINUTE));
    check_values(&row.by("MEAN", 10 * MINUTE), &[1.0; 4]);
}

#[test]
fn a_first_interval_of_more_than_an_hour_has_no_rate_in_any_range() {
    let second = one("revived_total", &[]).samples[1].time;
    for minutes in [301, 300, 299, 120, 61, 60, 59, 1, 0] {
        let row = Row::new(COUNTER, "revived_total", (second - minutes * MINUTE, second + MINUTE));
        check_values(&row, &[1.0; 4]);
        for method in ["MEAN", "MAX", "MIN", "PERCENTILE_50"] {
            check_values(&row.clone().by(method, MINUTE), &[1.0]);
        }
        let [.., last] = &row.clone().by("SUM", MINUTE).expected(Engine::Prometheus2)[..] else { panic!() };
        assert_eq!(last[0], 540.0 + 3.0 * 15.0);
        check(&row.by("SUM", MINUTE));
    }
    // A scrape interval that is given says otherwise.
    let rules = Rules { scrape_interval: Some(90 * MINUTE), ..COUNTER };
    check_values(&Row::new(rules, "revived_total", (second, second)), &[540.0 / 18_000.0]);
}

#[test]
fn the_rate_before_a_range_is_known_where_scrapes_become_frequent() {
    let last = one("quickened_total", &[]).samples[4].time;
    let row = Row::new(COUNTER, "quickened_total", (last + 4 * MINUTE, last + 5 * MINUTE));
    for method in ["MEAN", "MAX", "MIN", "PERCENTILE_50"] {
        check_values(&row.clone().by(method, 5 * SECOND), &[1.0; 12]);
    }
}

/// Which interval is a gap depends on the five intervals before it, which may lie long before the range.
#[test]
fn the_rate_before_a_range_is_known_by_all_intervals_before_it() {
    for (name, minutes, expected) in [("hesitant_total", 285, &[1.0][..]), ("thinned_total", 105, &[])] {
        let start = T0 + minutes * MINUTE;
        let row = Row::new(COUNTER, name, (start, start + 5 * MINUTE));
        for method in ["MEAN", "MAX", "MIN", "PERCENTILE_50"] {
            check_values(&row.clone().by(method, 5 * MINUTE), expected);
            // A range that begins earlier has the same point.
            check(&Row { range: (T0, start + 5 * MINUTE), ..row.clone() }.by(method, 5 * MINUTE));
        }
    }
}

#[test]
fn sum_counts_what_grew_in_a_silence_whatever_the_scrape_interval_is_said_to_be() {
    let third = one("silent_total", &[]).samples[40].time;
    for minutes in [1, 5, 20, 60] {
        let rules = Rules { scrape_interval: Some(minutes * MINUTE), ..COUNTER };
        let row = Row::new(rules, "silent_total", (third - MINUTE, third + MINUTE));
        check_values(&row.by("SUM", 2 * MINUTE), &[7.0 * 4.0]);
    }
}

#[test]
fn no_rate_is_known_after_a_gap() {
    let row = Row::new(COUNTER, "bursting_total", (T0 + 3_210 * SECOND, T0 + 3_570 * SECOND));
    check_values(&row, &[2.0; 4]);
    for method in ["MAX", "MIN", "MEAN", "PERCENTILE_95"] {
        check_values(&row.clone().by(method, 6 * MINUTE), &[2.0]);
    }
    // The rate before the gap is known until the gap ends, which is before twice its interval.
    check_values(&row.clone().by("MAX", MINUTE), &[50.0, 50.0, 50.0, 50.0, 50.0, 2.0]);
    check_all(&METHODS.map(|method| row.clone().by(method, 30 * SECOND)));
}

#[test]
fn several_counters_follow_the_rules_of_each() {
    for name in ["http_requests_total", "uneven_total", "handover_total", "gappy_total", "once_total"] {
        let row = Row::new(COUNTER, name, (T0 + 17 * MINUTE, T0 + 75 * MINUTE));
        for bucket in [10 * SECOND, 61_003, 20 * MINUTE] {
            check_all(&METHODS.map(|method| row.clone().by(method, bucket)));
        }
    }
}

#[test]
fn a_staleness_marker_is_no_sample() {
    let range = (T0 + 20 * DAY, T0 + 20 * DAY + 12 * MINUTE);
    let markers = one("marked_level", &[]).samples.iter().filter(|sample| sample.is_stale()).count();
    assert_eq!(markers, 3);
    for rules in [GAUGE, ZERO] {
        let level = Row::new(rules, "marked_level", range);
        let expected = level.expected(Engine::Prometheus2);
        assert!(expected.len() == 33 && expected.iter().all(|point| point[0] >= 1000.0));
        check(&level);
        check_all(&METHODS.map(|method| level.clone().by(method, MINUTE)));
    }
    let total = Row::new(COUNTER, "marked_total", range);
    check_values(&total, &[2.0; 32]);
    check_all(&METHODS.map(|method| total.clone().by(method, MINUTE)));
}

#[test]
fn sum_and_event_count_alone_are_zero_without_samples() {
    // From before the first sample until after the last.
    let range = (T0 - 5 * MINUTE, T0 + 9 * MINUTE);
    for (rules, name) in [(GAUGE, "below_level"), (COUNTER, "burst_total")] {
        let row = Row::new(rules, name, range);
        for (method, count) in [("SUM", 14), ("EVENT_COUNT", 14)] {
            let row = row.clone().by(method, MINUTE);
            assert_eq!(row.expected(Engine::Prometheus2).len(), count);
            check(&row);
        }
        check_all(&METHODS.map(|method| row.clone().by(method, MINUTE)));
    }
}

#[test]
fn the_aggregate_of_one_series_is_that_of_its_raw_points() {
    // `by_hand` has the oracle's own rule; here both responses are the mirror's.
    let row = Row::new(COUNTER, "jobs_15s_total", (T0 + HOUR, T0 + 2 * HOUR));
    for engine in Engine::ALL {
        let gateway = Gateway::to_engine(engine);
        let raw = row.ask(&gateway).points();
        for (method, better) in [("MAX", f64::max as fn(f64, f64) -> f64), ("MIN", f64::min)] {
            let row = row.clone().by(method, MINUTE);
            let (start, end) = row.range;
            let inside = |from: i64| raw.iter().filter(move |p| from as f64 <= p[1] && p[1] < (from + MINUTE) as f64);
            let best = |from: i64| inside(from).map(|point| point[0]).reduce(better).unwrap();
            let starts = (start..end).step_by(MINUTE as usize);
            let points: Vec<_> = starts.map(|from| vec![best(from), from as f64, (from + MINUTE) as f64]).collect();
            assert_points(&row.ask(&gateway), &points, 0.0, &format!("{}: {method}", engine.name()));
        }
    }
}

#[test]
fn a_counter_scraped_once_has_no_rate_but_is_counted() {
    let first = one("burst_total", &[]).samples[0].time;
    let row = Row::new(COUNTER, "burst_total", (T0, first + 8 * SECOND));
    check_values(&row, &[]);
    check_values(&row.clone().by("EVENT_COUNT", 15 * SECOND), &[1.0]);
    check_values(&row.clone().by("SUM", 15 * SECOND), &[0.0]);
    for method in ["MEAN", "MAX", "MIN", "PERCENTILE_50"] {
        check_values(&row.clone().by(method, 15 * SECOND), &[]);
    }
}
