//! The metrics at `/metrics`, in Prometheus's text format ("Exposition formats", version 0.0.4).
//!
//! The values of labels come from a fixed set or from the upstreams file, so no client can create series.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Metric, Registry};
use rlimit::Resource;

use crate::compute::screen::Dropped;

mod codes;
mod labels;
mod process;
mod shared_page;

use labels::{ENDPOINTS, FAILED, LabelList, OneLabel, TAKEN_OVER};
use process::OpenDescriptors;

pub use codes::{ERROR_CODES, NOT_ALLOWED, REJECTIONS};
pub use labels::{SampleSource, UpstreamLabels, WATCHED_FILES};
pub use shared_page::SharedPage;

/// The value of the header `Content-Type` for the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The upper bounds of the buckets of durations, in seconds: from a page of the mirror up to two minutes. Longer ones, up to the
/// longest `requestTimeout`, are in `+Inf`.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

/// A gauge that is never negative.
pub type Level = Gauge<u64, AtomicU64>;

/// Adds one to a gauge until it is dropped.
#[derive(Debug)]
pub struct Held(Level);

impl Held {
    /// Adds one to the gauge.
    pub fn new(level: &Level) -> Held {
        level.inc();
        Held(level.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// All metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<LabelList, Total>,
    request_seconds: Family<LabelList, Histogram>,
    calls: Family<LabelList, Total>,
    call_seconds: Family<LabelList, Histogram>,
    /// Requests in flight: from the beginning of their turns until their replies are written.
    pub in_flight: Level,
    /// Workers that process a request.
    pub busy_workers: Level,
    /// Requests that wait for a worker.
    pub queue_length: Level,
    /// The part of the memory budget that requests hold, in bytes.
    pub memory_held_bytes: Level,
    rejected: Family<OneLabel, Total>,
    errors: Family<OneLabel, Total>,
    sample_reads: Family<OneLabel, Total>,
    /// Responses of upstreams that were accepted although they report missing data.
    pub partial_responses: Total,
    points_sent: Total,
    points_dropped: Family<OneLabel, Total>,
    /// Internal errors.
    pub panics: Total,
    /// Threads that could not be started.
    pub thread_shortages: Total,
    /// Connections that could not be accepted.
    pub accept_failures: Total,
    /// Connections that were closed to make room for others, or refused because there was no room.
    pub evicted_connections: Total,
    file_reloads: Family<[(&'static str, &'static str); 2], Total>,
    resident_bytes: Level,
    open_descriptors: Level,
    descriptor_counter: OpenDescriptors,
}

/// The registry while metrics are added to it, each with its name and its help.
#[derive(Default)]
struct MetricTable(Registry);

impl MetricTable {
    /// A metric of the mirror. Its name gets the prefix `prometheusmirror_`.
    fn own<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        self.common(&format!("prometheusmirror_{name}"), help)
    }

    /// Durations of the mirror in seconds.
    fn own_seconds(&mut self, name: &str, help: &str) -> Family<LabelList, Histogram> {
        let constructor: fn() -> Histogram = || Histogram::new(SECONDS);
        let durations = Family::new_with_constructor(constructor);
        self.0.register(format!("prometheusmirror_{name}"), help, durations.clone());
        durations
    }

    /// A metric that other programs have by the same name.
    fn common<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.0.register(name, help, metric.clone());
        metric
    }
}

impl Metrics {
    /// Metrics that start at zero, for this number of workers and maximum length of the queue.
    pub fn new(workers: usize, queue: usize) -> Metrics {
        let mut table = MetricTable::default();
        let metrics = Metrics {
            requests: table.own("requests_total", "Requests to this mirror, by route and status"),
            request_seconds: table.own_seconds(
                "request_duration_seconds",
                "Time from the turn of a request on its connection to the end of writing its response",
            ),
            calls: table.own("upstream_requests_total", "Calls to upstreams, by endpoint and outcome"),
            call_seconds: table.own_seconds("upstream_request_duration_seconds", "Duration of calls to upstreams"),
            in_flight: table.own("requests_in_flight", "Requests in flight, including the one for this page"),
            busy_workers: table.own("busy_workers", "Workers that process a request"),
            queue_length: table.own("queue_length", "Requests that wait for a worker"),
            memory_held_bytes: table.own("memory_held_bytes", "Memory that requests hold, of --memory-budget-mib"),
            rejected: table.own("rejected_requests_total", "Requests refused before they were processed, by reason"),
            errors: table.own("errors_total", "Requests that ended in an error, by its code"),
            sample_reads: table.own("sample_reads_total", "Reads of samples, by source"),
            partial_responses: table.own("partial_responses_total", "Accepted responses that report missing data"),
            points_sent: table.own("points_sent_total", "Points sent to StackState"),
            points_dropped: table.own("points_dropped_total", "NaN or infinite samples, and points too large for JSON"),
            panics: table.own("panics_total", "Internal errors (panics)"),
            thread_shortages: table.own("thread_shortages_total", "Threads that could not be started"),
            accept_failures: table.own(
                "accept_failures_total",
                "Connections that could not be accepted, for example for lack of file descriptors",
            ),
            evicted_connections: table.own(
                "evicted_connections_total",
                "Connections closed to make room for others, or refused because there was no room",
            ),
            file_reloads: table
                .own("file_reloads_total", "Re-reads of files that have changed or are unusable, by file and outcome"),
            resident_bytes: table.common("process_resident_memory_bytes", "Resident memory"),
            open_descriptors: table.common("process_open_fds", "Open file descriptors, counted once a second at most"),
            descriptor_counter: OpenDescriptors::default(),
            registry: registry_with_constants(table, workers, queue),
        };
        metrics.start_at_zero();
        metrics
    }

    /// Creates the series whose first increase must count, for alerts and the dashboard: Prometheus does not see an increase in a
    /// series whose first sample is 1.
    fn start_at_zero(&self) {
        let start = |family: &Family<OneLabel, Total>, label, values: &[&'static str]| {
            for value in values {
                family.get_or_create(&[(label, *value)]).0.inc_by(0);
            }
        };
        start(&self.rejected, "reason", &REJECTIONS);
        start(&self.errors, "code", &ERROR_CODES);
        let sources = [SampleSource::RemoteRead, SampleSource::RangeSelector, SampleSource::PromQl];
        start(&self.sample_reads, "source", &sources.map(SampleSource::name));
        start(&self.points_dropped, "reason", &Dropped::default().by_reason().map(|(reason, _)| reason));
        for endpoint in ENDPOINTS {
            let labels = labels::of_call(endpoint, Some(NOT_ALLOWED), &UpstreamLabels::default());
            self.calls.get_or_create(&labels).0.inc_by(0);
        }
        for file in WATCHED_FILES {
            for outcome in [TAKEN_OVER, FAILED] {
                self.file_reloads.get_or_create(&[("file", file), ("outcome", outcome)]).0.inc_by(0);
            }
        }
    }

    /// Counts a written reply by route and status. `took` is the time since the turn of the request began.
    pub fn count_reply(&self, route: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&vec![("route", route.into()), ("status", status.to_string().into())]).inc();
        self.request_seconds.get_or_create(&vec![("route", route.into())]).observe(took.as_secs_f64());
    }

    /// Counts a request that ended in an error. `code` is one of [`ERROR_CODES`]. If it is one of the [`REJECTIONS`], the request
    /// was refused before it was processed.
    pub fn count_error(&self, code: &'static str) {
        self.errors.get_or_create(&[("code", code)]).inc();
        if REJECTIONS.contains(&code) {
            self.rejected.get_or_create(&[("reason", code)]).inc();
        }
    }

    /// Counts a call to an upstream, and its duration.
    pub fn count_call(&self, upstream: UpstreamLabels, endpoint: &'static str, outcome: &'static str, took: Duration) {
        self.call_seconds.get_or_create(&labels::of_call(endpoint, None, &upstream)).observe(took.as_secs_f64());
        self.calls.get_or_create(&labels::of_call(endpoint, Some(outcome), &upstream)).inc();
    }

    /// Counts a read of samples, or an evaluation of PromQL instead of one.
    pub fn count_sample_read(&self, source: SampleSource) {
        self.sample_reads.get_or_create(&[("source", source.name())]).inc();
    }

    /// Counts the points of a response, and what was left out of it.
    pub fn count_points(&self, sent: u64, dropped: Dropped) {
        self.points_sent.0.inc_by(sent);
        for (reason, count) in dropped.by_reason() {
            self.points_dropped.get_or_create(&[("reason", reason)]).0.inc_by(count);
        }
    }

    /// Counts a re-read of one of the [`WATCHED_FILES`] that has changed (`is_good`) or is unusable.
    pub fn count_file_reload(&self, file: &'static str, is_good: bool) {
        let outcome = if is_good { TAKEN_OVER } else { FAILED };
        self.file_reloads.get_or_create(&[("file", file), ("outcome", outcome)]).inc();
    }

    /// Renders the page.
    pub fn page(&self) -> String {
        self.resident_bytes.set(process::resident_bytes());
        self.open_descriptors.set(self.descriptor_counter.count(Instant::now()));
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = text::encode_registry(&mut page, &self.registry);
        page
    }
}

/// Adds the metrics that never change, and gives the complete registry.
fn registry_with_constants(mut table: MetricTable, workers: usize, queue: usize) -> Registry {
    table.own::<Level>("workers", "Number of workers, as --workers says").set(workers as u64);
    table.own::<Level>("queue_capacity", "Requests that may wait for a worker, as --queue-size says").set(queue as u64);
    let build: Family<OneLabel, Level> = table.own("build_info", "Version of this mirror");
    build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
    let started: Gauge<f64, AtomicU64> =
        table.common("process_start_time_seconds", "Start time of the process, in seconds since 1970");
    started.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    let max_descriptors = Resource::NOFILE.get_soft().unwrap_or(0);
    table.common::<Level>("process_max_fds", "Maximum number of open file descriptors").set(max_descriptors);
    table.0
}

/// A counter whose samples have the name that it is registered with. The library's own counter follows OpenMetrics, which appends
/// `_total` to the names of samples; Prometheus's text format does not.
#[derive(Debug, Clone, Default)]
pub struct Total(Counter);

impl Total {
    /// Adds one.
    pub fn inc(&self) {
        self.0.inc();
    }
}

impl TypedMetric for Total {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for Total {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        // `encode_gauge` appends no `_total`, unlike `encode_counter`.
        encoder.encode_gauge(&self.0.get())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_what_was_counted() {
        let metrics = Metrics::new(4, 40);
        metrics.count_reply("metric", 200, Duration::from_millis(3));
        metrics.count_reply("metric", 200, Duration::from_secs(3));
        metrics.count_reply("other", 404, Duration::ZERO);
        metrics.count_error("no_such_path");
        metrics.count_error("metric_unknown");
        metrics.count_call(UpstreamLabels::default(), "query", "ok", Duration::from_millis(1));
        metrics.count_call(
            UpstreamLabels { name: "a".into(), replica: "p:1".into() },
            "query",
            "ok",
            Duration::from_millis(1),
        );
        metrics.count_points(5, Dropped { nan: 1, infinite: 2, too_large: 3 });
        metrics.count_points(5, Dropped::default());
        metrics.panics.inc();
        metrics.accept_failures.inc();
        metrics.evicted_connections.inc();
        metrics.busy_workers.inc();
        let page = metrics.page();
        for line in [
            "# TYPE prometheusmirror_requests_total counter",
            r#"prometheusmirror_requests_total{route="metric",status="200"} 2"#,
            r#"prometheusmirror_requests_total{route="other",status="404"} 1"#,
            "# TYPE prometheusmirror_request_duration_seconds histogram",
            r#"prometheusmirror_request_duration_seconds_bucket{le="0.005",route="metric"} 1"#,
            r#"prometheusmirror_request_duration_seconds_bucket{le="+Inf",route="metric"} 2"#,
            r#"prometheusmirror_request_duration_seconds_count{route="metric"} 2"#,
            r#"prometheusmirror_upstream_requests_total{endpoint="query",outcome="ok"} 1"#,
            r#"prometheusmirror_upstream_requests_total{endpoint="query",outcome="ok",upstream="a",replica="p:1"} 1"#,
            r#"prometheusmirror_upstream_request_duration_seconds_count{endpoint="query"} 1"#,
            "prometheusmirror_workers 4",
            "prometheusmirror_busy_workers 1",
            "prometheusmirror_queue_capacity 40",
            "prometheusmirror_queue_length 0",
            r#"prometheusmirror_rejected_requests_total{reason="no_such_path"} 1"#,
            r#"prometheusmirror_rejected_requests_total{reason="overloaded"} 0"#,
            r#"prometheusmirror_errors_total{code="no_such_path"} 1"#,
            r#"prometheusmirror_errors_total{code="metric_unknown"} 1"#,
            r#"prometheusmirror_errors_total{code="name_not_found"} 0"#,
            "prometheusmirror_points_sent_total 10",
            r#"prometheusmirror_points_dropped_total{reason="nan"} 1"#,
            r#"prometheusmirror_points_dropped_total{reason="infinite"} 2"#,
            r#"prometheusmirror_points_dropped_total{reason="too_large"} 3"#,
            "prometheusmirror_panics_total 1",
            "prometheusmirror_accept_failures_total 1",
            "prometheusmirror_evicted_connections_total 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }
}
