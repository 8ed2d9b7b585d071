//! From validated conditions to selectors and patterns in PromQL.
//!
//! Every text from outside ends up in `quoted`, so that it cannot end its string. Within a regular expression it goes through
//! `pattern` first, so that it matches nothing but itself.

use crate::model::decimal::Decimal;
use crate::model::query::{LabelValue, LabelValues, Matcher, Selector};

/// The label that contains a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// The selector of a metric's series: `{__name__="m",job="x"}`, a form that works for every metric name on every version.
pub fn selector(selector: &Selector) -> String {
    let name = Matcher::equal(METRIC_NAME, &selector.metric);
    let texts: Vec<String> = std::iter::once(&name).chain(&selector.matchers).map(matcher).collect();
    format!("{{{}}}", texts.join(","))
}

/// The selector of matchers alone, for `match[]`; `None` if there is nothing to match. With `label_prefix`, the value of the label
/// must also begin with the prefix, unless the prefix is empty.
///
/// Prometheus refuses a selector that every series matches ("must contain at least one non-empty matcher"). If all matchers admit
/// an absent label, the selector therefore also requires a metric name, which every series has.
pub fn match_selector(matchers: &[Matcher], label_prefix: Option<(&str, &str)>) -> Option<String> {
    let mut texts: Vec<String> = matchers.iter().map(matcher).collect();
    let mut selective = matchers.iter().any(|matcher| !matcher.any_of.admit_absence());
    if let Some((label, prefix)) = label_prefix.filter(|(_, prefix)| !prefix.is_empty()) {
        // `(?s:.*)`: a value can contain line breaks, which a plain dot does not match on every version.
        texts.push(format!("{}=~{}", label_name(label), quoted(&format!("{}(?s:.*)", pattern(prefix)))));
        selective = true;
    }
    if texts.is_empty() {
        return None;
    }
    if !selective {
        texts.push(format!("{METRIC_NAME}!=\"\""));
    }
    Some(format!("{{{}}}", texts.join(",")))
}

/// The labels of a selector's matchers, each with the pattern that its value matches (RE2, anchored at both ends).
pub fn label_patterns(of: &Selector) -> Vec<(String, String)> {
    of.matchers.iter().map(|matcher| (matcher.label.clone(), values_pattern(&matcher.any_of))).collect()
}

fn matcher(matcher: &Matcher) -> String {
    let label = label_name(&matcher.label);
    match matcher.any_of.only_text() {
        Some(value) => format!("{label}={}", quoted(value)),
        None => format!("{label}=~{}", quoted(&values_pattern(&matcher.any_of))),
    }
}

fn values_pattern(values: &LabelValues) -> String {
    values.iter().map(value_pattern).collect::<Vec<_>>().join("|")
}

fn value_pattern(value: LabelValue<'_>) -> String {
    match value {
        LabelValue::Text(text) => pattern(text),
        LabelValue::Number(number) => number_pattern(number),
    }
}

/// The lengths of the alternatives in the patterns for matchers, in characters. A repetition counts as if it were written out,
/// because Prometheus expands it. A matcher of a single text needs no pattern.
pub fn pattern_chars(matchers: &[Matcher]) -> impl Iterator<Item = usize> {
    let with_pattern = matchers.iter().filter(|matcher| matcher.any_of.only_text().is_none());
    with_pattern.flat_map(|matcher| matcher.any_of.iter().enumerate()).map(|(nth, value)| {
        let repeated = match value {
            LabelValue::Text(_) => 0,
            LabelValue::Number(number) => number.exponent.unsigned_abs() as usize,
        };
        let separator = if nth == 0 { "" } else { "|" };
        separator.len() + value_pattern(value).chars().count() + repeated
    })
}

/// The number of characters of the pattern for a prefix.
pub fn prefix_chars(prefix: &str) -> usize {
    pattern(prefix).chars().count()
}

/// A label's name in a selector: bare if it is a legacy identifier, else quoted, which Prometheus accepts from version 3 on.
fn label_name(name: &str) -> String {
    if is_legacy_label_name(name) { name.to_owned() } else { quoted(name) }
}

/// Whether every version accepts a label's name without quotes: `[a-zA-Z_][a-zA-Z0-9_]*`.
fn is_legacy_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A PromQL string literal. Only the characters below need an escape; the others stay as they are, because PromQL has no `\u{..}`.
///
/// A label can contain the replacement character, which exporters write for broken text. Prometheus's lexer refuses it ("invalid
/// UTF-8 rune") unless it is escaped in Go's way.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n").replace('\u{fffd}', r"\ufffd");
    format!("\"{escaped}\"")
}

/// An RE2 pattern that matches exactly this text: characters with a meaning in RE2 are escaped.
fn pattern(text: &str) -> String {
    let backslash = |c| r"\.+*?()|[]{}^$".contains(c).then_some('\\');
    text.chars().flat_map(|c| [backslash(c), Some(c)]).flatten().collect()
}

/// An RE2 pattern that matches the spellings of a number that exporters use: written out or with an exponent, with any number of
/// decimals, as Go, Java, Python and C write them (`2`, `2.0`, `0.50`, `1e-05`, `0.00001`, `1.0E6`).
fn number_pattern(number: Decimal) -> String {
    let Decimal { is_negative, digits, exponent } = number;
    if digits == 0 {
        return r"-?0(\.0+)?([eE][-+]?0+)?".to_owned();
    }
    let sign = if is_negative { "-" } else { "" };
    let digits = digits.to_string();
    format!("{sign}({}|{})", written_out(&digits, exponent), with_exponent(&digits, exponent))
}

fn written_out(digits: &str, exponent: i32) -> String {
    if exponent >= 0 {
        return format!(r"{digits}{}(\.0+)?", zeros(exponent));
    }
    let decimals = exponent.unsigned_abs() as usize;
    match digits.len().checked_sub(decimals).filter(|&whole| whole > 0) {
        Some(whole) => format!(r"{}\.{}0*", &digits[..whole], &digits[whole..]),
        None => format!(r"0\.{}{digits}0*", zeros((decimals - digits.len()) as i32)),
    }
}

fn with_exponent(digits: &str, exponent: i32) -> String {
    let (first, rest) = digits.split_at(1);
    let decimals = if rest.is_empty() { r"(\.0+)?".to_owned() } else { format!(r"\.{rest}0*") };
    let power = exponent + rest.len() as i32;
    let power = match power {
        0 => "[-+]?0+".to_owned(),
        1.. => format!(r"\+?0*{power}"),
        _ => format!("-0*{}", power.unsigned_abs()),
    };
    format!("{first}{decimals}[eE]{power}")
}

/// `count` zeros, written as a repetition if there are more than three.
fn zeros(count: i32) -> String {
    if count > 3 { format!("0{{{count}}}") } else { "0".repeat(count as usize) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any_of(label: &str, values: &[&str]) -> Matcher {
        Matcher { label: label.into(), any_of: values.iter().map(|&value| LabelValue::Text(value)).collect() }
    }

    #[test]
    fn a_selector_escapes_what_promql_and_re2_give_a_meaning() {
        let check = |label: &str, values: &[&str], expected: &str| {
            let s = Selector { metric: "m".into(), matchers: vec![any_of(label, values)] };
            assert_eq!(selector(&s), format!("{{__name__=\"m\",{expected}}}"));
        };
        check("job", &["x"], r#"job="x""#);
        check("job", &[""], r#"job="""#);
        check("job", &["a.b"], r#"job="a.b""#);
        check("job", &["say \"hi\"\\\n"], r#"job="say \"hi\"\\\n""#);
        check("job", &["tab\tand é 🦀"], "job=\"tab\tand é 🦀\"");
        check("job", &["2", "2.0"], r#"job=~"2|2\\.0""#);
        check("job", &["a|b", "(c)"], r#"job=~"a\\|b|\\(c\\)""#);
        check("job", &["a\\b", "\n"], r#"job=~"a\\\\b|\n""#);
        check("job", &["\u{fffd}"], r#"job="\ufffd""#);
        check("my.label", &["x"], r#""my.label"="x""#);
        check("0day", &["x"], r#""0day"="x""#);
    }

    #[test]
    fn a_number_is_written_as_a_pattern_of_its_spellings() {
        let check = |number: &str, expected: &str| {
            assert_eq!(number_pattern(Decimal::parse(number).unwrap()), expected, "{number}");
        };
        check("0", r"-?0(\.0+)?([eE][-+]?0+)?");
        check("2", r"(2(\.0+)?|2(\.0+)?[eE][-+]?0+)");
        check("-1e6", r"-(10{6}(\.0+)?|1(\.0+)?[eE]\+?0*6)");
        check("1e-5", r"(0\.0{4}10*|1(\.0+)?[eE]-0*5)");
        check("12.5", r"(12\.50*|1\.250*[eE]\+?0*1)");
        check("0.25", r"(0\.250*|2\.50*[eE]-0*1)");
    }

    #[test]
    fn a_pattern_is_as_long_as_it_is_written_out() {
        let number = |text| LabelValue::Number(Decimal::parse(text).unwrap());
        let check = |values: &[LabelValue<'_>], expected: usize| {
            let matcher = Matcher { label: "l".into(), any_of: values.iter().copied().collect() };
            assert_eq!(pattern_chars(&[matcher.clone(), matcher]).sum::<usize>(), 2 * expected, "{values:?}");
        };
        check(&[LabelValue::Text("a.b")], 0);
        check(&[LabelValue::Text("a.b"), LabelValue::Text("\u{e9}")], 4 + 2);
        check(&[number("2")], r"(2(\.0+)?|2(\.0+)?[eE][-+]?0+)".len());
        check(&[number("1e300")], r"(10{300}(\.0+)?|1(\.0+)?[eE]\+?0*300)".len() + 300);
        check(&[number("1e-300")], r"(0\.0{299}10*|1(\.0+)?[eE]-0*300)".len() + 300);
    }

    #[test]
    fn if_all_matchers_admit_absence_a_selector_requires_a_name() {
        let check = |given: &[Matcher], expected: Option<&str>| {
            assert_eq!(match_selector(given, None).as_deref(), expected);
        };
        check(&[], None);
        check(&[any_of("a", &["1"])], Some(r#"{a="1"}"#));
        check(&[any_of("a", &[""])], Some(r#"{a="",__name__!=""}"#));
        check(&[any_of("a", &["}"]), any_of("b", &[""])], Some(r#"{a="}",b=""}"#));
        check(&[any_of("a", &["", "}"])], Some(r#"{a=~"|\\}",__name__!=""}"#));
    }

    #[test]
    fn a_prefix_is_one_matcher_more() {
        let check = |given: &[Matcher], prefix: &str, expected: Option<&str>| {
            assert_eq!(match_selector(given, Some(("job", prefix))).as_deref(), expected);
        };
        check(&[], "", None);
        check(&[], "a.", Some(r#"{job=~"a\\.(?s:.*)"}"#));
        check(&[any_of("a", &["1"])], "p", Some(r#"{a="1",job=~"p(?s:.*)"}"#));
        check(&[any_of("a", &[""])], "p", Some(r#"{a="",job=~"p(?s:.*)"}"#));
    }
}
