//! Key material, parsed for one algorithm and ready to verify with AWS-LC.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, VerificationAlgorithm,
};

use crate::config::Algorithm;
use crate::keys::roca;

/// The accepted RSA moduli. RFC 7518 §3.3 sets the minimum; verification beyond the maximum takes milliseconds.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A key, ready to verify with one algorithm.
pub(crate) enum Material {
    Public(ParsedPublicKey),
    Secret(Box<hmac::Key>),
}

/// The supported key types. A key never serves another type's algorithm (RFC 8725 §3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
    Secret,
}

impl Family {
    /// The key type that an algorithm needs.
    pub(super) fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => Self::Rsa,
            Algorithm::ES256 => Self::P256,
            Algorithm::ES384 => Self::P384,
            Algorithm::EdDSA => Self::Ed25519,
            Algorithm::HS256 => Self::Secret,
        }
    }
}

impl Material {
    /// An RSA key from its modulus and exponent, both big-endian.
    pub(super) fn rsa(
        modulus: &[u8],
        exponent: &[u8],
        algorithm: Algorithm,
    ) -> Result<Self, String> {
        rsa_key(modulus, exponent, rsa_parameters(algorithm)).map(Self::Public)
    }

    /// A P-256 key from its uncompressed point.
    pub(super) fn p256(point: &[u8]) -> Result<Self, String> {
        parse_key(&ECDSA_P256_SHA256_FIXED, point).map(Self::Public)
    }

    /// A P-384 key from its uncompressed point.
    pub(super) fn p384(point: &[u8]) -> Result<Self, String> {
        parse_key(&ECDSA_P384_SHA384_FIXED, point).map(Self::Public)
    }

    /// An Ed25519 key.
    pub(super) fn ed25519(key: &[u8]) -> Result<Self, String> {
        if key.len() != 32 {
            return Err("an Ed25519 key has 32 bytes".to_owned());
        }
        parse_key(&ED25519, key).map(Self::Public)
    }

    /// A secret for HS256.
    pub(super) fn secret(secret: &[u8]) -> Self {
        Self::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// Whether this is a valid signature of the message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Public(key) => key.verify_sig(message, signature).is_ok(),
            Self::Secret(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

/// Key material stays out of logs, public or not.
impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Public(_) => "Public",
            Self::Secret(_) => "Secret",
        })
    }
}

fn parse_key(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
) -> Result<ParsedPublicKey, String> {
    ParsedPublicKey::new(algorithm, key).map_err(|error| format!("it is not a usable key: {error}"))
}

fn rsa_key(
    modulus: &[u8],
    exponent: &[u8],
    parameters: &'static RsaParameters,
) -> Result<ParsedPublicKey, String> {
    let bits = bit_length(modulus);
    if !RSA_BITS.contains(&bits) {
        return Err(format!(
            "its RSA modulus has {bits} bits; {} to {} are accepted",
            RSA_BITS.start(),
            RSA_BITS.end()
        ));
    }
    // With exponent 1 every message is its own signature.
    if bit_length(exponent) < 2 {
        return Err("its RSA exponent is less than 2".to_owned());
    }
    if exponent.last().is_some_and(|last| last % 2 == 0) {
        return Err("its RSA exponent is even, which no RSA key has".to_owned());
    }
    if roca::is_suspect(modulus) {
        return Err(
            "its RSA modulus comes from a generator whose keys can be factored (CVE-2017-15361)"
                .to_owned(),
        );
    }
    let trimmed = |number: &[u8]| {
        let zeros = number.iter().take_while(|&&octet| octet == 0).count();
        number[zeros..].to_vec()
    };
    let components = RsaPublicKeyComponents {
        n: trimmed(modulus),
        e: trimmed(exponent),
    };
    components
        .to_parsed_public_key(parameters)
        .map_err(|error| format!("it is not a usable key: {error}"))
}

fn rsa_parameters(algorithm: Algorithm) -> &'static RsaParameters {
    match algorithm {
        Algorithm::RS384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &RSA_PSS_2048_8192_SHA512,
        _ => &RSA_PKCS1_2048_8192_SHA256,
    }
}

/// The bit length of a big-endian number.
fn bit_length(octets: &[u8]) -> usize {
    let zeros = octets.iter().take_while(|&&octet| octet == 0).count();
    octets[zeros..].first().map_or(0, |first| {
        (octets.len() - zeros) * 8 - first.leading_zeros() as usize
    })
}
