//! The body of a remote read: a `ReadRequest` of Prometheus's `prompb/remote.proto`, compressed with Snappy.

use super::super::protobuf::{put_bytes, put_varint};

/// `ReadRequest.ResponseType`.
const STREAMED_XOR_CHUNKS: u64 = 1;

/// `LabelMatcher.Type`.
const EQUAL: u64 = 0;
const REGEX: u64 = 2;

/// A request for the samples, from `start_ms` to `end_ms` inclusive, of all series of a metric whose labels match all `patterns`:
/// pairs of a label and a regular expression (RE2, anchored by the server). The response is a stream of chunks, or an error.
///
/// All conditions are regular expressions, although most match one value. If a `=` matcher names one of its external labels with
/// the label's value, Prometheus looks for series *without* the label (`filterExtLabelsFromMatchers` in
/// `storage/remote/read_handler.go`), while PromQL finds those with it. It leaves regular expressions as they are, and one that is
/// plain text, escaped or not, is as fast as `=`.
pub(in crate::prometheus) fn request(
    metric: &str,
    patterns: &[(String, String)],
    start_ms: i64,
    end_ms: i64,
) -> Vec<u8> {
    let mut query = Vec::new();
    put_varint(&mut query, 1, start_ms as u64);
    put_varint(&mut query, 2, end_ms as u64);
    put_bytes(&mut query, 3, &matcher(EQUAL, "__name__", metric));
    for (label, pattern) in patterns {
        put_bytes(&mut query, 3, &matcher(REGEX, label, pattern));
    }
    let mut request = Vec::new();
    put_bytes(&mut request, 1, &query);
    put_varint(&mut request, 2, STREAMED_XOR_CHUNKS);
    snap::raw::Encoder::new()
        .compress_vec(&request)
        .expect("a request is shorter than 4 GiB, the most that Snappy takes")
}

fn matcher(kind: u64, label: &str, value: &str) -> Vec<u8> {
    let mut matcher = Vec::new();
    put_varint(&mut matcher, 1, kind);
    put_bytes(&mut matcher, 2, label.as_bytes());
    put_bytes(&mut matcher, 3, value.as_bytes());
    matcher
}

#[cfg(test)]
mod tests {
    use super::super::reference::{field, varint};
    use super::*;

    #[test]
    fn a_request_is_the_message_of_the_protocol() {
        let check = |patterns: &[(&str, &str)], start_ms: i64, end_ms: i64| {
            let owned: Vec<_> = patterns.iter().map(|&(label, pattern)| (label.into(), pattern.into())).collect();
            let found = snap::raw::Decoder::new().decompress_vec(&request("up", &owned, start_ms, end_ms)).unwrap();

            let mut query = [vec![1 << 3], varint(start_ms as u64), vec![2 << 3], varint(end_ms as u64)].concat();
            let matchers =
                [(0, "__name__", "up")].into_iter().chain(patterns.iter().map(|&(label, pattern)| (2, label, pattern)));
            for (kind, label, value) in matchers {
                let matcher = [vec![1 << 3, kind], field(2, label.as_bytes()), field(3, value.as_bytes())].concat();
                query.extend(field(3, &matcher));
            }
            assert_eq!(found, [field(1, &query), vec![2 << 3, 1]].concat(), "{patterns:?}");
        };
        check(&[], 0, 0);
        check(&[("job", "node")], 1_700_000_000_000, 1_700_000_060_000);
        check(&[("job", "a|b"), ("instance", r"10\.0\.0\.7:9100"), ("absent", "")], -5, i64::MAX);
        check(&[("long", &"é".repeat(100_000))], 1, 2);
    }
}
