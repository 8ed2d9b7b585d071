//! Checks Connection Details, as an admin typed them, and turns them into a datasource.

use std::time::Duration;

use crate::error::Error;
use crate::model::query::{NanInterpretation, PartialResponse};
use crate::nearest::did_you_mean;
use crate::prometheus::{Upstream, Upstreams};
use crate::wire::connection_details::{ConnectionDetails, DetailsFault, DetailsField, FIELDS};
use crate::wire::response::ErrorBody;
use crate::wire::scalar::Scalar;

/// The timeout of a request if neither the Connection Details nor the upstream has one.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest timeout of a request, in milliseconds: ten minutes. Each waiting request holds a worker.
pub const MAX_TIMEOUT_MS: u64 = 600_000;

/// The longest `scrapeInterval`, in milliseconds: a day.
pub(super) const MAX_SCRAPE_INTERVAL_MS: u64 = 86_400_000;

/// The most bytes of a text field. The longest host name has 253.
const MAX_TEXT_BYTES: usize = 2_048;

/// Which Prometheus to query, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Datasource {
    /// The Prometheus, and how the mirror reaches it.
    pub upstream: Upstream,
    /// The timeout of the whole request.
    pub timeout: Duration,
    /// What a NaN sample becomes.
    pub nan: NanInterpretation,
    /// How often metrics are scraped, in milliseconds; measured if not given.
    pub scrape_interval_ms: Option<i64>,
    /// How the mirror treats a response that the upstream calls partial.
    pub partial: PartialResponse,
}

/// Which upstreams Connection Details may choose from.
#[derive(Default)]
pub(super) struct Directory<'u> {
    /// The named upstreams; absent in tests and fuzz targets.
    pub(super) upstreams: Option<&'u Upstreams>,
    /// Whether Connection Details must name an upstream, and give no address. Then there are some.
    pub(super) requires_name: bool,
}

impl Datasource {
    /// Checks Connection Details.
    ///
    /// # Errors
    /// `invalid_connection_details`, which names the field and says what it must be. It repeats only numbers, because any other
    /// value may contain a password.
    pub(super) fn new(directory: &Directory<'_>, details: &ConnectionDetails) -> Result<Datasource, Error> {
        use DetailsField::{NanInterpretation as Nan, PartialResponse as Partial, RequestTimeout, ScrapeInterval};
        if let Some(fault) = &details.fault {
            return Err(invalid(described(fault)));
        }
        let timeout_ms = number(details, RequestTimeout, MAX_TIMEOUT_MS, "milliseconds")?;
        let interval_ms = number(details, ScrapeInterval, MAX_SCRAPE_INTERVAL_MS, "milliseconds")?;
        let nan = word(details, Nan, [("NONE", NanInterpretation::None), ("ZERO", NanInterpretation::Zero)])?;
        let partial = word(details, Partial, [("deny", PartialResponse::Deny), ("allow", PartialResponse::Allow)])?;
        let upstream = upstream(directory, details)?;
        let defaults = upstream.options().cloned().unwrap_or_default();
        let timeout = timeout_ms.map(Duration::from_millis).or(defaults.timeout);
        Ok(Datasource {
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            nan: nan.or(defaults.nan).unwrap_or(NanInterpretation::None),
            scrape_interval_ms: interval_ms.map(|ms| ms as i64).or(defaults.scrape_interval_ms),
            partial: partial.or(defaults.partial).unwrap_or(PartialResponse::Deny),
            upstream,
        })
    }
}

/// The upstream that Connection Details name or give the address of. They must not do both, so that a caller cannot have a secret
/// sent to another address.
fn upstream(directory: &Directory<'_>, details: &ConnectionDetails) -> Result<Upstream, Error> {
    let name = text(details, DetailsField::Upstream)?;
    let (url, host) = (text(details, DetailsField::Url)?, text(details, DetailsField::Host)?);
    let port = number(details, DetailsField::Port, u64::from(u16::MAX), "a TCP port")?;
    let has_address = url.is_some() || host.is_some() || port.is_some();
    match name {
        Some(_) if has_address => Err(invalid(
            "connectionDetails has upstream as well as host, port or url: remove one of the two".to_owned(),
        )),
        Some(name) => named(directory, Some(name)),
        None if has_address && directory.requires_name => Err(invalid(format!(
            "connectionDetails has host, port or url, which this mirror does not take (--named-upstreams-only): give upstream, {}",
            choice(directory)
        ))),
        None if has_address => given(url, host, port),
        None => named(directory, None),
    }
}

/// The named upstream; without a name, the only one in the upstreams file.
fn named(directory: &Directory<'_>, name: Option<&str>) -> Result<Upstream, Error> {
    if let Some(upstream) = directory.upstreams.and_then(|upstreams| upstreams.find(name)) {
        return Ok(upstream);
    }
    let names = directory.names();
    let details = match name {
        None if names.is_empty() => format!("connectionDetails.host is missing: {GIVE_ADDRESS}"),
        None if directory.requires_name => {
            format!("connectionDetails.upstream is missing: give {}", choice(directory))
        }
        None => format!("connectionDetails.host is missing: {GIVE_ADDRESS}; or give upstream, {}", choice(directory)),
        Some(_) if names.is_empty() => {
            "connectionDetails.upstream names an upstream, but this mirror has none (--upstreams-file): give host and port, or url".to_owned()
        }
        Some(name) => format!(
            "connectionDetails.upstream names no upstream that this mirror has: {}give {}",
            did_you_mean(name, names.iter().map(String::as_str)),
            choice(directory)
        ),
    };
    Err(invalid(details))
}

/// The names that can be chosen, in words.
fn choice(directory: &Directory<'_>) -> String {
    /// The most names that are shown.
    const MAX_SHOWN: usize = 50;
    let names = directory.names();
    match names.len() {
        1 => names[0].clone(),
        count => {
            let more = count.saturating_sub(MAX_SHOWN);
            let more = if more > 0 { format!(" or {more} more") } else { String::new() };
            format!("one of {}{more}", names[..count.min(MAX_SHOWN)].join(", "))
        }
    }
}

impl Directory<'_> {
    fn names(&self) -> Vec<String> {
        self.upstreams.map(Upstreams::names).unwrap_or_default()
    }
}

fn given(url: Option<&str>, host: Option<&str>, port: Option<u64>) -> Result<Upstream, Error> {
    match (url, host, port) {
        (Some(url), None, None) => Upstream::at_url(url).map_err(|expected| invalid_field(DetailsField::Url, expected)),
        (Some(_), ..) => {
            Err(invalid("connectionDetails has url as well as host or port: remove one of the two".to_owned()))
        }
        (None, Some(host), Some(port)) => {
            Upstream::at_host(host, port as u16).map_err(|expected| invalid_field(DetailsField::Host, expected))
        }
        (None, Some(_), None) => {
            Err(invalid("connectionDetails.port is missing: add the port of Prometheus, usually 9090".to_owned()))
        }
        (None, None, _) => Err(invalid(format!("connectionDetails.host is missing: {GIVE_ADDRESS}"))),
    }
}

/// Which address to give, in words.
const GIVE_ADDRESS: &str = "give the host and port of Prometheus, such as \
                            {\"host\": \"prometheus.monitoring.svc\", \"port\": 9090}, or its url";

/// A fault of the form of Connection Details, in words.
fn described(fault: &DetailsFault) -> String {
    match fault {
        DetailsFault::NotAnObject(kind) => {
            format!("connectionDetails must be an object, not {}: {GIVE_ADDRESS}", with_article(kind))
        }
        DetailsFault::Twice(name) => format!("connectionDetails.{name} is given twice: remove one of the two"),
        DetailsFault::Unknown(name) => {
            let shown = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            let meant = name.as_ref().map(|name| did_you_mean(name, FIELDS)).unwrap_or_default();
            format!(
                "connectionDetails has an unknown field{shown}: {meant}The fields are {}. Fields that begin with _ are ignored.",
                FIELDS.join(", ")
            )
        }
    }
}

/// A number from 1 to `max`, or its digits as a text.
fn number(details: &ConnectionDetails, field: DetailsField, max: u64, unit: &str) -> Result<Option<u64>, Error> {
    let whole = |float: f64| (float.fract() == 0.0 && float >= 0.0 && float <= max as f64).then_some(float as u64);
    let given = details.value(field);
    let number = match given {
        Scalar::Null => return Ok(None),
        Scalar::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole)),
        Scalar::Text(digits) if digits.trim().bytes().all(|byte| byte.is_ascii_digit()) => digits.trim().parse().ok(),
        _ => None,
    };
    match number.filter(|number| (1..=max).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(invalid_value(field, &format!("must be a whole number from 1 to {max} ({unit})"), given)),
    }
}

/// A text without blanks around it, which copying adds; `None` if it is absent or empty.
fn text(details: &ConnectionDetails, field: DetailsField) -> Result<Option<&str>, Error> {
    match details.value(field) {
        Scalar::Null => Ok(None),
        Scalar::Text(text) if text.len() <= MAX_TEXT_BYTES => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Scalar::Text(_) | Scalar::LongText(_) => {
            Err(invalid_field(field, &format!("must have at most {MAX_TEXT_BYTES} bytes")))
        }
        other => Err(invalid_value(field, "must be a text", other)),
    }
}

/// One of two words, compared without case.
fn word<T: Copy>(details: &ConnectionDetails, field: DetailsField, words: [(&str, T); 2]) -> Result<Option<T>, Error> {
    let [(first, _), (second, _)] = words;
    let Some(given) = text(details, field)? else { return Ok(None) };
    match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(given)) {
        Some((_, meaning)) => Ok(Some(*meaning)),
        None => Err(invalid_field(field, &format!("must be \"{first}\" or \"{second}\""))),
    }
}

/// An error that says what a field must be, and what it is instead: a number, or the kind of a value.
fn invalid_value(field: DetailsField, expected: &str, given: &Scalar) -> Error {
    match given {
        Scalar::Number(number) => invalid_field(field, &format!("{expected}, not {number}")),
        // Digits are a text as well, so "not a text" would be confusing.
        Scalar::Text(_) | Scalar::LongText(_) => invalid_field(field, expected),
        other => invalid_field(field, &format!("{expected}, not {}", with_article(other.kind()))),
    }
}

/// An error that says what a field must be.
fn invalid_field(field: DetailsField, expected: &str) -> Error {
    let name = FIELDS[field as usize];
    invalid(format!("connectionDetails.{name} {expected}"))
}

fn with_article(kind: &str) -> String {
    match kind {
        "null" => kind.to_owned(),
        "object" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

fn invalid(details: String) -> Error {
    Error::Mirror { code: "invalid_connection_details", body: ErrorBody::MetricStoreConnectionError { details } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request::TestConnectionRequest;

    fn datasource(json: &str) -> Result<Datasource, String> {
        let json = format!(r#"{{"connectionDetails":{json}}}"#);
        let request: TestConnectionRequest = serde_json::from_str(&json).unwrap();
        Datasource::new(&Directory::default(), &request.connection_details).map_err(|error| error.to_string())
    }

    #[test]
    fn host_and_port_are_enough() {
        let expected = Datasource {
            upstream: Upstream::at_host("p", 9090).unwrap(),
            timeout: Duration::from_secs(20),
            nan: NanInterpretation::None,
            scrape_interval_ms: None,
            partial: PartialResponse::Deny,
        };
        for json in [
            r#"{"host":"p","port":9090}"#,
            r#"{"host":" p ","port":"9090"}"#,
            r#"{"host":"p","port":9090.0,"url":null,"requestTimeout":null}"#,
            r#"{"host":"p","port":9090,"url":"","_unknown":[1]}"#,
        ] {
            assert_eq!(datasource(json).as_ref(), Ok(&expected), "{json}");
        }
    }

    #[test]
    fn every_field_is_taken_over() {
        let json = r#"{"url":"https://p/x","requestTimeout":1500,"nan_interpretation":"zero","scrapeInterval":"30000","partialResponse":"allow"}"#;
        let expected = Datasource {
            upstream: Upstream::at_url("https://p/x").unwrap(),
            timeout: Duration::from_millis(1500),
            nan: NanInterpretation::Zero,
            scrape_interval_ms: Some(30_000),
            partial: PartialResponse::Allow,
        };
        assert_eq!(datasource(json), Ok(expected));
    }

    #[test]
    fn what_is_wrong_is_named_and_no_value_but_a_number_is_repeated() {
        let check = |json: &str, parts: &[&str]| {
            let error = datasource(json).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{json}: {error}");
            assert!(!error.contains("hush"), "{json}: {error}");
        };
        check(r#"{}"#, &["host is missing"]);
        check("null", &["must be an object, not null", "9090"]);
        check("5", &["must be an object, not a number"]);
        check(r#""hush""#, &["must be an object, not a text"]);
        check(r#"[{"host":"hush"}]"#, &["must be an object, not a list"]);
        check(r#"{"port":9090}"#, &["host is missing"]);
        check(r#"{"host":"p"}"#, &["port is missing"]);
        check(r#"{"host":5,"port":1}"#, &["host must be a text", "not 5"]);
        check(r#"{"host":["hush"],"port":1}"#, &["host must be a text", "not a list"]);
        check(r#"{"host":{"a":"hush"},"port":1}"#, &["host must be a text", "not an object"]);
        check(r#"{"host":false,"port":1}"#, &["host must be a text", "not a boolean"]);
        check(r#"{"host":"hush b","port":1}"#, &["host must be a name"]);
        check(r#"{"host":"https://u:hush@p","port":1}"#, &["host must be a name", "url"]);
        check(r#"{"host":"p","port":0}"#, &["port must be", "65535", "not 0"]);
        check(r#"{"host":"p","port":65536}"#, &["port must be", "not 65536"]);
        check(r#"{"host":"p","port":1.5}"#, &["port must be", "not 1.5"]);
        check(r#"{"host":"p","port":"+1"}"#, &["port must be"]);
        check(r#"{"host":"p","port":"http://u:hush@h"}"#, &["port must be"]);
        check(r#"{"host":"p","port":["hush"]}"#, &["port must be", "not a list"]);
        check(r#"{"host":"p","port":1,"requestTimeout":0}"#, &["requestTimeout must be", "600000", "not 0"]);
        check(r#"{"host":"p","port":1,"requestTimeout":-5}"#, &["requestTimeout must be", "not -5"]);
        check(r#"{"host":"p","port":1,"scrapeInterval":1e99}"#, &["scrapeInterval must be"]);
        check(r#"{"host":"p","port":1,"nan_interpretation":"hush"}"#, &["nan_interpretation", "ZERO", "NONE"]);
        check(r#"{"host":"p","port":1,"partialResponse":"hush"}"#, &["partialResponse", "deny", "allow"]);
        check(r#"{"host":"p","url":"http://p"}"#, &["url as well as host"]);
        check(r#"{"port":5,"url":"http://p"}"#, &["url as well as host or port"]);
        check(r#"{"url":"ftp://u:hush@p"}"#, &["url must begin with"]);
        check(r#"{"url":["http://u:hush@x"]}"#, &["url must be a text, not a list"]);
        check(r#"{"host":"p","host":"hush","port":1}"#, &["host is given twice"]);
        check(&format!(r#"{{"url":"http://{}"}}"#, "x".repeat(2_048)), &["url must have at most 2048 bytes"]);
        check(&format!(r#"{{"url":{:?}}}"#, "x".repeat(300_000)), &["url must have at most 2048 bytes"]);
    }

    #[test]
    fn an_unknown_field_is_refused_with_the_nearest_known_one() {
        let check = |name: &str, near: Option<&str>| {
            let error = datasource(&format!(r#"{{"host":"p","port":1,"{name}":"hush"}}"#)).unwrap_err();
            let meant = near.map_or(format!("field {name}: The fields"), |near| {
                format!("field {name}: did you mean {near}? The fields")
            });
            assert!(error.contains(&meant) && !error.contains("hush"), "{error}");
            assert!(FIELDS.iter().all(|known| error.contains(known)), "{error}");
        };
        check("requestTimeOut", Some("requestTimeout"));
        check("request_timeout", Some("requestTimeout"));
        check("requestTimout", Some("requestTimeout"));
        check("nanInterpretation", Some("nan_interpretation"));
        check("URL", Some("url"));
        check("hosts", Some("host"));
        check("Host", Some("host"));
        check("scrape_interval", Some("scrapeInterval"));
        for name in ["bearerToken", "headers", "aws"] {
            check(name, None);
        }
        let error = datasource(r#"{"host":"p","port":1,"http://u:hush@p":1}"#).unwrap_err();
        assert!(error.contains("an unknown field: The fields are host, "), "{error}");
    }
}
