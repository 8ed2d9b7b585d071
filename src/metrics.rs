//! What the mirror tells of itself at `/metrics`, in Prometheus's text format ("Exposition formats", version 0.0.4).
//!
//! Every label has a fixed set of values, or names of the upstreams file, so that no client can make up series.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Metric, Registry};

mod process;
mod shared_page;

use process::OpenDescriptors;
pub use shared_page::SharedPage;

/// The type of the page, for the header `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The upper bounds of the buckets of a duration, in seconds: from what a cache answers to the longest `requestTimeout`.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// A gauge of a number that is not negative.
pub type Level = Gauge<u64, AtomicU64>;

/// One more in a gauge, until it is dropped.
#[derive(Debug)]
pub struct Held(Level);

impl Held {
    /// Counts one more.
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

/// All of it.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Total>,
    request_seconds: Durations<MethodLabels>,
    upstream_requests: Family<CallLabels, Total>,
    upstream_seconds: Durations<EndpointLabels>,
    /// Requests from their arrival until their replies are written.
    pub in_flight: Level,
    /// Workers that are busy with a request.
    pub busy_workers: Level,
    /// Requests that wait for a worker.
    pub queue_length: Level,
    /// The memory that requests hold of what they share, in bytes.
    pub memory_held_bytes: Level,
    rejected: Family<ReasonLabels, Total>,
    errors: Family<CodeLabels, Total>,
    sample_reads: Family<SourceLabels, Total>,
    partial_responses: Total,
    points_sent: Total,
    points_dropped: Family<ReasonLabels, Total>,
    panics: Total,
    thread_shortages: Total,
    accept_failures: Total,
    evicted_connections: Total,
    file_reloads: Family<ReloadLabels, Total>,
    resident_bytes: Level,
    open_descriptors: Level,
    counted_descriptors: OpenDescriptors,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CallLabels {
    endpoint: &'static str,
    outcome: &'static str,
    upstream: UpstreamLabels<String>,
}

impl EncodeLabelSet for CallLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> fmt::Result {
        ("endpoint", self.endpoint).encode(encoder.encode_label())?;
        ("outcome", self.outcome).encode(encoder.encode_label())?;
        self.upstream.encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct EndpointLabels {
    endpoint: &'static str,
    upstream: UpstreamLabels<String>,
}

impl EncodeLabelSet for EndpointLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> fmt::Result {
        ("endpoint", self.endpoint).encode(encoder.encode_label())?;
        self.upstream.encode(encoder)
    }
}

/// Which named upstream was asked; all texts are empty for one that connection details give the address of, and an empty label is
/// left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct UpstreamLabels<T> {
    /// Its name.
    pub name: T,
    /// The address of the replica, if it has several.
    pub replica: T,
}

impl UpstreamLabels<&str> {
    fn owned(self) -> UpstreamLabels<String> {
        UpstreamLabels { name: self.name.to_owned(), replica: self.replica.to_owned() }
    }
}

impl UpstreamLabels<String> {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> fmt::Result {
        for (label, value) in [("upstream", &self.name), ("replica", &self.replica)] {
            if !value.is_empty() {
                (label, value.as_str()).encode(encoder.encode_label())?;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    file: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

impl Metrics {
    /// Counts from zero, for a pool of so many workers with a queue of this length.
    pub fn new(workers: usize, queue: usize) -> Metrics {
        let mut registry = Registry::default();
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        let requests = registered(&mut registry, "requests_total", "Requests answered", Family::default());
        let request_seconds = registered(
            &mut registry,
            "request_duration_seconds",
            "From taking a request in to its answer being written",
            Family::new_with_constructor(histogram),
        );
        let upstream_requests: Family<CallLabels, Total> = registered(
            &mut registry,
            "upstream_requests_total",
            "Requests to a Prometheus, and what came of them",
            Family::default(),
        );
        let upstream_seconds = registered(
            &mut registry,
            "upstream_request_duration_seconds",
            "From asking a Prometheus to having its answer",
            Family::new_with_constructor(histogram),
        );
        let in_flight = registered(
            &mut registry,
            "requests_in_flight",
            "Requests that are not answered yet, this one included",
            Level::default(),
        );
        let busy_workers = registered(&mut registry, "busy_workers", "Workers busy with a request", Level::default());
        let queue_length = registered(&mut registry, "queue_length", "Requests waiting for a worker", Level::default());
        let memory_held_bytes = registered(
            &mut registry,
            "memory_held_bytes",
            "Memory that requests hold of what they share",
            Level::default(),
        );
        let rejected: Family<ReasonLabels, Total> = registered(
            &mut registry,
            "rejected_requests_total",
            "Requests turned away before they were looked into",
            Family::default(),
        );
        let errors: Family<CodeLabels, Total> = registered(
            &mut registry,
            "errors_total",
            "Requests that ended in an error, by its code",
            Family::default(),
        );
        let sample_reads: Family<SourceLabels, Total> = registered(
            &mut registry,
            "sample_reads_total",
            "Calls that read samples, by the way they came",
            Family::default(),
        );
        let partial_responses = registered(
            &mut registry,
            "partial_responses_total",
            "Answers of a Prometheus taken although they say that data is missing",
            Total::default(),
        );
        let points_sent = registered(&mut registry, "points_sent_total", "Points sent to StackState", Total::default());
        let points_dropped: Family<ReasonLabels, Total> = registered(
            &mut registry,
            "points_dropped_total",
            "Samples that became no point for their value",
            Family::default(),
        );
        let panics = registered(&mut registry, "panics_total", "Faults of the mirror's own", Total::default());
        let thread_shortages =
            registered(&mut registry, "thread_shortages_total", "Threads that could not be started", Total::default());
        let accept_failures = registered(
            &mut registry,
            "accept_failures_total",
            "Connections that could not be accepted, for want of file descriptors for example",
            Total::default(),
        );
        let evicted_connections = registered(
            &mut registry,
            "evicted_connections_total",
            "Idle connections that were closed to make room for others, and connections refused for want of room",
            Total::default(),
        );
        let file_reloads: Family<ReloadLabels, Total> = registered(
            &mut registry,
            "file_reloads_total",
            "Changes of files that were taken over, and attempts to read them that failed",
            Family::default(),
        );
        let constant = |registry: &mut Registry, name: &str, help: &str, value: u64| {
            registered(registry, name, help, Level::default()).set(value);
        };
        constant(&mut registry, "workers", "Workers there are", workers as u64);
        constant(&mut registry, "queue_capacity", "Requests that may wait for a worker", queue as u64);
        let build = registered(&mut registry, "build_info", "Which mirror this is", Family::<_, Level>::default());
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);

        // Those that every program has have the names that every program gives them.
        let started: Gauge<f64, AtomicU64> = Gauge::default();
        started.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        registry.register("process_start_time_seconds", "When the process started, since the epoch", started);
        let (resident_bytes, open_descriptors, max_descriptors) = <(Level, Level, Level)>::default();
        max_descriptors.set(process::max_descriptors());
        registry.register("process_resident_memory_bytes", "Resident memory", resident_bytes.clone());
        registry.register(
            "process_open_fds",
            "Open file descriptors, counted once a second at most",
            open_descriptors.clone(),
        );
        registry.register("process_max_fds", "File descriptors there may be", max_descriptors);

        // What is alerted on has to be there before it first happens, or its first time is no increase.
        for reason in REJECTIONS {
            rejected.get_or_create(&ReasonLabels { reason }).0.inc_by(0);
        }
        for code in ERROR_CODES {
            errors.get_or_create(&CodeLabels { code }).0.inc_by(0);
        }
        for endpoint in ENDPOINTS {
            let asked = CallLabels { endpoint, outcome: NOT_ALLOWED, upstream: UpstreamLabels::default() };
            upstream_requests.get_or_create(&asked).0.inc_by(0);
        }
        for source in [SampleSource::RemoteRead, SampleSource::RangeSelector, SampleSource::PromQl] {
            sample_reads.get_or_create(&SourceLabels { source: source.name() }).0.inc_by(0);
        }
        for reason in [NAN, INFINITE] {
            points_dropped.get_or_create(&ReasonLabels { reason }).0.inc_by(0);
        }
        for file in [WatchedFile::Key, WatchedFile::Upstreams] {
            for outcome in [TAKEN_OVER, FAILED] {
                file_reloads.get_or_create(&ReloadLabels { file: file.name(), outcome }).0.inc_by(0);
            }
        }
        Metrics {
            registry,
            requests,
            request_seconds,
            upstream_requests,
            upstream_seconds,
            in_flight,
            busy_workers,
            queue_length,
            memory_held_bytes,
            rejected,
            errors,
            sample_reads,
            partial_responses,
            points_sent,
            points_dropped,
            panics,
            thread_shortages,
            accept_failures,
            evicted_connections,
            file_reloads,
            resident_bytes,
            open_descriptors,
            counted_descriptors: OpenDescriptors::default(),
        }
    }

    /// A request was answered: which method or page it asked for, with which status, after how long.
    pub fn answered(&self, method: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { method, status }).0.inc();
        self.request_seconds.get_or_create(&MethodLabels { method }).observe(took.as_secs_f64());
    }

    /// A request was turned away, for one of the [`REJECTIONS`].
    pub fn rejected(&self, reason: &'static str) {
        self.rejected.get_or_create(&ReasonLabels { reason }).0.inc();
    }

    /// A request ended in an error, whose code is one of [`ERROR_CODES`].
    pub fn failed(&self, code: &'static str) {
        self.errors.get_or_create(&CodeLabels { code }).0.inc();
    }

    /// A Prometheus was asked at an endpoint, with this outcome after this time.
    pub fn asked(&self, upstream: UpstreamLabels<&str>, endpoint: &'static str, outcome: &'static str, took: Duration) {
        let upstream = upstream.owned();
        self.upstream_seconds
            .get_or_create(&EndpointLabels { endpoint, upstream: upstream.clone() })
            .observe(took.as_secs_f64());
        self.upstream_requests.get_or_create(&CallLabels { endpoint, outcome, upstream }).0.inc();
    }

    /// Samples were read, or PromQL was asked in the place of them.
    pub fn samples_read(&self, source: SampleSource) {
        self.sample_reads.get_or_create(&SourceLabels { source: source.name() }).0.inc();
    }

    /// An answer was taken that says that data is missing in it.
    pub fn partial_response_taken(&self) {
        self.partial_responses.0.inc();
    }

    /// Points were sent, others could not be for their values.
    pub fn points(&self, sent: u64, nan: u64, infinite: u64) {
        self.points_sent.0.inc_by(sent);
        self.points_dropped.get_or_create(&ReasonLabels { reason: NAN }).0.inc_by(nan);
        self.points_dropped.get_or_create(&ReasonLabels { reason: INFINITE }).0.inc_by(infinite);
    }

    /// Something panicked.
    pub fn panicked(&self) {
        self.panics.0.inc();
    }

    /// A thread could not be started.
    pub fn thread_missing(&self) {
        self.thread_shortages.0.inc();
    }

    /// A connection could not be accepted.
    pub fn accept_failed(&self) {
        self.accept_failures.0.inc();
    }

    /// A connection was closed for another one, or refused for want of room.
    pub fn connection_evicted(&self) {
        self.evicted_connections.0.inc();
    }

    /// A file that may change was read again: it has changed and was taken over, or it is of no use.
    pub fn file_reloaded(&self, file: WatchedFile, is_good: bool) {
        let outcome = if is_good { TAKEN_OVER } else { FAILED };
        self.file_reloads.get_or_create(&ReloadLabels { file: file.name(), outcome }).0.inc();
    }

    /// The page.
    pub fn page(&self) -> String {
        self.resident_bytes.set(process::resident_bytes());
        self.open_descriptors.set(self.counted_descriptors.count(Instant::now()));
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = text::encode_registry(&mut page, &self.registry);
        page
    }
}

/// What becomes of a file that is read again.
const TAKEN_OVER: &str = "taken_over";
const FAILED: &str = "failed";

/// A file that is read again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchedFile {
    /// That of the key.
    Key,
    /// That of the upstreams, with all that it names.
    Upstreams,
}

impl WatchedFile {
    /// What metrics and logs call it.
    pub fn name(self) -> &'static str {
        match self {
            WatchedFile::Key => "key",
            WatchedFile::Upstreams => "upstreams",
        }
    }
}

/// Where the numbers of gauges and counters come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleSource {
    /// Samples by remote read.
    RemoteRead,
    /// Samples as JSON, by a range selector.
    RangeSelector,
    /// No samples, for there are too many: PromQL computes the answer.
    PromQl,
}

impl SampleSource {
    fn name(self) -> &'static str {
        match self {
            SampleSource::RemoteRead => "remote_read",
            SampleSource::RangeSelector => "range_selector",
            SampleSource::PromQl => "promql",
        }
    }
}

/// Why requests are turned away.
pub const REJECTIONS: [&str; 10] = [
    "bad_request",
    "no_such_path",
    "verb_not_allowed",
    "head_too_large",
    "body_too_large",
    "body_not_received",
    "overloaded",
    "shutting_down",
    "unauthorized",
    "cross_origin",
];

/// The codes of all errors, in the order of the alphabet. docs/troubleshooting.md has a section on each.
pub const ERROR_CODES: [&str; 75] = [
    "access_denied",
    "api_error",
    "api_not_found",
    "bad_request",
    "body_not_received",
    "body_too_large",
    "closed",
    "conditions_beside_expression",
    "connect_timeout",
    "credentials_refused",
    "credentials_required",
    "credentials_unavailable",
    "credentials_unusable",
    "cross_origin",
    "damaged",
    "encoded",
    "evaluation_canceled",
    "evaluation_timeout",
    "head_too_large",
    "internal",
    "invalid_aggregation",
    "invalid_connection_details",
    "invalid_query",
    "invalid_time_range",
    "method_refused",
    "metric_is_expression",
    "metric_is_histogram",
    "metric_unknown",
    "misdirected",
    "missing_data",
    "name_not_found",
    "name_server_failed",
    "name_server_silent",
    "native_histogram",
    "no_memory",
    "no_metric_named",
    "no_series_matches",
    "no_such_path",
    "no_time_left",
    "no_worker",
    "not_acceptable",
    "not_allowed",
    "not_prometheus",
    "overloaded",
    "proxy",
    "query_too_large",
    "query_too_long",
    "redirected",
    "replica_down",
    "request_refused",
    "request_timeout",
    "several_engines",
    "shutting_down",
    "silent",
    "stalled",
    "tenant_required",
    "time_spent",
    "timeout",
    "times_moved",
    "tls",
    "too_large",
    "too_many_calls",
    "too_many_requests",
    "too_many_samples",
    "too_many_series",
    "unauthorized",
    "unavailable",
    "unreachable",
    "unsent",
    "unsupported_condition_type",
    "unsupported_value_type",
    "upstream_internal",
    "verb_not_allowed",
    "wrong_protocol",
    "wrong_type",
];

/// What of a Prometheus is asked.
const ENDPOINTS: [&str; 7] = ["read", "query", "query_range", "labels", "label_values", "series", "metadata"];

/// The outcome of what was not asked, for this mirror may not.
pub const NOT_ALLOWED: &str = "not_allowed";

const NAN: &str = "nan";
const INFINITE: &str = "infinite";

/// Registers a metric of the mirror's own under a name that begins with the mirror's.
fn registered<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(format!("prometheusmirror_{name}"), help, metric.clone());
    metric
}

/// A counter that is called what it is registered as. The library's own is made for OpenMetrics, where the name of a counter
/// lacks the `_total` of its samples; in Prometheus's text format it does not.
#[derive(Debug, Clone, Default)]
struct Total(Counter);

impl TypedMetric for Total {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for Total {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        // Which writes the name as it is.
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
        metrics.answered("metric", 200, Duration::from_millis(3));
        metrics.answered("metric", 200, Duration::from_secs(3));
        metrics.answered("other", 404, Duration::ZERO);
        metrics.rejected("no_such_path");
        metrics.failed("metric_unknown");
        metrics.asked(UpstreamLabels::default(), "query", "ok", Duration::from_millis(1));
        metrics.asked(UpstreamLabels { name: "a", replica: "p:1" }, "query", "ok", Duration::from_millis(1));
        metrics.points(5, 1, 2);
        metrics.points(5, 0, 0);
        metrics.panicked();
        metrics.accept_failed();
        metrics.connection_evicted();
        metrics.busy_workers.inc();
        let page = metrics.page();
        for line in [
            "# TYPE prometheusmirror_requests_total counter",
            r#"prometheusmirror_requests_total{method="metric",status="200"} 2"#,
            r#"prometheusmirror_requests_total{method="other",status="404"} 1"#,
            "# TYPE prometheusmirror_request_duration_seconds histogram",
            r#"prometheusmirror_request_duration_seconds_bucket{le="0.005",method="metric"} 1"#,
            r#"prometheusmirror_request_duration_seconds_bucket{le="+Inf",method="metric"} 2"#,
            r#"prometheusmirror_request_duration_seconds_count{method="metric"} 2"#,
            r#"prometheusmirror_upstream_requests_total{endpoint="query",outcome="ok"} 1"#,
            r#"prometheusmirror_upstream_requests_total{endpoint="query",outcome="ok",upstream="a",replica="p:1"} 1"#,
            r#"prometheusmirror_upstream_request_duration_seconds_count{endpoint="query"} 1"#,
            "prometheusmirror_workers 4",
            "prometheusmirror_busy_workers 1",
            "prometheusmirror_queue_capacity 40",
            "prometheusmirror_queue_length 0",
            r#"prometheusmirror_rejected_requests_total{reason="no_such_path"} 1"#,
            r#"prometheusmirror_rejected_requests_total{reason="overloaded"} 0"#,
            r#"prometheusmirror_errors_total{code="metric_unknown"} 1"#,
            r#"prometheusmirror_errors_total{code="name_not_found"} 0"#,
            "prometheusmirror_points_sent_total 10",
            r#"prometheusmirror_points_dropped_total{reason="nan"} 1"#,
            r#"prometheusmirror_points_dropped_total{reason="infinite"} 2"#,
            "prometheusmirror_panics_total 1",
            "prometheusmirror_accept_failures_total 1",
            "prometheusmirror_evicted_connections_total 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }
}
