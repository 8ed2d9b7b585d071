//! The way from the address of a Prometheus to numbers, their explanation, and commands that give the same numbers.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::browser::{Browser, keys};
use crate::support::mirror::{BINARY, Mirror};
use crate::support::oracle::{COUNTER, Nan, raw};
use crate::support::samples::{HOUR, MINUTE, T0, one, select};
use crate::support::stub::{Stub, good};

use super::{check_drawn, check_table, open, run, url};

/// Copies a command by its button. Returns the content of the clipboard, as pasted into a field.
fn copied(browser: &Browser, which: &str) -> String {
    browser.click(&format!("[data-copy={which}]"));
    browser.wait("document.querySelector('#copied').textContent === 'Copied.'");
    let before = browser.run("return document.querySelector('[name=limit]').value");
    browser.set("[name=limit]", "");
    browser.press_with(keys::CONTROL, "v");
    let pasted = browser.run("return document.querySelector('[name=limit]').value");
    browser.set("[name=limit]", before.as_str().unwrap());
    pasted.as_str().unwrap().to_owned()
}

fn shell(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn from_the_connection_to_the_numbers_and_how_they_came_to_be() {
    let mirror = Mirror::start();
    let browser = open(&mirror, "method=raw");
    browser.set("[name=url]", &url());
    browser.click("#test");
    browser.wait("document.querySelector('#verdict').textContent.startsWith('OK')");
    // Names and labels complete.
    browser.type_into("[name=name]", "room_cel");
    browser.wait("document.querySelector('[role=option]')?.textContent === 'room_celsius'");
    browser.click("[role=option]");
    browser.click("#add-label");
    let suggests = |text: &str| {
        browser.wait(&format!(
            "[...document.querySelectorAll('.label [role=option]')].some((option) => option.textContent === '{text}')"
        ));
    };
    suggests("room");
    browser.type_into(".label input", "room");
    browser.type_into(".label label:nth-of-type(2) input", "at");
    suggests("attic");
    browser.press(keys::DOWN);
    browser.press(keys::ENTER);
    let form = browser.run("return [document.querySelector('[name=name]').value, ...[...document.querySelectorAll('.label input')].map((input) => input.value)]");
    assert_eq!(form, json!(["room_celsius", "room", "attic"]));

    run(&browser);
    let samples = raw(one("room_celsius", &[]), T0, T0 + HOUR, Nan::None);
    check_table(&browser, &samples);
    check_drawn(&browser, &samples, 1);
    assert_eq!(browser.text("#chart svg > text"), "°C");
    let explanation = browser.text("#explanation");
    let first_points = format!("First 20 of {} points", samples.len());
    for part in ["room=\"attic\"", "api/v1/read", "15000 ms", &first_points] {
        assert!(explanation.contains(part), "{part}: {explanation}");
    }
    assert!(
        browser.text("#request").contains("\"__gauge__\"") && browser.text("#response").contains("RawMetricTelemetry")
    );

    // A counter in buckets of five minutes.
    browser.run("document.querySelector('[name=source][value=__counter__]').click()");
    browser.click(".label button");
    browser.set("[name=name]", "http_requests_total");
    browser.choose("[name=method]", "SUM");
    browser.set("[name=bucket]", "5m");
    browser.type_into("[name=bucket]", keys::ENTER);
    browser.wait("document.querySelector('#summary').textContent.startsWith('12 points')");
    let expected = COUNTER.buckets(&select("http_requests_total", &[]), "SUM", (T0, T0 + HOUR), 5 * MINUTE);
    check_table(&browser, &expected);
    check_drawn(&browser, &expected, 1);
    browser.check_clean(mirror.base(), &[]);
}

#[test]
fn copied_commands_give_the_same_response_in_a_shell() {
    let mirror = Mirror::start();
    let parts =
        format!("url={}&source=__counter__&name=http_requests_total&method=MEAN&bucket=5m&label=code=200", url());
    let browser = open(&mirror, &parts);
    run(&browser);
    browser.click("#tab-commands");
    let of_curl: Value = serde_json::from_str(&shell(&copied(&browser, "curl"))).unwrap();
    let shown: Value = serde_json::from_str(&browser.text("#response")).unwrap();
    assert_eq!(of_curl, shown);
    let ask = copied(&browser, "ask");
    assert!(ask.starts_with("prometheusmirror ask --mirror "), "{ask}");
    let json = shell(&ask.replacen("prometheusmirror ask", &format!("{BINARY} ask --format json"), 1));
    let of_ask: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(of_ask["telemetry"]["points"], shown["telemetry"]["points"]);
    assert_eq!(of_ask["telemetry"]["points"].as_array().map(Vec::len), Some(12));
    browser.check_clean(mirror.base(), &[]);
}

#[test]
fn an_address_fills_the_form_and_sends_no_query() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let parts = format!(
        "by=host&host=127.0.0.1&port={}&source=__counter__&name=x_total&label=job=a=b&zone=utc&latest=true",
        stub.port()
    );
    let browser = open(&mirror, &parts);
    let form = browser.run(
        "const {elements} = document.querySelector('form');
         return [...['by', 'host', 'source', 'name', 'method', 'from', 'to', 'range'].map((name) => elements[name].value), elements.latest.checked,
             ...[...document.querySelectorAll('.label input')].map((input) => input.value)]",
    );
    let (from, to) = ("2020-09-14 00:00:00", "2020-09-14 01:00:00");
    let expected = json!(["host", "127.0.0.1", "__counter__", "x_total", "MEAN", from, to, "", true, "job", "a=b"]);
    assert_eq!(form, expected);
    assert_eq!(stub.requests().len(), 0);
    browser.check_clean(mirror.base(), &[]);
}
