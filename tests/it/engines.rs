//! The engines that judge the numbers have the right versions, and have the samples.

use std::collections::BTreeMap;

use crate::support::ask::Gateway;
use crate::support::engine::Engine;
use crate::support::prometheus;
use crate::support::samples::{DAY, Sample, T0, all, one};

#[test]
fn prometheus_is_there_in_two_versions() {
    let versions = [prometheus::shared().version(), prometheus::shared_3().version()];
    assert!(versions[0].starts_with("2.") && versions[1].starts_with("3."), "{versions:?}");
}

#[test]
fn every_engine_holds_every_sample() {
    for engine in Engine::ALL {
        let found = engine.find(r#"{__name__!="",__name__!="live_level"}"#, T0 - DAY, T0 + 21 * DAY);
        let mut found: BTreeMap<_, Vec<Sample>> = found.into_iter().collect();
        for series in all() {
            let mut labels: BTreeMap<_, _> = series.labels.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
            labels.insert("__name__".to_owned(), series.name.to_owned());
            let (mut stored, what) = (engine.stored(series).samples, format!("{}: {labels:?}", engine.name()));
            // Only on VictoriaMetrics, a range selector finds staleness markers, as NaN.
            stored.retain(|sample| engine.is_victoria() || !sample.is_stale());
            let samples = found.remove(&labels).unwrap_or_else(|| panic!("{what} is missing"));
            assert_eq!(samples.len(), stored.len(), "{what}");
            // VictoriaMetrics stores a block of samples as integers with one power of ten.
            let peak = stored.iter().map(|sample| sample.value.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max);
            for (sample, expected) in samples.iter().zip(&stored) {
                let near = (sample.value - expected.value).abs() <= engine.tolerance() * peak;
                let same = sample.value == expected.value || sample.value.is_nan() && expected.value.is_nan();
                assert!(sample.time == expected.time && (same || near), "{what}: {sample:?}, not {expected:?}");
            }
        }
        assert!(found.is_empty(), "{}: {:?} are not of the tests", engine.name(), found.keys());
    }
}

#[test]
fn a_staleness_marker_ends_a_series_on_both_versions_of_prometheus() {
    let marked = one("marked_level", &[]).samples.iter().find(|sample| sample.is_stale()).unwrap();
    for prometheus in [prometheus::shared(), prometheus::shared_3()] {
        assert_eq!(prometheus.value("marked_level", marked.time), None);
        assert!(prometheus.value("marked_level", marked.time - 1).is_some());
    }
}

#[test]
fn a_mirror_reaches_each_of_them() {
    for engine in Engine::ALL {
        let response = Gateway::to_engine(engine).connection();
        assert_eq!((response.status, response.json["status"].as_str()), (200, Some("OK")), "{}", engine.name());
    }
}
