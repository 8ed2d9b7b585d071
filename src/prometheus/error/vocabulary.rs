//! What errors call the settings that an admin can change.

use crate::prometheus::access::{ProxyChoice, TlsSettings};
use crate::prometheus::upstreams_file::definition::{CredentialsDefinition, Definition};

use super::ErrorKind;

/// The names of settings: keys of the upstreams file if the upstream is defined there, or else fields of Connection Details and
/// flags of the mirror.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Vocabulary<'a> {
    definition: Option<&'a Definition>,
    /// Whether the error is about the issuer of credentials, not about the upstream.
    is_of_credentials: bool,
    /// Whether the error is about the proxy in front of either, to which `server_name` does not apply.
    is_of_proxy: bool,
    /// Whether the error is about a mirror that `ask` or `check` calls.
    is_of_mirror: bool,
    /// The timeout of the request, if it expired.
    timeout_ms: Option<u128>,
}

/// The keys of the connection that an error is about.
struct ConnectionKeys<'a> {
    /// The key of the mapping that contains them, with a dot.
    prefix: &'static str,
    /// The key that holds the URL.
    url: &'static str,
    tls: &'a TlsSettings,
    proxy: &'a ProxyChoice,
}

const REQUEST_TIMEOUT: &str = "requestTimeout in the Connection Details";

/// The address, or a part of it: how it is called in Connection Details, and what precedes the URL in the upstreams file.
pub(super) type AddressPart = (&'static str, &'static str);

pub(super) const HOST_PORT_AND_PATH: AddressPart = ("host, port and path prefix in the Connection Details", "");
pub(super) const HOST_AND_PORT: AddressPart = ("host and port in the Connection Details", "");
pub(super) const HOST: AddressPart = ("the host in the Connection Details", "the host of ");
pub(super) const PORT: AddressPart = ("the port in the Connection Details", "the port of ");
pub(super) const PATH: AddressPart = ("the path prefix in the Connection Details", "the path of ");
pub(super) const URL: AddressPart = ("url in the Connection Details", "");
/// The URL, where Connection Details may contain host and port instead.
pub(super) const URL_ALONE: AddressPart = ("url in the Connection Details, instead of host and port", "");

impl<'a> Vocabulary<'a> {
    /// The vocabulary for a failure at an upstream of this definition, or at one of Connection Details.
    pub(super) fn new(definition: Option<&'a Definition>, kind: &ErrorKind) -> Vocabulary<'a> {
        let is_of_credentials = matches!(kind, ErrorKind::Credentials(_));
        Vocabulary { definition, is_of_credentials, timeout_ms: kind.whole_ms(), ..Vocabulary::default() }
    }

    /// The vocabulary for a failure at a mirror.
    pub(super) fn of_mirror() -> Vocabulary<'a> {
        Vocabulary { is_of_mirror: true, ..Vocabulary::default() }
    }

    /// The vocabulary for a failure at the proxy.
    pub(super) fn at_proxy(self) -> Vocabulary<'a> {
        Vocabulary { is_of_proxy: true, ..self }
    }

    /// The keys of the connection, if it is defined in the upstreams file. Flags configure the connections to Amazon's services.
    fn keys(self) -> Option<ConnectionKeys<'a>> {
        let definition = self.definition?;
        match &definition.credentials {
            _ if !self.is_of_credentials => {
                let Definition { tls, proxy, .. } = definition;
                Some(ConnectionKeys { prefix: "", url: definition.address_key, tls, proxy })
            }
            CredentialsDefinition::OAuth2(oauth2) => {
                Some(ConnectionKeys { prefix: "oauth2.", url: "token_url", tls: &oauth2.tls, proxy: &oauth2.proxy })
            }
            CredentialsDefinition::None
            | CredentialsDefinition::Basic { .. }
            | CredentialsDefinition::Authorization { .. }
            | CredentialsDefinition::SigV4(_) => None,
        }
    }

    /// Whether the upstream, and thus its credentials, is defined in the upstreams file.
    pub(super) fn is_named(self) -> bool {
        self.definition.is_some()
    }

    /// Whether calls are signed for Amazon.
    pub(super) fn is_signed(self) -> bool {
        self.definition.is_some_and(|definition| matches!(definition.credentials, CredentialsDefinition::SigV4(_)))
    }

    /// A key of the upstream, which may be in a nested mapping.
    fn key(self, key: &str) -> String {
        let name = self.definition.map_or("", |definition| &definition.name);
        format!("{key} of upstream {name} in the upstreams file")
    }

    /// The setting of the address, or of this part of it.
    pub(super) fn setting(self, (given, part): AddressPart) -> String {
        match self.definition.filter(|_| !self.is_of_credentials) {
            _ if self.is_of_mirror => format!("{part}the URL of the mirror"),
            Some(definition) => format!("{part}{} in the upstreams file", definition.address_key),
            None => given.to_owned(),
        }
    }

    /// The setting of the timeout. Connection Details take precedence, so the key of the file is named only if it was, or may have
    /// been, in force.
    pub(super) fn request_timeout(self) -> String {
        match (self.definition.and_then(|definition| definition.options.timeout), self.timeout_ms) {
            (Some(of_file), Some(ms)) if ms == of_file.as_millis() => self.key("timeout"),
            (Some(_), None) => format!("{REQUEST_TIMEOUT}, or else {}", self.key("timeout")),
            _ => REQUEST_TIMEOUT.to_owned(),
        }
    }

    /// Which authorities the mirror trusts, as a clause.
    pub(super) fn trusted_authorities(self) -> String {
        match self.own_ca() {
            Some(ca) => format!("it trusts those in {ca} alone"),
            None => "it trusts the public ones, or those in --ca-path".to_owned(),
        }
    }

    /// The setting of the trusted authorities.
    pub(super) fn authorities(self) -> &'a str {
        self.own_ca().unwrap_or("--ca-path")
    }

    /// The setting whose file an authority must be added to.
    pub(super) fn ca_file(self) -> String {
        let ca_path = format!("the --ca-path of {}", self.program());
        match (self.own_ca(), self.tls_keys()) {
            (Some(ca), _) => self.key(ca),
            (None, Some(keys)) => {
                format!("{}, or {ca_path}", self.key(&format!("{}tls_config.ca_file", keys.prefix)))
            }
            (None, None) => ca_path,
        }
    }

    /// The program that makes the connection.
    pub(super) fn program(self) -> &'static str {
        if self.is_of_mirror { "this command" } else { "this mirror" }
    }

    /// The key of the upstream's own authorities, if it has some: `ca` or `ca_file`.
    fn own_ca(self) -> Option<&'a str> {
        Some(self.tls_keys()?.tls.ca.as_ref()?.place.key())
    }

    /// The keys whose authorities are in force. For the proxy of `--proxy`, those of `--ca-path` are.
    fn tls_keys(self) -> Option<ConnectionKeys<'a>> {
        self.keys().filter(|keys| !self.is_of_proxy || matches!(keys.proxy, ProxyChoice::Through(_)))
    }

    /// What the certificate of a server should be for.
    pub(super) fn expected_name(self) -> String {
        match self.keys().filter(|keys| keys.tls.server_name.is_some() && !self.is_of_proxy) {
            Some(keys) => format!("the name in {}tls_config.server_name", keys.prefix),
            None => "this host".to_owned(),
        }
    }

    /// What to change if the certificate is for another name.
    pub(super) fn other_name_remedy(self) -> String {
        const FOR_HOST: &str = "that the certificate is for, or have it issued for this host (subjectAltName)";
        if self.is_of_mirror {
            return format!("use a host in the URL of the mirror {FOR_HOST}");
        }
        let Some(ConnectionKeys { prefix, url, tls, .. }) = self.keys() else {
            return format!(
                "use a host in url {FOR_HOST}; for an upstream of the upstreams file, server_name in its tls_config says which \
                 name to expect instead"
            );
        };
        let server_name = self.key(&format!("{prefix}tls_config.server_name"));
        match &tls.server_name {
            Some(_) => {
                format!("correct {server_name}, or have the certificate issued for that name (subjectAltName)")
            }
            None => format!("use a host in {url} {FOR_HOST}; or set {server_name} to a name that it is for"),
        }
    }

    /// What to change if a client certificate is required.
    pub(super) fn client_certificate_remedy(self) -> String {
        if self.is_of_mirror {
            return "this command has none, so give a URL of the mirror that requires none".to_owned();
        }
        let Some(ConnectionKeys { prefix, tls, .. }) = self.keys() else {
            return "list the upstream in the --upstreams-file of this mirror, with a client certificate of an authority that it trusts \
                    (cert_file and key_file in its tls_config)"
                .to_owned();
        };
        match &tls.certificate {
            Some(certificate) => {
                let key = self.key(certificate.place.key());
                format!("replace {key} and its key by a client certificate of an authority that it trusts")
            }
            None => {
                let key = self.key(&format!("{prefix}tls_config.cert_file"));
                format!("set {key} to a client certificate of an authority that it trusts, and key_file to its key")
            }
        }
    }

    /// The setting of the proxy.
    pub(super) fn proxy(self) -> String {
        self.of_proxy("proxy_url", "--proxy of this mirror")
    }

    /// The setting of the hosts that bypass the proxy.
    pub(super) fn no_proxy(self) -> String {
        self.of_proxy("no_proxy", "--no-proxy of this mirror")
    }

    fn of_proxy(self, key: &str, flag: &str) -> String {
        match self.keys() {
            Some(ConnectionKeys { prefix, proxy: ProxyChoice::Through(_), .. }) => self.key(&format!("{prefix}{key}")),
            _ => flag.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use ureq::http::HeaderMap;

    use super::*;
    use crate::memory::NoMemory;
    use crate::prometheus::error::api_failure::{ApiCause, ApiFailure};
    use crate::prometheus::error::call_context::CallContext;
    use crate::prometheus::error::circumstances::Circumstances;
    use crate::prometheus::error::connect_failure::{ConnectFailure, LookupFailure, ServersSeen};
    use crate::prometheus::error::credentials_failure::{AtIssuer, CredentialsFailure};
    use crate::prometheus::error::foreign::Foreign;
    use crate::prometheus::error::issuer::Issuer;
    use crate::prometheus::error::predicate::{predicate, predicate_of_mirror};
    use crate::prometheus::error::silence::{Silence, WaitedFor};
    use crate::prometheus::error::status_failure::StatusFailure;
    use crate::prometheus::error::tls_failure::TlsFailure;
    use crate::prometheus::upstreams_file::definition;

    const WITH_EVERYTHING: &str = "  proxy_url: http://q:1\n  timeout: 14s\n  tls_config: {ca_file: x, server_name: n, cert_file: c, \
                                   key_file: k}\n";
    const OAUTH2: &str = "  oauth2: {client_id: c, client_secret: s, token_url: 'https://t', proxy_url: 'http://q:1', tls_config: \
                          {ca: c, server_name: s}}\n";

    fn said(definition: Option<&Definition>, kind: &ErrorKind) -> String {
        predicate(definition, kind, &Circumstances::default())
    }

    #[test]
    fn every_text_names_the_settings_that_define_the_upstream() {
        let definition = defined(WITH_EVERYTHING);
        // Settings that only the mirror or only Connection Details have are named for every upstream.
        let for_all =
            ["partialResponse", "host name for which the server is configured", "the address of Prometheus itself"];
        let flags = ["--ca-path", "--proxy of", "--no-proxy of"];
        let mut count = 0;
        for kind in every_kind() {
            let (given, named) = (said(None, &kind), said(Some(&definition), &kind));
            assert!(!given.is_empty() && !given.contains("upstream a"), "{given}");
            if matches!(&kind, ErrorKind::Credentials(_)) || for_all.iter().any(|words| named.contains(words)) {
                continue;
            }
            assert!(!flags.iter().any(|flag| named.contains(flag)), "{named}");
            // Connection Details may set the timeout of any upstream.
            let others = named.replace(REQUEST_TIMEOUT, "");
            assert!(!others.contains("in the Connection Details"), "{named}");
            count += usize::from(given != named);
        }
        assert!(count > 60, "{count} texts have words of their own");
    }

    #[test]
    fn what_is_wrong_with_tls_to_a_mirror_is_told_without_words_of_upstreams() {
        let failures = every_kind().into_iter().filter_map(|kind| match kind {
            ErrorKind::Unconnected(failure @ (ConnectFailure::Tls(_) | ConnectFailure::NotTls)) => Some(failure),
            _ => None,
        });
        let texts: Vec<String> = failures.map(predicate_of_mirror).collect();
        assert!(texts.len() > 8, "{texts:?}");
        for text in texts {
            let others = ["Connection Details", "upstream", "this mirror", "Prometheus"];
            assert!(!others.iter().any(|word| text.contains(word)), "{text}");
        }
    }

    #[test]
    fn settings_of_the_upstreams_file_are_named_by_their_keys() {
        let of_upstream = ErrorKind::Closed;
        let of_credentials = ErrorKind::Credentials(Box::new(CredentialsFailure::NO_KEYS));
        let check = |keys: &str, kind: &ErrorKind, word: fn(Vocabulary<'_>) -> String, expected: &str| {
            assert_eq!(word(Vocabulary::new(Some(&defined(keys)), kind)), expected, "{keys}");
        };
        let proxy = |words: Vocabulary<'_>| words.proxy();
        let no_proxy = |words: Vocabulary<'_>| words.no_proxy();
        let through = "  proxy_url: http://q:1\n";
        check(through, &of_upstream, proxy, "proxy_url of upstream a in the upstreams file");
        check(through, &of_upstream, no_proxy, "no_proxy of upstream a in the upstreams file");
        check("", &of_upstream, no_proxy, "--no-proxy of this mirror");
        check(through, &of_credentials, proxy, "--proxy of this mirror");
        check(OAUTH2, &of_credentials, proxy, "oauth2.proxy_url of upstream a in the upstreams file");
        check(OAUTH2, &of_upstream, proxy, "--proxy of this mirror");

        let authorities = |words: Vocabulary<'_>| words.authorities().to_owned();
        check("  tls_config: {ca_file: x}", &of_upstream, authorities, "tls_config.ca_file");
        check(OAUTH2, &of_credentials, authorities, "oauth2.tls_config.ca");
        let ca_file = |words: Vocabulary<'_>| words.ca_file();
        check(
            "  tls_config: {ca_file: x}",
            &of_upstream,
            ca_file,
            "tls_config.ca_file of upstream a in the upstreams file",
        );
        check(OAUTH2, &of_credentials, ca_file, "oauth2.tls_config.ca of upstream a in the upstreams file");
        check(
            "",
            &of_upstream,
            ca_file,
            "tls_config.ca_file of upstream a in the upstreams file, or the --ca-path of this mirror",
        );
        let at_proxy = |words: Vocabulary<'_>| words.at_proxy().ca_file();
        let with_ca = "  tls_config: {ca_file: x}\n";
        check(with_ca, &of_upstream, at_proxy, "the --ca-path of this mirror");
        check(
            &format!("{with_ca}{through}"),
            &of_upstream,
            at_proxy,
            "tls_config.ca_file of upstream a in the upstreams file",
        );
        let other_name =
            |words: Vocabulary<'_>| format!("is not for {}; {}", words.expected_name(), words.other_name_remedy());
        check(
            "  tls_config: {server_name: x}",
            &of_upstream,
            other_name,
            "is not for the name in tls_config.server_name; correct tls_config.server_name of upstream a in the upstreams file, or \
             have the certificate issued for that name (subjectAltName)",
        );
        check(
            "",
            &of_upstream,
            other_name,
            "is not for this host; use a host in url that the certificate is for, or have it issued for this host (subjectAltName); \
             or set tls_config.server_name of upstream a in the upstreams file to a name that it is for",
        );
        check(
            &OAUTH2.replace(", server_name: s", ""),
            &of_credentials,
            other_name,
            "is not for this host; use a host in token_url that the certificate is for, or have it issued for this host \
             (subjectAltName); or set oauth2.tls_config.server_name of upstream a in the upstreams file to a name that it is for",
        );
        check(
            "  tls_config: {cert_file: c, key_file: k}",
            &of_upstream,
            |words| words.client_certificate_remedy(),
            "replace tls_config.cert_file of upstream a in the upstreams file and its key by a client certificate of an authority that \
             it trusts",
        );
    }

    #[test]
    fn the_timeout_that_was_in_force_is_named() {
        let check = |keys: &str, kind: &ErrorKind, expected: &str| {
            assert_eq!(Vocabulary::new(Some(&defined(keys)), kind).request_timeout(), expected, "{keys}");
        };
        let of_details = "requestTimeout in the Connection Details";
        let of_file = "timeout of upstream a in the upstreams file";
        check("", &ErrorKind::Stalled(20_000), of_details);
        check("  timeout: 14s", &ErrorKind::Stalled(14_000), of_file);
        check("  timeout: 14s", &ErrorKind::Stalled(5_000), of_details);
        check("  timeout: 14s", &ErrorKind::Closed, &format!("{of_details}, or else {of_file}"));
    }

    /// An upstream of the upstreams file, defined with these keys and a name and url.
    fn defined(keys: &str) -> Definition {
        let text = format!("upstreams:\n- {{name: other, url: 'http://o'}}\n- name: a\n  url: https://p\n{keys}\n");
        definition::parse(&text, Path::new("/f")).unwrap().remove(1)
    }

    /// All reasons why there may be no connection.
    fn connect_failures() -> Vec<ConnectFailure> {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let servers = Box::new(ServersSeen { answering: vec![ip("10.0.0.1")], silent: vec![ip("10.0.0.2")] });
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
            TlsFailure::Refused,
            TlsFailure::Other("odd".to_owned()),
        ];
        let others = [
            ConnectFailure::Silent { waited_ms: 14 },
            ConnectFailure::ConnectionRefused,
            ConnectFailure::System("odd".to_owned()),
            ConnectFailure::TlsSilent { waited_ms: 14 },
            ConnectFailure::TlsClosed,
            ConnectFailure::NotTls,
            ConnectFailure::OnlyTls,
        ];
        let lookups = [
            LookupFailure::NotFound,
            LookupFailure::ServerFails,
            LookupFailure::ServerSilent,
            LookupFailure::Busy,
            LookupFailure::System("odd".to_owned()),
        ];
        let name = || "p.example".to_owned();
        let lookups = lookups.map(|why| ConnectFailure::NoAddress { name: name(), why, servers: servers.clone() });
        lookups.into_iter().chain(others).chain(tls.map(ConnectFailure::Tls)).collect()
    }

    /// Everything that may go wrong on the way to a server.
    fn on_the_way() -> Vec<ErrorKind> {
        let unconnected = connect_failures().into_iter().map(ErrorKind::Unconnected);
        let at_proxy =
            |failure| ErrorKind::AtProxy { proxy: "proxy.example:3128".to_owned(), failure: Box::new(failure) };
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
        for bits in 0..4_u32 {
            let base = if bits & 1 != 0 { "https://p/x" } else { "http://p/x" };
            let context = CallContext { base: base.to_owned(), has_credentials: bits & 2 != 0 };
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
        let itself = CallContext { base: "http://p".to_owned(), has_credentials: false };
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
        let mut all = vec![
            CredentialsFailure::at(Issuer::Machine, "m:80", AtIssuer::NoRole),
            CredentialsFailure::none("why", "what to do"),
            CredentialsFailure::NO_KEYS,
            CredentialsFailure::awaited(14),
        ];
        for issuer in issuers {
            all.extend(
                on_the_way()
                    .into_iter()
                    .map(|kind| CredentialsFailure::at(issuer, "t:443", AtIssuer::Unreachable(Arc::new(kind)))),
            );
            all.extend([302, 401, 404, 429, 500].map(|status| {
                CredentialsFailure::at(issuer, "t:443", AtIssuer::Refusal(status, Some("words".to_owned())))
            }));
            all.push(CredentialsFailure::at(issuer, "t:443", AtIssuer::Foreign("answers without a token")));
        }
        all
    }

    /// Every kind of failure, with all kinds of content.
    fn every_kind() -> Vec<ErrorKind> {
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
        let causes = [
            ApiCause::Refused,
            ApiCause::Timeout,
            ApiCause::Canceled,
            ApiCause::Unavailable,
            ApiCause::Internal,
            ApiCause::NotAcceptable,
        ];
        let failed = causes.map(|cause| {
            let (error_type, message) = ("type".to_owned(), "why".to_owned());
            ErrorKind::Api(Box::new(ApiFailure { cause, status: 503, error_type, message }))
        });
        let no_worker = [(None, 9), (None, 2), (Some(4), 4), (Some(4), 2)].map(|(max_in_flight, held_by_upstream)| {
            ErrorKind::NoWorker { timeout_ms: 14_000, held_by_upstream, workers: 16, max_in_flight }
        });
        let others = [
            ErrorKind::UnsendableCredentials("x-header".to_owned()),
            ErrorKind::ReplicaDown,
            ErrorKind::TooLongForGet,
            ErrorKind::NoMemory(NoMemory::TakenByOthers { capacity: 9 << 20 }),
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
        ];
        let credentials = credentials_failures().into_iter().map(|failure| ErrorKind::Credentials(Box::new(failure)));
        let all = on_the_way().into_iter().chain(silences).chain(foreign).chain(failed).chain(no_worker).chain(others);
        all.chain(statuses()).chain(credentials).collect()
    }
}
