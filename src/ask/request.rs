//! Makes the request that StackState would send from the flags of `ask`.

use std::io;

use serde_json::{Value, json};

use crate::check::{BASE_URL, CommandError, mirror_url};
use crate::model::aggregation::Aggregation;
use crate::model::calendar::DateTime;
use crate::model::duration;
use crate::model::time::LATEST_MS;
use crate::prometheus::Upstream;
use crate::settings::{AskFlags, dashed};

/// A request of the Mirror API.
#[derive(Debug, PartialEq)]
pub(super) struct AskRequest {
    pub(super) path: &'static str,
    /// How the types of the request, its query and its response begin.
    pub(super) kind: &'static str,
    pub(super) body: Value,
}

/// The path and the kind of each request.
const CONNECTION: (&str, &str) = ("/api/connection", "TestConnection");
const FIELD_NAME: (&str, &str) = ("/api/field/name", "FieldNames");
const FIELD_VALUE: (&str, &str) = ("/api/field/value", "FieldValues");
const METRIC: (&str, &str) = ("/api/metric", "Metrics");

/// The flags that choose the query. Exactly one of them must be given.
const QUERY_FLAGS: [&str; 7] = ["test", "names", "values", "gauge", "counter", "expression", "request"];

/// The flags that go with some queries only, and these queries.
const FLAGS_OF_QUERIES: [(&[&str], &[&str]); 4] = [
    (&["plot"], &["gauge", "counter", "expression", "request"]),
    (&["prefix", "offset"], &["values"]),
    (&["method", "bucket", "latest-first"], &["gauge", "counter", "expression"]),
    (&["label", "limit", "last", "start", "end"], &["names", "values", "gauge", "counter", "expression"]),
];

/// The length of the time range if none is given.
const DEFAULT_LAST_MS: i64 = 3_600_000;

/// The length of buckets if none is given.
const DEFAULT_BUCKET_MS: i64 = 60_000;

/// Smaller numbers are times in seconds, others in milliseconds. This one is in the year 5138 in seconds, and 1973 in milliseconds.
const SMALLEST_MILLISECONDS: i64 = 100_000_000_000;

/// The request that the flags describe. `has_names` says whether the mirror may have named upstreams: if it has only one, the
/// request need not name it. `read` reads a file.
///
/// # Errors
/// If a flag is wrong, or the file of `--request` is unusable.
pub(super) fn from_flags(
    flags: &AskFlags,
    now_ms: i64,
    has_names: bool,
    read: impl Fn(&str) -> io::Result<String>,
) -> Result<AskRequest, CommandError> {
    let chosen = chosen_query(flags).map_err(CommandError::Usage)?;
    if flags.has("upstream") && !flags.has("url") && !has_names {
        let text = "--upstream needs --upstreams-file, or --mirror with the URL of a mirror that has this upstream";
        return Err(CommandError::Usage(text.to_owned()));
    }
    match chosen {
        "request" => from_file(flags, read),
        chosen => of_query(flags, chosen, now_ms, has_names).map_err(CommandError::Usage),
    }
}

/// The flag that chooses the query, once the flags that go with some queries only are checked.
fn chosen_query(flags: &AskFlags) -> Result<&'static str, String> {
    let given: Vec<&'static str> = QUERY_FLAGS.into_iter().filter(|chosen| flags.has(chosen)).collect();
    let [chosen] = given[..] else {
        let names = dashed(QUERY_FLAGS, ", ");
        return Err(match given.len() {
            0 => format!("there is no query: give one of {names}; ask --help has examples"),
            _ => format!("give one of {names}, not several"),
        });
    };
    for (of_queries, queries) in FLAGS_OF_QUERIES.iter().filter(|(_, queries)| !queries.contains(&chosen)) {
        if let Some(flag) = of_queries.iter().find(|flag| flags.has(flag)) {
            let names = dashed(queries.iter().copied(), ", ");
            return Err(format!("--{flag} does not go with --{chosen}, but with {names}"));
        }
    }
    let is_empty = |flag: &&str| flags.value(flag) == Some("");
    if let Some(flag) = ["upstream", "values", "gauge", "counter", "expression", "request"].into_iter().find(is_empty) {
        return Err(format!("--{flag} must not be empty"));
    }
    // The error does not repeat the URL, since it may contain a password.
    if flags.value("mirror").is_some_and(|url| mirror_url(url).is_none()) {
        return Err(format!("--mirror must be {BASE_URL}"));
    }
    Ok(chosen)
}

fn of_query(flags: &AskFlags, chosen: &str, now_ms: i64, has_names: bool) -> Result<AskRequest, String> {
    let details = details(flags, if has_names { json!({}) } else { Value::Null })?;
    if details.is_null() {
        return Err("no Prometheus is given: use --url http://prometheus:9090, or --upstreams-file with --upstream NAME, which may be \
                    left out if the file has only one upstream"
            .to_owned());
    }
    let request = |(path, kind), query: Option<Value>| {
        let mut body = json!({"_type": format!("{kind}Request"), "connectionDetails": details});
        if let Some(mut query) = query {
            query["_type"] = json!(format!("{kind}Query"));
            body["query"] = query;
        }
        AskRequest { path, kind, body }
    };
    let mut query = times(flags, now_ms)?;
    query["conditions"] = labels(flags)?.into();
    set(&mut query, "limit", number(flags, "limit")?);
    match chosen {
        "test" => Ok(request(CONNECTION, None)),
        "names" => Ok(request(FIELD_NAME, Some(query))),
        "values" => {
            let field = flags.value("values").unwrap_or_default();
            query["field"] =
                json!({"_type": "FieldDescriptor", "fieldName": field, "fieldType": "STRING", "classified": false});
            set(&mut query, "fieldValuePrefix", flags.value("prefix").map(Value::from));
            set(&mut query, "offset", number(flags, "offset")?);
            Ok(request(FIELD_VALUE, Some(query)))
        }
        _ => Ok(request(METRIC, Some(metric_query(flags, chosen, query)?))),
    }
}

/// A request from a file, as StackState sends it. Its type determines the path. --url and --upstream replace its Connection
/// Details, and flags such as --timeout change them.
fn from_file(flags: &AskFlags, read: impl Fn(&str) -> io::Result<String>) -> Result<AskRequest, CommandError> {
    let file = flags.value("request").unwrap_or_default();
    let text = read(file).map_err(|error| format!("--request {file} cannot be read: {error}"))?;
    let mut body: Value =
        serde_json::from_str(&text).map_err(|error| format!("--request {file} must be JSON, but {error}"))?;
    let query = &body["query"];
    let (path, kind) = match body["_type"].as_str() {
        Some("TestConnectionRequest") => CONNECTION,
        Some("FieldNamesRequest") => FIELD_NAME,
        Some("FieldValuesRequest") => FIELD_VALUE,
        Some("MetricsRequest") => METRIC,
        _ if query.is_null() => CONNECTION,
        _ if !query["field"].is_null() => FIELD_VALUE,
        _ => METRIC,
    };
    if !body.is_object() {
        return Err(format!("--request {file} must be a JSON object").into());
    }
    body["connectionDetails"] = details(flags, body["connectionDetails"].take()).map_err(CommandError::Usage)?;
    Ok(AskRequest { path, kind, body })
}

/// The Connection Details of --url or --upstream, or these, with the changes of other flags.
fn details(flags: &AskFlags, given: Value) -> Result<Value, String> {
    let mut details = match (flags.value("url"), flags.value("upstream")) {
        (Some(url), None) => {
            Upstream::at_url(url.trim()).map_err(|expected| format!("--url {expected}"))?;
            json!({"url": url})
        }
        (None, Some(name)) => json!({"upstream": name}),
        (Some(_), Some(_)) => return Err("--url and --upstream exclude each other: give only one".to_owned()),
        (None, None) => given,
    };
    let at_most = |flag, most| {
        let is_allowed = |ms: &i64| Some(*ms) <= duration_ms(most);
        let allowed = format!("a duration of at most {most}, such as 20s");
        parsed(flags, flag, &allowed, |text| duration_ms(text).filter(is_allowed).map(Value::from))
    };
    set(&mut details, "requestTimeout", at_most("timeout", "10m")?);
    set(&mut details, "scrapeInterval", at_most("scrape-interval", "1d")?);
    set(&mut details, "nan_interpretation", word(flags, "nan", &["NONE", "ZERO"])?);
    set(&mut details, "partialResponse", word(flags, "partial-response", &["deny", "allow"])?);
    Ok(details)
}

fn metric_query(flags: &AskFlags, chosen: &str, mut query: Value) -> Result<Value, String> {
    let key = match chosen {
        "gauge" => "__gauge__",
        "counter" => "__counter__",
        _ => "~",
    };
    let source = condition(key, json!({"_type": "StringValue", "value": flags.value(chosen)}));
    query["conditions"] = [vec![source], labels(flags)?].concat().into();
    query["latestFirst"] = json!(flags.has("latest-first"));
    let method = word(flags, "method", &Aggregation::methods().collect::<Vec<_>>())?;
    match (method, duration(flags, "bucket")?) {
        (Some(method), bucket) => {
            let bucket = bucket.unwrap_or(DEFAULT_BUCKET_MS);
            query["aggregation"] = json!({"_type": "Aggregation", "method": method, "bucketSizeMillis": bucket});
        }
        (None, Some(_)) => return Err("--bucket goes with --method, such as --method MEAN".to_owned()),
        (None, None) => {}
    }
    Ok(query)
}

/// A query with nothing but its time range.
///
/// # Errors
/// If a flag of the time range is wrong.
fn times(flags: &AskFlags, now_ms: i64) -> Result<Value, String> {
    let end = time(flags, "end")?.unwrap_or(now_ms);
    let start = match (time(flags, "start")?, duration(flags, "last")?) {
        (Some(_), Some(_)) => return Err("--start and --last exclude each other: give only one".to_owned()),
        (Some(start), None) => start,
        (None, last) => (end - last.unwrap_or(DEFAULT_LAST_MS)).max(1),
    };
    if start > end {
        return Err("--start must not be after --end, or after now if --end is not given".to_owned());
    }
    Ok(json!({"startTime": start, "endTime": end}))
}

/// The conditions on labels. Several values of a label are one condition.
fn labels(flags: &AskFlags) -> Result<Vec<Value>, String> {
    let mut values: Vec<(&str, Vec<Value>)> = Vec::new();
    for label in flags.values("label") {
        let (name, value) = label.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
            format!("--label must be a name, an equals sign and a value, such as job=payment, not {label:?}")
        })?;
        let value = json!({"_type": "StringValue", "value": value});
        match values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => values.push((name, vec![value])),
        }
    }
    let of_label = |(name, mut values): (&str, Vec<Value>)| {
        let value = if values.len() == 1 { values.remove(0) } else { json!({"_type": "InSetValue", "value": values}) };
        condition(name, value)
    };
    Ok(values.into_iter().map(of_label).collect())
}

fn condition(key: &str, value: Value) -> Value {
    json!({"_type": "EqualityCondition", "key": key, "value": value})
}

/// Sets a field, unless the object is something else.
fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(key.to_owned(), value);
    }
}

/// The value of a flag, if it is given.
fn parsed<T>(
    flags: &AskFlags,
    flag: &str,
    allowed: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    let checked = |text: &str| parse(text).ok_or_else(|| format!("--{flag} must be {allowed}, not {text:?}"));
    flags.value(flag).map(checked).transpose()
}

/// One of these words, regardless of case.
fn word(flags: &AskFlags, flag: &str, words: &[&str]) -> Result<Option<Value>, String> {
    let is_known = |text: &&str| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    let allowed = format!("one of {}", words.join(", "));
    parsed(flags, flag, &allowed, |text| Some(text).filter(is_known).map(Value::from))
}

fn number(flags: &AskFlags, flag: &str) -> Result<Option<Value>, String> {
    parsed(flags, flag, &format!("a whole number up to {}", u32::MAX), |text| text.parse::<u32>().ok().map(Value::from))
}

/// A duration in milliseconds.
fn duration(flags: &AskFlags, flag: &str) -> Result<Option<i64>, String> {
    parsed(flags, flag, "longer than 0, in ms, s, m, h, d or w, such as 5m or 1h30m", duration_ms)
}

fn duration_ms(text: &str) -> Option<i64> {
    // Years differ in length.
    let ms = duration::parse_ms(text).filter(|_| !text.contains('y'))?;
    i64::try_from(ms).ok().filter(|ms| (1..=LATEST_MS).contains(ms))
}

/// A time in milliseconds since 1970.
fn time(flags: &AskFlags, flag: &str) -> Result<Option<i64>, String> {
    let allowed = "a time such as 2026-01-31T12:00:00Z, or seconds or milliseconds since 1970";
    parsed(flags, flag, allowed, time_ms)
}

fn time_ms(text: &str) -> Option<i64> {
    let in_ms = |number: i64| if number < SMALLEST_MILLISECONDS { number.saturating_mul(1_000) } else { number };
    let ms = text.parse().ok().map(in_ms).or_else(|| DateTime::parse_ms(text));
    ms.filter(|ms| (0..=LATEST_MS).contains(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, ms) in [
            ("15s", 15_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("2d", 172_800_000),
            ("1w", 604_800_000),
        ] {
            assert_eq!(duration_ms(text), Some(ms), "{text}");
        }
        for bad in ["", "5", "m", "5 m", "-5m", "5y", "1.5h", "0s", "99999999999999999999s", "9223372036854775807h"] {
            assert_eq!(duration_ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_seconds_milliseconds_or_rfc_3339() {
        for (text, ms) in [
            ("1504411201", 1_504_411_201_000),
            ("1504411201007", 1_504_411_201_007),
            ("2017-09-03T04:00:01.007Z", 1_504_411_201_007),
        ] {
            assert_eq!(time_ms(text), Some(ms), "{text}");
        }
        for bad in ["", "-1", "-9223372036854775808", "253402300800000", "now", "2017-09-03"] {
            assert_eq!(time_ms(bad), None, "{bad}");
        }
    }
}
