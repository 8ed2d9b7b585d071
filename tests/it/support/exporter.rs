//! A page of metrics and a Prometheus that scrapes it, so that Prometheus knows the types of the metrics.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::OnceLock;

use super::process::wait_until;
use super::prometheus::{Prometheus, Samples};

/// Types that contradict the names, each kind of composed metric, and metrics without a type.
const PAGE: &str = r#"# TYPE legacy_requests counter
legacy_requests{zone="z1"} 5
# TYPE visits_total counter
visits_total{zone="z1"} 5
# TYPE pages_total gauge
pages_total{zone="z1"} 5
# TYPE files_count gauge
files_count{zone="z1"} 5
# TYPE heat gauge
heat{zone="z1"} 5
# TYPE latency_seconds histogram
latency_seconds_bucket{zone="z1",le="1"} 5
latency_seconds_bucket{zone="z1",le="+Inf"} 6
latency_seconds_sum{zone="z1"} 5
latency_seconds_count{zone="z1"} 6
# TYPE size_bytes summary
size_bytes{zone="z1",quantile="0.5"} 5
size_bytes_sum{zone="z1"} 5
size_bytes_count{zone="z1"} 6
bare{zone="z1"} 5
bare_total{zone="z1"} 5
bare_bucket{zone="z1"} 5
bare_sum{zone="z1"} 5
bare_count{zone="z1"} 5
"#;

/// The metrics of the page that belong to `__counter__`, sorted.
pub const COUNTERS: [&str; 12] = [
    "bare", "bare_bucket", "bare_count", "bare_sum", "bare_total", "latency_seconds_bucket", "latency_seconds_count",
    "latency_seconds_sum", "legacy_requests", "size_bytes_count", "size_bytes_sum", "visits_total",
];

/// The metrics of the page that belong to `__gauge__`, sorted. Those without a type belong to both.
pub const GAUGES: [&str; 9] =
    ["bare", "bare_bucket", "bare_count", "bare_sum", "bare_total", "files_count", "heat", "pages_total", "size_bytes"];

/// A Prometheus that has scraped the page, and scrapes it every second.
pub fn scraped() -> &'static Prometheus {
    static SCRAPED: OnceLock<Prometheus> = OnceLock::new();
    SCRAPED.get_or_init(|| {
        let target = format!("127.0.0.1:{}", serve());
        let scrape = format!("{{job_name: shop, static_configs: [{{targets: ['{target}']}}]}}");
        let config = format!("{{global: {{scrape_interval: 1s}}, scrape_configs: [{scrape}]}}");
        let prometheus = Prometheus::start(&config, Samples::None, &[]);
        let known = || {
            let metadata = prometheus.api("/api/v1/metadata", &[]);
            let names = prometheus.api("/api/v1/label/__name__/values", &[]);
            let names = names["data"].as_array().is_some_and(|names| names.iter().any(|name| name == "visits_total"));
            names && !metadata["data"]["visits_total"].is_null()
        };
        wait_until(|| "the page of metrics was scraped".to_owned(), known);
        prometheus
    })
}

/// Serves the page at any path until the process ends. Returns the port.
pub fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // The head of the request, up to its empty line.
            let head = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let _ = head.count();
            // Prometheus 3 refuses a page without a known content type.
            let kind = "Content-Type: text/plain; version=0.0.4";
            let length = PAGE.len();
            let head = format!("HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = (&stream).write_all((head + PAGE).as_bytes());
        }
    });
    port
}
