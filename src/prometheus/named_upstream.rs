//! An upstream of the upstreams file, in force: its connections, its credentials, and how they follow their files.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::access::address::Address;
use super::access::authorities::Authorities;
use super::access::proxy::ProxyChoice;
use super::access::secret_source::{BadSecretFile, LiveSecret, SecretSource};
use super::access::tls_settings::{BadTls, TlsSettings};
use super::credentials::aws::SigV4;
use super::credentials::named::{NamedCredentials, Scheme};
use super::credentials::oauth2::OAuth2;
use super::http::authorize::Authorize;
use super::http::rotating_transport::{RotatingTransport, Surroundings};
use super::http::transport::{Transport, url_query};
use super::upstreams_file::definition::{CredentialsDefinition, Definition};

/// An upstream with a name. It shares neither connections nor anything learnt with any other, not even with one of the same address, and
/// not with what had its name before the file changed.
#[derive(Debug)]
pub(super) struct NamedUpstream {
    id: u64,
    definition: Definition,
    url_query: String,
    credentials: NamedCredentials,
    transport: RotatingTransport,
}

/// Why an upstream cannot be used as it is defined.
#[derive(Debug)]
pub enum BadUpstream {
    /// The file of a secret is of no use.
    Secret(BadSecretFile),
    /// TLS cannot be spoken as it is set.
    Tls(BadTls),
    /// Neither it nor the environment names a region of Amazon's.
    NoRegion,
}

impl fmt::Display for BadUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadUpstream::Secret(bad) => bad.fmt(f),
            BadUpstream::Tls(bad) => bad.fmt(f),
            BadUpstream::NoRegion => f.write_str("sigv4 has no region, and AWS_REGION is not set"),
        }
    }
}

impl From<BadSecretFile> for BadUpstream {
    fn from(bad: BadSecretFile) -> BadUpstream {
        BadUpstream::Secret(bad)
    }
}

impl From<BadTls> for BadUpstream {
    fn from(bad: BadTls) -> BadUpstream {
        BadUpstream::Tls(bad)
    }
}

impl NamedUpstream {
    /// The upstream of a definition. Reads all files that it names.
    ///
    /// # Errors
    /// When one is of no use.
    pub(super) fn new(definition: Definition, around: &Surroundings) -> Result<NamedUpstream, BadUpstream> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        Ok(NamedUpstream {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            url_query: url_query(&definition.query_parameters),
            credentials: credentials(&definition, around)?,
            transport: RotatingTransport::new(definition.tls.clone(), &definition.proxy, around)?,
            definition,
        })
    }

    /// Takes over what has changed in the files that the definition names: whether anything has.
    ///
    /// # Errors
    /// When a file is of no use any more; what stood in it stays in force.
    pub(super) fn refresh(&self, authorities: &Authorities) -> Result<bool, BadUpstream> {
        let secrets = self.credentials.refresh();
        let tls = self.transport.refresh(authorities);
        let of_tokens = match &self.credentials.scheme {
            Scheme::OAuth2(oauth2) => oauth2.transport().refresh(authorities),
            _ => Ok(false),
        };
        Ok(secrets? | tls? | of_tokens?)
    }

    /// A number that no other has.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The address of a replica; of one that there is not, that of the first.
    pub(super) fn address(&self, replica: usize) -> &Address {
        let addresses = &self.definition.addresses;
        addresses.get(replica).unwrap_or(&addresses[0])
    }

    /// What stands in the URL of every call, as `name=value&...`, or nothing.
    pub(super) fn url_query(&self) -> &str {
        &self.url_query
    }

    pub(super) fn credentials(&self) -> &dyn Authorize {
        &self.credentials
    }

    pub(super) fn transport(&self) -> &Transport {
        self.transport.transport()
    }
}

fn credentials(definition: &Definition, around: &Surroundings) -> Result<NamedCredentials, BadUpstream> {
    let live = |source: &SecretSource| LiveSecret::new(source.clone());
    let headers = definition.headers.iter().map(|(name, source)| Ok((name.clone(), live(source)?)));
    let scheme = match &definition.credentials {
        CredentialsDefinition::None => Scheme::None,
        CredentialsDefinition::Basic { username, password } => {
            Scheme::Basic { username: live(username)?, password: password.as_ref().map(live).transpose()? }
        }
        CredentialsDefinition::Authorization { scheme, credentials } => {
            Scheme::Authorization { scheme: scheme.clone(), credentials: live(credentials)? }
        }
        CredentialsDefinition::OAuth2(definition) => {
            let transport = RotatingTransport::new(definition.tls.clone(), &definition.proxy, around)?;
            Scheme::OAuth2(Box::new(OAuth2::new((**definition).clone(), transport)?))
        }
        CredentialsDefinition::SigV4(definition) => {
            let transport = |proxy| RotatingTransport::new(TlsSettings::default(), &proxy, around);
            let (sts, local) = (transport(ProxyChoice::AsSet)?, transport(ProxyChoice::Direct)?);
            let region = definition.region.as_ref().or(around.aws.region.as_ref()).ok_or(BadUpstream::NoRegion)?;
            Scheme::SigV4(Box::new(SigV4::new(definition, region, &around.aws, sts, local)?))
        }
    };
    Ok(NamedCredentials { headers: headers.collect::<Result<_, BadSecretFile>>()?, scheme })
}
