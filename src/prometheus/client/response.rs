//! The meaning of an upstream's response: its status, and the envelope of the Prometheus HTTP API.

use std::io::Read;

use serde::Deserialize;
use ureq::http::HeaderMap;
use ureq::http::header::CONTENT_ENCODING;

use crate::prometheus::decode::envelope::{self, Envelope, Status};
use crate::prometheus::decode::json::{Decoded, Json, Undecoded};
use crate::prometheus::error::{
    ApiCause, ApiFailure, CallContext, ErrorKind, Foreign, StatusFailure, cut, one_line, shortened,
};
use crate::prometheus::http::{UpstreamResponse, content_type};

/// The prefix of warnings of the PromQL engine, which are about the expression. All other warnings are about missing data.
const ABOUT_PROMQL: &str = "PromQL ";

/// How much of the body is read to explain a status. A longer body is not an explanation.
const MAX_WORDS_BYTES: u64 = 64 << 10;

/// The envelope of a successful response, or why the response is not one. `take_data` decodes the data.
pub(super) fn interpret<T>(
    response: UpstreamResponse,
    context: CallContext,
    take_data: impl FnMut(&mut Json<'_>) -> Decoded<T>,
) -> Result<Envelope<T>, NoData> {
    let status = response.status;
    if !(200..=299).contains(&status) || encoding(&response.headers).is_some() {
        return Err(without_data(response, &context));
    }
    let envelope = envelope(response, take_data)?;
    match envelope.status {
        Status::Error => Err(envelope_error(status, envelope.error_type, envelope.error).into()),
        Status::Success => Ok(envelope),
    }
}

/// Why a response has no data that can be read.
///
/// Prometheus sends the envelope with any status, so it is read with any status. Without it, the status tells what has responded.
fn without_data(response: UpstreamResponse, context: &CallContext) -> NoData {
    let status = response.status;
    if matches!(status, 300..=399 | 401 | 403 | 407 | 429) {
        return said_by_head(response, context).into();
    }
    let by_status =
        StatusFailure::of(status, &response.headers, context, None).map(|failure| ErrorKind::Status(Box::new(failure)));
    if let Some(encoding) = encoding(&response.headers) {
        return by_status.unwrap_or(ErrorKind::Encoded(encoding)).into();
    }
    let without_words = |otherwise: ErrorKind| by_status.unwrap_or(otherwise).into();
    match envelope(response, |json| json.skip()) {
        Ok(Envelope { status: Status::Error, error_type, error, .. }) => {
            match envelope_error(status, error_type, error) {
                foreign @ ErrorKind::NotPrometheus { .. } => without_words(foreign),
                own => own.into(),
            }
        }
        Ok(Envelope { status: Status::Success, .. }) => {
            without_words(ErrorKind::not_prometheus(Some(status), Foreign::UnlikelySuccess))
        }
        Err(NoData::Failed(timeout @ (ErrorKind::Timeout { .. } | ErrorKind::Stalled(_)))) => timeout.into(),
        Err(NoData::Failed(failed)) => without_words(failed),
        Err(NoData::Enough) => NoData::Enough,
    }
}

/// The meaning of a status that needs no body. Only a body that may contain an explanation is read. This may take until the
/// deadline, but changes nothing else.
fn said_by_head(response: UpstreamResponse, context: &CallContext) -> ErrorKind {
    let UpstreamResponse { status, headers, body } = response;
    let kind = content_type(&headers).and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    // Amazon's services have their own types, such as `application/x-amz-json-1.1`.
    let is_json = kind.eq_ignore_ascii_case("application/json") || kind.starts_with("application/x-amz-json-");
    let is_plain = kind.eq_ignore_ascii_case("text/plain");
    let mut text = String::new();
    if (is_json || is_plain) && encoding(&headers).is_none() {
        // Not all bodies announce their length. An unreadable body explains nothing.
        let _ = body.take(MAX_WORDS_BYTES).read_to_string(&mut text);
    }
    let Some(failure) = StatusFailure::of(status, &headers, context, Some(&text)) else {
        return ErrorKind::not_prometheus(Some(status), Foreign::Other(None));
    };
    let words = match envelope::decode(&mut text.as_bytes(), |json| json.skip()) {
        // Only Prometheus sends an error type, so its message may be shown.
        Ok(Envelope { status: Status::Error, error_type: Some(_), error, .. }) => error,
        _ if matches!(status, 401 | 403) && is_json => message(&text),
        // Mimir tells in plain text which limit was exceeded.
        _ if status == 429 && is_plain => reason(&text),
        _ => None,
    };
    ErrorKind::Status(Box::new(StatusFailure { words: words.map(|words| shortened(&one_line(&words))), ..failure }))
}

/// The `message` of a JSON error as gateways in front of Prometheus send it. Nothing else of the body is shown.
fn message(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct GatewayError {
        #[serde(alias = "Message")]
        message: String,
    }
    serde_json::from_str(json).ok().map(|GatewayError { message }| message)
}

/// A text as one line of at most 300 characters.
fn reason(text: &str) -> Option<String> {
    const MAX_REASON_CHARS: usize = 300;
    let line = one_line(text);
    (!line.is_empty()).then(|| cut(&line, MAX_REASON_CHARS))
}

/// The `Content-Encoding` of a response, if it has one. The mirror requests plain responses only.
pub(super) fn encoding(headers: &HeaderMap) -> Option<String> {
    const MAX_SHOWN_BYTES: usize = 30;
    let encoding = headers.get(CONTENT_ENCODING)?.to_str().unwrap_or("unknown").trim();
    let is_shown = |byte: u8| byte.is_ascii_alphanumeric() || b"-, ".contains(&byte);
    if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
        return None;
    }
    let is_name = encoding.len() <= MAX_SHOWN_BYTES && encoding.bytes().all(is_shown);
    Some(if is_name { encoding.to_owned() } else { "unknown".to_owned() })
}

/// Why a call returns no data.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoData {
    /// Something went wrong.
    Failed(ErrorKind),
    /// The sink has seen enough.
    Enough,
}

impl From<ErrorKind> for NoData {
    fn from(kind: ErrorKind) -> NoData {
        NoData::Failed(kind)
    }
}

fn envelope<T>(
    response: UpstreamResponse,
    take_data: impl FnMut(&mut Json<'_>) -> Decoded<T>,
) -> Result<Envelope<T>, NoData> {
    let UpstreamResponse { status, headers, mut body } = response;
    envelope::decode(&mut body, take_data).map_err(|undecoded| match undecoded {
        Undecoded::Enough => NoData::Enough,
        Undecoded::Unread(error) => body.failure(error).into(),
        Undecoded::Foreign if body.may_be_cut_short() => ErrorKind::Closed.into(),
        Undecoded::Foreign => {
            ErrorKind::not_prometheus(Some(status), Foreign::body(content_type(&headers), body.first)).into()
        }
    })
}

/// Why a response says that data is missing in it, if it does.
pub(super) fn missing_data<T>(envelope: &Envelope<T>) -> Option<String> {
    if envelope.is_partial {
        return Some("it says isPartial".to_owned());
    }
    let about_data = envelope.warnings.iter().find(|warning| !warning.starts_with(ABOUT_PROMQL));
    about_data.map(|warning| shortened(warning))
}

/// Only Prometheus sends an error type, so its message may be shown.
fn envelope_error(status: u16, error_type: Option<String>, message: Option<String>) -> ErrorKind {
    let Some(error_type) = error_type else {
        return ErrorKind::not_prometheus(Some(status), Foreign::UntypedError);
    };
    let message = message.map(|message| shortened(&message)).unwrap_or_default();
    let cause = ApiCause::of(&error_type, status);
    let error_type = shortened(&error_type);
    ErrorKind::Api(Box::new(ApiFailure { cause, status, error_type, message }))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ureq::http::Response;

    use super::*;
    use crate::prometheus::decode::json::Decode;
    use crate::prometheus::decode::lists::BoundedTexts;
    use crate::prometheus::error::{Circumstances, predicate};
    use crate::prometheus::http::Deadline;
    use crate::prometheus::upstream::Upstream;

    fn interpreted(status: u16, headers: &[(&'static str, &str)], body: &str) -> Result<Option<Vec<String>>, NoData> {
        let deadline = Deadline::new(Instant::now(), Duration::from_secs(60));
        let response = Response::builder().status(status).header("Content-Length", body.len());
        let response = headers.iter().fold(response, |response, (name, value)| response.header(*name, *value));
        let response = response.body(ureq::Body::builder().data(body)).unwrap();
        let response = UpstreamResponse::new(response, Instant::now(), deadline, 1 << 20);
        let context = Upstream::at_url("https://p").unwrap().context();
        interpret(response, context, BoundedTexts::<9>::decode)
            .map(|envelope| envelope.data.map(|list| list.kept.iter().map(str::to_owned).collect()))
    }

    fn envelope(kind: &str) -> String {
        format!(r#"{{"status":"error","errorType":"{kind}","error":"why"}}"#)
    }

    #[test]
    fn the_envelope_decides_at_any_status() {
        let check = |status: u16, body: &str, expected: Result<Option<Vec<String>>, ErrorKind>| {
            assert_eq!(interpreted(status, &[], body), expected.map_err(NoData::Failed), "{status} {body}");
        };
        let api = |status, error_type: &str| {
            let (cause, error_type, message) = (ApiCause::Refused, error_type.into(), "why".into());
            Err(ErrorKind::Api(Box::new(ApiFailure { cause, status, error_type, message })))
        };
        let none = |status, found| Err(ErrorKind::not_prometheus(Some(status), found));

        check(200, r#"{"status":"success","data":["a"]}"#, Ok(Some(vec!["a".into()])));
        check(200, r#"{"status":"success","data":null}"#, Ok(None));
        check(200, &envelope("execution"), api(200, "execution"));
        check(400, &envelope("bad_data"), api(400, "bad_data"));
        check(404, &envelope("not_found"), api(404, "not_found"));
        check(422, &envelope("422"), api(422, "422"));
        check(500, &envelope("500"), api(500, "500"));
        for (status, error_type, cause) in [
            (503, "timeout", ApiCause::Timeout),
            (504, "timeout", ApiCause::Timeout),
            (422, "canceled", ApiCause::Canceled),
            (499, "canceled", ApiCause::Canceled),
            (503, "unavailable", ApiCause::Unavailable),
            (500, "unavailable", ApiCause::Unavailable),
            (503, "503", ApiCause::Unavailable),
            (503, "execution", ApiCause::Unavailable),
            (500, "internal", ApiCause::Internal),
            (503, "internal", ApiCause::Internal),
            (406, "not_acceptable", ApiCause::NotAcceptable),
        ] {
            let failure = ApiFailure { cause, status, error_type: error_type.into(), message: "why".into() };
            check(status, &envelope(error_type), Err(ErrorKind::Api(Box::new(failure))));
        }
        check(200, "<html>", none(200, Foreign::Page));
        check(200, "", none(200, Foreign::Empty));
        check(200, "OK", none(200, Foreign::Other(None)));
        check(200, r#"{"status":"success","data":{}}"#, none(200, Foreign::Json));
        check(200, r#"{"health":"ok"}"#, none(200, Foreign::Json));
        check(600, r#"{"status":"error","error":"hush"}"#, none(600, Foreign::UntypedError));
        check(600, r#"{"status":"success","data":["a"]}"#, none(600, Foreign::UnlikelySuccess));
    }

    #[test]
    fn without_an_envelope_the_status_decides() {
        let check = |status: u16, headers: &[(&'static str, &str)], body: &str, code: &str, words: Option<&str>| {
            match interpreted(status, headers, body) {
                Err(NoData::Failed(kind)) => {
                    assert_eq!(kind.code(), code, "{status} {body}");
                    let text = predicate(None, &kind, &Circumstances::default());
                    assert!(!text.contains("hush"), "{text}");
                    assert_eq!(text.contains("why"), words.is_some(), "{text}");
                    assert!(!text.contains(char::is_control), "{text:?}");
                }
                other => panic!("{status} {body}: {other:?}"),
            }
        };
        let json = ("content-type", "application/json; charset=utf-8");
        let text = ("content-type", "text/plain");
        check(302, &[("location", "/login")], "hush", "redirected", None);
        check(401, &[], "hush", "credentials_required", None);
        check(401, &[json], &envelope("unauthorized"), "credentials_required", Some("why"));
        check(401, &[json], r#"{"status":"error","error":"hush"}"#, "credentials_required", None);
        check(401, &[json], r#"{"message":"why","detail":"hush"}"#, "credentials_required", Some("why"));
        check(401, &[json], r#"{"message":["hush"]}"#, "credentials_required", None);
        check(401, &[json], &format!("{{\"message\":{:?}}}", "hush".repeat(20_000)), "credentials_required", None);
        check(401, &[text], r#"{"message":"hush"}"#, "credentials_required", None);
        check(401, &[("content-type", "application/json-hush")], r#"{"message":"hush"}"#, "credentials_required", None);
        check(403, &[json], r#"{"message":"why","detail":"hush"}"#, "access_denied", Some("why"));
        check(403, &[text], r#"{"message":"hush"}"#, "access_denied", None);
        check(407, &[json], r#"{"message":"hush"}"#, "access_denied", None);
        check(400, &[], "<html>hush", "request_refused", None);
        check(422, &[], r#"{"status":"error","error":"hush"}"#, "request_refused", None);
        check(422, &[], r#"{"status":"success","data":["hush"]}"#, "request_refused", None);
        check(401, &[text], "no org id\n", "tenant_required", None);
        check(401, &[text], "hush", "credentials_required", None);
        check(403, &[json], &envelope("forbidden"), "access_denied", Some("why"));
        check(429, &[json], &envelope("too_many_requests"), "too_many_requests", Some("why"));
        check(429, &[text], "why: too many\r\n\x1b[2Jrequests", "too_many_requests", Some("why"));
        check(429, &[text], &format!("why {}hush", "x ".repeat(150)), "too_many_requests", Some("why"));
        check(429, &[text], " \n", "too_many_requests", None);
        check(429, &[], "hush", "too_many_requests", None);
        check(404, &[text], "404 page not found", "api_not_found", None);
        check(414, &[], "<html>hush", "query_too_long", None);
        check(500, &[], r#"{"status":"success","data":["hush"]}"#, "unavailable", None);
        check(500, &[json], r#"{"status":"error","error":"hush"}"#, "unavailable", None);
        for status in [500, 502, 503, 504] {
            check(status, &[], "<html>hush", "unavailable", None);
        }
        let gzip = ("content-encoding", "gzip");
        check(200, &[gzip], "hush", "encoded", None);
        check(502, &[gzip], "hush", "unavailable", None);
        check(200, &[("content-encoding", "hush\u{e9}")], "hush", "encoded", None);
        check(200, &[("content-encoding", "Identity")], "hush", "not_prometheus", None);
    }
}
