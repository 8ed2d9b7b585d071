//! `prometheusmirror check`: checks whether a mirror is ready. The health check of a container and the test of the chart use it,
//! since the image contains no other HTTP client.

pub mod upstreams;

use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;

use crate::error::KEY_HEADER;
use crate::settings::{Check, KeySource};

/// The timeout of the request. Health checks often have one of 5 s.
const TIMEOUT: Duration = Duration::from_secs(4);

/// The path if the URL has none.
const READY_PATH: &str = "/-/ready";

/// Checks whether a mirror is ready, and whether its response carries the key, if one is given. Gives a line for the user.
///
/// The path is `/-/ready` if the URL has none. The certificate of an `https` URL is verified against the public CAs.
///
/// # Errors
/// If the mirror does not pass: a sentence that says why.
pub fn run(check: &Check) -> Result<String, String> {
    // The error does not repeat the URL, since it may contain a password.
    let url = url_of(&check.url)
        .ok_or("the URL to check must be like http://prometheusmirror:9900/, without user and password")?;
    let key = check.api_key.as_ref().map(KeySource::read_once).transpose().map_err(|bad| bad.to_string())?;
    let mut request = agent(TIMEOUT).get(&url);
    if let Some(key) = &key {
        // A mirror that requires the key sends it only in replies to requests with the key.
        request = request.header(KEY_HEADER, key.reveal());
    }
    let response = request.call().map_err(|error| no_response(&url, &error))?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(format!(
            "{url} responds with {status} instead of 200: the mirror there is shutting down, or it is another program"
        ));
    }
    let Some(key) = key else {
        return Ok(format!("{url} responds with 200; give the key to check that it is a mirror, and the right one"));
    };
    let what = match response.headers().get(KEY_HEADER).map(|value| value.to_str().unwrap_or_default()) {
        Some(shown) if key.is(shown) => return Ok(format!("{url} responds with 200 and the right key")),
        Some(_) => "another key than",
        None => "no key instead of",
    };
    Err(format!(
        "{url} responds with {what} the one given here: the mirror there may not have read a new key yet, or it is another program"
    ))
}

/// Why a mirror does not respond, and what to check.
pub(crate) fn no_response(mirror: &str, error: &ureq::Error) -> String {
    format!(
        "{mirror} does not respond: {error}; check that the URL has the right scheme (http or https), host and port, that a mirror \
         is running there, and what it logs"
    )
}

/// How long a mirror may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An HTTP client for a mirror. No status is an error, and redirects are not followed.
pub(crate) fn agent(timeout: Duration) -> Agent {
    Agent::config_builder()
        .timeout_global(Some(timeout))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .build()
        .into()
}

/// The URL to request; `None` if the text is not a URL without user and password.
fn url_of(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    if !matches!(scheme, "http" | "https") || authority.as_str().contains('@') {
        return None;
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path == "/" { READY_PATH } else { path };
    Some(format!("{scheme}://{authority}{path}"))
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
