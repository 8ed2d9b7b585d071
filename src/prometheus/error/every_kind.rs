//! Every kind of failure, for tests of the error texts.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ureq::http::HeaderMap;

use crate::memory::NoMemory;
use crate::prometheus::upstreams_file::definition::{self, Definition};

use super::ErrorKind;
use super::api_failure::{ApiCause, ApiFailure};
use super::call_context::CallContext;
use super::connect_failure::{ConnectFailure, ServersSeen};
use super::credentials_failure::CredentialsFailure;
use super::foreign::Foreign;
use super::issuer::Issuer;
use super::silence::{Silence, WaitedFor};
use super::status_failure::StatusFailure;
use super::tls_failure::TlsFailure;

/// An upstream of the upstreams file, defined with these keys and a name and url.
pub(in crate::prometheus) fn defined(keys: &str) -> Definition {
    let text = format!("upstreams:\n- {{name: other, url: 'http://o'}}\n- name: a\n  url: https://p\n{keys}\n");
    definition::parse(&text, Path::new("/f")).unwrap().remove(1)
}

/// All reasons why there may be no connection.
fn connect_failures() -> Vec<ConnectFailure> {
    let name = || "p.example".to_owned();
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let servers = ServersSeen { answering: vec![ip("10.0.0.1")], silent: vec![ip("10.0.0.2")] };
    let tls = [
        TlsFailure::OtherName,
        TlsFailure::UnknownIssuer,
        TlsFailure::OtherKey,
        TlsFailure::Expired,
        TlsFailure::NotYetValid,
        TlsFailure::Authority,
        TlsFailure::Version1,
        TlsFailure::OtherPurpose,
        TlsFailure::ClientCertificate(None),
        TlsFailure::ClientCertificate(Some("unknown authority")),
        TlsFailure::Incompatible,
        TlsFailure::Other("odd".to_owned()),
    ];
    let others = [
        ConnectFailure::NameNotFound(name()),
        ConnectFailure::NameServerFails(name()),
        ConnectFailure::NameServerSilent { name: name(), servers: servers.clone() },
        ConnectFailure::LookupsBusy { name: name(), servers },
        ConnectFailure::LookupFailed { name: name(), reason: "odd".to_owned() },
        ConnectFailure::Silent { waited_ms: 14 },
        ConnectFailure::ConnectionRefused,
        ConnectFailure::System("odd".to_owned()),
        ConnectFailure::TlsSilent { waited_ms: 14 },
        ConnectFailure::TlsClosed,
        ConnectFailure::NotTls,
        ConnectFailure::OnlyTls,
    ];
    others.into_iter().chain(tls.map(ConnectFailure::Tls)).collect()
}

/// Everything that may go wrong on the way to a server.
fn on_the_way() -> Vec<ErrorKind> {
    let unconnected = connect_failures().into_iter().map(ErrorKind::Unconnected);
    let at_proxy = |failure| ErrorKind::AtProxy { proxy: "proxy.example:3128".to_owned(), failure: Box::new(failure) };
    let of_proxy = [401, 403, 407, 404, 500, 502].map(ErrorKind::ProxyStatus).into_iter().chain([
        ErrorKind::Closed,
        ErrorKind::Timeout { waited_ms: 14_000, whole_ms: 14_000 },
        ErrorKind::not_prometheus(None, Foreign::NotHttp),
        ErrorKind::Unsent,
    ]);
    let of_proxy = of_proxy.chain(connect_failures().into_iter().map(ErrorKind::Unconnected)).map(at_proxy);
    let others = [
        ErrorKind::NotAllowed,
        ErrorKind::AddressUnknown("proxy.example:3128".to_owned()),
        ErrorKind::Unsent,
        ErrorKind::Closed,
        ErrorKind::Timeout { waited_ms: 14_000, whole_ms: 14_000 },
        ErrorKind::Timeout { waited_ms: 100, whole_ms: 14_000 },
        ErrorKind::Stalled(14_000),
        ErrorKind::TimeSpent(14_000),
        ErrorKind::NoTimeLeft(14_000),
        ErrorKind::NoTimeLeft(5_000),
        ErrorKind::TooLarge(1 << 20),
        ErrorKind::not_prometheus(None, Foreign::BodyNotHttp),
    ];
    unconnected.chain(of_proxy).chain(others).collect()
}

/// All meanings of statuses and redirects.
fn statuses() -> Vec<ErrorKind> {
    let mut all = Vec::new();
    let challenges: [&[&str]; 3] = [&[], &["Basic"], &["Bearer"]];
    for bits in 0..16_u32 {
        let [is_https, has_credentials, is_named, is_signed] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
        let context = CallContext { base: "https://p/x".to_owned(), is_https, has_credentials, is_named, is_signed };
        for status in (300..=308).chain(400..=431).chain([499, 500, 501, 502, 503, 504, 511]) {
            for (nth, challenges) in challenges.iter().enumerate() {
                let mut headers = HeaderMap::new();
                for scheme in *challenges {
                    headers.append("WWW-Authenticate", scheme.parse().unwrap());
                    headers.append("Retry-After", "17".parse().unwrap());
                }
                let location = ["https://q/prom/api/v1/query", "http://p/x/api/v1/query", "/secret/login"][nth];
                headers.append("Location", location.parse().unwrap());
                let body = (nth == 1).then_some("no org id");
                let failure = StatusFailure::of(status, &headers, &context, body);
                all.extend(failure.map(|failure| ErrorKind::Status(Box::new(failure))));
            }
        }
    }
    let itself = CallContext {
        base: "http://p".to_owned(),
        is_https: false,
        has_credentials: false,
        is_named: false,
        is_signed: false,
    };
    for location in [None, Some("https://p/api/v1/query"), Some("http://p/api/v1/query"), Some("/graph")] {
        for status in [301, 302] {
            let mut headers = HeaderMap::new();
            headers.extend(
                location
                    .map(|location| ("Location".parse().unwrap(), location.parse().unwrap()))
                    .map(|(n, v): (ureq::http::HeaderName, ureq::http::HeaderValue)| (Some(n), v)),
            );
            let failure = StatusFailure::of(status, &headers, &itself, None).unwrap();
            all.push(ErrorKind::Status(Box::new(failure)));
        }
    }
    all.dedup();
    all
}

/// All reasons why credentials may be missing.
fn credentials_failures() -> Vec<CredentialsFailure> {
    let issuers = [Issuer::TokenServer, Issuer::SecurityTokenService, Issuer::Container, Issuer::Machine];
    let mut all = vec![CredentialsFailure::no_role("m:80"), CredentialsFailure::none("why", "what to do")];
    for issuer in issuers {
        all.extend(on_the_way().into_iter().map(|kind| CredentialsFailure::unreachable(issuer, "t:443", kind)));
        all.extend(
            [302, 401, 404, 429, 500]
                .map(|status| CredentialsFailure::refused(issuer, "t:443", status, Some("words".to_owned()))),
        );
        all.push(CredentialsFailure::foreign(issuer, "t:443", "answers without a token"));
    }
    all
}

/// Every kind of failure, with all kinds of content.
pub(in crate::prometheus) fn every_kind() -> Vec<ErrorKind> {
    let silence =
        |waited_for| ErrorKind::Silent(Silence { waited_for, calls: 3, lasted: Duration::from_millis(1_500) });
    let silences = [WaitedFor::Response, WaitedFor::Connection, WaitedFor::Tls, WaitedFor::NameServer].map(silence);
    let foreign = [
        Foreign::NotHttp,
        Foreign::BodyNotHttp,
        Foreign::LargeHeader,
        Foreign::Empty,
        Foreign::Page,
        Foreign::Json,
        Foreign::Other(Some("text/plain".to_owned())),
        Foreign::Other(None),
        Foreign::UntypedError,
        Foreign::UnlikelySuccess,
    ];
    let foreign = foreign.into_iter().flat_map(|found| {
        [(None, false), (Some(200), true)].map(|(status, was_prometheus)| ErrorKind::NotPrometheus {
            status,
            found: found.clone(),
            was_prometheus,
        })
    });
    let causes =
        [ApiCause::Timeout, ApiCause::Canceled, ApiCause::Unavailable, ApiCause::Internal, ApiCause::NotAcceptable];
    let failed = causes.map(|cause| {
        let (error_type, message) = ("type".to_owned(), "why".to_owned());
        ErrorKind::Failed(Box::new(ApiFailure { cause, status: 503, error_type, message }))
    });
    let no_worker = [(None, 9), (None, 2), (Some(4), 4), (Some(4), 2)].map(|(max_in_flight, held_by_upstream)| {
        ErrorKind::NoWorker { timeout_ms: 14_000, held_by_upstream, workers: 16, max_in_flight }
    });
    let others = [
        ErrorKind::UnsendableCredentials("x-header".to_owned()),
        ErrorKind::ReplicaDown,
        ErrorKind::TooLongForGet,
        ErrorKind::NoMemory(NoMemory::InTime { capacity: 9 << 20 }),
        ErrorKind::NoMemory(NoMemory::TooMuch { most: 9 << 20 }),
        ErrorKind::ProxyStatus(418),
        ErrorKind::Encoded("gzip".to_owned()),
        ErrorKind::WrongType,
        ErrorKind::UrlTooLong(16_000),
        ErrorKind::TooManyNames(9),
        ErrorKind::TooManyCalls(100),
        ErrorKind::MissingData("why".to_owned()),
        ErrorKind::Damaged("how".to_owned()),
        ErrorKind::NativeHistogram,
        ErrorKind::Api { status: 422, error_type: "execution".to_owned(), message: "why".to_owned() },
    ];
    let credentials = credentials_failures().into_iter().map(|failure| ErrorKind::Credentials(Box::new(failure)));
    let all = on_the_way().into_iter().chain(silences).chain(foreign).chain(failed).chain(no_worker).chain(others);
    all.chain(statuses()).chain(credentials).collect()
}
