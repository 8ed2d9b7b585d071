//! PromQL: what is read back from the text that is sent, beside what was asked and the table of the translation.

mod reader;

use arbitrary::{Arbitrary, Result, Unstructured};
use prometheusmirror::compute::promql::{self, Windows};
use prometheusmirror::model::query::{Aggregation, Matcher, Selector, Source};
use prometheusmirror::model::time::LATEST_MS;

use reader::{Expr, Match, Operator, read};

/// A query, described by the input.
#[derive(Debug)]
struct Asked {
    selector: Selector,
    expression: String,
    aggregation: Aggregation,
    method: &'static str,
    windows: Windows,
    length_ms: i64,
    prefix: (String, String),
}

const METHODS: [&str; 14] = [
    "MEAN",
    "MAX",
    "MIN",
    "SUM",
    "SUM_NO_ZEROS",
    "EVENT_COUNT",
    "EVENT_COUNT_NO_ZEROS",
    "PERCENTILE_25",
    "PERCENTILE_50",
    "PERCENTILE_75",
    "PERCENTILE_90",
    "PERCENTILE_95",
    "PERCENTILE_98",
    "PERCENTILE_99",
];

impl<'a> Arbitrary<'a> for Asked {
    fn arbitrary(choices: &mut Unstructured<'a>) -> Result<Asked> {
        let method = *choices.choose(&METHODS)?;
        let mut length = || choices.int_in_range(1..=LATEST_MS);
        let (bucket_ms, length_ms) = (length()?, length()?);
        let windows = Windows { bucket: length()?, rate: length()?, resolution: length()? };
        let mut matchers = Vec::new();
        for _ in 0..choices.int_in_range(0..=3)? {
            let label = text(choices)?;
            let mut any_of = vec![text(choices)?];
            while !choices.is_empty() && choices.int_in_range(0..=3)? == 3 {
                any_of.push(text(choices)?);
            }
            matchers.push(Matcher { label, any_of });
        }
        Ok(Asked {
            selector: Selector { metric: text(choices)?, matchers },
            aggregation: Aggregation::new(method, bucket_ms).unwrap(),
            method,
            windows,
            length_ms,
            prefix: (text(choices)?, text(choices)?),
            expression: expression(choices)?,
        })
    }
}

/// A text, of what means something to PromQL or RE2 or of anything.
fn text(choices: &mut Unstructured) -> Result<String> {
    let marks: Vec<char> = "\\\"'`\n\r\t\0\u{7f}\u{fffd}\u{10ffff}${}[]()|.*+?^-#=~,:/ aZ09_x".chars().collect();
    let mut text = String::new();
    for _ in 0..choices.int_in_range(0..=12)? {
        let is_any = choices.int_in_range(0..=7)? == 7;
        text.push(if is_any { choices.arbitrary()? } else { *choices.choose(&marks)? });
    }
    Ok(text)
}

/// An expression as an admin writes one, mostly a right one, with comments and blanks.
fn expression(choices: &mut Unstructured) -> Result<String> {
    let parts =
        ["up", "{job=\"#)\"}", " # a)b", "\n", "(", ")", "rate", "[5m]", "[1h:1m]", " * ", "2", "sum", " ", "\""];
    let mut expression = (*choices.choose(&["up", "rate({a='b # c'}[5m])", "1 * (up) # )", "\"\"", ""])?).to_owned();
    while !choices.is_empty() && choices.int_in_range(0..=3)? != 0 {
        expression.push_str(choices.choose(&parts)?);
    }
    Ok(expression)
}

/// Checks every text that is made of a query.
pub fn check(input: &[u8]) {
    let Ok(asked) = Asked::arbitrary(&mut Unstructured::new(input)) else { return };
    let Asked { selector, aggregation, windows, length_ms, .. } = &asked;
    let series = select(selector);

    same(&promql::selector(selector), &series);
    let range = range(&series, *length_ms);
    same(&promql::samples(selector, *length_ms), &range);
    let counted = call("count_over_time", [range]);
    same(&promql::sample_count(selector, *length_ms), &call("sum", [counted.clone()]));
    same(&promql::series_count(selector, *length_ms), &call("count", [counted]));
    let newest = call("topk", [Expr::Number(1.0), call("timestamp", [series.clone()])]);
    same(&promql::newest_series(selector), &newest);

    let gauge = Source::Gauge(selector.clone());
    same(&promql::aggregated(&gauge, *aggregation, *windows), &of_gauge(&asked, &series));
    let counter = Source::Counter(selector.clone());
    same(&promql::aggregated(&counter, *aggregation, *windows), &of_counter(&asked, &series));
    check_expression(&asked);
    check_match_selector(&asked);
}

fn same(text: &str, expected: &Expr) {
    let found = read(text).unwrap_or_else(|why| panic!("{why}: {text:?}"));
    assert_eq!(found, *expected, "{text:?}");
}

/// An expression is where it belongs, wholly: if it is one alone, then it is the same one there.
fn check_expression(asked: &Asked) {
    let source = Source::Expression(asked.expression.clone());
    let text = promql::aggregated(&source, asked.aggregation, asked.windows);
    assert!(text.contains(&asked.expression), "{text:?}");
    if let Ok(alone) = read(&asked.expression) {
        same(&text, &over_time(asked, alone));
    }
}

fn check_match_selector(asked: &Asked) {
    let (label, prefix) = (asked.prefix.0.as_str(), asked.prefix.1.as_str());
    for (matchers, prefixed) in [(&asked.selector.matchers[..], false), (&asked.selector.matchers, true), (&[], true)] {
        let text = promql::match_selector(matchers, prefixed.then_some((label, prefix)));
        let mut expected: Vec<Match> = matchers.iter().map(matching).collect();
        if prefixed && !prefix.is_empty() {
            expected.push(Match { label: label.into(), operator: Operator::Begins, values: vec![prefix.into()] });
        }
        // Prometheus refuses a selector that a series without labels would match.
        let admits_none = |one: &Match| one.operator == Operator::IsAny && one.values.iter().any(String::is_empty);
        if !expected.is_empty() && expected.iter().all(admits_none) {
            let (label, values) = ("__name__".to_owned(), vec![String::new()]);
            expected.push(Match { label, operator: Operator::IsNot, values });
        }
        match text {
            Some(text) => same(&text, &Expr::Select(expected)),
            None => assert!(expected.is_empty()),
        }
    }
}

/// The gauge column of "Aggregated queries"; `S[B]` is the selector's range of a bucket.
fn of_gauge(asked: &Asked, series: &Expr) -> Expr {
    let s_b = |function: &str| call(function, [range(series, asked.windows.bucket)]);
    let method = asked.method.trim_end_matches("_NO_ZEROS");
    match method {
        "MEAN" => binary('/', call("sum", [s_b("sum_over_time")]), call("sum", [s_b("count_over_time")])),
        "MAX" => call("max", [s_b("max_over_time")]),
        "MIN" => call("min", [s_b("min_over_time")]),
        "SUM" => call("sum", [s_b("sum_over_time")]),
        "EVENT_COUNT" => call("sum", [s_b("count_over_time")]),
        _ => call("quantile_over_time", [quantile(method), range(series, asked.windows.bucket)]),
    }
}

/// The counter column; R is the rate of all series together.
fn of_counter(asked: &Asked, series: &Expr) -> Expr {
    let r = call("sum", [call("rate", [range(series, asked.windows.rate)])]);
    match asked.method.trim_end_matches("_NO_ZEROS") {
        "MEAN" => r,
        // B in seconds; a float of milliseconds divided by a thousand is the nearest to the decimal.
        "SUM" => binary('*', r, Expr::Number(asked.aggregation.bucket_ms as f64 / 1000.0)),
        "EVENT_COUNT" => of_gauge(asked, series),
        _ => over_time(asked, r),
    }
}

/// The column of expressions, which is a counter's for some methods.
fn over_time(asked: &Asked, of: Expr) -> Expr {
    let method = asked.method.trim_end_matches("_NO_ZEROS");
    let Windows { bucket, resolution, .. } = asked.windows;
    let subquery = Expr::Subquery(Box::new(of), bucket as u64, resolution as u64);
    let function = match method {
        "MEAN" => "avg_over_time",
        "MAX" => "max_over_time",
        "MIN" => "min_over_time",
        "SUM" => "sum_over_time",
        "EVENT_COUNT" => "count_over_time",
        _ => return call("quantile_over_time", [quantile(method), subquery]),
    };
    call(function, [subquery])
}

fn quantile(method: &str) -> Expr {
    Expr::Number(format!("0.{}", method.trim_start_matches("PERCENTILE_")).parse().unwrap())
}

fn select(selector: &Selector) -> Expr {
    let name = matching(&Matcher::equal("__name__", &selector.metric));
    Expr::Select([name].into_iter().chain(selector.matchers.iter().map(matching)).collect())
}

fn matching(matcher: &Matcher) -> Match {
    Match { label: matcher.label.clone(), operator: Operator::IsAny, values: matcher.any_of.clone() }
}

fn range(of: &Expr, ms: i64) -> Expr {
    Expr::Range(Box::new(of.clone()), ms as u64)
}

fn call<const COUNT: usize>(function: &str, arguments: [Expr; COUNT]) -> Expr {
    Expr::Call(function.to_owned(), arguments.into())
}

fn binary(operator: char, left: Expr, right: Expr) -> Expr {
    Expr::Binary(operator, Box::new(left), Box::new(right))
}
