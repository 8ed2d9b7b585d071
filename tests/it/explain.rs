//! Explanations: the samples that they list add up to the numbers of the response.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::ask::{Gateway, METHODS, Query, assert_error, assert_points};
use crate::support::engine::Engine;
use crate::support::mirror::{Mirror, Response};
use crate::support::oracle::{close, order_statistic};
use crate::support::prometheus;
use crate::support::samples::{DAY, HOUR, MINUTE, SECOND, Series, T0, one, select};
use crate::support::streamed;
use crate::support::stub::{Reply, Stub, forwarded};

/// Rounding error of a sum in another order.
const ROUNDING: f64 = 1e-9;

/// How many points are explained.
const EXPLAINED: usize = 20;

fn request(details: &Value, query: &Query) -> Value {
    json!({"connectionDetails": details, "query": query.0})
}

/// The explanation of a query. Checks that the response is the same as without it, and that it has all promised fields.
fn explained(gateway: &Gateway, query: &Query) -> Value {
    let request = request(&gateway.details, query);
    let plain = gateway.mirror.post("/api/metric", &request);
    let response = gateway.mirror.post_explained("/api/metric", &request);
    assert_eq!(plain.status, response.status, "{query:?}: {}", response.text);
    let begin = plain.text.strip_suffix('}').unwrap();
    assert!(response.text.starts_with(&format!("{begin},\"explanation\":")), "{query:?}: {:.2000}", response.text);
    response.json["explanation"].clone()
}

/// A sample `[time, value]` of an explanation.
fn sample(value: &Value) -> (i64, f64) {
    (value[0].as_i64().unwrap(), value[1].as_f64().unwrap())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// An increment of an explanation. Checks the fields that follow from its two samples.
struct Increment {
    from: i64,
    to: i64,
    increase: f64,
    has_rate: bool,
}

impl Increment {
    fn of(listed: &Value) -> Increment {
        let ((from, earlier), (to, later)) = (sample(&listed["from"]), sample(&listed["to"]));
        let increase = if later < earlier { later } else { later - earlier };
        assert_eq!(listed["increase"].as_f64(), Some(increase), "{listed}");
        let increment = Increment { from, to, increase, has_rate: !listed["perSecond"].is_null() };
        if increment.has_rate {
            assert!(close(listed["perSecond"].as_f64().unwrap(), increment.rate(), ROUNDING), "{listed}");
        }
        increment
    }

    fn seconds(&self) -> f64 {
        (self.to - self.from) as f64 / 1_000.0
    }

    fn rate(&self) -> f64 {
        self.increase / self.seconds()
    }

    /// Whether its rate is known at an instant.
    fn is_known_at(&self, at: i64) -> bool {
        self.to <= at && at <= self.to + 2 * (self.to - self.from)
    }
}

/// The contribution of a series to a point.
struct Share {
    samples: Vec<(i64, f64)>,
    increments: Vec<Increment>,
    last_known: Option<Increment>,
}

fn shares(point: &Value) -> Vec<Share> {
    let share = |one: &Value| Share {
        samples: list(&one["samples"]).iter().map(sample).collect(),
        increments: list(&one["increments"]).iter().map(Increment::of).collect(),
        last_known: Some(&one["lastKnown"]).filter(|one| !one.is_null()).map(Increment::of),
    };
    list(&point["madeOf"]).iter().map(share).collect()
}

/// The value of a point of gauges, computed from its samples; `None` if there is none.
fn of_gauges(method: &str, shares: &[Share]) -> Option<f64> {
    let values: Vec<f64> = shares.iter().flat_map(|share| &share.samples).map(|&(_, value)| value).collect();
    match method {
        "SUM" | "SUM_NO_ZEROS" => Some(values.iter().sum()),
        "EVENT_COUNT" | "EVENT_COUNT_NO_ZEROS" => Some(values.len() as f64),
        "MEAN" => Some(values.iter().sum::<f64>() / values.len() as f64),
        _ => order_statistic(method, values),
    }
}

/// The value of a point of counters, computed from its increments; `None` if there is none.
fn of_counters(method: &str, shares: &[Share], end: i64) -> Option<f64> {
    let increments = || shares.iter().flat_map(|share| &share.increments);
    match method {
        "SUM" | "SUM_NO_ZEROS" => Some(increments().map(|one| one.increase).sum()),
        "EVENT_COUNT" | "EVENT_COUNT_NO_ZEROS" => of_gauges(method, shares),
        "MEAN" => {
            let of_series = |share: &Share| match share.increments.is_empty() {
                true => share.last_known.as_ref().map_or(0.0, Increment::rate),
                false => {
                    let increase: f64 = share.increments.iter().map(|one| one.increase).sum();
                    increase / share.increments.iter().map(Increment::seconds).sum::<f64>()
                }
            };
            Some(shares.iter().map(of_series).sum())
        }
        _ => {
            let of_samples = shares.iter().flat_map(|share| &share.samples).map(|&(at, _)| at);
            let mut times: BTreeSet<i64> = of_samples.chain(increments().map(|one| one.to)).collect();
            if times.is_empty() {
                times.insert(end - 1);
            }
            let known = |share: &Share, at: i64| {
                let newest = share.last_known.iter().chain(&share.increments).rfind(|one| one.to <= at);
                newest.filter(|one| one.is_known_at(at)).map(Increment::rate)
            };
            let rate_at = |at: i64| {
                let rates: Vec<f64> = shares.iter().filter_map(|share| known(share, at)).collect();
                (!rates.is_empty()).then(|| rates.iter().sum::<f64>())
            };
            order_statistic(method, times.into_iter().filter_map(rate_at).collect())
        }
    }
}

/// The value of a raw point.
fn of_raw(is_counter: bool, shares: &[Share]) -> Option<f64> {
    let [share] = shares else { panic!("{} series", shares.len()) };
    if is_counter { Some(share.increments.first()?.rate()) } else { Some(share.samples.first()?.1) }
}

/// Checks that every listed sample is stored.
fn check_stored(explanation: &Value, stored: &[&Series], what: &str) {
    let of_series = |labels: &Value| {
        let is_it = |series: &&&Series| series.labels.iter().all(|(name, value)| labels[*name] == value.as_str());
        stored.iter().find(is_it).unwrap_or_else(|| panic!("{what}: no series {labels}"))
    };
    let check = |series: &Series, listed: &Value| {
        let (at, value) = sample(listed);
        assert!(series.samples.iter().any(|one| (one.time, one.value) == (at, value)), "{what}: no sample {listed}");
    };
    for point in list(&explanation["points"]) {
        for share in list(&point["madeOf"]) {
            let series = of_series(&explanation["series"][share["series"].as_u64().unwrap() as usize]["labels"]);
            list(&share["samples"]).iter().for_each(|listed| check(series, listed));
            for increment in
                list(&share["increments"]).iter().chain(Some(&share["lastKnown"]).filter(|one| !one.is_null()))
            {
                check(series, &increment["from"]);
                check(series, &increment["to"]);
            }
        }
    }
}

/// Checks that the first points are explained, and that each value follows from its explanation.
fn check_points(response: &Response, value_of: impl Fn(&[Share], i64) -> Option<f64>, what: &str) {
    let (points, explained) = (response.points(), list(&response.json["explanation"]["points"]));
    assert_eq!(explained.len(), points.len().min(EXPLAINED), "{what}");
    for (point, explained) in points.iter().zip(explained) {
        assert_eq!(
            (explained["value"].as_f64(), explained["time"].as_f64()),
            (Some(point[0]), Some(point[1])),
            "{what}"
        );
        assert_eq!(explained["end"].as_f64(), point.get(2).copied(), "{what}");
        assert!(explained["omitted"].is_null() && !explained["madeOf"].is_null(), "{what}: {explained}");
        let value = value_of(&shares(explained), point.get(2).map_or(0, |&end| end as i64));
        assert!(value.is_some_and(|value| close(value, point[0], ROUNDING)), "{what}: {value:?} of {explained}");
    }
}

#[test]
fn what_is_listed_adds_up_to_every_point_by_every_method() {
    let gateway = Gateway::to_prometheus();
    for (is_counter, name, range, bucket) in [
        (false, "room_celsius", (T0, T0 + HOUR), MINUTE),
        (false, "queue_depth", (T0 + HOUR - 7 * MINUTE, T0 + 2 * HOUR), 5 * MINUTE),
        (false, "gappy_level", (T0 + 41, T0 + 3 * HOUR), 73_331),
        (false, "odd_levels", (T0, T0 + HOUR), 45 * SECOND),
        (true, "http_requests_total", (T0 + HOUR + 7_123, T0 + 2 * HOUR), MINUTE),
        (true, "http_requests_total", (T0, T0 + HOUR), 10 * SECOND),
        (true, "uneven_total", (T0 + HOUR, T0 + 2 * HOUR), 20 * SECOND),
        (true, "gappy_total", (T0, T0 + 3 * HOUR), 2 * MINUTE),
        (true, "odd_total", (T0, T0 + 5 * MINUTE), 30 * SECOND),
        (true, "handover_total", (T0 + HOUR - 5 * MINUTE, T0 + 2 * HOUR), MINUTE),
        // More samples than are kept.
        (true, "changed_total", (T0 + HOUR, T0 + 2 * DAY), 30 * MINUTE),
    ] {
        for (method, latest_first) in METHODS.iter().zip([false, true].into_iter().cycle()) {
            let query = if is_counter { Query::counter(name) } else { Query::gauge(name) };
            let query = query.between(range.0, range.1).aggregated(method, bucket).latest_first(latest_first);
            let what = format!("{method} of {name} by {bucket} ms");
            let explanation = explained(&gateway, &query);
            check_stored(&explanation, &select(name, &[]), &what);
            let response = gateway.mirror.post_explained("/api/metric", &request(&gateway.details, &query));
            let value_of = |shares: &[Share], end: i64| {
                if is_counter { of_counters(method, shares, end) } else { of_gauges(method, shares) }
            };
            check_points(&response, value_of, &what);
        }
    }
}

#[test]
fn raw_points_are_samples_and_rates_between_two() {
    for engine in [Engine::Prometheus2, Engine::Victoria] {
        let gateway = Gateway::to_engine(engine);
        for (is_counter, name, label) in [
            (false, "gappy_level", ("rack", "r2")),
            (false, "odd_level", ("rack", "r1")),
            (true, "gappy_total", ("worker", "w1")),
            (true, "jobs_15s_total", ("worker", "w1")),
        ] {
            let query = if is_counter { Query::counter(name) } else { Query::gauge(name) };
            let query = query.label(label.0, label.1).between(T0 + 10 * MINUTE, T0 + 2 * HOUR);
            let response = gateway.mirror.post_explained("/api/metric", &request(&gateway.details, &query));
            check_points(&response, |shares, _| of_raw(is_counter, shares), name);
        }
    }
}

#[test]
fn an_explanation_says_what_was_queried_and_read() {
    let gateway = Gateway::to_prometheus();
    let query = Query::counter("http_requests_total").label("code", "500").between(T0 + HOUR, T0 + 2 * HOUR);
    let explanation = explained(&gateway, &query.aggregated("SUM", MINUTE));
    let address = format!("127.0.0.1:{}", gateway.details["port"]);
    assert_eq!(explanation["upstream"], json!(address));
    assert_eq!(explanation["source"], "remote read");
    assert!(explanation["rule"].as_str().unwrap().contains("sum of the increases"), "{explanation}");
    let call = &explanation["calls"][0];
    assert_eq!((&call["path"], &call["status"], &call["outcome"]), (&json!("/api/v1/read"), &json!(200), &json!("ok")));
    assert!(call["query"].as_str().unwrap().contains("code=\"500\""), "{call}");
    // The range, and an hour before it.
    assert_eq!(call["start"], json!(format!("{}.000", T0 / 1_000)));
    assert_eq!(call["end"], json!(format!("{}.999", (T0 + 2 * HOUR) / 1_000 - 1)));
    assert!(call["bytes"].as_u64().unwrap() > 500 && call["milliseconds"].as_f64().unwrap() > 0.0, "{call}");
    let stored = select("http_requests_total", &[("code", "500")]);
    let read = |series: &&Series| series.samples.iter().filter(|one| (T0..T0 + 2 * HOUR).contains(&one.time)).count();
    let samples: usize = stored.iter().map(read).sum();
    assert_eq!((&call["series"], &call["samples"]), (&json!(3), &json!(samples)));
    assert_eq!((&explanation["seriesTotal"], &explanation["samplesTotal"]), (&json!(3), &json!(samples)));
    for one in list(&explanation["series"]) {
        let labels = [("code", "500"), ("pod", one["labels"]["pod"].as_str().unwrap())];
        let series = select("http_requests_total", &labels)[0];
        assert_eq!(one["samples"], json!(read(&series)), "{one}");
        let spacing = one["medianSpacingMillis"].as_i64().unwrap();
        assert!((14_000..16_000).contains(&spacing), "{one}");
        let within: Vec<f64> = series
            .samples
            .iter()
            .filter(|one| (T0 + HOUR - 15_000..T0 + 2 * HOUR).contains(&one.time))
            .map(|one| one.value)
            .collect();
        let resets = within.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert_eq!((&one["resets"], &one["gaps"]), (&json!(resets), &json!(0)), "{one}");
    }
    assert_eq!(explanation["scrapeInterval"]["from"], "measured");
    let graph = explanation["graph"].as_str().unwrap();
    assert!(graph.starts_with(&format!("http://{address}/graph?g0.expr=sum%28rate")), "{graph}");
    assert!(graph.contains("range_input=3600s") && graph.ends_with("2020%2D09%2D14%2002%3A00%3A00"), "{graph}");

    let given = Gateway::to_prometheus().with("scrapeInterval", 20_000);
    let query = Query::gauge("odd_levels").between(T0, T0 + HOUR).aggregated("MAX", HOUR);
    let explanation = explained(&given, &query);
    assert_eq!(explanation["scrapeInterval"], json!({"milliseconds": 20_000, "from": "given"}));
    let values = || select("odd_levels", &[]).into_iter().flat_map(|series| &series.samples).map(|one| one.value);
    let (nan, infinite) =
        (values().filter(|one| one.is_nan()).count(), values().filter(|one| one.is_infinite()).count());
    assert_eq!(explanation["leftOut"], json!({"nan": nan, "infinite": infinite, "tooLarge": 0}));

    // No bucket fits into the range.
    for query in [Query::gauge("odd_levels"), Query::expression("sum(odd_levels)")] {
        let explanation = explained(&gateway, &query.between(T0, T0 + HOUR).aggregated("MAX", 2 * HOUR));
        assert_eq!((&explanation["source"], &explanation["points"]), (&json!(null), &json!([])), "{explanation}");
    }
}

#[test]
fn expressions_name_their_promql_and_too_many_samples_are_said_so() {
    let query = Query::expression("sum(room_celsius)").between(T0, T0 + 10 * MINUTE).aggregated("MAX", 5 * MINUTE);
    let explanation = explained(&Gateway::to_prometheus().with("scrapeInterval", 30_000), &query);
    let promql = "max_over_time(((sum(room_celsius)) > -Inf < Inf)[300s:30s])";
    assert_eq!(explanation["equivalentPromql"], promql);
    assert_eq!(explanation["calls"][0]["query"], promql, "{}", explanation["calls"]);

    // Prometheus refuses a subquery of a scalar, so its page would, too.
    let scalar = Query::expression("7").between(T0, T0 + 10 * MINUTE).aggregated("MAX", 5 * MINUTE);
    let promql = &explained(&Gateway::to_prometheus(), &scalar)["equivalentPromql"];
    assert_eq!(prometheus::shared().value(promql.as_str().unwrap(), T0 + 5 * MINUTE), Some(7.0), "{promql}");

    let gateway = Gateway::to_prometheus();
    let explanation = explained(&gateway, &Query::expression("sum(room_celsius)").between(T0, T0 + 10 * MINUTE));
    assert_eq!(
        (&explanation["source"], &explanation["calls"][0]["path"]),
        (&json!("PromQL"), &json!("/api/v1/query_range"))
    );
    assert_eq!(explanation["calls"][0]["query"], "sum(room_celsius)");
    assert_eq!(explanation["points"].as_array().unwrap().len(), EXPLAINED);
    assert!(explanation["points"][0]["madeOf"].is_null());

    // More samples in each series than are kept: the first points have their samples, the last have none.
    let query = Query::gauge("ten_days_level").between(T0, T0 + 10 * DAY).aggregated("EVENT_COUNT", 12 * HOUR);
    let explanation = explained(&gateway, &query);
    let points = list(&explanation["points"]);
    assert_eq!(points[0]["madeOf"][0]["samples"].as_array().unwrap().len(), 720);
    assert!(points[19]["madeOf"].is_null(), "{}", points[19]);
    assert!(explanation["notes"][0].as_str().unwrap().contains("shorter range"), "{}", explanation["notes"]);
}

#[test]
fn the_rule_of_points_that_promql_computes_says_so() {
    let stub = Stub::start(|request| forwarded(&prometheus::shared().url(""), request));
    stub.upon_reads(|_| streamed::endless::<T0>());
    let gateway = Gateway::to(stub.details());
    for (query, rule) in [
        (Query::gauge("room_celsius"), "The largest of the samples in the bucket, of all series."),
        (Query::counter("jobs_15s_total"), "The largest of the total rates at the samples in the bucket."),
    ] {
        let explanation = explained(&gateway, &query.between(T0, T0 + HOUR).aggregated("MAX", MINUTE));
        let said = explanation["rule"].as_str().unwrap();
        assert!(said.starts_with(rule) && said.ends_with(" PromQL computed it, so it may differ slightly."), "{said}");
    }
}

#[test]
fn resets_are_counted_in_the_whole_range_however_many_samples_there_are() {
    let days = one("ten_days_level", &[]);
    // No sample is at the end, which no bucket contains.
    let (start, end) = (T0 + DAY + 500, T0 + 9 * DAY + 500);
    let drops = days.samples.windows(2).filter(|pair| pair[1].value < pair[0].value && pair[1].time > start);
    let drops = drops.filter(|pair| pair[1].time <= end).count();
    let gateway = Gateway::to_prometheus();
    for query in [Query::counter("ten_days_level"), Query::counter("ten_days_level").aggregated("SUM", HOUR)] {
        for latest_first in [false, true] {
            let explanation = explained(&gateway, &query.clone().between(start, end).latest_first(latest_first));
            let series = &explanation["series"][0];
            assert!(series["samples"].as_u64().unwrap() > 10_000, "{series}");
            assert_eq!(series["resets"], drops, "{query:?}, latest first {latest_first}");
        }
    }
}

#[test]
fn the_equivalent_promql_of_start_and_end_has_their_times() {
    let gateway = Gateway::to_prometheus();
    let (start, end) = (T0 + HOUR + 500, T0 + 2 * HOUR);
    let query = Query::expression("ten_days_level - (ten_days_level @ start()) # end()").between(start, end);
    let at = format!("ten_days_level - (ten_days_level @ {}.500) # end()", (T0 + HOUR) / 1000);
    assert_eq!(explained(&gateway, &query)["equivalentPromql"], at);
    let explanation = explained(&gateway, &query.aggregated("MAX", 10 * MINUTE));
    let promql = explanation["equivalentPromql"].as_str().unwrap();
    assert!(promql.contains(&at), "{promql}");
    // The page of the upstream has another start and end.
    let bucket = &explanation["points"][1];
    let value = prometheus::shared().value(promql, bucket["end"].as_i64().unwrap() - 1).unwrap();
    assert!(close(value, bucket["value"].as_f64().unwrap(), ROUNDING), "{value} {bucket}");
    assert!(explanation["graph"].as_str().unwrap().contains("%40%20"), "{explanation}");
}

#[test]
fn every_method_and_every_error_can_be_explained() {
    let gateway = Gateway::to_prometheus();
    let Gateway { mirror, details } = &gateway;
    let times = json!({"startTime": T0, "endTime": T0 + HOUR, "conditions": []});
    let mut values = times.clone();
    values["field"] = json!({"fieldName": "room"});
    for (path, body, calls) in [
        ("/api/connection", json!({"connectionDetails": details}), 1),
        ("/api/field/name", json!({"connectionDetails": details, "query": times}), 1),
        ("/api/field/value", json!({"connectionDetails": details, "query": values}), 1),
    ] {
        let response = mirror.post_explained(path, &body);
        assert_eq!(response.status, 200, "{}", response.text);
        let plain = mirror.post(path, &body);
        assert!(response.text.starts_with(plain.text.strip_suffix('}').unwrap()), "{}", response.text);
        assert!(list(&response.json["explanation"]["calls"]).len() >= calls, "{path}: {}", response.text);
    }
    // Errors of Prometheus, and errors before it is queried.
    let refused =
        mirror.post_explained("/api/metric", &request(details, &Query::expression("sum(").between(T0, T0 + HOUR)));
    assert_error(&refused, "RemoteMirrorError", &[]);
    let call = &refused.json["explanation"]["calls"][0];
    assert_eq!((&call["status"], &call["query"]), (&json!(400), &json!("sum(")), "{}", refused.text);
    let unknown =
        mirror.post_explained("/api/metric", &request(details, &Query::gauge("nowhere").between(T0, T0 + HOUR)));
    assert_error(&unknown, "MetricNotFoundError", &["nowhere"]);
    assert!(list(&unknown.json["explanation"]["calls"]).len() > 1, "{}", unknown.text);
    let invalid = mirror.post_explained("/api/metric", &request(&json!({"host": 5}), &Query::gauge("x")));
    assert_eq!((invalid.status, &invalid.json["explanation"]), (500, &json!({"calls": []})), "{}", invalid.text);
    let no_json = mirror.post_explained("/api/metric", &json!("no object"));
    assert_eq!((no_json.status, &no_json.json["explanation"]), (400, &json!({"calls": []})), "{}", no_json.text);
    let closed =
        mirror.post_explained("/api/connection", &json!({"connectionDetails": {"host": "127.0.0.1", "port": 1}}));
    assert_eq!(closed.json["explanation"]["calls"][0]["outcome"], "unreachable", "{}", closed.text);
}

#[test]
fn the_equivalent_promql_of_a_counter_shows_nearly_the_same_values() {
    let gateway = Gateway::to_prometheus();
    let (start, end, bucket) = (T0 + HOUR, T0 + 2 * HOUR, 10 * MINUTE);
    for method in ["SUM", "MEAN", "EVENT_COUNT", "PERCENTILE_50"] {
        let query = Query::counter("http_requests_total").between(start, end).aggregated(method, bucket);
        let answer = gateway.mirror.post_explained("/api/metric", &request(&gateway.details, &query));
        let promql = answer.json["explanation"]["equivalentPromql"].as_str().unwrap();
        // A rate over four intervals is smoother than one between two samples.
        let tolerance = if method == "PERCENTILE_50" { 0.3 } else { 0.05 };
        assert_points(&answer, &prometheus::shared().buckets(promql, start, end, bucket), tolerance, promql);
    }
}

#[test]
fn no_secret_is_in_an_explanation() {
    let stub = Stub::start(|_| Reply::http(401, "text/plain", "hush-password is wrong"));
    let url = format!("http://user:hush-password@127.0.0.1:{}/hush-path/prometheus", stub.port());
    let mirror = Mirror::start();
    let details = json!({"url": url});
    for body in
        [request(&details, &Query::gauge("x")), request(&details, &Query::expression("1").between(T0, T0 + HOUR))]
    {
        let response = mirror.post_explained("/api/metric", &body);
        let basic = "dXNlcjpodXNoLXBhc3N3b3Jk"; // user:hush-password
        assert!(response.json["explanation"]["calls"][0]["status"] == 401, "{}", response.text);
        assert!(!response.text.contains("hush") && !response.text.contains(basic), "{}", response.text);
    }
    // There is no link to a page behind a hidden path.
    let port = prometheus::shared().details()["port"].clone();
    let good = mirror.post_explained(
        "/api/metric",
        &request(
            &json!({"url": format!("http://user:hush@127.0.0.1:{port}")}),
            &Query::expression("1").between(T0, T0 + MINUTE),
        ),
    );
    let graph = good.json["explanation"]["graph"].as_str().unwrap();
    assert!(
        graph.starts_with(&format!("http://127.0.0.1:{port}/graph?")) && !good.text.contains("hush"),
        "{}",
        good.text
    );
}
