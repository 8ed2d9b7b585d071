//! Where Amazon's keys come from, in the order of Amazon's SDKs ("Standardized credential providers").

use std::path::Path;
use std::slice;
use std::time::{Duration, Instant, SystemTime};

use ureq::http::{HeaderName, Uri};
use zeroize::Zeroizing;

use crate::file;
use crate::prometheus::access::{Address, address, host_and_port, split_url};
use crate::prometheus::http::{Authorize, CallContent, CallTarget, Deadline, RotatingTransport, url_encoded};
use crate::prometheus::upstreams_file::definition::Role;
use crate::secret::Secret;

use super::Signed;
use super::environment::{AwsEnvironment, MAX_FILE_BYTES};
use super::responses::{self, GrantedKeys};
use super::signer::{AwsKeys, Scope};
use crate::prometheus::credentials::fixed::Fixed;
use crate::prometheus::credentials::hide::shown_words;
use crate::prometheus::credentials::issuer_call::call_issuer;
use crate::prometheus::credentials::single_fetch::Fetched;
use crate::prometheus::error::{AtIssuer, CredentialsFailure, Issuer};

/// How long keys without an expiry are kept before their source is read again.
const KEPT: Duration = Duration::from_secs(60);

/// The metadata service of a machine.
const METADATA: &str = "http://169.254.169.254";

/// The default name of a session.
const SESSION: &str = "prometheusmirror";

/// What is wrong with a response without keys.
const NOT_KEYS: &str = "responds without an access key";

/// Keys, or why there are none.
type FoundKeys = Result<Fetched<AwsKeys>, CredentialsFailure>;

/// Finds keys.
pub(super) struct Sources {
    pub(super) environment: AwsEnvironment,
    /// The profile that the upstreams file names. Keys then come only from there.
    pub(super) profile: Option<String>,
    pub(super) region: String,
    pub(super) sts_endpoint: String,
    /// Leads to the Security Token Service.
    pub(super) sts: RotatingTransport,
    /// Leads to the services of the container or the machine, never through a proxy.
    pub(super) local: RotatingTransport,
}

impl Sources {
    /// The keys of the first source that applies.
    pub(super) fn keys(&self, deadline: Deadline) -> FoundKeys {
        let environment = &self.environment;
        if let Some(profile) = &self.profile {
            return self.of_profile(profile);
        }
        if let (Some(id), Some(secret)) = (&environment.access_key_id, &environment.secret_access_key) {
            let session_token = environment.session_token.clone();
            return Ok(kept(AwsKeys { access_key: id.clone(), secret_key: secret.clone(), session_token }));
        }
        if let (Some(file), Some(arn)) = (&environment.web_identity_token_file, &environment.role_arn) {
            return self.of_web_identity(file, arn, deadline);
        }
        if environment.shared_credentials_file.as_ref().is_some_and(|file| file.exists()) {
            return self.of_profile(environment.profile.as_deref().unwrap_or("default"));
        }
        if let Some(uri) = &environment.container_credentials_uri {
            return self.of_container(uri, deadline);
        }
        if environment.is_metadata_disabled {
            return Err(CredentialsFailure::NO_KEYS);
        }
        self.of_machine(deadline)
    }

    /// The keys of a role, which the given keys may assume.
    pub(super) fn assume(&self, role: &Role, keys: &AwsKeys, deadline: Deadline) -> FoundKeys {
        let mut params = self.assumption("AssumeRole", &role.arn);
        params.extend(role.external_id.iter().map(|id| ("ExternalId", id.as_str())));
        let signed = Signed { keys, scope: Scope { region: &self.region, service: "sts" } };
        self.of_token_service(&params, &signed, &keys.secrets(), deadline)
    }

    fn of_profile(&self, profile: &str) -> FoundKeys {
        let Some(path) = &self.environment.shared_credentials_file else {
            return Err(CredentialsFailure::none(
                "AWS_SHARED_CREDENTIALS_FILE is not set, nor is HOME",
                "set AWS_SHARED_CREDENTIALS_FILE to the file that has the profile",
            ));
        };
        let text = read(path)?;
        let found = responses::of_profile(&text, profile).map(kept);
        found.ok_or_else(|| {
            CredentialsFailure::none(
                format!("the file {} has no access key of the profile {profile}", path.display()),
                "add aws_access_key_id and aws_secret_access_key to this profile, or name another one",
            )
        })
    }

    fn of_web_identity(&self, file: &Path, arn: &str, deadline: Deadline) -> FoundKeys {
        let token = Secret::new(read(file)?.trim());
        let mut params = self.assumption("AssumeRoleWithWebIdentity", arn);
        params.push(("WebIdentityToken", token.reveal()));
        self.of_token_service(&params, &Fixed::default(), slice::from_ref(&token), deadline)
    }

    fn assumption<'a>(&'a self, action: &'a str, arn: &'a str) -> Vec<(&'static str, &'a str)> {
        let session = self.environment.role_session_name.as_deref().unwrap_or(SESSION);
        vec![("Action", action), ("Version", "2011-06-15"), ("RoleArn", arn), ("RoleSessionName", session)]
    }

    fn of_token_service(
        &self,
        params: &[(&str, &str)],
        credentials: &dyn Authorize,
        secrets: &[Secret],
        deadline: Deadline,
    ) -> FoundKeys {
        let form = Zeroizing::new(url_encoded(params));
        let issuer = Issuer::SecurityTokenService;
        let content = CallContent::Form(&form);
        let (server, status, text) = self.send(issuer, &self.sts_endpoint, credentials, content, deadline)?;
        if status != 200 {
            let words = responses::error_of_xml(&text).map(|words| shown_words(&words, secrets));
            return Err(CredentialsFailure::at(issuer, &server, AtIssuer::Refusal(status, words)));
        }
        let granted = responses::of_xml(&text);
        granted.map(temporary).ok_or_else(|| CredentialsFailure::at(issuer, &server, AtIssuer::Foreign(NOT_KEYS)))
    }

    fn of_container(&self, uri: &str, deadline: Deadline) -> FoundKeys {
        if !may_be_container(uri) {
            return Err(CredentialsFailure::none(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI leads by http to another machine",
                "give an https URL, or one that leads to this machine, to 169.254.170.2 or to 169.254.170.23",
            ));
        }
        let token = match &self.environment.container_token_file {
            Some(file) => Some(Secret::new(read(file)?.trim())),
            None => self.environment.container_token.clone(),
        };
        self.of_json(Issuer::Container, uri, &Fixed::authorization(token), deadline)
    }

    /// The keys of the machine's role, by IMDSv2.
    fn of_machine(&self, deadline: Deadline) -> FoundKeys {
        const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
        let endpoint = self.environment.metadata_endpoint.as_deref().unwrap_or(METADATA).trim_end_matches('/');
        let send = |url: &str, credentials: &Fixed, content: CallContent<'_>| {
            self.send(Issuer::Machine, url, credentials, content, deadline)
        };
        let none = Fixed::header(HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds"), Secret::new("300"));
        let (server, status, token) = send(&format!("{endpoint}/latest/api/token"), &none, CallContent::EmptyPut)
            .map_err(CredentialsFailure::or_no_keys)?;
        if status != 200 {
            return Err(CredentialsFailure::at(Issuer::Machine, &server, AtIssuer::Refusal(status, None)));
        }
        let token = Fixed::header(HeaderName::from_static("x-aws-ec2-metadata-token"), Secret::new(token.trim()));
        let (server, status, roles) = send(&format!("{endpoint}{ROLES}"), &token, CallContent::Query(""))?;
        let role = roles.lines().next().unwrap_or_default().trim();
        let is_role =
            !role.is_empty() && role.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte));
        match status {
            200 if is_role => {}
            200 | 404 => return Err(CredentialsFailure::at(Issuer::Machine, &server, AtIssuer::NoRole)),
            _ => return Err(CredentialsFailure::at(Issuer::Machine, &server, AtIssuer::Refusal(status, None))),
        }
        self.of_json(Issuer::Machine, &format!("{endpoint}{ROLES}{role}"), &token, deadline)
    }

    fn of_json(&self, issuer: Issuer, url: &str, credentials: &Fixed, deadline: Deadline) -> FoundKeys {
        let (server, status, text) = self.send(issuer, url, credentials, CallContent::Query(""), deadline)?;
        if status != 200 {
            return Err(CredentialsFailure::at(issuer, &server, AtIssuer::Refusal(status, None)));
        }
        let granted = responses::of_json(&text);
        granted.map(temporary).ok_or_else(|| CredentialsFailure::at(issuer, &server, AtIssuer::Foreign(NOT_KEYS)))
    }

    /// Makes a call to a service that issues keys. Returns the server's name, the status and the text of the response.
    fn send(
        &self,
        issuer: Issuer,
        url: &str,
        credentials: &dyn Authorize,
        content: CallContent<'_>,
        deadline: Deadline,
    ) -> Result<(String, u16, Zeroizing<String>), CredentialsFailure> {
        let bad = |why: &str| {
            let what = format!("the URL of the {} {why}", issuer.name());
            CredentialsFailure::none(what, format!("check {}", issuer.address()))
        };
        let (address, path, query): (Address, _, _) = split_url(url).map_err(bad)?;
        let target = CallTarget { address: &address, url_query: &query, credentials };
        let transport = if issuer == Issuer::SecurityTokenService { &self.sts } else { &self.local };
        let (status, bytes) = call_issuer(issuer, &transport.transport, target, path, content, deadline)?;
        let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
        Ok((address.to_string(), status, text))
    }
}

/// Whether a URL leads to a service of this machine or uses https.
fn may_be_container(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let (host, _) = host_and_port(&uri);
    let is_local = address(host).is_some_and(|ip| {
        ip.is_loopback()
            || ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"].iter().any(|local| local.parse() == Ok(ip))
    });
    uri.scheme_str() == Some("https") || is_local || host == "localhost"
}

fn kept(keys: AwsKeys) -> Fetched<AwsKeys> {
    Fetched::new(keys, Instant::now(), Some(KEPT))
}

/// Keys that have expired according to this machine's clock are still used for a while. This limits how often new ones are fetched,
/// and the clock may be wrong.
fn temporary((keys, end): GrantedKeys) -> Fetched<AwsKeys> {
    let lifetime = end.map(|end| end.duration_since(SystemTime::now()).unwrap_or_default().max(KEPT));
    Fetched::new(keys, Instant::now(), lifetime)
}

fn read(path: &Path) -> Result<Zeroizing<String>, CredentialsFailure> {
    file::read_text(path, MAX_FILE_BYTES)
        .map_err(|why| CredentialsFailure::none(format!("the file {} {why}", path.display()), why.remedy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_container_come_from_this_machine_or_by_https() {
        let check = |url: &str, expected: bool| assert_eq!(may_be_container(url), expected, "{url}");
        check("http://169.254.170.2/creds", true);
        check("http://169.254.170.23/v1/credentials", true);
        check("http://[fd00:ec2::23]/v1/credentials", true);
        check("http://127.0.0.1:1234/x", true);
        check("http://localhost/x", true);
        check("https://any.example/x", true);
        check("http://any.example/x", false);
        check("http://10.0.0.1/x", false);
        check("", false);
    }
}
