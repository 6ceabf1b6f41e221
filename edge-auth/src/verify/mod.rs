//! Verifies a token into a viewer: the signature first, then every claim about audience and time.
//!
//! AWS-LC checks the signature, with a key that was parsed when it was configured or fetched. All other conditions are
//! checked here and in [`issuers`]. A repeated token is found in the cache by its whole text.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::config::{Algorithm, Config, ConfigFault};
use crate::identity::{Owner, OwnerNames, Viewer};
use crate::issuers::{self, IssuerBlock, StandardClaims};
use crate::keys::ring::Search;
use crate::keys::rings::{KeyRings, NeedKeys};
use crate::refusal::Refusal;
use crate::session::{self, SESSION_ISSUER, Sessions};
use crate::token::cache::VerifiedTokenCache;
use crate::token::jws::UnverifiedToken;
use crate::token::{ClaimId, ClaimPlan, ClaimSet};

/// Numbers of seconds beyond this (the year 9999) are not valid times.
const MAX_SECONDS: f64 = 253_402_300_799.0;

/// Verifies the tokens of the configured issuers, and sessions.
pub(crate) struct Verifier {
    blocks: Vec<IssuerBlock>,
    rings: KeyRings,
    sessions: Option<Sessions>,
    /// The claims that are read from a token.
    plan: ClaimPlan,
    standard: StandardClaims,
    owners: OwnerNames,
    cache: VerifiedTokenCache<VerifiedToken>,
    /// Whether nothing but a session with HS256 is accepted, as in a `CloudFront` Function.
    is_for_shared_sessions: bool,
}

/// The content of a verified token: everything about it that does not change with time.
pub(crate) struct VerifiedToken {
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
    Refused(RefusedToken),
    NeedKeys(NeedKeys),
}

/// A refused token.
#[derive(Debug, PartialEq)]
pub(crate) struct RefusedToken {
    pub(crate) refusal: Refusal,
    /// The name of its issuer block.
    pub(crate) issuer: Option<String>,
    pub(crate) kid: Option<String>,
    /// Whether a fetch can replace its issuer's keys.
    pub(crate) keys_may_change: bool,
}

impl Verifier {
    /// A verifier for these issuers' tokens. It reads the claims in `plan` and its own.
    pub(crate) fn new(config: &Config, mut plan: ClaimPlan, faults: &mut Vec<ConfigFault>) -> Self {
        faults.extend(issuers::faults(&config.issuers));
        let has_tenants = config.issuers.iter().any(|issuer| issuer.tenants.is_some());
        let standard = StandardClaims::plan(&mut plan, has_tenants);
        let (rings, ring_of) = KeyRings::new(&config.issuers, faults);
        let blocks = config.issuers.iter().enumerate().map(|(idx, issuer)| {
            let mut fault = |name: &str, message: String| {
                faults.push(ConfigFault::new(format!("issuers[{idx}].{name}"), message));
            };
            IssuerBlock::new(issuer, ring_of[idx], &mut plan, &mut fault)
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
            cache: VerifiedTokenCache::new(),
            is_for_shared_sessions: false,
        }
    }

    /// Refuses everything but sessions with HS256 from now on.
    pub(crate) fn accept_only_shared_sessions(&mut self) {
        self.is_for_shared_sessions = true;
    }

    /// The claims that are read from a token.
    pub(crate) fn plan(&self) -> &ClaimPlan {
        &self.plan
    }

    /// The issuer blocks, in the order of the configuration.
    pub(crate) fn blocks(&self) -> &[IssuerBlock] {
        &self.blocks
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
    pub(crate) fn verify(
        &self,
        now: Timestamp,
        token: &str,
    ) -> Result<Arc<VerifiedToken>, Unverified> {
        let now = now.as_second();
        if let Some(verified) = self.cache.get(token) {
            let still_holds = verified.ring.is_none_or(|(ring, generation)| {
                self.rings.get(ring).still_vouches(now, generation)
            });
            if still_holds {
                match self.check_times(now, &verified) {
                    Ok(()) => return Ok(verified),
                    Err(Refusal::Expired { .. }) => self.cache.forget(token),
                    Err(refusal) => {
                        let block = verified.viewer.block;
                        return Err(self.refused(block, refusal, verified.kid.clone()));
                    }
                }
            }
        }
        let verified = Arc::new(self.verify_anew(now, token)?);
        self.cache.put(token, verified.clone());
        Ok(verified)
    }

    fn check_times(&self, now: i64, verified: &VerifiedToken) -> Result<(), Refusal> {
        if verified.viewer.is_session {
            // A session has no leeway: the same clock made it.
            return if now < verified.exp {
                Ok(())
            } else {
                let exp = verified.exp;
                Err(Refusal::Expired { exp, now })
            };
        }
        self.blocks[verified.viewer.block].check_times(now, verified.exp, verified.nbf)
    }

    fn verify_anew(&self, now: i64, token: &str) -> Result<VerifiedToken, Unverified> {
        let token = UnverifiedToken::parse(token)?;
        if self.is_for_shared_sessions
            && (token.header.typ.as_deref() != Some(session::TYP) || token.header.alg != "HS256")
        {
            return Err(Refusal::UnknownKey.into());
        }
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
        let refused = |refusal| self.refused(idx, refusal, kid.clone());
        block
            .check_type(token.header.typ.as_deref())
            .map_err(refused)?;
        let (exp, nbf) = self
            .check_time_claims(now, block, &claims)
            .map_err(refused)?;
        // A `sub` that is not a string (RFC 7519) is refused, even if another claim is the subject.
        if matches!(claims.get(self.standard.sub), Some(sub) if !sub.is_string()) {
            return Err(refused(Refusal::InvalidClaim { claim: "sub" }));
        }
        block
            .check_claims(&claims, &self.standard, &self.plan)
            .map_err(refused)?;
        let (subject, owner) = self.person(block, &iss, &claims).map_err(refused)?;
        let viewer = Viewer {
            issuer: iss,
            subject,
            owner,
            block: idx,
            claims,
            is_session: false,
            expires_at_second: block.accepted_until(exp),
        };
        Ok(VerifiedToken {
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
        let refused = |refusal| Err(self.refused(idx, refusal, token.header.kid.clone()));
        let verifies = |key: &crate::keys::material::Material| {
            key.verifies(token.signing_input.as_bytes(), &token.signature)
        };
        // The configuration chooses the algorithms, never the token (RFC 8725 §3.1): `none` is not a known name.
        let Some(algorithm) = Algorithm::from_name(&token.header.alg)
            .filter(|algorithm| block.algorithms.contains(algorithm))
        else {
            return refused(Refusal::AlgorithmNotAllowed);
        };
        if algorithm == Algorithm::HS256 {
            return match block.secrets.find(kid, algorithm, |_| true) {
                None => refused(Refusal::UnknownKey),
                Some(secret) if verifies(secret) => Ok(None),
                Some(_) => refused(Refusal::BadSignature),
            };
        }
        let Some((ring_idx, ring)) = block.ring.map(|ring| (ring, self.rings.get(ring))) else {
            return refused(Refusal::UnknownKey);
        };
        if ring.refresh_due(now)
            && let Some(need) = self.rings.need_keys(ring_idx)
        {
            return Err(Unverified::NeedKeys(need));
        }
        let kid_text = || token.header.kid.clone();
        let refused = |refusal| Err(self.refused_by_ring(idx, ring_idx, refusal, kid_text()));
        let is_for = |key_issuer: &str| block.key_is_for(key_issuer, iss);
        let search = ring.with_key(now, kid, algorithm, is_for, |key, generation| {
            verifies(key).then_some(generation)
        });
        match search {
            Search::Found(Some(generation)) => Ok(Some((ring_idx, generation))),
            Search::Found(None) => refused(Refusal::BadSignature),
            Search::Unknown => refused(Refusal::UnknownKey),
            Search::Unavailable => refused(Refusal::KeysUnavailable),
            Search::Fetch => match self.rings.need_keys(ring_idx) {
                Some(need) => Err(Unverified::NeedKeys(need)),
                None => refused(Refusal::UnknownKey),
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
    ) -> Result<VerifiedToken, Unverified> {
        let kid = token.header.kid.clone();
        let refused = |issuer: &str, refusal| {
            Unverified::Refused(RefusedToken {
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
            .map_err(|refusal| refused(SESSION_ISSUER, refusal))?;
        let found = self
            .blocks
            .iter()
            .position(|block| block.name == verified.block);
        let idx = found.ok_or_else(|| refused(SESSION_ISSUER, Refusal::UnknownIssuer))?;
        let block = &self.blocks[idx];
        let of_block = |refusal| refused(&block.name, refusal);
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
        Ok(VerifiedToken {
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
        match self.rings.at(url) {
            Some(ring) => ring.accept(now.as_second(), jwks),
            None => Err(vec!["no issuer publishes its keys there".to_owned()]),
        }
    }

    /// Records that the keys of an address could not be fetched.
    pub(crate) fn keys_not_fetched(&self, now: Timestamp, url: &str) {
        if let Some(ring) = self.rings.at(url) {
            ring.fetch_failed(now.as_second());
        }
    }

    /// All keys that are due for a fetch.
    pub(crate) fn keys_due(&self, now: Timestamp) -> Vec<NeedKeys> {
        self.rings.due(now.as_second())
    }

    fn refused(&self, block: usize, refusal: Refusal, kid: Option<String>) -> Unverified {
        Unverified::Refused(RefusedToken {
            refusal,
            issuer: Some(self.blocks[block].name.clone()),
            kid,
            keys_may_change: false,
        })
    }

    /// A key that does not verify the token, from a ring that a fetch may change.
    fn refused_by_ring(
        &self,
        block: usize,
        ring: usize,
        refusal: Refusal,
        kid: Option<String>,
    ) -> Unverified {
        Unverified::Refused(RefusedToken {
            refusal,
            issuer: Some(self.blocks[block].name.clone()),
            kid,
            keys_may_change: self.rings.get(ring).published().is_some(),
        })
    }
}

/// Before the issuer is known, a log may contain nothing about the token.
impl From<Refusal> for Unverified {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(RefusedToken {
            refusal,
            issuer: None,
            kid: None,
            keys_may_change: false,
        })
    }
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
    #[expect(
        clippy::cast_possible_truncation,
        reason = "within the range just checked the cast loses only the fraction"
    )]
    let whole = round(seconds) as i64;
    Ok(Some(whole))
}

#[cfg(test)]
mod vectors;
