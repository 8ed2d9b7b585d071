//! The responses of Amazon's services that issue keys. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::model::calendar::DateTime;
use crate::secret::Secret;

use super::signer::AwsKeys;

/// Temporary keys and when they expire.
pub(super) type GrantedKeys = (AwsKeys, Option<SystemTime>);

/// The keys in the JSON of the container's or the machine's service.
pub(super) fn of_json(json: &str) -> Option<GrantedKeys> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct KeysResponse {
        access_key_id: String,
        secret_access_key: String,
        token: Option<String>,
        expiration: Option<String>,
    }
    let KeysResponse { access_key_id, secret_access_key, token, expiration } = serde_json::from_str(json).ok()?;
    granted(access_key_id, &secret_access_key, token.as_deref(), expiration.as_deref())
}

/// The keys in the XML of the Security Token Service ("AssumeRole", "AssumeRoleWithWebIdentity").
pub(super) fn of_xml(xml: &str) -> Option<GrantedKeys> {
    let credentials = element(xml, "Credentials")?;
    let text = |name: &str| element(credentials, name).and_then(unescaped);
    // Temporary keys always have a token and an expiry.
    let (token, end) = (text("SessionToken")?, text("Expiration")?);
    granted(text("AccessKeyId")?, &text("SecretAccessKey")?, Some(&token), Some(&end))
}

/// The code and the message of an error of the Security Token Service.
pub(super) fn error_of_xml(xml: &str) -> Option<String> {
    let error = element(xml, "Error")?;
    let text = |name: &str| element(error, name).and_then(unescaped);
    Some(match text("Message") {
        Some(message) => format!("{}: {message}", text("Code")?),
        None => text("Code")?,
    })
}

fn granted(access_key: String, secret: &str, token: Option<&str>, end: Option<&str>) -> Option<GrantedKeys> {
    let is_good = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_good(&access_key) || !is_good(secret) || !token.is_none_or(is_good) {
        return None;
    }
    let end = match end {
        Some(end) => Some(time(end)?),
        None => None,
    };
    Some((AwsKeys { access_key, secret_key: Secret::new(secret), session_token: token.map(Secret::new) }, end))
}

/// The content of the first element of this name. The element must have no attributes.
fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let begin = format!("<{name}>");
    let from = xml.find(&begin)? + begin.len();
    let length = xml[from..].find(&format!("</{name}>"))?;
    Some(xml[from..from + length].trim())
}

/// A text with the entities of XML replaced; `None` if it contains elements or other entities.
fn unescaped(text: &str) -> Option<String> {
    const ENTITIES: [(&str, &str); 5] =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['&', '<']) {
        let (entity, meaning) = ENTITIES.iter().find(|(entity, _)| rest[at..].starts_with(entity))?;
        plain.push_str(&rest[..at]);
        plain.push_str(meaning);
        rest = &rest[at + entity.len()..];
    }
    plain.push_str(rest);
    Some(plain)
}

/// A time such as `2026-11-26T12:34:56Z`. Fractions of a second are truncated.
fn time(text: &str) -> Option<SystemTime> {
    let seconds = u64::try_from(DateTime::parse_ms(text)? / 1_000).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The keys of a profile in a shared credentials file ("Shared config and credentials files").
pub(super) fn of_profile(ini: &str, profile: &str) -> Option<AwsKeys> {
    let (mut is_wanted, mut access_key, mut secret_key, mut session_token) = (false, None, None, None);
    for line in ini.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            is_wanted = name.trim() == profile;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_wanted && !line.starts_with(['#', ';'])) {
            match key.trim() {
                "aws_access_key_id" => access_key = Some(value.trim().to_owned()),
                "aws_secret_access_key" => secret_key = Some(Secret::new(value.trim())),
                "aws_session_token" => session_token = Some(Secret::new(value.trim())),
                _ => {}
            }
        }
    }
    Some(AwsKeys { access_key: access_key?, secret_key: secret_key?, session_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(token: Option<&str>) -> AwsKeys {
        AwsKeys {
            access_key: "AKID".to_owned(),
            secret_key: Secret::new("s/e+c"),
            session_token: token.map(Secret::new),
        }
    }

    /// `date --utc --date=2026-11-26T12:34:56Z +%s`
    fn end() -> Option<SystemTime> {
        Some(UNIX_EPOCH + Duration::from_secs(1_795_696_496))
    }

    #[test]
    fn keys_of_containers_and_machines_are_json() {
        let json = r#"{"Code":"Success","AccessKeyId":"AKID","SecretAccessKey":"s/e+c","Token":"t","Expiration":"2026-11-26T12:34:56Z"}"#;
        assert_eq!(of_json(json), Some((keys(Some("t")), end())));
        assert_eq!(of_json(r#"{"AccessKeyId":"AKID","SecretAccessKey":"s/e+c"}"#), Some((keys(None), None)));
        for bad in ["", "{}", r#"{"Code":"Failed"}"#, r#"{"AccessKeyId":"A\nB","SecretAccessKey":"s"}"#] {
            assert_eq!(of_json(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_of_the_token_service_are_xml() {
        let xml = "<AssumeRoleResponse xmlns=\"x\">\n<AssumeRoleResult><AssumedRoleUser><Arn>a</Arn></AssumedRoleUser>\n<Credentials>\n\
                   <AccessKeyId>AKID</AccessKeyId><SecretAccessKey>s/e+c</SecretAccessKey>\n<SessionToken>a&amp;b</SessionToken>\
                   <Expiration>2026-11-26T12:34:56.789Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
        assert_eq!(of_xml(xml), Some((keys(Some("a&b")), end())));
        for bad in
            ["", "<Credentials></Credentials>", &xml.replace("12:34:56.789Z", "soon"), &xml.replace("a&amp;b", "a&b")]
        {
            assert_eq!(of_xml(bad), None, "{bad}");
        }
        let error = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User &lt;x&gt; may not</Message></Error>";
        assert_eq!(error_of_xml(error).as_deref(), Some("AccessDenied: User <x> may not"));
    }

    #[test]
    fn a_profile_is_a_section_of_the_shared_file() {
        let ini = "# aws_access_key_id = x\n[default]\naws_access_key_id=D\naws_secret_access_key=d\n\n[ team ]\n\
                   ; comment = y\n aws_access_key_id = AKID\naws_secret_access_key = s/e+c\naws_session_token = t=\n[other]\n";
        assert_eq!(of_profile(ini, "team"), Some(keys(Some("t="))));
        assert_eq!(of_profile(ini, "default").map(|keys| keys.access_key).as_deref(), Some("D"));
        for none in ["other", "missing"] {
            assert_eq!(of_profile(ini, none), None);
        }
    }
}
