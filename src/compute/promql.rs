//! From a validated query to PromQL text. Nothing else builds PromQL.
//!
//! Everything that came from outside goes through `quoted` or `pattern`, so that no value can leave its string. An
//! expression of the admin's own is the one exception: it is his to write, and it is only ever put between parentheses.

use crate::model::query::{Aggregation, Matcher, Method, Selector, Source};

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// The lengths of time that an aggregated query is written with, in milliseconds (see `plan`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// The range selector that covers exactly one bucket.
    pub bucket: i64,
    /// The window of a counter's `rate`.
    pub rate: i64,
    /// The resolution of a subquery.
    pub resolution: i64,
}

/// The selector of a metric's series: `{__name__="m",job="x"}`, right for every metric name on every version.
pub fn selector(selector: &Selector) -> String {
    let name = Matcher::equal(METRIC_NAME, &selector.metric);
    let texts: Vec<String> = std::iter::once(&name).chain(&selector.matchers).map(matcher).collect();
    format!("{{{}}}", texts.join(","))
}

/// The selector made of matchers alone, as `match[]` takes it; `None` when there is nothing to match. A label given with
/// a prefix also has to start with it; an empty prefix asks for nothing.
///
/// Prometheus refuses a selector that everything matches ("must contain at least one non-empty matcher"), so one whose
/// matchers all admit an absent label also says that the series has a name, as every series does.
pub fn match_selector(matchers: &[Matcher], label_prefix: Option<(&str, &str)>) -> Option<String> {
    let mut texts: Vec<String> = matchers.iter().map(matcher).collect();
    let mut selective = matchers.iter().any(|matcher| !matcher.any_of.iter().any(String::is_empty));
    if let Some((label, prefix)) = label_prefix.filter(|(_, prefix)| !prefix.is_empty()) {
        // `(?s:.*)`: a value may hold line breaks, which a plain dot does not match on every version.
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

/// The stored samples of the last `length_ms` milliseconds.
pub fn samples(of: &Selector, length_ms: i64) -> String {
    format!("{}[{length_ms}ms]", selector(of))
}

/// How many samples the last `length_ms` milliseconds hold, all series together; nothing when there are none.
pub fn sample_count(of: &Selector, length_ms: i64) -> String {
    format!("sum(count_over_time({}[{length_ms}ms]))", selector(of))
}

/// How many series have samples in the last `length_ms` milliseconds; nothing when there are none.
pub fn series_count(of: &Selector, length_ms: i64) -> String {
    format!("count(count_over_time({}[{length_ms}ms]))", selector(of))
}

/// The series that was scraped last, of those that have a sample in the last five minutes.
pub fn newest_series(of: &Selector) -> String {
    format!("topk(1, timestamp({}))", selector(of))
}

/// The value of one bucket: the table of the translation rules, "Aggregated queries".
pub fn aggregated(source: &Source, aggregation: Aggregation, windows: Windows) -> String {
    match source {
        Source::Gauge(of) => gauge(&selector(of), aggregation.method, windows),
        Source::Counter(of) => counter(&selector(of), aggregation, windows),
        Source::Expression(text) => {
            // The line break ends a comment that the expression may end with.
            let body = if text.contains('#') { format!("({text}\n)") } else { format!("({text})") };
            over_subquery(&body, aggregation.method, windows)
        }
    }
}

fn gauge(s: &str, method: Method, windows: Windows) -> String {
    let b = windows.bucket;
    match method {
        Method::Mean => format!("sum(sum_over_time({s}[{b}ms])) / sum(count_over_time({s}[{b}ms]))"),
        Method::Max => format!("max(max_over_time({s}[{b}ms]))"),
        Method::Min => format!("min(min_over_time({s}[{b}ms]))"),
        Method::Percentile(p) => format!("quantile_over_time({}, {s}[{b}ms])", quantile(p)),
        Method::Sum => format!("sum(sum_over_time({s}[{b}ms]))"),
        Method::EventCount => format!("sum(count_over_time({s}[{b}ms]))"),
    }
}

fn counter(s: &str, aggregation: Aggregation, windows: Windows) -> String {
    let rate = format!("sum(rate({s}[{}ms]))", windows.rate);
    match aggregation.method {
        Method::Mean => rate,
        Method::Sum => format!("{rate} * {}", seconds(aggregation.bucket_ms)),
        Method::EventCount => gauge(s, Method::EventCount, windows),
        Method::Max | Method::Min | Method::Percentile(_) => over_subquery(&rate, aggregation.method, windows),
    }
}

fn over_subquery(body: &str, method: Method, windows: Windows) -> String {
    let range = format!("{body}[{}ms:{}ms]", windows.bucket, windows.resolution);
    match method {
        Method::Mean => format!("avg_over_time({range})"),
        Method::Max => format!("max_over_time({range})"),
        Method::Min => format!("min_over_time({range})"),
        Method::Percentile(p) => format!("quantile_over_time({}, {range})", quantile(p)),
        Method::Sum => format!("sum_over_time({range})"),
        Method::EventCount => format!("count_over_time({range})"),
    }
}

fn quantile(percent: u8) -> f64 {
    f64::from(percent) / 100.0
}

/// Milliseconds as the shortest decimal number of seconds: 60000 is `60`, 1500 is `1.5`.
fn seconds(ms: i64) -> String {
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn matcher(matcher: &Matcher) -> String {
    let label = label_name(&matcher.label);
    match matcher.any_of.as_slice() {
        [value] => format!("{label}={}", quoted(value)),
        values => {
            let patterns: Vec<String> = values.iter().map(|value| pattern(value)).collect();
            format!("{label}=~{}", quoted(&patterns.join("|")))
        }
    }
}

/// A label's name as it stands in a selector: bare when it is a legacy identifier, else quoted, which Prometheus 3 and
/// newer take and older servers refuse.
fn label_name(name: &str) -> String {
    if is_legacy_label_name(name) { name.to_owned() } else { quoted(name) }
}

/// Whether a name is one that every version takes bare: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_legacy_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A PromQL string literal. Only these need an escape; everything else goes as it is, for PromQL has no `\u{..}`.
///
/// The replacement character is the odd one: a label may hold it (exporters write it for broken text), but Prometheus's
/// lexer takes it for broken text itself ("invalid UTF-8 rune") unless it is escaped the way Go does.
fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for c in text.chars() {
        match c {
            '\\' => literal.push_str("\\\\"),
            '"' => literal.push_str("\\\""),
            '\n' => literal.push_str("\\n"),
            '\u{fffd}' => literal.push_str("\\ufffd"),
            other => literal.push(other),
        }
    }
    literal.push('"');
    literal
}

/// An RE2 pattern that matches exactly this text: the characters RE2 gives a meaning are escaped.
fn pattern(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any_of(label: &str, values: &[&str]) -> Matcher {
        Matcher { label: label.into(), any_of: values.iter().map(|&v| v.into()).collect() }
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
    fn matchers_that_admit_absence_are_joined_by_a_name() {
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

    #[test]
    fn seconds_are_written_as_short_as_they_are_exact() {
        for (ms, text) in [(60_000, "60"), (1_500, "1.5"), (1, "0.001"), (600_000, "600"), (10, "0.01")] {
            assert_eq!(seconds(ms), text);
        }
    }

    #[test]
    fn a_comment_does_not_swallow_the_parenthesis() {
        let windows = Windows { bucket: 60_000, rate: 60_000, resolution: 15_000 };
        let aggregation = Aggregation::new("MAX", 60_000).unwrap();
        let check = |text: &str, expected: &str| {
            assert_eq!(aggregated(&Source::Expression(text.into()), aggregation, windows), expected);
        };
        check("up", "max_over_time((up)[60000ms:15000ms])");
        check("up # all", "max_over_time((up # all\n)[60000ms:15000ms])");
    }
}
