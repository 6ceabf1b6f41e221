//! The private key of a key pair whose public half is registered at `CloudFront`. It is parsed from PEM, zeroized on
//! drop, and never shown.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use p256::SecretKey;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::DecodePrivateKey as _;
use rustls_pki_types::PrivateKeyDer;
use zeroize::Zeroize as _;

use super::pem;
use crate::error::{SigningError, Violation};

/// 2048 bits: the only size that `CloudFront` accepts.
const RSA_BYTES: usize = 256;

/// A private key and the id of its public half at `CloudFront`.
pub struct KeyPair {
    id: String,
    key: PrivateKey,
}

enum PrivateKey {
    Rsa(Box<RsaKeyPair>),
    // RFC 6979: deterministic, so no bad random number can leak the key, and the signature is the same each time.
    P256(Box<SigningKey>),
}

impl KeyPair {
    /// Parses a key: RSA of 2048 bits or ECDSA on P-256, in PEM, as PKCS#8, PKCS#1 or SEC1, not encrypted. `id` is the
    /// id of the public key at `CloudFront`, such as `K2JCJMDEHXQW5F`.
    ///
    /// `pem` may have the form that environment variables and editors produce: with a byte order mark, in quotation
    /// marks, indented, or with line breaks written as `\n`.
    ///
    /// # Errors
    ///
    /// [`SigningError::KeyPairId`] or [`SigningError::PrivateKey`].
    pub fn from_pem(id: &str, pem: impl AsRef<[u8]>) -> Result<Self, SigningError> {
        let violation = match id.len() {
            0 => Some(Violation::Empty),
            _ if id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => None,
            _ => Some(Violation::Characters("letters and digits")),
        };
        if let Some(violation) = violation {
            return Err(SigningError::KeyPairId {
                id: id.to_owned(),
                violation,
            });
        }
        let key = read_pem(pem.as_ref()).map_err(|reason| SigningError::PrivateKey { reason })?;
        Ok(Self {
            id: id.to_owned(),
            key,
        })
    }

    /// The id of the public key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The signature of a policy with SHA-256: PKCS#1 v1.5 for RSA, DER for ECDSA.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match &self.key {
            PrivateKey::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .map_err(|_| SigningError::PrivateKey {
                    reason: "it cannot sign",
                })?;
                Ok(signature)
            }
            PrivateKey::P256(key) => {
                let signature: DerSignature = key.sign(message);
                Ok(signature.as_bytes().to_vec())
            }
        }
    }
}

fn read_pem(text: &[u8]) -> Result<PrivateKey, &'static str> {
    let mut der = pem::private_key_der(text)?;
    let key = read(&der);
    der.zeroize();
    key.ok_or("CloudFront takes RSA of 2048 bits and ECDSA on P-256 only")
}

fn read(der: &PrivateKeyDer<'_>) -> Option<PrivateKey> {
    let rsa = |key: Result<RsaKeyPair, _>| {
        let key = key.ok()?;
        (key.public_modulus_len() == RSA_BYTES).then(|| PrivateKey::Rsa(Box::new(key)))
    };
    let p256 = |key: SigningKey| PrivateKey::P256(Box::new(key));
    match der {
        PrivateKeyDer::Pkcs1(key) => rsa(RsaKeyPair::from_der(key.secret_pkcs1_der())),
        PrivateKeyDer::Pkcs8(key) => {
            let key = key.secret_pkcs8_der();
            rsa(RsaKeyPair::from_pkcs8(key))
                .or_else(|| SigningKey::from_pkcs8_der(key).ok().map(p256))
        }
        PrivateKeyDer::Sec1(key) => SecretKey::from_sec1_der(key.secret_sec1_der())
            .ok()
            .map(|key| p256(key.into())),
        _ => None,
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
