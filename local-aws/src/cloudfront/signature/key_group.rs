//! A trusted key group: the public keys whose signatures a behaviour accepts. Programs make one and give it to
//! [`Behaviour`](crate::cloudfront::Behaviour).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA1_ASN1, ECDSA_P256_SHA256_ASN1, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    VerificationAlgorithm,
};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use thiserror::Error;

use super::refusal::Refusal;

/// CloudFront's quota of keys in a group.
const MAX_KEYS: usize = 5;
/// The only size that CloudFront takes.
const RSA_BITS: usize = 2048;

/// Public keys with their ids at CloudFront. Clones share them.
#[derive(Clone)]
pub struct KeyGroup {
    keys: Arc<[TrustedKey]>,
}

/// Why keys are not a key group.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum KeyGroupError {
    /// The group is empty.
    #[error("the key group has no key; name at least one public key")]
    Empty,
    /// There are more keys than CloudFront takes.
    #[error("the key group has more than {MAX_KEYS} keys, CloudFront's quota; remove old keys")]
    TooMany,
    /// Two keys have one id.
    #[error("two keys have the id {id}; give each its own")]
    Duplicate {
        /// The id.
        id: String,
    },
    /// A text has no public key.
    #[error(
        "the key {id} is not a public key in PEM; pass the output of `openssl pkey -in FILE -pubout`"
    )]
    NotPem {
        /// The key's id.
        id: String,
    },
    /// A key is of another kind or size.
    #[error(
        "the key {id} is not one that CloudFront takes; use RSA of 2048 bits or ECDSA on P-256"
    )]
    Unsuitable {
        /// The key's id.
        id: String,
    },
}

/// A hash algorithm of signatures.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

/// One key, parsed for both hash algorithms.
pub(super) struct TrustedKey {
    id: String,
    with_sha1: ParsedPublicKey,
    with_sha256: ParsedPublicKey,
}

impl KeyGroup {
    /// A group of keys: for each its id at CloudFront, such as `K2JCJMDEHXQW5F`, and the text in PEM
    /// (`-----BEGIN PUBLIC KEY-----`) of an RSA key of 2048 bits or an ECDSA key on P-256.
    ///
    /// # Errors
    ///
    /// [`KeyGroupError`] if the group is empty or has more than five keys, or if one is not suitable.
    pub fn new(
        keys: impl IntoIterator<Item = (impl Into<String>, impl AsRef<[u8]>)>,
    ) -> Result<Self, KeyGroupError> {
        let mut ids = BTreeSet::new();
        let mut parsed = Vec::new();
        for (id, pem) in keys {
            let key = TrustedKey::parse(id.into(), pem.as_ref())?;
            if !ids.insert(key.id.clone()) {
                return Err(KeyGroupError::Duplicate { id: key.id });
            }
            parsed.push(key);
        }
        match parsed.len() {
            0 => Err(KeyGroupError::Empty),
            1..=MAX_KEYS => Ok(Self {
                keys: parsed.into(),
            }),
            _ => Err(KeyGroupError::TooMany),
        }
    }

    pub(super) fn find(&self, id: &str) -> Option<&TrustedKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}

impl fmt::Debug for KeyGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.keys.iter().map(|key| &key.id);
        f.debug_list().entries(ids).finish()
    }
}

impl TrustedKey {
    fn parse(id: String, pem: &[u8]) -> Result<Self, KeyGroupError> {
        let Ok(der) = SubjectPublicKeyInfoDer::from_pem_slice(pem) else {
            return Err(KeyGroupError::NotPem { id });
        };
        let [with_sha1, with_sha256]: [&'static dyn VerificationAlgorithm; 2] =
            match PublicEncryptingKey::from_der(&der) {
                Ok(rsa) if rsa.key_size_bits() == RSA_BITS => [
                    &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                    &RSA_PKCS1_2048_8192_SHA256,
                ],
                Ok(_) => return Err(KeyGroupError::Unsuitable { id }),
                Err(_) => [&ECDSA_P256_SHA1_ASN1, &ECDSA_P256_SHA256_ASN1],
            };
        match (
            ParsedPublicKey::new(with_sha1, &der),
            ParsedPublicKey::new(with_sha256, &der),
        ) {
            (Ok(with_sha1), Ok(with_sha256)) => Ok(Self {
                id,
                with_sha1,
                with_sha256,
            }),
            _ => Err(KeyGroupError::Unsuitable { id }),
        }
    }

    /// Checks the signature of a text: PKCS#1 v1.5 for RSA, DER for ECDSA.
    pub(super) fn verify(&self, hash: Hash, text: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let key = match hash {
            Hash::Sha1 => &self.with_sha1,
            Hash::Sha256 => &self.with_sha256,
        };
        key.verify_sig(text, signature)
            .map_err(|_| Refusal::WrongSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: &str = include_str!("../../../tests/keys/rsa-public.pem");
    const P256: &str = include_str!("../../../tests/keys/p256-public.pem");

    #[test]
    fn a_group_has_one_to_five_suitable_keys_with_different_ids() {
        let rsa_4096 = include_str!("../../../tests/keys/refused-rsa-4096-public.pem");
        let p384 = include_str!("../../../tests/keys/refused-p384-public.pem");
        let private = include_str!("../../../tests/keys/p256.pem");
        let id = || "B".to_owned();
        for (keys, fault) in [
            (vec![("A", RSA)], None),
            (vec![("A", RSA), ("B", P256)], None),
            (vec![], Some(KeyGroupError::Empty)),
            (
                ["A", "B", "C", "D", "E", "F"].map(|id| (id, P256)).to_vec(),
                Some(KeyGroupError::TooMany),
            ),
            (
                vec![("B", RSA), ("B", P256)],
                Some(KeyGroupError::Duplicate { id: id() }),
            ),
            (vec![("B", "")], Some(KeyGroupError::NotPem { id: id() })),
            (
                vec![("B", private)],
                Some(KeyGroupError::NotPem { id: id() }),
            ),
            (
                vec![("A", RSA), ("B", rsa_4096)],
                Some(KeyGroupError::Unsuitable { id: id() }),
            ),
            (
                vec![("B", p384)],
                Some(KeyGroupError::Unsuitable { id: id() }),
            ),
        ] {
            let ids: Vec<_> = keys.iter().map(|(id, _)| *id).collect();
            assert_eq!(KeyGroup::new(keys).err(), fault, "{ids:?}");
        }
    }
}
