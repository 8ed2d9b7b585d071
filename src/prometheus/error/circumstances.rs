//! What a call was for, and how long its request had waited before. This decides what can help against a timeout or a response that
//! is too large.

use super::vocabulary::Vocabulary;

/// What a call is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallKind {
    /// A query that takes an upstream almost no time, such as [`TRIVIAL_QUERY`](crate::prometheus::TRIVIAL_QUERY).
    Trivial,
    /// Samples, or the value of an expression.
    #[default]
    Evaluation,
    /// Names and values of labels, series, or metadata.
    Names,
}

/// How long a request waited for a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queued {
    /// The time in milliseconds.
    pub waited_ms: u128,
    /// `max_in_flight` of its upstream, if that many queries were in flight when the request arrived.
    pub in_flight: Option<usize>,
}

/// What took a considerable part of a request's time before a call, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Before {
    /// The wait for a worker.
    pub queued: Option<Queued>,
    /// The waits for memory.
    pub memory_ms: Option<u128>,
    /// The number of earlier calls, and their time.
    pub calls: Option<(u32, u128)>,
}

/// The circumstances of a failed call; by default, of one that was never made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// What the call was for.
    pub call_kind: CallKind,
    /// What came before the call.
    pub before: Before,
    /// The other replicas that failed for the same query, each with the reason in brackets.
    pub failed_replicas: Vec<String>,
}

impl Before {
    /// Leaves out what took less than a tenth of the timeout.
    pub(in crate::prometheus) fn worth_a_word(self, whole_ms: u128) -> Before {
        let is_long = |ms: u128| ms > 0 && ms * 10 >= whole_ms;
        Before {
            queued: self.queued.filter(|queued| is_long(queued.waited_ms)),
            memory_ms: self.memory_ms.filter(|&ms| is_long(ms)),
            calls: self.calls.filter(|&(_, ms)| is_long(ms)),
        }
    }
}

impl Circumstances {
    /// What took the time before the call, as the end of a clause; empty if nothing did.
    pub(in crate::prometheus) fn before(&self) -> String {
        let Before { queued, memory_ms, calls } = self.before;
        let queued = queued.map(|Queued { waited_ms, in_flight }| match in_flight {
            Some(most) => {
                format!("{waited_ms} ms for other queries to this upstream (max_in_flight allows {most} at a time)")
            }
            None => format!("{waited_ms} ms for a worker"),
        });
        let memory = memory_ms.map(|ms| format!("{ms} ms for memory that other requests held"));
        let calls = calls.map(|(calls, ms)| format!("{ms} ms for earlier calls ({calls})"));
        let all: Vec<String> = queued.into_iter().chain(memory).chain(calls).collect();
        if all.is_empty() { String::new() } else { format!(", after the request had waited {}", all.join(" and ")) }
    }

    /// What helps against a timeout, as a clause: shorter waits before the call, less work, what the failure itself suggests, and
    /// more time.
    pub(super) fn against_timeout(&self, suggested: &[&str], words: Vocabulary<'_>) -> String {
        let queued = self.before.queued.map(|queued| match queued.in_flight {
            Some(_) => "raise max_in_flight in the upstreams file",
            None => "raise --workers of this mirror",
        });
        let memory = self.before.memory_ms.map(|_| "raise --memory-budget-mib of this mirror");
        let narrow: &[&str] = match self.call_kind {
            CallKind::Trivial => &[],
            CallKind::Evaluation => &["choose a shorter time range or longer buckets"],
            CallKind::Names => &["add a condition", "give a longer prefix"],
        };
        let more_time = format!("raise {}", words.request_timeout());
        let before: Vec<&str> = queued.into_iter().chain(memory).collect();
        any_of(&[&before, narrow, suggested, &[more_time.as_str()]].concat())
    }
}

/// Several remedies, joined by "or".
pub(super) fn any_of(remedies: &[&str]) -> String {
    match remedies {
        [] | [_] => remedies.concat(),
        [others @ .., last] => format!("{}, or {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::NoMemory;
    use crate::prometheus::error::ErrorKind;
    use crate::prometheus::error::api_failure::{ApiCause, ApiFailure};
    use crate::prometheus::error::predicate::predicate;

    const CALLS: [CallKind; 3] = [CallKind::Trivial, CallKind::Evaluation, CallKind::Names];

    fn said(kind: &ErrorKind, call_kind: CallKind, before: Before) -> String {
        predicate(None, kind, &Circumstances { call_kind, before, ..Circumstances::default() })
    }

    #[test]
    fn only_an_evaluation_is_advised_on_ranges_and_buckets_and_only_a_list_on_prefixes() {
        let failed = |cause| {
            let (error_type, message) = ("x".to_owned(), "why".to_owned());
            ErrorKind::Api(Box::new(ApiFailure { cause, status: 503, error_type, message }))
        };
        // Whether another query would avoid the failure.
        for (kind, is_avoidable) in [
            (ErrorKind::Timeout { waited_ms: 9, whole_ms: 9 }, true),
            (ErrorKind::Stalled(9), true),
            (ErrorKind::TimeSpent(9), true),
            (ErrorKind::TooLarge(9), true),
            (ErrorKind::NoMemory(NoMemory::TakenByOthers { capacity: 9 }), true),
            (ErrorKind::NoMemory(NoMemory::TooMuch { most: 9 }), true),
            (failed(ApiCause::Timeout), true),
            (failed(ApiCause::Canceled), false),
            (failed(ApiCause::Unavailable), false),
            (failed(ApiCause::Internal), false),
            (failed(ApiCause::NotAcceptable), false),
            (ErrorKind::Closed, false),
            (ErrorKind::NoTimeLeft(9), true),
        ] {
            for call_kind in CALLS {
                let text = said(&kind, call_kind, Before::default());
                let (of_range, of_prefix) = (text.contains("choose a shorter time range"), text.contains("prefix"));
                assert_eq!(of_range, is_avoidable && call_kind == CallKind::Evaluation, "{call_kind:?}: {text}");
                assert_eq!(of_prefix, is_avoidable && call_kind == CallKind::Names, "{call_kind:?}: {text}");
                assert!(!text.contains("bucket") || of_range, "{call_kind:?}: {text}");
            }
        }
    }

    #[test]
    fn a_timeout_tells_of_the_waits_before_it_and_what_shortens_them() {
        let kinds = [
            ErrorKind::Timeout { waited_ms: 400, whole_ms: 2_000 },
            ErrorKind::Stalled(2_000),
            ErrorKind::TimeSpent(2_000),
            ErrorKind::NoTimeLeft(2_000),
        ];
        let check = |before: Before, says: &str, remedy: &str| {
            for (kind, call_kind) in kinds.iter().flat_map(|kind| CALLS.map(|call_kind| (kind, call_kind))) {
                let text = said(kind, call_kind, before.worth_a_word(2_000));
                let (what, remedies) = text.split_once("; ").unwrap();
                assert!(what.ends_with(&format!(", after the request had waited {says}")), "{what}");
                let is_trivial = call_kind == CallKind::Trivial && matches!(kind, ErrorKind::Timeout { .. });
                let so = if is_trivial { "this query takes almost no time, so " } else { "" };
                assert!(remedies.starts_with(&format!("{so}{remedy}")), "{remedies}");
            }
        };
        let queued = |waited_ms, in_flight| Some(Queued { waited_ms, in_flight });
        check(
            Before { queued: queued(1_600, Some(2)), ..Before::default() },
            "1600 ms for other queries to this upstream (max_in_flight allows 2 at a time)",
            "raise max_in_flight in the upstreams file, ",
        );
        let short = Before { queued: queued(200, None), memory_ms: Some(199), calls: Some((9, 199)) };
        check(short, "200 ms for a worker", "raise --workers of this mirror, ");
        check(
            Before { queued: queued(199, Some(2)), memory_ms: Some(300), calls: Some((9, 1_200)) },
            "300 ms for memory that other requests held and 1200 ms for earlier calls (9)",
            "raise --memory-budget-mib of this mirror, ",
        );
        assert_eq!(Circumstances { call_kind: CallKind::Names, ..Circumstances::default() }.before(), "");
    }

    #[test]
    fn several_things_to_do_are_one_sentence() {
        let check = |list: &[&str], expected: &str| assert_eq!(any_of(list), expected);
        check(&[], "");
        check(&["a"], "a");
        check(&["a", "b"], "a, or b");
        check(&["a", "b", "c"], "a, b, or c");
    }
}
