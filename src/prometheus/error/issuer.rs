//! The servers that issue credentials, and what errors call them.

/// A server that issues credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prometheus) enum Issuer {
    /// The token server of `oauth2`.
    TokenServer,
    /// Amazon's Security Token Service.
    SecurityTokenService,
    /// The service that gives keys to a container or a pod at Amazon.
    Container,
    /// The metadata service of a machine at Amazon.
    Machine,
}

impl Issuer {
    pub(in crate::prometheus) fn name(self) -> &'static str {
        match self {
            Issuer::TokenServer => "token server",
            Issuer::SecurityTokenService => "Security Token Service",
            Issuer::Container => "credentials service of this container",
            Issuer::Machine => "instance metadata service",
        }
    }

    /// Which setting holds its address.
    pub(in crate::prometheus) fn address(self) -> &'static str {
        match self {
            Issuer::TokenServer => "token_url in the upstreams file",
            Issuer::SecurityTokenService => "region in the upstreams file, or AWS_ENDPOINT_URL_STS",
            Issuer::Container => "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            Issuer::Machine => "AWS_EC2_METADATA_SERVICE_ENDPOINT, if it is set",
        }
    }

    /// What it may refuse.
    pub(super) fn shown(self) -> &'static str {
        match self {
            Issuer::TokenServer => "client_id, client_secret, scopes and endpoint_params in the upstreams file",
            Issuer::SecurityTokenService => {
                "the role (role_arn in the upstreams file, or AWS_ROLE_ARN), its trust policy, the access key or the token that this \
                 mirror shows, and the clock of its machine"
            }
            Issuer::Container => {
                "AWS_CONTAINER_AUTHORIZATION_TOKEN or its file, and that a role is associated with this pod or task"
            }
            Issuer::Machine => "that a role is attached to this machine, and that IMDSv2 is enabled",
        }
    }
}
