//! What errors tell to change of a named upstream, in the words of the upstreams file.

use super::connect_failure::{
    AUTHORITY_THERE, CLIENT_CERTIFICATE_REMEDY, OTHER_NAME, OTHER_NAME_REMEDY, TRUSTED_AUTHORITIES,
};
use crate::prometheus::access::proxy::ProxyChoice;
use crate::prometheus::access::tls_settings::TlsSettings;
use crate::prometheus::upstreams_file::definition::{CredentialsDefinition, Definition};

/// Which connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// That to the upstream.
    Upstream,
    /// That to what hands out its credentials.
    Credentials,
}

/// What went wrong with an upstream of this definition, said with the keys that it has in the upstreams file instead of the connection
/// details and of flags. `timeout_ms` is the whole time of the question, if that is what was over.
pub(super) fn in_words_of_file(what: String, definition: &Definition, side: Side, timeout_ms: Option<u128>) -> String {
    let mut words = Vec::new();
    match (side, &definition.credentials) {
        (Side::Upstream, _) => {
            words.extend(OF_ADDRESS.map(|(given, named)| (given.to_owned(), named.to_owned())));
            words.extend(of_tls(definition, "", &definition.tls));
            words.extend(of_proxy(definition, "", &definition.proxy));
        }
        (Side::Credentials, CredentialsDefinition::OAuth2(oauth2)) => {
            words.push((" a host in url ".to_owned(), " a host in token_url ".to_owned()));
            words.extend(of_tls(definition, "oauth2.", &oauth2.tls));
            words.extend(of_proxy(definition, "oauth2.", &oauth2.proxy));
        }
        // Amazon's services are reached as flags say.
        (Side::Credentials, _) => {}
    }
    words.extend(of_timeout(definition, timeout_ms));
    words.iter().fold(what, |text, (given, named)| text.replace(given, named))
}

const OF_ADDRESS: [(&str, &str); 7] = [
    ("host, port and path prefix in the connection details", "url in the upstreams file"),
    ("host and port in the connection details", "url in the upstreams file"),
    ("the host in the connection details", "the host of url in the upstreams file"),
    ("the port in the connection details", "the port of url in the upstreams file"),
    ("the path prefix in the connection details", "the path of url in the upstreams file"),
    ("url in the connection details", "url in the upstreams file"),
    (" as url in the upstreams file, instead of host and port", " as url in the upstreams file"),
];

/// A key of the upstream, which may stand in one of its mappings.
fn key_of(definition: &Definition, key: &str) -> String {
    format!("{key} of upstream {} in the upstreams file", definition.name)
}

fn of_tls(definition: &Definition, prefix: &str, tls: &TlsSettings) -> Vec<(String, String)> {
    let key = |key: &str| key_of(definition, &format!("{prefix}tls_config.{key}"));
    // As the file has it: `ca` or `ca_file`.
    let given = |path: &str| path.split_once("].").map_or(path, |(_, key)| key).to_owned();
    let mut words = Vec::new();
    match &tls.ca {
        Some(ca) => {
            let ca = given(&ca.place.path);
            words.push((TRUSTED_AUTHORITIES.to_owned(), format!("it trusts those in {ca} alone")));
            words.push((AUTHORITY_THERE.to_owned(), format!("the authority in {ca}")));
            words.push((MIRRORS_AUTHORITIES.to_owned(), key_of(definition, &ca)));
        }
        None => {
            let either = format!("{}, or {MIRRORS_AUTHORITIES}", key("ca_file"));
            words.push((MIRRORS_AUTHORITIES.to_owned(), either));
        }
    }
    let other_name = format!("{OTHER_NAME}; {OTHER_NAME_REMEDY}");
    let server_name = key("server_name");
    words.push(match &tls.server_name {
        Some(_) => (
            other_name,
            format!(
                "its certificate is not for the name in {prefix}tls_config.server_name; correct {server_name}, or have the \
                 certificate issued for that name (subjectAltName)"
            ),
        ),
        None => (
            other_name,
            format!("{OTHER_NAME}; {}; or set {server_name} to a name that it is for", of_host(prefix)),
        ),
    });
    words.push(match &tls.certificate {
        Some(certificate) => (
            CLIENT_CERTIFICATE_REMEDY.to_owned(),
            format!(
                "replace {} and its key by one of an authority that it trusts",
                key_of(definition, &given(&certificate.place.path))
            ),
        ),
        None => (
            CLIENT_CERTIFICATE_REMEDY.to_owned(),
            format!("give it one of an authority that it trusts: {}, and key_file beside it", key("cert_file")),
        ),
    });
    words
}

const MIRRORS_AUTHORITIES: &str = "the --ca-file of this mirror";

fn of_host(prefix: &str) -> String {
    let url = if prefix.is_empty() { "url" } else { "token_url" };
    format!("use a host in {url} that the certificate is for, or have it issued for this host (subjectAltName)")
}

fn of_proxy(definition: &Definition, prefix: &str, proxy: &ProxyChoice) -> Vec<(String, String)> {
    match proxy {
        ProxyChoice::Through(_) => ["proxy", "no-proxy"]
            .map(|flag| {
                let key = if flag == "proxy" { "proxy_url" } else { "no_proxy" };
                (format!("--{flag} of this mirror"), key_of(definition, &format!("{prefix}{key}")))
            })
            .to_vec(),
        ProxyChoice::AsSet | ProxyChoice::Direct => Vec::new(),
    }
}

/// The timeout of the connection details wins, so the file's is named only where it was in force, or may have been.
fn of_timeout(definition: &Definition, timeout_ms: Option<u128>) -> Option<(String, String)> {
    const OF_DETAILS: &str = "requestTimeout in the connection details";
    let of_file = definition.options.timeout?;
    let key = key_of(definition, "timeout");
    match timeout_ms {
        Some(ms) if ms == of_file.as_millis() => Some((OF_DETAILS.to_owned(), key)),
        Some(_) => None,
        None => Some((OF_DETAILS.to_owned(), format!("{OF_DETAILS}, or else {key}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::prometheus::upstreams_file::definition;

    fn defined(keys: &str) -> Definition {
        let text = format!("upstreams:\n- {{name: other, url: 'http://o'}}\n- name: a\n  url: https://p\n{keys}\n");
        definition::parse(&text, Path::new("/f")).unwrap().remove(1)
    }

    #[test]
    fn the_settings_of_a_named_upstream_are_called_by_their_keys() {
        let check = |keys: &str, side: Side, given: &str, named: &str| {
            assert_eq!(in_words_of_file(given.to_owned(), &defined(keys), side, None), named, "{keys}");
        };
        let ask = |flag: &str| format!("check --{flag} of this mirror");
        let through = "  proxy_url: http://q:1\n";
        check(through, Side::Upstream, &ask("proxy"), "check proxy_url of upstream a in the upstreams file");
        check(through, Side::Upstream, &ask("no-proxy"), "check no_proxy of upstream a in the upstreams file");
        check("", Side::Upstream, &ask("no-proxy"), &ask("no-proxy"));
        check(through, Side::Credentials, &ask("proxy"), &ask("proxy"));
        let oauth2 = "  oauth2: {client_id: c, client_secret: s, token_url: 'https://t', proxy_url: 'http://q:1', \
                      tls_config: {ca: c, server_name: s}}\n";
        let of_token = "check oauth2.proxy_url of upstream a in the upstreams file";
        check(oauth2, Side::Credentials, &ask("proxy"), of_token);
        check(oauth2, Side::Upstream, &ask("proxy"), &ask("proxy"));

        let other_key = format!("{AUTHORITY_THERE} that; replace the authority in {MIRRORS_AUTHORITIES} by the one");
        check(
            "  tls_config: {ca_file: x}",
            Side::Upstream,
            &other_key,
            "the authority in tls_config.ca_file that; replace the authority in tls_config.ca_file of upstream a in the upstreams \
             file by the one",
        );
        check(
            oauth2,
            Side::Credentials,
            &other_key,
            "the authority in oauth2.tls_config.ca that; replace the authority in oauth2.tls_config.ca of upstream a in the \
             upstreams file by the one",
        );
        check(
            "",
            Side::Upstream,
            MIRRORS_AUTHORITIES,
            "tls_config.ca_file of upstream a in the upstreams file, or the --ca-file of this mirror",
        );
        let other_name = format!("{OTHER_NAME}; {OTHER_NAME_REMEDY}");
        check(
            "  tls_config: {server_name: x}",
            Side::Upstream,
            &other_name,
            "its certificate is not for the name in tls_config.server_name; correct tls_config.server_name of upstream a in the \
             upstreams file, or have the certificate issued for that name (subjectAltName)",
        );
        check(
            "",
            Side::Upstream,
            &other_name,
            "its certificate is not for this host; use a host in url that the certificate is for, or have it issued for this host \
             (subjectAltName); or set tls_config.server_name of upstream a in the upstreams file to a name that it is for",
        );
        check(
            "  tls_config: {cert_file: c, key_file: k}",
            Side::Upstream,
            CLIENT_CERTIFICATE_REMEDY,
            "replace tls_config.cert_file of upstream a in the upstreams file and its key by one of an authority that it trusts",
        );
    }

    #[test]
    fn the_timeout_that_was_in_force_is_named() {
        let check = |keys: &str, timeout_ms: Option<u128>, named: &str| {
            let given = "raise requestTimeout in the connection details".to_owned();
            assert_eq!(in_words_of_file(given, &defined(keys), Side::Upstream, timeout_ms), named, "{keys}");
        };
        let of_details = "raise requestTimeout in the connection details";
        let of_file = "timeout of upstream a in the upstreams file";
        check("", Some(20_000), of_details);
        check("  timeout: 14s", Some(14_000), &format!("raise {of_file}"));
        check("  timeout: 14s", Some(5_000), of_details);
        check("  timeout: 14s", None, &format!("{of_details}, or else {of_file}"));
    }
}
