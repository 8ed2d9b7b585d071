//! Any query about any series has the response of the oracle, on each engine. Responses also fit together: raw and aggregated ones,
//! coarse and fine ones, pages and the whole, the first and the thousandth of a mirror.
//!
//! Series and queries depend on one seed, which a failure names.

use crate::support::ask::{Gateway, METHODS, Query, assert_cut};
use crate::support::engine::Engine;
use crate::support::oracle::{self, COUNTER, GAUGE, Kind, Nan, Rules, close};
use crate::support::samples::random::{LENGTH, START, again, seed};
use crate::support::samples::{HOUR, MINUTE, Random, SECOND, Sample, Series, T0, select, series};

type Points = Vec<Vec<f64>>;

/// A query of random series.
#[derive(Debug, Clone)]
struct RandomQuery {
    metric: &'static str,
    /// One series of the metric, or all of them.
    item: Option<String>,
    rules: Rules,
    range: (i64, i64),
    /// Method and bucket; `None` for a raw query.
    aggregation: Option<(&'static str, i64)>,
    limit: usize,
    latest_first: bool,
}

impl RandomQuery {
    /// A random query of one of these metrics.
    fn any(random: &mut Random, metrics: &[&'static str]) -> RandomQuery {
        let metric = *random.pick(metrics);
        let kind = if metric.contains("level") != random.chance(0.1) { GAUGE } else { COUNTER };
        let nan = *random.pick(&[Nan::None, Nan::Zero]);
        let scrape_interval = *random.pick(&[None, None, Some(15 * SECOND), Some(MINUTE), Some(5 * MINUTE)]);
        let item = select(metric, &[])[random.below(select(metric, &[]).len())].labels["item"].clone();
        let start = START - 20 * MINUTE + (random.next() * (LENGTH + 20 * MINUTE) as f64) as i64;
        let start = if random.chance(0.3) { start / MINUTE * MINUTE } else { start };
        let length = *random.pick(&[MINUTE, 10 * MINUTE, HOUR, LENGTH]);
        let end = start + ((0.2 + random.next()) * length as f64) as i64;
        let mut query = RandomQuery {
            metric,
            item: Some(item),
            rules: Rules { nan, scrape_interval, ..kind },
            range: (start, end),
            aggregation: None,
            limit: *random.pick(&[usize::MAX >> 32, usize::MAX >> 32, 1, 2, 10, 50]),
            latest_first: random.chance(0.3),
        };
        if random.chance(0.8) {
            let odd = 1 + (random.next() * MINUTE as f64) as i64;
            let sizes = [1001, 2098, 4100, 10_000, 15_000, 16_900, 60_000, 61_003, 300_000, 1_200_000, HOUR, odd];
            // At most 400 buckets, and rarely none.
            let most = if random.chance(0.9) { (end - start) / 2 } else { HOUR };
            let bucket = (*random.pick(&sizes)).min(most).max((end - start) / 400).max(1);
            query.aggregation = Some((*random.pick(&METHODS), bucket));
            query.item = query.item.filter(|_| random.chance(0.4));
        }
        query
    }

    fn query(&self) -> Query {
        let query =
            if self.rules.kind == Kind::Gauge { Query::gauge(self.metric) } else { Query::counter(self.metric) };
        let query = self.item.iter().fold(query, |query, item| query.label("item", item));
        let query = query.between(self.range.0, self.range.1).limit(self.limit).latest_first(self.latest_first);
        self.aggregation.map_or(query.clone(), |(method, bucket)| query.aggregated(method, bucket))
    }

    fn series(&self) -> Vec<&'static Series> {
        self.item.as_ref().map_or_else(|| select(self.metric, &[]), |item| select(self.metric, &[("item", item)]))
    }

    /// The response of the oracle without a limit, oldest first, by the rules `rules` within `range`.
    fn points(&self, engine: Engine, rules: Rules, range: (i64, i64)) -> Points {
        let stored: Vec<Series> = self.series().into_iter().map(|series| engine.stored(series)).collect();
        match self.aggregation {
            Some((method, bucket)) => rules.buckets(&stored.iter().collect::<Vec<_>>(), method, range, bucket),
            None => rules.raw(&stored[0], range.0, range.1),
        }
    }

    /// The response of the oracle.
    fn expected(&self, engine: Engine) -> (Points, bool) {
        oracle::cut(self.points(engine, self.rules, self.range), self.limit, self.latest_first)
    }

    fn ask(&self, gateway: &Gateway) -> crate::support::mirror::Response {
        let mut details = gateway.details.clone();
        details["nan_interpretation"] = if self.rules.nan == Nan::Zero { "ZERO" } else { "NONE" }.into();
        if let Some(interval) = self.rules.scrape_interval {
            details["scrapeInterval"] = interval.into();
        }
        gateway.mirror.metric(&details, self.query().0)
    }

    fn whole(&self, gateway: &Gateway) -> Points {
        let whole = RandomQuery { limit: 1_000_000, latest_first: false, ..self.clone() };
        whole.ask(gateway).points()
    }

    fn what(&self, engine: Engine) -> String {
        format!("{}, {}: {self:?}", again(), engine.name())
    }
}

/// The metrics whose names contain this.
fn metrics(part: &str) -> Vec<&'static str> {
    let names = crate::support::samples::all().iter().map(|series| series.name);
    let mut names: Vec<_> = names.filter(|name| name.starts_with("random_") && name.contains(part)).collect();
    names.dedup();
    names
}

/// The counters without gaps so long that they might have no rate, regardless of which part of them is read.
fn steady() -> Vec<&'static str> {
    let is_steady = |series: &&Series| {
        let times: Vec<i64> = series.samples.iter().filter(|s| s.value.is_finite()).map(|s| s.time).collect();
        times.windows(2).all(|pair| pair[1] - pair[0] <= 5 * MINUTE)
    };
    let names = metrics("total");
    names.into_iter().filter(|name| select(name, &[]).iter().all(is_steady)).collect()
}

/// This number of random queries on each engine.
fn for_any(salt: u64, metrics: &[&'static str], on: &[(Engine, usize)], check: impl Fn(Engine, &Gateway, RandomQuery)) {
    for (engine, count) in on {
        let gateway = Gateway::to_engine(*engine);
        let mut random = Random::new(seed().wrapping_mul(64).wrapping_add(salt));
        (0..*count).for_each(|_| check(*engine, &gateway, RandomQuery::any(&mut random, metrics)));
    }
}

/// This number on each.
fn each(count: usize) -> [(Engine, usize); 4] {
    Engine::ALL.map(|engine| (engine, count))
}

#[test]
fn any_query_has_the_response_of_the_oracle() {
    let mut on = each(400);
    on[0].1 = 3000;
    for_any(1, &metrics(""), &on, |engine, gateway, query| {
        assert_cut(&query.ask(gateway), &query.expected(engine), engine.tolerance(), &query.what(engine));
    });
}

#[test]
fn the_aggregate_of_one_gauge_is_the_aggregate_of_its_raw_points() {
    for_any(2, &metrics(""), &each(150), |engine, gateway, query| {
        let Some((method, bucket)) = query.aggregation else { return };
        let item = query.series()[0].labels["item"].clone();
        let query = RandomQuery { item: Some(item), rules: Rules { kind: Kind::Gauge, ..query.rules }, ..query };
        let raw = RandomQuery { aggregation: None, ..query.clone() }.whole(gateway);
        let samples = raw.iter().map(|point| Sample { time: point[1] as i64, value: point[0] }).collect();
        let expected = GAUGE.buckets(&[&series("raw", &[], samples)], method, query.range, bucket);
        let query = RandomQuery { limit: 1_000_000, latest_first: false, ..query };
        let response = query.ask(gateway);
        assert_cut(&response, &(expected, false), engine.tolerance(), &query.what(engine));
    });
}

#[test]
fn fine_buckets_of_sums_add_up_to_coarse_ones() {
    for_any(3, &metrics(""), &each(150), |engine, gateway, query| {
        let start = query.range.0;
        let bucket = query.aggregation.map_or(15 * SECOND, |(_, bucket)| bucket).min(20 * MINUTE);
        for method in ["SUM", "EVENT_COUNT"] {
            let ask = |bucket: i64, count: i64| {
                let range = (start, start + count * bucket);
                let aggregation = Some((method, bucket));
                RandomQuery { range, aggregation, ..query.clone() }.whole(gateway)
            };
            let (fine, coarse) = (ask(bucket, 12), ask(12 * bucket, 1));
            let total: f64 = fine.iter().map(|point| point[0]).sum();
            let (lengths, what) = ((fine.len(), coarse.len()), query.what(engine));
            assert_eq!(lengths, (12, 1), "{method} by {bucket} ms: {what}");
            assert!(close(total, coarse[0][0], 1e-12), "{method} by {bucket} ms: {total}, {}: {what}", coarse[0][0]);
        }
    });
}

/// All points, queried page by page as StackState does: again from the time of the last point. A raw query returns that point
/// again; buckets continue at the end of the last one, or before its start, so that the grid stays the same.
fn pages(gateway: &Gateway, query: &RandomQuery, what: &str) -> Points {
    let mut page = query.clone();
    let mut all: Points = Vec::new();
    loop {
        let response = page.ask(gateway);
        let mut points = response.points();
        assert!(points.len() <= page.limit, "{what}: {page:?}");
        if let [Some(last), Some(first)] = [all.last(), points.first()]
            && page.aggregation.is_none()
        {
            assert_eq!(first, last, "{what}: a page begins with another point: {page:?}");
            points.remove(0);
        }
        all.extend(points);
        if !response.is_partial() {
            return all;
        }
        let last = all.last().unwrap_or_else(|| panic!("{what}: partial, but empty: {page:?}"));
        match (page.aggregation, page.latest_first) {
            (None, false) => page.range.0 = last[1] as i64,
            (None, true) => page.range.1 = last[1] as i64,
            (Some(_), false) => page.range.0 = last[2] as i64,
            (Some(_), true) => page.range.1 = last[1] as i64,
        }
    }
}

#[test]
fn pages_make_exactly_the_one_large_response() {
    let metrics = [metrics("level"), steady()].concat();
    for_any(4, &metrics, &each(60), |engine, gateway, mut query| {
        // A gauge that is queried as a counter is not steady.
        query.rules.kind = if query.metric.contains("level") { Kind::Gauge } else { Kind::Counter };
        let mut whole = query.whole(gateway);
        query.limit = (whole.len() / 5).max(2);
        if query.latest_first {
            whole.reverse();
        }
        let what = query.what(engine);
        assert_eq!(pages(gateway, &query, &what), whole, "{what}");
    });
}

#[test]
fn pages_of_an_expression_make_exactly_the_one_large_response() {
    // Of a steady gauge: how long VictoriaMetrics takes a sample for the newest depends on what else it reads.
    for engine in Engine::ALL {
        let gateway = Gateway::to_engine(engine);
        // From before the first sample until after the last; also of metrics that do not exist.
        for promql in ["sum(room_celsius)", "no_such_metric"] {
            for (aggregation, latest_first) in [
                (None, false),
                (None, true),
                (Some(("SUM", 61_003)), false),
                (Some(("SUM", 61_003)), true),
                (Some(("MAX", 61_003)), false),
                (Some(("EVENT_COUNT", 20_000)), true),
            ] {
                let query = Query::expression(promql);
                let range = (T0 - 20 * MINUTE, T0 + 3 * HOUR + 20 * MINUTE);
                let ask = |range: (i64, i64), limit: usize| {
                    let query = query.clone().between(range.0, range.1).limit(limit).latest_first(latest_first);
                    let query = aggregation.map_or(query.clone(), |(method, size)| query.aggregated(method, size));
                    gateway.ask(&query)
                };
                let whole = ask(range, 1_000_000).points();
                let mut all: Points = Vec::new();
                let mut page = range;
                loop {
                    let response = ask(page, 20);
                    let points = response.points();
                    let again = usize::from(aggregation.is_none() && !all.is_empty());
                    all.extend(points.into_iter().skip(again));
                    if !response.is_partial() {
                        break;
                    }
                    let last = all.last().unwrap();
                    match (aggregation, latest_first) {
                        (Some(_), false) => page.0 = last[2] as i64,
                        (None, false) => page.0 = last[1] as i64,
                        (_, true) => page.1 = last[1] as i64,
                    }
                }
                let what = format!("{}, {}: {promql} {aggregation:?} {latest_first}", again(), engine.name());
                assert_eq!(all, whole, "{what}");
            }
        }
    }
}

#[test]
fn a_response_is_the_same_whatever_was_queried_before() {
    for_any(5, &metrics(""), &each(200), |engine, used, query| {
        // The used mirror has had all earlier queries; for some, a fresh one is started.
        let response = query.ask(used);
        if query.range.0 % 10 == 0 {
            let fresh = query.ask(&Gateway::to_engine(engine));
            assert_eq!(response.text, fresh.text, "{}", query.what(engine));
        }
    });
}
