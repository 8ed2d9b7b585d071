//! StackState's requests. A body is parsed once, into types of bounded size.
//!
//! Parsing is lenient where the Mirror API requires it: it ignores unknown fields and most `_type` fields, and optional fields may
//! be absent or `null`. The parts that an admin types (`connection_details`, `conditions`) are kept within their bounds whatever
//! their form is, so that errors can name what is wrong.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::wire::conditions::Conditions;
use crate::wire::connection_details::ConnectionDetails;
use crate::wire::scalar::{BoundedText, MAX_VALUE_BYTES, Name, from_any_json};
use crate::wire::strict_json;

/// Parses a body.
///
/// # Errors
/// When it is not such a request. The text says why, and repeats only numbers and names of fields, because other values may be
/// secrets.
pub fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let request = strict_json::object(&mut json, "it must be an object");
    request.and_then(|request| json.end().map(|()| request)).map_err(|error| error.to_string())
}

/// `TestConnectionRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestConnectionRequest {
    /// Which Prometheus to query.
    #[serde(deserialize_with = "from_any_json")]
    pub connection_details: ConnectionDetails,
}

/// `FieldNamesRequest`, `FieldValuesRequest` or `MetricsRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "Q: Deserialize<'de>"))]
pub struct QueryRequest<Q> {
    /// Which Prometheus to query.
    #[serde(deserialize_with = "from_any_json")]
    pub connection_details: ConnectionDetails,
    /// The query.
    #[serde(deserialize_with = "named::query")]
    pub query: Q,
}

/// `FieldNamesQuery`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldNamesQuery {
    /// The conditions that the fields' series match.
    #[serde(default, deserialize_with = "from_any_json")]
    pub conditions: Conditions,
    /// Milliseconds since 1970.
    #[serde(default, deserialize_with = "named::start_time")]
    pub start_time: Option<i64>,
    /// Milliseconds since 1970.
    #[serde(default, deserialize_with = "named::end_time")]
    pub end_time: Option<i64>,
    /// The most results.
    #[serde(default, deserialize_with = "named::limit")]
    pub limit: Option<i64>,
}

/// `FieldValuesQuery`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldValuesQuery {
    /// The conditions that the values' series match.
    #[serde(default, deserialize_with = "from_any_json")]
    pub conditions: Conditions,
    /// Milliseconds since 1970.
    #[serde(default, deserialize_with = "named::start_time")]
    pub start_time: Option<i64>,
    /// Milliseconds since 1970.
    #[serde(default, deserialize_with = "named::end_time")]
    pub end_time: Option<i64>,
    /// The most results.
    #[serde(default, deserialize_with = "named::limit")]
    pub limit: Option<i64>,
    /// How many results to skip.
    #[serde(default, deserialize_with = "named::offset")]
    pub offset: Option<i64>,
    /// The prefix of the values.
    #[serde(default, deserialize_with = "named::field_value_prefix")]
    pub field_value_prefix: Option<BoundedText<MAX_VALUE_BYTES>>,
    /// The field whose values are wanted.
    #[serde(deserialize_with = "named::field")]
    pub field: SentField,
}

/// The part of a `FieldDescriptor` that matters in a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentField {
    /// The field's name.
    #[serde(deserialize_with = "named::field_name")]
    pub field_name: Name,
}

/// `MetricsQuery`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricsQuery {
    /// What to fetch, and from which series.
    #[serde(default, deserialize_with = "from_any_json")]
    pub conditions: Conditions,
    /// Milliseconds since 1970; absent or 0: since the beginning.
    #[serde(default, deserialize_with = "named::start_time")]
    pub start_time: Option<i64>,
    /// Milliseconds since 1970; absent or 0: until now.
    #[serde(default, deserialize_with = "named::end_time")]
    pub end_time: Option<i64>,
    /// The most points.
    #[serde(default, deserialize_with = "named::limit")]
    pub limit: Option<i64>,
    /// Whether the newest points come first, and are kept.
    #[serde(default, deserialize_with = "named::latest_first")]
    pub latest_first: Option<bool>,
    /// How to aggregate samples; absent for a raw query.
    #[serde(default, deserialize_with = "named::aggregation")]
    pub aggregation: Option<SentAggregation>,
}

/// `Aggregation`, as StackState sends it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentAggregation {
    /// The method's name.
    #[serde(deserialize_with = "named::method")]
    pub method: Name,
    /// The length of a bucket in milliseconds.
    #[serde(deserialize_with = "named::bucket_size_millis")]
    pub bucket_size_millis: i64,
}

/// Deserializers of fields. Their errors name the field and say what it must be. They accept any JSON value first, so that no error
/// of serde repeats it.
mod named {
    use serde::{Deserialize, Deserializer};

    use super::{BoundedText, MAX_VALUE_BYTES, Name, SentAggregation, SentField};
    use crate::wire::scalar::{optional_scalar, scalar};
    use crate::wire::strict_json::{object, optional_object};

    pub(super) fn query<'de, D: Deserializer<'de>, Q: Deserialize<'de>>(deserializer: D) -> Result<Q, D::Error> {
        object(deserializer, "query must be an object")
    }

    macro_rules! fields {
        ($($reader:ident: $type:ty = $read:ident $must_be:literal;)*) => {$(
            pub(super) fn $reader<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                $read(deserializer, $must_be)
            }
        )*};
    }

    fields! {
        start_time: Option<i64> = optional_scalar "query.startTime must be a whole number of milliseconds, or null";
        end_time: Option<i64> = optional_scalar "query.endTime must be a whole number of milliseconds, or null";
        limit: Option<i64> = optional_scalar "query.limit must be a whole number, or null";
        offset: Option<i64> = optional_scalar "query.offset must be a whole number, or null";
        latest_first: Option<bool> = optional_scalar "query.latestFirst must be true, false or null";
        field_value_prefix: Option<BoundedText<MAX_VALUE_BYTES>> =
            optional_scalar "query.fieldValuePrefix must be a text of at most 262144 bytes, or null";
        field: SentField = object "query.field must be an object";
        field_name: Name = scalar "query.field.fieldName must be a text of at most 1024 bytes";
        aggregation: Option<SentAggregation> = optional_object "query.aggregation must be an object, or null";
        method: Name = scalar "query.aggregation.method must be a text of at most 1024 bytes";
        bucket_size_millis: i64 =
            scalar "query.aggregation.bucketSizeMillis must be a whole number of milliseconds";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_body_is_no_request_repeats_nothing_of_it() {
        let check = |body: &str, says: &str| {
            let error = parsed::<QueryRequest<FieldValuesQuery>>(body.as_bytes()).unwrap_err();
            assert!(error.starts_with(says) && !error.contains("hush"), "{body:.99}: {error}");
        };
        check(r#"{"_type":"hush"}"#, "missing field `connectionDetails`");
        check(r#"{"connectionDetails":{},"query":{}}"#, "missing field `field`");
        check(r#"{"hush"#, "EOF");
        check(r#"{"connectionDetails":{},"query":{"limit":hush}}"#, "expected value at line 1");
        check(r#"{"connectionDetails":{},"query":{"field":{"fieldName":"a"}}}hush"#, "trailing characters at line 1");
        check(r#"["hush"]"#, "it must be an object");
        check("null", "it must be an object");
        check(r#"{"connectionDetails":{},"query":"hush"}"#, "query must be an object at line 1");
    }
}
