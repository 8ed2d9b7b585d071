//! The chart: gaps, steps, thousands of points, zoom, time zones, and the text beside it.

use serde_json::json;

use crate::support::browser::{Browser, keys};
use crate::support::mirror::Mirror;
use crate::support::oracle::{Nan, buckets, close, cut, raw};
use crate::support::samples::{HOUR, MINUTE, SECOND, T0, one, select};

use super::{check_drawn, check_table, clock, drawn, open, rows, run, url};

/// The visible part of the range, in milliseconds.
fn shown(browser: &Browser) -> i64 {
    browser
        .run("const {from, to} = document.querySelector('#chart svg').dataset; return Math.round(to - from)")
        .as_i64()
        .unwrap()
}

/// The value after one or two times in the readout.
fn read_out(browser: &Browser) -> (String, f64) {
    let text = browser.text("#readout");
    let (times, value) = text.rsplit_once(": ").unwrap_or_else(|| panic!("{text:?}"));
    (times.to_owned(), value.parse().unwrap())
}

#[test]
fn gaps_are_gaps_and_part_of_a_chart_can_be_looked_at() {
    let mirror = Mirror::start();
    let browser = open(&mirror, &format!("by=url&url={}&name=gappy_level&method=MEAN&bucket=1m", url()));
    run(&browser);
    let expected = buckets(&select("gappy_level", &[]), "MEAN", (T0, T0 + HOUR), MINUTE, Nan::None);
    check_table(&browser, &expected);
    let silences = expected.windows(2).filter(|pair| pair[1][1] > pair[0][2]).count();
    assert!(silences > 0);
    check_drawn(&browser, &expected, silences + 1);
    // The keyboard chooses points.
    browser.type_into("#chart", keys::HOME);
    let (times, value) = read_out(&browser);
    assert_eq!(times, format!("{} to {}", clock(&browser, T0), clock(&browser, T0 + MINUTE)));
    assert!(close(value, expected[0][0], 1e-9));
    // Dragging zooms in, Escape and a double-click zoom out.
    browser.drag("#chart", -200, 200);
    browser.wait(
        "document.querySelector('#chart svg').dataset.to - document.querySelector('#chart svg').dataset.from < 3600000",
    );
    let zoomed = shown(&browser);
    assert!(drawn(&browser).len() < expected.len());
    browser.type_into("#chart", keys::ESCAPE);
    assert_eq!(shown(&browser), HOUR);
    check_drawn(&browser, &expected, silences + 1);
    browser.type_into("#chart", "+");
    assert_eq!(shown(&browser), HOUR / 2);
    browser.run("document.querySelector('#chart').dispatchEvent(new MouseEvent('dblclick', {bubbles: true}))");
    assert_eq!(shown(&browser), HOUR);
    assert!(zoomed < HOUR);
    browser.check_clean(mirror.base(), &[]);
}

#[test]
fn the_mouse_reads_the_point_under_it() {
    let mirror = Mirror::start();
    let browser = open(&mirror, &format!("url={}&name=room_celsius&method=raw", url()));
    browser.devtools("Emulation.setTimezoneOverride", json!({"timezoneId": "Asia/Kolkata"}));
    run(&browser);
    let samples = raw(one("room_celsius", &[]), T0, T0 + HOUR, Nan::None);
    let place = browser.run("const {left, right, from, to} = document.querySelector('#chart svg').dataset; const box = document.querySelector('#chart').getBoundingClientRect(); return [+left, +right, box.width]");
    let [left, right, width]: [f64; 3] = serde_json::from_value(place).unwrap();
    for index in [0, 7, 120, samples.len() - 1] {
        let x = left + (samples[index][1] - T0 as f64) / HOUR as f64 * (right - left) - width / 2.0;
        browser.hover("#chart", x.round() as i64, 40);
        let (time, value) = read_out(&browser);
        assert_eq!(time, clock(&browser, samples[index][1] as i64));
        assert!(close(value, samples[index][0], 1e-9), "{value} at {time}");
    }
    // In the local time zone, all times change.
    browser.choose("[name=zone]", "local");
    let local = |ms: i64| clock(&browser, ms + 5 * HOUR + 30 * MINUTE);
    browser.type_into("#chart", keys::END);
    assert_eq!(read_out(&browser).0, local(samples.last().unwrap()[1] as i64));
    assert_eq!(rows(&browser)[0][0], local(samples[0][1] as i64));
    let form = browser.run("return ['from', 'to'].map((name) => document.querySelector(`[name=${name}]`).value)");
    assert_eq!(form, json!([local(T0), local(T0 + HOUR)]));
    let labels = browser.text("#chart");
    assert!(labels.contains("2020-09-14, UTC+05:30") && labels.contains("06:00"), "{labels}");
    // The queried range stays the same.
    run(&browser);
    assert!(browser.text("#request").contains(&format!("\"startTime\": {T0}")), "{}", browser.text("#request"));
    assert!(browser.run("return location.hash").as_str().unwrap().contains("from=2020-09-14T00%3A00%3A00Z"));
    browser.check_clean(mirror.base(), &[]);
}

#[test]
fn two_thousand_points_are_all_drawn_and_the_table_says_how_many_it_leaves_out() {
    let mirror = Mirror::start();
    let details = format!("url={}&scrapeInterval=1800&timeout=60000", url());
    let browser = open(&mirror, &format!("{details}&source=~&name=time()&method=raw"));
    run(&browser);
    let points = browser
        .run("return JSON.parse(document.querySelector('#response').textContent.split('\\n…')[0]).telemetry.points");
    let points: Vec<Vec<f64>> = serde_json::from_value(points).unwrap();
    assert!((1_990..=2_001).contains(&points.len()), "{}", points.len());
    // The seconds since 1970 at each time.
    assert!(points.iter().all(|point| close(point[0], point[1] / SECOND as f64, 1e-12)));
    check_drawn(&browser, &points, 1);
    assert_eq!(rows(&browser).len(), 1_000);
    assert!(browser.text("#table").contains(&format!("The first 1000 of {} points", points.len())));
    browser.check_clean(mirror.base(), &[]);
}

#[test]
fn points_that_a_limit_leaves_out_are_missed_aloud() {
    let mirror = Mirror::start();
    let browser = open(&mirror, &format!("url={}&name=room_celsius&method=raw&limit=20&latest=true", url()));
    run(&browser);
    let (expected, is_partial) = cut(raw(one("room_celsius", &[]), T0, T0 + HOUR, Nan::None), 20, true);
    assert!(is_partial);
    check_table(&browser, &expected);
    assert!(
        browser.text("#summary").starts_with("20 points. Some were left out (isPartial)"),
        "{}",
        browser.text("#summary")
    );
    // The line goes from left to right, in each order of the points.
    let mut sorted = expected;
    sorted.sort_by(|a, b| a[1].total_cmp(&b[1]));
    check_drawn(&browser, &sorted, 1);
    browser.check_clean(mirror.base(), &[]);
}
