//! `prometheusmirror check`: asks a mirror whether it is ready. The image has no other program that could, and neither the
//! health check of a container nor the test of a chart goes without.

pub mod upstreams;

use std::fmt;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;

use crate::error::KEY_HEADER;
use crate::key::BadKeyFile;
use crate::settings::{Check, KeySource};

/// How long the answer may take. Health checks often wait for five seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// What is asked for when the URL has no path.
const READY: &str = "/-/ready";

/// Why a mirror does not pass.
#[derive(Debug)]
pub enum CheckError {
    /// The URL is of no use. It is not repeated, since it may hold a password.
    Url,
    /// The file of the key is of no use.
    KeyFile(BadKeyFile),
    /// There is no answer.
    Unreachable {
        /// Who was asked.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The answer is not 200.
    Status {
        /// Who was asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer has another key than the one known here, or none.
    ApiKey {
        /// Who was asked.
        url: String,
        /// Whether it has one.
        has_one: bool,
    },
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckError::Url => {
                f.write_str("the URL to check must be like http://prometheusmirror:9900/, without user and password")
            }
            CheckError::KeyFile(bad) => write!(f, "{bad}"),
            CheckError::Unreachable { url, reason } => {
                write!(f, "{url} does not answer: {reason}; see whether a mirror listens there, and what it logs")
            }
            CheckError::Status { url, status } => {
                write!(f, "{url} answers {status} instead of 200: the mirror there is shutting down, or it is none")
            }
            CheckError::ApiKey { url, has_one } => {
                let what = if *has_one { "another key than" } else { "no key instead of" };
                write!(
                    f,
                    "{url} answers with {what} the one given here: it may not have taken over a new one yet, or "
                )?;
                f.write_str("another program answers there")
            }
        }
    }
}

impl std::error::Error for CheckError {}

/// Asks a mirror whether it is ready, and whether it has the key, if that is known. What it says of it is one line.
///
/// A URL without a path asks for `/-/ready`, another one for what it says. `https` is checked against the public
/// authorities.
///
/// # Errors
/// When the mirror does not pass.
pub fn run(check: &Check) -> Result<String, CheckError> {
    let url = url_of(&check.url)?;
    let key = check.api_key.as_ref().map(KeySource::read_once).transpose().map_err(CheckError::KeyFile)?;
    let mut request = agent(PATIENCE).get(&url);
    if let Some(key) = &key {
        // Where the mirror requires the key, only then does its reply carry it.
        request = request.header(KEY_HEADER, key.reveal());
    }
    let response = match request.call() {
        Ok(response) => response,
        Err(error) => return Err(CheckError::Unreachable { url, reason: error.to_string() }),
    };
    let status = response.status().as_u16();
    if status != 200 {
        return Err(CheckError::Status { url, status });
    }
    let Some(key) = key else { return Ok(format!("{url} answers 200")) };
    match response.headers().get(KEY_HEADER).map(|value| value.to_str().unwrap_or_default()) {
        Some(shown) if key.is(shown) => Ok(format!("{url} answers 200 with the right key")),
        shown => Err(CheckError::ApiKey { url, has_one: shown.is_some() }),
    }
}

/// What asks a mirror over HTTP, within this time: any status is an answer, and a redirect leads nowhere.
pub(crate) fn agent(timeout: Duration) -> Agent {
    Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .build()
        .into()
}

fn url_of(text: &str) -> Result<String, CheckError> {
    let uri: Uri = text.parse().map_err(|_| CheckError::Url)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(CheckError::Url) };
    if !matches!(scheme, "http" | "https") || authority.as_str().contains('@') {
        return Err(CheckError::Url);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path == "/" { READY } else { path };
    Ok(format!("{scheme}://{authority}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_path_asks_whether_the_mirror_is_ready() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(url_of(text).ok().as_deref(), expected, "{text}");
        check("http://m:9900", Some("http://m:9900/-/ready"));
        check("http://m:9900/", Some("http://m:9900/-/ready"));
        check("https://[::1]", Some("https://[::1]/-/ready"));
        check("http://m/-/healthy", Some("http://m/-/healthy"));
        check("http://m/prefix/?q=1", Some("http://m/prefix/?q=1"));
        for bad in ["", "m", "m:9900", "/-/ready", "ftp://m/", "http://", "http://user:hush@m/", "http://m /"] {
            check(bad, None);
        }
    }
}
