//! The ids by which logs and traces relate a request to others: its request id, and the W3C Trace Context.

use std::iter;
use std::sync::Arc;

/// The most characters of a `tracestate` that is passed on ("tracestate Limits").
const MAX_STATE_LENGTH: usize = 512;

/// The request id and the trace context of a request. Calls to upstreams carry them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    request_id: Arc<str>,
    parent: Option<String>,
    state: Option<String>,
}

impl Trace {
    /// The ids of a request, from its headers `traceparent` and `tracestate`. Headers that are invalid by the W3C's rules are left
    /// out.
    pub fn new(request_id: Arc<str>, parent: Option<&str>, state: Option<&str>) -> Trace {
        let parent = parent.map(str::trim).filter(|parent| is_parent(parent)).map(str::to_owned);
        let is_state = |state: &&str| {
            (1..=MAX_STATE_LENGTH).contains(&state.len()) && state.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        let state = state.map(str::trim).filter(is_state).filter(|_| parent.is_some()).map(str::to_owned);
        Trace { request_id, parent, state }
    }

    /// The id of the request.
    pub fn request_id(&self) -> &Arc<str> {
        &self.request_id
    }

    /// The id of the trace, 32 hexadecimal digits, if there is one.
    pub fn trace_id(&self) -> Option<&str> {
        self.parent.as_deref().and_then(|parent| parent.split('-').nth(1))
    }

    /// The headers for calls to upstreams.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let traced = [("traceparent", self.parent.as_deref()), ("tracestate", self.state.as_deref())];
        let present = traced.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
        iter::once(("x-request-id", &*self.request_id)).chain(present)
    }
}

/// Whether a text is a `traceparent`: `version-trace-parent-flags`, in lower-case hexadecimal digits. Later versions may have more
/// parts.
fn is_parent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_set = |part: &str| part.bytes().any(|byte| byte != b'0');
    let [version, trace, parent, flags, later @ ..] = parts.as_slice() else { return false };
    is_hex(version, 2)
        && *version != "ff"
        && is_hex(trace, 32)
        && is_set(trace)
        && is_hex(parent, 16)
        && is_set(parent)
        && is_hex(flags, 2)
        && (later.is_empty() || *version != "00")
        && text.len() <= MAX_STATE_LENGTH
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_valid_context_goes_along_and_another_does_not() {
        let headers = |parent: Option<&str>, state: Option<&str>| {
            let trace = Trace::new("r".into(), parent, state);
            trace.headers().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
        };
        let expected =
            ["x-request-id: r".to_owned(), format!("traceparent: {PARENT}"), "tracestate: a=b,c=d".to_owned()];
        assert_eq!(headers(Some(PARENT), Some("a=b,c=d")), expected);
        assert_eq!(headers(Some(PARENT), Some("\u{e9}")), expected[..2]);
        assert_eq!(headers(Some(PARENT), Some(&"x".repeat(513))), expected[..2]);
        // Without a `traceparent`, a `tracestate` has no meaning.
        assert_eq!(headers(None, Some("a=b")), expected[..1]);
        let zeros = "0".repeat(32);
        for bad in [
            "",
            "00",
            &PARENT.to_uppercase(),
            &PARENT.replace("0af7651916cd43dd8448eb211c80319c", &zeros),
            &PARENT.replace("b7ad6b7169203331", &zeros[..16]),
            &PARENT.replacen("00", "ff", 1),
            &format!("{PARENT}-x"),
            &format!("{PARENT}\r\nX: y"),
        ] {
            assert_eq!(headers(Some(bad), None), expected[..1], "{bad:?}");
        }
        let later = format!("{}-more", PARENT.replacen("00", "01", 1));
        assert_eq!(headers(Some(&later), None)[1..], [format!("traceparent: {later}")]);
    }

    #[test]
    fn the_id_of_the_trace_is_its_second_part() {
        assert_eq!(Trace::new("r".into(), Some(PARENT), None).trace_id(), Some("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!(Trace::new("r".into(), None, None).trace_id(), None);
    }
}
