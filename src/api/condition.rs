//! From StackState's conditions to sources and matchers: the three keys that name what to fetch, and the label values.

use serde_json::Value;

use crate::compute::promql::METRIC_NAME;
use crate::model::decimal::Decimal;
use crate::model::query::{Invalid, LabelValue, Matcher, Selector, Source};
use crate::wire::request::{Condition, ConditionValue};

/// The key of a metric fetched as a rate.
pub(super) const COUNTER: &str = "__counter__";

/// The key of a metric fetched as it is.
pub(super) const GAUGE: &str = "__gauge__";

/// The key of an expression.
pub(super) const EXPRESSION: &str = "~";

/// The keys that name what to fetch, in the order they are offered.
pub(super) const SOURCE_KEYS: [&str; 3] = [COUNTER, GAUGE, EXPRESSION];

/// What the conditions of a metrics query fetch.
///
/// # Errors
/// When not exactly one of the three keys names it, when labels stand beside an expression, which cannot be narrowed by
/// them, or when a value is none that a label can hold.
pub(super) fn source(conditions: &[Condition]) -> Result<Source, Invalid> {
    let (sources, labels): (Vec<&Condition>, Vec<&Condition>) =
        conditions.iter().partition(|condition| SOURCE_KEYS.contains(&condition.key.as_str()));
    let &[naming] = sources.as_slice() else {
        return Err(Invalid::Sources { count: sources.len() });
    };
    let name = single_text(naming)?;
    if naming.key == EXPRESSION {
        if !labels.is_empty() {
            return Err(Invalid::LabelsBesideExpression(labels.iter().map(|label| label.key.clone()).collect()));
        }
        return Ok(Source::Expression(name));
    }
    let matchers = labels.into_iter().map(matcher).collect::<Result<_, _>>()?;
    let selector = Selector { metric: name, matchers };
    Ok(if naming.key == COUNTER { Source::Counter(selector) } else { Source::Gauge(selector) })
}

/// How the conditions of a field query narrow the series it looks at. A metric named by one of the keys narrows by its
/// name; an expression narrows nothing, for it need not be about any series.
///
/// # Errors
/// When a value is none that a label can hold.
pub(super) fn matchers<'c>(conditions: impl IntoIterator<Item = &'c Condition>) -> Result<Vec<Matcher>, Invalid> {
    conditions.into_iter().filter(|condition| condition.key != EXPRESSION).map(matcher).collect()
}

fn matcher(condition: &Condition) -> Result<Matcher, Invalid> {
    let is_metric = condition.key == COUNTER || condition.key == GAUGE;
    let label = if is_metric { METRIC_NAME } else { &condition.key };
    let any_of = label_values(condition)?;
    if any_of.is_empty() {
        return Err(Invalid::EmptySet { key: condition.key.clone() });
    }
    Ok(Matcher { label: label.to_owned(), any_of })
}

fn single_text(condition: &Condition) -> Result<String, Invalid> {
    match label_values(condition)?.as_slice() {
        [LabelValue::Text(text)] if !text.trim().is_empty() => Ok(text.clone()),
        _ => Err(Invalid::SourceValue { key: condition.key.clone() }),
    }
}

/// The label values that a condition's value stands for. The JSON kind decides, for `_type` may be missing; a set is any
/// of its items, which may themselves be values with a type.
fn label_values(condition: &Condition) -> Result<Vec<LabelValue>, Invalid> {
    let none = ConditionValue { value: Value::Null, kind: None };
    let given = condition.value.as_ref().unwrap_or(&none);
    match &given.value {
        Value::Array(items) => {
            let mut values = Vec::with_capacity(items.len());
            for item in items {
                let unwrapped = item.get("value").unwrap_or(item);
                values.push(label_value(unwrapped, item.get("_type").and_then(Value::as_str))?);
            }
            Ok(values)
        }
        scalar => Ok(vec![label_value(scalar, given.kind.as_deref())?]),
    }
}

fn label_value(value: &Value, kind: Option<&str>) -> Result<LabelValue, Invalid> {
    match value {
        Value::String(text) => Ok(LabelValue::Text(text.clone())),
        Value::Bool(truth) => Ok(LabelValue::Text(truth.to_string())),
        // A label may hold it in any of its spellings.
        Value::Number(number) => {
            let text = number.to_string();
            Ok(Decimal::parse(&text).map_or(LabelValue::Text(text), LabelValue::Number))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => {
            let json_kind = match value {
                Value::Null => "null",
                Value::Array(_) => "list",
                _ => "object",
            };
            // What StackState calls it, unless it calls it a type that labels can hold.
            const HELD: [&str; 4] = ["StringValue", "DoubleValue", "BooleanValue", "InSetValue"];
            let mirror_type = kind.filter(|kind| !HELD.contains(kind)).unwrap_or(json_kind);
            Err(Invalid::ValueType { mirror_type: mirror_type.to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(json: &str) -> Vec<Condition> {
        serde_json::from_str(json).unwrap()
    }

    fn values(json: &str) -> Result<Vec<LabelValue>, Invalid> {
        let list = conditions(&format!(r#"[{{"key":"k","value":{json}}}]"#));
        label_values(&list[0])
    }

    #[test]
    fn a_value_stands_for_what_a_label_may_hold() {
        let check = |json: &str, texts: &[&str], numbers: &[&str]| {
            let texts = texts.iter().map(|&text| LabelValue::Text(text.to_owned()));
            let numbers = numbers.iter().map(|text| LabelValue::Number(Decimal::parse(text).unwrap()));
            assert_eq!(values(json).unwrap(), texts.chain(numbers).collect::<Vec<_>>(), "{json}");
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
            assert_eq!(values(json), Err(Invalid::ValueType { mirror_type: mirror_type.into() }), "{json}");
        };
        check(r#"{"value":null,"_type":"NullValue"}"#, "NullValue");
        check(r#"{"value":{"a":1},"_type":"MapValue"}"#, "MapValue");
        check(r#"{"value":{}}"#, "object");
        check(r#"{"value":null,"_type":"StringValue"}"#, "null");
        check(r#"{"_type":"TimeValue"}"#, "TimeValue");
        check("null", "null");
        check(r#"{"value":[["a"]],"_type":"InSetValue"}"#, "list");
        check(r#"{"value":[{"value":null,"_type":"X"}]}"#, "X");
    }

    #[test]
    fn exactly_one_condition_names_what_to_fetch() {
        let check = |json: &str, expected: Result<Source, Invalid>| {
            assert_eq!(source(&conditions(json)), expected, "{json}");
        };
        let selector = |matchers: Vec<Matcher>| Selector { metric: "m".into(), matchers };
        let job = || Matcher::equal("job", "x");
        check(r#"[{"key":"__gauge__","value":{"value":"m"}}]"#, Ok(Source::Gauge(selector(vec![]))));
        check(
            r#"[{"key":"job","value":{"value":"x"}},{"key":"__counter__","value":{"value":"m"}}]"#,
            Ok(Source::Counter(selector(vec![job()]))),
        );
        check(r#"[{"key":"~","value":{"value":"up > 1"}}]"#, Ok(Source::Expression("up > 1".into())));
        check("[]", Err(Invalid::Sources { count: 0 }));
        check(
            r#"[{"key":"~","value":{"value":"up"}},{"key":"__gauge__","value":{"value":"m"}}]"#,
            Err(Invalid::Sources { count: 2 }),
        );
        check(
            r#"[{"key":"~","value":{"value":"up"}},{"key":"job","value":{"value":"x"}}]"#,
            Err(Invalid::LabelsBesideExpression(vec!["job".into()])),
        );
        for empty in [r#""""#, r#"" ""#, r#"["a","b"]"#] {
            check(
                &format!(r#"[{{"key":"__gauge__","value":{{"value":{empty}}}}}]"#),
                Err(Invalid::SourceValue { key: "__gauge__".into() }),
            );
        }
        check(
            r#"[{"key":"__gauge__","value":{"value":"m"}},{"key":"job","value":{"value":[]}}]"#,
            Err(Invalid::EmptySet { key: "job".into() }),
        );
    }

    #[test]
    fn in_a_field_query_a_metric_narrows_by_its_name_and_an_expression_does_not() {
        let list = conditions(
            r#"[{"key":"__counter__","value":{"value":"m"}},{"key":"~","value":{"value":"up"}},
                {"key":"job","value":{"value":"x"}}]"#,
        );
        let expected = vec![Matcher::equal("__name__", "m"), Matcher::equal("job", "x")];
        assert_eq!(matchers(&list), Ok(expected));
    }
}
