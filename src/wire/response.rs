//! The responses to StackState.

use serde::Serialize;

/// `TestConnectionResponse`. The result is in `status`; the HTTP status is always 200.
#[derive(Debug, Serialize)]
#[serde(tag = "_type")]
pub struct TestConnectionResponse {
    /// `OK` if a Prometheus responds to queries there, or else `FAILURE`.
    pub status: &'static str,
    /// Why the test failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
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
    /// Prometheus cannot be reached, refuses the mirror's calls or responds too late, or the host is not a Prometheus.
    MetricStoreConnectionError {
        /// For the admin.
        details: String,
    },
    /// The metric does not exist.
    MetricNotFoundError {
        /// The metric's name.
        metric: String,
        /// For the admin.
        details: String,
    },
    /// A type that labels or a list of points cannot have.
    UnsupportedFieldTypeError {
        /// StackState's name for the type.
        mirror_type: String,
    },
    /// Anything else.
    RemoteMirrorError {
        /// A summary of a few words.
        summary: &'static str,
        /// For the admin.
        details: String,
    },
}
