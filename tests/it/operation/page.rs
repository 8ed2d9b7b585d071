//! Reads `/metrics` as Prometheus does.

use std::collections::BTreeMap;

use crate::http::{address, exchange};
use crate::operation::get;
use crate::support::mirror::{Mirror, Response};
use crate::support::process::wait_until;

/// The samples of the page at one moment.
#[derive(Debug)]
pub struct Page {
    pub response: Response,
    pub samples: Vec<Sample>,
}

/// A line of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Page {
    /// Gets it from a mirror.
    pub fn of(mirror: &Mirror) -> Page {
        let response = exchange(address(mirror), &get("/metrics"));
        assert_eq!(response.status, 200, "{}", response.text);
        let samples = response.text.lines().filter(|line| !line.starts_with('#')).map(sample).collect();
        Page { response, samples }
    }

    /// Gets it until a condition holds.
    pub fn wait(mirror: &Mirror, what: &str, holds: impl Fn(&Page) -> bool) -> Page {
        wait_until(|| format!("{what} in\n{}", Page::of(mirror).response.text), || holds(&Page::of(mirror)));
        Page::of(mirror)
    }

    /// The sum of all series of a name that have these labels, and perhaps others; 0 if there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let is_it = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|v| v == value))
        };
        self.samples.iter().filter(is_it).map(|sample| sample.value).sum()
    }

    /// The value of a metric that has one series and no labels.
    pub fn only(&self, name: &str) -> f64 {
        let found: Vec<&Sample> = self.samples.iter().filter(|sample| sample.name == name).collect();
        match found[..] {
            [Sample { labels, value, .. }] if labels.is_empty() => *value,
            _ => panic!("{name} is {found:?} in\n{}", self.response.text),
        }
    }

    /// The type of a name in its `# TYPE` line.
    pub fn type_of(&self, name: &str) -> Option<&str> {
        self.response.text.lines().find_map(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '))
    }
}

/// Reads `name{label="value",...} number`.
fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no sample: {line:?}"));
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    while let Some(inner) = rest.strip_prefix(['{', ',']) {
        let (label, quoted) = inner.split_once("=\"").unwrap_or_else(|| panic!("no label: {inner:?} in {line:?}"));
        let (value, tail) = unquoted(quoted);
        assert!(labels.insert(label.to_owned(), value).is_none(), "{label} twice in {line:?}");
        rest = tail.strip_prefix('}').unwrap_or(tail);
    }
    let value = rest.trim().parse().unwrap_or_else(|_| panic!("no number: {rest:?} in {line:?}"));
    Sample { name: name.to_owned(), labels, value }
}

/// The text up to the closing quote, and the rest.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next().unwrap_or_else(|| panic!("no end of {quoted:?}")) {
            '"' => return (text, rest.as_str()),
            '\\' => match rest.next() {
                Some('n') => text.push('\n'),
                other => text.extend(other),
            },
            other => text.push(other),
        }
    }
}
