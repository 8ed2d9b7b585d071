//! Responses without an end, in every place where a response can go on: the mirror reads them up to a bound, keeps little of
//! them, and stays below 400 MiB with eight workers that each read one. It uses PromQL or a shorter window instead where it can.

use serde_json::{Value, json};

use super::{Query, START, error_of, head, is_good};
use crate::support::mirror::{Mirror, Response};
use crate::support::process::memory;
use crate::support::stub::{After, Reply, Request, Stub, good};

/// How many are read at the same time, and the maximum memory of the mirror meanwhile, in bytes.
const WORKERS: usize = 8;
const MAX_MEMORY: u64 = 400 << 20;

/// The timeout of each in milliseconds: long enough, so that the bounds end them.
const PATIENCE: u64 = 100_000;

/// The outcome of an endless response.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// An error that says how many bytes are too many.
    TooLarge,
    /// An error that says that this is no Prometheus.
    Foreign,
    /// No error: the mirror does not need it.
    Missed,
    /// An error that says that there are several series.
    Several,
}

/// A response that begins like this and goes on without an end.
struct Endless {
    what: &'static str,
    path: &'static str,
    begin: String,
    after: After,
    outcome: Outcome,
}

const RANGE: &str = "/api/v1/query_range";
const SAMPLES: &str = "/api/v1/query";
const VALUES: &str = "/api/v1/label/job/values";
const METADATA: &str = "/api/v1/metadata";

impl Endless {
    /// The data of a response, in which something goes on.
    fn data(what: &'static str, path: &'static str, begin: &str, after: After) -> Endless {
        let outcome = if path == METADATA { Outcome::Missed } else { Outcome::TooLarge };
        Endless { what, path, begin: format!(r#"{{"status":"success","data":{begin}"#), after, outcome }
    }

    /// A matrix; it begins with the labels of its first series.
    fn matrix(what: &'static str, begin: &str, after: After) -> Endless {
        let begin = format!(r#"{{"resultType":"matrix","result":[{{"metric":{{{begin}"#);
        Endless::data(what, RANGE, &begin, after)
    }

    /// The same for a query of samples.
    fn of_samples(self) -> Endless {
        Endless { path: SAMPLES, ..self }
    }

    /// A response that is not a success, or not yet.
    fn other(what: &'static str, begin: &str, after: After) -> Endless {
        Endless { what, path: VALUES, begin: begin.to_owned(), after, outcome: Outcome::TooLarge }
    }

    fn query(&self) -> Query {
        match self.path {
            RANGE => Query::metric("~", "avg(stub_metric)", Some("MEAN")),
            SAMPLES => Query::metric("__gauge__", "stub_metric", None),
            METADATA => Query::values("__gauge__"),
            _ => Query::values("job"),
        }
    }

    /// An upstream with this response, and good ones at other paths.
    fn stub(&self) -> Stub {
        let (path, reply) = (self.path, self.reply());
        Stub::start(move |request| if request.path == path { reply.clone() } else { good(request) })
    }

    fn reply(&self) -> Reply {
        Reply::raw(format!("{}\r\n{}", head(""), self.begin)).then(self.after.clone())
    }

    /// Sends the query, and checks the outcome.
    fn check(&self, mirror: &Mirror, details: &Value) {
        let mut details = details.clone();
        details["requestTimeout"] = json!(PATIENCE);
        let response = self.query().ask(mirror, &details);
        let check_error = |kind: &str, says: &str| {
            let error = error_of(&response);
            assert_eq!(error["_type"], kind, "{}: {}", self.what, response.text);
            assert!(error["details"].as_str().unwrap().contains(says), "{}: {}", self.what, response.text);
        };
        match self.outcome {
            Outcome::TooLarge => {
                let remedy = if self.path == VALUES { "give a longer prefix" } else { "choose a shorter time range" };
                check_error("RemoteMirrorError", &format!("more than 33554432 bytes; {remedy}"));
            }
            Outcome::Foreign => check_error("MetricStoreConnectionError", "did not respond like a Prometheus: "),
            Outcome::Missed => assert!(is_good(&response), "{}: {}", self.what, response.text),
            Outcome::Several => check_error("RemoteMirrorError", "or more series match, but a response shows one"),
        }
    }
}

/// This text, repeated.
fn repeat(text: &str) -> After {
    After::Repeat(text.repeat(100_000 / text.len()).into_bytes())
}

/// The elements of this many numbers, a thousand at a time.
fn thousand(block: usize, element: impl Fn(usize) -> String) -> Vec<u8> {
    (1000 * block..1000 * (block + 1)).map(element).collect::<String>().into_bytes()
}

fn rising_samples() -> Endless {
    let samples = After::Count(|block| thousand(block, |nth| format!(r#",[{nth},"1"]"#)));
    Endless::matrix("samples of rising times", r#"},"values":[[-1,"1"]"#, samples)
}

fn long_value() -> Endless {
    Endless::matrix("a label's value", r#""a":""#, repeat("b"))
}

/// Series with one sample each, which is in the queried range.
fn series_in_range() -> Endless {
    let at = START / 1000 + 1;
    let series = After::Count(|block| {
        thousand(block, |nth| format!(r#",{{"metric":{{"n":"{nth}"}},"values":[[{},"1"]]}}"#, START / 1000 + 1))
    });
    Endless::matrix("series in the range", &format!(r#"}},"values":[[{at},"1"]]}}"#), series)
}

/// One of each kind.
fn all_kinds() -> Vec<Endless> {
    let long_name = format!(r#"["{}""#, "x".repeat(30 << 20));
    vec![
        rising_samples().of_samples(),
        Endless::matrix("samples of one time", r#"},"values":[[1,"1"]"#, repeat(r#",[1,"1"]"#)).of_samples(),
        Endless::matrix("series before the range", r#"},"values":[]}"#, repeat(r#",{"metric":{},"values":[[1,"1"]]}"#))
            .of_samples(),
        Endless { outcome: Outcome::Several, ..series_in_range().of_samples() },
        long_value().of_samples(),
        rising_samples(),
        Endless::matrix("samples of one time", r#"},"values":[[1,"1"]"#, repeat(r#",[1,"1"]"#)),
        Endless::matrix("series", r#"},"values":[]}"#, repeat(r#",{"metric":{"a":"b"},"values":[[1,"1"],[2,"2"]]}"#)),
        Endless {
            outcome: Outcome::Foreign,
            ..Endless::matrix(
                "labels",
                r#""a":"b""#,
                After::Count(|block| thousand(block, |nth| format!(r#","l{nth}":"""#))),
            )
        },
        long_value(),
        Endless::matrix("a time", r#"},"values":[[1"#, repeat("1")),
        Endless::matrix("a sample's value", r#"},"values":[[1,""#, repeat("1")),
        Endless::data("names", VALUES, r#"["""#, repeat(r#","""#)),
        Endless::data("long names", VALUES, r#"["""#, repeat(&format!(r#","{}""#, "y".repeat(100)))),
        Endless {
            outcome: Outcome::Foreign,
            ..Endless::data("one very long name", VALUES, &long_name, repeat(r#","""#))
        },
        Endless::data(
            "families",
            METADATA,
            r#"{"f":[]"#,
            After::Count(|block| thousand(block, |nth| format!(r#","f{nth}":[{{"type":"gauge"}}]"#))),
        ),
        Endless::data("declarations of one family", METADATA, r#"{"f":[{}"#, repeat(",{}")),
        Endless::other("warnings", r#"{"warnings":["""#, repeat(r#","""#)),
        Endless::other("an error", r#"{"status":"error","error":""#, repeat("e")),
        Endless::other("a text of no meaning", r#"{"u":""#, repeat("u")),
        Endless::other("white space", "{", repeat(" \n")),
        Endless::other("lists in lists", r#"{"deep":"#, repeat("[")),
        Endless { outcome: Outcome::Foreign, ..Endless::other("lists for an envelope", "", repeat("[")) },
        Endless { outcome: Outcome::Foreign, ..Endless::other("garbage", "", repeat("garbage")) },
    ]
}

/// A mirror with as many workers as responses are read at the same time.
fn mirror() -> Mirror {
    Mirror::start_with(&["--workers", &WORKERS.to_string()])
}

/// Gets these at the same time, one for each worker.
fn check_at_once(mirror: &Mirror, responses: &[Endless]) {
    assert!(responses.len() <= WORKERS);
    let stubs: Vec<Stub> = responses.iter().map(Endless::stub).collect();
    std::thread::scope(|scope| {
        for (endless, stub) in responses.iter().zip(&stubs) {
            scope.spawn(|| endless.check(mirror, &stub.details()));
        }
    });
    let peak = memory(mirror.pid(), "VmHWM");
    assert!(peak < MAX_MEMORY, "{} MiB of memory", peak >> 20);
    for (endless, stub) in responses.iter().zip(&stubs) {
        stub.behave(good);
        let response = endless.query().ask(mirror, &stub.details());
        assert!(is_good(&response), "after {}: {}", endless.what, response.text);
    }
}

#[test]
fn an_endless_response_is_ended_at_a_bound_wherever_it_goes_on() {
    let mirror = mirror();
    for some in all_kinds().chunks(WORKERS) {
        check_at_once(&mirror, some);
    }
}

#[test]
fn eight_endless_responses_stay_in_bounded_memory() {
    let mirror = mirror();
    // Those of which the mirror keeps the most, and those of which it reads the most before it can decode anything.
    check_at_once(&mirror, &[(); WORKERS].map(|()| rising_samples()));
    check_at_once(&mirror, &[(); WORKERS].map(|()| rising_samples().of_samples()));
    check_at_once(&mirror, &[(); WORKERS].map(|()| long_value()));
}

#[test]
fn a_gauge_whose_samples_have_no_end_is_aggregated_by_promql() {
    let mirror = mirror();
    for endless in [rising_samples(), series_in_range(), long_value()] {
        let what = endless.what;
        let promql = |request: &Request| request.promql().ends_with(']');
        let reply = endless.reply();
        let stub = Stub::start(move |request| if promql(request) { reply.clone() } else { good(request) });
        let mut query = Query::metric("__gauge__", "stub_metric", Some("MEAN"));
        query.fields["endTime"] = json!(START + 120_000);
        let mut details = stub.details();
        details["requestTimeout"] = json!(PATIENCE);
        let response = query.ask(&mirror, &details);
        let expected = [START, START + 60_000].map(|start| vec![1.5, start as f64, (start + 60_000) as f64]);
        assert_eq!(response.points(), expected, "{what}");
        let asked: Vec<String> = stub.requests().into_iter().map(|request| request.path).collect();
        assert_eq!(asked, [SAMPLES, SAMPLES, RANGE], "{what}: the samples, the probe, PromQL");
    }
}

#[test]
fn what_is_not_kept_of_a_response_takes_no_memory() {
    const BYTES: usize = 30 << 20;
    let mirror = mirror();
    let at = json!([START / 1000 + 1, "7"]).to_string();
    let again = format!(",{at}");
    let samples = format!("{at}{}", again.repeat(BYTES / again.len()));
    let result = format!(r#"{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{samples}]}}]}}"#);
    let reply = Reply::http(200, "application/json", format!(r#"{{"status":"success","data":{result}}}"#));
    let stub = Stub::start(move |request| if request.promql().ends_with(']') { reply.clone() } else { good(request) });
    let mut details = stub.details();
    details["requestTimeout"] = json!(PATIENCE);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let response = Query::metric("__gauge__", "stub_metric", None).ask(&mirror, &details);
                assert_eq!(response.points(), [[7.0, ((START / 1000 + 1) * 1000) as f64]]);
            });
        }
    });
    let peak = memory(mirror.pid(), "VmHWM");
    assert!(peak < 2 * BYTES as u64, "{} MiB of memory", peak >> 20);
}

/// Queries the values of a label with this number of values.
fn many_values(mirror: &Mirror, count: usize) -> Response {
    let names: Vec<String> = (0..count).map(|nth| nth.to_string()).collect();
    let stub = Stub::start(move |_| Reply::success(json!(names)));
    Query::values("job").ask(mirror, &stub.details())
}

#[test]
fn a_list_of_more_names_than_are_kept_is_refused_with_advice() {
    let mirror = Mirror::start();
    let whole = many_values(&mirror, 250_000);
    assert_eq!(whole.json["values"].as_array().map(Vec::len), Some(250_000), "{:.300}", whole.text);
    let refused = many_values(&mirror, 250_001);
    let error = error_of(&refused);
    assert_eq!(error["_type"], "RemoteMirrorError", "{}", refused.text);
    assert!(
        error["details"].as_str().unwrap().contains("more than 250000 names or values; give a longer prefix"),
        "{error}"
    );
}
