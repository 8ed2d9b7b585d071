//! The alerts of the chart in a real Prometheus: each fires for a mirror with its trouble, and no other does.
//!
//! The troubles are real, except for an internal error, which cannot be caused from outside: a page of metrics with such an error
//! replaces the mirror.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::metrics::is_busy;
use super::scraping::{ENGINES, Target, scrape};
use super::threads::User;
use super::{Held, begin, descriptors, test_connection};
use crate::http::{address, exchange};
use crate::support::mirror::{API_KEY, Mirror, condition};
use crate::support::process::free_port;
use crate::support::prometheus::{self, Prometheus};
use crate::support::samples::{HOUR, T0};
use crate::support::stub::{Reply, Request, Stub, good};
use crate::support::victoria;

/// The time within which all must fire, and how much longer the test waits for others.
const DEADLINE: Duration = Duration::from_secs(50);
const AFTERWARDS: Duration = Duration::from_secs(2);

/// The interval at which the trouble is repeated.
const INTERVAL: Duration = Duration::from_millis(200);

/// The timeout of reads from a mirror.
const PATIENCE: Duration = Duration::from_secs(20);

/// The durations in the rules, and those in this test. The alert for a target that is down keeps the longest.
const SHORTENED: [(&str, &str); 7] = [
    ("[5m]", "[15s]"),
    ("[10m]", "[15s]"),
    ("[1h]", "[60s]"),
    ("[7d]", "[60s]"),
    ("for: 5m", "for: 5s"),
    ("for: 10m", "for: 5s"),
    ("for: 1h", "for: 5s"),
];

/// The rules of the chart with durations that a test can wait for.
fn rules() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("chart/files/alerts.yaml");
    let rules = SHORTENED.iter().fold(std::fs::read_to_string(path).unwrap(), |rules, (long, short)| {
        assert!(rules.contains(long), "no {long} in the rules");
        rules.replace(long, short)
    });
    let is_long = |line: &&str| {
        let line = line.trim();
        ["m]", "h]", "d]"].iter().any(|end| line.contains(end)) || line.starts_with("for:") && !line.ends_with('s')
    };
    assert_eq!(rules.lines().find(is_long), None);
    rules
}

/// A mirror, its repeated trouble, and the alerts that fire for it, each with a part of its description.
struct Case {
    job: &'static str,
    mirror: Mirror,
    trouble: Box<dyn FnMut(&Mirror) + Send>,
    alerts: &'static [(&'static str, &'static str)],
}

impl Case {
    fn new(
        job: &'static str,
        mirror: Mirror,
        alerts: &'static [(&'static str, &'static str)],
        trouble: impl FnMut(&Mirror) + Send + 'static,
    ) -> Case {
        Case { job, mirror, trouble: Box::new(trouble), alerts }
    }
}

/// Does something the first time only.
fn once(act: impl Fn(&Mirror) + Send) -> impl FnMut(&Mirror) + Send {
    let mut is_done = false;
    move |mirror| {
        if !std::mem::replace(&mut is_done, true) {
            act(mirror);
        }
    }
}

/// Sends a test connection, and accepts any response.
fn test(mirror: &Mirror, details: &Value) {
    mirror.post("/api/connection", &json!({"connectionDetails": details}));
}

/// Sends this number of requests, which the upstream answers only when it is dropped, and then does something else.
fn held(requests: usize, mut then: impl FnMut(&Mirror, &Value) + Send) -> impl FnMut(&Mirror) + Send {
    let (upstream, mut waiting) = (Held::start(), Vec::new());
    move |mirror| {
        let mut details = upstream.stub.details();
        details["requestTimeout"] = json!(110_000);
        while waiting.len() < requests {
            waiting.push(begin(mirror, &test_connection(&details), PATIENCE));
            is_busy(mirror, 1, waiting.len() - 1);
        }
        then(mirror, &details);
    }
}

/// Mirrors with too much load.
fn busy() -> Vec<Case> {
    let one_worker = |queue| Mirror::start_with(&["--workers", "1", "--queue-size", queue]);
    let turned_away = |mirror: &Mirror, details: &Value| {
        assert_eq!(exchange(address(mirror), &test_connection(details)).status, 503);
    };
    vec![
        Case::new("overloaded", one_worker("0"), &[("PrometheusMirrorOverloaded", "refuses ")], held(1, turned_away)),
        Case::new(
            "queueing",
            one_worker("5"),
            &[("PrometheusMirrorQueueing", "has had at least 2 requests in its queue")],
            held(3, |_, _| ()),
        ),
    ]
}

/// Mirrors whose upstreams cannot be queried.
fn cut_off() -> Vec<Case> {
    let closed_port = json!({"host": "127.0.0.1", "port": free_port(), "scrapeInterval": 15_000});
    let [url, other] = [free_port(), free_port()].map(|port| format!("http://127.0.0.1:{port}"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("upstreams.yaml");
    std::fs::write(&file, format!("upstreams: [{{name: shop, urls: ['{url}', '{other}']}}]")).unwrap();
    let named = Mirror::start_with(&["--upstreams-file", file.to_str().unwrap()]);
    let (of_failing, of_proxy, stub) = (closed_port.clone(), closed_port, Stub::start(good));
    vec![
        Case::new(
            "failing",
            Mirror::start(),
            &[("PrometheusMirrorUpstreamFailing", "calls per second end with unreachable.")],
            move |mirror| test(mirror, &of_failing),
        ),
        Case::new(
            "failing_by_name",
            named,
            &[("PrometheusMirrorUpstreamFailing", "cannot query the upstream shop, or one of its replicas: ")],
            move |mirror| {
                let _folder: &TempDir = &folder;
                test(mirror, &json!({"upstream": "shop"}));
            },
        ),
        Case::new(
            "proxy",
            Mirror::start_with(&["--proxy", &url, "--no-proxy", ""]),
            &[("PrometheusMirrorProxyFailing", "cannot connect through its proxy: ")],
            move |mirror| test(mirror, &of_proxy),
        ),
        Case::new(
            "not_allowed",
            Mirror::start_with(&["--allow-upstream", "prometheus.example"]),
            &[("PrometheusMirrorUpstreamNotAllowed", "calls per second")],
            once(move |mirror| test(mirror, &stub.details())),
        ),
    ]
}

/// Mirrors with too few resources of the system.
fn short() -> Vec<Case> {
    let limited = || descriptors::start("ulimit -n 64");
    let user = User::new();
    let few_threads = Mirror::start_by(user.mirror(40, "4"));
    let many = |clients: usize| {
        once(move |mirror| {
            let silent: Vec<TcpStream> = (0..clients).map(|_| begin(mirror, b"", PATIENCE)).collect();
            thread::sleep(Duration::from_secs(1));
            drop(silent);
        })
    };
    // This number of connections, with 64 descriptors.
    const CLIENTS: usize = 46;
    let mut kept = VecDeque::new();
    vec![
        Case::new(
            "not_accepting",
            limited(),
            &[("PrometheusMirrorCannotAccept", "connections within 10 minutes.")],
            many(150),
        ),
        Case::new(
            "descriptors",
            limited(),
            &[("PrometheusMirrorDescriptorsScarce", "% of its file descriptors.")],
            // The mirror closes connections that are silent for longer than these.
            move |mirror| {
                let missing = CLIENTS.saturating_sub(kept.len()).max(1);
                kept.extend((0..missing).map(|_| begin(mirror, b"", PATIENCE)));
                kept.drain(..kept.len() - CLIENTS);
            },
        ),
        Case::new(
            "evicting",
            Mirror::start(),
            &[("PrometheusMirrorEvictingConnections", " closed or refused ")],
            many(2_048 + 300),
        ),
        Case::new("threads", few_threads, &[("PrometheusMirrorThreadsScarce", "threads within 10 minutes.")], {
            let mut many = many(60);
            move |mirror: &Mirror| {
                let _user = &user;
                many(mirror);
            }
        }),
    ]
}

/// Mirrors with a file that has become unusable.
fn broken_files() -> Vec<Case> {
    let case = |job, flag, good: &'static str, bad: &'static str, alerts| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, good).unwrap();
        let mirror = Mirror::start_with(&[flag, path.to_str().unwrap()]);
        Case::new(job, mirror, alerts, once(move |_| std::fs::write(folder.path().join("file"), bad).unwrap()))
    };
    vec![
        case(
            "key_file",
            "--api-key-file",
            API_KEY,
            "",
            &[(
                "PrometheusMirrorFileUnusable",
                " cannot use the new key file, and keeps the previous version. A restart would fail.",
            )],
        ),
        case(
            "upstreams_file",
            "--upstreams-file",
            "upstreams: [{name: a, url: 'http://prometheus.example'}]",
            "upstreams: [",
            &[(
                "PrometheusMirrorFileUnusable",
                " cannot use the new upstreams file, or a file that it names, and keeps the previous version.",
            )],
        ),
    ]
}

/// A mirror that works. Its clients make mistakes, and two of its upstreams, which it queries one after the other, have no remote
/// read.
fn well() -> Case {
    const CALLS_EACH: usize = 10;
    let gauge =
        |name: &str| json!({"conditions": [condition("__gauge__", name)], "startTime": T0, "endTime": T0 + HOUR});
    let expression = json!({"conditions": [condition("~", "1 +")], "startTime": T0, "endTime": T0 + HOUR});
    let upstreams = [prometheus::shared().details(), victoria::shared().details(), victoria::shared_newer().details()];
    let mut calls = 0;
    Case::new("well", Mirror::start(), &[], move |mirror| {
        let details = &upstreams[calls / CALLS_EACH % upstreams.len()];
        assert_eq!(mirror.metric(details, gauge("room_celsius")).status, 200);
        assert_eq!(mirror.metric(details, gauge("no_such_metric")).status, 500);
        assert_eq!(mirror.metric(details, expression.clone()).status, 500);
        assert_eq!(mirror.get("/nowhere").status, 404);
        calls += 1;
    })
}

fn cases() -> Vec<Case> {
    let stub = Stub::start(good);
    let odd = json!({"conditions": [condition("__counter__", "odd_total")], "startTime": T0, "endTime": T0 + HOUR});
    let others = vec![
        Case::new(
            "unauthorized",
            Mirror::start_with(&["--require-api-key", "true"]),
            &[("PrometheusMirrorUnauthorized", "requests per second with 401.")],
            once(move |mirror| test(mirror, &stub.details())),
        ),
        Case::new(
            "dropped",
            Mirror::start(),
            &[("PrometheusMirrorPointsDropped", "samples or points per second.")],
            move |mirror| {
                assert_eq!(mirror.metric(&prometheus::shared().details(), odd.clone()).status, 200);
            },
        ),
        Case::new(
            "down",
            Mirror::start(),
            &[("PrometheusMirrorDown", "has not answered on /metrics for 5 minutes.")],
            once(|mirror| mirror.signal("KILL")),
        ),
        well(),
    ];
    [busy(), cut_off(), short(), broken_files(), others].into_iter().flatten().collect()
}

/// A page of metrics with these lines.
fn page(lines: &'static str) -> impl Fn(&Request) -> Reply {
    move |_| Reply::http(200, "text/plain; version=0.0.4", lines)
}

const UNHURT: &str = "prometheusmirror_build_info{version=\"1\"} 1\nprometheusmirror_panics_total 0\n";
const PANICKED: &str = "prometheusmirror_build_info{version=\"1\"} 1\nprometheusmirror_panics_total 1\n";

/// Another program, to which the rules do not apply.
const OTHER: &str = "process_open_fds 99\nprocess_max_fds 100\n";

/// The alerts that fire: the job and the name of each.
type Fired = BTreeMap<(String, String), Value>;

/// Collects the alerts that fire until all of these have, and a little longer; or until the deadline.
fn watch(prometheus: &Prometheus, expected: &BTreeSet<(String, String)>) -> Fired {
    let mut fired = Fired::new();
    let mut end = Instant::now() + DEADLINE;
    let mut is_complete = false;
    while Instant::now() < end {
        let response = prometheus.api("/api/v1/alerts", &[]);
        for alert in response["data"]["alerts"].as_array().unwrap().iter().filter(|alert| alert["state"] == "firing") {
            let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
            fired.entry((label("job"), label("alertname"))).or_insert_with(|| alert.clone());
        }
        if !is_complete && expected.iter().all(|alert| fired.contains_key(alert)) {
            is_complete = true;
            end = Instant::now() + AFTERWARDS;
        }
        thread::sleep(INTERVAL);
    }
    fired
}

#[test]
fn each_alert_fires_for_the_mirror_in_trouble_alone() {
    rlimit::increase_nofile_limit(8_192).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.yaml");
    let rules = rules();
    std::fs::write(&file, &rules).unwrap();
    let mut cases = cases();
    let (panicking, other) = (Stub::start(page(UNHURT)), Stub::start(page(OTHER)));
    let at = |port: u16| format!("127.0.0.1:{port}");
    let mut targets: Vec<Target> = cases.iter().map(|case| Target::mirror(case.job, &case.mirror)).collect();
    targets.push(Target { job: "panicking", address: at(panicking.port()) });
    targets.push(Target { job: "other", address: at(other.port()) });
    targets.push(Target { job: "other_down", address: at(free_port()) });
    let mut expected = BTreeMap::from([(("panicking", "PrometheusMirrorPanicked"), "a defect in the program.")]);
    for case in &cases {
        expected.extend(case.alerts.iter().map(|(alert, says)| ((case.job, *alert), *says)));
    }
    let all: BTreeSet<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(expected.keys().map(|(_, alert)| *alert).collect::<BTreeSet<_>>(), all);
    let names = expected.keys().map(|(job, alert)| ((*job).to_owned(), (*alert).to_owned())).collect();

    let engines = ENGINES.map(|engine| scrape(engine, &targets, Some(&file)));
    panicking.behave(page(PANICKED));
    let is_over = AtomicBool::new(false);
    let fired = thread::scope(|scope| {
        for case in &mut cases {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    (case.trouble)(&case.mirror);
                    thread::sleep(INTERVAL);
                }
            });
        }
        let watching = engines.each_ref().map(|engine| scope.spawn(|| watch(engine, &names)));
        let fired = watching.map(ScopedJoinHandle::join);
        is_over.store(true, Ordering::SeqCst);
        fired.map(Result::unwrap)
    });

    for (fired, engine) in fired.into_iter().zip(ENGINES) {
        let found: BTreeSet<(String, String)> = fired.keys().cloned().collect();
        let differ: Vec<_> = found.symmetric_difference(&names).collect();
        assert!(differ.is_empty(), "{}: missing, or one too many: {differ:?}", engine.name());
        for ((job, alert), says) in &expected {
            let found = &fired[&((*job).to_owned(), (*alert).to_owned())];
            let instance = &targets.iter().find(|target| target.job == *job).unwrap().address;
            let description = found["annotations"]["description"].as_str().unwrap();
            assert_eq!(&found["labels"]["instance"], instance, "{found}");
            assert!(description.starts_with(instance.as_str()) && description.contains(says), "{description}");
        }
    }
}
