//! Who is to blame for a failed call. What the mirror does next depends on it, and what StackState gets.

use super::api_failure::{ApiCause, ApiFailure};
use super::kind::ErrorKind;
use super::silence::WaitedFor;

/// Who is to blame for a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The caller, who names an upstream that this mirror may not query.
    Caller,
    /// The query: it exceeds a bound, or the upstream refuses it.
    Query,
    /// The query or the upstream: the upstream has understood the query, but responds with a failure of its own.
    QueryOrUpstream,
    /// The replica: there is no connection, or it cannot answer now. This query goes to another one, and so do later ones.
    Replica,
    /// The replica or a short timeout: the call waited for this, for its whole timeout. Only this query goes to another replica.
    Wait(WaitedFor),
    /// A state of the replica that passes: it is silent, or has canceled the query. Only this query goes to another replica.
    Passing,
    /// Anything else: another replica would fail, too.
    Other,
}

impl ErrorKind {
    /// Who is to blame.
    pub fn blame(&self) -> Blame {
        use ErrorKind::*;
        match self {
            NotAllowed | AddressUnknown(_) => Blame::Caller,
            TooLarge(_) | TooManyNames(_) | TooManyCalls(_) => Blame::Query,
            NativeHistogram | UrlTooLong(_) | TooLongForGet => Blame::Query,
            Closed | ReplicaDown => Blame::Replica,
            Timeout { .. } | Stalled(_) => Blame::Wait(WaitedFor::Response),
            Silent(_) => Blame::Passing,
            Unconnected(failure) => failure.waited_for().map_or(Blame::Replica, Blame::Wait),
            Status(failure) if failure.is_too_long() => Blame::Query,
            Status(failure) if matches!(failure.status, 502..=504) => Blame::Replica,
            Api(failure) => of_api(failure),
            AtProxy { .. } | ProxyStatus(_) | Unsent | Credentials(_) | UnsendableCredentials(_) => Blame::Other,
            TimeSpent(_) | NoTimeLeft(_) | NoWorker { .. } | NoMemory(_) => Blame::Other,
            Status(_) | Encoded(_) | WrongType | NotPrometheus { .. } | MissingData(_) | Damaged(_) => Blame::Other,
        }
    }
}

fn of_api(failure: &ApiFailure) -> Blame {
    match failure.cause {
        ApiCause::Refused if failure.status < 500 => Blame::Query,
        ApiCause::Refused => Blame::QueryOrUpstream,
        ApiCause::Internal | ApiCause::NotAcceptable if matches!(failure.status, 503 | 504) => Blame::Other,
        ApiCause::Internal | ApiCause::NotAcceptable => Blame::QueryOrUpstream,
        ApiCause::Unavailable => Blame::Replica,
        ApiCause::Canceled => Blame::Passing,
        ApiCause::Timeout => Blame::Other,
    }
}
