//! Amazon: calls are signed with keys from the upstreams file or from the environment that the mirror runs in.

use std::time::SystemTime;

use ureq::http::{HeaderMap, HeaderName};

use crate::prometheus::access::{LiveSecret, SecretSource, Unusable};
use crate::prometheus::error::ErrorKind;
use crate::prometheus::http::{Authorize, Deadline, RotatingTransport, UnsignedCall};
use crate::prometheus::upstreams_file::definition::{Role, SigV4Definition};

use crate::secret::Secret;
use crate::sync::Mutex;

use super::fixed::value;
use super::single_fetch::SingleFetch;

pub(in crate::prometheus) mod environment;
pub(in crate::prometheus) mod signer;

mod responses;
mod sources;

use environment::AwsEnvironment;
use signer::{AwsKeys, Scope, signature};
use sources::Sources;

/// Signs the calls to an upstream.
pub(in crate::prometheus) struct SigV4 {
    service: String,
    /// The id of a key and the secret key that the upstreams file contains or names.
    given: Option<(LiveSecret, LiveSecret)>,
    role: Option<Role>,
    sources: Sources,
    /// A fingerprint of the files that the environment names, when they were last checked.
    files: Mutex<u64>,
    found: SingleFetch<AwsKeys>,
    assumed: SingleFetch<AwsKeys>,
}

impl SigV4 {
    /// Uses keys as they are defined, or finds them in the environment. `sts` leads to the Security Token Service, `local` to
    /// services of this machine.
    ///
    /// # Errors
    /// Fails if a file that the definition names does not contain its part of the keys.
    pub(in crate::prometheus) fn new(
        definition: &SigV4Definition,
        region: &str,
        environment: &AwsEnvironment,
        sts: RotatingTransport,
        local: RotatingTransport,
    ) -> Result<SigV4, Unusable> {
        let SigV4Definition { service, keys, profile, role, is_fips, .. } = definition;
        let live = |(access_key, secret_key): &(SecretSource, SecretSource)| {
            Ok((LiveSecret::new(access_key.clone())?, LiveSecret::new(secret_key.clone())?))
        };
        let given = keys.as_ref().map(live).transpose()?;
        let host = if *is_fips { "sts-fips" } else { "sts" };
        // Amazon's regions in China have their own domain.
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let regional = || format!("https://{host}.{region}.{domain}/");
        let sts_endpoint = environment.sts_endpoint.clone().unwrap_or_else(regional);
        Ok(SigV4 {
            service: service.clone(),
            given,
            role: role.clone(),
            sources: Sources {
                environment: environment.clone(),
                profile: profile.clone(),
                region: region.to_owned(),
                sts_endpoint,
                sts,
                local,
            },
            files: Mutex::new(environment.fingerprint()),
            found: SingleFetch::default(),
            assumed: SingleFetch::default(),
        })
    }

    /// The headers that sign a call.
    ///
    /// # Errors
    /// Fails if there are no keys before the deadline.
    pub(in crate::prometheus) fn headers(
        &self,
        outgoing: &UnsignedCall<'_>,
        deadline: Deadline,
    ) -> Result<HeaderMap, ErrorKind> {
        let keys = self.keys(deadline)?;
        let scope = Scope { region: &self.sources.region, service: &self.service };
        Signed { keys: &keys, scope }.headers(outgoing, deadline)
    }

    fn keys(&self, deadline: Deadline) -> Result<AwsKeys, ErrorKind> {
        let base = || match self.given_keys() {
            Some(keys) => Ok(keys),
            None => self.found.get(deadline, |deadline| self.sources.keys(deadline)),
        };
        let Some(role) = &self.role else { return base() };
        if let Some(assumed) = self.assumed.kept() {
            return Ok(assumed);
        }
        let base = base()?;
        self.assumed.get(deadline, |deadline| self.sources.assume(role, &base, deadline))
    }

    fn given_keys(&self) -> Option<AwsKeys> {
        self.given.as_ref().map(|(access_key, secret_key)| AwsKeys {
            access_key: access_key.current().reveal().to_owned(),
            secret_key: (*secret_key.current()).clone(),
            session_token: None,
        })
    }

    /// Discards the temporary keys if they are the refused ones, so that new ones are fetched. Returns whether a retry makes sense.
    pub(in crate::prometheus) fn renew(&self, refused_authorization: &[u8]) -> bool {
        let refused = String::from_utf8_lossy(refused_authorization);
        let are_refused = |keys: &AwsKeys| refused.contains(&format!("Credential={}/", keys.access_key));
        match (&self.role, self.given_keys()) {
            (Some(_), _) => self.assumed.renew(are_refused),
            (None, None) => self.found.renew(are_refused),
            (None, Some(given)) => !are_refused(&given),
        }
    }

    /// Whether the content of the files that the environment names has changed since the last call.
    pub(in crate::prometheus) fn have_files_changed(&self) -> bool {
        let now = self.sources.environment.fingerprint();
        let before = std::mem::replace(&mut *self.files.lock(), now);
        before != now
    }

    /// Ends the pause after a refusal, because there may be other keys now.
    pub(in crate::prometheus) fn end_pause(&self) {
        self.found.end_pause();
        self.assumed.end_pause();
    }

    /// The current keys, which no text may contain.
    pub(in crate::prometheus) fn keys_in_force(&self) -> Vec<Secret> {
        let all = [self.found.in_force(), self.assumed.in_force(), self.given_keys()];
        all.iter().flatten().flat_map(AwsKeys::secrets).collect()
    }

    /// The secrets that the upstreams file contains or names.
    pub(in crate::prometheus) fn live_secrets(&self) -> [Option<&LiveSecret>; 2] {
        self.given.as_ref().map_or([None, None], |(access_key, secret_key)| [Some(access_key), Some(secret_key)])
    }
}

/// Signs calls with known keys.
struct Signed<'k> {
    keys: &'k AwsKeys,
    scope: Scope<'k>,
}

impl Authorize for Signed<'_> {
    fn headers(&self, outgoing: &UnsignedCall<'_>, _: Deadline) -> Result<HeaderMap, ErrorKind> {
        let mut headers = HeaderMap::new();
        for (name, secret) in signature(outgoing, self.keys, self.scope, SystemTime::now()) {
            let name = HeaderName::from_static(name);
            headers.insert(&name, value(&name, &secret)?);
        }
        Ok(headers)
    }

    fn secrets(&self) -> Vec<Secret> {
        self.keys.secrets()
    }

    fn has_credentials(&self) -> bool {
        true
    }
}
