//! PromQL: what is read back from the text that is sent, beside the query and the tables of "Numbers".

mod pattern;
mod reader;

use arbitrary::{Arbitrary, Result, Unstructured};
use prometheusmirror::compute::promql::{NonFinite, Rates};
use prometheusmirror::compute::subquery::Subquery;
use prometheusmirror::compute::{matchers, promql};
use prometheusmirror::model::aggregation::{Aggregation, AggregationMethod};
use prometheusmirror::model::decimal::Decimal;
use prometheusmirror::model::query::{LabelValue, LabelValues, Matcher, NanInterpretation, Selector};
use prometheusmirror::model::time::LATEST_MS;

use crate::number::Exact;
use pattern::Value;
use reader::{Expr, Match, Operator, read};

/// A query, described by the input.
#[derive(Debug)]
struct Described {
    selector: Selector,
    expression: String,
    method: AggregationMethod,
    length_ms: i64,
    subquery: Subquery,
    offset_ms: i64,
    bucket_ms: i64,
    prefix: (String, String),
    /// What a label may look like that is not one of the values of the query.
    others: Vec<String>,
}

const METHODS: [AggregationMethod; 8] = [
    AggregationMethod::Mean,
    AggregationMethod::Max,
    AggregationMethod::Min,
    AggregationMethod::Sum,
    AggregationMethod::EventCount,
    AggregationMethod::Percentile(25),
    AggregationMethod::Percentile(98),
    AggregationMethod::Percentile(99),
];

impl<'a> Arbitrary<'a> for Described {
    fn arbitrary(choices: &mut Unstructured<'a>) -> Result<Described> {
        let mut matchers = Vec::new();
        for _ in 0..choices.int_in_range(0..=3)? {
            let label = text(choices)?;
            let mut any_of = LabelValues::default();
            add_value(&mut any_of, choices)?;
            while !choices.is_empty() && choices.int_in_range(0..=3)? == 3 {
                add_value(&mut any_of, choices)?;
            }
            matchers.push(Matcher { label, any_of });
        }
        let query = Described {
            selector: Selector { metric: text(choices)?, matchers },
            method: *choices.choose(&METHODS)?,
            length_ms: length(choices)?,
            subquery: Subquery { length_ms: length(choices)?, resolution_ms: length(choices)? },
            offset_ms: if choices.arbitrary()? { length(choices)? } else { 0 },
            bucket_ms: if choices.arbitrary()? { length(choices)? } else { 1 },
            prefix: (text(choices)?, text(choices)?),
            expression: expression(choices)?,
            others: Vec::new(),
        };
        let others = others(choices, &query.selector)?;
        Ok(Described { others, ..query })
    }
}

/// Milliseconds, mostly not too many.
fn length(choices: &mut Unstructured) -> Result<i64> {
    let most = *choices.choose(&[1_100, 60_000, 86_400_000, LATEST_MS])?;
    let length = choices.int_in_range(1..=most)?;
    Ok(if length > 1_000 && choices.arbitrary()? { length / 1_000 * 1_000 } else { length })
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

fn add_value(values: &mut LabelValues, choices: &mut Unstructured) -> Result<()> {
    if choices.int_in_range(0..=2)? < 2 {
        values.push(LabelValue::Text(&text(choices)?));
    } else {
        values.push(LabelValue::Number(number(choices)?));
    }
    Ok(())
}

/// A number that a JSON number can be.
fn number(choices: &mut Unstructured) -> Result<Decimal> {
    let most = *choices.choose(&[0_u64, 9, 99, 12_345, 1_000_000, 99_999_999_999_999_999])?;
    let mut digits = choices.int_in_range(0..=most)?;
    if digits == 0 {
        return Ok(Decimal { is_negative: false, digits, exponent: 0 });
    }
    while digits.is_multiple_of(10) {
        digits /= 10;
    }
    let most = *choices.choose(&[2, 7, 22, 290])?;
    let exponent = choices.int_in_range(-most..=most)?;
    Ok(Decimal { is_negative: choices.arbitrary()?, digits, exponent })
}

/// Texts that are almost a value of a selector, and others.
fn others(choices: &mut Unstructured, selector: &Selector) -> Result<Vec<String>> {
    let mut others = vec![text(choices)?];
    for value in selector.matchers.iter().flat_map(|matcher| matcher.any_of.iter()) {
        let mut near = match given(value) {
            Value::Text(text) => text,
            Value::Number(number) => choices.choose(&number.spellings())?.clone(),
        };
        let at = choices.choose_index(near.chars().count() + 1)?;
        let at = near.char_indices().nth(at).map_or(near.len(), |(at, _)| at);
        let mark = *choices.choose(&['0', '1', '.', 'e', '-', '+', '|', '\n', 'x'])?;
        match choices.int_in_range(0..=2)? {
            0 => near.insert(at, mark),
            1 if at < near.len() => drop(near.remove(at)),
            _ => near.truncate(at),
        }
        others.push(near);
    }
    Ok(others)
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
    let Ok(query) = Described::arbitrary(&mut Unstructured::new(input)) else { return };
    let Described { selector, method, length_ms, subquery, offset_ms, bucket_ms, .. } = &query;
    let series = select(selector);

    same(&matchers::selector(selector), &series);
    let stored = range(&series, *length_ms);
    same(&promql::samples(selector, *length_ms), &stored);
    let counted = call("count_over_time", [stored.clone()]);
    same(&promql::sample_count(selector, *length_ms), &call("sum", [counted.clone()]));
    same(&promql::series_count(selector, *length_ms), &call("count", [counted]));

    let of_bucket = earlier(stored, *offset_ms);
    let plain = NonFinite::AsPromQl;
    let gauges = promql::gauges_in_bucket(selector, *method, *length_ms, *offset_ms, plain);
    same(&gauges, &of_gauges(*method, of_bucket.clone()));
    let guarded = promql::gauges_in_bucket(selector, *method, *length_ms, *offset_ms, NonFinite::NoValue);
    if let AggregationMethod::Mean | AggregationMethod::Sum = method {
        let sum = promql::gauges_in_bucket(selector, AggregationMethod::Sum, *length_ms, *offset_ms, plain);
        let range = sum.strip_prefix("sum(sum_over_time(").and_then(|rest| rest.strip_suffix("))")).unwrap();
        let selector = matchers::selector(selector);
        let x = range.replacen(&selector, "x", 1);
        let infinite = format!("max(max_over_time({x})) == Inf or min(min_over_time({x})) == -Inf");
        let gauges = gauges.replace(range, &x);
        assert_eq!(guarded, format!("(WITH (x = {selector}) {infinite} or {gauges})"));
    } else {
        same(&guarded, &of_finite_gauges(*method, of_bucket.clone()));
    }
    // Of counters, the rates of MAX, MIN and percentiles are over ranges of their own: as long as a bucket here.
    let rate = |samples: Expr| call("sum", [call("rate", [samples])]);
    let expected = match method {
        AggregationMethod::Mean => rate(of_bucket),
        // The increase in a bucket; a float of milliseconds divided by a thousand is the nearest to the decimal.
        AggregationMethod::Sum => binary('*', rate(of_bucket), Expr::Number(*bucket_ms as f64 / 1000.0)),
        AggregationMethod::EventCount => of_gauges(*method, earlier(range(&series, subquery.length_ms), *offset_ms)),
        AggregationMethod::Max | AggregationMethod::Min | AggregationMethod::Percentile(_) => {
            over_time(*method, earlier(every(rate(range(&series, *bucket_ms)), *subquery), *offset_ms))
        }
    };
    let aggregation = Aggregation { method: *method, zero_fill: false, bucket_ms: *bucket_ms };
    let counters = promql::counters_in_bucket(
        selector,
        aggregation,
        *length_ms,
        *bucket_ms,
        *subquery,
        *offset_ms,
        Rates::AsPromQl,
    );
    same(&counters, &expected);

    check_expression(&query);
    check_match_selector(&query);
    check_patterns(&query);
}

fn same(text: &str, expected: &Expr) {
    let found = read(text).unwrap_or_else(|why| panic!("{why}: {text:?}"));
    assert_eq!(found, *expected, "{text:?}");
}

/// An expression is where it belongs, wholly: if it is one alone, then it is the same one there.
fn check_expression(query: &Described) {
    let Described { expression, method, subquery, .. } = query;
    let in_bucket = promql::in_bucket(expression, NanInterpretation::None, *method, *subquery);
    let as_vector = promql::as_vector(expression);
    assert!(in_bucket.contains(expression) && as_vector.contains(expression), "{in_bucket:?} {as_vector:?}");
    if let Ok(alone) = read(expression) {
        // The values that count: the expression has ended before, so this is the last occurrence.
        let (before, after) = in_bucket.rsplit_once(" > -Inf < Inf").expect("a comparison");
        same(&[before, after].concat(), &over_time(*method, every(alone.clone(), *subquery)));
        same(&as_vector, &call("vector", [alone]));
    }
}

fn check_match_selector(query: &Described) {
    let (label, prefix) = (query.prefix.0.as_str(), query.prefix.1.as_str());
    for (matchers, prefixed) in [(&query.selector.matchers[..], false), (&query.selector.matchers, true), (&[], true)] {
        let text = matchers::match_selector(matchers, prefixed.then_some((label, prefix)));
        let mut expected: Vec<Match> = matchers.iter().map(matching).collect();
        if prefixed && !prefix.is_empty() {
            let values = vec![Value::Text(prefix.into())];
            expected.push(Match { label: label.into(), operator: Operator::Begins, values });
        }
        // Prometheus refuses a selector that a series without labels would match.
        let none = Value::Text(String::new());
        let admits_none = |one: &Match| one.operator == Operator::IsAny && one.values.contains(&none);
        if !expected.is_empty() && expected.iter().all(admits_none) {
            expected.push(Match { label: "__name__".to_owned(), operator: Operator::IsNot, values: vec![none] });
        }
        match text {
            Some(text) => same(&text, &Expr::Select(expected)),
            None => assert!(expected.is_empty()),
        }
    }
}

/// The patterns match the values of the query, and nothing else.
fn check_patterns(query: &Described) {
    let matchers = &query.selector.matchers;
    let patterns = matchers::label_patterns(&query.selector);
    assert_eq!(patterns.len(), matchers.len());
    for ((label, pattern), matcher) in patterns.iter().zip(matchers) {
        let expected = matching(matcher);
        assert_eq!((label, pattern::values(pattern)), (&expected.label, Ok(expected.values.clone())), "{pattern:?}");
        let whole = pattern::anchored(pattern).unwrap_or_else(|why| panic!("{why}: {pattern:?}"));
        for value in &expected.values {
            let spellings = match value {
                Value::Text(text) => vec![text.clone()],
                Value::Number(number) => number.spellings(),
            };
            for spelling in spellings {
                assert!(whole.is_match(&spelling), "{pattern:?} does not match {spelling:?}");
            }
        }
        for other in query.others.iter().filter(|other| whole.is_match(other)) {
            let number = Exact::of(other);
            let is_expected = expected.values.iter().any(|value| match value {
                Value::Text(text) => text == other,
                Value::Number(expected) => number.as_ref() == Some(expected),
            });
            assert!(is_expected, "{pattern:?} matches {other:?}");
        }
    }
}

/// What PromQL computes of gauges in the place of arithmetic.
fn of_gauges(method: AggregationMethod, range: Expr) -> Expr {
    let of_all = |aggregate: &str, function: &str| call(aggregate, [call(function, [range.clone()])]);
    match method {
        AggregationMethod::Mean => binary('/', of_all("sum", "sum_over_time"), of_all("sum", "count_over_time")),
        AggregationMethod::Max => of_all("max", "max_over_time"),
        AggregationMethod::Min => of_all("min", "min_over_time"),
        AggregationMethod::Sum => of_all("sum", "sum_over_time"),
        AggregationMethod::EventCount => of_all("sum", "count_over_time"),
        // Described for one gauge only.
        AggregationMethod::Percentile(_) => over_time(method, range),
    }
}

/// The same, but nothing where a sample is not finite.
fn of_finite_gauges(method: AggregationMethod, range: Expr) -> Expr {
    let of_each = call("sum_over_time", [range.clone()]);
    let sum = match method {
        AggregationMethod::Mean | AggregationMethod::Sum | AggregationMethod::EventCount => {
            return of_gauges(method, range);
        }
        AggregationMethod::Max | AggregationMethod::Min => call("sum", [of_each]),
        AggregationMethod::Percentile(_) => of_each,
    };
    binary('+', of_gauges(method, range), binary('*', Expr::Number(0.0), sum))
}

/// What a method makes of the values in a range.
fn over_time(method: AggregationMethod, range: Expr) -> Expr {
    let function = match method {
        AggregationMethod::Mean => "avg_over_time",
        AggregationMethod::Max => "max_over_time",
        AggregationMethod::Min => "min_over_time",
        AggregationMethod::Sum => "sum_over_time",
        AggregationMethod::EventCount => "count_over_time",
        AggregationMethod::Percentile(percent) => {
            let share = format!("0.{percent}").parse().unwrap();
            return call("quantile_over_time", [Expr::Number(share), range]);
        }
    };
    call(function, [range])
}

fn select(selector: &Selector) -> Expr {
    let name = matching(&Matcher::equal("__name__", &selector.metric));
    Expr::Select([name].into_iter().chain(selector.matchers.iter().map(matching)).collect())
}

fn matching(matcher: &Matcher) -> Match {
    let values = matcher.any_of.iter().map(given).collect();
    Match { label: matcher.label.clone(), operator: Operator::IsAny, values }
}

fn given(value: LabelValue<'_>) -> Value {
    match value {
        LabelValue::Text(text) => Value::Text(text.to_owned()),
        LabelValue::Number(Decimal { is_negative, digits, exponent }) => {
            let digits = if digits == 0 { String::new() } else { digits.to_string() };
            Value::Number(Exact { is_negative, digits, exponent: i64::from(exponent) })
        }
    }
}

fn range(of: &Expr, ms: i64) -> Expr {
    Expr::Range(Box::new(of.clone()), ms as u64)
}

fn every(of: Expr, Subquery { length_ms, resolution_ms }: Subquery) -> Expr {
    Expr::Subquery(Box::new(of), length_ms as u64, resolution_ms as u64)
}

fn earlier(of: Expr, ms: i64) -> Expr {
    if ms == 0 { of } else { Expr::Offset(Box::new(of), ms as u64) }
}

fn call<const COUNT: usize>(function: &str, arguments: [Expr; COUNT]) -> Expr {
    Expr::Call(function.to_owned(), arguments.into())
}

fn binary(operator: char, left: Expr, right: Expr) -> Expr {
    Expr::Binary(operator, Box::new(left), Box::new(right))
}
