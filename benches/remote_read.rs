//! What a sample costs that is read by remote read: frames, messages and chunks decoded, samples summed up. The items
//! counted are samples. `cargo bench --bench remote_read`.

use std::ops::ControlFlow;

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher, black_box};

use prometheusmirror::internals;
use prometheusmirror::model::sample::{Labels, Sample, SampleSink};
use prometheusmirror::model::time::TimeRange;

#[allow(dead_code)]
#[path = "../tests/reference/xor_chunk.rs"]
mod chunks;
#[allow(dead_code)]
#[path = "../tests/reference/remote_read.rs"]
mod frames;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// 46 hours of samples, one every 15 seconds.
const COUNT: usize = 11_040;

/// The samples of a chunk as Prometheus cuts them.
const CHUNK: usize = 120;

const START_MS: i64 = 1_700_000_000_620;

const ALL: TimeRange = TimeRange { start: 0, end: 2 * START_MS };

/// What a series looks like.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A gauge whose steps are normally distributed: nearly all bits of its values change.
    Walk,
    /// A gauge with two decimals.
    Decimals,
    /// A counter of whole numbers.
    Counter,
    /// A value that does not change.
    Constant,
}

fn samples(kind: Kind) -> Vec<(i64, f64)> {
    let mut numbers = chunks::Numbers(1);
    let mut value = 1_000.0;
    let next = |nth: i64| {
        value += match kind {
            // Twelve uniform numbers make nearly a normal one.
            Kind::Walk => (0..12).map(|_| numbers.next() as f64 / u64::MAX as f64).sum::<f64>() - 6.0,
            Kind::Counter => numbers.below(250) as f64,
            Kind::Decimals | Kind::Constant => 0.0,
        };
        let value = if matches!(kind, Kind::Decimals) { numbers.below(10_000) as f64 / 100.0 } else { value };
        (START_MS + 15_000 * nth, value)
    };
    (0..COUNT as i64).map(next).collect()
}

/// The response of a server that has these samples.
fn response(samples: &[(i64, f64)]) -> Vec<u8> {
    let chunk = |samples: &[(i64, f64)]| {
        let (first, last) = (samples[0].0, samples[samples.len() - 1].0);
        frames::chunk(first, last, frames::XOR, &chunks::chunk(samples))
    };
    let chunks: Vec<_> = samples.chunks(CHUNK).map(chunk).collect();
    let labels = [("__name__", "node_load"), ("instance", "10.0.0.7:9100"), ("job", "node"), ("pod", "node-7x2x9")];
    frames::frame(&frames::response(&[frames::series(&labels, &chunks)]))
}

/// Looks at every sample and keeps none. To add numbers with a point would take as long as decoding them.
struct Sum {
    bits: u64,
    samples: usize,
}

impl SampleSink for Sum {
    fn begin(&mut self, _: impl FnOnce() -> Labels) {}

    fn take(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        self.bits = samples.iter().fold(self.bits, |sum, sample| sum ^ sample.value.to_bits());
        self.samples += samples.len();
        ControlFlow::Continue(())
    }
}

fn decode(bencher: Bencher, samples: &[(i64, f64)]) {
    let response = response(samples);
    let read = |mut body: &[u8]| {
        let mut sum = Sum { bits: 0, samples: 0 };
        internals::remote_read(&mut body, ALL, &mut sum).expect("a response");
        sum
    };
    assert_eq!(read(&response).samples, samples.len());
    let bencher = bencher.counter(BytesCount::of_slice(&response)).counter(ItemsCount::new(samples.len()));
    bencher.bench_local(|| read(black_box(&response)));
}

#[divan::bench(args = [Kind::Walk, Kind::Decimals, Kind::Counter, Kind::Constant])]
fn nearly_two_days(bencher: Bencher, kind: Kind) {
    decode(bencher, &samples(kind));
}

#[divan::bench(args = [Kind::Walk, Kind::Decimals, Kind::Counter, Kind::Constant])]
fn an_hour(bencher: Bencher, kind: Kind) {
    decode(bencher, &samples(kind)[..240]);
}
