//! Accessibility: names for screen readers, contrast, and all widths of screens.

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::mirror::Mirror;

use super::{open, prefer, resize, run, url};

/// The flaws of the page: texts and edges without contrast, and parts outside of the screen.
const FLAWS: &str = r"
    const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const luminance = (color) => { const [r, g, b] = color.match(/[\d.]+/g).map(Number).map(channel); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const isClear = (color) => /, 0\)|transparent/.test(color);
    const behind = (at) => { while (at && isClear(getComputedStyle(at).backgroundColor)) at = at.parentElement; return getComputedStyle(at ?? document.body).backgroundColor; };
    const flaws = [];
    const check = (one, color, ground, least) => {
        const [a, b] = [color, ground].map(luminance);
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < least) flaws.push(`contrast ${contrast.toFixed(2)}, ${color} on ${ground}: ${one.outerHTML.slice(0, 200)}`);
    };
    for (const one of document.querySelectorAll('body *')) {
        if (!one.checkVisibility()) continue;
        const {color, fill, stroke, borderTopColor, borderTopWidth} = getComputedStyle(one);
        const text = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (text && one.tagName !== 'OPTION') check(one, one.namespaceURI.includes('svg') ? fill : color, behind(one), 4.5);
        if (one.matches('input, select')) check(one, color, behind(one), 4.5);
        if (one.placeholder) check(one, getComputedStyle(one, '::placeholder').color, behind(one), 4.5);
        if (one.matches('input:not([type=checkbox], [type=radio]), select, button') && parseFloat(borderTopWidth) && !isClear(borderTopColor)) check(one, borderTopColor, behind(one.parentElement), 3);
        if (one.matches('.line')) check(one, stroke, behind(one), 3);
    }
    const {scrollWidth, clientWidth} = document.documentElement;
    if (scrollWidth > clientWidth) flaws.push(`${scrollWidth} pixels on ${clientWidth}`);
    return flaws;";

/// Checks that everything that needs a name for a screen reader has one, in the accessibility tree of the browser.
fn check_names(browser: &Browser) {
    const NAMED: [&str; 12] = [
        "button", "textbox", "combobox", "radio", "checkbox", "tab", "tabpanel", "radiogroup", "listbox", "link",
        "group", "image",
    ];
    let tree = browser.devtools("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let named = nodes
        .iter()
        .filter(|node| node["ignored"] != true && NAMED.contains(&node["role"]["value"].as_str().unwrap_or_default()));
    // A fieldset is a group, but a group of spans inside a label is not.
    let nameless: Vec<&Value> =
        named.clone().filter(|node| node["name"]["value"].as_str().unwrap_or_default().trim().is_empty()).collect();
    assert!(nameless.is_empty(), "{nameless:?}");
    assert!(named.count() > 20);
}

#[test]
fn run_is_on_the_screen_beside_a_long_form() {
    let mirror = Mirror::start();
    let browser = open(&mirror, &format!("url={}&name=room_celsius&label=room=attic", url()));
    resize(&browser, 1280);
    let check = |what: &str| {
        let run = browser.run(
            "const {left, top, bottom} = document.querySelector('#run').getBoundingClientRect();
             return [document.elementFromPoint(left + 5, (top + bottom) / 2)?.id, bottom <= innerHeight]",
        );
        assert_eq!(run, json!(["run", true]), "{what}");
    };
    check("a label and a time range");
    browser.click("#more");
    check("more Connection Details");
    browser.run("scrollTo(0, document.body.scrollHeight)");
    check("at the end of the page");
    assert_eq!(browser.run("return document.querySelector('#form').clientHeight > innerHeight"), json!(true));
    browser.check_clean(mirror.base(), &[]);
}

#[test]
fn both_themes_can_be_read_on_wide_and_on_narrow_screens() {
    let mirror = Mirror::start();
    let browser = open(&mirror, &format!("url={}&name=room_celsius&label=room=attic&method=raw", url()));
    let check = |what: &str| {
        let mut backgrounds = Vec::new();
        for theme in ["light", "dark"] {
            prefer(&browser, theme);
            backgrounds.push(browser.run("return getComputedStyle(document.body).backgroundColor"));
            for width in [1440, 800, 390, 320] {
                resize(&browser, width);
                assert_eq!(browser.run(FLAWS), json!([]), "{what}, {theme}, {width} pixels");
            }
        }
        assert_ne!(backgrounds[0], backgrounds[1]);
        check_names(&browser);
    };
    check("the form");
    run(&browser);
    browser.wait("document.querySelector('#chart svg')");
    browser.click("#connection summary");
    for tab in ["explanation", "table", "json", "commands"] {
        browser.click(&format!("#tab-{tab}"));
        check(tab);
    }
    // The chart becomes as narrow as its column.
    browser.wait("document.querySelector('#chart svg').viewBox.baseVal.width <= 320");
    browser.set("[name=url]", "prometheus:9090");
    browser.wait("document.querySelector('#fault').textContent");
    browser.click("#run");
    browser.wait("!document.querySelector('#error').hidden");
    // An error is on the screen, even below a long form.
    browser.wait("document.querySelector('#error').getBoundingClientRect().top < innerHeight");
    check("the error");
    browser.click("[name=url]");
    browser.check_clean(mirror.base(), &["500 (Internal Server Error)"]);
}
