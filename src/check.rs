//! `prometheusmirror check`: checks whether a mirror is ready. The health check of a container and the test of the chart use it,
//! since the image contains no other HTTP client.

pub mod upstreams;

use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
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

/// The path of the readiness check, below the base URL.
const READY_PATH: &str = "/-/ready";

/// What the URL of a mirror must be.
pub(crate) const BASE_URL: &str = "a base URL such as http://prometheusmirror:9900 (http or https, a port up to 65535), without \
                                   user, password, ? and #";

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
/// Its URL is a base URL. One that ends in a path of a health check is requested as it is.
///
/// # Errors
/// If the URL is wrong, or the mirror does not pass.
pub fn run(check: &Check) -> Result<String, CommandError> {
    // The error does not repeat the URL, since it may contain a password.
    let url = url_of(&check.url).ok_or_else(|| CommandError::Usage(format!("the URL to check must be {BASE_URL}")))?;
    let key = check.api_key.as_ref().map(KeySource::read_once).transpose().map_err(|bad| bad.to_string())?;
    let mut request = agent(&url, check.ca_path.as_deref(), TIMEOUT)?.get(&url);
    if let Some(key) = &key {
        // A mirror that requires the key sends it only in replies to requests with the key.
        request = request.header(KEY_HEADER, key.reveal());
    }
    let response = request.call().map_err(|error| no_response(&url, &error))?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(format!("{url} responds with {status} instead of 200: {}", hint(&url, status)).into());
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
        "{url} responds with {what} the one given here: the key given here may be wrong, the mirror there may not have read a new key \
         yet, or it is another program"
    )))
}

/// What the status of a response that is not as a mirror's hints at.
pub(crate) fn hint(url: &str, status: u16) -> &'static str {
    match status {
        502..=504 => "the mirror there is shutting down, or the proxy in front does not reach it: check that it runs",
        300..=400 if url.starts_with("http:") => "the port may require https: begin the URL with https://",
        400 => {
            "the proxy in front may require a client certificate, and this command has none: give a URL that requires none"
        }
        429 | 500 => "the proxy in front limits or fails requests, or it is another program: look at its log",
        401 | 403 | 407 => "the proxy in front refuses the request, or it is another program, or the path is wrong",
        _ => "it is another program, or the path is wrong",
    }
}

/// Why a mirror does not respond, and what to check.
pub(crate) fn no_response(mirror: &str, error: &ureq::Error) -> String {
    if let Some(predicate) = mirror_without_tls(error) {
        return format!("{mirror} {predicate}");
    }
    let closed = [ConnectionReset, BrokenPipe, UnexpectedEof];
    let why = match error {
        ureq::Error::Io(error) if closed.contains(&error.kind()) => {
            "it closed the connection before its response ended"
        }
        ureq::Error::Io(error) => &error.to_string(),
        ureq::Error::Timeout(_) => "no response before the timeout",
        ureq::Error::Protocol(_) => "what responds does not speak HTTP",
        other => &other.to_string(),
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

/// The URL to request: that of the readiness check below a base URL, unless it is the URL of a health check already. `None` if the
/// text is no URL of a mirror.
fn url_of(text: &str) -> Option<String> {
    let base = mirror_url(text)?;
    let is_whole = base.contains("/-/") || base.ends_with("/healthcheck");
    Some(if is_whole { base.to_owned() } else { format!("{base}{READY_PATH}") })
}

/// The base URL of a mirror, without a slash at the end; `None` if the text is not as [`BASE_URL`] says.
pub(crate) fn mirror_url(text: &str) -> Option<&str> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let has_good_port = authority.port().is_some() || authority.as_str() == authority.host();
    let is_good = has_good_port && matches!(uri.scheme_str(), Some("http" | "https")) && !text.contains(['?', '#']);
    is_good.then_some(text.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_gets_the_path_of_the_readiness_check() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(url_of(text).as_deref(), expected, "{text}");
        check("http://m:9900", Some("http://m:9900/-/ready"));
        check("http://m:9900/", Some("http://m:9900/-/ready"));
        check("https://[::1]", Some("https://[::1]/-/ready"));
        check("http://m/prefix/", Some("http://m/prefix/-/ready"));
        check("http://m/prefix/-/healthy", Some("http://m/prefix/-/healthy"));
        check("http://m/healthcheck", Some("http://m/healthcheck"));
        for bad in ["", "m", "m:9900", "/-/ready", "ftp://m/", "http://", "http://user:hush@m/", "http://m /"] {
            check(bad, None);
        }
        for bad in ["http://m/?q=1", "http://m/#top"] {
            check(bad, None);
        }
        for bad in ["http://m:99999/", "http://[::1]:65536/", "http://m:/", "http://m:http/"] {
            check(bad, None);
        }
    }
}
