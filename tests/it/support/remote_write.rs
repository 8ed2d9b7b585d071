//! Remote write, the only way to give staleness markers to all engines: protobuf in snappy, by hand.

use super::process::agent;
use super::protobuf::{bytes, number, snappy, text};
use super::samples::Series;

/// Writes a series to the URL of a remote write receiver.
pub fn remote_write(url: &str, series: &Series) {
    let name = ("__name__", series.name);
    let mut labels: Vec<_> = series.labels.iter().map(|(key, value)| (*key, value.as_str())).chain([name]).collect();
    labels.sort_unstable();
    let mut message = Vec::new();
    for (key, value) in labels {
        message.extend(bytes(1, &[text(1, key), text(2, value)].concat()));
    }
    for sample in &series.samples {
        let time = number(2, sample.time as u64);
        message.extend(bytes(2, &[&[0x09][..], &sample.value.to_le_bytes(), &time].concat()));
    }
    let response = agent()
        .post(url)
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Encoding", "snappy")
        .header("X-Prometheus-Remote-Write-Version", "0.1.0")
        .send(snappy(&bytes(1, &message)))
        .expect("a response to a remote write");
    assert_eq!(response.status(), 204, "{}: {:?}", series.name, response.into_body().read_to_string());
}
