//! From a token to a viewer: the signature first, then every claim that says for whom and when it is.
//!
//! AWS-LC checks the signature, with a key that was parsed when it was configured or fetched. What a token must be
//! besides is decided here, and a token that was decided on before is known by its whole text.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::config::{Algorithm, Audiences, Config, Fault, Issuer, RequiredClaims};
use crate::identity::Viewer;
use crate::key_ring::{KeyRing, Search};
use crate::members::Members;
use crate::refusal::Refusal;
use crate::session::{self, MAX_LIFETIME_SECONDS, SESSION_ISSUER, VOUCHER};
use crate::token::{Header, UnverifiedToken};
use crate::verdicts::VerdictCache;

/// Numbers of seconds beyond this (the year 9999) are no times.
const MAX_SECONDS: f64 = 253_402_300_799.0;

/// The claims that are looked at whatever the configuration names.
const CLAIMS: [&str; 9] = [
    "iss", "sub", "aud", "exp", "nbf", "iat", "scope", "scp", VOUCHER,
];

/// Verifies the tokens of the configured issuers.
pub(crate) struct Verifier {
    issuers: Vec<TrustedIssuer>,
    /// The claims that are kept of a token.
    asked_for: Vec<String>,
    verdicts: VerdictCache<Verdict>,
}

/// What a verified token says: whatever of it does not change with time.
pub(crate) struct Verdict {
    pub(crate) viewer: Viewer,
    pub(crate) kid: Option<String>,
    issuer_idx: usize,
    /// Of the keys that it was verified with.
    generation: u64,
    exp: i64,
    nbf: Option<i64>,
}

/// Why there is no viewer, and what a log may say of the token.
#[derive(Debug, PartialEq)]
pub(crate) enum Unverified {
    Rejected {
        refusal: Refusal,
        issuer: Option<String>,
        kid: Option<String>,
    },
    NeedKeys(NeedKeys),
}

/// The keys of an issuer are needed, and the host may fetch them.
///
/// It does so once for everybody who waits, hands them to [`Authorizer::accept_keys`](crate::Authorizer::accept_keys)
/// or reports [`Authorizer::keys_not_fetched`](crate::Authorizer::keys_not_fetched), and asks for the decision again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NeedKeys {
    /// The issuer.
    pub issuer: String,
    /// Where it publishes its keys.
    pub url: String,
}

struct TrustedIssuer {
    name: String,
    audiences: Audiences,
    algorithms: Vec<Algorithm>,
    keys: KeyRing,
    typ: Option<String>,
    claims: RequiredClaims,
    leeway_seconds: i64,
}

impl Verifier {
    /// A verifier of these issuers' tokens. Of a token it keeps the claims that `rules` name, besides its own.
    pub(crate) fn new<'a>(
        config: &'a Config,
        rules: impl Iterator<Item = &'a str>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let asked_for: BTreeSet<&str> = config
            .issuers
            .iter()
            .flat_map(|issuer| issuer.claims.keys())
            .map(String::as_str)
            .chain(rules)
            .chain(CLAIMS)
            .collect();
        let mut trusted: Vec<TrustedIssuer> = Vec::with_capacity(config.issuers.len() + 1);
        for (idx, issuer) in config.issuers.iter().enumerate() {
            let mut fault = |name: &str, message: &str| {
                faults.push(Fault::new(format!("issuers[{idx}].{name}"), message));
            };
            if issuer.issuer.is_empty() {
                fault("issuer", "it is empty");
            }
            if issuer.issuer == SESSION_ISSUER {
                fault("issuer", "sessions have this name, write that of your own");
            }
            if trusted.iter().any(|known| known.name == issuer.issuer) {
                fault("issuer", "this issuer is configured twice");
            }
            if matches!(&issuer.audiences, Audiences::OneOf(names) if names.is_empty()) {
                fault(
                    "audiences",
                    "name at least one audience, or write \"any\" to skip the check",
                );
            }
            if issuer.algorithms.is_empty() {
                fault("algorithms", "name at least one algorithm");
            }
            for (claim, _) in issuer.claims.iter().filter(|(_, values)| values.is_empty()) {
                fault(
                    &format!("claims.{claim}"),
                    "name at least one value, or no token will do",
                );
            }
            let (keys, found) = KeyRing::new(issuer);
            // Without an algorithm there is nothing that a key could be for.
            if !issuer.algorithms.is_empty() {
                for (key, message) in found {
                    fault(key, &message);
                }
            }
            trusted.push(TrustedIssuer::new(issuer, keys));
        }
        if let Some(session) = &config.session {
            if session.lifetime_seconds == 0 || session.lifetime_seconds > MAX_LIFETIME_SECONDS {
                let message = "a session lasts at least a second and at most 12h";
                faults.push(Fault::new("session.lifetime", message));
            }
            let issuer = session::issuer(session);
            let (keys, found) = KeyRing::new(&issuer);
            let found = found.into_iter().map(|(_, message)| message);
            for message in found.chain(session::faults(session)) {
                faults.push(Fault::new("session.secrets", message));
            }
            trusted.push(TrustedIssuer::new(&issuer, keys));
        }
        Self {
            issuers: trusted,
            asked_for: asked_for.into_iter().map(str::to_owned).collect(),
            verdicts: VerdictCache::new(),
        }
    }

    /// Verifies a token as of `now`.
    pub(crate) fn verify(&self, now: Timestamp, token: &str) -> Result<Arc<Verdict>, Unverified> {
        let now = now.as_second();
        if let Some(verdict) = self.verdicts.get(token) {
            let issuer = &self.issuers[verdict.issuer_idx];
            let still_holds =
                verdict.generation == issuer.keys.generation() && !issuer.keys.wanted(now);
            if still_holds {
                match issuer.verify_times(now, verdict.exp, verdict.nbf) {
                    Ok(()) => return Ok(verdict),
                    Err(Refusal::Expired { .. }) => self.verdicts.forget(token),
                    Err(refusal) => return Err(issuer.rejected(refusal, verdict.kid.clone())),
                }
            }
        }
        let verdict = Arc::new(self.verify_anew(now, token)?);
        self.verdicts.put(token, verdict.clone());
        Ok(verdict)
    }

    fn verify_anew(&self, now: i64, token: &str) -> Result<Verdict, Unverified> {
        let token = UnverifiedToken::parse(token)?;
        let claims = token.claims(&self.asked_for)?;
        let issuer_name = text_claim(&claims, "iss")?;
        let (issuer_idx, issuer) = self
            .issuers
            .iter()
            .enumerate()
            .find(|(_, issuer)| issuer.name == issuer_name)
            .ok_or(Refusal::UnknownIssuer)?;
        let generation = issuer.verify_signature(now, &token)?;
        let Header { kid, typ, .. } = token.header;
        issuer
            .verify_type(typ.as_deref())
            .and_then(|()| issuer.verify_claims(now, claims, &self.issuers))
            .map(|(viewer, exp, nbf)| Verdict {
                viewer,
                kid: kid.clone(),
                issuer_idx,
                generation,
                exp,
                nbf,
            })
            .map_err(|refusal| issuer.rejected(refusal, kid))
    }

    /// Takes the keys that were fetched for an issuer.
    pub(crate) fn accept_keys(
        &self,
        now: Timestamp,
        issuer: &str,
        jwks: &Value,
    ) -> Result<Vec<String>, Vec<String>> {
        match self.issuer(issuer) {
            Some(issuer) => issuer.keys.accept(now.as_second(), jwks),
            None => Err(vec!["no issuer of this name is configured".to_owned()]),
        }
    }

    /// Notes that an issuer's keys could not be fetched.
    pub(crate) fn keys_not_fetched(&self, now: Timestamp, issuer: &str) {
        if let Some(issuer) = self.issuer(issuer) {
            issuer.keys.fetch_failed(now.as_second());
        }
    }

    /// All keys that are due to be fetched.
    pub(crate) fn wanted_keys(&self, now: Timestamp) -> Vec<NeedKeys> {
        self.issuers
            .iter()
            .filter(|issuer| issuer.keys.wanted(now.as_second()))
            .filter_map(TrustedIssuer::need_keys)
            .collect()
    }

    fn issuer(&self, name: &str) -> Option<&TrustedIssuer> {
        self.issuers.iter().find(|issuer| issuer.name == name)
    }
}

/// Before the issuer is known there is nothing to say of the token.
impl From<Refusal> for Unverified {
    fn from(refusal: Refusal) -> Self {
        Self::Rejected {
            refusal,
            issuer: None,
            kid: None,
        }
    }
}

impl TrustedIssuer {
    fn new(issuer: &Issuer, keys: KeyRing) -> Self {
        Self {
            name: issuer.issuer.clone(),
            audiences: issuer.audiences.clone(),
            algorithms: issuer.algorithms.clone(),
            keys,
            typ: issuer.typ.clone(),
            claims: issuer.claims.clone(),
            leeway_seconds: issuer.leeway_seconds.into(),
        }
    }

    fn rejected(&self, refusal: Refusal, kid: Option<String>) -> Unverified {
        Unverified::Rejected {
            refusal,
            issuer: Some(self.name.clone()),
            kid,
        }
    }

    fn need_keys(&self) -> Option<NeedKeys> {
        self.keys.url().map(|url| NeedKeys {
            issuer: self.name.clone(),
            url: url.to_owned(),
        })
    }

    /// Answers with the generation of the keys.
    fn verify_signature(&self, now: i64, token: &UnverifiedToken<'_>) -> Result<u64, Unverified> {
        let kid = token.header.kid.as_deref();
        let rejected = |refusal| Err(self.rejected(refusal, token.header.kid.clone()));
        // The configuration chooses the algorithms, never the token (RFC 8725 §3.1): `none` is not a name we know.
        let Some(algorithm) = Algorithm::from_name(&token.header.alg)
            .filter(|algorithm| self.algorithms.contains(algorithm))
        else {
            return rejected(Refusal::AlgorithmNotAllowed);
        };
        if algorithm != Algorithm::HS256
            && self.keys.wanted(now)
            && let Some(need) = self.need_keys()
        {
            return Err(Unverified::NeedKeys(need));
        }
        let search = self.keys.with_key(now, kid, algorithm, |key, generation| {
            key.verifies(token.signing_input.as_bytes(), &token.signature)
                .then_some(generation)
        });
        match search {
            Search::Found(Some(generation)) => Ok(generation),
            Search::Found(None) => rejected(Refusal::BadSignature),
            Search::Unknown => rejected(Refusal::UnknownKey),
            Search::Unavailable => rejected(Refusal::KeysUnavailable),
            Search::Fetch => match self.need_keys() {
                Some(need) => Err(Unverified::NeedKeys(need)),
                None => rejected(Refusal::UnknownKey),
            },
        }
    }

    /// An ID token is no access token, though the same key signs both (RFC 8725 §3.11).
    fn verify_type(&self, typ: Option<&str>) -> Result<(), Refusal> {
        let Some(wanted) = &self.typ else {
            return Ok(());
        };
        // RFC 7515 §4.1.9: a media type, whose `application/` may be left out.
        let short = |typ: &str| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/")
                .map_or(typ.clone(), str::to_owned)
        };
        match typ {
            Some(typ) if short(typ) == short(wanted) => Ok(()),
            _ => Err(Refusal::UnexpectedType),
        }
    }

    fn verify_times(&self, now: i64, exp: i64, nbf: Option<i64>) -> Result<(), Refusal> {
        if now >= exp.saturating_add(self.leeway_seconds) {
            return Err(Refusal::Expired { exp, now });
        }
        match nbf {
            Some(nbf) if now < nbf.saturating_sub(self.leeway_seconds) => {
                Err(Refusal::NotYetValid { nbf, now })
            }
            _ => Ok(()),
        }
    }

    fn verify_claims(
        &self,
        now: i64,
        claims: Members,
        all: &[Self],
    ) -> Result<(Viewer, i64, Option<i64>), Refusal> {
        let exp = time_claim(&claims, "exp", f64::floor)?
            .ok_or(Refusal::MissingClaim { claim: "exp" })?;
        let nbf = time_claim(&claims, "nbf", f64::ceil)?;
        self.verify_times(now, exp, nbf)?;
        time_claim(&claims, "iat", f64::floor)?;
        let audiences = audience_claim(&claims)?;
        match &self.audiences {
            Audiences::Any => {}
            Audiences::OneOf(ours) => {
                if audiences.is_empty() {
                    return Err(Refusal::MissingClaim { claim: "aud" });
                }
                if !audiences
                    .iter()
                    .any(|audience| ours.iter().any(|our| our == audience))
                {
                    return Err(Refusal::WrongAudience);
                }
            }
        }
        let subject = text_claim(&claims, "sub")?.to_owned();
        let viewer = if self.name == SESSION_ISSUER {
            // Who vouched for it has to be trusted still; and a session does not vouch for another.
            let voucher = text_claim(&claims, VOUCHER)?;
            let is_trusted = |issuer: &Self| issuer.name == voucher && voucher != SESSION_ISSUER;
            let voucher = all
                .iter()
                .find(|issuer| is_trusted(issuer))
                .ok_or(Refusal::InvalidClaim { claim: VOUCHER })?;
            Viewer {
                is_session: true,
                ..Viewer::new(&voucher.name, subject, claims, exp)
            }
        } else {
            let accepted_until = exp.saturating_add(self.leeway_seconds);
            Viewer::new(&self.name, subject, claims, accepted_until)
        };
        match viewer.missing_claim(&self.claims) {
            None => Ok((viewer, exp, nbf)),
            Some(claim) => Err(Refusal::UnexpectedClaim {
                claim: claim.to_owned(),
            }),
        }
    }
}

/// A claim that must be there and be a text with something in it.
fn text_claim<'a>(claims: &'a Members, claim: &'static str) -> Result<&'a str, Refusal> {
    match claims.get(claim) {
        None => Err(Refusal::MissingClaim { claim }),
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(_) => Err(Refusal::InvalidClaim { claim }),
    }
}

/// A `NumericDate` (RFC 7519 §2), if it is there, rounded to whole seconds to the token's disadvantage.
fn time_claim(
    claims: &Members,
    claim: &'static str,
    round: fn(f64) -> f64,
) -> Result<Option<i64>, Refusal> {
    let Some(value) = claims.get(claim) else {
        return Ok(None);
    };
    let seconds = value
        .as_f64()
        .filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds))
        .ok_or(Refusal::InvalidClaim { claim })?;
    // Within the range just checked the cast loses the fraction and nothing else.
    #[allow(clippy::cast_possible_truncation)]
    let whole = round(seconds) as i64;
    Ok(Some(whole))
}

/// The audiences: one text or an array of texts (RFC 7519 §4.1.3); none if the claim is absent.
fn audience_claim(claims: &Members) -> Result<Vec<&str>, Refusal> {
    const INVALID: Refusal = Refusal::InvalidClaim { claim: "aud" };
    match claims.get("aud") {
        None => Ok(Vec::new()),
        Some(Value::String(audience)) => Ok(vec![audience]),
        Some(Value::Array(audiences)) => audiences
            .iter()
            .map(|audience| audience.as_str().ok_or(INVALID))
            .collect(),
        Some(_) => Err(INVALID),
    }
}

#[cfg(test)]
mod vectors;
