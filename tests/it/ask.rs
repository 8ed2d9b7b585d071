//! `prometheusmirror ask`: the same responses as from a mirror, in a shell.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::ask::{Gateway, Query};
use crate::support::mirror::{API_KEY, BINARY, Mirror};
use crate::support::process::require;
use crate::support::prometheus;
use crate::support::samples::{HOUR, MINUTE, T0};
use crate::support::stub::{Reply, Stub, good};

/// The program with these arguments and no settings.
fn program(args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    program(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn url() -> String {
    prometheus::shared().url("")
}

/// `ask` with the Prometheus that has the samples of the tests. It must succeed.
fn ask(args: &[&str]) -> String {
    let output = run(&[&["ask", "--url", &url()], args].concat());
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    assert_eq!(stderr(&output), "", "{args:?}");
    stdout(&output)
}

fn times() -> [String; 4] {
    ["--start".to_owned(), T0.to_string(), "--end".to_owned(), (T0 + HOUR).to_string()]
}

fn with_times<'a>(args: &[&'a str], times: &'a [String]) -> Vec<&'a str> {
    args.iter().copied().chain(times.iter().map(String::as_str)).collect()
}

#[test]
fn every_query_is_answered_as_a_mirror_answers_it() {
    let gateway = Gateway::to(json!({"url": url()}));
    let range = times();
    let check = |args: &[&str], expected: String| {
        assert_eq!(
            ask(&with_times(&[args, &["--format", "json"]].concat(), &range)),
            format!("{expected}\n"),
            "{args:?}"
        );
    };
    let between = |query: Query| query.between(T0, T0 + HOUR);
    let response = |query: Query| gateway.ask(&between(query)).text;
    assert_eq!(ask(&["--test", "--format", "json"]), format!("{}\n", gateway.connection().text));
    check(&["--gauge", "room_celsius"], response(Query::gauge("room_celsius")));
    check(
        &[
            "--counter", "http_requests_total", "--label", "pod=a", "--label", "code=500", "--method", "MEAN",
            "--bucket", "5m",
        ],
        response(
            Query::counter("http_requests_total").label("pod", "a").label("code", "500").aggregated("MEAN", 5 * MINUTE),
        ),
    );
    check(
        &["--gauge", "room_celsius", "--method", "max", "--latest-first", "--limit", "3"],
        response(Query::gauge("room_celsius").aggregated("max", MINUTE).latest_first(true).limit(3)),
    );
    check(
        &["--expression", "sum(room_celsius)", "--method", "SUM"],
        response(Query::expression("sum(room_celsius)").aggregated("SUM", MINUTE)),
    );
    let fields = |path: &str, mut query: Value| {
        (query["startTime"], query["endTime"], query["conditions"]) = (json!(T0), json!(T0 + HOUR), json!([]));
        gateway.mirror.post(path, &json!({"connectionDetails": gateway.details, "query": query})).text
    };
    check(&["--names"], fields("/api/field/name", json!({})));
    let prefixed = json!({"field": {"fieldName": "__counter__"}, "fieldValuePrefix": "http_", "limit": 5});
    check(&["--values", "__counter__", "--prefix", "http_", "--limit", "5"], fields("/api/field/value", prefixed));
}

#[test]
fn several_values_of_a_label_are_any_of_them() {
    let range = times();
    let one = |args: &[&str]| {
        ask(&with_times(
            &[&["--counter", "http_requests_total", "--method", "SUM", "--bucket", "1h", "--format", "csv"], args]
                .concat(),
            &range,
        ))
    };
    let sum = |csv: &str| csv.lines().nth(1).unwrap().rsplit(',').next().unwrap().parse::<f64>().unwrap();
    let (a, b) = (sum(&one(&["--label", "pod=a"])), sum(&one(&["--label", "pod=b"])));
    assert_eq!(sum(&one(&["--label", "pod=a", "--label", "pod=b"])), a + b);
}

#[test]
fn points_are_shown_as_a_table_or_as_csv_and_as_a_plot_on_a_terminal() {
    let range = times();
    let gauge = ["--gauge", "room_celsius", "--method", "MEAN", "--bucket", "30m"];
    let expected = Gateway::to_prometheus()
        .ask(&Query::gauge("room_celsius").between(T0, T0 + HOUR).aggregated("MEAN", 30 * MINUTE));
    let values: Vec<String> =
        expected.json["telemetry"]["points"].as_array().unwrap().iter().map(|point| point[0].to_string()).collect();
    // `date --utc --date=@1600041600 +%FT%TZ`
    let starts = ["2020-09-14T00:00:00Z", "2020-09-14T00:30:00Z", "2020-09-14T01:00:00Z"];
    let csv = format!(
        "start,end,value\n{},{},{}\n{},{},{}\n",
        starts[0], starts[1], values[0], starts[1], starts[2], values[1]
    );
    assert_eq!(ask(&with_times(&[&gauge[..], &["--format", "csv"]].concat(), &range)), csv);
    let table = ask(&with_times(&gauge, &range));
    let cells: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        cells,
        [vec!["start", "end", "value"], vec![starts[0], starts[1], &values[0]], vec![starts[1], starts[2], &values[1]]]
    );
    assert!(ask(&with_times(&[&gauge[..], &["--plot"]].concat(), &range)).contains('┤'));
    assert_eq!(ask(&["--test"]), "OK\n");
    let names = ask(&["--names"]);
    assert!(names.lines().any(|name| name == "__gauge__") && names.lines().all(|name| !name.contains(' ')), "{names}");

    // On a terminal, a plot is below the table.
    require("script", "bsdutils");
    let command =
        format!("{BINARY} ask --url {} {}", url(), with_times(&["--gauge", "room_celsius"], &range).join(" "));
    let output = Command::new("script").args(["-qec", &command, "/dev/null"]).stdin(Stdio::null()).output().unwrap();
    let shown = stdout(&output);
    assert!(shown.contains('┤') && shown.lines().all(|line| line.trim_end().chars().count() <= 80), "{shown}");
}

/// The lines that a command shows in a terminal of 80 columns, and the same with wrapped lines joined.
fn in_terminal(command: &str) -> [String; 2] {
    require("tmux", "tmux");
    let folder = tempfile::tempdir().unwrap();
    let tmux = |args: &[&str]| {
        let mut tmux = Command::new("tmux");
        let output =
            tmux.args(["-f", "/dev/null", "-S"]).arg(folder.path().join("socket")).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    tmux(&["new-session", "-d", "-x", "80", "-y", "200", &format!("{command}; echo end=$?; sleep 60")]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !tmux(&["capture-pane", "-p"]).contains("end=") {
        assert!(Instant::now() < deadline, "{command} does not end: {}", tmux(&["capture-pane", "-p"]));
        std::thread::sleep(Duration::from_millis(20));
    }
    let shown = [&["capture-pane", "-p"][..], &["capture-pane", "-p", "-J"]].map(tmux);
    tmux(&["kill-server"]);
    shown
}

#[test]
fn nothing_wraps_in_a_terminal_of_eighty_columns() {
    let range = times();
    let mean = with_times(&["--gauge", "room_celsius", "--method", "MEAN", "--bucket", "5m"], &range);
    let names = with_times(&["--values", "__counter__", "--prefix", "http_"], &range);
    for (args, part) in [(mean, "┤"), (names, "http_requests_total")] {
        let [shown, whole] = in_terminal(&format!("{BINARY} ask --url {} {}", url(), args.join(" ")));
        assert!(shown.contains("end=0") && shown.contains(part), "{args:?}: {shown}");
        assert_eq!(shown.lines().count(), whole.lines().count(), "{args:?}: {shown}");
    }
}

#[test]
fn the_explanation_is_shown_on_request() {
    let range = times();
    let args =
        ["--counter", "http_requests_total", "--label", "pod=a", "--method", "SUM", "--bucket", "30m", "--explain"];
    let shown = ask(&with_times(&args, &range));
    for part in [
        "source: remote read",
        "rule: The sum of the increases",
        "call: /api/v1/read",
        "series 1: {",
        "is computed from",
        "and ",
        "graph: http",
    ] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    let json: Value =
        serde_json::from_str(&ask(&with_times(&[&args[..], &["--format", "json"]].concat(), &range))).unwrap();
    assert_eq!(json["explanation"]["points"].as_array().unwrap().len(), 2);
}

#[test]
fn the_explanation_of_an_expression_lists_no_points() {
    let shown = ask(&with_times(&["--expression", "sum(room_celsius)", "--method", "MAX", "--explain"], &times()));
    assert!(shown.contains("source: PromQL") && !shown.contains("is computed from"), "{shown}");
}

#[test]
fn no_control_character_of_a_response_reaches_the_terminal() {
    // A terminal executes what follows U+009B, as after ESC and [.
    let text = "\u{9b}31m";
    let mirror = Stub::start(move |_| {
        Reply::json(&json!({
            "_type": "MetricsResponse",
            "telemetry": {"_type": "MetricTelemetry", "points": []},
            "explanation": {
                "upstream": text, "notes": [text],
                "calls": [{"path": "/api/v1/query", "query": text, "outcome": "ok", "milliseconds": 1}],
                "series": [{"labels": {"room": text}, "samples": 0}],
            },
        }))
    });
    let output = run(&["ask", "--mirror", &format!("http://127.0.0.1:{}", mirror.port()), "--gauge", "x", "--explain"]);
    let shown = stdout(&output);
    assert_eq!(shown.matches(" 31m").count(), 4, "{shown}");
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
}

#[test]
fn a_table_that_is_cut_off_says_how_to_see_the_rest() {
    let check = |args: &[&str], expected: &str| {
        let shown = ask(&with_times(args, &times()));
        assert_eq!(shown.lines().last(), Some(expected), "{args:?}: {shown}");
    };
    let gauge = ["--gauge", "room_celsius", "--limit", "2"];
    check(&gauge, "(there are more: raise --limit, or give a later --start)");
    check(&[&gauge[..], &["--latest-first"]].concat(), "(there are more: raise --limit, or give an earlier --end)");
    check(&["--values", "__gauge__", "--limit", "2"], "(there are more: raise --limit)");
}

#[test]
fn a_table_without_points_says_why_as_the_explorer_does() {
    let script = include_str!("../../src/web/response.js");
    let check = |args: &[&str], begins: &str| {
        let shown = ask(&[args, &["--start", "1000", "--end", "2000"]].concat());
        let why = shown
            .strip_prefix("0 points: ")
            .and_then(|why| why.strip_suffix(", or see with --explain what was read.\n"));
        let why = why.unwrap_or_else(|| panic!("{args:?}: {shown}"));
        assert!(why.starts_with(begins) && script.contains(&format!("return \"{why}\";")), "{args:?}: {shown}");
    };
    check(&["--gauge", "room_celsius"], "there are no samples in this range");
    check(&["--gauge", "room_celsius", "--method", "MEAN"], "no whole bucket of this range");
    check(&["--expression", "sum(room_celsius)", "--method", "MEAN"], "in this range, the expression");
    let none = ["--values", "__gauge__", "--prefix", "no_such"];
    assert_eq!(ask(&none), "(nothing)\n");
    let limited = ask(&with_times(&["--gauge", "room_celsius", "--limit", "0"], &times()));
    assert!(limited.starts_with("(there are more: raise --limit"), "{limited}");
}

#[test]
fn an_only_upstream_of_the_file_need_not_be_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let upstream = |name: &str| format!("- {{name: {name}, url: '{}'}}\n", url());
    std::fs::write(path, format!("upstreams:\n{}", upstream("one"))).unwrap();
    let mirror = Mirror::start_with(&["--upstreams-file", path]);
    let of_file = run(&["ask", "--upstreams-file", path, "--test"]);
    let of_variable = program(&["ask", "--timeout", "5s", "--test"]).env("UPSTREAMS_FILE", path).output().unwrap();
    let of_mirror = run(&["ask", "--mirror", mirror.base(), "--test"]);
    for output in [of_file, of_variable, of_mirror] {
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{output:?}");
    }
    std::fs::write(path, format!("upstreams:\n{}{}", upstream("one"), upstream("two"))).unwrap();
    let of_two = run(&["ask", "--upstreams-file", path, "--test"]);
    assert!(of_two.status.code() == Some(1) && stderr(&of_two).contains("one, two"), "{}", stderr(&of_two));
}

#[test]
fn a_running_mirror_gets_the_key_and_curl_sends_the_same_query() {
    let mirror = Mirror::start_with(&["--require-api-key", "true"]);
    let range = times();
    let args = ["--gauge", "room_celsius", "--method", "MAX", "--bucket", "15m", "--format", "json"];
    let direct = ask(&with_times(&args, &range));
    let (url, base) = (url(), mirror.base().to_owned());
    let through = with_times(&[&["ask", "--mirror", &base, "--url", &url], &args[..]].concat(), &range);
    let refused = run(&through);
    assert_eq!(
        (refused.status.code(), stderr(&refused).contains("carries no key, or another key")),
        (Some(1), true),
        "{refused:?}"
    );
    let with_key = program(&through).env("API_KEY", API_KEY).output().unwrap();
    assert_eq!((with_key.status.code(), stdout(&with_key)), (Some(0), direct.clone()), "{}", stderr(&with_key));

    let curl = program(&[&through[..], &["--curl"]].concat()).env("API_KEY", API_KEY).output().unwrap();
    let curl = stdout(&curl);
    assert!(curl.starts_with("curl ") && !curl.contains(API_KEY), "{curl}");
    let ran = Command::new("sh").args(["-c", &curl]).env("API_KEY", API_KEY).output().unwrap();
    assert_eq!(format!("{}\n", stdout(&ran)), direct, "{curl}");

    drop(mirror);
    let gone = program(&through).env("API_KEY", API_KEY).output().unwrap();
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).contains("does not respond"), "{}", stderr(&gone));
    let without_scheme = run(&["ask", "--mirror", "127.0.0.1:9900", "--url", &url, "--test"]);
    assert_eq!(without_scheme.status.code(), Some(2));
    assert!(
        stderr(&without_scheme).contains("--mirror must be a base URL such as http://prometheusmirror:9900"),
        "{without_scheme:?}"
    );
}

#[test]
fn a_response_of_another_program_is_no_success() {
    let check = |reply: fn() -> Reply, says: &str| {
        let stub = Stub::start(move |_| reply());
        let output = run(&["ask", "--mirror", &format!("http://127.0.0.1:{}", stub.port()), "--test"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let expected = format!("prometheusmirror: the response (HTTP status {says}\n");
        assert!(stdout(&output).is_empty() && stderr(&output) == expected, "{says}: {}", stderr(&output));
    };
    let other = "200) is not from a mirror: check --mirror: it is another program, or the path is wrong";
    check(|| Reply::http(200, "text/html", "hello"), other);
    check(|| Reply::json(&json!({"status": "OK"})), other);
    check(|| Reply::json(&json!({"status": "OK", "_type": "MetricsResponse"})), other);
    check(
        || Reply::http(308, "text/html", ""),
        "308) is not from a mirror: check --mirror: the port may require https: begin the URL with https://",
    );
    check(
        || Reply::http(503, "text/html", "no endpoints"),
        "503) is not from a mirror: check --mirror: the mirror there is shutting down, or the proxy in front does not reach it: \
         check that it runs",
    );
}

#[test]
fn a_request_of_stackstates_is_sent_from_a_file_or_from_standard_input() {
    let details = json!({"url": url()});
    let query = Query::gauge("room_celsius").between(T0, T0 + HOUR).aggregated("MIN", HOUR);
    let request = json!({"_type": "MetricsRequest", "connectionDetails": details, "query": query.0}).to_string();
    let expected = format!("{}\n", Gateway::to(details).ask(&query).text);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("request.json");
    std::fs::write(&path, &request).unwrap();
    let from_file = run(&["ask", "--request", path.to_str().unwrap(), "--format", "json"]);
    assert_eq!(stdout(&from_file), expected, "{}", stderr(&from_file));
    // --url replaces the Connection Details.
    let other = run(&["ask", "--request", path.to_str().unwrap(), "--url", "http://127.0.0.1:1"]);
    assert!(stderr(&other).contains("127.0.0.1:1"), "{}", stderr(&other));
    // Other flags change them.
    let changed = run(&["ask", "--request", path.to_str().unwrap(), "--timeout", "3s", "--nan", "zero", "--curl"]);
    let details = format!(r#""nan_interpretation":"zero","requestTimeout":3000,"url":"{}""#, url());
    assert!(stdout(&changed).contains(&details), "{changed:?}");
    std::fs::write(&path, r#"{"_type":"TestConnectionRequest","connectionDetails":"hush"}"#).unwrap();
    let malformed = run(&["ask", "--request", path.to_str().unwrap(), "--timeout", "3s"]);
    assert_eq!(malformed.status.code(), Some(1), "{malformed:?}");
    assert!(stderr(&malformed).contains("connectionDetails must be an object, not a text"), "{malformed:?}");
    std::fs::write(&path, &request).unwrap();
    let mut child = program(&["ask", "--request", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
    assert_eq!(stdout(&child.wait_with_output().unwrap()), expected);
}

#[test]
fn wrong_flags_are_2_and_an_error_response_is_1_and_each_says_what_to_do() {
    let url = url();
    for (args, says) in [
        (vec!["ask"], "there is no query: give one of --test"),
        (vec!["ask", "--test"], "no Prometheus is given: use --url"),
        (vec!["ask", "--upstream", "a", "--test"], "--upstream needs --upstreams-file, or --mirror"),
        (vec!["ask", "--upstream", "a", "--request", "/nowhere"], "--upstream needs --upstreams-file, or --mirror"),
        (vec!["ask", "--url", &url, "--test", "--names"], "not several"),
        (vec!["ask", "--url", &url, "--upstream", "a", "--test"], "--url and --upstream exclude each other"),
        (vec!["ask", "--url", &url, "--gauge", "x", "--last", "5"], "such as 5m or 1h30m, not \"5\""),
        (vec!["ask", "--url", &url, "--gauge", "x", "--start", "yesterday"], "2026-01-31T12:00:00Z"),
        (
            vec!["ask", "--url", &url, "--gauge", "x", "--start", "0", "--last", "1h"],
            "--start and --last exclude each other",
        ),
        (vec!["ask", "--url", &url, "--names", "--end", "soon"], "--end must be a time"),
        (vec!["ask", "--url", &url, "--test", "--end", "soon"], "--end does not go with --test, but with --names, "),
        (vec!["ask", "--url", &url, "--test", "--limit", "abc"], "--limit does not go with --test"),
        (
            vec!["ask", "--url", &url, "--names", "--prefix", "go"],
            "--prefix does not go with --names, but with --values",
        ),
        (vec!["ask", "--url", &url, "--gauge", "up", "--offset", "abc"], "--offset does not go with --gauge"),
        (
            vec!["ask", "--url", &url, "--values", "job", "--method", "FOO"],
            "--method does not go with --values, but with --gauge, --counter, --expression",
        ),
        (vec!["ask", "--request", "/nowhere", "--bucket", "q"], "--bucket does not go with --request"),
        (vec!["ask", "--request", "/nowhere", "--label", "x"], "--label does not go with --request"),
        (vec!["ask", "--request", ""], "--request must not be empty"),
        (vec!["ask", "--url", &url, "--gauge", "x", "--bucket", "5m"], "--bucket goes with --method"),
        (vec!["ask", "--url", &url, "--gauge", "x", "--label", "job"], "such as job=payment"),
        (vec!["ask", "--url", &url, "--gauge", "x", "--format", "xml"], "table, json or csv"),
        (vec!["ask", "--url", &url, "--gauge", "x", "--format", "csv", "--explain"], "--explain needs --format table"),
        (vec!["ask", "--url", &url, "--gauge", "x", "--nan", "null"], "--nan must be one of NONE, ZERO, not \"null\""),
        (
            vec!["ask", "--url", &url, "--gauge", "x", "--partial-response", "no"],
            "--partial-response must be one of deny, allow, not \"no\"",
        ),
        (vec!["ask", "--url", &url, "--test", "--timeout", "20m"], "--timeout must be a duration of at most 10m"),
        (vec!["ask", "--url", &url, "--test", "--timeout", "0s"], "--timeout must be a duration of at most 10m"),
        (vec!["ask", "--url", &url, "--gauge", "x", "--limit", "many"], "whole number"),
        (vec!["ask", "--url", "nonsense", "--test"], "--url must begin with"),
        (vec!["ask", "--url", "", "--test"], "--url must begin with"),
        (vec!["ask", "--url", &url, "--gauge", ""], "--gauge must not be empty"),
        (vec!["ask", "--mirror", "https://", "--test"], "--mirror must be a base URL"),
        (vec!["ask", "--mirror", "nonsense", "--curl", "--test"], "--mirror must be a base URL"),
        (vec!["ask", "--mirror", "http://m:99999", "--test"], "--mirror must be a base URL"),
        (vec!["ask", "--mirror", "http://m/?q=1", "--test"], "--mirror must be a base URL"),
        (vec!["ask", "--mirror", "http://m/#top", "--test"], "--mirror must be a base URL"),
        (vec!["ask", "--mirror", "http://user:pw@m", "--curl", "--test"], "without user, password"),
        (vec!["ask", "--url", &url, "--gauge", "x", "--method", "MODE"], "--method must be one of MEAN, "),
        (vec!["ask", "--url", &url, "--gauge", "x", "--method", "MEAN", "--bucket", "8500000d"], "--bucket must be"),
        (
            vec!["ask", "--url", &url, "--test", "--scrape-interval", "25h"],
            "--scrape-interval must be a duration of at most 1d",
        ),
        (vec!["ask", "--url", &url, "--gauge", "x", "--start", "2", "--end", "1"], "--start must not be after --end"),
        (vec!["ask", "--url", &url, "--gauge", "x", "--end", "253402300800000"], "--end must be a time"),
        (vec!["ask", "--typo"], "there is no flag --typo; ask --help lists the flags"),
        (
            vec!["ask", "--url", &url, "--names", "--plot"],
            "--plot does not go with --names, but with --gauge, --counter, ",
        ),
        (vec!["ask", "--url", &url, "--gauge", "x", "--plot", "--format", "json"], "--plot needs --format table"),
        (vec!["ask", "--url", &url, "--gauge", "x", "--plot", "--no-plot"], "excludes --no-plot"),
        (vec!["ask", "--url", &url, "--gauge", "x", "--limit", "4294967296"], "a whole number up to 4294967295"),
        (
            vec!["ask", "--mirror", "http://m", "--test", "--proxy", "http://p:1"],
            "--proxy does not go with ask --mirror, but with ask without --mirror and --curl;",
        ),
        (vec!["ask", "--gauge"], "--gauge must be followed by NAME"),
        (vec!["ask", "--nonsense"], "--nonsense"),
        (vec!["ask", "--url", &url, "--test", "stray"], "a value without a flag"),
        (vec!["foo"], "there is no subcommand foo; the subcommands are ask, check, completions, man;"),
        (vec!["healthcheck", "--help"], "there is no subcommand healthcheck"),
        (vec!["man", "stray"], "a value without a flag behind man; man --help"),
        (vec!["completions", "tcsh"], "bash, zsh or fish"),
        (vec!["completions"], "bash, zsh or fish"),
    ] {
        let output = run(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(stderr(&output).contains(says) && stdout(&output).is_empty(), "{args:?}: {}", stderr(&output));
    }
    for (args, says) in [
        (vec!["ask", "--url", &url, "--gauge", "never_there"], "never_there"),
        (vec!["ask", "--url", "http://127.0.0.1:1", "--test"], "127.0.0.1:1"),
        (vec!["ask", "--upstreams-file", "/nowhere", "--upstream", "a", "--test"], "/nowhere"),
        (vec!["ask", "--request", "/nowhere"], "/nowhere cannot be read"),
        (vec!["ask", "--request", "Cargo.toml"], "Cargo.toml must be JSON"),
    ] {
        let output = run(&args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        assert!(
            stderr(&output).contains(says) && stderr(&output).lines().count() == 1,
            "{args:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn each_subcommand_has_a_help_of_its_own_that_fits_into_a_hundred_columns() {
    for (subcommand, usage, parts) in [
        ("", "[FLAGS]", &["--workers, WORKERS (default: 20)", "prometheusmirror check --upstreams"][..]),
        ("ask", "(--url URL | --upstream NAME) QUERY [FLAGS]", &["  --gauge NAME\n", "Examples:"]),
        ("check", "[URL] [FLAGS]", &["  --upstreams\n", "1 if not", "--listen"]),
        ("completions", "bash|zsh|fish", &["prometheusmirror completions bash"]),
        ("man", "", &["man -l"]),
    ] {
        let helps = ["--help", "-h"].map(|flag| {
            let output = run(&[subcommand, flag].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>());
            assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{subcommand}");
            stdout(&output)
        });
        let [help, same] = helps;
        assert_eq!(help, same);
        let first = format!("Usage: prometheusmirror {subcommand} {usage}");
        let first = first.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.lines().any(|line| line == first), "no {first:?} in {help}");
        assert!(parts.iter().all(|part| help.contains(part)), "{parts:?} {help}");
        assert!(subcommand.is_empty() || help.contains("The exit code is 0"), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        // Only `ask` and the server have a long list of flags.
        assert!(matches!(subcommand, "" | "ask") || !help.contains("--workers"), "{help}");
    }
}

#[test]
fn no_password_is_shown_and_a_reader_may_leave() {
    let stub = Stub::start(good);
    let url = format!("http://user:hush@127.0.0.1:{}", stub.port());
    for more in [&["--explain"][..], &["--curl"], &["--format", "json", "--explain"]] {
        let output = run(&[&["ask", "--url", &url, "--test"], more].concat());
        let shown = stdout(&output) + &stderr(&output);
        assert!(!shown.contains("hush") && output.status.success(), "{shown}");
    }
    // `head` closes the pipe after a line.
    let pipe =
        format!("{BINARY} ask --url {} --values __gauge__ --start {T0} --end {}; echo $? >&2", self::url(), T0 + HOUR);
    let output = Command::new("sh").args(["-c", &format!("{{ {pipe}; }} | head -1")]).output().unwrap();
    assert_eq!((stdout(&output).lines().count(), stderr(&output).trim()), (1, "0"), "{output:?}");
}

#[test]
fn completions_and_the_manual_page_have_every_flag() {
    let flags = |text: &str, known: &str| {
        for flag in prometheusmirror::settings::ASK_FLAGS.iter().map(|known| known.flag) {
            assert!(text.contains(flag), "{known}: no {flag}");
        }
        for setting in prometheusmirror::settings::TABLE {
            assert!(text.contains(setting.flag), "{known}: no {}", setting.flag);
        }
    };
    for (shell, package) in [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish")] {
        require(shell, package);
        let text = stdout(&run(&["completions", shell]));
        flags(&text, shell);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("completions");
        std::fs::write(&file, &text).unwrap();
        let checked = Command::new(shell).arg("-n").arg(&file).output().unwrap();
        assert!(checked.status.success() && checked.stderr.is_empty(), "{shell}: {checked:?}");
    }
    // The completions of bash.
    let offered = |line: &str| {
        let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
        let script = format!(
            "source <({BINARY} completions bash); COMP_WORDS=({}); COMP_CWORD={}; _prometheusmirror; echo \"${{COMPREPLY[*]}}\"",
            words.join(" "),
            words.len() - 1
        );
        stdout(&Command::new("bash").args(["-c", &script]).output().unwrap()).trim().to_owned()
    };
    assert_eq!(offered("prometheusmirror a"), "ask");
    assert_eq!(offered("prometheusmirror ask --expr"), "--expression");
    assert_eq!(offered("prometheusmirror ask --format c"), "csv");
    assert_eq!(
        offered("prometheusmirror ask --method PERCENTILE_9"),
        "PERCENTILE_90 PERCENTILE_95 PERCENTILE_98 PERCENTILE_99"
    );
    assert_eq!(offered("prometheusmirror check --upstr"), "--upstreams --upstreams-file");
    assert_eq!(offered("prometheusmirror completions z"), "zsh");
    assert_eq!(offered("prometheusmirror check --w"), "");
    // Those of fish, and the part of those of zsh that is for check.
    let script = format!(
        "{BINARY} completions fish | source; complete -C 'prometheusmirror check --'; \
         echo; complete -C 'prometheusmirror --wor'"
    );
    let fish = stdout(&Command::new("fish").args(["-c", &script]).output().unwrap());
    let (of_check, of_server) = fish.split_once("\n\n").unwrap();
    let zsh = stdout(&run(&["completions", "zsh"]));
    let in_zsh = zsh.split_once("\n    check)").unwrap().1.split_once(";;").unwrap().0;
    for (shell, text) in [("fish", of_check), ("zsh", in_zsh)] {
        for flag in ["--upstreams", "--port", "--ca-path"] {
            assert!(text.contains(flag), "{shell}: no {flag} in {text}");
        }
        assert!(!text.contains("--workers") && !text.contains("--gauge"), "{shell}: {text}");
    }
    assert!(of_server.contains("--workers"), "{fish}");

    let page = stdout(&run(&["man"]));
    flags(&page.replace("\\-", "-"), "man");
    require("mandoc", "mandoc");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheusmirror.1");
    std::fs::write(&file, &page).unwrap();
    let shown = Command::new("mandoc").args(["-T", "utf8", "-W", "error"]).arg(&file).output().unwrap();
    assert!(shown.status.success() && shown.stdout.len() > 5_000, "{shown:?}");
}
