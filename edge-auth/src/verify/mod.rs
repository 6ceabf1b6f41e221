//! Verifies a token into a viewer: the signature first, then every claim about audience and time.
//!
//! AWS-LC checks the signature, with a key that was parsed when it was configured or fetched. All other conditions are
//! checked here and in [`issuers`]. A repeated token is found in the cache by its whole text.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::config::{Algorithm, Config, Fault, Issuer, PublishedKeys};
use crate::identity::{Owner, OwnerNames, Viewer};
pub(crate) use crate::issuers::IssuerNames;
use crate::issuers::{self, IssuerBlock, StandardClaims};
use crate::keys::jwk_set::KeySet;
use crate::keys::ring::{KeyRing, RingSettings, Search};
use crate::refusal::Refusal;
use crate::session::{self, SESSION_ISSUER, Sessions};
use crate::token::cache::VerdictCache;
use crate::token::claims::{ClaimId, ClaimPlan, ClaimSet};
use crate::token::jws::UnverifiedToken;

/// Numbers of seconds beyond this (the year 9999) are not valid times.
const MAX_SECONDS: f64 = 253_402_300_799.0;

/// Verifies the tokens of the configured issuers, and sessions.
pub(crate) struct Verifier {
    blocks: Vec<IssuerBlock>,
    rings: Vec<KeyRing>,
    sessions: Option<Sessions>,
    /// The claims that are read from a token.
    plan: ClaimPlan,
    standard: StandardClaims,
    owners: OwnerNames,
    cache: VerdictCache<Verdict>,
}

/// The content of a verified token: everything about it that does not change with time.
pub(crate) struct Verdict {
    pub(crate) viewer: Viewer,
    pub(crate) kid: Option<String>,
    /// The ring whose key verified it, and the ring's generation at that time; `None` for secrets, which do not change.
    ring: Option<(usize, u64)>,
    exp: i64,
    nbf: Option<i64>,
}

/// The reason for a refusal, and the part of the token that a log may contain.
#[derive(Debug, PartialEq)]
pub(crate) enum Unverified {
    Rejected(Rejection),
    NeedKeys(NeedKeys),
}

/// A refused token.
#[derive(Debug, PartialEq)]
pub(crate) struct Rejection {
    pub(crate) refusal: Refusal,
    /// The name of its issuer block.
    pub(crate) issuer: Option<String>,
    pub(crate) kid: Option<String>,
    /// Whether a fetch can replace its issuer's keys.
    pub(crate) keys_may_change: bool,
}

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

impl Verifier {
    /// A verifier for these issuers' tokens. It reads the claims in `plan` and its own.
    pub(crate) fn new(config: &Config, mut plan: ClaimPlan, faults: &mut Vec<Fault>) -> Self {
        faults.extend(issuers::faults(&config.issuers));
        let has_tenants = config.issuers.iter().any(|issuer| issuer.tenants.is_some());
        let standard = StandardClaims::plan(&mut plan, has_tenants);
        let (rings, ring_of) = read_rings(&config.issuers, faults);
        let blocks = config.issuers.iter().enumerate().map(|(idx, issuer)| {
            let mut fault = |name: &str, message: String| {
                faults.push(Fault::new(format!("issuers[{idx}].{name}"), message));
            };
            let secrets = read_secrets(issuer, &mut fault);
            IssuerBlock::new(issuer, ring_of[idx], secrets, &mut plan, &mut fault)
        });
        let blocks = blocks.collect();
        let sessions = config
            .session
            .as_ref()
            .map(|session| Sessions::new(session, &config.issuers, faults));
        Self {
            blocks,
            rings,
            sessions,
            plan,
            standard,
            owners: OwnerNames::new(config.owner_secret.as_ref()),
            cache: VerdictCache::new(),
        }
    }

    /// The claims that are read from a token.
    pub(crate) fn plan(&self) -> &ClaimPlan {
        &self.plan
    }

    /// The name of an issuer block.
    pub(crate) fn block_name(&self, block: usize) -> &str {
        &self.blocks[block].name
    }

    /// Whether sessions are configured.
    pub(crate) fn has_sessions(&self) -> bool {
        self.sessions.is_some()
    }

    /// Verifies a token as of `now`.
    pub(crate) fn verify(&self, now: Timestamp, token: &str) -> Result<Arc<Verdict>, Unverified> {
        let now = now.as_second();
        if let Some(verdict) = self.cache.get(token) {
            let still_holds = verdict
                .ring
                .is_none_or(|(ring, generation)| self.rings[ring].still_vouches(now, generation));
            if still_holds {
                match self.check_times(now, &verdict) {
                    Ok(()) => return Ok(verdict),
                    Err(Refusal::Expired { .. }) => self.cache.forget(token),
                    Err(refusal) => {
                        let block = verdict.viewer.block;
                        return Err(self.rejected(block, refusal, verdict.kid.clone()));
                    }
                }
            }
        }
        let verdict = Arc::new(self.verify_anew(now, token)?);
        self.cache.put(token, verdict.clone());
        Ok(verdict)
    }

    fn check_times(&self, now: i64, verdict: &Verdict) -> Result<(), Refusal> {
        if verdict.viewer.is_session {
            // A session has no leeway: the same clock made it.
            return if now < verdict.exp {
                Ok(())
            } else {
                let exp = verdict.exp;
                Err(Refusal::Expired { exp, now })
            };
        }
        self.blocks[verdict.viewer.block].check_times(now, verdict.exp, verdict.nbf)
    }

    fn verify_anew(&self, now: i64, token: &str) -> Result<Verdict, Unverified> {
        let token = UnverifiedToken::parse(token)?;
        if let Some(sessions) = &self.sessions
            && token.header.typ.as_deref() == Some(session::TYP)
        {
            return self.verify_session(now, sessions, token);
        }
        let claims = token.claims(&self.plan)?;
        let iss = match claims.get(self.standard.iss) {
            None => return Err(Refusal::MissingClaim { claim: "iss" }.into()),
            Some(Value::String(iss)) if !iss.is_empty() => iss.clone(),
            Some(_) => return Err(Refusal::InvalidClaim { claim: "iss" }.into()),
        };
        let idx = self.find_block(&iss, &token, &claims)?;
        let block = &self.blocks[idx];
        let ring = self.verify_signature(now, idx, &iss, &token)?;
        let kid = token.header.kid;
        let rejected = |refusal| self.rejected(idx, refusal, kid.clone());
        block
            .check_type(token.header.typ.as_deref())
            .map_err(rejected)?;
        let (exp, nbf) = self
            .check_time_claims(now, block, &claims)
            .map_err(rejected)?;
        // A `sub` that is not a string (RFC 7519) is refused, even if another claim is the subject.
        if matches!(claims.get(self.standard.sub), Some(sub) if !sub.is_string()) {
            return Err(rejected(Refusal::InvalidClaim { claim: "sub" }));
        }
        block
            .check_claims(&claims, &self.standard, &self.plan)
            .map_err(rejected)?;
        let (subject, owner) = self.person(block, &iss, &claims).map_err(rejected)?;
        let viewer = Viewer {
            issuer: iss,
            subject,
            owner,
            block: idx,
            claims,
            is_session: false,
            expires_at_second: block.accepted_until(exp),
        };
        Ok(Verdict {
            viewer,
            kid,
            ring,
            exp,
            nbf,
        })
    }

    /// The block that a token is for. Where an issuer has several blocks, the unverified claims select one, and only
    /// the keys of that block are tried. Nothing else depends on these claims before the signature is verified.
    fn find_block(
        &self,
        iss: &str,
        token: &UnverifiedToken<'_>,
        claims: &ClaimSet,
    ) -> Result<usize, Refusal> {
        let mut candidates = self
            .blocks
            .iter()
            .enumerate()
            .filter(|(_, block)| block.is_for(iss));
        let (first, _) = candidates.next().ok_or(Refusal::UnknownIssuer)?;
        if candidates.next().is_none() {
            return Ok(first);
        }
        // If no block accepts the token, the closest block gives the reason.
        let typ = token.header.typ.as_deref();
        let (mut closest, mut fewest, mut n_closest) = (first, usize::MAX, 0);
        for (idx, block) in self.blocks.iter().enumerate() {
            if !block.is_for(iss) {
                continue;
            }
            let n_misfits = block.count_misfits(typ, claims, &self.standard);
            if n_misfits < fewest {
                (closest, fewest, n_closest) = (idx, n_misfits, 1);
            } else if n_misfits == fewest {
                n_closest += 1;
            }
        }
        if fewest == 0 && n_closest > 1 {
            return Err(Refusal::SeveralIssuers);
        }
        Ok(closest)
    }

    /// Answers with the ring of the key, and the ring's generation.
    fn verify_signature(
        &self,
        now: i64,
        idx: usize,
        iss: &str,
        token: &UnverifiedToken<'_>,
    ) -> Result<Option<(usize, u64)>, Unverified> {
        let block = &self.blocks[idx];
        let kid = token.header.kid.as_deref();
        let rejected = |refusal| Err(self.rejected(idx, refusal, token.header.kid.clone()));
        let verifies = |key: &crate::keys::jwk_set::Material| {
            key.verifies(token.signing_input.as_bytes(), &token.signature)
        };
        // The configuration chooses the algorithms, never the token (RFC 8725 §3.1): `none` is not a known name.
        let Some(algorithm) = Algorithm::from_name(&token.header.alg)
            .filter(|algorithm| block.algorithms.contains(algorithm))
        else {
            return rejected(Refusal::AlgorithmNotAllowed);
        };
        if algorithm == Algorithm::HS256 {
            return match block.secrets.find(kid, algorithm, |_| true) {
                None => rejected(Refusal::UnknownKey),
                Some(secret) if verifies(secret) => Ok(None),
                Some(_) => rejected(Refusal::BadSignature),
            };
        }
        let Some((ring_idx, ring)) = block.ring.map(|ring| (ring, &self.rings[ring])) else {
            return rejected(Refusal::UnknownKey);
        };
        if ring.refresh_due(now)
            && let Some(need) = self.need_keys(ring_idx)
        {
            return Err(Unverified::NeedKeys(need));
        }
        let kid_text = || token.header.kid.clone();
        let rejected = |refusal| Err(self.rejected_by_ring(idx, ring_idx, refusal, kid_text()));
        let is_for = |key_issuer: &str| block.key_is_for(key_issuer, iss);
        let search = ring.with_key(now, kid, algorithm, is_for, |key, generation| {
            verifies(key).then_some(generation)
        });
        match search {
            Search::Found(Some(generation)) => Ok(Some((ring_idx, generation))),
            Search::Found(None) => rejected(Refusal::BadSignature),
            Search::Unknown => rejected(Refusal::UnknownKey),
            Search::Unavailable => rejected(Refusal::KeysUnavailable),
            Search::Fetch => match self.need_keys(ring_idx) {
                Some(need) => Err(Unverified::NeedKeys(need)),
                None => rejected(Refusal::UnknownKey),
            },
        }
    }

    fn check_time_claims(
        &self,
        now: i64,
        block: &IssuerBlock,
        claims: &ClaimSet,
    ) -> Result<(i64, Option<i64>), Refusal> {
        let exp = time_claim(claims, self.standard.exp, "exp", f64::floor)?
            .ok_or(Refusal::MissingClaim { claim: "exp" })?;
        let nbf = time_claim(claims, self.standard.nbf, "nbf", f64::ceil)?;
        block.check_times(now, exp, nbf)?;
        time_claim(claims, self.standard.iat, "iat", f64::floor)?;
        Ok((exp, nbf))
    }

    /// The subject of a token, and its owner; both `None` if it has no subject.
    fn person(
        &self,
        block: &IssuerBlock,
        iss: &str,
        claims: &ClaimSet,
    ) -> Result<(Option<String>, Option<Owner>), Refusal> {
        let subject = block.subject(claims, &self.plan)?;
        let owner = subject
            .as_ref()
            .map(|subject| block.owner(&self.owners, iss, subject, &self.plan));
        Ok((subject, owner))
    }

    /// A session is checked against the current configuration of the block that accepted its token.
    fn verify_session(
        &self,
        now: i64,
        sessions: &Sessions,
        token: UnverifiedToken<'_>,
    ) -> Result<Verdict, Unverified> {
        let kid = token.header.kid.clone();
        let rejected = |issuer: &str, refusal| {
            Unverified::Rejected(Rejection {
                refusal,
                issuer: Some(issuer.to_owned()),
                kid: kid.clone(),
                keys_may_change: false,
            })
        };
        let verified = sessions
            .verify(
                now,
                &token.header,
                token.signing_input,
                &token.signature,
                token.payload(),
            )
            .map_err(|refusal| rejected(SESSION_ISSUER, refusal))?;
        let found = self
            .blocks
            .iter()
            .position(|block| block.name == verified.block);
        let idx = found.ok_or_else(|| rejected(SESSION_ISSUER, Refusal::UnknownIssuer))?;
        let block = &self.blocks[idx];
        let of_block = |refusal| rejected(&block.name, refusal);
        let claims = self.plan.restore(verified.retained);
        block
            .check_claims(&claims, &self.standard, &self.plan)
            .map_err(of_block)?;
        let stale = |claim: &str| {
            of_block(Refusal::StaleSession {
                claim: claim.to_owned(),
            })
        };
        if !block.knows_subject(&claims) {
            return Err(stale("sub"));
        }
        let iss = claims.get(self.standard.iss).and_then(Value::as_str);
        let iss = iss.unwrap_or_default().to_owned();
        let (subject, owner) = self.person(block, &iss, &claims).map_err(of_block)?;
        // Other runtimes trust the owner that a session carries. Here a change in how owners are derived takes effect
        // at once.
        if owner != verified.owner {
            return Err(stale("owner"));
        }
        let viewer = Viewer {
            issuer: iss,
            subject,
            owner,
            block: idx,
            claims,
            is_session: true,
            expires_at_second: verified.exp,
        };
        Ok(Verdict {
            viewer,
            kid: token.header.kid,
            ring: None,
            exp: verified.exp,
            nbf: None,
        })
    }

    /// Replaces an address's keys with a fetched set.
    pub(crate) fn accept_keys(
        &self,
        now: Timestamp,
        url: &str,
        jwks: &Value,
    ) -> Result<Vec<String>, Vec<String>> {
        match self.ring_at(url) {
            Some(ring) => ring.accept(now.as_second(), jwks),
            None => Err(vec!["no issuer publishes its keys there".to_owned()]),
        }
    }

    /// Records that the keys of an address could not be fetched.
    pub(crate) fn keys_not_fetched(&self, now: Timestamp, url: &str) {
        if let Some(ring) = self.ring_at(url) {
            ring.fetch_failed(now.as_second());
        }
    }

    /// All keys that are due for a fetch.
    pub(crate) fn wanted_keys(&self, now: Timestamp) -> Vec<NeedKeys> {
        let due = |ring: &usize| self.rings[*ring].refresh_due(now.as_second());
        (0..self.rings.len())
            .filter(due)
            .filter_map(|ring| self.need_keys(ring))
            .collect()
    }

    fn ring_at(&self, url: &str) -> Option<&KeyRing> {
        let is_there = |published: &PublishedKeys| published.url == url;
        self.rings
            .iter()
            .find(|ring| ring.published().is_some_and(is_there))
    }

    fn need_keys(&self, ring: usize) -> Option<NeedKeys> {
        let published = self.rings[ring].published()?;
        let block = self.blocks.iter().find(|block| block.ring == Some(ring))?;
        Some(NeedKeys {
            issuer: block.name.clone(),
            url: published.url.clone(),
            timeout_ms: published.timeout_ms,
        })
    }

    fn rejected(&self, block: usize, refusal: Refusal, kid: Option<String>) -> Unverified {
        Unverified::Rejected(Rejection {
            refusal,
            issuer: Some(self.blocks[block].name.clone()),
            kid,
            keys_may_change: false,
        })
    }

    /// A key that does not verify the token, from a ring that a fetch may change.
    fn rejected_by_ring(
        &self,
        block: usize,
        ring: usize,
        refusal: Refusal,
        kid: Option<String>,
    ) -> Unverified {
        Unverified::Rejected(Rejection {
            refusal,
            issuer: Some(self.blocks[block].name.clone()),
            kid,
            keys_may_change: self.rings[ring].published().is_some(),
        })
    }
}

/// Before the issuer is known, a log may contain nothing about the token.
impl From<Refusal> for Unverified {
    fn from(refusal: Refusal) -> Self {
        Self::Rejected(Rejection {
            refusal,
            issuer: None,
            kid: None,
            keys_may_change: false,
        })
    }
}

/// The key rings, one for each address and one for each block without an address, and the ring index of each block.
fn read_rings(issuers: &[Issuer], faults: &mut Vec<Fault>) -> (Vec<KeyRing>, Vec<Option<usize>>) {
    let mut rings = Vec::new();
    let mut ring_of: Vec<Option<usize>> = vec![None; issuers.len()];
    for (idx, issuer) in issuers.iter().enumerate() {
        let mut fault = |name: &str, message: String| {
            faults.push(Fault::new(format!("issuers[{idx}].{name}"), message));
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
    }
    (rings, ring_of)
}

/// The secrets of a block, for HS256.
fn read_secrets(issuer: &Issuer, fault: &mut dyn FnMut(&str, String)) -> KeySet {
    let is_shared = issuer.algorithms.contains(&Algorithm::HS256);
    let Some(secrets) = &issuer.secrets else {
        if is_shared {
            let message = "HS256 needs `secrets`, such as [{ file = \"secret\" }]";
            fault("algorithms", message.to_owned());
        }
        return KeySet::default();
    };
    if !is_shared {
        // Without an algorithm a secret has no use.
        if !issuer.algorithms.is_empty() {
            let message = "are for HS256 only: add it to `algorithms`";
            fault("secrets", message.to_owned());
        }
        return KeySet::default();
    }
    KeySet::secrets(&secrets.0, &[Algorithm::HS256]).unwrap_or_else(|found| {
        for message in found {
            fault("secrets", message);
        }
        KeySet::default()
    })
}

/// A `NumericDate` (RFC 7519 §2), if present, rounded to whole seconds to the token's disadvantage.
fn time_claim(
    claims: &ClaimSet,
    id: ClaimId,
    claim: &'static str,
    round: fn(f64) -> f64,
) -> Result<Option<i64>, Refusal> {
    let Some(value) = claims.get(id) else {
        return Ok(None);
    };
    let seconds = value
        .as_f64()
        .filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds))
        .ok_or(Refusal::InvalidClaim { claim })?;
    // Within the range just checked the cast loses only the fraction.
    #[allow(clippy::cast_possible_truncation)]
    let whole = round(seconds) as i64;
    Ok(Some(whole))
}

#[cfg(test)]
mod vectors;
