//! How the mirror authenticates: at most one scheme.

use std::path::Path;

use crate::prometheus::access::address::split_url;
use crate::prometheus::access::secret_source::{SecretForm, SecretSource};
use crate::prometheus::upstreams_file::fields::{BadField, FileField, FileFields};
use crate::secret::Secret;

use super::connection::{proxy, tls_settings};
use super::secrets::{given, in_file, needed_secret, secret};
use super::{CredentialsDefinition, MAX_ITEMS, OAuth2Definition, Role, SigV4Definition};

/// The name of Amazon's managed Prometheus in signatures, unless `service_name` is given.
const AMAZON_PROMETHEUS: &str = "aps";

/// The scheme of `authorization`, unless `type` is given.
const BEARER: &str = "Bearer";

pub(super) fn credentials(fields: &FileFields<'_>, folder: &Path) -> Result<CredentialsDefinition, BadField> {
    let found =
        fields.at_most_one(&["basic_auth", "authorization", "oauth2", "sigv4", "bearer_token", "bearer_token_file"])?;
    let Some((key, field)) = found else { return Ok(CredentialsDefinition::None) };
    match key {
        "basic_auth" => {
            let basic = field.fields(&["username", "username_file", "password", "password_file"])?;
            let username = needed_secret(&basic, ["username", "username_file"], folder, SecretForm::Line)?;
            let password = secret(&basic, ["password", "password_file"], folder, SecretForm::Line)?;
            Ok(CredentialsDefinition::Basic { username, password })
        }
        "authorization" => {
            let authorization = field.fields(&["type", "credentials", "credentials_file"])?;
            let scheme = authorization.get("type").map_or(Ok(BEARER.to_owned()), |field| scheme(&field))?;
            let credentials =
                needed_secret(&authorization, ["credentials", "credentials_file"], folder, SecretForm::HeaderValue)?;
            Ok(CredentialsDefinition::Authorization { scheme, credentials })
        }
        "oauth2" => oauth2(&field, folder).map(Box::new).map(CredentialsDefinition::OAuth2),
        "sigv4" => sigv4(&field, folder).map(CredentialsDefinition::SigV4),
        "bearer_token" => given(&field, SecretForm::HeaderValue).map(bearer),
        _ => in_file(&field, folder, SecretForm::HeaderValue).map(bearer),
    }
}

fn oauth2(field: &FileField<'_>, folder: &Path) -> Result<OAuth2Definition, BadField> {
    const KEYS: [&str; 9] = [
        "client_id",
        "client_secret",
        "client_secret_file",
        "token_url",
        "scopes",
        "endpoint_params",
        "tls_config",
        "proxy_url",
        "no_proxy",
    ];
    let fields = field.fields(&KEYS)?;
    let url = fields.needed("token_url")?;
    let (token_url, token_path, token_url_query) = split_url(url.text()?).map_err(|what| url.bad(what))?;
    let scopes = fields.get("scopes").map_or(Ok(Vec::new()), |list| list.list(MAX_ITEMS))?;
    let mut endpoint_params = Vec::new();
    if let Some(params) = fields.get("endpoint_params") {
        for (name, value) in params.mapping()?.all() {
            endpoint_params.push((name.to_owned(), Secret::new(value.text_or_empty()?)));
        }
    }
    Ok(OAuth2Definition {
        client_id: fields.needed("client_id")?.text()?.to_owned(),
        client_secret: needed_secret(&fields, ["client_secret", "client_secret_file"], folder, SecretForm::Line)?,
        token_url,
        token_path,
        token_url_query,
        scopes: scopes.iter().map(|scope| scope.text().map(str::to_owned)).collect::<Result<_, _>>()?,
        endpoint_params,
        tls: tls_settings(&fields, folder)?,
        proxy: proxy(&fields)?,
    })
}

fn sigv4(field: &FileField<'_>, folder: &Path) -> Result<SigV4Definition, BadField> {
    const KEYS: [&str; 10] = [
        "region",
        "access_key",
        "access_key_file",
        "secret_key",
        "secret_key_file",
        "profile",
        "role_arn",
        "external_id",
        "use_fips_sts_endpoint",
        "service_name",
    ];
    let fields = field.fields(&KEYS)?;
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
    Ok(SigV4Definition {
        place: field.place(),
        region: word("region")?,
        service: word("service_name")?.unwrap_or(AMAZON_PROMETHEUS.to_owned()),
        keys,
        profile,
        role,
        is_fips: fields.get("use_fips_sts_endpoint").map_or(Ok(false), |field| field.boolean())?,
    })
}

fn bearer(credentials: SecretSource) -> CredentialsDefinition {
    CredentialsDefinition::Authorization { scheme: BEARER.to_owned(), credentials }
}

fn scheme(field: &FileField<'_>) -> Result<String, BadField> {
    let text = field.text()?;
    if text.eq_ignore_ascii_case("basic") {
        return Err(field.bad("must not be Basic: use basic_auth"));
    }
    let is_token = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
    if is_token(text) { Ok(text.to_owned()) } else { Err(field.bad("must be the name of a scheme, such as Bearer")) }
}
