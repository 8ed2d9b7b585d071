//! Series for the rules of the numbers. With each, a wrong rule gives a wrong number.

use super::{DAY, HOUR, MINUTE, SECOND, STALE, Sample, Series, T0, series};

/// No random numbers are drawn for these.
pub fn numbers() -> Vec<Series> {
    let mut all = Vec::new();
    let mut add = |name, labels: &[(&'static str, &str)], samples: Vec<Sample>| all.push(series(name, labels, samples));

    // Its only increment lies between the last scrape of one minute and the first of the next.
    add(
        "burst_total",
        &[("shift", "late")],
        every(T0 + 7 * SECOND, 15 * SECOND, 12, |n| if n < 4 { 0.0 } else { 100.0 }),
    );
    // A hundred that count to one each, at a hundred times.
    for which in 0..100 {
        let value = |n| if n > 3 + which % 75 { 6.0 } else { 5.0 };
        add("once_total", &[("item", &which.to_string())], every(T0 + 131 * i64::from(which), 15 * SECOND, 80, value));
    }
    // One a second and a hundred a second, scraped at different intervals.
    add("req_total", &[("job", "quick")], every(T0 + 5 * SECOND, 15 * SECOND, 240, |n| f64::from(15 * n)));
    add("req_total", &[("job", "slow")], every(T0 + 33 * SECOND, 60 * SECOND, 60, |n| f64::from(6000 * n)));
    // One a second; scraped each minute on the first day, four times a minute on the second.
    let first = every(T0 + 56 * SECOND, 60 * SECOND, 1440, |n| f64::from(60 * n));
    let second = every(T0 + DAY + 11 * SECOND, 15 * SECOND, 5760, |n| 86_355.0 + f64::from(15 * n));
    add("changed_total", &[("shift", "both")], [first, second].concat());
    // A scrape interval of exactly the longest gap that a rate survives, with a jitter of 1 to 3 ms.
    let jitter = |n: i32| i64::from(1 + n % 3);
    let mut samples = every(T0, 5 * MINUTE, 20, |n| f64::from(300 * n));
    (0..).zip(&mut samples).for_each(|(n, sample)| sample.time += jitter(n));
    add("each_5m_total", &[("shift", "late")], samples);
    add("each_10m_total", &[("shift", "late")], every(T0 + 3 * SECOND, 10 * MINUTE, 20, |n| f64::from(600 * n)));
    // Scraped every 100 s, with a gap of 6 min 40 s, which is four times the interval, and one that is a millisecond longer.
    let silences = |n: i32| {
        if n < 10 {
            0
        } else if n < 20 {
            300_000
        } else {
            600_001
        }
    };
    let mut samples = every(T0 + 3 * SECOND, 100 * SECOND, 30, |n| f64::from(n * n));
    (0..).zip(&mut samples).for_each(|(n, sample)| sample.time += silences(n));
    add("each_100s_total", &[("shift", "late")], samples);
    // Intervals of 100, 100 and 101 s and one of 400 or 401 s. Four times their median are 400 s: of the two in the middle, 100 and
    // 101 s, the median is the smaller.
    for gap in [400, 401] {
        let at = |second: i64| Sample { time: T0 + 7 * SECOND + second * SECOND, value: second as f64 };
        add("median_total", &[("item", &gap.to_string())], [0, 100, 200, 301, 301 + gap].map(at).to_vec());
    }
    // The worked example of docs/numbers.md; its clock begins at T0.
    let api = [100.0, 115.0, 130.0, 145.0, 160.0, 5.0, 20.0, 35.0, 50.0];
    add("example_requests_total", &[("job", "api")], every(T0 + 7 * SECOND, 15 * SECOND, 9, |n| api[n as usize]));
    let batch = every(T0 + 7 * SECOND, 60 * SECOND, 3, |n| f64::from(6000 * (n + 1)));
    add("example_requests_total", &[("job", "batch")], batch);
    // A metric that got another name.
    add("renamed_level", &[("shift", "late")], every(T0 + 2 * SECOND, 15 * SECOND, 80, f64::from));
    add("renamed_level_celsius", &[("shift", "late")], every(T0 + 40 * MINUTE, 15 * SECOND, 80, f64::from));
    // All labels of one are also labels of another: no value of a label selects it alone.
    add("subset_level", &[("rack", "r1")], every(T0 + 5 * SECOND, 15 * SECOND, 20, f64::from));
    add(
        "subset_level",
        &[("rack", "r1"), ("side", "left")],
        every(T0 + 5 * SECOND, 15 * SECOND, 20, |n| f64::from(-n)),
    );
    // NaNs, and numbers whose sum overflows.
    let of = |values: [f64; 4]| every(T0 + 5 * SECOND, 15 * SECOND, 4, move |n| values[n as usize]);
    add("below_level", &[("shift", "late")], of([f64::NAN, -6.0, -7.0, -8.0]));
    add("above_level", &[("shift", "late")], of([10.0, f64::NAN, 20.0, 30.0]));
    add("huge_level", &[("shift", "late")], of([1.2e308; 4]));
    // One scrape of ten is infinite, another NaN.
    let infinite = |n| [f64::from(15 * n), f64::INFINITY, f64::NAN][if n == 4 { 1 } else { usize::from(n == 7) * 2 }];
    add("infinite_total", &[("shift", "late")], every(T0 + 5 * SECOND, 15 * SECOND, 12, infinite));
    // One per second: scraped every 15 s for two hours, then every minute.
    let fast = every(T0 + 5 * SECOND, 15 * SECOND, 480, |n| f64::from(15 * n));
    let slow = every(T0 + 2 * HOUR + 5 * SECOND, MINUTE, 60, |n| f64::from(7_200 + 60 * n));
    add("slowing_total", &[], [fast, slow].concat());
    // One per second each: a pod is scraped every 15 s for five minutes, then comes the next; a proxy is scraped every 20 minutes.
    for nth in 0..12 {
        let pod = every(T0 + nth * 5 * MINUTE + 5 * SECOND, 15 * SECOND, 20, |n| f64::from(15 * n));
        add("churning_total", &[("turn", &format!("p{nth}"))], pod);
    }
    add("churning_total", &[("turn", "proxy")], every(T0 + SECOND, 20 * MINUTE, 4, |n| f64::from(1_200 * n)));
    // One per second each, one of them scraped every half hour.
    add("mingled_total", &[("shift", "quick")], every(T0 + 5 * SECOND, 15 * SECOND, 1_200, |n| f64::from(15 * n)));
    add("mingled_total", &[("shift", "slow")], every(T0 + SECOND, 30 * MINUTE, 10, |n| f64::from(1_800 * n)));
    // The first ends, the second goes on: five and one per second.
    add("ended_total", &[("shift", "quick")], every(T0 + 5 * SECOND, 15 * SECOND, 240, |n| f64::from(75 * n)));
    add("ended_total", &[("shift", "slow")], every(T0 + SECOND, MINUTE, 120, |n| f64::from(60 * n)));
    // It does not begin at 0, and does not count at first.
    add("beginning_total", &[("shift", "late")], every(T0 + HOUR, 15 * SECOND, 240, |n| f64::from(9 + n / 40)));
    // Both count one a second. The second has a sample of each value that JSON lacks: -Inf, NaN and +Inf. It restarts at the NaN.
    add("special_total", &[("worker", "steady")], every(T0 + 5 * SECOND, 15 * SECOND, 240, |n| f64::from(15 * n)));
    let special = |n| match n {
        40 => f64::NEG_INFINITY,
        100 => f64::NAN,
        101.. if n != 160 => f64::from(15 * (n - 100)),
        160 => f64::INFINITY,
        _ => f64::from(15 * n),
    };
    add("special_total", &[("worker", "special")], every(T0 + 5 * SECOND, 15 * SECOND, 240, special));
    // Gaps of half an hour and of more than an hour, in which it counts.
    let silent = |n: i32| {
        if n < 20 {
            0
        } else if n < 40 {
            HOUR / 2
        } else {
            2 * HOUR
        }
    };
    let mut samples = every(T0 + 3 * SECOND, 15 * SECOND, 60, |n| f64::from(7 * n));
    (0..).zip(&mut samples).for_each(|(n, sample)| sample.time += silent(n));
    add("silent_total", &[("shift", "late")], samples);
    // Scraped every 90 minutes, beside a series that is scraped often.
    let seldom = every(T0 + 7 * SECOND, 90 * MINUTE, 40, |n| f64::from(n) * 5_400.0);
    add("seldom_total", &[("scraped", "seldom")], seldom);
    add("seldom_total", &[("scraped", "often")], every(T0 + 9 * SECOND, MINUTE, 3_600, |n| f64::from(n) * 6_000.0));
    // Scraped every 13 minutes, and every 15 s from the 20th sample on.
    let samples = every(T0 + 3 * SECOND, 13 * MINUTE, 20, |n| f64::from(n) * 780.0);
    let last = samples[19].time;
    let often = every(last + 15 * SECOND, 15 * SECOND, 60, |n| 19.0 * 780.0 + f64::from(n + 1) * 15.0);
    add("hastened_total", &[("shift", "late")], [samples, often].concat());
    // Scraped every 30 minutes, with a silence of 525 minutes.
    let mut resumed = every(T0 + 3 * SECOND, 30 * MINUTE, 20, |n| f64::from(n) * 1_800.0);
    resumed[12..].iter_mut().for_each(|sample| sample.time += 495 * MINUTE);
    add("resumed_total", &[("shift", "late")], resumed);
    // Scraped once, and every 15 s from five hours later on.
    let often = every(T0 + 5 * HOUR + 3 * SECOND, 15 * SECOND, 40, |n| 540.0 + f64::from(n) * 15.0);
    add("revived_total", &[("shift", "late")], [every(T0 + 3 * SECOND, SECOND, 1, |_| 0.0), often].concat());
    // Scraped every 65 minutes, and every 15 s from 4 minutes after the fifth sample on.
    let mut quickened = every(T0 + 3 * SECOND, 65 * MINUTE, 5, |n| f64::from(n) * 3_900.0);
    let last = quickened[4].time;
    quickened.extend(every(last + 255 * SECOND, 15 * SECOND, 20, |n| 4.0 * 3_900.0 + 255.0 + f64::from(n) * 15.0));
    add("quickened_total", &[("shift", "late")], quickened);
    // One per second: scraped every 20 minutes, but twice after a minute.
    let scraped_at = |minutes: &mut dyn Iterator<Item = i64>| {
        let sample = |minute: i64| Sample { time: T0 + minute * MINUTE, value: (minute * 60) as f64 };
        minutes.map(sample).collect::<Vec<_>>()
    };
    let hesitant = scraped_at(&mut (0..13).map(|nth| 20 * nth).chain([241, 242, 262, 282]));
    add("hesitant_total", &[("shift", "late")], hesitant);
    // One per second: scraped every minute, then every 20 minutes.
    add("thinned_total", &[("shift", "late")], scraped_at(&mut (0..41).chain([60, 80, 100, 160])));
    // One per second, then 50 per second in 200 s with one sample, then a gap of 310 s, and two per second.
    let mut samples = every(T0, 15 * SECOND, 201, |n| f64::from(n) * 15.0);
    samples.extend(every(T0 + 3_200 * SECOND, SECOND, 1, |_| 13_000.0));
    samples.extend(every(T0 + 3_510 * SECOND, 15 * SECOND, 20, |n| 13_000.0 + f64::from(n) * 30.0));
    add("bursting_total", &[("shift", "late")], samples);
    all
}

/// Series that went away and came back, with the staleness markers that Prometheus then writes. They are after the last block of
/// the others, since a Prometheus accepts written samples only there.
pub fn stale() -> Vec<Series> {
    let start = T0 + 20 * DAY + 5 * SECOND;
    let samples = || {
        let mut samples = every(start, 15 * SECOND, 40, |n| f64::from(1000 + 30 * n));
        // Instead of a scrape, between two scrapes, and before a gap.
        samples[6].value = STALE;
        samples[12].time -= 5 * SECOND;
        samples[12].value = STALE;
        samples.drain(21..25);
        samples[20].value = STALE;
        samples
    };
    vec![
        series("marked_level", &[("shift", "late")], samples()),
        series("marked_total", &[("shift", "late")], samples()),
    ]
}

/// This number of samples, one every `interval`, with the values of `value` for 0, 1, 2 and so on.
fn every(start: i64, interval: i64, count: i32, value: impl Fn(i32) -> f64) -> Vec<Sample> {
    (0..count).map(|n| Sample { time: start + i64::from(n) * interval, value: value(n) }).collect()
}
