//! Properties of any input. Here: a label value reaches Prometheus unchanged, as a real one judges. `wild` has clients and
//! upstreams that send anything.

mod numbers;
mod wild;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::mirror::{Mirror, condition, typed_condition};
use crate::support::prometheus;
use crate::support::stub::{Stub, good};

const START: i64 = 1_700_000_000_000;

/// Runs `check` with this number of inputs; shrinks and shows an input that fails.
fn for_any<S: Strategy>(cases: u32, inputs: S, check: impl Fn(S::Value)) {
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, max_shrink_iters: 500, ..Config::default() });
    let result = runner.run(&inputs, |input| {
        check(input);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Any text, often with characters that have a meaning in PromQL, RE2 or Go's templates.
fn label_value() -> impl Strategy<Value = String> {
    let special: Vec<char> =
        "\\\"\'`\n\r\t\0\u{1b}\u{7f}\u{85}\u{2028}\u{feff}\u{fffd}\u{10ffff}${}[]()|.*+?^-#%&=,; x0n".chars().collect();
    prop::collection::vec(prop_oneof![select(special), any::<char>()], 0..16).prop_map(String::from_iter)
}

/// The matcher of `job` in the PromQL of the newest query: its operator, its literal, and the meaning of the literal.
fn matcher_of_job(stub: &Stub) -> (String, String, String) {
    let promql = stub.queries("stub_metric").last().expect("a query").promql().to_owned();
    let matcher = promql.strip_prefix(r#"{__name__="stub_metric",job"#).unwrap_or_else(|| panic!("{promql:?}"));
    let (operator, literal) = matcher.split_at(matcher.find('"').unwrap());
    let (text, rest) = unquote(literal);
    assert!(rest.starts_with("}[") && !rest.contains('"'), "the literal ends early: {promql:?}");
    (operator.to_owned(), literal[..literal.len() - rest.len()].to_owned(), text)
}

/// The meaning of a PromQL string literal, and the rest after it.
fn unquote(literal: &str) -> (String, &str) {
    let mut text = String::new();
    let mut rest = literal.strip_prefix('"').unwrap().chars();
    loop {
        match rest.next().expect("a closing quote") {
            '"' => return (text, rest.as_str()),
            '\n' => panic!("a line break inside a literal: {literal:?}"),
            '\\' => text.push(match rest.next().unwrap() {
                'n' => '\n',
                same @ ('\\' | '"') => same,
                // The only character that Prometheus considers broken text if it is not escaped.
                'u' => {
                    let (digits, tail) = rest.as_str().split_at(4);
                    rest = tail.chars();
                    char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap()
                }
                other => panic!("an escape that PromQL might not know: \\{other} in {literal:?}"),
            }),
            other => text.push(other),
        }
    }
}

/// A PromQL string literal, the obvious way.
fn quote(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n").replace('\u{fffd}', r"\ufffd");
    format!("\"{text}\"")
}

/// Queries the raw samples of the stub's metric with one condition.
fn ask_with(mirror: &Mirror, stub: &Stub, condition: Value) {
    let conditions = json!([{"key": "__gauge__", "value": {"value": "stub_metric"}}, condition]);
    let query = json!({"conditions": conditions, "startTime": START, "endTime": START + 1000});
    let response = mirror.metric(&stub.details(), query);
    assert_eq!(response.status, 200, "{}", response.text);
}

#[test]
fn any_label_value_reaches_prometheus_as_it_is() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let prometheus = prometheus::shared();
    for_any(1500, label_value(), |value| {
        stub.behave(good);
        ask_with(&mirror, &stub, condition("job", &value));
        let (operator, literal, text) = matcher_of_job(&stub);
        assert_eq!((operator.as_str(), &text), ("=", &value));
        // A literal is an expression, too: the server returns how it reads it.
        let response = prometheus.api("/api/v1/query", &[("query", &literal)]);
        assert_eq!(response["data"]["result"][1], json!(value), "{literal:?}: {response}");
    });
}

#[test]
fn a_set_of_label_values_matches_exactly_its_members() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let prometheus = prometheus::shared();
    let inputs = (prop::collection::vec(label_value(), 1..5), label_value(), any::<Index>());
    for_any(400, inputs, |(members, stranger, which)| {
        stub.behave(good);
        ask_with(&mirror, &stub, typed_condition("job", json!(members), "InSetValue"));
        let (operator, literal, text) = matcher_of_job(&stub);
        let matches = |value: &str| {
            if operator == "=" {
                return text == value;
            }
            assert_eq!(operator, "=~");
            // In a replacement `$` is written `$$`.
            let carrier = format!(r#"label_replace(vector(1), "l", {}, "", "")"#, quote(&value.replace('$', "$$")));
            let hit = format!(r#"label_replace({carrier}, "hit", "yes", "l", {literal})"#);
            let response = prometheus.api("/api/v1/query", &[("query", &hit)]);
            let labels = &response["data"]["result"][0]["metric"];
            assert_eq!(labels["l"].as_str().unwrap_or_default(), value, "{hit:?}: {response}");
            labels["hit"] == "yes"
        };
        for member in &members {
            assert!(matches(member), "{literal:?} does not match {member:?}");
        }
        // Texts that are similar to a member find more faults than others.
        let member = which.get(&members);
        let mut others = vec![stranger, member.chars().skip(1).collect()];
        others.extend([format!("{member}x"), format!("x{member}"), format!("{member}\n")]);
        let marks = member.chars().filter(char::is_ascii_punctuation);
        others.extend(marks.map(|mark| member.replace(mark, "x")));
        for other in others {
            assert_eq!(matches(&other), members.contains(&other), "{literal:?} and {other:?}");
        }
    });
}
