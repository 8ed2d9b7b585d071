//! What an HTTP status means that comes without data, and what the admin can do about it.
//!
//! Owns the table of statuses. What Prometheus says in its envelope goes before it (`answer`).

use std::fmt;

use ureq::http::HeaderMap;
use ureq::http::header::{LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};

use super::upstream::{Way, shown_location};

/// An HTTP status without data.
#[derive(Debug, PartialEq, Eq)]
pub struct StatusFailure {
    /// The HTTP status.
    pub status: u16,
    /// What it means.
    pub meaning: StatusMeaning,
    /// Prometheus's own words about it, shortened.
    pub words: Option<String>,
}

/// What an HTTP status means.
#[derive(Debug, PartialEq, Eq)]
pub enum StatusMeaning {
    /// 400 or 426 over http: it may speak https.
    OtherProtocol,
    /// 401, and no credentials were sent. The scheme of the challenge, if there is one.
    CredentialsRequired(Option<String>),
    /// 401, and credentials were sent. The scheme of the challenge, if there is one.
    CredentialsRefused(Option<String>),
    /// 401 of Mimir or Cortex: no tenant was sent.
    TenantRequired,
    /// 403 or 407. Whether credentials were sent.
    Denied(bool),
    /// A redirect, which is not followed. Where it points: host and path, as far as they may be shown.
    Redirected(Option<String>),
    /// 404: no API at this path.
    NoApi,
    /// 405 or 501, to POST and to GET.
    MethodRefused,
    /// 408: it waited too long for the request.
    GaveUpWaiting,
    /// 413, 414 or 431.
    TooLong,
    /// 421: another server than the one meant.
    Misdirected,
    /// 429. The seconds after which it may be asked again, if it says so.
    TooManyRequests(Option<u64>),
    /// 5xx: it is there, and cannot answer now.
    Unavailable,
}

/// The body by which Mimir and Cortex say that no tenant was named.
const NO_TENANT: &str = "no org id";

impl StatusFailure {
    /// What a status means, if anything. `body` is the beginning of its body, if that is short and a text.
    pub(super) fn of(status: u16, headers: &HeaderMap, way: Way, body: Option<&str>) -> Option<StatusFailure> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let challenge = || text(WWW_AUTHENTICATE).and_then(scheme);
        let names_no_tenant = body.is_some_and(|body| body.trim() == NO_TENANT);
        let meaning = match status {
            300..=399 => StatusMeaning::Redirected(text(LOCATION).and_then(shown_location)),
            400 | 426 if !way.is_https => StatusMeaning::OtherProtocol,
            401 if names_no_tenant => StatusMeaning::TenantRequired,
            401 if way.has_credentials => StatusMeaning::CredentialsRefused(challenge()),
            401 => StatusMeaning::CredentialsRequired(challenge()),
            403 | 407 => StatusMeaning::Denied(way.has_credentials),
            404 => StatusMeaning::NoApi,
            405 | 501 => StatusMeaning::MethodRefused,
            408 => StatusMeaning::GaveUpWaiting,
            413 | 414 | 431 => StatusMeaning::TooLong,
            421 => StatusMeaning::Misdirected,
            429 => StatusMeaning::TooManyRequests(text(RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok())),
            500..=599 => StatusMeaning::Unavailable,
            _ => return None,
        };
        Some(StatusFailure { status, meaning, words: None })
    }

    /// Whether the query is too long for it.
    pub(super) fn is_too_long(&self) -> bool {
        self.meaning == StatusMeaning::TooLong
    }

    /// Its stable code.
    pub(super) fn name(&self) -> &'static str {
        match self.meaning {
            StatusMeaning::OtherProtocol => "wrong_protocol",
            StatusMeaning::CredentialsRequired(_) => "credentials_required",
            StatusMeaning::CredentialsRefused(_) => "credentials_refused",
            StatusMeaning::TenantRequired => "tenant_required",
            StatusMeaning::Denied(_) => "access_denied",
            StatusMeaning::Redirected(_) => "redirected",
            StatusMeaning::NoApi => "api_not_found",
            StatusMeaning::MethodRefused => "method_refused",
            StatusMeaning::GaveUpWaiting => "request_timeout",
            StatusMeaning::TooLong => "query_too_long",
            StatusMeaning::Misdirected => "misdirected",
            StatusMeaning::TooManyRequests(_) => "too_many_requests",
            StatusMeaning::Unavailable => "unavailable",
        }
    }
}

/// The scheme of a challenge (RFC 9110, "WWW-Authenticate"), if it looks like one.
fn scheme(challenge: &str) -> Option<String> {
    const MAX_SCHEME_BYTES: usize = 30;
    let scheme = challenge.split([' ', ',']).next()?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_scheme = (1..=MAX_SCHEME_BYTES).contains(&scheme.len()) && scheme.bytes().all(is_token);
    is_scheme.then(|| scheme.to_owned())
}

/// The predicate of a sentence whose subject is the upstream.
impl fmt::Display for StatusFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status;
        let words = self.words.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
        match &self.meaning {
            StatusMeaning::OtherProtocol => write!(
                f,
                "refuses the request without looking at the query (HTTP status {status}): it may speak https; if so, give \
                 https://host:port as url in the connection details, instead of host and port"
            ),
            StatusMeaning::CredentialsRequired(challenge) => {
                write!(
                    f,
                    "asks for credentials, and none were sent (HTTP status {status}{}){words}; ",
                    asked(challenge)
                )?;
                if is_basic(challenge) {
                    f.write_str("give them as https://user:password@host/ in the url of the connection details")
                } else {
                    write!(
                        f,
                        "the url of the connection details can hold Basic credentials only: query Prometheus through a reverse \
                         proxy that adds the header Authorization"
                    )
                }
            }
            StatusMeaning::CredentialsRefused(challenge) => {
                write!(
                    f,
                    "refuses the credentials of the url (HTTP status {status}{}){words}; check user and password in the url of the \
                     connection details, with special characters percent-encoded (/ is %2F, @ is %40)",
                    asked(challenge)
                )?;
                if !is_basic(challenge) {
                    f.write_str("; they are sent as Basic credentials, and it asks for others")?;
                }
                Ok(())
            }
            StatusMeaning::TenantRequired => write!(
                f,
                "asks for a tenant (HTTP status {status}: {NO_TENANT}); it wants the header X-Scope-OrgID, which this mirror does \
                 not send: query it through a reverse proxy that adds the header"
            ),
            StatusMeaning::Denied(has_credentials) => {
                write!(f, "denies access (HTTP status {status}){words}; ")?;
                f.write_str(match has_credentials {
                    true => "allow the user in the url of the connection details to query it",
                    false => {
                        "allow this mirror to query it, or give credentials as https://user:password@host/ in the url of the \
                         connection details"
                    }
                })
            }
            StatusMeaning::Redirected(to) => {
                let to = to.as_ref().map_or("elsewhere".to_owned(), |to| format!("to {to}"));
                write!(f, "redirects {to} (HTTP status {status}), which is not followed; ")?;
                f.write_str(match status {
                    301 | 308 => "give that address as url in the connection details",
                    _ => {
                        "that is probably a login page: query Prometheus past it, or give the final address as url in the \
                         connection details"
                    }
                })
            }
            StatusMeaning::NoApi => write!(
                f,
                "has no Prometheus API at this path (HTTP status {status}); if it is served below a path prefix, give the whole \
                 base URL as url in the connection details, such as https://host/prometheus, without /api/v1"
            ),
            StatusMeaning::MethodRefused => write!(
                f,
                "accepts neither POST nor GET at the path of the Prometheus API (HTTP status {status}); allow one of them in what \
                 stands before Prometheus, or check the path prefix in the connection details"
            ),
            StatusMeaning::GaveUpWaiting => write!(
                f,
                "stopped waiting for the query before all of it had arrived (HTTP status {status}); ask again, and if it stays so, \
                 check the network between this mirror and it"
            ),
            StatusMeaning::TooLong => write!(
                f,
                "refuses the query because it is too long (HTTP status {status}); shorten it (fewer conditions, smaller sets, a \
                 shorter expression), or raise the limit of what stands before Prometheus"
            ),
            StatusMeaning::Misdirected => write!(
                f,
                "does not serve this host (HTTP status {status}); give the host name by which it is configured in the connection \
                 details"
            ),
            StatusMeaning::TooManyRequests(after_s) => {
                let after = after_s.map(|seconds| format!(", again after {seconds} s")).unwrap_or_default();
                write!(
                    f,
                    "is asked too often (HTTP status {status}{after}){words}; ask later or less often, or raise the rate limit of \
                     Prometheus or of what stands before it"
                )
            }
            StatusMeaning::Unavailable => write!(
                f,
                "is reachable, but cannot answer now (HTTP status {status}); it may be starting, or what stands before it does not \
                 reach it: ask again in some minutes, and if it stays so, look at the log of Prometheus"
            ),
        }
    }
}

fn is_basic(challenge: &Option<String>) -> bool {
    challenge.as_ref().is_none_or(|scheme| scheme.eq_ignore_ascii_case("Basic"))
}

fn asked(challenge: &Option<String>) -> String {
    challenge.as_ref().map(|scheme| format!(", WWW-Authenticate: {scheme}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Way = Way { is_https: false, has_credentials: false };
    const HTTPS: Way = Way { is_https: true, has_credentials: false };
    const WITH_CREDENTIALS: Way = Way { is_https: true, has_credentials: true };

    #[test]
    fn each_status_has_a_code_and_says_what_to_do() {
        let check = |status: u16,
                     way: Way,
                     header: Option<(&'static str, &str)>,
                     body: Option<&str>,
                     code: &str,
                     says: &[&str]| {
            let headers = header.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            let found = StatusFailure::of(status, &headers, way, body).unwrap();
            let text = found.to_string();
            assert_eq!(found.name(), code, "{text}");
            assert!(says.iter().all(|part| text.contains(part)), "{says:?}: {text}");
            assert!(text.contains(&status.to_string()) && !text.contains("hush"), "{text}");
        };
        let challenge = |value| Some(("WWW-Authenticate", value));
        let location = |value| Some(("Location", value));
        check(400, PLAIN, None, Some("hush"), "wrong_protocol", &["https", "url"]);
        check(426, PLAIN, None, None, "wrong_protocol", &["https"]);
        check(401, PLAIN, None, None, "credentials_required", &["https://user:password@host/"]);
        check(
            401,
            PLAIN,
            challenge("Basic realm=\"hush\""),
            None,
            "credentials_required",
            &["Authenticate: Basic)", "url"],
        );
        check(
            401,
            PLAIN,
            challenge("Bearer"),
            Some("hush"),
            "credentials_required",
            &["Authenticate: Bearer)", "reverse proxy"],
        );
        check(401, PLAIN, challenge("h\tush"), None, "credentials_required", &["user:password"]);
        check(
            401,
            WITH_CREDENTIALS,
            challenge("Basic"),
            None,
            "credentials_refused",
            &["check user and password", "%2F"],
        );
        check(
            401,
            WITH_CREDENTIALS,
            challenge("Negotiate, Basic"),
            None,
            "credentials_refused",
            &["Negotiate", "others"],
        );
        check(401, PLAIN, None, Some("no org id\n"), "tenant_required", &["X-Scope-OrgID"]);
        check(403, PLAIN, None, None, "access_denied", &["allow this mirror"]);
        check(403, WITH_CREDENTIALS, None, None, "access_denied", &["allow the user"]);
        check(407, PLAIN, None, None, "access_denied", &["denies access"]);
        check(
            302,
            PLAIN,
            location("https://login.example/a?x=hush#hush"),
            None,
            "redirected",
            &["to login.example/a (", "login page"],
        );
        check(
            302,
            HTTPS,
            location("https://u:hush@login.example/a"),
            None,
            "redirected",
            &["to login.example/a (", "login page"],
        );
        check(301, HTTPS, location("/graph?hush"), None, "redirected", &["to /graph (", "give that address as url"]);
        check(307, HTTPS, None, None, "redirected", &["elsewhere"]);
        check(308, HTTPS, location("https://p/x:hush/y"), None, "redirected", &["to p/... ("]);
        check(404, PLAIN, None, Some("hush"), "api_not_found", &["path prefix", "without /api/v1"]);
        check(405, PLAIN, None, None, "method_refused", &["POST", "GET"]);
        check(501, PLAIN, None, None, "method_refused", &["POST", "GET"]);
        check(408, PLAIN, None, None, "request_timeout", &["ask again"]);
        for status in [413, 414, 431] {
            check(status, PLAIN, None, Some("hush"), "query_too_long", &["too long", "shorten", "before Prometheus"]);
        }
        check(421, HTTPS, None, None, "misdirected", &["host name"]);
        check(429, PLAIN, Some(("Retry-After", "17")), None, "too_many_requests", &["too often", "again after 17 s"]);
        check(429, PLAIN, Some(("Retry-After", "hush")), None, "too_many_requests", &["too often"]);
        for status in [500, 502, 503, 504, 599] {
            check(status, PLAIN, None, Some("hush"), "unavailable", &["reachable", "cannot answer now", "ask again"]);
        }
        for (status, way) in [(200, PLAIN), (400, HTTPS), (422, PLAIN), (426, HTTPS), (999, PLAIN)] {
            assert_eq!(StatusFailure::of(status, &HeaderMap::new(), way, None), None, "{status}");
        }
    }
}
