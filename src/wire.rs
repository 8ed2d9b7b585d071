//! What StackState sends and gets: serde types, no logic. The contract is the Mirror API; Prometheus is unknown here.

pub mod conditions;
pub mod connection_details;
pub mod explanation;
pub mod metrics_response;
mod point_writer;
pub mod request;
pub mod response;
pub mod scalar;
pub mod strict_json;
pub mod text;
