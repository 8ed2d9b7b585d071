//! The responses to a remote read: what the decoder makes of a stream while it arrives, and what a reader makes of it
//! that has it whole and sorts all samples into a map.

#[allow(dead_code, reason = "shared with unit tests, which need more of it")]
#[path = "../../tests/reference/xor_chunk.rs"]
mod chunks;
mod described;
#[allow(dead_code, reason = "shared with unit tests, which need more of it")]
#[path = "../../tests/reference/remote_read.rs"]
mod frames;

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::ControlFlow;

use arbitrary::Unstructured;
use prometheusmirror::internals;
use prometheusmirror::model::sample::{Labels, Sample, SampleSink};
use prometheusmirror::model::time::TimeRange;

use crate::pieces::Pieces;

/// Ranges that streams are read for: everything; where described samples begin; times that are bytes.
const RANGES: [TimeRange; 4] = [
    TimeRange { start: 0, end: 253_402_300_799_999 },
    TimeRange { start: described::START_MS + 10, end: described::START_MS + 60_000 },
    TimeRange { start: 1, end: 255 },
    TimeRange { start: 0, end: 0 },
];

/// A NaN of these bits is not a sample.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// A series goes on in another message only behind one of this size.
const FULL: usize = 1 << 20;

/// So many chunks may overlap.
const MAX_OVERLAPPING: usize = 32;

/// A series with the bits of its values.
type Series = (Labels, Vec<(i64, u64)>);

/// Checks what an input stands for. Its first byte tells: a stream; a message, which a fuzzer cannot give the right
/// checksum; the data of a chunk; or the description of a stream.
pub fn check(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else { return };
    let range = RANGES[usize::from(first / 4 % 4)];
    let stream = match first % 4 {
        0 => rest.to_vec(),
        1 => frames::frame(rest),
        2 => {
            let chunk = frames::chunk(0, 0, frames::XOR, rest);
            frames::frame(&frames::response(&[frames::series(&[("__name__", "up")], &[chunk])]))
        }
        _ => match described::stream(&mut Unstructured::new(rest)) {
            Ok(stream) => stream,
            Err(_) => return,
        },
    };
    check_stream(&stream, range, input);
}

fn check_stream(stream: &[u8], range: TimeRange, choices: &[u8]) {
    let mut rest = stream;
    let found = Recorder::read(&mut rest, range, usize::MAX);
    let series = match (reference(stream, range), &found) {
        (None, Ok(found)) => panic!("found {found:?} in a stream that is wrong"),
        (None, Err(_)) => return,
        (Some(expected), Err(failure)) => {
            let may_fail = expected.is_hard_to_merge && failure == "Unsorted";
            assert!(may_fail, "{failure}, expected {:?}", expected.series);
            return;
        }
        (Some(expected), Ok(recorder)) => {
            assert_eq!(recorder.series, expected.series);
            assert!(rest.is_empty());
            expected.series
        }
    };

    // However it arrives, it is the same.
    let pieces = Recorder::read(&mut Pieces::of(stream, choices), range, usize::MAX);
    assert_eq!(pieces, found);

    // What a sink breaks off begins like the whole.
    let slices = choices.iter().fold(1, |sum, byte| (sum * 31 + usize::from(*byte)) % 8 + 1);
    let broken = Recorder::read(&mut &*stream, range, slices).expect("a part of what is right");
    let flat = |series: &[Series]| -> Vec<(Labels, (i64, u64))> {
        series.iter().flat_map(|(labels, samples)| samples.iter().map(|sample| (labels.clone(), *sample))).collect()
    };
    assert!(flat(&series).starts_with(&flat(&broken.series)));
    assert!(broken.left == 0 || broken.series == series);
}

/// A sink that keeps everything, and breaks off after so many slices.
#[derive(Debug, PartialEq)]
struct Recorder {
    series: Vec<Series>,
    left: usize,
}

impl Recorder {
    /// What it receives of a body, or the failure as `Debug` writes it.
    fn read(body: &mut impl Read, range: TimeRange, left: usize) -> Result<Recorder, String> {
        let mut recorder = Recorder { series: Vec::new(), left };
        let read = internals::remote_read(body, range, &mut recorder);
        read.map(|()| recorder).map_err(|failure| format!("{failure:?}"))
    }
}

impl SampleSink for Recorder {
    fn begin(&mut self, labels: impl FnOnce() -> Labels) {
        assert!(self.series.last().is_none_or(|(_, samples)| !samples.is_empty()), "a series without samples");
        self.series.push((labels(), Vec::new()));
    }

    fn take(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        assert!(!samples.is_empty() && self.left > 0);
        let (_, all) = self.series.last_mut().expect("a series");
        all.extend(samples.iter().map(|sample| (sample.at, sample.value.to_bits())));
        assert!(all.is_sorted_by(|one, next| one.0 < next.0), "times rise");
        self.left -= 1;
        if self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// What a stream holds.
#[derive(Default)]
struct Expected {
    series: Vec<Series>,
    /// Whether chunks are not sorted, or so many that too many may overlap. Then reading may fail.
    is_hard_to_merge: bool,
}

/// A label by itself: names may repeat, and their order tells series apart.
type Label = (String, String);

/// What a stream holds, or nothing when something is wrong with it.
fn reference(stream: &[u8], range: TimeRange) -> Option<Expected> {
    let mut expected = Expected::default();
    let mut last_labels: Vec<Label> = Vec::new();
    let mut samples: BTreeMap<i64, u64> = BTreeMap::new();
    let mut was_full = true;
    for message in messages(stream)? {
        for series in numbered(&fields(message)?, 1) {
            let is_full = series.bytes()?.len() >= FULL;
            let series = fields(series.bytes()?)?;
            let labels = numbered(&series, 1).map(|label| label_of(label.bytes()?)).collect::<Option<Vec<_>>>()?;
            if labels.len() > 1_000 {
                return None;
            }
            if labels != last_labels {
                expected.add(&last_labels, std::mem::take(&mut samples));
                last_labels = labels;
            } else if !was_full {
                // It is another series that looks the same.
                return None;
            }
            was_full = is_full;
            let chunks = numbered(&series, 2).map(|chunk| chunk_of(chunk.bytes()?, range));
            let chunks = chunks.collect::<Option<Vec<_>>>()?;
            let firsts: Vec<i64> = chunks.iter().filter_map(|chunk| Some(chunk.first()?.0)).collect();
            expected.is_hard_to_merge |= !firsts.is_sorted() || firsts.len() > MAX_OVERLAPPING;

            let mut of_message = BTreeMap::new();
            for (at, bits) in chunks.concat() {
                of_message.entry(at).or_insert(bits);
            }
            of_message.retain(|at, _| range.contains(*at));
            // A series goes on later, or it is another one that looks the same.
            if let (Some(last), Some(next)) = (samples.keys().next_back(), of_message.keys().next())
                && next <= last
            {
                return None;
            }
            samples.extend(of_message);
        }
    }
    expected.add(&last_labels, samples);
    Some(expected)
}

impl Expected {
    fn add(&mut self, labels: &[Label], mut samples: BTreeMap<i64, u64>) {
        samples.retain(|_, bits| *bits != STALE);
        if !samples.is_empty() {
            self.series.push((labels.iter().cloned().collect(), samples.into_iter().collect()));
        }
    }
}

/// The messages of frames whose lengths and checksums are right.
fn messages(mut stream: &[u8]) -> Option<Vec<&[u8]>> {
    let mut messages = Vec::new();
    while !stream.is_empty() {
        let bytes = stream.iter().position(|byte| *byte < 128)? + 1;
        let length = varint(&mut stream)?;
        if bytes > 4 || length > 16 << 20 {
            return None;
        }
        let checked = split(&mut stream, 4 + length)?;
        let message = &checked[4..];
        // A frame that is written ends like it, behind the length, which may have been written with zeros too many.
        if !frames::frame(message).ends_with(checked) {
            return None;
        }
        messages.push(message);
    }
    Some(messages)
}

/// What a field of a message holds.
enum Value<'m> {
    Integer(u64),
    Bytes(&'m [u8]),
    Other,
}

impl<'m> Value<'m> {
    fn integer(&self) -> Option<u64> {
        if let Value::Integer(value) = self { Some(*value) } else { None }
    }

    fn bytes(&self) -> Option<&'m [u8]> {
        if let Value::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

/// All fields of a message with their numbers.
fn fields(mut message: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let value = match tag % 8 {
            0 => Value::Integer(varint(&mut message)?),
            1 => split(&mut message, 8).map(|_| Value::Other)?,
            2 => {
                let length = varint(&mut message)?;
                Value::Bytes(split(&mut message, length)?)
            }
            5 => split(&mut message, 4).map(|_| Value::Other)?,
            _ => return None,
        };
        if tag < 8 || tag > u64::from(u32::MAX) {
            return None;
        }
        fields.push((tag / 8, value));
    }
    Some(fields)
}

fn split<'m>(rest: &mut &'m [u8], length: u64) -> Option<&'m [u8]> {
    let (bytes, later) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = later;
    Some(bytes)
}

fn numbered<'f, 'm>(fields: &'f [(u64, Value<'m>)], number: u64) -> impl Iterator<Item = &'f Value<'m>> {
    fields.iter().filter(move |(found, _)| *found == number).map(|(_, value)| value)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u128;
    for nth in 0..10 {
        let (&byte, later) = rest.split_first()?;
        *rest = later;
        value += u128::from(byte % 128) << (7 * nth);
        if byte < 128 {
            return u64::try_from(value).ok();
        }
    }
    None
}

fn label_of(message: &[u8]) -> Option<Label> {
    let fields = fields(message)?;
    let text = |number| {
        let texts = numbered(&fields, number).map(Value::bytes).collect::<Option<Vec<_>>>()?;
        String::from_utf8(texts.last().copied().unwrap_or_default().to_vec()).ok()
    };
    Some((text(1)?, text(2)?))
}

/// The samples of a chunk; none when it holds histograms outside the range.
fn chunk_of(message: &[u8], range: TimeRange) -> Option<Vec<(i64, u64)>> {
    let fields = fields(message)?;
    let integer = |number| {
        let integers = numbered(&fields, number).map(Value::integer).collect::<Option<Vec<_>>>()?;
        Some(integers.last().copied().unwrap_or_default())
    };
    let (min, max, kind) = (integer(1)? as i64, integer(2)? as i64, integer(3)?);
    let data = numbered(&fields, 4).map(Value::bytes).collect::<Option<Vec<_>>>()?;
    match kind {
        frames::XOR => chunks::decoded(data.last().copied().unwrap_or_default()),
        frames::HISTOGRAM | frames::FLOAT_HISTOGRAM if max < range.start || range.end < min => Some(Vec::new()),
        _ => None,
    }
}
