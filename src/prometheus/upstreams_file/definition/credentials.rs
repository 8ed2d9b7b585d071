//! How the mirror authenticates: at most one scheme.

use std::path::Path;

use crate::prometheus::access::{SecretForm, SecretSource, Unusable, split_url};
use crate::prometheus::upstreams_file::fields::{FileField, FileFields};
use crate::secret::Secret;

use super::connection::{proxy, tls_settings};
use super::secrets::{given, in_file, needed_secret, secret};
use super::{CredentialsDefinition, MAX_ITEMS, OAuth2Definition, Role, SigV4Definition};

/// The name of Amazon's managed Prometheus in signatures, unless `service_name` is given.
const AMAZON_PROMETHEUS: &str = "aps";

/// The scheme of `authorization`, unless `type` is given.
const BEARER: &str = "Bearer";

/// Reads the value of a key. Relative paths in it begin in the folder.
type ReadScheme = fn(&FileField<'_>, &Path) -> Result<CredentialsDefinition, Unusable>;

/// The keys of the schemes, of which an upstream has at most one.
const SCHEMES: [(&str, ReadScheme); 6] = [
    ("basic_auth", basic_auth),
    ("authorization", authorization),
    ("oauth2", oauth2),
    ("sigv4", sigv4),
    ("bearer_token", |field, _| given(field, SecretForm::HeaderValue).map(bearer)),
    ("bearer_token_file", |field, folder| in_file(field, folder, SecretForm::HeaderValue).map(bearer)),
];

pub(super) fn credentials(fields: &FileFields<'_>, folder: &Path) -> Result<CredentialsDefinition, Unusable> {
    let found = fields.at_most_one(&SCHEMES.map(|(key, _)| key))?;
    found.map_or(Ok(CredentialsDefinition::None), |(nth, field)| SCHEMES[nth].1(&field, folder))
}

fn basic_auth(field: &FileField<'_>, folder: &Path) -> Result<CredentialsDefinition, Unusable> {
    let fields = field
        .fields(&["username", "username_file", "password", "password_file"], "{username: USER, password: PASSWORD}")?;
    let username = needed_secret(&fields, ["username", "username_file"], folder, SecretForm::Line)?;
    let password = secret(&fields, ["password", "password_file"], folder, SecretForm::Line)?;
    Ok(CredentialsDefinition::Basic { username, password })
}

fn authorization(field: &FileField<'_>, folder: &Path) -> Result<CredentialsDefinition, Unusable> {
    let fields = field.fields(&["type", "credentials", "credentials_file"], "{credentials_file: token}")?;
    let scheme = fields.get("type").map_or(Ok(BEARER.to_owned()), |field| scheme(&field))?;
    let credentials = needed_secret(&fields, ["credentials", "credentials_file"], folder, SecretForm::HeaderValue)?;
    Ok(CredentialsDefinition::Authorization { scheme, credentials })
}

fn oauth2(field: &FileField<'_>, folder: &Path) -> Result<CredentialsDefinition, Unusable> {
    const KEYS: [&str; 9] = [
        "client_id", "client_secret", "client_secret_file", "token_url", "scopes", "endpoint_params", "tls_config",
        "proxy_url", "no_proxy",
    ];
    let fields = field.fields(&KEYS, "{client_id: ID, client_secret: SECRET, token_url: URL}")?;
    let url = fields.needed("token_url")?;
    let (token_url, token_path, token_url_query) = split_url(url.text()?).map_err(|what| url.bad(what))?;
    let scopes = fields.get("scopes").map_or(Ok(Vec::new()), |list| list.list(MAX_ITEMS, "[metrics.read]"))?;
    let mut endpoint_params = Vec::new();
    if let Some(params) = fields.get("endpoint_params") {
        for (name, value) in params.mapping("{audience: prometheus}")?.all() {
            endpoint_params.push((name.to_owned(), Secret::new(value.text_or_empty()?)));
        }
    }
    Ok(CredentialsDefinition::OAuth2(Box::new(OAuth2Definition {
        client_id: fields.needed("client_id")?.text()?.to_owned(),
        client_secret: needed_secret(&fields, ["client_secret", "client_secret_file"], folder, SecretForm::Line)?,
        token_url,
        token_path,
        token_url_query,
        scopes: scopes.iter().map(|scope| scope.text().map(str::to_owned)).collect::<Result<_, _>>()?,
        endpoint_params,
        tls: tls_settings(&fields, folder)?,
        proxy: proxy(&fields)?,
    })))
}

fn sigv4(field: &FileField<'_>, folder: &Path) -> Result<CredentialsDefinition, Unusable> {
    const KEYS: [&str; 10] = [
        "region", "access_key", "access_key_file", "secret_key", "secret_key_file", "profile", "role_arn",
        "external_id", "use_fips_sts_endpoint", "service_name",
    ];
    let fields = field.fields(&KEYS, "{region: eu-west-1}")?;
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let word = |key: &str| match fields.get(key) {
        Some(field) if !field.text().is_ok_and(is_word) => Err(field.bad("must be letters, digits and dashes")),
        Some(field) => field.text().map(|text| Some(text.to_owned())),
        None => Ok(None),
    };
    let text = |key: &str| fields.get(key).map(|field| field.text().map(str::to_owned)).transpose();
    let access_key = secret(&fields, ["access_key", "access_key_file"], folder, SecretForm::HeaderValue)?;
    let secret_key = secret(&fields, ["secret_key", "secret_key_file"], folder, SecretForm::Line)?;
    let keys = match (access_key, secret_key) {
        (Some(access_key), Some(secret_key)) => Some((access_key, secret_key)),
        (None, None) => None,
        _ => return Err(fields.bad("has only one of access_key and secret_key; give both, or none")),
    };
    let profile = text("profile")?;
    if keys.is_some() && profile.is_some() {
        return Err(fields.bad("has both access_key and profile; keep one of them"));
    }
    let external_id = text("external_id")?;
    let role = text("role_arn")?.map(|arn| Role { arn, external_id: external_id.clone() });
    if role.is_none() && external_id.is_some() {
        return Err(fields.bad("has external_id, but no role_arn"));
    }
    Ok(CredentialsDefinition::SigV4(SigV4Definition {
        place: field.place.clone(),
        region: word("region")?,
        service: word("service_name")?.unwrap_or(AMAZON_PROMETHEUS.to_owned()),
        keys,
        profile,
        role,
        is_fips: fields.get("use_fips_sts_endpoint").map_or(Ok(false), |field| field.boolean())?,
    }))
}

fn bearer(credentials: SecretSource) -> CredentialsDefinition {
    CredentialsDefinition::Authorization { scheme: BEARER.to_owned(), credentials }
}

fn scheme(field: &FileField<'_>) -> Result<String, Unusable> {
    let text = field.text()?;
    if text.eq_ignore_ascii_case("basic") {
        return Err(field.bad("must not be Basic: use basic_auth"));
    }
    let is_token = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
    if is_token(text) { Ok(text.to_owned()) } else { Err(field.bad("must be the name of a scheme, such as Bearer")) }
}
