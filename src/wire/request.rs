//! What StackState sends: a body is parsed once, into something of bounded size.
//!
//! Lenient where the Mirror API asks for it: unknown fields are ignored without being kept, optional ones may be absent or `null`,
//! and most `_type` fields are not looked at. What an admin types by hand (`connection_details`, `conditions`) is kept as far as
//! its bounds allow, whatever it is, so that what is wrong with it can be said by name.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::wire::conditions::Conditions;
use crate::wire::connection_details::ConnectionDetails;
use crate::wire::scalar::MAX_VALUE_BYTES;
use crate::wire::scalar::Scalar;
use crate::wire::strict_json;
use crate::wire::text::{BoundedText, Name};

/// Parses a body.
///
/// # Errors
/// Why it is no such request, in words that repeat nothing of it but numbers and the names of fields.
pub fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let request = strict_json::object(&mut json, "it must be an object");
    request.and_then(|request| json.end().map(|()| request)).map_err(|error| error.to_string())
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
    #[serde(deserialize_with = "named::query")]
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
    #[serde(default, deserialize_with = "named::field_value_prefix")]
    pub field_value_prefix: Option<BoundedText<MAX_VALUE_BYTES>>,
    /// Whose values are asked for.
    #[serde(deserialize_with = "named::field")]
    pub field: SentField,
}

/// A `FieldDescriptor`, as far as it matters in a request.
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
    #[serde(default, deserialize_with = "named::aggregation")]
    pub aggregation: Option<SentAggregation>,
}

/// `Aggregation`, as it is sent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentAggregation {
    /// The method's name.
    #[serde(deserialize_with = "named::method")]
    pub method: Name,
    /// The length of a bucket in milliseconds.
    #[serde(deserialize_with = "named::bucket_size_millis")]
    pub bucket_size_millis: Integer,
}

/// Readers of fields which say by its name what a field must be. They read whatever stands there, so that no reason repeats it.
mod named {
    use serde::{Deserialize, Deserializer};

    use super::{BoundedText, Integer, MAX_VALUE_BYTES, Name, SentAggregation, SentField};
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
        start_time: Option<Integer> = optional_scalar "query.startTime must be a whole number of milliseconds, or null";
        end_time: Option<Integer> = optional_scalar "query.endTime must be a whole number of milliseconds, or null";
        limit: Option<Integer> = optional_scalar "query.limit must be a whole number, or null";
        offset: Option<Integer> = optional_scalar "query.offset must be a whole number, or null";
        latest_first: Option<bool> = optional_scalar "query.latestFirst must be true, false or null";
        field_value_prefix: Option<BoundedText<MAX_VALUE_BYTES>> =
            optional_scalar "query.fieldValuePrefix must be a text of at most 262144 bytes, or null";
        field: SentField = object "query.field must be an object";
        field_name: Name = scalar "query.field.fieldName must be a text of at most 1024 bytes";
        aggregation: Option<SentAggregation> = optional_object "query.aggregation must be an object, or null";
        method: Name = scalar "query.aggregation.method must be a text of at most 1024 bytes";
        bucket_size_millis: Integer =
            scalar "query.aggregation.bucketSizeMillis must be a whole number of milliseconds";
    }
}

/// A whole number, which some serialisers write as `5.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer(pub i64);

impl TryFrom<Scalar> for Integer {
    type Error = ();

    fn try_from(scalar: Scalar) -> Result<Integer, ()> {
        let Scalar::Number(number) = scalar else { return Err(()) };
        // Within 2^53 every whole number is exact.
        let from_float = |float: f64| (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
        let whole = number.as_i64().or_else(|| number.as_f64().and_then(from_float));
        whole.map(Integer).ok_or(())
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
