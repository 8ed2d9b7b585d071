//! What a sample costs on its way: decoded from JSON, turned into a rate, aggregated, encoded. `cargo bench` measures all of it:
//! time, bytes and samples per second, allocations. `cargo bench -- decode` measures a part.

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher, black_box};

use prometheusmirror::api::metric_body;
use prometheusmirror::compute::aggregate::{AggregatePlan, Aggregator};
use prometheusmirror::compute::points::Points;
use prometheusmirror::compute::raw::{RawPlan, RawReader};
use prometheusmirror::internals;
use prometheusmirror::model::aggregation::Aggregation;
use prometheusmirror::model::query::{NanInterpretation, Order};
use prometheusmirror::model::sample::{Labels, Sample, SampleSink, SeriesSet};
use prometheusmirror::model::sample_kind::SampleKind;
use prometheusmirror::model::time::{LATEST_MS, TimeRange};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// An hour of samples, the most steps of a range query, and far more than is read at once.
const SIZES: [usize; 3] = [240, 11_000, 100_000];

/// Who writes an answer.
#[derive(Debug, Clone, Copy)]
enum Server {
    Prometheus,
    VictoriaMetrics,
}

/// Samples of a scrape every 15 seconds: a gauge with two decimals, or a counter with resets.
fn samples(count: usize, is_counter: bool) -> Vec<Sample> {
    let value = |nth: usize| match is_counter {
        true => ((nth * 37) % 250_000) as f64,
        false => 2_000.0 + ((nth * 7_919) % 10_007) as f64 / 100.0,
    };
    (0..count).map(|nth| Sample { at: 1_700_000_000_620 + 15_000 * nth as i64, value: value(nth) }).collect()
}

/// An answer with one series, as the server writes it.
fn body(server: Server, samples: &[Sample]) -> Vec<u8> {
    let pair = |sample: &Sample| {
        let time = format!("{}.{:03}", sample.at / 1000, sample.at % 1000);
        let time = match server {
            Server::Prometheus => time.as_str(),
            Server::VictoriaMetrics => time.trim_end_matches('0'),
        };
        format!("[{time},\"{}\"]", sample.value)
    };
    let pairs: Vec<String> = samples.iter().map(pair).collect();
    let labels =
        r#""__name__":"node_load","instance":"10.0.0.7:9100","job":"node","namespace":"shop","pod":"node-7x2x9""#;
    let stats = match server {
        Server::Prometheus => "",
        Server::VictoriaMetrics => r#","stats":{"seriesFetched":"1","executionTimeMsec":3}"#,
    };
    let series = format!(r#"{{"metric":{{{labels}}},"values":[{}]}}"#, pairs.join(","));
    let data = format!(r#"{{"resultType":"matrix","result":[{series}]}}"#);
    format!(r#"{{"status":"success","data":{data}{stats}}}"#).into_bytes()
}

fn found(mut body: &[u8]) -> SeriesSet {
    internals::response(&mut body).expect("an answer").data.expect("a result").found
}

fn points(samples: Vec<Sample>) -> Points {
    let mut points = Points::new(1_000_000, Order::OldestFirst);
    points.add_samples(samples);
    points
}

fn decode(bencher: Bencher, server: Server, count: usize) {
    let body = body(server, &samples(count, false));
    assert_eq!(found(&body).series[0].samples.len(), count);
    let bencher = bencher.counter(BytesCount::of_slice(&body)).counter(ItemsCount::new(count));
    bencher.bench_local(|| internals::response(&mut black_box(body.as_slice())));
}

#[divan::bench(args = SIZES)]
fn decode_prometheus(bencher: Bencher, count: usize) {
    decode(bencher, Server::Prometheus, count);
}

#[divan::bench(args = SIZES)]
fn decode_victoriametrics(bencher: Bencher, count: usize) {
    decode(bencher, Server::VictoriaMetrics, count);
}

/// Whatever is asked for, this is within.
const ALL: TimeRange = TimeRange { start: 0, end: LATEST_MS };

/// Samples of a series, a chunk at a time, as they are read.
fn hand_on<S: SampleSink>(mut sink: S, samples: &[Sample]) -> S {
    sink.begin(Labels::new);
    let _ = samples.chunks(120).try_for_each(|chunk| match sink.take(chunk).is_continue() {
        true => Ok(()),
        false => Err(()),
    });
    sink
}

fn raw(samples: &[Sample], is_counter: bool) -> Vec<Sample> {
    let kind = if is_counter { SampleKind::Counter(None) } else { SampleKind::Gauge(NanInterpretation::None) };
    hand_on(RawReader::new(RawPlan::new(kind, ALL)), samples).into_result().points
}

#[divan::bench(args = [11_000])]
fn rate(bencher: Bencher, count: usize) {
    let samples = samples(count, true);
    bencher.counter(ItemsCount::new(count)).bench_local(|| raw(black_box(&samples), true));
}

/// Samples of four days in buckets of an hour.
fn aggregate(bencher: Bencher, kind: SampleKind, method: &str) {
    const SAMPLES: usize = 23_040;
    let samples = samples(SAMPLES, kind != SampleKind::Gauge(NanInterpretation::None));
    let range = TimeRange { start: samples[0].at, end: samples[SAMPLES - 1].at };
    let aggregation = Aggregation::new(method, 3_600_000).expect("a method");
    let plan = AggregatePlan::new(kind, aggregation, range, 1_000, Order::OldestFirst);
    bencher.counter(ItemsCount::new(SAMPLES)).bench_local(|| {
        let mut aggregator = hand_on(Aggregator::new(plan), black_box(&samples));
        aggregator.end();
        aggregator.into_points().map(Points::into_list)
    });
}

#[divan::bench(args = ["EVENT_COUNT", "SUM", "MEAN", "MAX", "PERCENTILE_95"])]
fn aggregate_gauge(bencher: Bencher, method: &str) {
    aggregate(bencher, SampleKind::Gauge(NanInterpretation::None), method);
}

#[divan::bench(args = ["SUM", "MEAN", "MAX", "PERCENTILE_95"])]
fn aggregate_counter(bencher: Bencher, method: &str) {
    aggregate(bencher, SampleKind::Counter(None), method);
}

fn encode(bencher: Bencher, samples: &[Sample], aggregation: Option<Aggregation>) {
    let size = metric_body(points(samples.to_vec()), aggregation).len();
    let bencher = bencher.counter(BytesCount::new(size)).counter(ItemsCount::new(samples.len()));
    bencher.with_inputs(|| points(samples.to_vec())).bench_local_values(|points| metric_body(points, aggregation));
}

#[divan::bench(args = [240, 11_000])]
fn encode_raw(bencher: Bencher, count: usize) {
    encode(bencher, &samples(count, false), None);
}

/// Values of all digits.
#[divan::bench(args = [240, 11_000])]
fn encode_rates(bencher: Bencher, count: usize) {
    let rates: Vec<Sample> =
        samples(count, false).into_iter().map(|at| Sample { value: at.value / 15.0, ..at }).collect();
    encode(bencher, &rates, None);
}

#[divan::bench(args = [96])]
fn encode_aggregated(bencher: Bencher, count: usize) {
    encode(bencher, &samples(count, false), Aggregation::new("MEAN", 900_000).ok());
}

/// From the bytes of Prometheus to those for StackState; the bytes counted are those of Prometheus.
fn whole_way(bencher: Bencher, count: usize, is_counter: bool) {
    let body = body(Server::Prometheus, &samples(count, is_counter));
    let bencher = bencher.counter(BytesCount::of_slice(&body)).counter(ItemsCount::new(count));
    bencher.bench_local(|| {
        let found = found(black_box(&body));
        metric_body(points(raw(&found.series[0].samples, is_counter)), None)
    });
}

#[divan::bench(args = [240, 11_000])]
fn whole_way_gauge(bencher: Bencher, count: usize) {
    whole_way(bencher, count, false);
}

#[divan::bench(args = [240, 11_000])]
fn whole_way_counter(bencher: Bencher, count: usize) {
    whole_way(bencher, count, true);
}
