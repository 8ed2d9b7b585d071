//! An upstream of the upstreams file: its connections and credentials, which are reloaded when their files change.

use std::hash::{Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::log;
use crate::refreshed::Refreshed;

use super::replicas::{Change, Probed, Replicas};
use super::trivial_query;
use crate::prometheus::access::{Address, Authorities, LiveSecret, ProxyChoice, SecretSource, TlsSettings, Unusable};
use crate::prometheus::credentials::aws::SigV4;
use crate::prometheus::credentials::aws::environment::AwsEnvironment;
use crate::prometheus::credentials::named::{NamedCredentials, Scheme};
use crate::prometheus::credentials::oauth2::OAuth2;
use crate::prometheus::error::Blame;
use crate::prometheus::http::{
    ANY_PATIENCE, CallTarget, Deadline, RotatingTransport, SharedTransport, Transport, url_encoded,
};
use crate::prometheus::upstreams_file::definition::{CredentialsDefinition, Definition};

/// How long connecting to a replica may take, as there are others.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// How long connecting to a local service of the machine may take. Where there is no such service, most machines get no response at
/// all.
const LOCAL_PATIENCE: Duration = Duration::from_secs(2);

/// How long a probe of a replica may take.
const PROBE_PATIENCE: Duration = Duration::from_millis(1_500);

const NO_REGION: &str = "has no region, and AWS_REGION is not set; give region, such as eu-west-1, or set AWS_REGION";

/// An upstream of the upstreams file. It shares neither connections nor anything learnt with other upstreams, even at the same
/// address, nor with an earlier upstream of the same name.
pub(super) struct NamedUpstream {
    /// A number that no other upstream has.
    pub(super) id: u64,
    pub(super) definition: Arc<Definition>,
    url_query: String,
    credentials: NamedCredentials,
    transport: RotatingTransport,
    replicas: Replicas,
}

impl PartialEq for NamedUpstream {
    fn eq(&self, other: &NamedUpstream) -> bool {
        self.id == other.id
    }
}

impl Eq for NamedUpstream {}

impl Hash for NamedUpstream {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl NamedUpstream {
    /// Creates the upstream of a definition. Reads all files that it names.
    ///
    /// # Errors
    /// Fails if one of them cannot be used.
    pub(super) fn new(
        definition: Definition,
        shared: &SharedTransport,
        aws: &AwsEnvironment,
    ) -> Result<NamedUpstream, Unusable> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let connect_patience = if definition.addresses.len() > 1 { CONNECT_PATIENCE } else { ANY_PATIENCE };
        let transport = RotatingTransport::new(definition.tls.clone(), &definition.proxy, shared, connect_patience)?;
        Ok(NamedUpstream {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            url_query: url_encoded(&definition.query_parameters),
            credentials: credentials(&definition, shared, aws)?,
            transport,
            replicas: Replicas::new(definition.addresses.len()),
            definition: Arc::new(definition),
        })
    }

    /// Reloads the files that the definition names, where they have changed. A file that cannot be used does not stop the others.
    pub(super) fn refresh(&self, authorities: &Authorities) -> Refreshed<Unusable> {
        let secrets = self.credentials.refresh();
        let tls = self.transport.refresh(authorities);
        let of_tokens = match &self.credentials.scheme {
            Scheme::OAuth2(oauth2) => oauth2.refresh_tls(authorities),
            Scheme::None | Scheme::Basic { .. } | Scheme::Authorization { .. } | Scheme::SigV4(_) => Ok(false).into(),
        };
        [secrets, tls, of_tokens].into_iter().collect()
    }

    /// The replica to query.
    pub(super) fn current_replica(&self) -> usize {
        self.replicas.current(Instant::now())
    }

    /// Notes that a replica has failed, so that the next query need not try it.
    pub(super) fn note_failure(&self, replica: usize) {
        self.tell(self.replicas.failed(replica));
    }

    /// Probes the replicas that the mirror may have to leave or can return to, all at the same time. When it leaves a replica,
    /// calls that wait for it end.
    pub(super) fn probe_replicas(&self) {
        let replicas = self.replicas.to_probe(Instant::now());
        let found: Vec<(usize, Probed)> = thread::scope(|scope| {
            let probe = |replica| {
                let thread = thread::Builder::new().name("replica-probe".to_owned());
                // Without a thread, the next round probes it.
                Some((replica, thread.spawn_scoped(scope, move || self.probe(replica)).ok()?))
            };
            let probes: Vec<_> = replicas.into_iter().filter_map(probe).collect();
            probes.into_iter().filter_map(|(replica, probe)| Some((replica, probe.join().ok()?))).collect()
        });
        for (replica, found) in found {
            let change = self.replicas.probed(replica, found, Instant::now());
            if change.is_some_and(|change| change.from == replica) {
                self.transport().abandon(self.address(replica));
            }
            self.tell(change);
        }
    }

    /// Sends the trivial query to a replica.
    fn probe(&self, replica: usize) -> Probed {
        let deadline = Deadline::new(Instant::now(), PROBE_PATIENCE);
        match trivial_query::send(self.transport(), self.target(replica), deadline, None) {
            Ok(response) if response.status >= 500 => Probed::Down,
            // The connection can be reused after the short body is read to its end.
            Ok(mut response) => match io::copy(&mut response.body, &mut io::sink()) {
                Ok(_) => Probed::Answering,
                Err(_) => Probed::Silent,
            },
            Err(failure) if failure.blame() == Blame::Replica => Probed::Down,
            Err(_) => Probed::Silent,
        }
    }

    fn tell(&self, change: Option<Change>) {
        let Some(Change { from, to }) = change else { return };
        let line = || {
            log::Line::new("another replica is queried")
                .text("upstream", &self.definition.name)
                .text("replica", self.address(to))
                .text("before", self.address(from))
        };
        if to < from { log::info(line) } else { log::warn(line) }
    }

    /// Where calls to a replica go.
    pub(super) fn target(&self, replica: usize) -> CallTarget<'_> {
        CallTarget { address: self.address(replica), url_query: &self.url_query, credentials: &self.credentials }
    }

    pub(super) fn address(&self, replica: usize) -> &Address {
        &self.definition.addresses[replica]
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport.transport
    }
}

fn credentials(
    definition: &Definition,
    shared: &SharedTransport,
    aws: &AwsEnvironment,
) -> Result<NamedCredentials, Unusable> {
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
            let transport = RotatingTransport::new(definition.tls.clone(), &definition.proxy, shared, ANY_PATIENCE)?;
            Scheme::OAuth2(Box::new(OAuth2::new((**definition).clone(), transport)?))
        }
        CredentialsDefinition::SigV4(definition) => {
            let transport = |proxy, patience| RotatingTransport::new(TlsSettings::default(), &proxy, shared, patience);
            let sts = transport(ProxyChoice::AsSet, ANY_PATIENCE)?;
            let local = transport(ProxyChoice::Direct, LOCAL_PATIENCE)?;
            let region = definition.region.as_ref().or(aws.region.as_ref());
            let region = region.ok_or_else(|| Unusable::at(definition.place.clone(), NO_REGION))?;
            Scheme::SigV4(Box::new(SigV4::new(definition, region, aws, sts, local)?))
        }
    };
    Ok(NamedCredentials {
        headers: headers.collect::<Result<_, Unusable>>()?,
        scheme,
        has_renewed: AtomicBool::new(false),
    })
}
