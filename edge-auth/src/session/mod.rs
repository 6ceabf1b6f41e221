//! Gatepost's sessions: a token that is verified once becomes a short-lived token for a cookie.
//!
//! A script holds the identity provider's token, but the images on a page cannot send it. The session carries the
//! claims of that token. Two vocabularies are kept apart. The session's own claims are at the top level; the claims
//! that it retained of the original token are in the member `token`, by claim path. Rules read only the latter, so a
//! rule means the same for both.
//!
//! | claim | what it is |
//! |---|---|
//! | `iss`, `aud` | [`SESSION_ISSUER`] |
//! | `iat`, `exp` | when the session was made, and when it ends |
//! | `block` | the name of the issuer block that accepted the token |
//! | `owner` | the owner, if the token names one |
//! | `token` | each claim that rules or blocks require, `null` where the token lacks it |
//!
//! A session expires no later than its token, and a session cannot be made from a session.

#[cfg(feature = "signing")]
mod signing;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::config::{
    Algorithm, ConfigFault, Issuer, Secrets, Session, SessionKey, SessionKeyMaterial,
};
use crate::identity::Owner;
use crate::keys::jwk_set::KeySet;
use crate::keys::material::Material;
use crate::refusal::Refusal;
use crate::token::jws::Header;
use crate::token::{ClaimId, ClaimPlan, ClaimSet};

#[cfg(feature = "signing")]
pub(crate) use signing::SessionIssuer;

/// The `iss` and the `aud` of sessions. No configured issuer may have this name.
pub const SESSION_ISSUER: &str = "urn:gatepost:session";

/// The cookie that holds a session. A browser accepts a `__Host-` cookie only from the host itself, with `Secure`, for
/// all paths. Another host of the domain therefore cannot replace it with its own (RFC 6265bis §4.1.3.2).
pub const SESSION_COOKIE: &str = "__Host-gatepost";

/// The `typ` of sessions: a token with another `typ` is never read as a session, nor a session as another token.
pub(crate) const TYP: &str = "gatepost-session+jwt";

/// Browsers keep cookies of up to 4096 bytes: name, value and attributes together (RFC 6265bis §5.6).
pub const MAX_SESSION_BYTES: usize = 3800;

/// The maximum configurable lifetime.
const MAX_LIFETIME_SECONDS: u32 = 12 * 3600;

/// A session, ready for its cookie. It is a bearer token, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken {
    /// The token.
    pub token: String,
    /// When it expires, in whole seconds.
    pub expires_at: Timestamp,
}

/// Why no session was made.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoSession {
    /// Sessions are not configured.
    #[error("sessions are not configured")]
    NotConfigured,
    /// No key's `from` has passed, or the private half of the current key is not here.
    #[error("no session key signs yet, or the private half of the signing key is missing")]
    NoSigningKey,
    /// The viewer's token is itself a session.
    #[error("a session cannot be renewed with its own cookie; send your provider's token")]
    OfASession,
    /// The claims that rules require do not fit into a cookie.
    #[error("the session has {bytes} bytes, more than the {MAX_SESSION_BYTES} that a cookie holds")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}

/// The first segment of every session that an HS256 key of this name signs, and so the name of its secret in a store that
/// is looked up by it: the base64url of the header, whose bytes never vary.
pub fn shared_session_header(kid: &str) -> String {
    header_segment(Algorithm::HS256, kid)
}

fn header_segment(algorithm: Algorithm, kid: &str) -> String {
    // By hand, so that the order of the members does not depend on a feature of serde_json.
    let header = format!(
        r#"{{"alg":"{}","kid":{},"typ":"{TYP}"}}"#,
        algorithm.name(),
        Value::from(kid)
    );
    BASE64URL_NOPAD.encode(header.as_bytes())
}

impl SessionKey {
    /// A key from its public half in DER (`SubjectPublicKeyInfo`), which only verifies.
    ///
    /// # Errors
    ///
    /// A sentence without its subject if this is not a public key on P-256.
    pub fn from_public_der(kid: impl Into<String>, der: &[u8]) -> Result<Self, &'static str> {
        // RFC 5480 §2: the header of every P-256 key that is an uncompressed point.
        const HEADER: [u8; 26] = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
            0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        match der.strip_prefix(&HEADER) {
            Some(point) if point.len() == 65 => Ok(Self::es256(kid.into(), point, None)),
            _ => Err("is not a public key on the curve P-256"),
        }
    }

    fn es256(kid: String, point: &[u8], private: Option<Vec<u8>>) -> Self {
        // An uncompressed point: 0x04, then both coordinates.
        let (x, y) = point[1..].split_at(32);
        Self {
            kid,
            from: None,
            material: SessionKeyMaterial::ES256 {
                public: json!({
                    "kty": "EC", "crv": "P-256",
                    "x": BASE64URL_NOPAD.encode(x),
                    "y": BASE64URL_NOPAD.encode(y),
                }),
                private: private.map(Into::into),
            },
        }
    }

    fn algorithm(&self) -> Algorithm {
        match &self.material {
            SessionKeyMaterial::ES256 { .. } => Algorithm::ES256,
            SessionKeyMaterial::HS256 { .. } => Algorithm::HS256,
        }
    }

    /// As a JWK that verifies.
    fn jwk(&self) -> Value {
        let mut jwk = match &self.material {
            SessionKeyMaterial::ES256 { public, .. } => public.clone(),
            SessionKeyMaterial::HS256 { secret } => {
                json!({"kty": "oct", "k": BASE64URL_NOPAD.encode(secret.bytes())})
            }
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["alg"] = self.algorithm().name().into();
        jwk
    }
}

/// The verifier of sessions.
pub(crate) struct Sessions {
    public: KeySet,
    secrets: KeySet,
    plan: ClaimPlan,
    claims: SessionClaims,
}

struct SessionClaims {
    iss: ClaimId,
    aud: ClaimId,
    exp: ClaimId,
    block: ClaimId,
    owner: ClaimId,
    token: ClaimId,
}

/// A session with a valid signature and valid times.
pub(crate) struct VerifiedSession {
    pub(crate) block: String,
    pub(crate) owner: Option<Owner>,
    pub(crate) exp: i64,
    pub(crate) retained: Map<String, Value>,
}

impl Sessions {
    /// Parses the keys, and reports every fault of the configuration.
    pub(crate) fn new(
        session: &Session,
        issuers: &[Issuer],
        faults: &mut Vec<ConfigFault>,
    ) -> Self {
        if session.lifetime_seconds == 0 || session.lifetime_seconds > MAX_LIFETIME_SECONDS {
            let message = "a session lasts at least a second and at most 12h";
            faults.push(ConfigFault::new("session.lifetime", message));
        }
        check_keys(&session.keys, faults);
        check_shared(&session.keys, issuers, faults);
        let mut plan = ClaimPlan::default();
        let claims = SessionClaims {
            iss: plan.read("iss"),
            aud: plan.read("aud"),
            exp: plan.read("exp"),
            block: plan.read("block"),
            owner: plan.read("owner"),
            token: plan.read("token"),
        };
        let of = |algorithm| {
            let keys = session
                .keys
                .iter()
                .filter(move |key| key.algorithm() == algorithm);
            json!({ "keys": keys.map(SessionKey::jwk).collect::<Vec<_>>() })
        };
        // Faults of single keys were reported above.
        let public = KeySet::public(&of(Algorithm::ES256), &[Algorithm::ES256]);
        let secrets = KeySet::secrets(&of(Algorithm::HS256), &[Algorithm::HS256]);
        Self {
            public: public.unwrap_or_default(),
            secrets: secrets.unwrap_or_default(),
            plan,
            claims,
        }
    }

    /// Verifies the signature, claims and times of a session's token.
    pub(crate) fn verify(
        &self,
        now: i64,
        header: &Header,
        signing_input: &str,
        signature: &[u8],
        payload: &[u8],
    ) -> Result<VerifiedSession, Refusal> {
        let (keys, algorithm) = match header.alg.as_str() {
            "ES256" => (&self.public, Algorithm::ES256),
            "HS256" => (&self.secrets, Algorithm::HS256),
            _ => return Err(Refusal::AlgorithmNotAllowed),
        };
        // Every session names its key.
        let key = header
            .kid
            .as_deref()
            .and_then(|kid| keys.find(Some(kid), algorithm, |_| true));
        let key: &Material = key.ok_or(Refusal::UnknownKey)?;
        if !key.verifies(signing_input.as_bytes(), signature) {
            return Err(Refusal::BadSignature);
        }
        let mut claims = self
            .plan
            .parse(payload)
            .map_err(|_| Refusal::MalformedToken(crate::refusal::Malformed::Claims))?;
        let SessionClaims {
            iss,
            aud,
            exp,
            block,
            owner,
            token,
        } = self.claims;
        if claims.get(iss) != Some(&SESSION_ISSUER.into()) {
            return Err(Refusal::UnknownIssuer);
        }
        if claims.get(aud) != Some(&SESSION_ISSUER.into()) {
            return Err(Refusal::WrongAudience);
        }
        let exp = claims.get(exp).and_then(Value::as_i64);
        let exp = exp.ok_or(Refusal::InvalidClaim { claim: "exp" })?;
        if now >= exp {
            return Err(Refusal::Expired { exp, now });
        }
        let owner = owner_claim(&claims, owner)?;
        let Some(Value::String(block)) = claims.take(block) else {
            return Err(Refusal::InvalidClaim { claim: "block" });
        };
        let Some(Value::Object(retained)) = claims.take(token) else {
            return Err(Refusal::InvalidClaim { claim: "token" });
        };
        Ok(VerifiedSession {
            block,
            owner,
            exp,
            retained,
        })
    }
}

fn owner_claim(claims: &ClaimSet, id: ClaimId) -> Result<Option<Owner>, Refusal> {
    match claims.get(id) {
        None => Ok(None),
        Some(claim) => claim
            .as_str()
            .and_then(Owner::parse)
            .map(Some)
            .ok_or(Refusal::InvalidClaim { claim: "owner" }),
    }
}

/// An issuer that also had a session secret could make sessions from any other issuer's tokens.
fn check_shared(keys: &[SessionKey], issuers: &[Issuer], faults: &mut Vec<ConfigFault>) {
    let secrets = issuers.iter().filter_map(|issuer| issuer.secrets.as_ref());
    let shared: Vec<&Value> = secrets
        .filter_map(|Secrets(set)| set["keys"].as_array())
        .flatten()
        .map(|key| &key["k"])
        .collect();
    for (idx, key) in keys.iter().enumerate() {
        if shared.contains(&&key.jwk()["k"]) && key.algorithm() == Algorithm::HS256 {
            let message =
                "an issuer has the same secret, and could make sessions; give each its own";
            faults.push(ConfigFault::new(format!("session.keys[{idx}]"), message));
        }
    }
}

/// The faults of each key, alone and together with the others.
fn check_keys(keys: &[SessionKey], faults: &mut Vec<ConfigFault>) {
    if keys.is_empty() {
        faults.push(ConfigFault::new("session.keys", "name at least one key"));
    }
    for (idx, key) in keys.iter().enumerate() {
        let mut fault = |name: &str, message: String| {
            faults.push(ConfigFault::new(
                format!("session.keys[{idx}]{name}"),
                message,
            ));
        };
        if key.kid.is_empty() {
            fault(".kid", "is empty; a session must name its key".to_owned());
        } else if key.kid.len() > 128 || !key.kid.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message =
                "is in every session's header; use at most 128 printable ASCII characters";
            fault(".kid", message.to_owned());
        }
        let set = json!({ "keys": [key.jwk()] });
        let algorithm = key.algorithm();
        let read = match algorithm {
            Algorithm::HS256 => KeySet::secrets(&set, &[algorithm]),
            _ => KeySet::public(&set, &[algorithm]),
        };
        if !key.kid.is_empty() {
            for message in read.err().into_iter().flatten() {
                let message = message.strip_prefix("keys[0]: ").unwrap_or(&message);
                fault("", message.to_owned());
            }
        }
        let earlier = &keys[..idx];
        if earlier.iter().any(|other| other.kid == key.kid) {
            fault(".kid", "another key has this kid".to_owned());
        }
        if earlier.iter().any(|other| other.from == key.from) {
            fault(
                ".from",
                match key.from {
                    None => "is missing: only one of several keys may sign from the start, so that it is clear which signs when".to_owned(),
                    Some(_) => "another key begins to sign at the same time".to_owned(),
                },
            );
        }
    }
}

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
