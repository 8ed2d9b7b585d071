//! What StackState sends: a body is parsed once, into something of bounded size.
//!
//! Lenient where the Mirror API asks for it: unknown fields are ignored without being kept, optional ones may be absent or `null`,
//! and most `_type` fields are not looked at. What an admin types by hand (`connection_details`, `conditions`) is kept as far as
//! its bounds allow, whatever it is, so that what is wrong with it can be said by name.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::wire::conditions::Conditions;
use crate::wire::connection_details::ConnectionDetails;
use crate::wire::strict_json::{Object, object, optional};
use crate::wire::text::{BoundedText, MAX_VALUE_BYTES, Name};

/// Parses a body.
///
/// # Errors
/// Why it is no such request, in words that repeat nothing of it but numbers and the names of fields.
pub fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let request: Result<Object<T>, _> = serde_json::from_slice(body);
    request.map(|Object(request)| request).map_err(|error| reason(&error))
}

/// Why something is no request, without the values that serde's reasons begin with: one may be a password.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // The last one, for a value may hold these words as well.
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => text,
    }
}

/// `TestConnectionRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestConnectionRequest {
    /// Which Prometheus to ask.
    pub connection_details: ConnectionDetails,
}

/// `FieldNamesRequest`, `FieldValuesRequest` or `MetricsRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "Q: Deserialize<'de>"))]
pub struct QueryRequest<Q> {
    /// Which Prometheus to ask.
    pub connection_details: ConnectionDetails,
    /// What to ask it.
    #[serde(deserialize_with = "object")]
    pub query: Q,
}

/// `FieldNamesQuery`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldNamesQuery {
    /// What the fields have to go with.
    #[serde(default)]
    pub conditions: Conditions,
    /// Milliseconds since the epoch.
    pub start_time: Option<Integer>,
    /// Milliseconds since the epoch.
    pub end_time: Option<Integer>,
    /// The most results.
    pub limit: Option<Integer>,
}

/// `FieldValuesQuery`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldValuesQuery {
    /// What the values have to go with.
    #[serde(default)]
    pub conditions: Conditions,
    /// Milliseconds since the epoch.
    pub start_time: Option<Integer>,
    /// Milliseconds since the epoch.
    pub end_time: Option<Integer>,
    /// The most results.
    pub limit: Option<Integer>,
    /// How many results to leave out in front.
    pub offset: Option<Integer>,
    /// What the values begin with.
    pub field_value_prefix: Option<BoundedText<MAX_VALUE_BYTES>>,
    /// Whose values are asked for.
    #[serde(deserialize_with = "object")]
    pub field: Field,
}

/// A `FieldDescriptor`, as far as it matters in a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// The field's name.
    pub field_name: Name,
}

/// `MetricsQuery`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricsQuery {
    /// What to fetch, and of which series.
    #[serde(default)]
    pub conditions: Conditions,
    /// Milliseconds since the epoch; absent or 0: since the beginning.
    pub start_time: Option<Integer>,
    /// Milliseconds since the epoch; absent or 0: until now.
    pub end_time: Option<Integer>,
    /// The most points.
    pub limit: Option<Integer>,
    /// Whether the newest points come first, and are kept.
    pub latest_first: Option<bool>,
    /// How to gather samples; absent for a raw query.
    #[serde(default, deserialize_with = "optional")]
    pub aggregation: Option<Aggregation>,
}

/// `Aggregation`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Aggregation {
    /// The method's name.
    pub method: Name,
    /// The length of a bucket in milliseconds.
    pub bucket_size_millis: Integer,
}

/// A whole number, which some serialisers write as `5.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "serde_json::Number")]
pub struct Integer(pub i64);

impl TryFrom<serde_json::Number> for Integer {
    type Error = String;

    fn try_from(number: serde_json::Number) -> Result<Integer, String> {
        // Within 2^53 every whole number is exact.
        let from_float = |float: f64| (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
        let whole = number.as_i64().or_else(|| number.as_f64().and_then(from_float));
        whole.map(Integer).ok_or_else(|| format!("expected a whole number, found {number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_body_is_no_request_repeats_nothing_of_it() {
        let check = |body: &str, part: &str| {
            let error = parsed::<QueryRequest<FieldValuesQuery>>(body.as_bytes()).unwrap_err();
            assert!(error.contains(part) && !error.contains("hush"), "{body:.99}: {error}");
        };
        check(r#"{"_type":"hush"}"#, "missing field `connectionDetails`");
        check(r#"{"hush"#, "EOF");
        check(r#"["hush"]"#, "expected an object");
        check(r#"{"connectionDetails":{},"query":"hush"}"#, "expected an object");
        check(r#"{"connectionDetails":{},"query":"x, expected hush"}"#, "expected an object");
        check(
            r#"{"connectionDetails":{},"query":{"field":{"fieldName":["hush"]}}}"#,
            "expected a text of at most 1024",
        );
        check(r#"{"connectionDetails":{},"query":{"startTime":"hush"}}"#, "expected a JSON number");
        check(r#"{"connectionDetails":{},"query":{"startTime":1.5}}"#, "expected a whole number, found 1.5");
    }
}
