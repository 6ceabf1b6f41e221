//! Makes sessions. Only a holder of a private key or a secret can; the edge is built without this module (feature
//! `signing`).

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde_json::json;

use super::{MAX_SESSION_BYTES, NoSession, SESSION_ISSUER, SessionToken, header_segment};
use crate::config::{ConfigFault, Session, SessionKey, SessionKeyMaterial};
use crate::identity::Viewer;
use crate::token::ClaimPlan;

impl SessionKey {
    /// A key from its private half in DER (PKCS #8 or SEC 1), which signs and verifies.
    ///
    /// # Errors
    ///
    /// A sentence without its subject if this is not a private key on P-256.
    pub fn from_private_der(kid: impl Into<String>, der: &[u8]) -> Result<Self, &'static str> {
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map_err(|_| "is not a private key on the curve P-256")?;
        Ok(Self::es256(
            kid.into(),
            pair.public_key().as_ref(),
            Some(der.to_vec()),
        ))
    }

    /// Whether it can sign sessions here.
    pub fn can_sign(&self) -> bool {
        match &self.material {
            SessionKeyMaterial::ES256 { private, .. } => private.is_some(),
            SessionKeyMaterial::HS256 { .. } => true,
        }
    }

    /// Adds the private half (DER) to a key that only verifies, if the two match. Answers whether they do.
    pub fn accept_private_der(&mut self, der: &[u8]) -> bool {
        let Ok(whole) = Self::from_private_der(self.kid.as_str(), der) else {
            return false;
        };
        match (&mut self.material, whole.material) {
            (
                SessionKeyMaterial::ES256 { public, private },
                SessionKeyMaterial::ES256 {
                    public: ours,
                    private: Some(half),
                },
            ) if *public == ours => {
                *private = Some(half);
                true
            }
            _ => false,
        }
    }
}

/// Issues sessions, with the newest key whose time has come.
pub(crate) struct SessionIssuer {
    keys: Vec<(SessionKey, Option<Signer>)>,
    lifetime_seconds: i64,
}

enum Signer {
    Ecdsa(EcdsaKeyPair),
    Hmac(Box<hmac::Key>),
}

impl SessionIssuer {
    /// Parses the keys that sign. A private half that does not match its public half is a fault.
    pub(crate) fn new(session: &Session, faults: &mut Vec<ConfigFault>) -> Self {
        for (idx, key) in session.keys.iter().enumerate() {
            let SessionKeyMaterial::ES256 {
                public,
                private: Some(private),
            } = &key.material
            else {
                continue;
            };
            let whole = SessionKey::from_private_der("", private.bytes()).map(|key| key.material);
            let is_its_own = matches!(
                whole,
                Ok(SessionKeyMaterial::ES256 { public: ours, .. }) if ours == *public
            );
            if !is_its_own {
                let message = "the private half belongs to another key";
                faults.push(ConfigFault::new(format!("session.keys[{idx}]"), message));
            }
        }
        let keys = session.keys.iter();
        Self {
            keys: keys.map(|key| (key.clone(), Signer::new(key))).collect(),
            lifetime_seconds: session.lifetime_seconds.into(),
        }
    }

    /// Makes a session from the viewer's token.
    pub(crate) fn make(
        &self,
        now: Timestamp,
        viewer: &Viewer,
        block: &str,
        plan: &ClaimPlan,
    ) -> Result<SessionToken, NoSession> {
        if viewer.is_session {
            return Err(NoSession::OfASession);
        }
        let has_come = |key: &SessionKey| key.from.is_none_or(|from| from <= now);
        let coming = self.keys.iter().filter(|(key, _)| has_come(key));
        let (key, signer) = coming
            .max_by_key(|(key, _)| key.from)
            .and_then(|(key, signer)| Some((key, signer.as_ref()?)))
            .ok_or(NoSession::NoSigningKey)?;
        let iat = now.as_second();
        let exp = iat
            .saturating_add(self.lifetime_seconds)
            .min(viewer.expires_at_second);
        let mut claims = json!({
            "iss": SESSION_ISSUER,
            "aud": SESSION_ISSUER,
            "iat": iat,
            "exp": exp,
            "block": block,
            "token": plan.retained_claims(&viewer.claims),
        });
        if let Some(owner) = &viewer.owner {
            claims["owner"] = owner.as_str().into();
        }
        let header = header_segment(key.algorithm(), &key.kid);
        let claims = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
        let mut token = format!("{header}.{claims}");
        let signature = signer
            .sign(token.as_bytes())
            .ok_or(NoSession::NoSigningKey)?;
        token.push('.');
        token.push_str(&BASE64URL_NOPAD.encode(&signature));
        match token.len() {
            bytes if bytes > MAX_SESSION_BYTES => Err(NoSession::TooLarge { bytes }),
            _ => Ok(SessionToken {
                token,
                expires_at: Timestamp::from_second(exp).unwrap_or(now),
            }),
        }
    }
}

impl Signer {
    fn new(key: &SessionKey) -> Option<Self> {
        match &key.material {
            SessionKeyMaterial::ES256 { private, .. } => {
                let der = private.as_ref()?.bytes();
                EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                    .ok()
                    .map(Self::Ecdsa)
            }
            SessionKeyMaterial::HS256 { secret } => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.bytes());
                Some(Self::Hmac(Box::new(key)))
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Ecdsa(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).ok()?;
                Some(signature.as_ref().to_vec())
            }
            Self::Hmac(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
        }
    }
}
