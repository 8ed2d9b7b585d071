//! StackState's side: the Mirror API, the mirror's own pages, and the reply to each request.
//!
//! Only this folder and `error` know both StackState's side (`wire`) and Prometheus's (`prometheus`). `api/routes` lists the
//! paths. `api/gateway` takes a request through its stages: it routes it, prepares it and, on a worker, runs it. A handler
//! (`api/connection`, `api/field_name`, `api/field_value`, `api/metric`) checks a request, turns it into a query, and runs the
//! query.

mod condition;
mod connection;
mod datasource;
mod equivalent_promql;
mod evaluation;
mod existence;
mod explain;
mod expression;
mod field_name;
mod field_value;
mod gateway;
mod metric;
mod promql_fallback;
mod query;
mod query_fields;
mod range_bounds;
mod recording;
mod reply;
mod request;
mod request_head;
mod routes;
mod run;
mod sample_reading;
mod samples;
mod scrape_interval;

pub use crate::prometheus::{Lane, Queued};
pub use datasource::{DEFAULT_TIMEOUT, Datasource, MAX_TIMEOUT_MS};
pub use gateway::{Access, Gateway, PageRequest, Prepared, Routed};
pub use metric::{body as metric_body, metric_query};
pub use query_fields::now_ms;
pub use reply::{Note, Reply};
pub use request::{ApiRequest, PreparedQuery};
pub use request_head::{RequestHead, normal_path};
