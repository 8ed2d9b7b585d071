//! Responses that are not of the Prometheus HTTP API, and what the admin can do about them.

use std::fmt;

use super::vocabulary::{HOST_AND_PORT, HOST_PORT_AND_PATH, Vocabulary};

/// What a response is if it is not one of the Prometheus HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// Not HTTP.
    NotHttp,
    /// The body is not HTTP as the mirror accepts it.
    BodyNotHttp,
    /// The header is too large.
    LargeHeader,
    /// An empty body.
    Empty,
    /// An HTML page.
    Page,
    /// JSON, or a body of its media type.
    Json,
    /// Something else, with its media type if that may be shown.
    Other(Option<String>),
    /// An error without an error type.
    UntypedError,
    /// A success with a status of failure.
    UnlikelySuccess,
}

impl Foreign {
    /// What a body is, by its media type and its first byte.
    pub(in crate::prometheus) fn body(content_type: Option<&str>, first: Option<u8>) -> Foreign {
        const MAX_SHOWN_BYTES: usize = 60;
        let media_type =
            content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
        match (media_type.as_str(), first) {
            (_, None) => Foreign::Empty,
            ("text/html" | "application/xhtml+xml", _) | (_, Some(b'<')) => Foreign::Page,
            ("application/json", _) | (_, Some(b'{' | b'[')) => Foreign::Json,
            _ => {
                let is_shown = |byte: u8| byte.is_ascii_lowercase() || b"/+-.".contains(&byte);
                let is_type = (1..=MAX_SHOWN_BYTES).contains(&media_type.len()) && media_type.bytes().all(is_shown);
                Foreign::Other(is_type.then_some(media_type))
            }
        }
    }

    /// What to do if the address is not known to be that of a Prometheus.
    pub(super) fn remedy(&self, words: Vocabulary<'_>) -> String {
        match self {
            Foreign::NotHttp => format!("check {}", words.setting(HOST_AND_PORT)),
            Foreign::BodyNotHttp | Foreign::LargeHeader => {
                format!(
                    "check {}, and look at the log of the proxy in front of Prometheus",
                    words.setting(HOST_AND_PORT)
                )
            }
            Foreign::Page => format!(
                "it may be a login page, a page of Prometheus itself, or another program: check {}; if it is a login page, \
                 query Prometheus without the login",
                words.setting(HOST_PORT_AND_PATH)
            ),
            Foreign::Empty | Foreign::Json | Foreign::Other(_) | Foreign::UntypedError | Foreign::UnlikelySuccess => {
                format!("it may be another program: check {}", words.setting(HOST_PORT_AND_PATH))
            }
        }
    }

    /// What to do if a Prometheus has answered at the same address before.
    pub(super) fn remedy_later(&self) -> &'static str {
        match self {
            Foreign::Page => {
                "a Prometheus has answered at this address before, so this may be the login or error page of the proxy in front \
                 of it: look at the log of the proxy; if it is a login page, query Prometheus without the login"
            }
            _ => {
                "a Prometheus has answered at this address before: look at the log of the proxy in front of it, and check which \
                 program listens there now"
            }
        }
    }
}

/// Writes a clause.
impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Foreign::NotHttp => "its response is not HTTP",
            Foreign::BodyNotHttp => "the body of its response is not HTTP as this mirror accepts it",
            Foreign::LargeHeader => "the header of its response is too large",
            Foreign::Empty => "its response is empty",
            Foreign::Page => "its response is an HTML page",
            Foreign::Json => "its response is JSON, but not that of the Prometheus HTTP API",
            Foreign::Other(Some(media_type)) => return write!(f, "its response is of type {media_type}, not JSON"),
            Foreign::Other(None) => "its response is not JSON",
            Foreign::UntypedError => "its error has no errorType",
            Foreign::UnlikelySuccess => "it claims success with a status of failure",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_classified_by_its_media_type_and_first_byte() {
        let check = |content_type: Option<&str>, body: &str, expected: Foreign| {
            let found = Foreign::body(content_type, body.bytes().next());
            assert_eq!(found, expected, "{content_type:?} {body}");
            assert!(!found.to_string().contains("hush"), "{found}");
        };
        let other = |media_type: &str| Foreign::Other(Some(media_type.to_owned()));
        check(Some("text/html; charset=utf-8"), "hush", Foreign::Page);
        check(Some("Text/HTML"), "<hush>", Foreign::Page);
        check(None, "<html>", Foreign::Page);
        check(Some("application/json"), "hush", Foreign::Json);
        check(None, "{\"hush\":1}", Foreign::Json);
        check(Some("text/plain"), "[\"hush\"]", Foreign::Json);
        check(Some("text/html"), "", Foreign::Empty);
        check(Some("text/plain; version=0.0.4"), "hush", other("text/plain"));
        check(Some("application/openmetrics-text"), "# hush", other("application/openmetrics-text"));
        check(None, "hush", Foreign::Other(None));
        check(Some("hu sh=5"), "a", Foreign::Other(None));
        check(Some(&"x".repeat(61)), "a", Foreign::Other(None));
    }

    #[test]
    fn the_address_is_doubted_only_until_a_prometheus_has_answered() {
        use Foreign::{BodyNotHttp, Empty, Json, LargeHeader, NotHttp, Other, Page, UnlikelySuccess, UntypedError};
        for found in [NotHttp, BodyNotHttp, LargeHeader, Empty, Page, Json, Other(None), UntypedError, UnlikelySuccess]
        {
            assert!(found.remedy(Vocabulary::default()).contains("in the Connection Details"), "{found:?}");
            let later = found.remedy_later();
            assert!(later.contains("has answered at this address before") && !later.contains("check host"), "{later}");
        }
    }
}
