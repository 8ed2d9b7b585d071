//! The explorer, in a real browser and in front of a real Prometheus: what it draws and lists is what the oracle computes.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::browser::{Browser, ENTER};
use crate::support::mirror::{API_KEY, BINARY, Mirror};
use crate::support::oracle::{Nan, buckets, close, raw};
use crate::support::prometheus;
use crate::support::samples::{HOUR, MINUTE, T0, one, select};
use crate::support::stub::{Stub, good};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The hour of the samples that the tests ask about, for the address of the page.
const RANGE: &str = "from=2020-09-14T00:00:00Z&to=2020-09-14T01:00:00Z";

/// The page of a mirror, asking about [`RANGE`], with further parts of the address.
fn open(mirror: &Mirror, parts: &str) -> Browser {
    let browser = Browser::open(&format!("{}/#{RANGE}&{parts}", mirror.base()), 1440);
    browser.wait("document.querySelector('#version').textContent");
    browser
}

/// The address of the Prometheus of the tests.
fn url() -> String {
    prometheus::shared().url("")
}

/// Runs the query, and gives the table's rows.
fn rows(browser: &Browser) -> Vec<Vec<String>> {
    browser.click("#run");
    browser.wait("!document.querySelector('#result').hidden && !document.querySelector('#progress').textContent");
    let rows = browser.run("return [...document.querySelectorAll('#table tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))");
    serde_json::from_value(rows).unwrap()
}

/// A time as the page writes it, to the millisecond if it has any.
fn clock(browser: &Browser, ms: i64) -> String {
    let text = browser.run(&format!("return new Date({ms}).toISOString()"));
    text.as_str().unwrap().replace('T', " ").replace(".000Z", "").replace('Z', "")
}

/// The table has these points: a value, then its time or the start and the end of its bucket.
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

/// The values at the vertices of the line that is drawn, and where the line begins anew.
fn drawn(browser: &Browser) -> Vec<(char, f64)> {
    let line = browser.run(
        "const svg = document.querySelector('#chart svg'); const {low, high, top, bottom} = svg.dataset;
         const value = (y) => +low + (bottom - y) / (bottom - top) * (high - low);
         return [...svg.querySelector('.line').getAttribute('d').matchAll(/([ML])\\S+ ([\\d.]+)/g)].map(([_, by, y]) => [by, value(y)])",
    );
    serde_json::from_value(line).unwrap()
}

#[test]
fn browsers_get_the_page_with_a_strict_policy_and_programs_text() {
    let mirror = Mirror::start();
    for (path, accept, content_type, part) in [
        ("/", "*/*", "text/plain", "A gateway"),
        ("/", "text/plain, text/html;q=0.5", "text/plain", "A gateway"),
        ("/", BROWSER, "text/html", "<!DOCTYPE html>"),
        ("/explorer.css", "text/css", "text/css", "color-scheme"),
        ("/explorer.js", "*/*", "text/javascript", "use strict"),
        ("/explorer.json", "*/*", "application/json", "version"),
    ] {
        let answer = mirror.get_with(path, "Accept", accept);
        let header = |name: &str| answer.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!(answer.status, 200, "{path}");
        assert!(header("content-type").unwrap().starts_with(content_type), "{path}: {answer:?}");
        assert!(answer.text.contains(part), "{path}: {}", answer.text);
        if content_type != "text/plain" {
            let policy = header("content-security-policy").unwrap();
            assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
            assert_eq!(header("referrer-policy"), Some("no-referrer"), "{path}");
            assert_eq!(header("cache-control"), Some("no-cache"), "{path}");
        }
    }
}

#[test]
fn without_the_explorer_browsers_get_the_text() {
    let mirror = Mirror::start_with(&["--explorer", "false"]);
    assert!(mirror.get_with("/", "Accept", BROWSER).text.starts_with("prometheusmirror "));
    for path in ["/explorer.js", "/explorer.css", "/explorer.json"] {
        assert_eq!(mirror.get(path).status, 404, "{path}");
    }
}

#[test]
fn the_names_of_upstreams_are_for_those_who_have_the_key() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("upstreams: [{{name: shop, url: '{}'}}]", url())).unwrap();
    let upstreams = ["--upstreams-file", file.path().to_str().unwrap()];
    let facts = Mirror::start_with(&upstreams).get("/explorer.json").json;
    let expected = json!({"version": env!("CARGO_PKG_VERSION"), "requiresKey": false, "namedUpstreamsOnly": false, "upstreams": ["shop"]});
    assert_eq!(facts, expected);
    let keyed = Mirror::start_with(
        &[&upstreams[..], &["--require-api-key", "true", "--named-upstreams-only", "true"]].concat(),
    );
    assert_eq!(keyed.get("/explorer.json").json["upstreams"], Value::Null);
    assert_eq!(keyed.get_with("/explorer.json", "X-MIRROR-API-KEY", API_KEY).json["upstreams"], json!(["shop"]));

    let browser = open(&keyed, "name=room_celsius");
    browser.set("[name=url]", &url());
    browser.click("#test");
    browser.wait("document.querySelector('#verdict').textContent.includes('key')");
    browser.type_into("#key", API_KEY);
    browser.click("#test");
    browser.wait("document.querySelector('[name=by]').value === 'upstream:shop'");
    browser.click("#test");
    browser.wait("document.querySelector('#verdict').className === 'good'");
    check_table(&browser, &raw(one("room_celsius", &[]), T0, T0 + HOUR, Nan::None));
    let kept = browser.run("return location.href + document.cookie + JSON.stringify({...localStorage, ...sessionStorage}) + document.querySelector('#result').textContent");
    assert!(kept.as_str().unwrap().contains("upstream%3Ashop") && !kept.as_str().unwrap().contains(API_KEY), "{kept}");
    browser.check_clean(keyed.base(), &["401 (Unauthorized)"]);
}

#[test]
fn from_the_connection_to_the_numbers_and_how_they_came_to_be() {
    let mirror = Mirror::start();
    let browser = open(&mirror, "");
    browser.set("[name=url]", &url());
    browser.click("#test");
    browser.wait("document.querySelector('#verdict').textContent.startsWith('OK')");
    // Names and labels complete.
    browser.type_into("[name=name]", "room_cel");
    browser.wait("document.querySelector('#names option')?.value === 'room_celsius'");
    browser.type_into("[name=name]", "sius");
    browser.click("#add-label");
    browser.wait("[...document.querySelectorAll('.label datalist option')].some((option) => option.value === 'room')");
    browser.type_into(".label input", "room");
    browser.type_into(".label label:nth-of-type(2) input", "at");
    browser.wait("[...document.querySelectorAll('.label datalist option')].some((option) => option.value === 'attic')");
    browser.type_into(".label label:nth-of-type(2) input", "tic");

    let samples = raw(one("room_celsius", &[]), T0, T0 + HOUR, Nan::None);
    check_table(&browser, &samples);
    let line = drawn(&browser);
    assert_eq!(line.len(), samples.len());
    // A pixel is less than a hundredth of the range of the values, 20 to 30.
    assert!(line.iter().zip(&samples).all(|((_, drawn), point)| (drawn - point[0]).abs() < 0.01), "{line:?}");
    assert_eq!(line.iter().filter(|(by, _)| *by == 'M').count(), 1);

    let explanation = browser.text("#explanation");
    for part in ["room=\"attic\"", "api/v1/read", "Scrape interval: 15000 ms", "First points"] {
        assert!(explanation.contains(part), "{part}: {explanation}");
    }
    assert!(
        browser.text("#request").contains("\"__gauge__\"") && browser.text("#response").contains("RawMetricTelemetry")
    );
    // The commands give the same points.
    let curl = Command::new("sh").args(["-c", &browser.text("#curl")]).output().unwrap();
    let answer: Value = serde_json::from_slice(&curl.stdout).unwrap();
    assert_eq!(answer["telemetry"]["points"].as_array().unwrap().len(), samples.len(), "{answer}");
    let ask = browser.text("#ask").replace("prometheusmirror ask", &format!("{BINARY} ask --format csv"));
    let ask = Command::new("sh").args(["-c", &ask]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ask.stdout).lines().count(), samples.len() + 1, "{ask:?}");

    // A counter in buckets of five minutes, by the keyboard alone.
    browser.click("[name=source][value=__counter__]");
    browser.click(".label button");
    browser.set("[name=name]", "http_requests_total");
    browser.choose("[name=method]", "SUM");
    browser.set("[name=bucket]", "5m");
    browser.type_into("[name=bucket]", ENTER);
    browser.wait("document.querySelector('#summary').textContent.startsWith('12 points')");
    let counters = select("http_requests_total", &[]);
    let expected = crate::support::oracle::COUNTER.buckets(&counters, "SUM", (T0, T0 + HOUR), 5 * MINUTE);
    check_table(&browser, &expected);
    assert_eq!(drawn(&browser).len(), 12);
    browser.check_clean(mirror.base(), &[]);
}

#[test]
fn gaps_are_gaps_and_part_of_a_chart_can_be_looked_at() {
    let mirror = Mirror::start();
    let browser = open(&mirror, &format!("by=url&url={}&name=gappy_level&method=MEAN&bucket=1m", url()));
    let expected = buckets(&select("gappy_level", &[]), "MEAN", (T0, T0 + HOUR), MINUTE, Nan::None);
    check_table(&browser, &expected);
    let silences = expected.windows(2).filter(|pair| pair[1][1] > pair[0][2]).count();
    let line = drawn(&browser);
    assert_eq!(line.iter().filter(|(by, _)| *by == 'M').count(), silences + 1, "{line:?}");
    assert!(silences > 0);
    // The keyboard chooses points.
    browser.type_into("#chart", "\u{e011}"); // Home
    let first = format!("{} to {}: ", clock(&browser, T0), clock(&browser, T0 + MINUTE));
    assert!(browser.text("#readout").starts_with(&first), "{}", browser.text("#readout"));
    let value: f64 = browser.text("#readout")[first.len()..].parse().unwrap();
    assert!(close(value, expected[0][0], 1e-9));
    // Dragging zooms in, Escape and a double-click zoom out.
    browser.drag("#chart", -200, 200);
    browser.wait("chart.view[1] - chart.view[0] < chart.range[1] - chart.range[0]");
    assert!(drawn(&browser).len() < line.len());
    browser.type_into("#chart", "\u{e00c}"); // Escape
    assert_eq!(drawn(&browser).len(), line.len());
    browser.type_into("#chart", "+");
    browser.wait("chart.view[0] > chart.range[0] || chart.view[1] < chart.range[1]");
    browser.run("document.querySelector('#chart').dispatchEvent(new MouseEvent('dblclick', {bubbles: true}))");
    assert_eq!(drawn(&browser).len(), line.len());
    browser.check_clean(mirror.base(), &[]);
}

#[test]
fn an_error_is_shown_where_it_belongs() {
    let mirror = Mirror::start();
    let browser = open(&mirror, &format!("url={}&source=~&name=sum(", url()));
    browser.click("#run");
    browser.wait("document.querySelector('#error').textContent.includes('parse error')");
    assert!(browser.text("#explanation").contains("400"), "{}", browser.text("#explanation"));
    for (field, bad, says) in [
        ("limit", "ten", "Limit must be a whole number"),
        ("url", "prometheus:9090", "URL must begin with http://"),
        ("from", "yesterday", "From must be a time"),
    ] {
        let selector = format!("[name={field}]");
        let before = browser.run(&format!("return document.querySelector('{selector}').value"));
        browser.set(&selector, bad);
        browser.click("#run");
        browser.wait(&format!("document.querySelector('#error').textContent.startsWith('{says}')"));
        browser.wait(&format!("document.activeElement === document.querySelector('{selector}[aria-invalid=true]')"));
        browser.set(&selector, before.as_str().unwrap());
    }
    // A password goes to the mirror, and neither into the address nor into what is there to be copied.
    browser.set("[name=url]", "http://user:hush-hush@127.0.0.1:1/");
    browser.click("#run");
    browser.wait("document.querySelector('#error').textContent.includes('127.0.0.1')");
    let shown = browser.run("return location.href + document.querySelector('#result').textContent + document.querySelector('#error').textContent");
    assert!(!shown.as_str().unwrap().contains("hush") && shown.as_str().unwrap().contains("USER:PASSWORD"), "{shown}");
    browser.check_clean(mirror.base(), &["500 (Internal Server Error)"]);
}

#[test]
fn an_address_fills_the_form_and_asks_nothing() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let parts = format!(
        "by=host&host=127.0.0.1&port={}&source=__counter__&name=x_total&label=job=a=b&zone=utc&latest=true",
        stub.port()
    );
    let browser = open(&mirror, &parts);
    let form = browser.run(
        "const {elements} = document.querySelector('form');
         return [...['by', 'host', 'source', 'name', 'from', 'to', 'range'].map((name) => elements[name].value), elements.latest.checked, labels()]",
    );
    let expected = json!([
        "host",
        "127.0.0.1",
        "__counter__",
        "x_total",
        "2020-09-14 00:00:00",
        "2020-09-14 01:00:00",
        "",
        true,
        [["job", "a=b"]]
    ]);
    assert_eq!(form, expected);
    assert_eq!(stub.requests().len(), 0);
    browser.check_clean(mirror.base(), &[]);
}

/// What is wrong with the page for people: fields without labels, texts without contrast, and parts beside the screen.
const FLAWS: &str = r"
    const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const luminance = (color) => { const [r, g, b] = color.match(/[\d.]+/g).map(Number).map(channel); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const behind = (at) => { while (at && /, 0\)|transparent/.test(getComputedStyle(at).backgroundColor)) at = at.parentElement; return getComputedStyle(at ?? document.body).backgroundColor; };
    const flaws = [];
    for (const input of document.querySelectorAll('input, select')) if (!input.labels.length) flaws.push(`no label: ${input.outerHTML}`);
    for (const button of document.querySelectorAll('button, summary')) if (!button.textContent.trim()) flaws.push(`no text: ${button.outerHTML}`);
    for (const one of document.querySelectorAll('body *')) {
        const text = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!text || !one.getClientRects().length || one.tagName === 'OPTION') continue;
        const {color, fill} = getComputedStyle(one);
        const [a, b] = [one.namespaceURI.includes('svg') ? fill : color, behind(one)].map(luminance);
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) flaws.push(`contrast ${contrast.toFixed(2)}: ${one.outerHTML.slice(0, 200)}`);
    }
    const {scrollWidth, clientWidth} = document.documentElement;
    if (scrollWidth > clientWidth) flaws.push(`${scrollWidth} pixels on ${clientWidth}`);
    return flaws;";

#[test]
fn both_themes_can_be_read_on_wide_and_on_narrow_screens() {
    let mirror = Mirror::start();
    let browser = open(&mirror, &format!("url={}&name=room_celsius&label=room=attic", url()));
    rows(&browser);
    browser.run("for (const part of document.querySelectorAll('details')) part.open = true");
    let mut backgrounds = Vec::new();
    for theme in ["light", "dark"] {
        browser.devtools(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": theme}]}),
        );
        backgrounds.push(browser.run("return getComputedStyle(document.body).backgroundColor"));
        for width in [1440, 390] {
            let screen = json!({"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": false});
            browser.devtools("Emulation.setDeviceMetricsOverride", screen);
            browser.wait(&format!(
                "innerWidth === {width} && document.querySelector('#chart svg').viewBox.baseVal.width <= {width}"
            ));
            assert_eq!(browser.run(FLAWS), json!([]), "{theme}, {width} pixels");
        }
    }
    assert_ne!(backgrounds[0], backgrounds[1]);
    browser.check_clean(mirror.base(), &[]);
}
