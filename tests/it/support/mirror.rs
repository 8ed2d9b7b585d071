//! The mirror under test: the real binary on a free port, which gets requests over HTTP as from StackState.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::process;

/// The key of all mirrors of the tests.
pub const API_KEY: &str = "test-key-e7f1";

/// How long a mirror may take until it listens.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// The program.
pub const BINARY: &str = env!("CARGO_BIN_EXE_prometheusmirror");

/// A running mirror; it is killed when dropped.
pub struct Mirror {
    child: Mutex<Child>,
    pid: u32,
    base: String,
    log: Arc<Mutex<String>>,
    agent: ureq::Agent,
}

/// A response of the mirror.
#[derive(Debug, Clone)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The body, or `null` if it is not JSON.
    pub json: Value,
    /// The body as text.
    pub text: String,
    /// The value of `X-MIRROR-API-KEY`, if there.
    pub key: Option<String>,
    /// All headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Mirror {
    /// Starts a mirror on a free port of the loopback address.
    pub fn start() -> Mirror {
        Mirror::start_with(&[])
    }

    /// Starts a mirror with further flags.
    pub fn start_with(flags: &[&str]) -> Mirror {
        Mirror::start_under(&[], flags)
    }

    /// Starts a mirror with further flags by a command that runs its last arguments, such as `taskset -c 0`. The key is in the
    /// environment, unless a flag gives it.
    pub fn start_under(wrapper: &[&str], flags: &[&str]) -> Mirror {
        let line: Vec<&str> = wrapper.iter().copied().chain([BINARY]).collect();
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).args(["--listen", "127.0.0.1", "--port", "0", "--log-level", "debug"]).args(flags);
        command.env_clear();
        if !flags.contains(&"--api-key-file") {
            command.env("API_KEY", API_KEY);
        }
        let mut mirror = Mirror::start_by(command);
        mirror.pid = process::running(BINARY, mirror.pid);
        mirror
    }

    /// Starts a mirror by a command that becomes one, with the key of the tests, on any port of the loopback address.
    pub fn start_by(mut command: Command) -> Mirror {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stderr = child.stderr.take().expect("a piped stderr");
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, receiver) = mpsc::channel();
        let copy = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(address) = listening_address(&line) {
                    let _ = sender.send(address);
                }
                let mut log = copy.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let Ok(address) = receiver.recv_timeout(START_DEADLINE) else {
            let _ = child.kill();
            panic!("the mirror did not start:\n{}", log.lock().unwrap());
        };
        let pid = child.id();
        Mirror { child: Mutex::new(child), pid, base: format!("http://{address}"), log, agent: agent() }
    }

    /// The base URL, without a trailing slash.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The whole log.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of the log with a part, and returns the first. Some lines are written after the response, and another
    /// thread reads them all.
    pub fn line_with(&self, part: &str) -> String {
        let find = || self.log().lines().find(|line| line.contains(part)).map(str::to_owned);
        process::wait_until(|| format!("{part:?} is in\n{}", self.log()), || find().is_some());
        find().unwrap()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends the mirror a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        process::signal(self.pid, name);
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_none()
    }

    /// Waits for its end. Panics if it still runs after this time.
    pub fn end(&self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.lock().unwrap().try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still runs after {within:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Posts a JSON value to a path such as `/api/metric`.
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.post_bytes(path, body.to_string().as_bytes())
    }

    /// Posts a JSON value to a path, and requests an explanation.
    pub fn post_explained(&self, path: &str, body: &Value) -> Response {
        self.post_with(path, body, "X-MIRROR-EXPLAIN", "true")
    }

    /// Posts a JSON value to a path, with one more header.
    pub fn post_with(&self, path: &str, body: &Value, name: &str, value: &str) -> Response {
        let request = self.agent.post(format!("{}{path}", self.base)).header("Content-Type", "application/json");
        received(request.header(name, value).send(body.to_string()))
    }

    /// Posts any bytes to a path.
    pub fn post_bytes(&self, path: &str, body: &[u8]) -> Response {
        let url = format!("{}{path}", self.base);
        received(self.agent.post(&url).header("Content-Type", "application/json").send(body))
    }

    /// Gets a path.
    pub fn get(&self, path: &str) -> Response {
        received(self.agent.get(format!("{}{path}", self.base)).call())
    }

    /// Gets a path with one more header.
    pub fn get_with(&self, path: &str, name: &str, value: &str) -> Response {
        received(self.agent.get(format!("{}{path}", self.base)).header(name, value).call())
    }

    /// Queries metric values. `query` is the content of `"query"`, `upstream` the Connection Details.
    pub fn metric(&self, upstream: &Value, query: Value) -> Response {
        let mut query = query;
        query["_type"] = json!("MetricsQuery");
        self.post("/api/metric", &json!({"_type": "MetricsRequest", "connectionDetails": upstream, "query": query}))
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        let _ = child.kill();
        let _ = child.wait();
        if std::thread::panicking() {
            eprintln!("--- the mirror's log\n{}", self.log());
        }
    }
}

impl Response {
    /// The points of a `MetricsResponse`. Panics with the whole response if it is something else.
    pub fn points(&self) -> Vec<Vec<f64>> {
        let points = self.json["telemetry"]["points"].as_array();
        points
            .unwrap_or_else(|| panic!("no points in {} {}", self.status, self.text))
            .iter()
            .map(|point| point.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect())
            .collect()
    }

    /// The `isPartial` of a response of any method.
    pub fn is_partial(&self) -> bool {
        let telemetry = &self.json["telemetry"]["isPartial"];
        let flag = if telemetry.is_null() { &self.json["isPartial"] } else { telemetry };
        flag.as_bool().unwrap_or_else(|| panic!("no isPartial in {} {}", self.status, self.text))
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(120)))
        .build()
        .new_agent()
}

/// The address in the log line that says where the mirror listens, in each format.
fn listening_address(line: &str) -> Option<String> {
    if let Ok(line) = serde_json::from_str::<Value>(line) {
        return line["address"].as_str().filter(|_| line["msg"] == "listening").map(str::to_owned);
    }
    let (_, rest) = line.split_once("msg=listening address=")?;
    rest.split_whitespace().next().map(str::to_owned)
}

fn received(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Response {
    let mut response = result.expect("the mirror answers");
    let status = response.status().as_u16();
    let headers: Vec<(String, String)> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
        .collect();
    let key = headers.iter().find(|(name, _)| name == "x-mirror-api-key").map(|(_, v)| v.clone());
    let text = response.body_mut().with_config().limit(256 << 20).read_to_string().unwrap();
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Response { status, json, text, key, headers }
}

/// One equality condition of the Mirror API with a string value.
pub fn condition(key: &str, value: &str) -> Value {
    typed_condition(key, json!(value), "StringValue")
}

/// One equality condition with any value and type.
pub fn typed_condition(key: &str, value: Value, kind: &str) -> Value {
    json!({"key": key, "value": {"value": value, "_type": kind}, "_type": "EqualityCondition"})
}
