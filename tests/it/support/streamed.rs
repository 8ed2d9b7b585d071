//! Responses to a remote read: frames of chunks, from a real Prometheus and from the tests.

use super::protobuf::{bytes, fields, number, take_varint, text, varint};
use super::samples::Sample;
use super::stub::{After, Reply};

/// A response of a real Prometheus, and its samples. `tests/data/remote_read/make` has made both.
const RESPONSE: &[u8] = include_bytes!("../../data/remote_read/response.bin");
const SAMPLES: &str = include_str!("../../data/remote_read/samples.om");

/// The first time in `RESPONSE`, and a time after all of its samples, in milliseconds.
pub const START: i64 = 1_700_000_000_000;
pub const END: i64 = START + 1_000_000_000;

/// The values of the label `series` in `RESPONSE`.
pub const NAMES: [&str; 7] = ["one", "two", "same", "counter", "gauge", "wild", "distances"];

/// The content type.
const STREAMED: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// `Chunk.Encoding.XOR`.
const XOR: u64 = 1;

/// A response with this body and its length.
pub fn reply(stream: impl AsRef<[u8]>) -> Reply {
    Reply::http(200, STREAMED, stream)
}

/// The head of a response with these headers besides its type.
pub fn head(lines: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {STREAMED}\r\n{lines}\r\n").into_bytes()
}

/// A response with these frames, each in one HTTP chunk.
pub fn in_chunks(frames: &[Vec<u8>]) -> Reply {
    Reply::raw([head("Transfer-Encoding: chunked\r\n"), http_chunks(frames), b"0\r\n\r\n".to_vec()].concat())
}

/// Frames as HTTP chunks, without the last chunk.
pub fn http_chunks(frames: &[Vec<u8>]) -> Vec<u8> {
    let chunk = |frame: &Vec<u8>| [format!("{:x}\r\n", frame.len()).as_bytes(), frame, b"\r\n"].concat();
    frames.iter().flat_map(chunk).collect()
}

/// A response without an end: series of `stub_metric`, each with a sample every millisecond for ten seconds from `FIRST` on.
pub fn endless<const FIRST: i64>() -> Reply {
    let series_nth = |nth: usize| {
        let labels = [("__name__", "stub_metric"), ("pod", &*nth.to_string())];
        frame(&series(&labels, &[steady(FIRST, 1, 10_000, 2.5)]))
    };
    Reply::raw(head("")).then(After::Count(series_nth))
}

/// A frame: length, CRC-32C, message.
pub fn frame(message: &[u8]) -> Vec<u8> {
    [varint(message.len() as u64), crc32c::crc32c(message).to_be_bytes().to_vec(), message.to_vec()].concat()
}

/// All frames of the real response, unchanged.
pub fn whole() -> &'static [u8] {
    RESPONSE
}

/// One of the series of the real response, in a frame.
pub fn stored(name: &str) -> Vec<u8> {
    let mut rest = RESPONSE;
    while !rest.is_empty() {
        let length = take_varint(&mut rest) as usize;
        let (message, after) = rest[4..].split_at(length);
        rest = after;
        for (_, series) in fields(message).into_iter().filter(|(field, _)| *field == 1) {
            let label = bytes(1, &[text(1, "series"), text(2, name)].concat());
            if fields(series).into_iter().any(|(field, content)| bytes(field, content) == label) {
                return frame(&bytes(1, series));
            }
        }
    }
    panic!("no series {name}")
}

/// The samples of one of the series in Prometheus.
pub fn samples(name: &str) -> Vec<Sample> {
    let begin = format!("stored{{series=\"{name}\"}} ");
    let of_series = SAMPLES.lines().filter_map(|line| line.strip_prefix(&begin)?.split_once(' '));
    let sample = |(value, time): (&str, &str)| Sample {
        time: time.replace('.', "").parse().unwrap(),
        value: value.parse().unwrap(),
    };
    of_series.map(sample).collect()
}

/// A message with one series of these labels and chunks.
pub fn series(labels: &[(&str, &str)], chunks: &[Vec<u8>]) -> Vec<u8> {
    let labels = labels.iter().map(|(name, value)| bytes(1, &[text(1, name), text(2, value)].concat()));
    let chunks = chunks.iter().map(|chunk| bytes(2, chunk));
    bytes(1, &labels.chain(chunks).collect::<Vec<_>>().concat())
}

/// A chunk of samples with equal distances and the same value.
pub fn steady(first: i64, interval: i64, count: u16, value: f64) -> Vec<u8> {
    chunk(first, first + interval * i64::from(count - 1), XOR, &steady_data(first, interval, count, value))
}

/// A chunk of any type and data.
pub fn chunk(first: i64, last: i64, kind: u64, data: &[u8]) -> Vec<u8> {
    [number(1, first as u64), number(2, last as u64), number(3, kind), bytes(4, data)].concat()
}

/// The data of such a chunk. An unchanged delta or value takes one zero bit.
pub fn steady_data(first: i64, interval: i64, count: u16, value: f64) -> Vec<u8> {
    let mut data = count.to_be_bytes().to_vec();
    data.extend(varint((first << 1 ^ first >> 63) as u64));
    data.extend(value.to_be_bytes());
    if count > 1 {
        data.extend(varint(interval as u64));
        // The second value, and time and value of each further sample.
        let bits = 1 + 2 * (usize::from(count) - 2);
        data.resize(data.len() + bits.div_ceil(8), 0);
    }
    data
}
