//! Builds responses to a remote read, from the description of the format alone. Unit tests, benchmarks and fuzz targets include this
//! file.

/// The types of chunks.
pub(crate) const XOR: u64 = 1;
pub(crate) const HISTOGRAM: u64 = 2;
pub(crate) const FLOAT_HISTOGRAM: u64 = 3;

/// A frame: the length of the message, its checksum, the message.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    [&varint(message.len() as u64)[..], &castagnoli(message).to_be_bytes(), message].concat()
}

/// A `ChunkedReadResponse` of these `ChunkedSeries`.
pub(crate) fn response(series: &[Vec<u8>]) -> Vec<u8> {
    series.iter().flat_map(|series| field(1, series)).collect()
}

/// A `ChunkedSeries`.
pub(crate) fn series(labels: &[(&str, &str)], chunks: &[Vec<u8>]) -> Vec<u8> {
    let label =
        |&(name, value): &(&str, &str)| field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat());
    let labels = labels.iter().flat_map(label);
    labels.chain(chunks.iter().flat_map(|chunk| field(2, chunk))).collect()
}

/// A `Chunk`.
pub(crate) fn chunk(min_time_ms: i64, max_time_ms: i64, kind: u64, data: &[u8]) -> Vec<u8> {
    [integer(1, min_time_ms as u64), integer(2, max_time_ms as u64), integer(3, kind), field(4, data)].concat()
}

/// A field of protobuf with bytes.
pub(crate) fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [&varint(number * 8 + 2)[..], &varint(bytes.len() as u64), bytes].concat()
}

/// A field of protobuf with an integer, absent for 0, as in proto3.
pub(crate) fn integer(number: u64, value: u64) -> Vec<u8> {
    if value == 0 { Vec::new() } else { [varint(number * 8), varint(value)].concat() }
}

pub(crate) fn varint(value: u64) -> Vec<u8> {
    if value < 128 {
        return vec![value as u8];
    }
    let mut bytes = vec![(value % 128 + 128) as u8];
    bytes.extend(varint(value / 128));
    bytes
}

/// CRC-32C, bit by bit, with its reversed polynomial.
fn castagnoli(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for &byte in bytes {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = if sum % 2 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
        }
    }
    !sum
}
