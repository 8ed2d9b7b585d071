//! Remote write, the only way to give staleness markers to all engines: protobuf in snappy, by hand.

use super::process::agent;
use super::protobuf::{bytes, number, snappy, text, varint};
use super::samples::{Sample, Series};

/// Writes a series to the URL of a remote write receiver.
pub fn remote_write(url: &str, series: &Series) {
    let sample = |sample: &Sample| [&[0x09][..], &sample.value.to_le_bytes(), &number(2, sample.time as u64)].concat();
    send(url, series, series.samples.iter().flat_map(|one| bytes(2, &sample(one))));
}

/// Writes native histograms at the times of a series. Each has two buckets, and as many observations as the series has there, an even
/// number.
pub fn remote_write_histograms(url: &str, series: &Series) {
    let double = |tag: u8, value: f64| [&[tag][..], &value.to_le_bytes()].concat();
    let histogram = |sample: &Sample| {
        let counts = [
            number(1, sample.value as u64),
            double(0x19, sample.value),
            number(4, 0),
            double(0x29, 1e-128),
            number(6, 0),
        ];
        // Each bucket has half of the observations: zigzag numbers, of which the second is the difference to the first.
        let deltas = [varint(sample.value as u64), varint(0)].concat();
        let span = [number(1, 0), number(2, 2)].concat();
        [counts.concat(), bytes(11, &span), bytes(12, &deltas), number(15, sample.time as u64)].concat()
    };
    send(url, series, series.samples.iter().flat_map(|one| bytes(4, &histogram(one))));
}

fn send(url: &str, series: &Series, samples: impl Iterator<Item = u8>) {
    let name = ("__name__", series.name);
    let mut labels: Vec<_> = series.labels.iter().map(|(key, value)| (*key, value.as_str())).chain([name]).collect();
    labels.sort_unstable();
    let mut message = Vec::new();
    for (key, value) in labels {
        message.extend(bytes(1, &[text(1, key), text(2, value)].concat()));
    }
    message.extend(samples);
    let response = agent()
        .post(url)
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Encoding", "snappy")
        .header("X-Prometheus-Remote-Write-Version", "0.1.0")
        .send(snappy(&bytes(1, &message)))
        .expect("a response to a remote write");
    assert_eq!(response.status(), 204, "{}: {:?}", series.name, response.into_body().read_to_string());
}
