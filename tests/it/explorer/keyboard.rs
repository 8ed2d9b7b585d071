//! The page without a mouse.

use serde_json::{Value, json};

use crate::support::browser::keys::{DOWN, END, ENTER, RIGHT, SPACE, TAB};
use crate::support::mirror::Mirror;
use crate::support::oracle::{Nan, buckets, close};
use crate::support::samples::{HOUR, MINUTE, T0, select};

use super::{check_table, open, url};

/// The name or id of the focused element, and the width of the outline around it or around its label.
const FOCUS: &str = "
    const one = document.activeElement;
    const around = [one, one.closest('label')].filter(Boolean).map((part) => getComputedStyle(part));
    return [one.name || one.id || one.tagName, Math.max(...around.map((style) => style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth)))]";

#[test]
fn from_the_address_to_the_numbers_by_keys_alone() {
    let mirror = Mirror::start();
    let browser = open(&mirror, "");
    // The first empty field has the focus.
    browser.wait("document.activeElement.name === 'url'");
    browser.press(&url());
    browser.press(ENTER);
    browser.wait("document.querySelector('#verdict').className === 'good'");
    browser.wait("document.activeElement.name === 'name'");
    browser.press("room_cel");
    browser.wait("document.querySelectorAll('[role=option]').length === 1");
    browser.press(DOWN);
    browser.wait("document.querySelector('[name=name]').getAttribute('aria-activedescendant') === document.querySelector('[role=option]').id");
    browser.press(ENTER);
    assert_eq!(
        browser.run("return [document.querySelector('[name=name]').value, document.querySelector('#result').hidden]"),
        json!(["room_celsius", true])
    );
    browser.press(ENTER);
    browser.wait("document.querySelector('#summary').textContent.startsWith('60 points')");
    let expected = buckets(&select("room_celsius", &[]), "MEAN", (T0, T0 + HOUR), MINUTE, Nan::None);
    check_table(&browser, &expected);

    // The order of the fields is that of the steps, and the focus is always visible.
    browser.run("document.querySelector('[name=by]').focus()");
    let mut order = Vec::new();
    while order.last() != Some(&json!("explanation-points")) && order.len() < 40 {
        let focus = browser.run(FOCUS);
        assert!(focus[1].as_f64().unwrap() >= 2.0, "no focus to be seen: {focus}");
        order.push(focus[0].clone());
        if focus[0] == "tab-explanation" {
            break;
        }
        browser.press(TAB);
    }
    let expected_order = [
        "by", "url", "more", "test", "source", "name", "add-label", "method", "bucket", "range", "zone", "from", "to",
        "limit", "latest", "run", "chart", "tab-explanation",
    ];
    assert_eq!(Value::from(order), json!(expected_order));

    // Arrows go through tabs, and through points.
    browser.press(RIGHT);
    assert_eq!(browser.run("return document.querySelector('#table').checkVisibility() && !document.querySelector('#explanation').checkVisibility()"), true);
    browser.run("document.querySelector('#chart').focus()");
    browser.press(END);
    let text = browser.text("#readout");
    let value: f64 = text.rsplit_once(": ").unwrap().1.parse().unwrap();
    assert!(close(value, expected.last().unwrap()[0], 1e-9), "{text}");

    // A kind of query is chosen by arrows, a label added and removed by Enter and Space.
    browser.run("document.querySelector('[name=source]:checked').focus()");
    browser.press(RIGHT);
    assert_eq!(browser.run("return document.querySelector('form').elements.source.value"), "__counter__");
    browser.run("document.querySelector('#add-label').focus()");
    browser.press(ENTER);
    browser.wait("document.activeElement === document.querySelector('.label input')");
    browser.press(&[TAB, TAB, SPACE].concat());
    browser.wait("!document.querySelector('.label') && document.activeElement.id === 'add-label'");
    browser.check_clean(mirror.base(), &[]);
}
