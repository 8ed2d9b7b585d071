//! Turns StackState's conditions into a source and matchers: the three keys that say what to fetch, and the conditions on labels.

use crate::compute::matchers::{METRIC_NAME, pattern_chars, prefix_chars};
use crate::compute::tokens;
use crate::error::Error;
use crate::model::decimal::Decimal;
use crate::model::query::{LabelValue, LabelValues, Matcher, Selector, Source};
use crate::wire::conditions::{
    Condition, Conditions, MAX_CONDITIONS, MAX_SET_VALUES, ScalarOrSet, TypedValue, ValueSet,
};
use crate::wire::response::ErrorBody;
use crate::wire::scalar::{MAX_VALUE_BYTES, MAX_VALUES_BYTES, Name, Scalar};

/// The key for a metric that is fetched as a rate.
pub(super) const COUNTER: &str = "__counter__";

/// The key for a metric that is fetched as it is.
pub(super) const GAUGE: &str = "__gauge__";

/// The key for an expression.
pub(super) const EXPRESSION: &str = "~";

/// The keys that say what to fetch, in the order in which field names list them.
pub(super) const SOURCE_KEYS: [&str; 3] = [COUNTER, GAUGE, EXPRESSION];

/// The most characters of all patterns of a query ([`pattern_chars`]). For a set of numbers, Prometheus 2.42 and 3.5 need some 0.4
/// KiB of memory and 3 microseconds for each character. For a million characters, they need 1.4 and 18 GiB, and 9 and 50 seconds.
const MAX_PATTERN_CHARS: usize = 64 << 10;

/// The only type of condition that is supported.
const EQUALITY: &str = "EqualityCondition";

/// The three keys, in the words of errors.
const KEYS: &str = "__gauge__ (a metric's values), __counter__ (a metric's rate per second) or ~ (PromQL)";

/// The conditions of a query, after a check that there are not too many, and that all are equalities.
///
/// # Errors
/// When there are too many of them or of their values, or one is of another type.
pub(super) fn checked(conditions: &Conditions) -> Result<&[Condition], Error> {
    let Conditions { kept, count, set_values, value_bytes } = conditions;
    if *set_values > MAX_SET_VALUES {
        return Err(too_large(format!(
            "the sets of the conditions have more than {MAX_SET_VALUES} values together, the most that are accepted: remove some, \
             or write a ~ expression with a pattern"
        )));
    }
    if *value_bytes > MAX_VALUES_BYTES {
        return Err(too_large(format!(
            "the values of the conditions have more than {MAX_VALUES_BYTES} bytes together, the most that are accepted: remove \
             some, or write a ~ expression with a pattern"
        )));
    }
    if *count > MAX_CONDITIONS {
        return Err(too_large(format!(
            "the query has {count} conditions, and at most {MAX_CONDITIONS} are accepted: remove some"
        )));
    }
    for condition in kept {
        let found = match &condition.type_name {
            Scalar::Null => continue,
            Scalar::Text(name) if name == EQUALITY => continue,
            Scalar::Text(name) if is_name(name) => format!("of type {name}"),
            _ => "of an unknown type".to_owned(),
        };
        let details = format!(
            "the condition on {key} is {found}, which is not supported: use an EqualityCondition (with a set for several values), \
             or write a ~ expression, where {{label!=\"value\"}} and {{label=~\"pattern\"}} are possible",
            key = condition.key.0
        );
        return Err(Error::invalid_query("unsupported_condition_type", details));
    }
    Ok(kept)
}

/// The error of a query that exceeds a bound.
fn too_large(details: String) -> Error {
    Error::invalid_query("query_too_large", details)
}

/// The error of patterns that are too long to be sent.
fn too_long_patterns() -> Error {
    too_large(format!(
        "the sets and numbers of the conditions, or the prefix, make patterns of more than {MAX_PATTERN_CHARS} characters \
         together, the most that are sent, since Prometheus needs much memory for longer ones: remove values, or write a ~ \
         expression with a short pattern, such as {{label=~\"web-.*\"}}"
    ))
}

/// The error of a query that does not name one metric or expression.
fn no_metric_named(details: String) -> Error {
    let body = ErrorBody::MetricNotFoundError { metric: String::new(), details };
    Error::Mirror { code: "no_metric_named", body }
}

/// The error of a value of a type that labels cannot have.
fn unsupported_value(mirror_type: &str) -> Error {
    let body = ErrorBody::UnsupportedFieldTypeError { mirror_type: mirror_type.to_owned() };
    Error::Mirror { code: "unsupported_value_type", body }
}

/// Whether a text has the form of a type's name, so that an error may show it.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The source of a query for points.
///
/// # Errors
/// When the conditions are not valid, when not exactly one of the three keys says what to fetch, when there are conditions on
/// labels beside an expression, which they cannot narrow, when its patterns are too long, or when a label cannot have a value.
pub(super) fn source(conditions: &Conditions) -> Result<Source, Error> {
    let (sources, labels): (Vec<&Condition>, Vec<&Condition>) =
        checked(conditions)?.iter().partition(|condition| SOURCE_KEYS.contains(&&*condition.key));
    let [naming] = sources[..] else {
        return Err(no_metric_named(match sources.len() {
            0 => format!("no condition selects a metric or an expression: add exactly one of {KEYS}"),
            count => format!("{count} conditions select a metric or an expression: keep exactly one of {KEYS}"),
        }));
    };
    let name = single_text(naming)?;
    if *naming.key == *EXPRESSION {
        if !labels.is_empty() {
            let details = format!(
                "conditions on {} stand beside a ~ expression, which they cannot narrow: write them into the expression as label \
                 matchers and remove the conditions",
                labels.iter().map(|label| &*label.key).collect::<Vec<_>>().join(", ")
            );
            return Err(Error::invalid_query("conditions_beside_expression", details));
        }
        if tokens::pattern_chars(&name) > MAX_PATTERN_CHARS {
            return Err(too_large(format!(
                "the patterns of the ~ expression (=~ and !~) have more than {MAX_PATTERN_CHARS} characters together, the most \
                 that are sent, since Prometheus needs much memory for longer ones: shorten them, or use a label with fewer values"
            )));
        }
        return Ok(Source::Expression(name));
    }
    let matchers = bounded(labels.into_iter().map(matcher).collect::<Result<_, _>>()?)?;
    let selector = Selector { metric: name, matchers };
    Ok(if *naming.key == *COUNTER { Source::Counter(selector) } else { Source::Gauge(selector) })
}

/// The matchers of a query for field names or values, without the conditions on `field`, whose values are wanted. A condition on a
/// metric matches the metric's name. An expression gives no matcher, because it may use any series.
///
/// # Errors
/// When the conditions are not valid, or a label cannot have a value.
pub(super) fn matchers(conditions: &Conditions, field: Option<&str>) -> Result<Vec<Matcher>, Error> {
    let narrows = |condition: &&Condition| *condition.key != *EXPRESSION && Some(&*condition.key) != field;
    bounded(checked(conditions)?.iter().filter(narrows).map(matcher).collect::<Result<_, _>>()?)
}

/// Checks that the pattern for a prefix is short enough for Prometheus.
///
/// # Errors
/// When it is too long.
pub(super) fn bounded_prefix(prefix: &str) -> Result<&str, Error> {
    if prefix_chars(prefix) <= MAX_PATTERN_CHARS { Ok(prefix) } else { Err(too_long_patterns()) }
}

/// Checks that the patterns of matchers are short enough for Prometheus.
fn bounded(matchers: Vec<Matcher>) -> Result<Vec<Matcher>, Error> {
    let mut left = MAX_PATTERN_CHARS;
    for chars in pattern_chars(&matchers) {
        left = left.checked_sub(chars).ok_or_else(too_long_patterns)?;
    }
    Ok(matchers)
}

fn matcher(condition: &Condition) -> Result<Matcher, Error> {
    let is_metric = *condition.key == *COUNTER || *condition.key == *GAUGE;
    let label = if is_metric { METRIC_NAME } else { &condition.key };
    let any_of = label_values(condition)?;
    if any_of.is_empty() {
        let key = &condition.key.0;
        let details =
            format!("the condition on {key} has an empty set of values, which no series can match: add a value");
        return Err(Error::invalid_query("invalid_query", details));
    }
    Ok(Matcher { label: label.to_owned(), any_of })
}

fn single_text(condition: &Condition) -> Result<String, Error> {
    match label_values(condition)?.only_text() {
        Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err(no_metric_named(format!(
            "the condition {} must have one non-empty text as its value; select a metric or an expression with {KEYS}",
            condition.key.0
        ))),
    }
}

/// The label values that match a condition. The kind of the JSON value decides, because `_type` may be missing; if it is there,
/// labels must be able to have this type. A set matches any of its values, which may be objects with a type of their own.
fn label_values(condition: &Condition) -> Result<LabelValues, Error> {
    let mut values = LabelValues::default();
    let mut add = |value, type_name| add_value(&mut values, &condition.key, value, type_name);
    match &condition.value {
        None => add(&Scalar::Null, None)?,
        Some(TypedValue { value: ScalarOrSet::One(value), type_name }) => add(value, type_name.as_deref())?,
        Some(TypedValue { value: ScalarOrSet::Set(ValueSet { kept, .. }), type_name }) => {
            check_held(type_name.as_deref())?;
            kept.iter().try_for_each(|item| add(&item.value, item.type_name.as_deref()))?;
        }
    }
    Ok(values)
}

/// Refuses a value of a type that labels cannot have, such as a pattern.
fn check_held(type_name: Option<&Name>) -> Result<(), Error> {
    match type_name {
        Some(name) => Err(unsupported_value(if is_name(name) { name } else { "unknown" })),
        None => Ok(()),
    }
}

fn add_value(values: &mut LabelValues, key: &Name, value: &Scalar, type_name: Option<&Name>) -> Result<(), Error> {
    check_held(type_name)?;
    match value {
        Scalar::Text(text) => values.push(LabelValue::Text(text)),
        Scalar::Bool(truth) => values.push(LabelValue::Text(if *truth { "true" } else { "false" })),
        // A label may have it in any spelling.
        Scalar::Number(number) => {
            let text = number.to_string();
            values.push(Decimal::parse(&text).map_or(LabelValue::Text(&text), LabelValue::Number));
        }
        Scalar::LongText(bytes) => {
            return Err(too_large(format!(
                "the value of the condition {} has {bytes} bytes, and at most {MAX_VALUE_BYTES} are accepted: shorten it, for \
                 example by a recording rule in Prometheus",
                key.0
            )));
        }
        Scalar::Null | Scalar::List | Scalar::Object => return Err(unsupported_value(value.kind())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request::FieldNamesQuery;

    fn conditions(json: &str) -> Conditions {
        let query: FieldNamesQuery = serde_json::from_str(&format!(r#"{{"conditions":{json}}}"#)).unwrap();
        query.conditions
    }

    fn values(json: &str) -> Result<LabelValues, Error> {
        let list = conditions(&format!(r#"[{{"key":"k","value":{json}}}]"#));
        label_values(&list.kept[0])
    }

    /// Checks that a query is refused with a code, and with a text that has these parts.
    fn refused<T: std::fmt::Debug>(found: Result<T, Error>, code: &str, parts: &[&str]) {
        let error = found.unwrap_err();
        let text = error.to_string();
        assert!(error.code() == code && parts.iter().all(|part| text.contains(part)), "{error:?}");
    }

    #[test]
    fn a_value_stands_for_what_a_label_may_hold() {
        let check = |json: &str, texts: &[&str], numbers: &[&str]| {
            let texts = texts.iter().map(|&text| LabelValue::Text(text));
            let numbers = numbers.iter().map(|text| LabelValue::Number(Decimal::parse(text).unwrap()));
            let expected: Vec<LabelValue<'_>> = texts.chain(numbers).collect();
            assert_eq!(values(json).unwrap().iter().collect::<Vec<_>>(), expected, "{json}");
        };
        check(r#"{"value":"x","_type":"StringValue"}"#, &["x"], &[]);
        check(r#"{"value":2.0,"_type":"DoubleValue"}"#, &[], &["2"]);
        check(r#"{"value":2,"_type":"DoubleValue"}"#, &[], &["2"]);
        check(r#"{"value":1e-5}"#, &[], &["0.00001"]);
        check(r#"{"value":-0.0}"#, &[], &["0"]);
        check(r#"{"value":1e21}"#, &[], &["1e21"]);
        check(r#"{"value":18446744073709551615}"#, &[], &["18446744073709551615"]);
        check(r#"{"value":true,"_type":"BooleanValue"}"#, &["true"], &[]);
        check(r#"{"value":["a",false,1,0.5],"_type":"InSetValue"}"#, &["a", "false"], &["1", "0.5"]);
        check(r#"{"value":[{"value":"a","_type":"StringValue"}],"_type":"InSetValue"}"#, &["a"], &[]);
        check(r#"{"value":[]}"#, &[], &[]);
    }

    #[test]
    fn a_value_that_labels_cannot_hold_is_refused_with_its_type() {
        let check = |json: &str, mirror_type: &str| {
            refused(values(json), "unsupported_value_type", &[&format!("type {mirror_type} ")]);
        };
        check(r#"{"value":null,"_type":"NullValue"}"#, "NullValue");
        check(r#"{"value":{"a":1},"_type":"MapValue"}"#, "MapValue");
        check(r#"{"value":{}}"#, "object");
        check(r#"{"value":null,"_type":"StringValue"}"#, "null");
        check(r#"{"_type":"TimeValue"}"#, "TimeValue");
        check("null", "null");
        check(r#"{"value":[["a"]],"_type":"InSetValue"}"#, "list");
        check(r#"{"value":[{"value":null,"_type":"X"}]}"#, "X");
        check(r#"{"value":"x","_type":"MapValue"}"#, "MapValue");
        check(r#"{"value":".*","_type":"RegexValue"}"#, "RegexValue");
        check(r#"{"value":["a"],"_type":"RegexValue"}"#, "RegexValue");
        check(r#"{"value":["a",{"value":"b","_type":"RegexValue"}]}"#, "RegexValue");
        check(r#"{"value":5,"_type":"stringvalue"}"#, "stringvalue");
        check(r#"{"value":"x","_type":"http://u:pw@h"}"#, "unknown");
        check(r#"{"value":"x","_type":""}"#, "unknown");
        let (most, more) = ("X".repeat(64), "X".repeat(65));
        check(&format!(r#"{{"value":"x","_type":"{most}"}}"#), &most);
        check(&format!(r#"{{"value":"x","_type":"{more}"}}"#), "unknown");
    }

    #[test]
    fn exactly_one_condition_names_what_to_fetch() {
        let check = |json: &str, expected: Source| assert_eq!(source(&conditions(json)).unwrap(), expected, "{json}");
        let selector = |matchers: Vec<Matcher>| Selector { metric: "m".into(), matchers };
        let job = || Matcher::equal("job", "x");
        check(r#"[{"key":"__gauge__","value":{"value":"m"}}]"#, Source::Gauge(selector(vec![])));
        check(
            r#"[{"key":"job","value":{"value":"x"}},{"key":"__counter__","value":{"value":"m"}}]"#,
            Source::Counter(selector(vec![job()])),
        );
        check(r#"[{"key":"~","value":{"value":"up > 1"}}]"#, Source::Expression("up > 1".into()));
        let check = |json: &str, code: &str, part: &str| refused(source(&conditions(json)), code, &[part]);
        check("[]", "no_metric_named", "no condition selects");
        check(
            r#"[{"key":"~","value":{"value":"up"}},{"key":"__gauge__","value":{"value":"m"}}]"#,
            "no_metric_named",
            "2 conditions select",
        );
        check(
            r#"[{"key":"~","value":{"value":"up"}},{"key":"job","value":{"value":"x"}}]"#,
            "conditions_beside_expression",
            "conditions on job stand",
        );
        for empty in [r#""""#, r#"" ""#, r#"["a","b"]"#] {
            check(
                &format!(r#"[{{"key":"__gauge__","value":{{"value":{empty}}}}}]"#),
                "no_metric_named",
                "the condition __gauge__ must have",
            );
        }
        check(
            r#"[{"key":"__gauge__","value":{"value":"m"}},{"key":"job","value":{"value":[]}}]"#,
            "invalid_query",
            "the condition on job has an empty set",
        );
    }

    #[test]
    fn in_a_field_query_a_metric_narrows_by_its_name_and_an_expression_does_not() {
        let list = conditions(
            r#"[{"key":"__counter__","value":{"value":"m"}},{"key":"~","value":{"value":"up"}},
                {"key":"job","value":{"value":"x"}}]"#,
        );
        let expected = vec![Matcher::equal("__name__", "m"), Matcher::equal("job", "x")];
        assert_eq!(matchers(&list, None).unwrap(), expected);
        assert_eq!(matchers(&list, Some("job")).unwrap(), expected[..1]);
    }

    #[test]
    fn a_condition_of_another_type_is_refused() {
        let check = |type_name: &str, shown: Option<&str>| {
            let json = format!(r#"[{{"key":"job","value":{{"value":"x"}},"_type":{type_name}}}]"#);
            let matchers = matchers(&conditions(&json), Some("job"));
            match shown {
                Some(shown) => refused(matchers, "unsupported_condition_type", &[&format!("on job is {shown}, ")]),
                None => assert_eq!(matchers.unwrap(), [], "{type_name}"),
            }
        };
        check("null", None);
        check(r#""EqualityCondition""#, None);
        check(r#""NotEqualCondition""#, Some("of type NotEqualCondition"));
        check(r#""RegexCondition""#, Some("of type RegexCondition"));
        check(r#""equalitycondition""#, Some("of type equalitycondition"));
        check(r#""http://u:pw@h""#, Some("of an unknown type"));
        check(r#""""#, Some("of an unknown type"));
        check("5", Some("of an unknown type"));
        check(r#"["EqualityCondition"]"#, Some("of an unknown type"));
    }

    #[test]
    fn more_than_is_taken_is_refused_with_the_bound() {
        let label = r#"{"key":"k","value":{"value":"v"}}"#;
        let list = conditions(&format!("[{}]", vec![label; 101].join(",")));
        refused(matchers(&list, None), "query_too_large", &["has 101 conditions", "at most 100 "]);
        let set = format!(r#"{{"key":"k","value":{{"value":[{}]}}}}"#, vec!["0"; 12_501].join(","));
        let list = conditions(&format!("[{set},{set}]"));
        refused(matchers(&list, None), "query_too_large", &["more than 25000 values"]);
        let long = format!(r#"[{{"key":"~","value":{{"value":{:?}}}}}]"#, "x".repeat(262_145));
        let label = format!(r#"{{"key":"k","value":{{"value":"{}"}}}}"#, "x".repeat(175_000));
        let list = conditions(&format!("[{label},{label},{label}]"));
        refused(matchers(&list, None), "query_too_large", &["more than 524288 bytes"]);
        let parts = ["the condition ~ has 262145 bytes", "at most 262144 "];
        refused(source(&conditions(&long)), "query_too_large", &parts);
    }

    #[test]
    fn the_patterns_of_an_expression_are_bounded_like_others() {
        let check = |chars: usize, operator: &str, is_taken: bool| {
            let expression = format!("up{{a{operator}'{}',b{operator}\"y\"}}", "x".repeat(chars));
            let list = conditions(&format!(r#"[{{"key":"~","value":{{"value":{expression:?}}}}}]"#));
            match source(&list) {
                Ok(_) => assert!(is_taken, "{chars} {operator}"),
                found => refused(found, "query_too_large", &["of the ~ expression", "more than 65536 characters"]),
            }
        };
        for operator in ["=~", "!~"] {
            check(65_535, operator, true);
            check(65_536, operator, false);
        }
        check(200_000, "=", true);
    }

    #[test]
    fn patterns_are_bounded_as_prometheus_reads_them() {
        let check = |values: String, is_taken: bool| {
            let condition = |key: &str| format!(r#"{{"key":"{key}","value":{{"value":{values}}}}}"#);
            let gauge = r#"{"key":"__gauge__","value":{"value":"m"}}"#;
            let list = conditions(&format!("[{gauge},{},{}]", condition("a"), condition("b")));
            for found in [source(&list).map(drop), matchers(&list, None).map(drop)] {
                if is_taken {
                    found.unwrap();
                } else {
                    refused(found, "query_too_large", &["sets and numbers", "more than 65536 characters"]);
                }
            }
        };
        let set = |value: &str, count: usize| format!("[{}]", vec![value; count].join(","));
        // Each value makes "x|", in two conditions.
        check(set("\"x\"", 12_500), true);
        check(set("\"xxxx\"", 6_000), true);
        check(set("\"xxxx\"", 6_554), false);
        check(set("\"....\"", 4_000), false);
        check(set("1", 1_000), true);
        check(set("1", 1_200), false);
        check(set("1e300", 80), true);
        check(set("1e300", 100), false);
        check(set("1e-300", 100), false);
        // Both conditions together have exactly the bound, separators included; then one character more.
        let two = |chars: usize| format!("[\"{}\",\"y\"]", "x".repeat(chars));
        check(two(32_766), true);
        check(two(32_767), false);
        // A single text is compared, without a pattern.
        check(format!("\"{}\"", "x".repeat(200_000)), true);
    }
}
