//! Remote write, the one way by which all engines take staleness markers: protobuf in snappy, by hand.

use super::process::agent;
use super::samples::Series;

/// Writes a series to the URL of a remote write receiver.
pub fn remote_write(url: &str, series: &Series) {
    let name = ("__name__", series.name);
    let mut labels: Vec<_> = series.labels.iter().map(|(key, value)| (*key, value.as_str())).chain([name]).collect();
    labels.sort_unstable();
    let mut message = Vec::new();
    for (key, value) in labels {
        bytes(&mut message, 1, &[text(1, key), text(2, value)].concat());
    }
    for sample in &series.samples {
        let time = number(2, sample.time as u64);
        bytes(&mut message, 2, &[&[0x09][..], &sample.value.to_le_bytes(), &time].concat());
    }
    let mut request = Vec::new();
    bytes(&mut request, 1, &message);
    let response = agent()
        .post(url)
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Encoding", "snappy")
        .header("X-Prometheus-Remote-Write-Version", "0.1.0")
        .send(snappy(&request))
        .expect("an answer to a remote write");
    assert_eq!(response.status(), 204, "{}: {:?}", series.name, response.into_body().read_to_string());
}

/// The bytes in the format of snappy, not compressed at all.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let literals = bytes.chunks(60).flat_map(|chunk| [&[(chunk.len() as u8 - 1) << 2], chunk].concat());
    varint(bytes.len() as u64).into_iter().chain(literals).collect()
}

/// A field of protobuf that has a length.
fn bytes(message: &mut Vec<u8>, field: u64, value: &[u8]) {
    message.extend(varint(field << 3 | 2));
    message.extend(varint(value.len() as u64));
    message.extend(value);
}

fn text(field: u64, value: &str) -> Vec<u8> {
    let mut message = Vec::new();
    bytes(&mut message, field, value.as_bytes());
    message
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(value as u8 & 127 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
