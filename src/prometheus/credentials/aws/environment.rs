//! The environment variables that Amazon's SDKs read ("AWS SDKs and Tools Reference Guide", "Settings reference").

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use crate::file;
use crate::secret::Secret;

/// The most bytes of a file with keys or a token: 256 KiB, many times their size.
pub(super) const MAX_FILE_BYTES: u64 = 256 << 10;

/// The variables that give a program its identity in Amazon's containers, pods and machines. `settings` reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsEnvironment {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: Option<String>,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Option<Secret>,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<Secret>,
    /// `AWS_REGION`, or `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// `AWS_PROFILE`.
    pub profile: Option<String>,
    /// `AWS_SHARED_CREDENTIALS_FILE`, or `.aws/credentials` in `HOME`.
    pub shared_credentials_file: Option<PathBuf>,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE`.
    pub web_identity_token_file: Option<PathBuf>,
    /// `AWS_ROLE_ARN`.
    pub role_arn: Option<String>,
    /// `AWS_ROLE_SESSION_NAME`.
    pub role_session_name: Option<String>,
    /// `AWS_ENDPOINT_URL_STS`, or `AWS_ENDPOINT_URL`.
    pub sts_endpoint: Option<String>,
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`, or `http://169.254.170.2` with `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`.
    pub container_credentials_uri: Option<String>,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    pub container_token: Option<Secret>,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`.
    pub container_token_file: Option<PathBuf>,
    /// `AWS_EC2_METADATA_SERVICE_ENDPOINT`.
    pub metadata_endpoint: Option<String>,
    /// Whether `AWS_EC2_METADATA_DISABLED` is `true`.
    pub is_metadata_disabled: bool,
}

impl AwsEnvironment {
    /// A number that changes when the content of one of the files changes.
    pub(super) fn fingerprint(&self) -> u64 {
        let files = [&self.shared_credentials_file, &self.web_identity_token_file, &self.container_token_file];
        let mut hasher = DefaultHasher::new();
        for path in files.into_iter().flatten() {
            file::read_text(path, MAX_FILE_BYTES).ok().as_deref().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The environment of a process, whose variables `variable` returns.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> AwsEnvironment {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let secret = |name: &str| given(name).map(|value| Secret::new(&value));
        let path = |name: &str| given(name).map(PathBuf::from);
        let in_home = || path("HOME").map(|home| home.join(".aws/credentials"));
        let relative =
            || given("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("http://169.254.170.2{path}"));
        AwsEnvironment {
            access_key_id: given("AWS_ACCESS_KEY_ID"),
            secret_access_key: secret("AWS_SECRET_ACCESS_KEY"),
            session_token: secret("AWS_SESSION_TOKEN"),
            region: given("AWS_REGION").or_else(|| given("AWS_DEFAULT_REGION")),
            profile: given("AWS_PROFILE"),
            shared_credentials_file: path("AWS_SHARED_CREDENTIALS_FILE").or_else(in_home),
            web_identity_token_file: path("AWS_WEB_IDENTITY_TOKEN_FILE"),
            role_arn: given("AWS_ROLE_ARN"),
            role_session_name: given("AWS_ROLE_SESSION_NAME"),
            sts_endpoint: given("AWS_ENDPOINT_URL_STS").or_else(|| given("AWS_ENDPOINT_URL")),
            container_credentials_uri: relative().or_else(|| given("AWS_CONTAINER_CREDENTIALS_FULL_URI")),
            container_token: secret("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
            container_token_file: path("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
            metadata_endpoint: given("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
            is_metadata_disabled: given("AWS_EC2_METADATA_DISABLED")
                .is_some_and(|value| value.eq_ignore_ascii_case("true")),
        }
    }
}
