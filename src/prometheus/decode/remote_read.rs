//! Remote read with `STREAMED_XOR_CHUNKS`: the samples of series as Prometheus stores them, passed on while they arrive.
//!
//! Knows nothing of HTTP, only of bytes. The messages are those of Prometheus's `prompb/remote.proto` and
//! `types.proto`:
//!
//! ```text
//! ChunkedReadResponse { 1: repeated ChunkedSeries, 2: query_index }
//! ChunkedSeries       { 1: repeated Label, 2: repeated Chunk }
//! Label               { 1: name, 2: value }
//! Chunk               { 1: min_time_ms, 2: max_time_ms, 3: type, 4: data }
//! ```

mod chunk_merge;
mod failure;
mod frames;
#[cfg(test)]
#[path = "../../../tests/reference/remote_read.rs"]
mod reference;
mod request;
mod series_labels;

use std::io::Read;

use super::protobuf::{self, Malformed};
use super::xor_chunk;
use crate::model::sample::{Sample, SampleSink};
use crate::model::time::TimeRange;
use chunk_merge::{ChunkMerge, Unsorted};
use failure::{DAMAGED_CHUNK, UNKNOWN_CHUNK};
use frames::Frames;
use series_labels::SeriesLabels;

pub(in crate::prometheus) use request::request;

pub use failure::ReadFailure;

/// The bits of the NaN that marks the end of a series (`StaleNaN` in Prometheus's `model/value`). It is not a sample.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// A series continues in another message only if its labels and chunks in this one have at least so many bytes. That is the default
/// of Prometheus's `--storage.remote.read-max-bytes-in-frame`. With a lower one, long series are read again by range selector.
const FULL_MESSAGE_BYTES: usize = 1 << 20;

/// Reads a response and passes its samples in the range to the sink, series after series. If nothing is found, the response is
/// empty.
///
/// The sink gets no staleness markers, but everything else that is stored, including NaN and infinities. Of several samples of a
/// series at one time, it gets the one that arrived first.
///
/// At most one frame is in memory, and the samples of those chunks that overlap at one instant.
///
/// Consecutive messages with the same labels may be one series, whose chunks fill more than one message. The later message must
/// then begin after the end of the earlier one. They may also be two series that look alike: Prometheus adds its external labels to
/// all series that lack them, and thereby hides the difference to a series that has one of them (prometheus/prometheus#12605). If
/// the earlier message is not full, or if the two overlap, the reading fails with [`ReadFailure::Unsorted`].
///
/// # Errors
/// Fails if the response cannot be read to its end, or if anything in it is not as it should be. What the sink has received by then
/// is not the response.
pub fn decode(body: &mut impl Read, range: TimeRange, sink: &mut impl SampleSink) -> Result<(), ReadFailure> {
    let mut frames = Frames::of(body);
    let mut response = ResponseReader {
        range,
        labels: SeriesLabels::default(),
        next_labels: SeriesLabels::default(),
        is_full: true,
        merge: ChunkMerge::new(range),
        output: Output { sink, has_begun: false },
    };
    while let Some(message) = frames.next()? {
        match response.message(message) {
            Ok(()) => {}
            Err(Halt::BrokenOff) => return Ok(()),
            Err(Halt::Failed(failure)) => return Err(failure),
        }
    }
    Ok(())
}

/// Why the reading ends before the end of the response.
enum Halt {
    BrokenOff,
    Failed(ReadFailure),
}

impl<F: Into<ReadFailure>> From<F> for Halt {
    fn from(failure: F) -> Halt {
        Halt::Failed(failure.into())
    }
}

impl From<Unsorted> for ReadFailure {
    fn from(_: Unsorted) -> ReadFailure {
        ReadFailure::Unsorted
    }
}

/// A response that is being read.
struct ResponseReader<'s, S> {
    range: TimeRange,
    /// The labels of the series that is being read, and space for those of the next one.
    labels: SeriesLabels,
    next_labels: SeriesLabels,
    /// Whether the series may continue in the message after the last one.
    is_full: bool,
    merge: ChunkMerge,
    output: Output<'s, S>,
}

impl<S: SampleSink> ResponseReader<'_, S> {
    /// Decodes a `ChunkedReadResponse`.
    fn message(&mut self, message: &[u8]) -> Result<(), Halt> {
        for field in protobuf::fields(message) {
            if let (1, series) = field? {
                self.series(series.bytes()?)?;
            }
        }
        Ok(())
    }

    /// Decodes a `ChunkedSeries`.
    fn series(&mut self, message: &[u8]) -> Result<(), Halt> {
        self.next_labels.clear();
        for field in protobuf::fields(message) {
            if let (1, label) = field? {
                self.next_labels.add(label.bytes()?)?;
            }
        }
        if self.next_labels != self.labels {
            std::mem::swap(&mut self.next_labels, &mut self.labels);
            self.merge.begin();
            self.output.has_begun = false;
        } else if !self.is_full {
            return Err(Unsorted.into());
        }
        self.is_full = message.len() >= FULL_MESSAGE_BYTES;
        for field in protobuf::fields(message) {
            if let (2, chunk) = field? {
                self.chunk(chunk.bytes()?)?;
            }
        }
        self.merge.finish(|samples| self.output.hand_on(&self.labels, samples))
    }

    /// Decodes a `Chunk`.
    fn chunk(&mut self, message: &[u8]) -> Result<(), Halt> {
        let (mut min_time_ms, mut max_time_ms, mut kind, mut data) = (0, 0, 0, &[][..]);
        for field in protobuf::fields(message) {
            match field? {
                (1, value) => min_time_ms = value.varint()? as i64,
                (2, value) => max_time_ms = value.varint()? as i64,
                (3, value) => kind = value.varint()?,
                (4, value) => data = value.bytes()?,
                _ => {}
            }
        }
        match kind {
            1 => {
                let mut samples = self.merge.room();
                xor_chunk::decode(data, &mut samples).map_err(|Malformed| ReadFailure::Broken(DAMAGED_CHUNK))?;
                self.merge.add(samples, |samples| self.output.hand_on(&self.labels, samples))
            }
            2 | 3 if max_time_ms < self.range.start || self.range.end < min_time_ms => Ok(()),
            2 | 3 => Err(ReadFailure::NativeHistogram.into()),
            _ => Err(ReadFailure::Broken(UNKNOWN_CHUNK).into()),
        }
    }
}

/// The sink.
struct Output<'s, S> {
    sink: &'s mut S,
    /// Whether the sink knows the series that is being read.
    has_begun: bool,
}

impl<S: SampleSink> Output<'_, S> {
    fn hand_on(&mut self, labels: &SeriesLabels, samples: &[Sample]) -> Result<(), Halt> {
        let is_stale = |sample: &Sample| sample.value.to_bits() == STALE;
        for samples in samples.split(is_stale).filter(|samples| !samples.is_empty()) {
            if !self.has_begun {
                self.has_begun = true;
                self.sink.begin(|| labels.to_labels());
            }
            if self.sink.take(samples).is_break() {
                return Err(Halt::BrokenOff);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::io;
    use std::ops::ControlFlow;

    use super::super::xor_chunk::reference::{Numbers, chunk as xor};
    use super::failure::{BAD_MESSAGE, CUT, MANY_LABELS};
    use super::reference::{FLOAT_HISTOGRAM, HISTOGRAM, XOR, chunk, field, frame, integer, response, series, varint};
    use super::*;
    use crate::model::sample::Labels;

    const ALL: TimeRange = TimeRange { start: 0, end: 1 << 50 };

    /// Responses of Prometheus 2.42, and the samples that it was loaded with; `tests/data/remote_read/make` made both.
    const RESPONSE: &[u8] = include_bytes!("../../../tests/data/remote_read/response.bin");
    const SAMPLES: &str = include_str!("../../../tests/data/remote_read/samples.om");

    /// Samples with the bits of their values, which can be compared.
    type Plain = Vec<(i64, u64)>;

    /// A series as the sink received it, slice by slice.
    type Given = (Labels, Vec<Plain>);

    /// A sink that keeps what it receives, and stops after this many slices.
    struct SeriesRecorder {
        given: Vec<Given>,
        left: usize,
    }

    impl SampleSink for SeriesRecorder {
        fn begin(&mut self, labels: impl FnOnce() -> Labels) {
            assert!(self.given.last().is_none_or(|(_, slices)| !slices.is_empty()), "a series without samples");
            self.given.push((labels(), Vec::new()));
        }

        fn take(&mut self, samples: &[Sample]) -> ControlFlow<()> {
            assert!(!samples.is_empty() && self.left > 0);
            let plain = samples.iter().map(|sample| (sample.at, sample.value.to_bits()));
            self.given.last_mut().expect("a series").1.push(plain.collect());
            self.left -= 1;
            if self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }

    fn read(mut stream: &[u8], range: TimeRange) -> Result<Vec<Given>, ReadFailure> {
        let mut recorder = SeriesRecorder { given: Vec::new(), left: usize::MAX };
        decode(&mut stream, range, &mut recorder)?;
        assert!(stream.is_empty());
        Ok(recorder.given)
    }

    /// The series of a stream: their labels, and their samples in one list.
    fn found(stream: &[u8], range: TimeRange) -> Result<Vec<(Labels, Plain)>, ReadFailure> {
        let given = read(stream, range)?;
        Ok(given.into_iter().map(|(labels, slices)| (labels, slices.concat())).collect())
    }

    /// A chunk of these samples with the right times.
    fn chunk_of(samples: &[(i64, f64)]) -> Vec<u8> {
        let time = |sample: Option<&(i64, f64)>| sample.map_or(0, |sample| sample.0);
        chunk(time(samples.first()), time(samples.last()), XOR, &xor(samples))
    }

    /// A stream with one frame for each list of series.
    fn stream(frames: &[&[Vec<u8>]]) -> Vec<u8> {
        frames.iter().flat_map(|series| frame(&response(series))).collect()
    }

    /// A stream with one series `up`.
    fn only(chunks: &[Vec<u8>]) -> Vec<u8> {
        stream(&[&[series(&[("__name__", "up")], chunks)]])
    }

    fn bits(samples: &[(i64, f64)]) -> Plain {
        samples.iter().map(|&(at, value)| (at, value.to_bits())).collect()
    }

    /// The samples of the only series of a stream.
    fn check_only(chunks: &[&[(i64, f64)]], range: TimeRange, expected: &[(i64, f64)]) {
        let chunks: Vec<_> = chunks.iter().map(|samples| chunk_of(samples)).collect();
        let found = found(&only(&chunks), range).unwrap();
        let samples = found.first().map(|(_, samples)| samples.clone()).unwrap_or_default();
        assert_eq!(samples, bits(expected));
        assert!(found.len() <= 1);
    }

    fn breach(stream: &[u8]) -> Option<&'static str> {
        match found(stream, ALL) {
            Err(ReadFailure::Broken(breach)) => Some(breach),
            _ => None,
        }
    }

    const STALE_NAN: f64 = f64::from_bits(STALE);

    /// The samples of each series in samples.om: `stored{series="NAME"} VALUE SECONDS.MMM`.
    fn loaded() -> BTreeMap<String, Plain> {
        let mut all = BTreeMap::<String, Plain>::new();
        for line in SAMPLES.lines().filter(|line| !line.starts_with('#')) {
            let [series, value, time] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let value: f64 = value.parse().unwrap();
            // Go's NaN has other bits than Rust's.
            let bits = if value.is_nan() { 0x7ff8_0000_0000_0001 } else { value.to_bits() };
            let name = series.split('"').nth(1).unwrap().to_owned();
            all.entry(name).or_default().push((time.replace('.', "").parse().unwrap(), bits));
        }
        all
    }

    #[test]
    fn a_response_of_prometheus_has_the_samples_that_it_was_loaded_with() {
        let (whole, loaded) = (found(RESPONSE, ALL).unwrap(), loaded());
        assert_eq!(whole.len(), 7);
        assert_eq!(loaded.len(), 7);
        for (labels, samples) in &whole {
            let expected = [("__name__", "stored"), ("cluster", "eu"), ("series", &labels["series"])];
            assert_eq!(*labels, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
            assert_eq!(*samples, loaded[&labels["series"]], "{labels:?}");
        }
        // A range that begins and ends at samples.
        let range = TimeRange { start: 1_700_000_060_000, end: 1_700_003_000_000 };
        for (labels, samples) in found(RESPONSE, range).unwrap() {
            let mut expected = loaded[&labels["series"]].clone();
            expected.retain(|sample| range.contains(sample.0));
            assert_eq!(samples, expected, "{labels:?}");
        }
    }

    #[test]
    fn a_response_that_is_cut_is_an_error_or_ends_with_a_frame() {
        let whole = found(RESPONSE, ALL).unwrap();
        let mut ends = HashSet::from([0]);
        let mut rest = RESPONSE;
        while !rest.is_empty() {
            let length = protobuf::varint(&mut rest).unwrap() as usize;
            rest = &rest[4 + length..];
            ends.insert(RESPONSE.len() - rest.len());
        }
        for length in 0..=RESPONSE.len() {
            match found(&RESPONSE[..length], ALL) {
                Ok(found) => assert!(ends.contains(&length) && whole.starts_with(&found), "{length} bytes"),
                Err(ReadFailure::Broken(CUT)) => assert!(!ends.contains(&length), "{length} bytes"),
                Err(other) => panic!("{length} bytes: {other:?}"),
            }
        }
        assert_eq!(ends.len(), 8);
    }

    #[test]
    fn a_flipped_bit_never_changes_an_answer() {
        let whole = found(RESPONSE, ALL).unwrap();
        for bit in 0..8 * RESPONSE.len() {
            let mut flipped = RESPONSE.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(found(&flipped, ALL).map_or(true, |found| found == whole), "bit {bit}");
        }
    }

    #[test]
    fn a_message_that_is_cut_is_refused_or_ends_with_a_field() {
        let chunks = [chunk_of(&[(1, 1.0), (2, 2.0)]), chunk_of(&[(3, 3.0)])];
        let message = response(&[series(&[("__name__", "up"), ("job", "node")], &chunks)]);
        for length in 1..message.len() {
            assert_eq!(breach(&frame(&message[..length])), Some(BAD_MESSAGE), "{length} bytes");
        }
        let one = series(&[("__name__", "up"), ("job", "node")], &chunks);
        for length in 0..one.len() {
            if let Ok(found) = found(&stream(&[&[one[..length].to_vec()]]), ALL) {
                assert!(found.is_empty() || found[0].1.len() == 2, "{length} bytes");
            }
        }
    }

    #[test]
    fn nothing_found_is_an_empty_response() {
        assert_eq!(found(&[], ALL).unwrap(), []);
        assert_eq!(found(&frame(&[]), ALL).unwrap(), []);
        assert_eq!(found(&stream(&[&[series(&[("__name__", "up")], &[])]]), ALL).unwrap(), []);
        assert_eq!(found(&only(&[chunk_of(&[])]), ALL).unwrap(), []);
    }

    #[test]
    fn a_frame_may_hold_several_series_and_a_series_several_frames() {
        let up = |job: &str, samples: &[&[(i64, f64)]]| {
            let chunks: Vec<_> = samples.iter().map(|samples| chunk_of(samples)).collect();
            series(&[("__name__", "up"), ("job", job)], &chunks)
        };
        // Filled by a field that is not read.
        let full = |series: Vec<u8>| [series, field(9, &[0; FULL_MESSAGE_BYTES])].concat();
        let found = found(
            &stream(&[
                &[up("a", &[&[(1, 1.0)]]), full(up("b", &[&[(1, 2.0)], &[(2, 3.0)]]))],
                &[full(up("b", &[&[(3, 4.0)]]))],
                &[full(up("b", &[&[(4, 5.0), (5, 6.0)]])), up("b", &[&[(6, 7.0)]]), up("c", &[&[(1, 8.0)]])],
                &[up("a", &[&[(1, 9.0)]])],
            ]),
            ALL,
        );
        let found: Vec<_> =
            found.unwrap().into_iter().map(|(labels, samples)| (labels["job"].clone(), samples)).collect();
        let expected = [
            ("a", &[(1, 1.0)][..]),
            ("b", &[(1, 2.0), (2, 3.0), (3, 4.0), (4, 5.0), (5, 6.0), (6, 7.0)]),
            ("c", &[(1, 8.0)]),
            ("a", &[(1, 9.0)]),
        ];
        assert_eq!(found, expected.map(|(job, samples)| (job.to_owned(), bits(samples))));
    }

    #[test]
    fn two_series_with_the_same_labels_are_not_merged() {
        // Prometheus 2.42 with the external label `cluster="eu"` responds like this for `x` and `x{cluster="eu"}`.
        let alike = |samples: &[(i64, f64)]| series(&[("__name__", "x"), ("cluster", "eu")], &[chunk_of(samples)]);
        for (one, other) in [
            (&[(1, 1.0), (5, 2.0)][..], &[(1, 7.0), (5, 8.0)][..]),
            (&[(1, 1.0), (5, 2.0)], &[(5, 8.0)]),
            (&[(1, 1.0), (5, 2.0)], &[(3, 8.0), (9, 9.0)]),
            // Labels count even if none of their samples are passed on.
            (&[(1, STALE_NAN)], &[(1, 7.0)]),
            // One begins after the end of the other one.
            (&[(1, 1.0), (5, 2.0)], &[(6, 8.0), (9, 9.0)]),
        ] {
            for stream in [stream(&[&[alike(one)], &[alike(other)]]), stream(&[&[alike(one), alike(other)]])] {
                assert!(matches!(found(&stream, ALL), Err(ReadFailure::Unsorted)), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_series_begins_with_its_first_sample() {
        let range = TimeRange { start: 100, end: 200 };
        let outside = [chunk_of(&[(1, 1.0), (99, 1.0)]), chunk_of(&[(201, 1.0)])];
        let stale = [chunk_of(&[(100, STALE_NAN), (110, STALE_NAN)])];
        let later = [chunk_of(&[(1, 1.0)]), chunk_of(&[(150, STALE_NAN)]), chunk_of(&[(160, 2.0)])];
        let stream = stream(&[&[
            series(&[("nth", "1")], &outside),
            series(&[("nth", "2")], &stale),
            series(&[("nth", "3")], &later),
            series(&[("nth", "4")], &outside),
        ]]);
        let found = found(&stream, range).unwrap();
        assert_eq!(found, [(Labels::from([("nth".to_owned(), "3".to_owned())]), bits(&[(160, 2.0)]))]);
    }

    #[test]
    fn labels_are_made_only_when_they_are_wanted() {
        struct Uninterested(usize);
        impl SampleSink for Uninterested {
            fn begin(&mut self, _: impl FnOnce() -> Labels) {
                self.0 += 1;
            }

            fn take(&mut self, _: &[Sample]) -> ControlFlow<()> {
                ControlFlow::Continue(())
            }
        }
        let mut uninterested = Uninterested(0);
        decode(&mut &*RESPONSE, ALL, &mut uninterested).unwrap();
        assert_eq!(uninterested.0, 7);
    }

    #[test]
    fn a_chunk_goes_to_the_sink_in_one_piece() {
        let given = read(RESPONSE, ALL).unwrap();
        let lengths: Vec<Vec<usize>> = given.iter().map(|(_, slices)| slices.iter().map(Vec::len).collect()).collect();
        let expected = [&[143, 142, 15][..], &[16, 19, 21, 4], &[143, 107], &[1], &[130], &[2], &[80]];
        assert_eq!(lengths, expected);
    }

    #[test]
    fn chunks_are_cut_to_the_range_with_both_its_ends() {
        let range = TimeRange { start: 100, end: 200 };
        check_only(
            &[&[(99, 1.0), (100, 2.0)], &[(150, 3.0)], &[(200, 4.0), (201, 5.0)]],
            range,
            &[(100, 2.0), (150, 3.0), (200, 4.0)],
        );
        check_only(&[&[(99, 1.0), (201, 2.0)]], range, &[]);
        check_only(&[&[(-5, 1.0), (150, 2.0)]], range, &[(150, 2.0)]);
        // The times in the header of a chunk do not matter, only its samples.
        let wrong = chunk(900, 950, XOR, &xor(&[(150, 1.0)]));
        assert_eq!(found(&only(&[wrong]), range).unwrap()[0].1, bits(&[(150, 1.0)]));
    }

    #[test]
    fn the_first_of_several_samples_at_one_time_counts() {
        check_only(&[&[(1, 1.0), (2, 1.0)], &[(1, 2.0), (2, 2.0), (3, 2.0)]], ALL, &[(1, 1.0), (2, 1.0), (3, 2.0)]);
        check_only(&[&[(1, 1.0), (5, 1.0)], &[(3, 2.0), (4, 2.0)]], ALL, &[(1, 1.0), (3, 2.0), (4, 2.0), (5, 1.0)]);
    }

    #[test]
    fn staleness_markers_are_dropped_after_the_merge() {
        check_only(&[&[(1, 1.0), (2, STALE_NAN), (3, 3.0), (4, STALE_NAN)]], ALL, &[(1, 1.0), (3, 3.0)]);
        check_only(&[&[(1, STALE_NAN), (2, 2.0)], &[(1, 7.0), (2, 7.0)]], ALL, &[(2, 2.0)]);
        check_only(&[&[(1, 7.0)], &[(1, STALE_NAN)]], ALL, &[(1, 7.0)]);
        let others = [
            (1, f64::NAN),
            (2, f64::INFINITY),
            (3, f64::NEG_INFINITY),
            (4, f64::from_bits(STALE + 1)),
            (5, -STALE_NAN),
        ];
        check_only(&[&others], ALL, &others);
    }

    #[test]
    fn native_histograms_in_the_range_are_a_failure() {
        let range = TimeRange { start: 100, end: 200 };
        for kind in [HISTOGRAM, FLOAT_HISTOGRAM] {
            let with = |min: i64, max: i64| found(&only(&[chunk(min, max, kind, &[1, 2, 3])]), range);
            for (min, max) in [(100, 200), (0, 100), (200, 300), (0, 300), (150, 160)] {
                assert!(matches!(with(min, max), Err(ReadFailure::NativeHistogram)), "{min} to {max}");
            }
            for (min, max) in [(0, 99), (201, 300), (-10, -5)] {
                assert_eq!(with(min, max).unwrap(), [], "{min} to {max}");
            }
        }
        for kind in [0, 4, 5, 130, u64::MAX] {
            assert_eq!(breach(&only(&[chunk(1, 2, kind, &xor(&[(1, 1.0)]))])), Some(UNKNOWN_CHUNK), "{kind}");
        }
    }

    #[test]
    fn chunks_in_an_order_that_cannot_be_merged_are_a_failure() {
        let chunks = [[(10, 1.0)], [(20, 2.0)], [(5, 3.0)]].map(|samples| chunk_of(&samples));
        assert!(matches!(found(&only(&chunks), ALL), Err(ReadFailure::Unsorted)));
        // The next series starts from scratch.
        let next = stream(&[&[series(&[("a", "1")], &chunks[..2]), series(&[("a", "2")], &chunks[2..])]]);
        assert_eq!(found(&next, ALL).unwrap().len(), 2);
    }

    #[test]
    fn a_damaged_chunk_is_a_failure_anywhere() {
        let data = xor(&[(1, 1.0), (2, 2.0)]);
        for length in 0..data.len() {
            assert_eq!(breach(&only(&[chunk(1, 2, XOR, &data[..length])])), Some(DAMAGED_CHUNK), "{length} bytes");
            assert_eq!(breach(&only(&[chunk(-9, -8, XOR, &data[..length])])), Some(DAMAGED_CHUNK), "{length} bytes");
        }
    }

    #[test]
    fn the_sink_breaks_off_at_once() {
        let chunks = [[(1, 1.0)], [(2, 2.0)], [(3, 3.0)]].map(|samples| chunk_of(&samples));
        let whole = [only(&chunks), stream(&[&[series(&[("a", "1")], &chunks)]])].concat();
        for left in 1..=6 {
            // Nothing after the frame is even read.
            struct BrokenReader;
            impl Read for BrokenReader {
                fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                    panic!("read on");
                }
            }
            let mut recorder = SeriesRecorder { given: Vec::new(), left };
            decode(&mut whole.chain(BrokenReader), ALL, &mut recorder).unwrap();
            assert_eq!(recorder.left, 0);
        }
        let mut recorder = SeriesRecorder { given: Vec::new(), left: 7 };
        decode(&mut &*whole, ALL, &mut recorder).unwrap();
        assert_eq!(recorder.left, 1);
    }

    #[test]
    fn unknown_fields_are_skipped_and_known_ones_have_their_type() {
        let unknown = [
            field(200, b"new"),
            integer(201, 5),
            varint(202 * 8 + 5),
            vec![1, 2, 3, 4],
            varint(203 * 8 + 1),
            vec![0; 8],
        ]
        .concat();
        let with = |message: Vec<u8>| [&unknown[..], &message, &unknown].concat();
        let label = with([field(1, b"a"), field(2, b"b")].concat());
        let samples = with(chunk_of(&[(1, 1.0)]));
        let one = with([field(1, &label), field(2, &samples)].concat());
        let message = with([field(1, &one), integer(2, 9)].concat());
        let labels = Labels::from([("a".to_owned(), "b".to_owned())]);
        assert_eq!(found(&frame(&message), ALL).unwrap(), [(labels, bits(&[(1, 1.0)]))]);

        let data = xor(&[(1, 1.0)]);
        for bad_chunk in [
            [field(1, b"1"), integer(3, XOR), field(4, &data)].concat(),
            [field(2, b"1"), integer(3, XOR), field(4, &data)].concat(),
            [field(3, b"1"), field(4, &data)].concat(),
            [integer(3, XOR), integer(4, 5)].concat(),
        ] {
            assert_eq!(breach(&only(&[bad_chunk])), Some(BAD_MESSAGE));
        }
        for bad_series in [integer(1, 5), integer(2, 5), field(1, &integer(1, 5)), field(1, &field(1, &[0xff]))] {
            assert_eq!(breach(&stream(&[&[bad_series]])), Some(BAD_MESSAGE));
        }
        assert_eq!(breach(&frame(&integer(1, 5))), Some(BAD_MESSAGE));
    }

    #[test]
    fn labels_may_follow_chunks_and_are_bounded() {
        let one = [field(2, &chunk_of(&[(1, 1.0)])), field(1, &[field(1, b"a"), field(2, b"b")].concat())].concat();
        assert_eq!(found(&stream(&[&[one]]), ALL).unwrap()[0].0, Labels::from([("a".to_owned(), "b".to_owned())]));
        let names: Vec<String> = (0..=1_000).map(|nth| nth.to_string()).collect();
        let labels: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        let with = |labels| stream(&[&[series(labels, &[chunk_of(&[(1, 1.0)])])]]);
        assert_eq!(found(&with(&labels[..1_000]), ALL).unwrap()[0].0.len(), 1_000);
        assert_eq!(breach(&with(&labels)), Some(MANY_LABELS));
    }

    #[test]
    fn any_chunks_are_merged_as_a_map_of_all_samples_would() {
        let mut numbers = Numbers(3);
        for _ in 0..2_000 {
            let mut chunks: Vec<Vec<(i64, f64)>> = Vec::new();
            for _ in 0..numbers.below(8) {
                let mut at = numbers.below(60) as i64;
                let length = numbers.below(12);
                let value = |numbers: &mut Numbers| match numbers.below(5) {
                    0 => STALE_NAN,
                    _ => numbers.below(1_000) as f64,
                };
                let samples = (0..length).map(|_| {
                    at += 1 + numbers.below(6) as i64;
                    (at, value(&mut numbers))
                });
                chunks.push(samples.collect());
            }
            chunks.sort_by_key(|samples| samples.first().map_or(0, |first| first.0));
            let start = numbers.below(60) as i64;
            let range = TimeRange { start, end: start + numbers.below(60) as i64 };

            let mut expected = BTreeMap::new();
            for &(at, value) in chunks.iter().flatten() {
                expected.entry(at).or_insert(value);
            }
            let expected: Vec<_> =
                expected.into_iter().filter(|&(at, value)| range.contains(at) && value.to_bits() != STALE).collect();
            let chunks: Vec<_> = chunks.iter().map(Vec::as_slice).collect();
            check_only(&chunks, range, &expected);
        }
    }
}
