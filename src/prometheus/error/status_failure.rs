//! What an HTTP status without data means, and what the admin can do about it.
//!
//! Owns the table of statuses. An error in Prometheus's envelope takes precedence (`client/response`).

use ureq::http::HeaderMap;
use ureq::http::header::{LOCATION, RETRY_AFTER};

use super::call_context::CallContext;
use super::challenges::{how_to_allow, how_to_correct_credentials, how_to_give_credentials, listed, schemes};
use super::redirect::Redirect;
use super::retry_after;
use super::vocabulary::{PATH, URL, URL_ALONE, Vocabulary};

/// An HTTP status without data.
#[derive(Debug, PartialEq, Eq)]
pub struct StatusFailure {
    /// The HTTP status.
    pub status: u16,
    /// What it means.
    pub meaning: StatusMeaning,
    /// The schemes of the challenges, if the status is about credentials.
    pub challenges: Vec<String>,
    /// After what to try again, if that may help and the response says so.
    pub retry_after: Option<String>,
    /// What the upstream, or a gateway in front of it, says about it, shortened.
    pub words: Option<String>,
    /// Whether the mirror sent credentials.
    pub has_credentials: bool,
}

/// What an HTTP status means.
#[derive(Debug, PartialEq, Eq)]
pub enum StatusMeaning {
    /// 400 or 426 over http: it may use https.
    OtherProtocol,
    /// 400 over https: it may require a client certificate.
    ClientCertificate,
    /// 401, and the mirror sent no credentials.
    CredentialsRequired,
    /// 401, and the mirror sent credentials.
    CredentialsRefused,
    /// 401 of Mimir or Cortex: the mirror sent no tenant.
    TenantRequired,
    /// 403.
    Denied,
    /// 407: a forward proxy requires credentials.
    ProxyCredentials,
    /// 511: a network on the way requires a login.
    NetworkLogin,
    /// A redirect, which the mirror does not follow, and where it points.
    Redirected(Redirect),
    /// Any other 4xx.
    OtherRefusal,
    /// 404: no API at this path.
    NoApi,
    /// 405 or 501, to POST and to GET.
    MethodRefused,
    /// 408: the upstream waited too long for the call.
    GaveUpWaiting,
    /// 413, 414 or 431.
    TooLong,
    /// 421: the server does not serve this host.
    Misdirected,
    /// 429.
    TooManyRequests,
    /// 5xx: reachable, but it cannot answer now.
    Unavailable,
}

/// The body by which Mimir and Cortex say that the tenant is missing.
const NO_TENANT: &str = "no org id";

impl StatusFailure {
    /// What a status means; `None` for 1xx and 2xx. `body` is the beginning of the body if it is a short text.
    pub(in crate::prometheus) fn of(
        status: u16,
        headers: &HeaderMap,
        context: &CallContext,
        body: Option<&str>,
    ) -> Option<StatusFailure> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let names_no_tenant = body.is_some_and(|body| body.trim() == NO_TENANT);
        let meaning = match status {
            300..=399 => StatusMeaning::Redirected(Redirect::of(text(LOCATION), context)),
            400 | 426 if !context.base.starts_with("https:") => StatusMeaning::OtherProtocol,
            400 => StatusMeaning::ClientCertificate,
            401 if names_no_tenant => StatusMeaning::TenantRequired,
            401 if context.has_credentials => StatusMeaning::CredentialsRefused,
            401 => StatusMeaning::CredentialsRequired,
            403 => StatusMeaning::Denied,
            404 => StatusMeaning::NoApi,
            407 => StatusMeaning::ProxyCredentials,
            405 | 501 => StatusMeaning::MethodRefused,
            408 => StatusMeaning::GaveUpWaiting,
            413 | 414 | 431 => StatusMeaning::TooLong,
            421 => StatusMeaning::Misdirected,
            429 => StatusMeaning::TooManyRequests,
            402..=499 => StatusMeaning::OtherRefusal,
            511 => StatusMeaning::NetworkLogin,
            500..=599 => StatusMeaning::Unavailable,
            _ => return None,
        };
        let is_about_credentials = matches!(
            meaning,
            StatusMeaning::CredentialsRequired | StatusMeaning::CredentialsRefused | StatusMeaning::Denied
        );
        let may_be_retried = matches!(meaning, StatusMeaning::TooManyRequests | StatusMeaning::Unavailable);
        Some(StatusFailure {
            status,
            meaning,
            challenges: if is_about_credentials { schemes(headers) } else { Vec::new() },
            retry_after: text(RETRY_AFTER).and_then(retry_after::parse).filter(|_| may_be_retried),
            words: None,
            has_credentials: context.has_credentials,
        })
    }

    /// Whether the query is too long for the server or the proxy in front of it.
    pub(in crate::prometheus) fn is_too_long(&self) -> bool {
        self.meaning == StatusMeaning::TooLong
    }

    /// Its stable code.
    pub(in crate::prometheus) fn code(&self) -> &'static str {
        match self.meaning {
            StatusMeaning::OtherProtocol => "wrong_protocol",
            StatusMeaning::CredentialsRequired => "credentials_required",
            StatusMeaning::CredentialsRefused => "credentials_refused",
            StatusMeaning::TenantRequired => "tenant_required",
            StatusMeaning::Denied | StatusMeaning::ProxyCredentials | StatusMeaning::NetworkLogin => "access_denied",
            StatusMeaning::ClientCertificate | StatusMeaning::OtherRefusal => "request_refused",
            StatusMeaning::Redirected(_) => "redirected",
            StatusMeaning::NoApi => "api_not_found",
            StatusMeaning::MethodRefused => "method_refused",
            StatusMeaning::GaveUpWaiting => "request_timeout",
            StatusMeaning::TooLong => "query_too_long",
            StatusMeaning::Misdirected => "misdirected",
            StatusMeaning::TooManyRequests => "too_many_requests",
            StatusMeaning::Unavailable => "unavailable",
        }
    }

    /// The predicate of a sentence whose subject is the upstream.
    pub(super) fn predicate(&self, words: Vocabulary<'_>) -> String {
        if let StatusMeaning::Redirected(redirect) = &self.meaning {
            return redirect.predicate(self.status, words);
        }
        let said = self.words.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
        let (what, details) = (self.what(words), self.details());
        format!("{what} (HTTP status {}{details}){said}{}", self.status, self.remedy(words))
    }

    fn what(&self, words: Vocabulary<'_>) -> &'static str {
        match &self.meaning {
            StatusMeaning::OtherProtocol | StatusMeaning::ClientCertificate => {
                "refuses the request without looking at the query"
            }
            StatusMeaning::CredentialsRequired => "requires credentials, but the mirror sent no header Authorization",
            StatusMeaning::CredentialsRefused if words.is_named() => {
                "refuses the credentials that the upstreams file gives it"
            }
            StatusMeaning::CredentialsRefused => "refuses the credentials of the url",
            StatusMeaning::TenantRequired => "requires a tenant, but the mirror sent none",
            StatusMeaning::Denied => "denies access",
            StatusMeaning::ProxyCredentials => "is a forward proxy that requires its own credentials, or is behind one",
            StatusMeaning::NetworkLogin => "cannot be reached: a network on the path requires a login",
            StatusMeaning::Redirected(_) => "redirects",
            StatusMeaning::OtherRefusal => "refuses the request, with no error of Prometheus",
            StatusMeaning::NoApi => "has no Prometheus API at this path",
            StatusMeaning::MethodRefused => "accepts neither POST nor GET at the path of the Prometheus API",
            StatusMeaning::GaveUpWaiting => "did not receive the whole query in time",
            StatusMeaning::TooLong => "refuses the query because it is too long",
            StatusMeaning::Misdirected => "does not serve this host",
            StatusMeaning::TooManyRequests => "refuses the query because of a rate limit",
            StatusMeaning::Unavailable => "is reachable, but unavailable",
        }
    }

    /// What the text says in brackets after the status.
    fn details(&self) -> String {
        match self.meaning {
            StatusMeaning::TenantRequired => format!(": {NO_TENANT}"),
            _ => {
                let again = self.retry_after.as_ref().map(|after| format!(", again after {after}"));
                listed(&self.challenges) + &again.unwrap_or_default()
            }
        }
    }

    /// What it may be and what to change, as the end of the sentence.
    fn remedy(&self, words: Vocabulary<'_>) -> String {
        let remedy = match &self.meaning {
            StatusMeaning::OtherProtocol => {
                return format!(": it may use https; if so, give https://host:port as {}", words.setting(URL_ALONE));
            }
            StatusMeaning::ClientCertificate => {
                ": it may require a client certificate (cert_file and key_file in tls_config of the upstreams file), refuse the \
                 one it got, or get http from a proxy in front of it; look at its log"
            }
            StatusMeaning::CredentialsRequired => how_to_give_credentials(words, &self.challenges),
            StatusMeaning::CredentialsRefused => how_to_correct_credentials(words, &self.challenges),
            StatusMeaning::Denied => how_to_allow(words, self.has_credentials, &self.challenges),
            StatusMeaning::TenantRequired => {
                "; give it the header X-Scope-OrgID with http_headers in the --upstreams-file of this mirror"
            }
            StatusMeaning::ProxyCredentials => {
                return format!(
                    "; give the address of Prometheus itself in the Connection Details, and a forward proxy with its \
                     credentials in {}",
                    words.proxy()
                );
            }
            StatusMeaning::NetworkLogin => "; have the operator of that network let this mirror through",
            StatusMeaning::Redirected(_) => "",
            StatusMeaning::OtherRefusal => "; look at the log of the server or of the proxy in front of it",
            StatusMeaning::NoApi => {
                return format!(
                    "; if it is served below a path prefix, give the whole base URL as {}, such as https://host/prometheus, without \
                     /api/v1",
                    words.setting(URL)
                );
            }
            StatusMeaning::MethodRefused => {
                return format!(
                    "; allow one of them in the proxy in front of Prometheus, or check {}",
                    words.setting(PATH)
                );
            }
            StatusMeaning::GaveUpWaiting => {
                "; try again; if the error persists, check the network between this mirror and it"
            }
            StatusMeaning::TooLong => {
                "; shorten it (fewer conditions, smaller sets, a shorter expression), or raise the limit of the proxy in front \
                 of Prometheus"
            }
            StatusMeaning::Misdirected => {
                "; in the Connection Details, give the host name for which the server is configured"
            }
            StatusMeaning::TooManyRequests => {
                "; try again later or send fewer queries, or raise the rate limit of Prometheus or of the proxy in front of it"
            }
            StatusMeaning::Unavailable => {
                "; it may be starting, or the proxy in front of it does not reach it: try again in some minutes; if the error \
                 persists, look at the log of Prometheus"
            }
        };
        remedy.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::error::ErrorKind;
    use crate::prometheus::error::circumstances::Circumstances;
    use crate::prometheus::error::predicate::predicate;
    use crate::prometheus::upstream::Upstream;

    const PLAIN: &str = "http://p:9090";
    const HTTPS: &str = "https://p/x";
    const WITH_CREDENTIALS: &str = "https://u:hush@p/x";

    fn context(url: &str) -> CallContext {
        Upstream::at_url(url).unwrap().context()
    }

    #[test]
    fn each_status_has_a_code_and_says_what_to_do() {
        let check = |status: u16,
                     url: &str,
                     header: Option<(&'static str, &str)>,
                     body: Option<&str>,
                     code: &str,
                     says: &[&str]| {
            let mut headers = HeaderMap::new();
            // Each line is a separate header.
            let (name, values) = header.unwrap_or(("X-None", ""));
            for value in values.lines() {
                headers.append(name, value.parse().unwrap());
            }
            let found = StatusFailure::of(status, &headers, &context(url), body).unwrap();
            let kind = ErrorKind::Status(Box::new(found));
            let text = predicate(None, &kind, &Circumstances::default());
            assert_eq!(kind.code(), code, "{text}");
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
            &["Authenticate: Bearer)", "--upstreams-file"],
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
            challenge("Negotiate, Bearer"),
            None,
            "credentials_refused",
            &["Negotiate, Bearer)", "another scheme"],
        );
        for several in
            ["Negotiate\nBasic realm=\"hush\"", "Negotiate hush==, basic realm=\"a, \\\", hush b\", charset=UTF-8"]
        {
            let says = &["user:password@", "Negotiate, "];
            check(401, PLAIN, challenge(several), None, "credentials_required", says);
        }
        check(401, PLAIN, challenge("Basic realm=\"\u{e9}\""), None, "credentials_required", &["Authenticate: Basic)"]);
        check(
            401,
            PLAIN,
            challenge("Bearer a = hush, hush = b"),
            None,
            "credentials_required",
            &["Authenticate: Bearer)"],
        );
        check(401, PLAIN, None, Some("no org id\n"), "tenant_required", &["X-Scope-OrgID"]);
        check(403, PLAIN, None, None, "access_denied", &["allow this mirror"]);
        check(403, WITH_CREDENTIALS, None, None, "access_denied", &["allow the user"]);
        let bearer = &["Authenticate: Bearer)", "--upstreams-file"];
        check(403, PLAIN, challenge("Bearer error=\"hush\""), None, "access_denied", bearer);
        check(403, WITH_CREDENTIALS, challenge("Bearer"), None, "access_denied", bearer);
        check(407, WITH_CREDENTIALS, None, None, "access_denied", &["forward proxy", "--proxy of this mirror"]);
        check(511, PLAIN, None, None, "access_denied", &["network", "requires a login"]);
        check(400, HTTPS, None, Some("hush"), "request_refused", &["client certificate", "http from a proxy"]);
        for status in [402, 406, 409, 410, 411, 415, 416, 418, 422, 428, 451, 499] {
            check(status, PLAIN, None, Some("hush"), "request_refused", &["refuses the request", "look at the log"]);
        }
        check(426, HTTPS, None, None, "request_refused", &["refuses the request"]);
        check(302, HTTPS, location("/login?hush"), None, "redirected", &["to https://p/login (", "login page"]);
        check(404, PLAIN, None, Some("hush"), "api_not_found", &["path prefix", "without /api/v1"]);
        check(405, PLAIN, None, None, "method_refused", &["POST", "GET"]);
        check(501, PLAIN, None, None, "method_refused", &["POST", "GET"]);
        check(408, PLAIN, None, None, "request_timeout", &["try again"]);
        for status in [413, 414, 431] {
            check(
                status,
                PLAIN,
                None,
                Some("hush"),
                "query_too_long",
                &["too long", "shorten", "in front of Prometheus"],
            );
        }
        check(421, HTTPS, None, None, "misdirected", &["host name"]);
        check(429, PLAIN, Some(("Retry-After", "17")), None, "too_many_requests", &["rate limit", "again after 17 s"]);
        check(429, PLAIN, Some(("Retry-After", "hush")), None, "too_many_requests", &["rate limit"]);
        let date = "Wed, 21 Oct 2026 07:28:00 GMT";
        let says = format!("again after {date})");
        check(429, PLAIN, Some(("Retry-After", date)), None, "too_many_requests", &[&says]);
        for odd in ["hush GMT; x", "<hush> GMT", &format!("{}hush GMT", " x".repeat(40))] {
            check(429, PLAIN, Some(("Retry-After", odd)), None, "too_many_requests", &["(HTTP status 429)"]);
        }
        check(503, PLAIN, Some(("Retry-After", "30")), None, "unavailable", &["HTTP status 503, again after 30 s)"]);
        for status in [500, 502, 503, 504, 599] {
            check(status, PLAIN, None, Some("hush"), "unavailable", &["reachable, but unavailable", "try again"]);
        }
        for status in [200, 299, 999] {
            assert_eq!(StatusFailure::of(status, &HeaderMap::new(), &context(PLAIN), None), None, "{status}");
        }
    }
}
