//! OAuth 2: the mirror shows a token, which a token server gives it for its client id and secret (RFC 6749, "Client Credentials Grant").

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::prometheus::access::address::basic;
use crate::prometheus::access::secret_source::{LiveSecret, Unusable};
use crate::prometheus::deadline::Deadline;
use crate::prometheus::error::ErrorKind;
use crate::prometheus::http::rotating_transport::RotatingTransport;
use crate::prometheus::http::transport::{Content, Target, url_query};
use crate::prometheus::upstreams_file::definition::OAuth2Definition;
use crate::secret::Secret;

use super::exchange::{MAX_ANSWER_BYTES, exchange};
use super::failure::CredentialsFailure;
use super::fixed::Fixed;
use super::hide::{of_authorization, shown_words};
use super::single_fetch::{Fetched, SingleFetch};

/// A token, and where it comes from.
#[derive(Debug)]
pub(in crate::prometheus) struct OAuth2 {
    definition: OAuth2Definition,
    client_secret: LiveSecret,
    transport: RotatingTransport,
    token: SingleFetch<Secret>,
    /// Whether the token server takes the client's secret in the form only, not in a header.
    takes_form_only: AtomicBool,
}

impl OAuth2 {
    /// The token of a client, which is asked for by a transport of its own.
    ///
    /// # Errors
    /// When the file of the client's secret is of no use.
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
        let fetched = self.token.get(deadline, |deadline| self.fetch(deadline))?;
        Ok(fetched.value.clone())
    }

    /// Has the token fetched anew if it is this one that was refused; whether another try makes sense.
    pub(super) fn renew(&self, refused: &[u8]) -> bool {
        self.token.renew(|token| token.reveal().as_bytes() == refused)
    }

    /// The token in force, if there is one.
    pub(super) fn token(&self) -> Option<Secret> {
        self.token.in_force().map(|token| token.value.clone())
    }

    pub(super) fn client_secret(&self) -> &LiveSecret {
        &self.client_secret
    }

    pub(in crate::prometheus) fn transport(&self) -> &RotatingTransport {
        &self.transport
    }

    /// Asks for a token. The secret goes into a header, as the RFC prefers, or into the form where that is refused.
    fn fetch(&self, deadline: Deadline) -> Result<Fetched<Secret>, CredentialsFailure> {
        if self.takes_form_only.load(Ordering::Relaxed) {
            return self.ask(true, deadline);
        }
        match self.ask(false, deadline) {
            Err(refused) if refused.is_refusal() => match self.ask(true, deadline) {
                Ok(token) => {
                    self.takes_form_only.store(true, Ordering::Relaxed);
                    Ok(token)
                }
                // What the server says of a secret in a header tells more: with it in the form, some see no client at all.
                Err(_) => Err(refused),
            },
            other => other,
        }
    }

    fn ask(&self, in_form: bool, deadline: Deadline) -> Result<Fetched<Secret>, CredentialsFailure> {
        let OAuth2Definition { client_id, scopes, endpoint_params, token_url, token_path, token_url_query, .. } =
            &self.definition;
        let secret = self.client_secret.current();
        let mut params = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
        if !scopes.is_empty() {
            params.push(("scope".to_owned(), scopes.join(" ")));
        }
        params.extend(endpoint_params.iter().cloned());
        let authorization = if in_form {
            params.extend(
                [("client_id", client_id.as_str()), ("client_secret", secret.reveal())]
                    .map(|(name, value)| (name.to_owned(), value.to_owned())),
            );
            None
        } else {
            // Both are encoded as in a form first (RFC 6749, "Client Password").
            let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            Some(basic(encoded(client_id).as_bytes(), encoded(secret.reveal()).as_bytes()))
        };
        let asked = Instant::now();
        let target = Target {
            address: token_url,
            url_query: token_url_query,
            credentials: &Fixed::authorization(authorization),
        };
        let form = Zeroizing::new(url_query(&params));
        let (status, text) =
            exchange(self.transport.transport(), target, token_path, Content::EncodedForm(&form), deadline)?;
        let server = token_url.to_string();
        if !(200..=299).contains(&status) {
            return Err(CredentialsFailure::refused(&server, status, words(&text, client_id, &secret)));
        }
        let Ok(Granted { access_token, token_type, expires_in }) = serde_json::from_slice(&text) else {
            return Err(CredentialsFailure::foreign(&server, "answers with no token"));
        };
        if !token_type.is_none_or(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(CredentialsFailure::foreign(&server, "answers with a token of another type than Bearer"));
        }
        let is_token = (1..=MAX_ANSWER_BYTES as usize).contains(&access_token.len())
            && access_token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token {
            return Err(CredentialsFailure::foreign(&server, "answers with a token that a header cannot carry"));
        }
        Ok(Fetched::new(Secret::new(&format!("Bearer {access_token}")), asked, lifetime(&expires_in)))
    }
}

/// The answer that grants a token.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: Option<String>,
    /// Seconds, which some write as a text.
    #[serde(default)]
    expires_in: Value,
}

fn lifetime(expires_in: &Value) -> Option<Duration> {
    let seconds = match expires_in {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    seconds.filter(|seconds| *seconds > 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// What a token server says of its refusal ("Error Response"), without the secret if it repeats that.
fn words(json: &[u8], client_id: &str, secret: &Secret) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    let Refusal { error, error_description } = serde_json::from_slice(json).ok()?;
    let text = match error_description {
        Some(description) => format!("{error}: {description}"),
        None => error,
    };
    let basic = basic(client_id.as_bytes(), secret.reveal().as_bytes());
    let mut secrets = of_authorization(&basic);
    secrets.push(secret.clone());
    Some(shown_words(&text, &secrets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_or_its_digits() {
        let check = |json: &str, expected: Option<u64>| {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(lifetime(&value), expected.map(Duration::from_secs), "{json}");
        };
        check("3600", Some(3_600));
        check("3600.0", Some(3_600));
        check("\"3599\"", Some(3_599));
        for none in ["null", "0", "-1", "\"soon\"", "[]", "1e300"] {
            check(none, None);
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words_without_the_secret() {
        let secret = Secret::new("so-hush");
        let check = |json: &str, expected: Option<&str>| {
            assert_eq!(words(json.as_bytes(), "id", &secret).as_deref(), expected, "{json}");
        };
        check(r#"{"error":"invalid_client"}"#, Some("invalid_client"));
        check(
            r#"{"error":"invalid_client","error_description":"AADSTS7000215:\r\nsecret so-hush is wrong"}"#,
            Some("invalid_client: AADSTS7000215: secret ... is wrong"),
        );
        check("<html>", None);
        check(r#"{"message":"x"}"#, None);
    }
}
