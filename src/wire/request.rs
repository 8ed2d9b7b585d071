//! What StackState sends.
//!
//! Lenient where the Mirror API asks for it: `_type` fields are not looked at, unknown fields are ignored, optional ones
//! may be absent or `null`. What an admin types by hand (connection details, values of conditions) stays a JSON value, so
//! that what is wrong with it can be said by name.

use serde::Deserialize;
use serde_json::Value;

use crate::object::{object, optional, optional_list};

/// `TestConnectionRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestConnectionRequest {
    /// Which Prometheus to ask.
    #[serde(deserialize_with = "object")]
    pub connection_details: ConnectionDetails,
}

/// `FieldNamesRequest`, `FieldValuesRequest` or `MetricsRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "Q: Deserialize<'de>"))]
pub struct QueryRequest<Q> {
    /// Which Prometheus to ask.
    #[serde(deserialize_with = "object")]
    pub connection_details: ConnectionDetails,
    /// What to ask it.
    #[serde(deserialize_with = "object")]
    pub query: Q,
}

/// Which Prometheus to ask, and how.
#[derive(Debug, Default, Deserialize)]
pub struct ConnectionDetails {
    /// A host name or address.
    pub host: Option<Value>,
    /// A port, as a number or as a string of digits.
    pub port: Option<Value>,
    /// A bound on the whole request, in milliseconds.
    #[serde(rename = "requestTimeout")]
    pub request_timeout: Option<Value>,
    /// `"ZERO"` or `"NONE"`.
    pub nan_interpretation: Option<Value>,
    /// A base URL instead of host and port.
    pub url: Option<Value>,
    /// How often metrics are scraped, in milliseconds.
    #[serde(rename = "scrapeInterval")]
    pub scrape_interval: Option<Value>,
    /// `"deny"` or `"allow"`.
    #[serde(rename = "partialResponse")]
    pub partial_response: Option<Value>,
}

/// `FieldNamesQuery`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldNamesQuery {
    /// What the fields have to go with.
    #[serde(default, deserialize_with = "optional_list")]
    pub conditions: Option<Vec<Condition>>,
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
    #[serde(default, deserialize_with = "optional_list")]
    pub conditions: Option<Vec<Condition>>,
    /// Milliseconds since the epoch.
    pub start_time: Option<Integer>,
    /// Milliseconds since the epoch.
    pub end_time: Option<Integer>,
    /// The most results.
    pub limit: Option<Integer>,
    /// How many results to leave out in front.
    pub offset: Option<Integer>,
    /// What the values begin with.
    pub field_value_prefix: Option<String>,
    /// Whose values are asked for.
    #[serde(deserialize_with = "object")]
    pub field: Field,
}

/// A `FieldDescriptor`, as far as it matters in a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// The field's name.
    pub field_name: String,
}

/// `MetricsQuery`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricsQuery {
    /// What to fetch, and of which series.
    #[serde(default, deserialize_with = "optional_list")]
    pub conditions: Option<Vec<Condition>>,
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
    pub method: String,
    /// The length of a bucket in milliseconds.
    pub bucket_size_millis: Integer,
}

/// `EqualityCondition`.
#[derive(Debug, Deserialize)]
pub struct Condition {
    /// A label's name, or one of the keys that name what to fetch.
    pub key: String,
    /// What the label equals.
    #[serde(default, deserialize_with = "optional")]
    pub value: Option<ConditionValue>,
}

/// The value of a condition.
#[derive(Debug, Deserialize)]
pub struct ConditionValue {
    /// The value itself.
    #[serde(default)]
    pub value: Value,
    /// Its type as StackState calls it.
    #[serde(rename = "_type")]
    pub kind: Option<String>,
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
