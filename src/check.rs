//! `prometheusmirror check`: checks whether a mirror is ready. The health check of a container and the test of the chart use it,
//! since the image contains no other HTTP client.

pub mod upstreams;

use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::TlsConfig;

use crate::error::KEY_HEADER;
use crate::prometheus::mirror_without_tls;
use crate::reach;
use crate::settings::{Check, KeySource};

/// The timeout of the request. Health checks often have one of 5 s.
const TIMEOUT: Duration = Duration::from_secs(4);

/// The path if the URL has none.
const READY_PATH: &str = "/-/ready";

/// Why a subcommand has no result: a sentence that says what to do.
#[derive(Debug)]
pub enum CommandError {
    /// A flag or another argument is wrong, or one is missing.
    Usage(String),
    /// A file that a setting names is unusable, or a mirror does not respond as it should.
    Failed(String),
}

impl From<String> for CommandError {
    fn from(text: String) -> CommandError {
        CommandError::Failed(text)
    }
}

/// Checks whether a mirror is ready, and whether its response carries the key, if one is given. Gives a line for the user.
///
/// The path is `/-/ready` if the URL has none.
///
/// # Errors
/// If the URL is wrong, or the mirror does not pass.
pub fn run(check: &Check) -> Result<String, CommandError> {
    // The error does not repeat the URL, since it may contain a password.
    let bad = "the URL to check must be like http://prometheusmirror:9900/, without user and password";
    let url = url_of(&check.url).ok_or_else(|| CommandError::Usage(bad.to_owned()))?;
    let key = check.api_key.as_ref().map(KeySource::read_once).transpose().map_err(|bad| bad.to_string())?;
    let mut request = agent(&url, check.ca_path.as_deref(), TIMEOUT)?.get(&url);
    if let Some(key) = &key {
        // A mirror that requires the key sends it only in replies to requests with the key.
        request = request.header(KEY_HEADER, key.reveal());
    }
    let response = request.call().map_err(|error| no_response(&url, &error))?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(CommandError::Failed(format!(
            "{url} responds with {status} instead of 200: the mirror there is shutting down (503), the port requires https \
             (often 308 or 400), or it is another program"
        )));
    }
    let Some(key) = key else {
        return Ok(format!("{url} responds with 200; give the key to check that it is a mirror, and the right one"));
    };
    let what = match response.headers().get(KEY_HEADER).map(|value| value.to_str().unwrap_or_default()) {
        Some(shown) if key.is(shown) => return Ok(format!("{url} responds with 200 and the right key")),
        Some(_) => "another key than",
        None => "no key instead of",
    };
    Err(CommandError::Failed(format!(
        "{url} responds with {what} the one given here: the mirror there may not have read a new key yet, or it is another program"
    )))
}

/// Why a mirror does not respond, and what to check.
pub(crate) fn no_response(mirror: &str, error: &ureq::Error) -> String {
    if let Some(predicate) = mirror_without_tls(error) {
        return format!("{mirror} {predicate}");
    }
    let why = match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(_) => "no response before the timeout".to_owned(),
        ureq::Error::Protocol(_) => "what responds does not speak HTTP".to_owned(),
        other => other.to_string(),
    };
    format!(
        "{mirror} does not respond: {why}; check that the URL has the right scheme (http or https), host and port, that a mirror is \
         running there, and what it logs"
    )
}

/// How long a mirror may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An HTTP client for a mirror. No status is an error, and redirects are not followed. Only `https` needs the authorities of
/// `ca_path`.
///
/// # Errors
/// If these are unusable.
pub(crate) fn agent(url: &str, ca_path: Option<&Path>, timeout: Duration) -> Result<Agent, String> {
    let authorities = reach::authorities(ca_path.filter(|_| !url.starts_with("http:")))?;
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .tls_config(TlsConfig::builder().root_certs(authorities.root_certs()).build());
    Ok(config.build().into())
}

/// The URL to request; `None` if the text is not a URL without user and password.
fn url_of(text: &str) -> Option<String> {
    let uri = mirror_url(text)?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path == "/" { READY_PATH } else { path };
    Some(format!("{}://{authority}{path}", uri.scheme_str()?))
}

/// The URL of a mirror; `None` if the text is none.
pub(crate) fn mirror_url(text: &str) -> Option<Uri> {
    text.parse().ok().filter(|uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_path_gets_the_path_of_the_readiness_check() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(url_of(text).as_deref(), expected, "{text}");
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
