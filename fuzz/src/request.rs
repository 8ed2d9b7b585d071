//! Requests for metric values: what the mirror understands, and what a reader of the whole tree understands by the
//! rules of the Mirror API and of its translation.

mod described;

use std::net::Ipv6Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheusmirror::api::{Datasource, metric_query};
use prometheusmirror::model::aggregation::{Aggregation, AggregationMethod};
use prometheusmirror::model::decimal::Decimal;
use prometheusmirror::model::query::{LabelValue, LabelValues, Matcher, MetricQuery, NanInterpretation, Order};
use prometheusmirror::model::query::{PartialResponse, Selector, Source};
use prometheusmirror::model::time::TimeRange;
use prometheusmirror::prometheus::Upstream;

use crate::Refused;
use crate::json::{self, Json};
use crate::number;
use crate::written;

/// Checks a body, or the body that the input describes.
pub fn check(input: &[u8]) {
    let Some(body) = written::body(input, described::written) else { return };
    let before = now_ms();
    let mut found = metric_query(&body);
    let after = now_ms();
    // What was described is seen here only.
    let text = String::from_utf8_lossy(&body);
    let expected = json::checked(&body).and_then(|tree| reference(&tree));
    if let (Ok((_, query)), Ok(Meaning { is_until_now: true, query: expected, .. })) = (&mut found, &expected) {
        let TimeRange { start, end } = query.range;
        assert!((before.max(start)..=after.max(start)).contains(&end), "until {end} in {text}");
        query.range.end = expected.range.end;
    }
    match (&found, expected) {
        (_, Err(Refused::Unsure)) => {}
        // The status tells whose fault it is: 400 that of who wrote the request, 500 that of who typed its parts.
        (Err(error), Err(why)) => {
            let status = if why == Refused::Form { 400 } else { 500 };
            assert_eq!(error.status(), status, "{error:?} of {text}");
        }
        (Ok((datasource, query)), Ok(expected)) => {
            assert_eq!(*query, expected.query, "{text}");
            assert_eq!(*datasource, expected.datasource, "{text}");
            // Of a path, only well-known segments are shown.
            let shown = datasource.upstream.to_string();
            assert_eq!(shown.split('/').next(), Some(expected.name.as_str()), "{text}");
        }
        (_, expected) => panic!("one of the two refuses it: found {found:#?}, expected {expected:#?} of {text}"),
    }
}

/// What a request means.
#[derive(Debug)]
struct Meaning {
    datasource: Datasource,
    /// The upstream's host and port.
    name: String,
    query: MetricQuery,
    /// Whether it ends now, for which the end of the query's range does not stand then.
    is_until_now: bool,
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn reference(tree: &Json) -> Result<Meaning, Refused> {
    // First whether it is this request, then whether it makes sense.
    let request = Request::of(tree)?;
    let (datasource, name) = datasource(request.details.as_ref().ok_or(Refused::Meaning)?)?;
    let is_until_now = request.end.is_none_or(|end| end == 0);
    Ok(Meaning { datasource, name, query: query(&request, is_until_now)?, is_until_now })
}

/// A request by its form alone. Fields that nobody knows may be anything; none that is known may be there twice.
struct Request<'j> {
    /// None if they are no object, or have a field that there is not, or one twice.
    details: Option<Details<'j>>,
    conditions: Vec<Condition<'j>>,
    /// Whether there are more than are taken, which are not looked at.
    has_more_conditions: bool,
    start: Option<i128>,
    end: Option<i128>,
    limit: Option<i128>,
    latest_first: bool,
    aggregation: Option<(&'j str, i128)>,
}

/// The connection details, as they were typed.
struct Details<'j> {
    host: Option<&'j Json>,
    port: Option<&'j Json>,
    request_timeout: Option<&'j Json>,
    nan_interpretation: Option<&'j Json>,
    url: Option<&'j Json>,
    scrape_interval: Option<&'j Json>,
    partial_response: Option<&'j Json>,
    upstream: Option<&'j Json>,
}

struct Condition<'j> {
    key: &'j str,
    value: &'j Json,
    /// Whether labels can hold the types that are given for it.
    is_held: bool,
    kind: &'j Json,
}

impl<'j> Request<'j> {
    fn of(tree: &'j Json) -> Result<Request<'j>, Refused> {
        let [_, query] = once(tree, ["connectionDetails", "query"])?;
        let fields = tree.fields().ok_or(Refused::Form)?;
        let details = fields.iter().find(|(key, _)| *key == "connectionDetails").ok_or(Refused::Form)?.1;
        let details = Details::of(details)?;
        let [conditions, start, end, limit, latest_first, aggregation] = once(
            query.ok_or(Refused::Form)?,
            ["conditions", "startTime", "endTime", "limit", "latestFirst", "aggregation"],
        )?;
        let conditions = match conditions {
            None => &[][..],
            Some(Json::List(items)) => items,
            Some(_) => return Err(Refused::Form),
        };
        let most = 100;
        let has_more_conditions = conditions.len() > most;
        let conditions = &conditions[..conditions.len().min(most)];
        let latest_first = match latest_first {
            None => false,
            Some(Json::Bool(first)) => *first,
            Some(_) => return Err(Refused::Form),
        };
        let aggregation = aggregation.map(|aggregation| {
            let [method, size] = once(aggregation, ["method", "bucketSizeMillis"])?;
            Ok((name(method.ok_or(Refused::Form)?)?, integer(size.ok_or(Refused::Form)?)?))
        });
        Ok(Request {
            details,
            has_more_conditions,
            conditions: conditions.iter().map(Condition::of).collect::<Result<_, _>>()?,
            start: start.map(integer).transpose()?,
            end: end.map(integer).transpose()?,
            limit: limit.map(integer).transpose()?,
            latest_first,
            aggregation: aggregation.transpose()?,
        })
    }
}

impl<'j> Details<'j> {
    /// Nothing of a list or an object in the place of a scalar is looked at but its keys.
    fn of(tree: &'j Json) -> Result<Option<Details<'j>>, Refused> {
        scalar(tree)?;
        let Json::Object(_) = tree else { return Ok(None) };
        let fields = tree.fields().ok_or(Refused::Form)?;
        let mut typed = [None; 8];
        let mut is_one = true;
        for (key, value) in fields {
            let names = [
                "host", "port", "requestTimeout", "nan_interpretation", "url", "scrapeInterval", "partialResponse",
                "upstream",
            ];
            match names.iter().position(|name| *name == key) {
                Some(index) => {
                    scalar(value)?;
                    is_one &= typed[index].replace(value).is_none();
                }
                None => is_one &= key.starts_with('_'),
            }
        }
        let [host, port, request_timeout, nan_interpretation, url, scrape_interval, partial_response, upstream] =
            typed.map(|value| value.filter(|value| **value != Json::Null));
        let details = Details {
            host,
            port,
            request_timeout,
            nan_interpretation,
            url,
            scrape_interval,
            partial_response,
            upstream,
        };
        Ok(is_one.then_some(details))
    }
}

impl<'j> Condition<'j> {
    fn of(tree: &'j Json) -> Result<Condition<'j>, Refused> {
        let [key, outer, kind] = once(tree, ["key", "value", "_type"])?;
        let (mut value, mut is_held) = (&Json::Null, true);
        if let Some(outer) = outer {
            let [inner, kind] = once(outer, ["value", "_type"])?;
            is_held &= kind.map(name).transpose()?.is_none_or(is_type_of_labels);
            value = inner.unwrap_or(&Json::Null);
        }
        match value {
            Json::List(items) => items.iter().try_for_each(|item| match item {
                Json::Object(_) => {
                    let [inner, kind] = once(item, ["value", "_type"])?;
                    is_held &= kind.map(name).transpose()?.is_none_or(is_type_of_labels);
                    inner.map_or(Ok(()), scalar)
                }
                _ => scalar(item),
            })?,
            _ => scalar(value)?,
        }
        let kind = kind.unwrap_or(&Json::Null);
        scalar(kind)?;
        Ok(Condition { key: name(key.ok_or(Refused::Form)?)?, value, is_held, kind })
    }
}

/// Whether a scalar can be kept, and the keys of an object be read; the rest of a list or an object is not looked at.
fn scalar(json: &Json) -> Result<(), Refused> {
    let is_sound = match json {
        Json::List(_) => true,
        Json::Object(_) => json.fields().is_some(),
        _ => json.is_sound(),
    };
    if is_sound { Ok(()) } else { Err(Refused::Form) }
}

/// A text that is no longer than names are.
fn name(json: &Json) -> Result<&str, Refused> {
    text(json).and_then(|text| if text.len() <= 1_024 { Ok(text) } else { Err(Refused::Form) })
}

/// The fields of these names, none of which may be there twice; `null` is the same as absent.
fn once<'j, const COUNT: usize>(object: &'j Json, names: [&str; COUNT]) -> Result<[Option<&'j Json>; COUNT], Refused> {
    let fields = object.fields().ok_or(Refused::Form)?;
    let count = |name: &str| fields.iter().filter(|(key, _)| *key == name).count();
    if names.iter().any(|name| count(name) > 1) {
        return Err(Refused::Form);
    }
    let value = |name| fields.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    Ok(names.map(|name| value(name).filter(|value| **value != Json::Null)))
}

fn text(json: &Json) -> Result<&str, Refused> {
    match json {
        Json::Text(Some(text)) => Ok(text),
        _ => Err(Refused::Form),
    }
}

/// A whole number, `5.0` too, of 64 bits; with a fraction or an exponent of zero at most 9e15.
fn integer(json: &Json) -> Result<i128, Refused> {
    let Json::Number(text) = json else { return Err(Refused::Form) };
    let number = number::decimal(text)?;
    let most = if number.is_integer { i128::from(i64::MAX) } else { 9_000_000_000_000_000 - 1 };
    let least = if number.is_integer { i128::from(i64::MIN) } else { -most };
    number.whole().filter(|whole| (least..=most).contains(whole)).ok_or(Refused::Form)
}

/// Without a start, it is the beginning of time.
fn query(request: &Request, is_until_now: bool) -> Result<MetricQuery, Refused> {
    let latest_time = 253_402_300_799_999;
    let start = request.start.unwrap_or(0);
    let end = if is_until_now { start } else { request.end.unwrap_or_default() };
    if start < 0 || start > end || end > latest_time {
        return Err(Refused::Meaning);
    }
    let limit = request.limit.unwrap_or(i128::MAX);
    if limit < 0 {
        return Err(Refused::Meaning);
    }
    let is_equality = |one: &Condition| match one.kind {
        Json::Null => true,
        kind => text(kind) == Ok("EqualityCondition"),
    };
    if request.has_more_conditions || !request.conditions.iter().all(is_equality) {
        return Err(Refused::Meaning);
    }
    Ok(MetricQuery {
        source: source(&request.conditions)?,
        range: TimeRange { start: start as i64, end: end as i64 },
        aggregation: request.aggregation.map(aggregation).transpose()?,
        limit: limit.min(1_000_000) as usize,
        order: if request.latest_first { Order::NewestFirst } else { Order::OldestFirst },
    })
}

fn aggregation((method, size): (&str, i128)) -> Result<Aggregation, Refused> {
    let upper = method.to_ascii_uppercase();
    let (name, zero_fill) = match upper.strip_suffix("_NO_ZEROS") {
        Some(name @ ("SUM" | "EVENT_COUNT")) => (name, false),
        _ => (upper.as_str(), matches!(upper.as_str(), "SUM" | "EVENT_COUNT")),
    };
    let percentile = name.strip_prefix("PERCENTILE_");
    let method = match (name, percentile) {
        ("MEAN", _) => AggregationMethod::Mean,
        ("MAX", _) => AggregationMethod::Max,
        ("MIN", _) => AggregationMethod::Min,
        ("SUM", _) => AggregationMethod::Sum,
        ("EVENT_COUNT", _) => AggregationMethod::EventCount,
        (_, Some(p @ ("25" | "50" | "75" | "90" | "95" | "98" | "99"))) => {
            AggregationMethod::Percentile(p.parse().unwrap())
        }
        _ => return Err(Refused::Meaning),
    };
    let bucket_ms = i64::try_from(size).ok().filter(|size| (1..=253_402_300_799_999).contains(size));
    Ok(Aggregation { method, zero_fill, bucket_ms: bucket_ms.ok_or(Refused::Meaning)? })
}

const SOURCES: [&str; 3] = ["__gauge__", "__counter__", "~"];

/// Exactly one condition names what to fetch; the others are label matchers, for which an expression has no room.
fn source(conditions: &[Condition]) -> Result<Source, Refused> {
    let naming: Vec<&Condition> = conditions.iter().filter(|one| SOURCES.contains(&one.key)).collect();
    let labels: Vec<&Condition> = conditions.iter().filter(|one| !SOURCES.contains(&one.key)).collect();
    let [naming] = naming[..] else { return Err(Refused::Meaning) };
    // A number is no name, but a truth is. A blank one is none.
    if !conditions.iter().all(|one| one.is_held) {
        return Err(Refused::Meaning);
    }
    let values = label_values(naming.value)?;
    let name = values.only_text().ok_or(Refused::Meaning)?;
    if name.chars().all(char::is_whitespace) {
        return Err(Refused::Meaning);
    }
    if naming.key == "~" {
        return if labels.is_empty() { Ok(Source::Expression(name.to_owned())) } else { Err(Refused::Meaning) };
    }
    let mut matchers = Vec::new();
    for one in labels {
        let any_of = label_values(one.value)?;
        if any_of.is_empty() {
            return Err(Refused::Meaning);
        }
        matchers.push(Matcher { label: one.key.to_owned(), any_of });
    }
    let selector = Selector { metric: name.to_owned(), matchers };
    Ok(if naming.key == "__counter__" { Source::Counter(selector) } else { Source::Gauge(selector) })
}

/// Whether values of this type, as StackState calls it, are what labels can hold.
fn is_type_of_labels(kind: &str) -> bool {
    ["StringValue", "DoubleValue", "BooleanValue", "InSetValue"].contains(&kind)
}

/// What a label may be. The items of a set may be bare, or with a type.
fn label_values(value: &Json) -> Result<LabelValues, Refused> {
    let Json::List(items) = value else { return Ok(LabelValues::from_iter([label_value(value)?])) };
    let mut values = LabelValues::default();
    for item in items {
        let fields = item.fields().unwrap_or_default();
        let inner = fields.iter().rev().find(|(key, _)| *key == "value");
        values.push(label_value(inner.map_or(item, |(_, inner)| inner))?);
    }
    Ok(values)
}

fn label_value(value: &Json) -> Result<LabelValue<'_>, Refused> {
    match value {
        Json::Text(Some(text)) => Ok(LabelValue::Text(text)),
        Json::Bool(true) => Ok(LabelValue::Text("true")),
        Json::Bool(false) => Ok(LabelValue::Text("false")),
        Json::Number(text) => {
            let number = number::decimal(text)?;
            if number.digits == 0 {
                return Ok(LabelValue::Number(Decimal { is_negative: false, digits: 0, exponent: 0 }));
            }
            let digits = u64::try_from(number.digits).map_err(|_| Refused::Unsure)?;
            Ok(LabelValue::Number(Decimal { is_negative: number.is_negative, digits, exponent: number.exponent }))
        }
        _ => Err(Refused::Meaning),
    }
}

fn datasource(details: &Details) -> Result<(Datasource, String), Refused> {
    let timeout = typed_number(details.request_timeout, 600_000)?.unwrap_or(20_000);
    let nan = match typed_text(details.nan_interpretation)?.map(str::to_ascii_uppercase).as_deref() {
        None | Some("NONE") => NanInterpretation::None,
        Some("ZERO") => NanInterpretation::Zero,
        Some(_) => return Err(Refused::Meaning),
    };
    let partial = match typed_text(details.partial_response)?.map(str::to_ascii_lowercase).as_deref() {
        None | Some("deny") => PartialResponse::Deny,
        Some("allow") => PartialResponse::Allow,
        Some(_) => return Err(Refused::Meaning),
    };
    let interval = typed_number(details.scrape_interval, 86_400_000)?;
    // This mirror has no named upstreams.
    if typed_text(details.upstream)?.is_some() {
        return Err(Refused::Meaning);
    }
    let host = typed_text(details.host)?;
    let port = typed_number(details.port, 65_535)?;
    let (upstream, name) = match (typed_text(details.url)?, host, port) {
        (Some(url), None, None) => (Upstream::at_url(url), url_name(url)),
        (None, Some(host), Some(port)) => (Upstream::at_host(host, port as u16), host_name(host, port)),
        _ => return Err(Refused::Meaning),
    };
    // How it connects is compared by what the address is made of; whether it is one, by the name.
    let name = name?;
    let datasource = Datasource {
        upstream: upstream.map_err(|_| Refused::Meaning)?,
        timeout: Duration::from_millis(timeout),
        nan,
        scrape_interval_ms: interval.map(|ms| ms as i64),
        partial,
    };
    Ok((datasource, name))
}

/// A number from 1 to `max`, or its digits as a text.
fn typed_number(typed: Option<&Json>, max: i128) -> Result<Option<u64>, Refused> {
    let Some(typed) = typed else { return Ok(None) };
    let number = match typed {
        Json::Number(text) => number::decimal(text)?.whole(),
        Json::Text(Some(text)) => {
            let digits = text.trim();
            let are_digits = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
            // Zeros in front do not matter.
            let digits = digits.trim_start_matches('0');
            if are_digits && digits.len() <= 20 { format!("0{digits}").parse().ok() } else { None }
        }
        _ => None,
    };
    let number = number.filter(|number| (1..=max).contains(number)).ok_or(Refused::Meaning)?;
    Ok(Some(number as u64))
}

/// A text without the blanks around it; nothing left is the same as absent.
fn typed_text(typed: Option<&Json>) -> Result<Option<&str>, Refused> {
    match typed {
        None => Ok(None),
        Some(Json::Text(Some(text))) if text.len() <= 2_048 => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(_) => Err(Refused::Meaning),
    }
}

fn host_name(host: &str, port: u64) -> Result<String, Refused> {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if inner.parse::<Ipv6Addr>().is_ok() {
        return Ok(format!("[{inner}]:{port}"));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !host.is_empty() && host.chars().all(is_plain) { Ok(format!("{host}:{port}")) } else { Err(Refused::Meaning) }
}

/// `scheme://user:password@host:port/path`, with user and password, port and path left out or not.
///
/// What is more than letters, digits and the usual marks is refused or not by the rules of RFC 3986, which are not
/// written again here.
fn url_name(url: &str) -> Result<String, Refused> {
    if url.contains(['?', '#']) {
        return Err(Refused::Meaning);
    }
    let (scheme, rest) = url.split_once("://").ok_or(Refused::Meaning)?;
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => "80",
        "https" => "443",
        _ => return Err(Refused::Meaning),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:/@".contains(c);
    if !rest.chars().all(is_plain) {
        return Err(Refused::Unsure);
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let (host, port) = place.split_once(':').unwrap_or((place, default_port));
    let port: u16 = port.parse().map_err(|_| Refused::Meaning)?;
    if host.is_empty() || port == 0 || authority.matches('@').count() > 1 || path.contains('@') {
        return Err(Refused::Meaning);
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    const CALLS: &str = "alerts label labels metadata query query_range read rules series status targets write";
    let path = format!("/{}/", segments.join("/"));
    let call = path.rsplit_once("/api/v1/").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    if call.is_some_and(|call| call.is_empty() || CALLS.split(' ').any(|known| known == call))
        || matches!(segments.last(), Some(&"graph" | &"api"))
    {
        return Err(Refused::Meaning);
    }
    Ok(format!("{host}:{port}"))
}
