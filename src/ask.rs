//! `prometheusmirror ask`: sends a query as StackState does, and shows the response.
//!
//! Without `--mirror`, the query runs in this process, by the same code as in the server.

mod curl;
mod plot;
mod request;
mod show;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::{Access, DEFAULT_TIMEOUT, Gateway, MAX_TIMEOUT_MS, Prepared, RequestHead, Routed, now_ms};
use crate::check::{self, CommandError};
use crate::error::{EXPLAIN_HEADER, KEY_HEADER};
use crate::key::{ApiKey, CurrentKey};
use crate::memory::MemoryBudget;
use crate::metrics::Metrics;
use crate::model::trace::Trace;
use crate::reach;
use crate::settings::{AskCommand, KeySource, ReachSettings};

use request::AskRequest;
use show::OutputOptions;

/// The memory for samples, points and the response.
const MEMORY_BYTES: usize = 256 << 20;

/// The maximum length of a request body from a file.
const MAX_REQUEST_BYTES: u64 = 64 << 20;

/// How long a query runs before progress is shown, and how often it is shown again.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// How much longer than the timeout of its request `ask` waits for a running mirror.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(5);

/// The maximum length of a response. A million points are shorter.
const MAX_RESPONSE_BYTES: u64 = 256 << 20;

/// The output of `ask`.
#[derive(Debug, PartialEq, Eq)]
pub struct AskOutput {
    /// For standard output.
    pub text: String,
    /// For standard error, if the response is an error.
    pub error: Option<String>,
}

/// The status and the body of a response.
type Answer = Result<(u16, Vec<u8>), CommandError>;

/// Sends a query, and formats the response.
///
/// # Errors
/// If the query cannot be sent. A response that reports an error is part of the output.
pub fn run(command: &AskCommand) -> Result<AskOutput, CommandError> {
    let AskCommand { flags, reach, api_key } = command;
    let options = OutputOptions::of(flags, io::stdout().is_terminal()).map_err(CommandError::Usage)?;
    let has_names = reach.upstreams_file.is_some() || flags.has("mirror") || flags.has("curl");
    let request = request::from_flags(flags, now_ms(), has_names, read)?;
    let key = api_key.as_ref().map(KeySource::read_once).transpose().map_err(|bad| bad.to_string())?;
    if flags.has("curl") {
        let to = (flags.value("mirror"), reach.ca_path.as_deref());
        let text = curl::command(to, &request, key.is_some(), options.explains);
        return Ok(AskOutput { text, error: None });
    }
    let is_shown = io::stderr().is_terminal() && !flags.has("quiet");
    let (status, body) = with_progress(is_shown, || match flags.value("mirror") {
        Some(url) => post(url, reach.ca_path.as_deref(), &request, key.as_deref(), options.explains),
        None => run_here(reach, &request, options.explains),
    })?;
    Ok(show::shown(&request, flags.value("mirror").unwrap_or_default(), status, &body, &options))
}

/// Sends a request to a running mirror. Gives the status and the body of the response.
///
/// # Errors
/// If there is no response.
fn post(mirror: &str, ca: Option<&Path>, request: &AskRequest, key: Option<&ApiKey>, explains: bool) -> Answer {
    let agent = check::agent(mirror, ca, timeout(&request.body) + TIMEOUT_MARGIN)?;
    let shown = format!("the mirror at {mirror}");
    let failed = |error: ureq::Error| CommandError::Failed(check::no_response(&shown, &error));
    let mut call = agent.post(format!("{}{}", mirror.trim_end_matches('/'), request.path));
    if let Some(key) = key {
        call = call.header(KEY_HEADER, key.reveal());
    }
    if explains {
        call = call.header(EXPLAIN_HEADER, "true");
    }
    let call = call.header("Content-Type", "application/json");
    let mut response = call.send(request.body.to_string().as_bytes()).map_err(failed)?;
    let body = response.body_mut().with_config().limit(MAX_RESPONSE_BYTES).read_to_vec().map_err(failed)?;
    Ok((response.status().as_u16(), body))
}

/// How long the mirror itself waits at most for a request. Only the mirror knows the timeout of a named upstream, which the request
/// may leave to it.
fn timeout(body: &Value) -> Duration {
    let details = &body["connectionDetails"];
    let is_named = details.get("url").or(details.get("host")).is_none();
    match details["requestTimeout"].as_u64() {
        Some(given_ms) => Duration::from_millis(given_ms.min(MAX_TIMEOUT_MS)),
        None if is_named => Duration::from_millis(MAX_TIMEOUT_MS),
        None => DEFAULT_TIMEOUT,
    }
}

/// Runs a request in this process. Gives the status and the body that a mirror would write.
fn run_here(settings: &ReachSettings, request: &AskRequest, explains: bool) -> Answer {
    let metrics = Arc::new(Metrics::new(1, 0));
    let (client, _) = reach::client(settings, 1, Duration::from_secs(300), &metrics)?;
    // The gateway needs a key for its replies, but this function ignores their headers.
    let key = ApiKey::new("ask").ok_or_else(|| "there is no key".to_owned())?;
    let memory = MemoryBudget::new(MEMORY_BYTES);
    let gateway = Gateway::new(Arc::new(CurrentKey::fixed(key)), Access::default(), client, memory, metrics);
    let explain = explains.then_some("true");
    let head = RequestHead { verb: "POST", target: request.path, explain, ..RequestHead::default() };
    let reply = match gateway.route(&head) {
        Routed::Reply(reply) => reply,
        Routed::Page(page) => gateway.render(page),
        Routed::Api(routed) => match gateway.prepare(routed, request.body.to_string().as_bytes(), Instant::now()) {
            Prepared::Reply(reply) => reply,
            Prepared::Query(query) => gateway.perform(query, None, Arc::new(Trace::new("ask".into(), None, None))),
        },
    };
    Ok((reply.status, reply.body))
}

/// Runs `act`. If it takes more than a second and `is_shown`, shows the elapsed seconds on standard error.
fn with_progress<T>(is_shown: bool, act: impl FnOnce() -> T) -> T {
    if !is_shown {
        return act();
    }
    let (done, is_done) = mpsc::channel::<()>();
    let progress = thread::spawn(move || {
        let begun = Instant::now();
        let mut has_shown = false;
        while is_done.recv_timeout(PROGRESS_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            eprint!("\r{} s ...", begun.elapsed().as_secs());
            has_shown = true;
        }
        if has_shown {
            // Erase the line.
            eprint!("\r\u{1b}[K");
        }
    });
    let result = act();
    drop(done);
    let _ = progress.join();
    result
}

/// The text of a file, or of standard input.
fn read(path: &str) -> io::Result<String> {
    let source: Box<dyn Read> = if path == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut text = String::new();
    source.take(MAX_REQUEST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_REQUEST_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_REQUEST_BYTES} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mirror_is_awaited_for_as_long_as_it_may_wait() {
        let check = |details: Value, seconds: u64| {
            assert_eq!(timeout(&json!({"connectionDetails": details})), Duration::from_secs(seconds), "{details}");
        };
        check(json!({"url": "http://p:9090"}), 20);
        check(json!({"host": "p", "port": 9090, "requestTimeout": 3_000}), 3);
        check(json!({"upstream": "p", "requestTimeout": 30_000}), 30);
        check(json!({"host": "p", "requestTimeout": u64::MAX}), 600);
        // The timeout of a named upstream is at most ten minutes.
        check(json!({"upstream": "p"}), 600);
        check(json!({}), 600);
    }
}
