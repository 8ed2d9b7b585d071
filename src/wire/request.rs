//! What StackState sends: a body is parsed once, into something of bounded size.
//!
//! Lenient where the Mirror API asks for it: unknown fields are ignored without being kept, optional ones may be absent or `null`,
//! and most `_type` fields are not looked at. What an admin types by hand (`connection_details`, `conditions`) is kept as far as
//! its bounds allow, whatever it is, so that what is wrong with it can be said by name.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};

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
    #[serde(default, deserialize_with = "named::start_time")]
    pub start_time: Option<Integer>,
    /// Milliseconds since the epoch.
    #[serde(default, deserialize_with = "named::end_time")]
    pub end_time: Option<Integer>,
    /// The most results.
    #[serde(default, deserialize_with = "named::limit")]
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
    #[serde(default, deserialize_with = "named::start_time")]
    pub start_time: Option<Integer>,
    /// Milliseconds since the epoch.
    #[serde(default, deserialize_with = "named::end_time")]
    pub end_time: Option<Integer>,
    /// The most results.
    #[serde(default, deserialize_with = "named::limit")]
    pub limit: Option<Integer>,
    /// How many results to leave out in front.
    #[serde(default, deserialize_with = "named::offset")]
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
    #[serde(deserialize_with = "named::field_name")]
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
    #[serde(default, deserialize_with = "named::start_time")]
    pub start_time: Option<Integer>,
    /// Milliseconds since the epoch; absent or 0: until now.
    #[serde(default, deserialize_with = "named::end_time")]
    pub end_time: Option<Integer>,
    /// The most points.
    #[serde(default, deserialize_with = "named::limit")]
    pub limit: Option<Integer>,
    /// Whether the newest points come first, and are kept.
    #[serde(default, deserialize_with = "named::latest_first")]
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
    #[serde(deserialize_with = "named::method")]
    pub method: Name,
    /// The length of a bucket in milliseconds.
    #[serde(deserialize_with = "named::bucket_size_millis")]
    pub bucket_size_millis: Integer,
}

/// Readers of fields which say by name what a field must be.
mod named {
    use super::{Deserialize, Deserializer, Error, Integer, Name};

    macro_rules! fields {
        ($($reader:ident: $type:ty = $name:literal must be $what:literal;)*) => {$(
            pub(super) fn $reader<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                // The reason would repeat the value, which is not for any eye.
                <$type>::deserialize(deserializer).map_err(|_| D::Error::custom(concat!($name, " must be ", $what)))
            }
        )*};
    }

    fields! {
        start_time: Option<Integer> = "query.startTime" must be "a whole number of milliseconds, or null";
        end_time: Option<Integer> = "query.endTime" must be "a whole number of milliseconds, or null";
        limit: Option<Integer> = "query.limit" must be "a whole number, or null";
        offset: Option<Integer> = "query.offset" must be "a whole number, or null";
        latest_first: Option<bool> = "query.latestFirst" must be "true, false or null";
        bucket_size_millis: Integer = "query.aggregation.bucketSizeMillis" must be "a whole number of milliseconds";
        method: Name = "query.aggregation.method" must be "a text of at most 1024 bytes";
        field_name: Name = "query.field.fieldName" must be "a text of at most 1024 bytes";
    }
}

/// A whole number, which some serialisers write as `5.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "serde_json::Number")]
pub struct Integer(pub i64);

impl TryFrom<serde_json::Number> for Integer {
    type Error = &'static str;

    fn try_from(number: serde_json::Number) -> Result<Integer, &'static str> {
        // Within 2^53 every whole number is exact.
        let from_float = |float: f64| (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
        let whole = number.as_i64().or_else(|| number.as_f64().and_then(from_float));
        whole.map(Integer).ok_or("not a whole number")
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
            "query.field.fieldName must be a text of at most 1024 bytes at line 1",
        );
        check(r#"{"connectionDetails":{},"query":{"startTime":"hush"}}"#, "query.startTime must be a whole number");
        check(r#"{"connectionDetails":{},"query":{"startTime":1.5}}"#, "query.startTime must be a whole number");
        check(r#"{"connectionDetails":{},"query":{"limit":["hush"]}}"#, "query.limit must be a whole number, or null");
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named() {
        let check = |query: &str, says: &str| {
            let body = format!(r#"{{"connectionDetails":{{}},"query":{query}}}"#);
            let error = parsed::<QueryRequest<MetricsQuery>>(body.as_bytes()).unwrap_err();
            assert!(error.starts_with(says) && !error.contains("hush"), "{query}: {error}");
        };
        check(r#"{"endTime":"hush"}"#, "query.endTime must be a whole number of milliseconds, or null at line 1");
        check(r#"{"limit":"hush"}"#, "query.limit must be a whole number, or null at line 1");
        check(r#"{"latestFirst":"hush"}"#, "query.latestFirst must be true, false or null at");
        let (method, bucket) = (r#"{"aggregation":{"method":5}}"#, r#"{"aggregation":{"bucketSizeMillis":"hush"}}"#);
        check(method, "query.aggregation.method must be a text");
        check(bucket, "query.aggregation.bucketSizeMillis must be a whole number of milliseconds");
        let absent = parsed::<QueryRequest<MetricsQuery>>(br#"{"connectionDetails":{},"query":{"limit":null}}"#);
        assert_eq!(absent.map(|request| request.query.limit), Ok(None));
    }
}
