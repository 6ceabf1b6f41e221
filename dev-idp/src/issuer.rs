//! The issuer: one P-256 key, the tokens that it signs, and its JWK Set.
//!
//! The key is made on first use and stays in its file. No deployed system may trust it: everybody who can read the file
//! can sign in as anybody.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// An issuer with its private key.
pub struct Issuer {
    name: String,
    audience: String,
    key: EncodingKey,
    /// An uncompressed point.
    public_key: Vec<u8>,
    kid: String,
}

/// The reason that an issuer cannot be opened, or a token cannot be signed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// The folder of the key's file cannot be made or written to.
    #[error("the folder {} cannot be written to", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The disk's reason.
        source: io::Error,
    },
    /// The key's file cannot be read.
    #[error("the issuer's key {} cannot be read", file.display())]
    Read {
        /// The key's file.
        file: PathBuf,
        /// The disk's reason.
        source: io::Error,
    },
    /// The key's file holds something else.
    #[error("{} is not a P-256 key in PKCS#8; delete it to have a new one made", file.display())]
    NotAKey {
        /// The key's file.
        file: PathBuf,
    },
    /// A new key cannot be made.
    #[error("a key cannot be made; the system random number generator failed")]
    NoKey,
    /// A token cannot be signed.
    #[error("the token cannot be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

impl Issuer {
    /// An issuer whose key is forgotten with it. `name` is the `iss` of its tokens, `audience` their `aud`.
    ///
    /// # Errors
    ///
    /// [`IssuerError::NoKey`] if the system has no random numbers.
    pub fn ephemeral(name: &str, audience: &str) -> Result<Self, IssuerError> {
        Self::from_pkcs8(name, audience, &new_key()?).ok_or(IssuerError::NoKey)
    }

    /// The issuer whose key is in a file. The file and its folder are made if they are missing.
    ///
    /// # Errors
    ///
    /// An [`IssuerError`] that names the file or the folder.
    pub fn open(name: &str, audience: &str, file: &Path) -> Result<Self, IssuerError> {
        if !file.exists() {
            let folder = file.parent().unwrap_or(Path::new("."));
            create_key(folder, file)?;
        }
        let key = std::fs::read(file).map_err(|source| IssuerError::Read {
            file: file.to_owned(),
            source,
        })?;
        Self::from_pkcs8(name, audience, &key).ok_or_else(|| IssuerError::NotAKey {
            file: file.to_owned(),
        })
    }

    fn from_pkcs8(name: &str, audience: &str, pkcs8: &[u8]) -> Option<Self> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?;
        Some(Self {
            name: name.to_owned(),
            audience: audience.to_owned(),
            kid: BASE64URL_NOPAD.encode(&Sha256::digest(key.public_key())[..9]),
            public_key: key.public_key().as_ref().to_vec(),
            key: EncodingKey::from_ec_der(pkcs8),
        })
    }

    /// The `iss` of its tokens.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `aud` of its tokens.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The public key as a JWK Set.
    pub fn jwks(&self) -> Value {
        // 0x04, then both coordinates.
        let (x, y) = self.public_key[1..].split_at(32);
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
            "x": BASE64URL_NOPAD.encode(x),
            "y": BASE64URL_NOPAD.encode(y),
        }]})
    }

    /// A token for `subject`. `extra` claims are added, and replace the issuer's own of the same names.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Sign`] if the token cannot be signed.
    pub fn token(
        &self,
        now: Timestamp,
        subject: &str,
        lifetime: SignedDuration,
        extra: Map<String, Value>,
    ) -> Result<String, IssuerError> {
        let mut claims = Map::from_iter([
            ("iss".to_owned(), self.name.as_str().into()),
            ("aud".to_owned(), self.audience.as_str().into()),
            ("sub".to_owned(), subject.into()),
            ("iat".to_owned(), now.as_second().into()),
            (
                "exp".to_owned(),
                now.as_second().saturating_add(lifetime.as_secs()).into(),
            ),
        ]);
        claims.extend(extra);
        self.sign(&self.kid, &claims)
    }

    /// A token of any claims, signed with the key, whose header names `kid`.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Sign`] if the token cannot be signed.
    pub fn sign(&self, kid: &str, claims: &Map<String, Value>) -> Result<String, IssuerError> {
        let header = Header {
            kid: Some(kid.to_owned()),
            ..Header::new(jsonwebtoken::Algorithm::ES256)
        };
        jsonwebtoken::encode(&header, claims, &self.key).map_err(IssuerError::Sign)
    }
}

/// Makes a key and its file. Two processes may race for it: the first one's key stays.
fn create_key(folder: &Path, file: &Path) -> Result<(), IssuerError> {
    let unwritable = |source| IssuerError::Folder {
        folder: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    let key = new_key()?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(unwritable)?;
    temporary.write_all(&key).map_err(unwritable)?;
    match temporary.persist_noclobber(file) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => {
            Err(unwritable(failed.error))
        }
        _ => Ok(()),
    }
}

fn new_key() -> Result<Vec<u8>, IssuerError> {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
    Ok(pkcs8.map_err(|_| IssuerError::NoKey)?.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_that_is_opened_again_holds_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/key.p8");
        let open =
            || Issuer::open("https://idp.example", "shop", &file).map(|issuer| issuer.jwks());
        let keys = open().unwrap();
        assert_eq!(open().unwrap(), keys);
        let other = Issuer::ephemeral("https://idp.example", "shop").unwrap();
        assert_ne!(other.jwks(), keys);
        std::fs::write(&file, "not a key").unwrap();
        let error = open().unwrap_err().to_string();
        assert!(
            error.ends_with("delete it to have a new one made"),
            "{error}"
        );
    }
}
