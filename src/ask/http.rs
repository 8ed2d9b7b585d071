//! Sends a request to a running mirror.

use std::time::Duration;

use super::AskError;
use super::request::AskRequest;
use crate::check;
use crate::error::{EXPLAIN_HEADER, KEY_HEADER};
use crate::key::ApiKey;

/// How much longer than its timeout a query may take, and the timeout of a query without one.
const LATENESS: Duration = Duration::from_secs(5);
const DEFAULT_TIMEOUT_MS: u64 = 20_000;

/// The maximum length of a response. It suffices for a million points.
const MAX_RESPONSE_BYTES: u64 = 256 << 20;

/// Sends a request. Gives the status and the body of the response.
///
/// # Errors
/// If there is no response.
pub(super) fn post(
    mirror: &str,
    asked: &AskRequest,
    key: Option<&ApiKey>,
    explains: bool,
) -> Result<(u16, Vec<u8>), AskError> {
    let timeout_ms = asked.body["connectionDetails"]["requestTimeout"].as_u64().unwrap_or(DEFAULT_TIMEOUT_MS);
    let agent = check::agent(Duration::from_millis(timeout_ms) + LATENESS);
    let shown = mirror.split('@').next_back().unwrap_or_default().to_owned();
    let failed = |error: ureq::Error| AskError::Mirror { url: shown.clone(), reason: error.to_string() };
    let mut request = agent.post(format!("{}{}", mirror.trim_end_matches('/'), asked.path));
    if let Some(key) = key {
        request = request.header(KEY_HEADER, key.reveal());
    }
    if explains {
        request = request.header(EXPLAIN_HEADER, "true");
    }
    let request = request.header("Content-Type", "application/json");
    let mut response = request.send(asked.body.to_string().as_bytes()).map_err(failed)?;
    let body = response.body_mut().with_config().limit(MAX_RESPONSE_BYTES).read_to_vec().map_err(failed)?;
    Ok((response.status().as_u16(), body))
}
