//! What the upstreams file says about each upstream, in the words of Prometheus's `http_config` ("Configuration").

mod additions;
mod connection;
mod credentials;
mod secrets;

use std::path::Path;
use std::time::Duration;

use ureq::http::HeaderName;

use crate::model::query::{NanInterpretation, PartialResponse};
use crate::prometheus::access::{Address, BaseUrl, FilePlace, ProxyChoice, SecretSource, TlsSettings, Unusable};
use crate::secret::Secret;

use super::fields::{FileField, FileFields};
use super::yaml;
use additions::{headers, query_parameters};
use connection::{proxy, tls_settings};
use credentials::credentials;

/// The most upstreams in a file.
const MAX_UPSTREAMS: usize = 256;

/// The most replicas of an upstream.
const MAX_REPLICAS: usize = 8;

/// The most headers, parameters or scopes, and values of one of them.
const MAX_ITEMS: usize = 64;

/// The most characters of a name.
const MAX_NAME_LENGTH: usize = 63;

/// The longest timeout, the same as in Connection Details.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// The longest scrape interval, the same as in Connection Details.
const MAX_SCRAPE_INTERVAL: Duration = Duration::from_secs(86_400);

/// The largest `max_in_flight`.
const MAX_IN_FLIGHT: usize = 1_000;

/// An upstream, as the file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prometheus) struct Definition {
    pub(in crate::prometheus) name: String,
    /// The key to change if an address is wrong: `url` or `urls`.
    pub(in crate::prometheus) address_key: &'static str,
    /// The address, or those of several replicas in the order of preference.
    pub(in crate::prometheus) addresses: Vec<Address>,
    pub(in crate::prometheus) credentials: CredentialsDefinition,
    pub(in crate::prometheus) headers: Vec<(HeaderName, SecretSource)>,
    /// The parameters that every call has in its URL.
    pub(in crate::prometheus) query_parameters: Vec<(String, String)>,
    pub(in crate::prometheus) tls: TlsSettings,
    pub(in crate::prometheus) proxy: ProxyChoice,
    pub(in crate::prometheus) options: Options,
}

/// Options that apply to the queries to an upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The timeout, if Connection Details contain none.
    pub timeout: Option<Duration>,
    /// The scrape interval in milliseconds, if Connection Details contain none.
    pub scrape_interval_ms: Option<i64>,
    /// What becomes of samples that are not a number, if Connection Details do not say.
    pub nan: Option<NanInterpretation>,
    /// What becomes of a partial response, if Connection Details do not say.
    pub partial: Option<PartialResponse>,
    /// Whether remote read is off.
    pub without_remote_read: bool,
    /// Whether queries use GET only.
    pub get_only: bool,
    /// The most requests to it in flight.
    pub max_in_flight: Option<usize>,
}

/// How the mirror authenticates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prometheus) enum CredentialsDefinition {
    None,
    Basic { username: SecretSource, password: Option<SecretSource> },
    Authorization { scheme: String, credentials: SecretSource },
    OAuth2(Box<OAuth2Definition>),
    SigV4(SigV4Definition),
}

/// How calls are signed for Amazon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prometheus) struct SigV4Definition {
    pub(in crate::prometheus) place: FilePlace,
    /// `None`: the region of the environment.
    pub(in crate::prometheus) region: Option<String>,
    pub(in crate::prometheus) service: String,
    /// The id of a key and the secret key. `None`: the keys of the environment that the mirror runs in.
    pub(in crate::prometheus) keys: Option<(SecretSource, SecretSource)>,
    /// The profile of the shared credentials file that contains the keys.
    pub(in crate::prometheus) profile: Option<String>,
    /// The role to assume with the keys.
    pub(in crate::prometheus) role: Option<Role>,
    /// Whether to use the FIPS endpoint of the Security Token Service.
    pub(in crate::prometheus) is_fips: bool,
}

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prometheus) struct Role {
    pub(in crate::prometheus) arn: String,
    pub(in crate::prometheus) external_id: Option<String>,
}

/// A client of a token server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prometheus) struct OAuth2Definition {
    pub(in crate::prometheus) client_id: String,
    pub(in crate::prometheus) client_secret: SecretSource,
    pub(in crate::prometheus) token_url: Address,
    /// The slash at the end of the URL's path, or nothing.
    pub(in crate::prometheus) token_path: &'static str,
    /// The query of the URL; may be empty.
    pub(in crate::prometheus) token_url_query: String,
    pub(in crate::prometheus) scopes: Vec<String>,
    /// Further parameters of the form. They may contain an assertion or a password.
    pub(in crate::prometheus) endpoint_params: Vec<(String, Secret)>,
    pub(in crate::prometheus) tls: TlsSettings,
    pub(in crate::prometheus) proxy: ProxyChoice,
}

const UPSTREAM_KEYS: [&str; 23] = [
    "name", "url", "urls", "basic_auth", "authorization", "oauth2", "sigv4", "bearer_token", "bearer_token_file",
    "tls_config", "http_headers", "query_parameters", "proxy_url", "no_proxy", "timeout", "scrape_interval",
    "nan_interpretation", "partial_response", "remote_read", "http_method", "max_in_flight", "follow_redirects",
    "enable_http2",
];

/// Parses a file. Paths in it are relative to `folder`, which contains the file.
///
/// # Errors
/// Fails with the first error and its line.
pub(in crate::prometheus) fn parse(text: &str, folder: &Path) -> Result<Vec<Definition>, String> {
    let described = |bad: Unusable| format!("line {}: {bad}", bad.place.line);
    let document = yaml::parse(text).map_err(described)?;
    definitions(&FileField::document(&document), folder).map_err(described)
}

fn definitions(document: &FileField<'_>, folder: &Path) -> Result<Vec<Definition>, Unusable> {
    let file = document.fields(&["upstreams"], "{upstreams: [{name: main, url: https://prometheus.example}]}")?;
    let items = file.needed("upstreams")?.list(MAX_UPSTREAMS, "[{name: main, url: https://prometheus.example}]")?;
    let mut definitions: Vec<Definition> = Vec::with_capacity(items.len());
    for item in items {
        let fields = item.fields(&UPSTREAM_KEYS, "{name: main, url: https://prometheus.example}")?;
        let definition = definition(&fields, folder)?;
        if definitions.iter().any(|other| other.name == definition.name) {
            return Err(fields.needed("name")?.bad("is the name of another upstream; give each its own"));
        }
        definitions.push(definition);
    }
    Ok(definitions)
}

fn definition(fields: &FileFields<'_>, folder: &Path) -> Result<Definition, Unusable> {
    refuse_true(fields, "follow_redirects", "the mirror never follows redirects, which could leak a secret")?;
    refuse_true(fields, "enable_http2", "the mirror speaks HTTP/1.1")?;
    let (address_key, addresses) = addresses(fields)?;
    Ok(Definition {
        name: name(&fields.needed("name")?)?,
        address_key,
        addresses,
        credentials: credentials(fields, folder)?,
        headers: headers(fields, folder)?,
        query_parameters: query_parameters(fields)?,
        tls: tls_settings(fields, folder)?,
        proxy: proxy(fields)?,
        options: options(fields)?,
    })
}

fn refuse_true(fields: &FileFields<'_>, key: &str, why: &str) -> Result<(), Unusable> {
    match fields.get(key) {
        Some(field) if field.boolean()? => {
            Err(field.bad(&format!("cannot be true: {why}; set it to false, or remove it")))
        }
        _ => Ok(()),
    }
}

/// A name as it is used in Connection Details, logs and metrics.
fn name(field: &FileField<'_>) -> Result<String, Unusable> {
    let is_good = |text: &str| {
        text.len() <= MAX_NAME_LENGTH
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    let text = field.text()?;
    is_good(text).then(|| text.to_owned()).ok_or_else(|| {
        field.bad("must be at most 63 letters, digits, dashes, dots and underscores, and begin with a letter or digit")
    })
}

fn addresses(fields: &FileFields<'_>) -> Result<(&'static str, Vec<Address>), Unusable> {
    match fields.at_most_one(&["url", "urls"])? {
        Some((0, field)) => Ok(("url", vec![address(&field)?])),
        Some((_, list)) => {
            let mut addresses: Vec<Address> = Vec::new();
            for field in list.list(MAX_REPLICAS, "[https://prometheus-0.example, https://prometheus-1.example]")? {
                let address = address(&field)?;
                if addresses.contains(&address) {
                    return Err(field.bad("is in the list twice; remove one of the two"));
                }
                addresses.push(address);
            }
            Ok(("urls", addresses))
        }
        None => Err(fields.bad("has neither url nor urls, of which it needs one")),
    }
}

fn address(field: &FileField<'_>) -> Result<Address, Unusable> {
    let BaseUrl { address, authorization } = Address::at_url(field.text()?).map_err(|what| field.bad(what))?;
    match authorization {
        Some(_) => Err(field.bad("must have no user and password: give them as basic_auth")),
        None => Ok(address),
    }
}

fn options(fields: &FileFields<'_>) -> Result<Options, Unusable> {
    let nan = [("ZERO", NanInterpretation::Zero), ("NONE", NanInterpretation::None)];
    let partial = [("deny", PartialResponse::Deny), ("allow", PartialResponse::Allow)];
    let scrape_interval = fields.get("scrape_interval").map(|field| field.duration(MAX_SCRAPE_INTERVAL)).transpose()?;
    Ok(Options {
        timeout: fields.get("timeout").map(|field| field.duration(MAX_TIMEOUT)).transpose()?,
        scrape_interval_ms: scrape_interval.map(|interval| interval.as_millis() as i64),
        nan: fields.get("nan_interpretation").map(|field| field.word(nan)).transpose()?,
        partial: fields.get("partial_response").map(|field| field.word(partial)).transpose()?,
        without_remote_read: !fields.get("remote_read").map_or(Ok(true), |field| field.boolean())?,
        get_only: fields.get("http_method").map_or(Ok(false), |field| field.word([("GET", true), ("POST", false)]))?,
        max_in_flight: fields.get("max_in_flight").map(|field| field.number(1..=MAX_IN_FLIGHT)).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::sample::subsequence;
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::prometheus::access::SecretForm::{HeaderValue, Line, Pem};
    use crate::prometheus::access::{Proxy, SecretForm, SecretOrigin, TlsVersion};

    fn parsed(yaml: &str) -> Result<Vec<Definition>, String> {
        parse(yaml, Path::new("/etc/mirror"))
    }

    /// The only upstream of a file, which is named `a` and has these further keys.
    fn upstream(keys: &str) -> Definition {
        let yaml = format!("upstreams:\n- name: a\n  url: http://p\n{keys}");
        let mut found = parsed(&yaml).unwrap_or_else(|bad| panic!("{yaml}: {bad}"));
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    fn given(form: SecretForm, text: &str) -> SecretSource {
        SecretSource { origin: SecretOrigin::Given(Secret::new(text)), form, place: FilePlace::default() }
    }

    fn file(form: SecretForm, path: &str) -> SecretSource {
        SecretSource { origin: SecretOrigin::File(path.into()), form, place: FilePlace::default() }
    }

    #[test]
    fn a_url_is_enough() {
        let expected = Definition {
            name: "a".to_owned(),
            address_key: "url",
            addresses: vec![Address::at_url("http://p").unwrap().address],
            credentials: CredentialsDefinition::None,
            headers: Vec::new(),
            query_parameters: Vec::new(),
            tls: TlsSettings::default(),
            proxy: ProxyChoice::AsSet,
            options: Options::default(),
        };
        assert_eq!(upstream(""), expected);
        // A null value counts as absent.
        assert_eq!(upstream("  basic_auth:\n  http_headers: ~\n  urls: null\n"), expected);
        // JSON is YAML.
        assert_eq!(parsed(r#"{"upstreams": [{"name": "a", "url": "http://p"}]}"#), Ok(vec![expected]));
    }

    #[test]
    fn credentials_are_those_of_http_config() {
        let check =
            |keys: &str, expected: CredentialsDefinition| assert_eq!(upstream(keys).credentials, expected, "{keys}");
        let bearer = |credentials| CredentialsDefinition::Authorization { scheme: "Bearer".to_owned(), credentials };
        check(
            "  basic_auth: {username: u, password: ' p w '}",
            CredentialsDefinition::Basic { username: given(Line, "u"), password: Some(given(Line, " p w ")) },
        );
        check(
            "  basic_auth: {username_file: u, password_file: /run/p}",
            CredentialsDefinition::Basic {
                username: file(Line, "/etc/mirror/u"),
                password: Some(file(Line, "/run/p")),
            },
        );
        check(
            "  basic_auth: {username: u}",
            CredentialsDefinition::Basic { username: given(Line, "u"), password: None },
        );
        check("  authorization: {credentials: t}", bearer(given(HeaderValue, "t")));
        check("  authorization: {credentials_file: t}", bearer(file(HeaderValue, "/etc/mirror/t")));
        check("  bearer_token: t", bearer(given(HeaderValue, "t")));
        check("  bearer_token_file: t", bearer(file(HeaderValue, "/etc/mirror/t")));
        check(
            "  authorization: {type: ApiKey, credentials: t}",
            CredentialsDefinition::Authorization { scheme: "ApiKey".to_owned(), credentials: given(HeaderValue, "t") },
        );
    }

    #[test]
    fn every_other_key_is_taken_over() {
        let yaml = "upstreams:
- name: team-a.b_1
  urls: [https://one/x, https://two/x]
  http_headers:
    X-Scope-OrgID: {values: [team-a]}
    X-Two: {values: [a], secrets: [b], files: [c]}
  query_parameters: {namespace: [a b, ''], x: ['1']}
  tls_config: {ca_file: ca, cert: C, key_file: k, server_name: s, min_version: TLS13, insecure_skip_verify: false}
  proxy_url: http://proxy:3128
  no_proxy: .svc
  timeout: 14s
  scrape_interval: 1m30s
  nan_interpretation: ZERO
  partial_response: allow
  remote_read: false
  http_method: GET
  max_in_flight: 5
  follow_redirects: false
  enable_http2: false
- {name: b, url: 'http://p', proxy_url: ''}
";
        let found = parsed(yaml).unwrap();
        let one = &found[0];
        let header = |name: &str, source| (name.parse().unwrap(), source);
        assert_eq!(one.name, "team-a.b_1");
        assert_eq!(one.addresses.iter().map(Address::base).collect::<Vec<_>>(), ["https://one/x", "https://two/x"]);
        assert_eq!(one.address_key, "urls");
        let two = || "X-Two";
        let expected = [
            header("X-Scope-OrgID", given(HeaderValue, "team-a")),
            header(two(), given(HeaderValue, "a")),
            header(two(), given(HeaderValue, "b")),
            header(two(), file(HeaderValue, "/etc/mirror/c")),
        ];
        assert_eq!(one.headers, expected);
        let pairs = [("namespace", "a b"), ("namespace", ""), ("x", "1")];
        assert_eq!(one.query_parameters, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let tls = TlsSettings {
            place: FilePlace::default(),
            ca: Some(file(Pem, "/etc/mirror/ca")),
            certificate: Some(given(Pem, "C")),
            key: Some(file(Pem, "/etc/mirror/k")),
            server_name: Some("s".to_owned()),
            min_version: Some(TlsVersion::Tls13),
            max_version: None,
            insecure_skip_verify: false,
        };
        assert_eq!(one.tls, tls);
        let proxy = Proxy::at_url("http://proxy:3128", ".svc".parse().unwrap()).unwrap();
        assert_eq!((&one.proxy, &found[1].proxy), (&ProxyChoice::Through(proxy), &ProxyChoice::Direct));
        let options = Options {
            timeout: Some(Duration::from_secs(14)),
            scrape_interval_ms: Some(90_000),
            nan: Some(NanInterpretation::Zero),
            partial: Some(PartialResponse::Allow),
            without_remote_read: true,
            get_only: true,
            max_in_flight: Some(5),
        };
        assert_eq!(one.options, options);
    }

    #[test]
    fn errors_have_the_line_and_what_is_allowed_and_repeat_no_secret() {
        let check = |keys: &str, says: &str| {
            let yaml = format!("upstreams:\n- name: a\n  url: http://p\n{keys}");
            let bad = parsed(&yaml).expect_err(&yaml);
            assert!(bad.contains(says) && bad.contains("line ") && !bad.contains("hush"), "{yaml}: {bad}");
        };
        let whole = |yaml: &str, says: &str| {
            let bad = parsed(yaml).expect_err(yaml);
            assert!(bad.contains(says) && !bad.contains("hush"), "{yaml}: {bad}");
        };
        whole(
            "",
            "line 1: the file must be a mapping such as {upstreams: [{name: main, url: https://prometheus.example}]}",
        );
        whole(
            "upstreams: {a: hush}",
            "upstreams must be a list such as [{name: main, url: https://prometheus.example}]",
        );
        whole(
            "upstreams: [hush]",
            "upstreams[0] must be a mapping such as {name: main, url: https://prometheus.example}; the",
        );
        whole("upstreams: [{name: a, urls: hush}]", "urls must be a list such as [https://prometheus-0.example, https");
        whole("upstreams: []", "line 1: upstreams must not be empty");
        whole("upstream: []", "line 1: the file has an unknown key: did you mean upstreams? the keys are upstreams");
        whole("upstreams:\n- url: http://p", "line 2: upstreams[0] has no name");
        whole("upstreams:\n- name: a", "line 2: upstreams[0] has neither url nor urls");
        whole("upstreams: [{name: a, url: 'http://p'}, {name: a, url: 'http://p'}]", "is the name of another upstream");
        whole("upstreams: [{name: 'a b', url: 'http://p'}]", "letters, digits");
        whole("upstreams: [{name: a, urls: ['http://p', 'http://p/']}]", "is in the list twice");
        whole("upstreams: [{name: a, url: 'http://u:hush@p'}]", "give them as basic_auth");
        whole("upstreams: [{name: a, url: 'http://p/api/v1'}]", "leave out /api/v1");
        check("  urls: [http://q]", "has both url and urls");
        check(
            "  basic_auth: {username: u}\n  authorization: {credentials: hush}",
            "line 5: upstreams[0] has both basic_auth and authorization",
        );
        check(
            "  basic_auth: hush",
            "line 4: upstreams[0].basic_auth must be a mapping such as {username: USER, password: PASSWORD}; the",
        );
        check(
            "  authorization: hush",
            "authorization must be a mapping such as {credentials_file: token}; the keys are type",
        );
        check(
            "  oauth2: hush",
            "oauth2 must be a mapping such as {client_id: ID, client_secret: SECRET, token_url: URL}",
        );
        check(
            "  oauth2: {token_url: 'https://t', scopes: hush}",
            "oauth2.scopes must be a list such as [metrics.read]",
        );
        check(
            "  oauth2: {token_url: 'https://t', endpoint_params: hush}",
            "must be a mapping such as {audience: prometheus}",
        );
        check("  sigv4: hush", "sigv4 must be a mapping such as {region: eu-west-1}; the keys are region");
        check("  tls_config: hush", "tls_config must be a mapping such as {ca_file: ca.pem}; the keys are ca");
        check("  basic_auth: {password: hush}", "has neither username nor username_file");
        check("  basic_auth: {username: u, password: hush, password_file: f}", "has both password and password_file");
        check("  basic_auth: {username: u, passwort: hush}", "did you mean password?");
        check("  authorization: {type: Basic, credentials: hush}", "use basic_auth");
        check("  authorization: {type: 'a b', credentials: hush}", "the name of a scheme");
        check("  authorization: {credentials: \"so\\nhush\"}", "credentials has a line break inside");
        check("  basic_auth: {username: u, password: \"so\\x07hush\"}", "password has a control character");
        check(
            "  http_headers: {X-A: {values: [a, hush\u{e9}]}}",
            "line 4: upstreams[0].http_headers.X-A.values[1] has a character",
        );
        check("  authorization: {type: Bearer}", "has neither credentials nor credentials_file");
        for header in ["Authorization", "X-Amz-Date", "X-Amz-Security-Token"] {
            check(&format!("  http_headers: {{{header}: {{values: [hush]}}}}"), "cannot be given here");
        }
        check("  http_headers: {'a b': {values: [hush]}}", "is not the name of a header");
        check("  http_headers: hush", "http_headers must be a mapping such as {X-Scope-OrgID: {values: [team-a]}}");
        check(
            "  http_headers: {X-A: hush}",
            "http_headers.X-A must be a mapping such as {values: [team-a]}; the keys are v",
        );
        check("  http_headers: {X-A: {values: hush}}", "http_headers.X-A.values must be a list such as [team-a]");
        check("  http_headers: {X-A: {values: []}}", "must not be empty");
        check("  http_headers: {X-A: {}}", "has no values, secrets or files");
        check("  query_parameters: {query: [hush]}", "the mirror sends itself");
        check("  query_parameters: [hush]", "query_parameters must be a mapping such as {namespace: [payments]}");
        check("  query_parameters: {a: hush}", "query_parameters.a must be a list such as [payments]");
        check("  tls_config: {cert_file: c}", "but no key or key_file");
        check("  tls_config: {key_file: c}", "but no cert or cert_file");
        check("  tls_config: {min_version: TLS11}", "tls_config.min_version must be TLS12 or TLS13");
        check("  tls_config: {min_version: TLS13, max_version: TLS12}", "min_version above its max_version");
        check("  tls_config: {insecure_skip_verify: yes}", "must be true or false");
        check("  tls_config: {insecure_skip_verify: true, ca_file: c}", "keep one of them");
        check("  tls_config: {server_name: 'a:1'}", "without a port");
        check("  proxy_url: socks5://u:hush@p", "must be a URL such as");
        check("  no_proxy: a", "needs a proxy_url");
        check("  proxy_url: http://p\n  no_proxy: 'hush hush/'", "comma-separated list");
        check("  proxy_url: http://p\n  no_proxy: [.svc]", "no_proxy must be a comma-separated list of hosts");
        check("  timeout: 14", "duration such as 30s");
        check("  timeout: 11m", "at most 600 s");
        check("  http_method: PUT", "must be GET or POST");
        check("  remote_read: off", "must be true or false");
        check("  max_in_flight: 0", "from 1 to 1000");
        check("  nan_interpretation: zero", "must be ZERO or NONE");
        check("  follow_redirects: true", "never follows redirects");
        check("  enable_http2: true", "HTTP/1.1");
        check("  sigv5: {}", "has an unknown key: did you mean sigv4?");
    }

    /// Values of keys, and whether they are valid.
    const VALUES: [(&str, bool); 26] = [
        ("basic_auth: {username: u, password: hush}", true),
        ("basic_auth: {username: u, password: [hush]}", false),
        ("basic_auth: {username: hush, passwords: hush}", false),
        ("http_headers: {X-A: {secrets: [hush], values: ['1']}}", true),
        ("http_headers: {X-A: {secrets: hush}}", false),
        ("http_headers: {Host: {values: [hush]}}", false),
        ("query_parameters: {a: [hush, '']}", true),
        ("query_parameters: {a: {b: hush}}", false),
        ("tls_config: {server_name: hush.example}", true),
        ("tls_config: {server_name: 'hush hush'}", false),
        ("tls_config: {ca: hush, ca_file: hush}", false),
        ("proxy_url: http://u:hush@p:1", true),
        ("proxy_url: hush", false),
        ("timeout: 1m", true),
        ("timeout: hush", false),
        ("scrape_interval: 15s", true),
        ("scrape_interval: [hush]", false),
        ("remote_read: true", true),
        ("remote_read: hush", false),
        ("http_method: GET", true),
        ("http_method: hush", false),
        ("max_in_flight: 1000", true),
        ("max_in_flight: 1001", false),
        ("partial_response: allow", true),
        ("partial_response: {hush: hush}", false),
        ("hush hush: hush", false),
    ];

    proptest! {
        #[test]
        fn any_valid_values_are_accepted_and_no_secret_is_repeated(
            chosen in subsequence((0..VALUES.len()).collect::<Vec<_>>(), 0..6)
        ) {
            let key = |value: &str| value.split(':').next().unwrap_or_default().to_owned();
            let keys: Vec<String> = chosen.iter().map(|&nth| key(VALUES[nth].0)).collect();
            let has_double = (1..keys.len()).any(|nth| keys[..nth].contains(&keys[nth]));
            let is_right = !has_double && chosen.iter().all(|&nth| VALUES[nth].1);
            let values: String = chosen.iter().map(|&nth| format!("  {}\n", VALUES[nth].0)).collect();
            let yaml = format!("upstreams:\n- name: a\n  url: https://p\n{values}");
            let parsed = parsed(&yaml);
            prop_assert_eq!(parsed.is_ok(), is_right, "{}: {:?}", yaml, parsed);
            if let Err(bad) = parsed {
                prop_assert!(bad.starts_with("line ") && !bad.contains("hush"), "{}: {}", yaml, bad);
            }
        }

        #[test]
        fn any_text_is_accepted_or_refused_with_a_line(text in "[\\[\\]{}:,&*!|>'\"#%@` \\-\\n\ta-c0-1é\u{0}]{0,80}") {
            if let Err(bad) = parsed(&text) {
                prop_assert!(bad.starts_with("line "), "{}", bad);
            }
        }
    }
}
