//! What the mirror keeps from one request for the next: connections that die, probes that fail, labels forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Question, error_of, in_time, is_good};
use crate::support::mirror::{Mirror, condition};
use crate::support::process::{open_descriptors, wait_until};
use crate::support::stub::{After, Reply, Request, Stub, good};

#[test]
fn of_several_dead_connections_only_one_costs_a_try() {
    let mirror = Mirror::start();
    // Every connection is closed upon its second request, when the mirror has taken it for a good one.
    let stub = Stub::start(|request: &Request| match request.nth {
        0 => good(request).delayed(Duration::from_millis(300)),
        _ => Reply::raw("").then(After::Close),
    });
    let question = Question::values("job");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(is_good(&question.ask(&mirror, &stub.details()))));
        }
    });
    // One that started late may have met a dead connection already.
    assert!(stub.requests().len() >= 4);
    let answer = question.ask(&mirror, &stub.details());
    assert!(is_good(&answer), "{}", answer.text);
}

#[test]
fn faults_leave_no_connection_open() {
    /// How many ask at the same time.
    const CLIENTS: usize = 8;
    let mirror = Mirror::start();
    let stub = Stub::start(good);
    let ask_at_once = |details: &Value| {
        let answers = std::thread::scope(|scope| {
            let ask = || Question::values("job").ask(&mirror, details);
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
        });
        answers.iter().filter(|answer| is_good(answer)).count()
    };
    // Each of them has a connection of its own then.
    stub.behave(|request| good(request).delayed(Duration::from_millis(200)));
    assert_eq!(ask_at_once(&stub.details()), CLIENTS);
    let before = open_descriptors(mirror.pid());

    let begun = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{";
    for (fault, reply) in [
        ("no answer", Reply::raw("").then(After::Close)),
        ("a reset", Reply::raw("").then(After::Reset)),
        ("silence", Reply::raw("").then(After::Hang)),
        ("half an answer, closed", Reply::raw(begun).then(After::Close)),
        ("half an answer, reset", Reply::raw(begun).then(After::Reset)),
        ("half an answer, silent", Reply::raw(begun).then(After::Hang)),
        ("garbage", Reply::raw("garbage").then(After::Hang)),
        ("HTML without an end", Reply::raw("HTTP/1.1 200 OK\r\n\r\n").then(After::Repeat(vec![b'<'; 1 << 16]))),
        ("a refusal", Reply::http(403, "text/plain", "no")),
        ("a refusal without an end", Reply::raw("HTTP/1.1 401 X\r\n\r\n").then(After::Repeat(vec![b' '; 1 << 16]))),
        ("a redirect", Reply::http(302, "text/plain", "elsewhere")),
    ] {
        stub.behave(move |_| reply.clone());
        assert_eq!(ask_at_once(&in_time(stub.details())), 0, "{fault}");
    }
    stub.behave(|request| good(request).delayed(Duration::from_millis(200)));
    assert_eq!(ask_at_once(&stub.details()), CLIENTS);
    // Those of clients end some time after their last reply. One connection for each fault would be eleven too many.
    let (most, now) = (before + 4, || open_descriptors(mirror.pid()));
    wait_until(|| format!("of {} descriptors no more than {most} are open", now()), || now() <= most);
}

#[test]
fn a_probe_that_failed_is_asked_again() {
    let mirror = Mirror::start();
    let is_broken = Arc::new(AtomicBool::new(true));
    let broken = Arc::clone(&is_broken);
    // An engine with closed ranges, once it answers.
    let stub = Stub::start(move |request| {
        let four = json!({"resultType": "vector", "result": [{"metric": {}, "value": [0, "4"]}]});
        match request.promql().contains("vector(0)") {
            true if broken.load(Ordering::SeqCst) => Reply::error(500, "internal", "not now"),
            true => Reply::success(four),
            false => good(request),
        }
    });
    let question = Question::metric("__gauge__", "stub_metric", Some("SUM"));
    let answer = question.ask(&mirror, &stub.details());
    assert_eq!(error_of(&answer)["_type"], "RemoteMirrorError", "{}", answer.text);
    is_broken.store(false, Ordering::SeqCst);
    assert!(is_good(&question.ask(&mirror, &stub.details())));
    assert_eq!(stub.queries("sum_over_time(")[0].promql(), r#"sum(sum_over_time({__name__="stub_metric"}[59999ms]))"#);
}

/// An instant query's matrix of so many series.
fn matrix(series: usize) -> Value {
    let one = |nth| json!({"metric": {"job": "a", "pod": format!("p{nth}")}, "values": [[1_700_000_100, "1"]]});
    json!({"resultType": "matrix", "result": (0..series).map(one).collect::<Vec<_>>()})
}

#[test]
fn too_many_metrics_says_how_many_however_many() {
    let mirror = Mirror::start();
    let question = Question::metric("__gauge__", "stub_metric", None);
    for count in [2, 100, 101, 5_000] {
        let stub = Stub::start(move |_| Reply::success(matrix(count)));
        let error = question.ask(&mirror, &stub.details()).json;
        assert_eq!(error["summary"], "Too many metrics.", "{error}");
        let details = error["details"].as_str().unwrap();
        assert!(details.starts_with(&format!("{count} series")) && details.contains("differ in pod:"), "{details}");
    }
}

#[test]
fn of_more_series_than_are_kept_none_is_taken_for_the_only_one() {
    let mirror = Mirror::start();
    // A counter whose earlier series have ended in the five minutes before the range, and one that lives.
    let (start, at) = (1_700_000_000_000_i64, |second: i64| 1_700_000_000 + second);
    let query = json!({"conditions": [condition("__counter__", "c")], "startTime": start, "endTime": start + 60_000});
    for ended in [0, 99, 100, 101, 150] {
        let series = |pod: String, samples: Value| json!({"metric": {"__name__": "c", "pod": pod}, "values": samples});
        let old = |nth| series(format!("old{nth}"), json!([[at(-200), "1"], [at(-100), "2"]]));
        let living = series("living".to_owned(), json!([[at(10), "10"], [at(20), "40"]]));
        let result: Vec<Value> = (0..ended).map(old).chain([living]).collect();
        let stub = Stub::start(move |_| Reply::success(json!({"resultType": "matrix", "result": result})));
        let answer = mirror.post("/api/metric", &json!({"connectionDetails": stub.details(), "query": query}));
        if ended < 100 {
            assert_eq!(answer.json["telemetry"]["points"], json!([[3.0, start + 20_000]]), "{ended}: {}", answer.text);
        } else {
            assert_eq!(answer.json["summary"], "Too many metrics.", "{ended}: {}", answer.text);
            let details = answer.json["details"].as_str().unwrap();
            assert!(details.starts_with(&format!("{} series", ended + 1)), "{details}");
        }
    }
}

#[test]
fn an_answer_too_large_for_its_many_series_says_too_many_metrics() {
    let mirror = Mirror::start();
    let stub = Stub::start(|request| match request.promql().starts_with("count(") {
        true => Reply::success(json!({"resultType": "vector", "result": [{"metric": {}, "value": [0, "70000"]}]})),
        false => Reply::raw("HTTP/1.1 200 OK\r\n\r\n{\"status\":").then(After::Repeat(vec![b' '; 1 << 16])),
    });
    let error = Question::metric("__gauge__", "stub_metric", None).ask(&mirror, &stub.details()).json;
    assert_eq!(error["summary"], "Too many metrics.", "{error}");
    let details = error["details"].as_str().unwrap();
    assert!(
        details.starts_with("70000 series where one list of points has room for one: add a condition"),
        "{details}"
    );
}
