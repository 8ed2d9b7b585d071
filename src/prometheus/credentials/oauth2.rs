//! OAuth 2: a token server gives the mirror a token for its client id and secret (RFC 6749, "Client Credentials Grant").

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::prometheus::access::{Authorities, LiveSecret, SecretForm, Unusable, basic};
use crate::prometheus::http::{CallContent, CallTarget, Deadline, RotatingTransport, url_encoded};
use crate::prometheus::upstreams_file::definition::OAuth2Definition;
use crate::refreshed::Refreshed;
use crate::secret::Secret;

use super::fixed::Fixed;
use super::hide::{of_authorization, shown_words};
use super::issuer_call::call_issuer;
use super::single_fetch::{Fetched, SingleFetch};
use crate::prometheus::error::{AtIssuer, CredentialsFailure, ErrorKind, Issuer};

/// A token, and where it comes from.
pub(in crate::prometheus) struct OAuth2 {
    definition: OAuth2Definition,
    pub(super) client_secret: LiveSecret,
    transport: RotatingTransport,
    pub(super) token: SingleFetch<Secret>,
    /// Whether the token server accepts the client's secret only in the form, not in a header.
    takes_form_only: AtomicBool,
}

impl OAuth2 {
    /// Creates the credentials of a client. `transport` leads to the token server.
    ///
    /// # Errors
    /// Fails if the file of the client's secret cannot be used.
    pub(in crate::prometheus) fn new(
        definition: OAuth2Definition,
        transport: RotatingTransport,
    ) -> Result<OAuth2, Unusable> {
        Ok(OAuth2 {
            client_secret: LiveSecret::new(definition.client_secret.clone())?,
            transport,
            token: SingleFetch::default(),
            takes_form_only: AtomicBool::new(false),
            definition,
        })
    }

    /// The value of the header `Authorization`.
    pub(super) fn authorization(&self, deadline: Deadline) -> Result<Secret, ErrorKind> {
        self.token.get(deadline, |deadline| self.fetch(deadline))
    }

    /// Discards the token if it is the refused one, so that a new one is fetched. Returns whether a retry makes sense.
    pub(super) fn renew(&self, refused: &[u8]) -> bool {
        self.token.renew(|token| token.reveal().as_bytes() == refused)
    }

    /// Reloads the certificates for the token server where their files have changed. A file that cannot be used does not stop the
    /// others.
    pub(in crate::prometheus) fn refresh_tls(&self, authorities: &Authorities) -> Refreshed<Unusable> {
        let refreshed = self.transport.refresh(authorities);
        if refreshed.has_changed {
            self.token.end_pause();
        }
        refreshed
    }

    /// Fetches a token. Sends the secret in a header, as the RFC prefers, or in the form if the server refuses the header.
    fn fetch(&self, deadline: Deadline) -> Result<Fetched<Secret>, CredentialsFailure> {
        if self.takes_form_only.load(Ordering::Relaxed) {
            return self.request_token(true, deadline);
        }
        match self.request_token(false, deadline) {
            Err(refused) if refused.has_response() => match self.request_token(true, deadline) {
                Ok(token) => {
                    self.takes_form_only.store(true, Ordering::Relaxed);
                    Ok(token)
                }
                // The refusal of the header tells more: without it, some servers find no client at all.
                Err(_) => Err(refused),
            },
            other => other,
        }
    }

    fn request_token(&self, in_form: bool, deadline: Deadline) -> Result<Fetched<Secret>, CredentialsFailure> {
        let OAuth2Definition { client_id, scopes, endpoint_params, token_url, token_path, token_url_query, .. } =
            &self.definition;
        let secret = self.client_secret.current();
        let scope = scopes.join(" ");
        let mut params = vec![("grant_type", "client_credentials")];
        if !scopes.is_empty() {
            params.push(("scope", &scope));
        }
        params.extend(endpoint_params.iter().map(|(name, value)| (name.as_str(), value.reveal())));
        // Both are first encoded as in a form (RFC 6749, "Client Password").
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let encoded_basic = || basic(encoded(client_id).as_bytes(), encoded(secret.reveal()).as_bytes());
        if in_form {
            params.extend([("client_id", client_id.as_str()), ("client_secret", secret.reveal())]);
        }
        let authorization = (!in_form).then(encoded_basic);
        let begun = Instant::now();
        let target = CallTarget {
            address: token_url,
            url_query: token_url_query,
            credentials: &Fixed::authorization(authorization),
        };
        let form = Zeroizing::new(url_encoded(&params));
        let (transport, content) = (&self.transport.transport, CallContent::Form(&form));
        let (status, text) = call_issuer(Issuer::TokenServer, transport, target, token_path, content, deadline)?;
        let server = token_url.to_string();
        let foreign = |why| CredentialsFailure::at(Issuer::TokenServer, &server, AtIssuer::Foreign(why));
        let words = || {
            let given = endpoint_params.iter().map(|(_, value)| value);
            let plain_basic = basic(client_id.as_bytes(), secret.reveal().as_bytes());
            let of_headers =
                [encoded_basic(), plain_basic].map(|header| of_authorization(&header)).into_iter().flatten();
            let secrets = of_headers.chain([Secret::clone(&secret)]).chain(given.cloned());
            words(&text, &secrets.collect::<Vec<_>>())
        };
        let refused = |words| CredentialsFailure::at(Issuer::TokenServer, &server, AtIssuer::Refusal(status, words));
        if !(200..=299).contains(&status) {
            return Err(refused(words()));
        }
        let Ok(GrantedToken { access_token, token_type }) = serde_json::from_slice(&text) else {
            // Some servers refuse with the status of a success.
            return Err(words().map_or(foreign("answers without a token"), |words| refused(Some(words))));
        };
        if !token_type.is_none_or(|kind| kind.is_empty() || kind.eq_ignore_ascii_case("bearer")) {
            return Err(foreign("answers with a token of another type than Bearer"));
        }
        let access_token = access_token.trim();
        if access_token.is_empty() || SecretForm::HeaderValue.fault(access_token).is_some() {
            return Err(foreign("answers with a token that a header cannot carry"));
        }
        Ok(Fetched::new(Secret::new(&format!("Bearer {access_token}")), begun, lifetime(&text)))
    }
}

/// The response that grants a token.
#[derive(Deserialize)]
struct GrantedToken {
    access_token: String,
    token_type: Option<String>,
}

/// How long a token is valid, if the response says so: a number of seconds, which some servers write as a string. A number that is
/// too large counts as missing.
fn lifetime(json: &[u8]) -> Option<Duration> {
    #[derive(Deserialize)]
    struct GrantedLifetime {
        expires_in: Value,
    }
    let GrantedLifetime { expires_in } = serde_json::from_slice(json).ok()?;
    let seconds = match expires_in {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    seconds.filter(|seconds| *seconds > 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// The reason that a token server gives for a refusal ("Error Response"), without these secrets.
fn words(json: &[u8], secrets: &[Secret]) -> Option<String> {
    #[derive(Deserialize)]
    struct TokenErrorBody {
        error: String,
        error_description: Option<String>,
    }
    let TokenErrorBody { error, error_description } = serde_json::from_slice(json).ok()?;
    let text = match error_description {
        Some(description) => format!("{error}: {description}"),
        None => error,
    };
    Some(shown_words(&text, secrets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_or_its_digits() {
        let check = |json: &str, expected: Option<u64>| {
            let answer = format!(r#"{{"access_token": "t", "expires_in": {json}}}"#);
            assert_eq!(lifetime(answer.as_bytes()), expected.map(Duration::from_secs), "{json}");
        };
        check("3600", Some(3_600));
        check("3600.0", Some(3_600));
        check("\"3599\"", Some(3_599));
        for none in ["null", "0", "-1", "\"soon\"", "[]", "1e300", "1e400"] {
            check(none, None);
        }
    }

    #[test]
    fn a_refusal_contains_the_servers_words_without_the_secret() {
        let secrets = ["so-hush", "assertion-hush"].map(Secret::new);
        let check = |json: &str, expected: Option<&str>| {
            assert_eq!(words(json.as_bytes(), &secrets).as_deref(), expected, "{json}");
        };
        check(r#"{"error":"invalid_client"}"#, Some("invalid_client"));
        check(
            r#"{"error":"invalid_client","error_description":"AADSTS7000215:\r\nsecret so-hush or assertion-hush is wrong"}"#,
            Some("invalid_client: AADSTS7000215: secret ... or ... is wrong"),
        );
        check("<html>", None);
        check(r#"{"message":"x"}"#, None);
    }
}
