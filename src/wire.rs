//! The JSON of StackState's requests and of the responses to it: types, and how they are read and written. The Mirror API
//! defines it; nothing here knows of Prometheus or of what a query means.

pub mod conditions;
pub mod connection_details;
pub mod explanation;
pub mod metrics_response;
mod point_writer;
pub mod request;
pub mod response;
pub mod scalar;
pub mod strict_json;
