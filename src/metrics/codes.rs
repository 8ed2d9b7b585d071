//! The codes of errors, which the log, the metrics and docs/troubleshooting.md share.

/// Why requests are refused before they are processed.
pub const REJECTIONS: [&str; 10] = [
    "bad_request", "no_such_path", "verb_not_allowed", "head_too_large", "body_too_large", "body_not_received",
    "overloaded", "shutting_down", "unauthorized", "cross_origin",
];

/// The codes of all errors, in alphabetical order. docs/troubleshooting.md has a section on each.
pub const ERROR_CODES: [&str; 75] = [
    "access_denied", "api_error", "api_not_found", "bad_request", "body_not_received", "body_too_large", "closed",
    "conditions_beside_expression", "connect_timeout", "credentials_refused", "credentials_required",
    "credentials_unavailable", "credentials_unusable", "cross_origin", "damaged", "encoded", "evaluation_canceled",
    "evaluation_timeout", "head_too_large", "internal", "invalid_aggregation", "invalid_connection_details",
    "invalid_query", "invalid_time_range", "method_refused", "metric_is_expression", "metric_is_histogram",
    "metric_unknown", "misdirected", "missing_data", "name_not_found", "name_server_failed", "name_server_silent",
    "native_histogram", "no_memory", "no_metric_named", "no_series_matches", "no_such_path", "no_time_left",
    "no_worker", "not_acceptable", "not_allowed", "not_prometheus", "overloaded", "proxy", "query_too_large",
    "query_too_long", "redirected", "replica_down", "request_refused", "request_timeout", "several_engines",
    "shutting_down", "silent", "stalled", "tenant_required", "time_spent", "timeout", "times_moved", "tls",
    "too_large", "too_many_calls", "too_many_requests", "too_many_samples", "too_many_series", "unauthorized",
    "unavailable", "unreachable", "unsent", "unsupported_condition_type", "unsupported_value_type",
    "upstream_internal", "verb_not_allowed", "wrong_protocol", "wrong_type",
];

/// The outcome of a call that was not made because the allow-list forbids its upstream.
pub const NOT_ALLOWED: &str = "not_allowed";
