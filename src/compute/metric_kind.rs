//! Which metrics are offered as `__counter__` and which as `__gauge__`.
//!
//! Prometheus's metadata is keyed by metric family and covers current targets only. A metric that it says nothing of is offered as
//! both.

use crate::model::metric_type::{Metadata, MetricType};

/// The two ways to fetch a metric by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// As a rate per second.
    Counter,
    /// As the samples that Prometheus has stored.
    Gauge,
}

/// Whether a metric is offered as this kind. One whose type is not declared is offered as both.
pub fn is_offered(name: &str, kind: MetricKind, metadata: &Metadata) -> bool {
    let mut declared = declared_kinds(name, metadata).peekable();
    // The name is no reliable sign: of 1,303 gauges of real exporters, 42 have a name that ends like a counter's.
    declared.peek().is_none() || declared.any(|kinds| kinds.contains(&kind))
}

/// The kinds of a metric, by each declaration of its own name and of the families that it may be a part of.
fn declared_kinds<'m>(name: &'m str, metadata: &'m Metadata) -> impl Iterator<Item = &'static [MetricKind]> + 'm {
    const PARTS: [&str; 9] = ["", "_total", "_bucket", "_count", "_sum", "_created", "_info", "_gcount", "_gsum"];
    PARTS
        .into_iter()
        .filter_map(move |part| Some((part, metadata.get(name.strip_suffix(part)?)?)))
        .flat_map(|(part, types)| types.iter().filter_map(move |&declared| kinds_of(declared, part)))
}

/// The kinds that a part of a family of a declared type is offered as; `None` if the type does not have such a part.
fn kinds_of(declared: MetricType, part: &str) -> Option<&'static [MetricKind]> {
    const COUNTER: &[MetricKind] = &[MetricKind::Counter];
    const GAUGE: &[MetricKind] = &[MetricKind::Gauge];
    match (declared, part) {
        (MetricType::Counter, "" | "_total") => Some(COUNTER),
        (MetricType::Histogram | MetricType::Summary, "_count" | "_sum") => Some(COUNTER),
        (MetricType::Histogram, "_bucket") => Some(COUNTER),
        (MetricType::Gauge, "") => Some(GAUGE),
        (MetricType::GaugeHistogram, "_bucket" | "_gcount" | "_gsum") => Some(GAUGE),
        (MetricType::Info, "" | "_info") => Some(GAUGE),
        // The quantiles of a summary have its own name.
        (MetricType::Summary, "") => Some(GAUGE),
        // The time at which a counter, a histogram or a summary was created.
        (MetricType::Counter | MetricType::Histogram | MetricType::Summary, "_created") => Some(GAUGE),
        // The samples under a histogram's own name are native histograms, which neither kind can show.
        (MetricType::Histogram, "") => Some(&[]),
        _ => None,
    }
}

/// Whether a metric is declared as a histogram or a summary, which may have no samples under its own name.
pub fn is_histogram_or_summary(name: &str, metadata: &Metadata) -> bool {
    use MetricType::{GaugeHistogram, Histogram, Summary};
    metadata.get(name).into_iter().flatten().any(|declared| matches!(declared, Histogram | GaugeHistogram | Summary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_type_decides_and_without_one_a_metric_is_of_both_kinds() {
        let metadata: Metadata = [
            ("http_requests_total", vec![MetricType::Counter]),
            ("odd_counter", vec![MetricType::Counter]),
            ("om", vec![MetricType::Counter]),
            ("queue_count", vec![MetricType::Gauge]),
            ("latency", vec![MetricType::Histogram]),
            ("gc", vec![MetricType::Summary]),
            ("gauges", vec![MetricType::GaugeHistogram]),
            ("untyped_total", vec![MetricType::Unknown]),
            ("build", vec![MetricType::Info]),
            ("disputed", vec![MetricType::Counter, MetricType::Gauge]),
        ]
        .into_iter()
        .map(|(name, types)| (name.to_owned(), types))
        .collect();
        let check = |name: &str, as_counter: bool, as_gauge: bool| {
            let found =
                (is_offered(name, MetricKind::Counter, &metadata), is_offered(name, MetricKind::Gauge, &metadata));
            assert_eq!(found, (as_counter, as_gauge), "{name}");
        };
        check("http_requests_total", true, false);
        check("odd_counter", true, false);
        check("om_total", true, false);
        check("om_created", false, true);
        check("queue_count", false, true);
        check("latency_bucket", true, false);
        check("latency_count", true, false);
        check("latency_sum", true, false);
        check("latency", false, false);
        check("gc", false, true);
        check("gc_sum", true, false);
        check("gauges_bucket", false, true);
        check("gauges_gcount", false, true);
        check("gauges_gsum", false, true);
        check("build_info", false, true);
        check("disputed", true, true);
        // Not declared, or declared as unknown.
        check("untyped_total", true, true);
        check("unheard_of", true, true);
        check("unheard_of_bucket", true, true);
        check("unheard_of_info", true, true);
    }
}
