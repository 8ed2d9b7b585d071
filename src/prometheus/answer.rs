//! What an answer of an upstream means: its status, and the envelope that the Prometheus HTTP API puts around everything.

use std::io::Read;

use crate::model::sample::SeriesSet;

use super::decode::envelope::{self, Envelope, QueryResult, ResultType, Status};
use super::decode::json::{Decode, Json, Undecoded};
use super::error::{ErrorKind, shortened};
use super::http::transport::Answer;

/// What an exchange means: the envelope of a success, or why it is none. `take_data` takes the data.
///
/// The envelope comes with any status, so it is read at any status; without it, the status tells what answered.
pub(super) fn interpret<T>(
    answer: Answer,
    take_data: impl FnMut(&mut Json<'_>) -> Result<T, Undecoded>,
) -> Result<Envelope<T>, Unanswered> {
    let status = answer.status;
    match status {
        429 => return Err(ErrorKind::Unavailable("it is asked too often, HTTP status 429".to_owned()).into()),
        401 | 403 | 407 => return Err(ErrorKind::Refused(status).into()),
        300..=399 => return Err(ErrorKind::Redirected(status).into()),
        _ => {}
    }
    if !(200..=299).contains(&status) {
        let envelope = envelope(answer, |json| json.skip())?;
        return Err(Unanswered::Failed(match envelope.status {
            Status::Error => refusal(status, envelope.error_type, envelope.error),
            Status::Success => {
                let why = "it claims success with a status of failure".to_owned();
                ErrorKind::NotPrometheus { status: Some(status), why }
            }
        }));
    }
    let envelope = envelope(answer, take_data)?;
    match envelope.status {
        Status::Error => Err(refusal(status, envelope.error_type, envelope.error).into()),
        Status::Success => Ok(envelope),
    }
}

/// Why there is no data.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// Something went wrong.
    Failed(ErrorKind),
    /// Whoever took the data has seen enough.
    Enough,
}

impl From<ErrorKind> for Unanswered {
    fn from(kind: ErrorKind) -> Unanswered {
        Unanswered::Failed(kind)
    }
}

fn envelope<T>(
    answer: Answer,
    take_data: impl FnMut(&mut Json<'_>) -> Result<T, Undecoded>,
) -> Result<Envelope<T>, Unanswered> {
    let Answer { status, mut body, .. } = answer;
    envelope::decode(&mut body, take_data).map_err(|undecoded| match undecoded {
        Undecoded::Enough => Unanswered::Enough,
        Undecoded::Unread(error) => body.failure(error).into(),
        Undecoded::Foreign if body.may_be_cut_short() => ErrorKind::Closed.into(),
        Undecoded::Foreign => {
            let why = "its answer is not one of the Prometheus HTTP API".to_owned();
            ErrorKind::NotPrometheus { status: Some(status), why }.into()
        }
    })
}

/// The answer to a query as decoded from a body, for fuzz targets and benches. Its meaning also depends on the HTTP status, see
/// `interpret`.
#[derive(Debug, PartialEq)]
pub struct Decoded {
    /// Whether the API did what it was asked.
    pub is_success: bool,
    /// What the query evaluates to, if there is anything.
    pub result: Option<(ResultType, SeriesSet)>,
    /// What kind of error it is.
    pub error_type: Option<String>,
    /// What the error is.
    pub error: Option<String>,
    /// The first of its warnings.
    pub warnings: Vec<String>,
}

/// Decodes the answer to a query; `None` when it cannot be read, or is none.
pub fn decoded(body: &mut impl Read) -> Option<Decoded> {
    let envelope = envelope::decode(body, QueryResult::decode).ok()?;
    Some(Decoded {
        is_success: envelope.status == Status::Success,
        result: envelope.data.map(|result| (result.kind, result.found)),
        error_type: envelope.error_type,
        error: envelope.error,
        warnings: envelope.warnings,
    })
}

/// An error that has an error type is Prometheus's own, and its words may be passed on.
fn refusal(status: u16, error_type: Option<String>, message: Option<String>) -> ErrorKind {
    let Some(error_type) = error_type else {
        let why = "its error has no errorType".to_owned();
        return ErrorKind::NotPrometheus { status: Some(status), why };
    };
    let message = message.map(|message| shortened(&message)).unwrap_or_default();
    let gave_up = matches!(status, 503 | 504) || matches!(error_type.as_str(), "timeout" | "canceled" | "unavailable");
    if gave_up {
        ErrorKind::Unavailable(message)
    } else {
        ErrorKind::Api { status, error_type: shortened(&error_type), message }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::prometheus::deadline::Deadline;
    use crate::prometheus::decode::lists::BoundedList;
    use crate::prometheus::http::transport::Body;

    #[test]
    fn the_status_and_the_envelope_tell_what_an_answer_means() {
        let check = |status: u16, body: &str, expected: Result<Option<Vec<String>>, ErrorKind>| {
            let deadline = Deadline::new(Instant::now(), Duration::from_secs(60));
            let body_of_answer = Body::new(ureq::Body::builder().data(body), deadline, 1 << 20);
            let answer = Answer { status, content_type: None, is_victoria_metrics: false, body: body_of_answer };
            let found = interpret(answer, BoundedList::<String, 9>::decode);
            let found = found.map(|envelope| envelope.data.map(|list| list.kept));
            assert_eq!(found, expected.map_err(Unanswered::Failed), "{status} {body}");
        };
        let api = |status, error_type: &str| {
            Err(ErrorKind::Api { status, error_type: error_type.into(), message: "why".into() })
        };
        let none = |status, why: &str| Err(ErrorKind::NotPrometheus { status: Some(status), why: why.into() });
        const WHY: &str = "its answer is not one of the Prometheus HTTP API";
        let envelope = |kind: &str| format!(r#"{{"status":"error","errorType":"{kind}","error":"why"}}"#);

        check(200, r#"{"status":"success","data":["a"]}"#, Ok(Some(vec!["a".into()])));
        check(200, r#"{"status":"success","data":null}"#, Ok(None));
        check(200, &envelope("execution"), api(200, "execution"));
        check(400, &envelope("bad_data"), api(400, "bad_data"));
        check(422, &envelope("422"), api(422, "422"));
        check(500, &envelope("internal"), api(500, "internal"));
        check(503, &envelope("timeout"), Err(ErrorKind::Unavailable("why".into())));
        check(422, &envelope("canceled"), Err(ErrorKind::Unavailable("why".into())));
        check(500, r#"{"status":"error","error":"hush"}"#, none(500, "its error has no errorType"));
        check(401, &envelope("bad_data"), Err(ErrorKind::Refused(401)));
        check(302, "", Err(ErrorKind::Redirected(302)));
        check(200, "<html>", none(200, WHY));
        check(502, "<html>", none(502, WHY));
        check(404, "404 page not found", none(404, WHY));
        check(200, r#"{"status":"success","data":{}}"#, none(200, WHY));
        check(200, r#"{"health":"ok"}"#, none(200, WHY));
        check(500, r#"{"status":"success","data":["a"]}"#, none(500, "it claims success with a status of failure"));
    }
}
