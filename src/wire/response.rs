//! What StackState gets.

use serde::Serialize;

/// `TestConnectionResponse`: the verdict is in `status`, the HTTP status is 200 either way.
#[derive(Debug, Serialize)]
#[serde(tag = "_type")]
pub struct TestConnectionResponse {
    /// The verdict.
    pub status: ConnectionStatus,
    /// Why it is a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

/// The verdict of a connection test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ConnectionStatus {
    /// A Prometheus answers queries there.
    Ok,
    /// None does.
    Failure,
}

/// `FieldNamesResponse`.
#[derive(Debug, Serialize)]
#[serde(tag = "_type", rename_all = "camelCase")]
pub struct FieldNamesResponse<'a> {
    /// The fields.
    pub fields: Vec<FieldDescriptor<'a>>,
    /// Whether some were left out.
    pub is_partial: bool,
}

/// `FieldDescriptor`.
#[derive(Debug, Serialize)]
#[serde(tag = "_type", rename_all = "camelCase")]
pub struct FieldDescriptor<'a> {
    /// The field's name.
    pub field_name: &'a str,
    /// Always `STRING`: labels are text.
    pub field_type: &'static str,
    /// Always false.
    pub classified: bool,
}

/// `FieldValuesResponse`.
#[derive(Debug, Serialize)]
#[serde(tag = "_type", rename_all = "camelCase")]
pub struct FieldValuesResponse<'a> {
    /// The values.
    pub values: Vec<CompleteValue<'a>>,
    /// Whether some were left out.
    pub is_partial: bool,
}

/// `CompleteValue`.
#[derive(Debug, Serialize)]
#[serde(tag = "_type")]
pub struct CompleteValue<'a> {
    /// The value.
    pub value: &'a str,
}

/// A typed error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "_type", rename_all_fields = "camelCase")]
pub enum ErrorBody {
    /// Prometheus cannot be reached, refuses us, answers too late, or is none.
    MetricStoreConnectionError {
        /// For the admin.
        details: String,
    },
    /// No such metric.
    MetricNotFoundError {
        /// The metric's name.
        metric: String,
        /// For the admin.
        details: String,
    },
    /// A type that labels cannot hold, or that is no list of points.
    UnsupportedFieldTypeError {
        /// The type as StackState calls it.
        mirror_type: String,
    },
    /// Anything else.
    RemoteMirrorError {
        /// A few words.
        summary: String,
        /// For the admin.
        details: String,
    },
}
