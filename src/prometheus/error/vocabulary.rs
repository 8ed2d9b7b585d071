//! What errors call the settings that an admin can change.

use crate::prometheus::access::proxy::ProxyChoice;
use crate::prometheus::access::tls_settings::TlsSettings;
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

const CA_PATH: &str = "the --ca-path of this mirror";
const REQUEST_TIMEOUT: &str = "requestTimeout in the Connection Details";

impl<'a> Vocabulary<'a> {
    /// The vocabulary for a failure at an upstream of this definition, or at one of Connection Details.
    pub(super) fn new(definition: Option<&'a Definition>, kind: &ErrorKind) -> Vocabulary<'a> {
        let is_of_credentials = matches!(kind, ErrorKind::Credentials(_));
        Vocabulary { definition, is_of_credentials, is_of_proxy: false, timeout_ms: kind.whole_ms() }
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
                Some(ConnectionKeys { prefix: "", url: "url", tls, proxy })
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

    /// A key of the upstream, which may be in a nested mapping.
    fn key(self, key: &str) -> String {
        let name = self.definition.map_or("", |definition| &definition.name);
        format!("{key} of upstream {name} in the upstreams file")
    }

    fn address(self, given: &'static str, named: &'static str) -> &'static str {
        if self.definition.is_some() && !self.is_of_credentials { named } else { given }
    }

    pub(super) fn host_port_and_path(self) -> &'static str {
        self.address("host, port and path prefix in the Connection Details", "url in the upstreams file")
    }

    pub(super) fn host_and_port(self) -> &'static str {
        self.address("host and port in the Connection Details", "url in the upstreams file")
    }

    pub(super) fn host(self) -> &'static str {
        self.address("the host in the Connection Details", "the host of url in the upstreams file")
    }

    pub(super) fn port(self) -> &'static str {
        self.address("the port in the Connection Details", "the port of url in the upstreams file")
    }

    pub(super) fn path(self) -> &'static str {
        self.address("the path prefix in the Connection Details", "the path of url in the upstreams file")
    }

    pub(super) fn url(self) -> &'static str {
        self.address("url in the Connection Details", "url in the upstreams file")
    }

    /// The URL, where Connection Details may contain host and port instead.
    pub(super) fn url_alone(self) -> &'static str {
        self.address("url in the Connection Details, instead of host and port", "url in the upstreams file")
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
        match (self.own_ca(), self.tls_keys()) {
            (Some(ca), _) => self.key(ca),
            (None, Some(keys)) => {
                format!("{}, or {CA_PATH}", self.key(&format!("{}tls_config.ca_file", keys.prefix)))
            }
            (None, None) => CA_PATH.to_owned(),
        }
    }

    /// The key of the upstream's own authorities, if it has some: `ca` or `ca_file`.
    fn own_ca(self) -> Option<&'a str> {
        Some(key_below_upstream(&self.tls_keys()?.tls.ca.as_ref()?.place.path))
    }

    /// The keys whose authorities are in force. For the proxy of `--proxy`, those of `--ca-path` are.
    fn tls_keys(self) -> Option<ConnectionKeys<'a>> {
        self.keys().filter(|keys| !self.is_of_proxy || matches!(keys.proxy, ProxyChoice::Through(_)))
    }

    /// The server that an error is about, as the subject of a clause.
    pub(super) fn server(self) -> &'static str {
        match (self.is_of_proxy, self.is_of_credentials) {
            (true, _) => "the proxy",
            (false, true) => "the server",
            (false, false) => "the upstream",
        }
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
        let Some(ConnectionKeys { prefix, tls, .. }) = self.keys() else {
            return "list the upstream in the --upstreams-file of this mirror, with a client certificate of an authority that it trusts \
                    (cert_file and key_file in its tls_config)"
                .to_owned();
        };
        match &tls.certificate {
            Some(certificate) => {
                let key = self.key(key_below_upstream(&certificate.place.path));
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

/// A path such as `upstreams[0].tls_config.ca` without the upstream.
fn key_below_upstream(path: &str) -> &str {
    path.split_once("].").map_or(path, |(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::error::circumstances::Circumstances;
    use crate::prometheus::error::credentials_failure::CredentialsFailure;
    use crate::prometheus::error::every_kind::{defined, every_kind};
    use crate::prometheus::error::predicate::predicate;

    const WITH_EVERYTHING: &str = "  proxy_url: http://q:1\n  timeout: 14s\n  tls_config: {ca_file: x, server_name: n, cert_file: c, \
                                   key_file: k}\n";
    const OAUTH2: &str = "  oauth2: {client_id: c, client_secret: s, token_url: 'https://t', proxy_url: 'http://q:1', tls_config: \
                          {ca: c, server_name: s}}\n";

    fn said(definition: Option<&Definition>, kind: &ErrorKind) -> String {
        predicate(definition, kind, &Circumstances::NONE)
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
            if let ErrorKind::Status(failure) = &kind
                && !failure.is_named
            {
                continue;
            }
            // Connection Details may set the timeout of any upstream.
            let others = named.replace(REQUEST_TIMEOUT, "");
            assert!(!others.contains("in the Connection Details"), "{named}");
            count += usize::from(given != named);
        }
        assert!(count > 60, "{count} texts have words of their own");
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

        let server = |words: Vocabulary<'_>| words.server().to_owned();
        check("", &of_upstream, server, "the upstream");
        check(OAUTH2, &of_credentials, server, "the server");
        check("", &of_upstream, |words| words.at_proxy().server().to_owned(), "the proxy");

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
}
