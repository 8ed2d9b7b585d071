//! From connection details, as an admin typed them, to a checked datasource.

use std::time::Duration;

use serde_json::Value;

use crate::error::Error;
use crate::model::query::{NanInterpretation, PartialResponse};
use crate::prometheus::Upstream;
use crate::wire::request::ConnectionDetails;

/// The bound on a request when the connection details give none, in milliseconds (Mirror API, "Requests").
pub(super) const DEFAULT_TIMEOUT_MS: u64 = 20_000;

/// The longest bound that may be given, in milliseconds: ten minutes. Each waiting request holds a worker.
pub(super) const MAX_TIMEOUT_MS: u64 = 600_000;

/// The longest scrape interval that may be given, in milliseconds: a day.
pub(super) const MAX_SCRAPE_INTERVAL_MS: u64 = 86_400_000;

/// Which Prometheus to ask, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Datasource {
    /// The address.
    pub upstream: Upstream,
    /// The bound on the whole request.
    pub timeout: Duration,
    /// What a sample that is not a number becomes.
    pub nan: NanInterpretation,
    /// How often metrics are scraped, in milliseconds; to be measured when not given.
    pub scrape_interval_ms: Option<i64>,
    /// What becomes of an answer that the upstream itself calls partial.
    pub partial: PartialResponse,
}

impl Datasource {
    /// Checks connection details.
    ///
    /// # Errors
    /// A `RemoteMirrorError` that names the field, what it holds and what it may hold.
    pub(super) fn new(details: &ConnectionDetails) -> Result<Datasource, Error> {
        let timeout_ms = number(&details.request_timeout, "requestTimeout", MAX_TIMEOUT_MS, "milliseconds")?;
        let interval_ms = number(&details.scrape_interval, "scrapeInterval", MAX_SCRAPE_INTERVAL_MS, "milliseconds")?;
        let nan = match text(&details.nan_interpretation, "nan_interpretation")? {
            None => NanInterpretation::None,
            Some(name) if name.eq_ignore_ascii_case("NONE") => NanInterpretation::None,
            Some(name) if name.eq_ignore_ascii_case("ZERO") => NanInterpretation::Zero,
            Some(_) => {
                return Err(bad("nan_interpretation", "must be \"ZERO\" or \"NONE\"", &details.nan_interpretation));
            }
        };
        let partial = match text(&details.partial_response, "partialResponse")? {
            None => PartialResponse::Deny,
            Some(word) if word.eq_ignore_ascii_case("deny") => PartialResponse::Deny,
            Some(word) if word.eq_ignore_ascii_case("allow") => PartialResponse::Allow,
            Some(_) => return Err(bad("partialResponse", "must be \"deny\" or \"allow\"", &details.partial_response)),
        };
        Ok(Datasource {
            upstream: upstream(details)?,
            timeout: Duration::from_millis(timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS)),
            nan,
            scrape_interval_ms: interval_ms.map(|ms| ms as i64),
            partial,
        })
    }
}

fn upstream(details: &ConnectionDetails) -> Result<Upstream, Error> {
    let host = text(&details.host, "host")?;
    let port = number(&details.port, "port", u64::from(u16::MAX), "a TCP port")?;
    match (text(&details.url, "url")?, host, port) {
        (Some(url), None, None) => {
            // The URL is not repeated: it may hold a password.
            Upstream::at_url(url).map_err(|expected| invalid(format!("connectionDetails.url {expected}")))
        }
        (Some(_), ..) => {
            Err(invalid("connectionDetails has url as well as host or port: remove one of the two".to_owned()))
        }
        (None, Some(host), Some(port)) => {
            Upstream::at_host(host, port as u16).map_err(|expected| match host.contains(['@', '/']) {
                // A URL in the wrong place, with a password perhaps.
                true => invalid(format!("connectionDetails.host {expected}")),
                false => bad("host", expected, &details.host),
            })
        }
        (None, Some(_), None) => {
            Err(invalid("connectionDetails.port is missing: add the port of Prometheus, usually 9090".to_owned()))
        }
        (None, None, _) => Err(invalid(
            "connectionDetails.host is missing: give the host and port of Prometheus, such as \
             {\"host\": \"prometheus.monitoring.svc\", \"port\": 9090}"
                .to_owned(),
        )),
    }
}

/// A number from 1 to `max`, or its digits as a string, as forms tend to send it.
fn number(value: &Option<Value>, field: &str, max: u64, unit: &str) -> Result<Option<u64>, Error> {
    let Some(given) = value else { return Ok(None) };
    let whole = |float: f64| (float.fract() == 0.0 && float >= 0.0 && float <= max as f64).then_some(float as u64);
    let number = match given {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(digits) if digits.trim().bytes().all(|byte| byte.is_ascii_digit()) => digits.trim().parse().ok(),
        _ => None,
    };
    match number.filter(|number| (1..=max).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(bad(field, &format!("must be a whole number from 1 to {max} ({unit})"), value)),
    }
}

/// A text without the blanks around it that come with copying; `None` when it is absent or nothing is left.
fn text<'v>(value: &'v Option<Value>, field: &str) -> Result<Option<&'v str>, Error> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(_) => Err(bad(field, "must be a text", value)),
    }
}

fn bad(field: &str, expected: &str, value: &Option<Value>) -> Error {
    /// The most characters of a value that are repeated.
    const MAX_SHOWN: usize = 100;
    let shown: String = value.as_ref().map(Value::to_string).unwrap_or_default().chars().take(MAX_SHOWN).collect();
    invalid(format!("connectionDetails.{field} {expected}, not {shown}"))
}

fn invalid(details: String) -> Error {
    Error::Remote { summary: "Invalid connection details.", details }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datasource(json: &str) -> Result<Datasource, String> {
        let details: ConnectionDetails = serde_json::from_str(json).unwrap();
        Datasource::new(&details).map_err(|error| error.to_string())
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
            r#"{"host":"p","port":9090,"url":"","unknown":[1]}"#,
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
    fn what_is_wrong_is_named() {
        let check = |json: &str, parts: &[&str]| {
            let error = datasource(json).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{json}: {error}");
        };
        check(r#"{}"#, &["host is missing"]);
        check(r#"{"port":9090}"#, &["host is missing"]);
        check(r#"{"host":"p"}"#, &["port is missing"]);
        check(r#"{"host":5,"port":1}"#, &["host must be a text", "not 5"]);
        check(r#"{"host":"a b","port":1}"#, &["host must be a name", "not \"a b\""]);
        check(r#"{"host":"p","port":0}"#, &["port must be", "65535", "not 0"]);
        check(r#"{"host":"p","port":65536}"#, &["port must be", "not 65536"]);
        check(r#"{"host":"p","port":1.5}"#, &["port must be", "not 1.5"]);
        check(r#"{"host":"p","port":"+1"}"#, &["port must be", "not \"+1\""]);
        check(r#"{"host":"p","port":"abc"}"#, &["port must be", "not \"abc\""]);
        check(r#"{"host":"p","port":[1]}"#, &["port must be", "not [1]"]);
        check(r#"{"host":"p","port":1,"requestTimeout":0}"#, &["requestTimeout must be", "600000", "not 0"]);
        check(r#"{"host":"p","port":1,"requestTimeout":-5}"#, &["requestTimeout must be", "not -5"]);
        check(r#"{"host":"p","port":1,"scrapeInterval":1e99}"#, &["scrapeInterval must be"]);
        check(r#"{"host":"p","port":1,"nan_interpretation":"MAYBE"}"#, &["ZERO", "NONE", "MAYBE"]);
        check(r#"{"host":"p","port":1,"partialResponse":"maybe"}"#, &["deny", "allow", "maybe"]);
        check(r#"{"host":"p","url":"http://p"}"#, &["url as well as host"]);
        check(r#"{"port":5,"url":"http://p"}"#, &["url as well as host or port"]);
        check(r#"{"url":"ftp://u:secret@p"}"#, &["url must begin with"]);
        for json in [r#"{"url":"ftp://u:secret@p"}"#, r#"{"host":"https://u:secret@p","port":1}"#] {
            assert!(!datasource(json).unwrap_err().contains("secret"), "{json}");
        }
    }
}
