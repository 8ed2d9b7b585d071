//! Errors in the explorer: what failed, where, and what to change; never a password.

use crate::support::mirror::Mirror;

use super::{open, run, url};

#[test]
fn an_error_is_shown_where_it_belongs() {
    let mirror = Mirror::start();
    let browser = open(&mirror, &format!("url={}&source=~&name=sum(", url()));
    run(&browser);
    browser.wait("document.querySelector('#error').textContent.includes('parse error')");
    assert!(browser.text("#explanation").contains("400"), "{}", browser.text("#explanation"));
    assert_eq!(browser.run("return document.querySelector('#chart').checkVisibility()"), false);
    for (field, bad, says) in [
        ("limit", "ten", "Limit must be a whole number"),
        ("url", "", "The URL is missing"),
        ("from", "yesterday", "From must be a time"),
        ("bucket", "5 minutes", "Bucket must be longer than 0"),
        ("name", "", "PromQL is missing"),
    ] {
        let selector = format!("[name={field}]");
        let before = browser.run(&format!("return document.querySelector('{selector}').value"));
        browser.set(&selector, bad);
        browser.click("#run");
        browser.wait(&format!("document.querySelector('#error').textContent.startsWith('{says}')"));
        browser.wait(&format!("document.activeElement === document.querySelector('{selector}[aria-invalid=true]')"));
        browser.set(&selector, before.as_str().unwrap());
    }
    // Fields that the mirror refuses are marked, too.
    browser.set("[name=url]", "http://127.0.0.1:1/graph");
    browser.click("#run");
    browser.wait("document.querySelector('#error').textContent.includes('leave out /graph')");
    browser.wait("document.querySelector('[aria-invalid=true]')?.name === 'url'");
    // A password goes to the mirror, but neither into the address nor into copied commands.
    browser.set("[name=url]", "http://user:hush-hush@127.0.0.1:1/");
    browser.click("#run");
    browser.wait("document.querySelector('#error').textContent.includes('127.0.0.1')");
    let shown = browser.run("return location.href + document.querySelector('#result').textContent + document.querySelector('#error').textContent");
    assert!(!shown.as_str().unwrap().contains("hush") && shown.as_str().unwrap().contains("USER:PASSWORD"), "{shown}");
    browser.check_clean(mirror.base(), &["500 (Internal Server Error)"]);
}

#[test]
fn a_mirror_that_is_gone_is_an_error_that_says_so() {
    let mirror = Mirror::start();
    let browser = open(&mirror, &format!("url={}&name=room_celsius", url()));
    drop(mirror);
    browser.click("#run");
    browser.wait("document.querySelector('#error').textContent.startsWith('The mirror does not answer.')");
    browser.click("#test");
    browser.wait("document.querySelector('#verdict').textContent.includes('See whether it runs')");
}
