//! The configuration of sessions: their keys and their lifetime.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::seconds;

/// Sessions: short-lived tokens that Gatepost signs in exchange for an issuer's token.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Session {
    /// Every key verifies; the newest whose [`from`](SessionKey::from) has passed signs.
    pub keys: Vec<SessionKey>,
    /// How many seconds a session lasts, unless the token that it was made from expires earlier.
    pub lifetime_seconds: u32,
}

/// One key that signs or verifies sessions.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SessionKey {
    /// Its name, in the header of every session that it signs. Unique among the keys.
    pub kid: String,
    /// When it begins to sign. Every verifier must have the key before then. A key without `from` signs from the start,
    /// and at most one key may lack it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub from: Option<Timestamp>,
    /// The key itself.
    pub material: SessionKeyMaterial,
}

/// The material of a session key, by algorithm.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub enum SessionKeyMaterial {
    /// ECDSA on P-256: a verifier that holds only the public half cannot make sessions.
    ES256 {
        /// The public key: a JWK (RFC 7517).
        public: Value,
        /// The private key in DER (PKCS #8 or SEC 1). Without it the key only verifies.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        private: Option<Secret>,
    },
    /// HMAC with a secret of at least 32 bytes. Every verifier can also make sessions.
    HS256 {
        /// The secret.
        secret: Secret,
    },
}

/// Secret bytes: base64url in JSON, and redacted in `Debug`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The bytes, for the code that signs.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl TryFrom<String> for Secret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        BASE64URL_NOPAD
            .decode(text.as_bytes())
            .map(Self)
            .map_err(|_| "a secret is base64url without padding")
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        BASE64URL_NOPAD.encode(&secret.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
