//! The explorer, in a real browser and with a real Prometheus: it draws and lists what the oracle computes.
//!
//! `serving` tests which files the mirror serves, and to which requests; `journey` tests the steps from an address to numbers;
//! `connection` tests the check of Connection Details; `chart` tests the chart; `errors` tests the errors that the page shows;
//! `keyboard` tests the page without a mouse; `access` tests labels, contrast and sizes of screens.

mod access;
mod chart;
mod connection;
mod errors;
mod journey;
mod keyboard;
mod serving;

use serde_json::json;

use crate::support::browser::Browser;
use crate::support::mirror::Mirror;
use crate::support::oracle::close;
use crate::support::prometheus;

/// The hour with the samples of the tests, for the address of the page.
const RANGE: &str = "from=2020-09-14T00:00:00Z&to=2020-09-14T01:00:00Z";

/// The page of a mirror with a query over [`RANGE`], and further parts of the address.
fn open(mirror: &Mirror, parts: &str) -> Browser {
    let browser = Browser::open(&format!("{}/#{RANGE}&{parts}", mirror.base()), 1440);
    browser.wait("document.querySelector('#version').textContent");
    browser
}

/// The URL of the Prometheus of the tests.
fn url() -> String {
    prometheus::shared().url("")
}

/// Runs the query, and waits for the response.
fn run(browser: &Browser) {
    browser.click("#run");
    browser.wait("!document.querySelector('#result').hidden && !document.querySelector('#progress').textContent");
}

/// The rows of the table of points.
fn rows(browser: &Browser) -> Vec<Vec<String>> {
    let rows = browser.run("return [...document.querySelectorAll('#table tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))");
    serde_json::from_value(rows).unwrap()
}

/// A time as the page writes it in UTC, with milliseconds if they are not 0.
fn clock(browser: &Browser, ms: i64) -> String {
    let text = browser.run(&format!("return new Date({ms}).toISOString()"));
    text.as_str().unwrap().replace('T', " ").replace(".000Z", "").replace('Z', "")
}

/// Checks that the table has these points: a value, then its time or the start and the end of its bucket.
fn check_table(browser: &Browser, expected: &[Vec<f64>]) {
    let rows = rows(browser);
    assert!(rows.len() == expected.len() && !rows.is_empty(), "{} rows, {} points", rows.len(), expected.len());
    for (row, point) in rows.iter().zip(expected) {
        let (value, times) = row.split_last().unwrap();
        assert!(close(value.parse().unwrap(), point[0], 1e-9), "{row:?} is not {point:?}");
        let expected: Vec<String> = point[1..].iter().map(|&ms| clock(browser, ms as i64)).collect();
        assert_eq!(times, expected, "{point:?}");
    }
}

/// A point of the drawn line.
struct Vertex {
    /// Whether a piece of the line begins here.
    is_first: bool,
    /// The value at its height.
    value: f64,
    /// The time at its position, and that at the end of its bucket, in milliseconds since 1970.
    times: Vec<f64>,
}

/// The drawn line, in the units of the axes.
fn drawn(browser: &Browser) -> Vec<Vertex> {
    let line = browser.run(
        r"const svg = document.querySelector('#chart svg');
         const {low, high, top, bottom, from, to, left, right} = Object.fromEntries(Object.entries(svg.dataset).map(([name, text]) => [name, +text]));
         const value = (y) => low + (bottom - y) / (bottom - top) * (high - low);
         const time = (x) => from + (x - left) / (right - left) * (to - from);
         return [...svg.querySelector('.line').getAttribute('d').matchAll(/([ML])([\d.-]+) ([\d.]+)(?:H([\d.-]+))?/g)]
             .map(([, by, x, y, end]) => [by === 'M', value(y), [x, end].filter((one) => one !== undefined).map(time)])",
    );
    let line: Vec<(bool, f64, Vec<f64>)> = serde_json::from_value(line).unwrap();
    line.into_iter().map(|(is_first, value, times)| Vertex { is_first, value, times }).collect()
}

/// Checks that the line goes through these points, to half a pixel, and has this number of pieces.
fn check_drawn(browser: &Browser, expected: &[Vec<f64>], pieces: usize) {
    let line = drawn(browser);
    assert_eq!(line.len(), expected.len());
    let pixel = browser.run("const {low, high, top, bottom, from, to, left, right} = document.querySelector('#chart svg').dataset; return [(high - low) / (bottom - top), (to - from) / (right - left)]");
    let [height, width]: [f64; 2] = serde_json::from_value(pixel).unwrap();
    for (vertex, point) in line.iter().zip(expected) {
        assert!((vertex.value - point[0]).abs() <= height / 2.0, "{} is drawn for {point:?}", vertex.value);
        assert_eq!(vertex.times.len(), point.len() - 1, "{point:?}");
        for (drawn, time) in vertex.times.iter().zip(&point[1..]) {
            assert!((drawn - time).abs() <= width / 2.0, "{drawn} is drawn for {point:?}");
        }
    }
    assert_eq!(line.iter().filter(|vertex| vertex.is_first).count(), pieces);
}

/// Sets the preferred theme of the browser.
fn prefer(browser: &Browser, theme: &str) {
    let features = json!([{"name": "prefers-color-scheme", "value": theme}]);
    browser.devtools("Emulation.setEmulatedMedia", json!({"features": features}));
}

/// Gives the window this width, in pixels.
fn resize(browser: &Browser, width: u32) {
    let screen = json!({"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": false});
    browser.devtools("Emulation.setDeviceMetricsOverride", screen);
    browser.wait(&format!("innerWidth === {width}"));
}
