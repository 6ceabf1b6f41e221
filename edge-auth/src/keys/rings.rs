//! The key rings of a configuration: one for each address, and one for each block without an address.
//!
//! Blocks that name the same address share a ring, so that one fetch serves them all.

use crate::config::{Algorithm, ConfigFault, Issuer, PublishedKeys};
use crate::keys::ring::{KeyRing, RingSettings, check_published};

/// A decision needs an issuer's keys, and the host may fetch them.
///
/// The host fetches them once for all waiting requests (single-flight). It hands them to
/// [`Authorizer::accept_keys`](crate::Authorizer::accept_keys) or reports
/// [`Authorizer::keys_not_fetched`](crate::Authorizer::keys_not_fetched), and then asks for the decision again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NeedKeys {
    /// The name of an issuer block that needs them, for logs.
    pub issuer: String,
    /// The address where they are published; it identifies the set.
    pub url: String,
    /// The timeout of the fetch, in milliseconds.
    pub timeout_ms: u32,
}

/// The key rings, by their index.
pub(crate) struct KeyRings {
    rings: Vec<KeyRing>,
    /// The first issuer block of each ring.
    names: Vec<String>,
}

impl KeyRings {
    /// Parses the keys of every block, and answers with the ring index of each block as well.
    pub(crate) fn new(
        issuers: &[Issuer],
        faults: &mut Vec<ConfigFault>,
    ) -> (Self, Vec<Option<usize>>) {
        let (mut rings, mut names) = (Vec::new(), Vec::new());
        let mut ring_of: Vec<Option<usize>> = vec![None; issuers.len()];
        for (idx, issuer) in issuers.iter().enumerate() {
            let mut fault = |name: &str, message: String| {
                faults.push(ConfigFault::new(format!("issuers[{idx}].{name}"), message));
            };
            let names_keys = issuer.jwks.is_some() || issuer.published.is_some();
            let is_public = |algorithm: &&Algorithm| **algorithm != Algorithm::HS256;
            if !issuer
                .algorithms
                .iter()
                .any(|algorithm| is_public(&algorithm))
            {
                if names_keys && !issuer.algorithms.is_empty() {
                    let message = "HS256 has no public keys: list another algorithm as well";
                    fault("jwks", message.to_owned());
                }
                if let Some(published) = &issuer.published
                    && issuer.algorithms.is_empty()
                {
                    // The missing algorithms are a fault of their own, and must not hide these.
                    check_published(published, &mut fault);
                }
                continue;
            }
            if !names_keys {
                let message =
                    "is missing: the algorithms need public keys, such as { url = \"https://…\" }";
                fault("jwks", message.to_owned());
                continue;
            }
            let at = issuer.published.as_ref().map(|published| &published.url);
            let shares = |other: &Issuer| {
                at.is_some() && other.published.as_ref().map(|published| &published.url) == at
            };
            if let Some(first) =
                (0..idx).find(|first| shares(&issuers[*first]) && ring_of[*first].is_some())
            {
                ring_of[idx] = ring_of[first];
                if issuer.published != issuers[first].published {
                    let message = format!(
                        "issuers[{first}] has the same address: give both the same max_age, timeout and max_stale"
                    );
                    fault("jwks", message);
                }
                let mut known = issuers[..idx].iter().filter(|other| shares(other));
                let known = known.find_map(|other| other.jwks.as_ref());
                if issuer.jwks.is_some()
                    && known.is_some_and(|known| issuer.jwks.as_ref() != Some(known))
                {
                    let message = format!("issuers[{first}] has the same address with other keys");
                    fault("jwks.file", message);
                }
                continue;
            }
            let sharing = issuers.iter().filter(|other| shares(other));
            let with_keys = sharing
                .clone()
                .find(|other| other.jwks.is_some())
                .unwrap_or(issuer);
            let mut algorithms: Vec<_> = issuer
                .algorithms
                .iter()
                .chain(sharing.flat_map(|other| &other.algorithms))
                .filter(is_public)
                .copied()
                .collect();
            algorithms.sort_unstable_by_key(|algorithm| algorithm.name());
            algorithms.dedup();
            let settings = RingSettings {
                algorithms,
                jwks: with_keys.jwks.as_ref(),
                jwks_as_of: with_keys.jwks_as_of,
                published: issuer.published.as_ref(),
            };
            ring_of[idx] = Some(rings.len());
            rings.push(KeyRing::new(&settings, &mut fault));
            names.push(issuer.block_name().to_owned());
        }
        (Self { rings, names }, ring_of)
    }

    /// The ring of this index.
    pub(crate) fn get(&self, ring: usize) -> &KeyRing {
        &self.rings[ring]
    }

    /// The ring of this address.
    pub(crate) fn at(&self, url: &str) -> Option<&KeyRing> {
        let is_there = |published: &PublishedKeys| published.url == url;
        self.rings
            .iter()
            .find(|ring| ring.published().is_some_and(is_there))
    }

    /// The fetch that a ring needs from its host; `None` for a ring without an address.
    pub(crate) fn need_keys(&self, ring: usize) -> Option<NeedKeys> {
        let published = self.rings[ring].published()?;
        Some(NeedKeys {
            issuer: self.names[ring].clone(),
            url: published.url.clone(),
            timeout_ms: published.timeout_ms,
        })
    }

    /// The keys of every ring that is due for a fetch.
    pub(crate) fn due(&self, now: i64) -> Vec<NeedKeys> {
        (0..self.rings.len())
            .filter(|ring| self.rings[*ring].refresh_due(now))
            .filter_map(|ring| self.need_keys(ring))
            .collect()
    }
}
