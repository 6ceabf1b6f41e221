//! An issuer's public keys, each bound to its type, and to one algorithm where the set says which.
//!
//! Made of a JWK Set (RFC 7517). What a set says of its keys is honoured: `use`, `key_ops`, `alg`. A key of a kind
//! that we do not know is skipped, as RFC 7517 §5 asks; a key that is dangerous is a configuration fault.

use std::collections::HashSet;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::DecodingKey;
use serde_json::Value;

use crate::config::Algorithm;
use crate::refusal::Refusal;

/// The smallest RSA modulus that RFC 7518 §3.3 allows.
const MIN_RSA_BITS: usize = 2048;

/// The keys that one issuer's tokens are verified with.
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

struct Key {
    kid: Option<String>,
    family: Family,
    /// Its `alg`: the one algorithm that it may be used with.
    algorithm: Option<Algorithm>,
    decoding: DecodingKey,
}

/// The types of keys that we verify with. A key never serves another type's algorithm (RFC 8725 §3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Family {
    fn of(algorithm: Algorithm) -> Self {
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
        }
    }
}

impl KeySet {
    /// Reads a JWK Set; the errors are sentences about it.
    pub(crate) fn new(jwks: &Value) -> Result<Self, Vec<String>> {
        let Some(entries) = jwks.get("keys").and_then(Value::as_array) else {
            return Err(vec![
                "it is no JWK Set: there is no array `keys`".to_owned(),
            ]);
        };
        let mut keys = Vec::new();
        let mut faults = Vec::new();
        let mut seen = HashSet::new();
        for (idx, entry) in entries.iter().enumerate() {
            match Key::new(entry) {
                Ok(Some(key)) => {
                    // Of two keys with one `kid`, which verifies would depend on their order.
                    if key.kid.is_some() && !seen.insert(key.kid.clone()) {
                        faults.push(format!("keys[{idx}]: its kid stands twice in the set"));
                    }
                    keys.push(key);
                }
                Ok(None) => {}
                Err(fault) => faults.push(format!("keys[{idx}]: {fault}")),
            }
        }
        if keys.is_empty() && faults.is_empty() {
            faults.push(
                "it holds no public key that verifies tokens: RSA, P-256, P-384 or Ed25519"
                    .to_owned(),
            );
        }
        if faults.is_empty() {
            Ok(Self { keys })
        } else {
            Err(faults)
        }
    }

    /// The one key that a token with this header can be verified with.
    pub(crate) fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&DecodingKey, Refusal> {
        let unknown = || Refusal::UnknownKey {
            kid: kid.map(str::to_owned),
        };
        let mut matching = self
            .keys
            .iter()
            .filter(|key| key.serves(algorithm) && (kid.is_none() || key.kid.as_deref() == kid));
        match (matching.next(), matching.next()) {
            (Some(key), None) => Ok(&key.decoding),
            // Without a `kid` the choice must be clear: trying one key after another is a way to be surprised.
            _ => Err(unknown()),
        }
    }
}

impl Key {
    fn serves(&self, algorithm: Algorithm) -> bool {
        self.family == Family::of(algorithm) && self.algorithm.is_none_or(|only| only == algorithm)
    }

    fn new(jwk: &Value) -> Result<Option<Self>, String> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if jwk.get("d").is_some() {
            return Err(
                "it is a private key, which has no place here; publish only its public half"
                    .to_owned(),
            );
        }
        // What is there must be of the right type and fit: a key with an odd `use` is not one without.
        let is_absent_or =
            |name: &str, fits: &dyn Fn(&Value) -> bool| jwk.get(name).is_none_or(fits);
        let verifies = is_absent_or("use", &|usage| usage == "sig")
            && is_absent_or("key_ops", &|ops| {
                ops.as_array()
                    .is_some_and(|ops| ops.iter().any(|op| op == "verify"))
            });
        if !verifies {
            return Ok(None);
        }
        let member = |name: &str| text(name).ok_or_else(|| format!("`{name}` is missing"));
        let octets = |name: &str| {
            BASE64URL_NOPAD
                .decode(member(name)?.as_bytes())
                .map_err(|_| format!("`{name}` is not base64url"))
        };
        let curve = |family, bytes: usize| {
            if octets("x")?.len() != bytes || octets("y")?.len() != bytes {
                return Err(format!("a coordinate of its curve has {bytes} bytes"));
            }
            DecodingKey::from_ec_components(member("x")?, member("y")?)
                .map(|key| (family, key))
                .map_err(|error| error.to_string())
        };
        let (family, decoding) = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => {
                let (modulus, exponent) = (octets("n")?, octets("e")?);
                let bits = bit_length(&modulus);
                if bits < MIN_RSA_BITS {
                    return Err(format!(
                        "its RSA modulus has {bits} bits; at least {MIN_RSA_BITS} are needed"
                    ));
                }
                let key = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
                (Family::Rsa, key)
            }
            (Some("EC"), Some("P-256")) => curve(Family::P256, 32)?,
            (Some("EC"), Some("P-384")) => curve(Family::P384, 48)?,
            (Some("OKP"), Some("Ed25519")) => {
                if octets("x")?.len() != 32 {
                    return Err("an Ed25519 key has 32 bytes".to_owned());
                }
                let key = DecodingKey::from_ed_components(member("x")?)
                    .map_err(|error| error.to_string())?;
                (Family::Ed25519, key)
            }
            // Symmetric keys have no place in a published set, and others we do not verify with.
            _ => return Ok(None),
        };
        let algorithm = match jwk.get("alg") {
            None => None,
            Some(alg) => match alg.as_str().and_then(Algorithm::from_name) {
                Some(algorithm) if Family::of(algorithm) == family => Some(algorithm),
                // It is for something else.
                _ => return Ok(None),
            },
        };
        Ok(Some(Self {
            kid: text("kid").map(str::to_owned),
            family,
            algorithm,
            decoding,
        }))
    }
}

/// The bits of a big-endian number.
fn bit_length(octets: &[u8]) -> usize {
    let zeros = octets.iter().take_while(|&&octet| octet == 0).count();
    octets[zeros..].first().map_or(0, |first| {
        (octets.len() - zeros) * 8 - first.leading_zeros() as usize
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn p256(extra: &Value) -> Value {
        // RFC 7517, appendix A.1.
        let mut key = json!({
            "kty": "EC", "crv": "P-256", "kid": "1",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        });
        for (name, value) in extra.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    #[test]
    fn what_a_set_says_of_a_key_is_honoured() {
        for (extra, usable) in [
            (json!({}), true),
            (
                json!({"use": "sig", "alg": "ES256", "key_ops": ["verify"]}),
                true,
            ),
            (json!({"use": "enc"}), false),
            (json!({"key_ops": ["sign"]}), false),
            (json!({"key_ops": "verify"}), false),
            (json!({"use": ["sig"]}), false),
            (json!({"alg": "ES384"}), false),
            (json!({"crv": "P-521"}), false),
            (json!({"kty": "OKP"}), false),
            (json!({"kty": "oct", "k": "AAAA"}), false),
        ] {
            let set = KeySet::new(&json!({"keys": [p256(&extra)]}));
            assert_eq!(
                set.is_ok_and(|set| set.find(Some("1"), Algorithm::ES256).is_ok()),
                usable,
                "{extra}"
            );
        }
    }

    #[test]
    fn a_dangerous_set_is_a_fault() {
        for (jwks, fault) in [
            (json!([]), "it is no JWK Set: there is no array `keys`"),
            (
                json!({"keys": []}),
                "it holds no public key that verifies tokens: RSA, P-256, P-384 or Ed25519",
            ),
            (
                json!({"keys": [p256(&json!({"d": "AA"}))]}),
                "keys[0]: it is a private key, which has no place here; publish only its public half",
            ),
            (
                json!({"keys": [p256(&json!({})), p256(&json!({}))]}),
                "keys[1]: its kid stands twice in the set",
            ),
            (
                json!({"keys": [p256(&json!({"x": "AAAA"}))]}),
                "keys[0]: a coordinate of its curve has 32 bytes",
            ),
            (
                json!({"keys": [{"kty": "RSA", "n": "AAD_", "e": "AQAB"}]}),
                "keys[0]: its RSA modulus has 8 bits; at least 2048 are needed",
            ),
        ] {
            assert_eq!(KeySet::new(&jwks).err(), Some(vec![fault.to_owned()]));
        }
    }

    #[test]
    fn a_key_is_found_by_kid_and_algorithm_or_not_at_all() {
        let set = KeySet::new(&json!({"keys": [p256(&json!({})), p256(&json!({"kid": "2"}))]}))
            .unwrap_or_else(|faults| panic!("{faults:?}"));
        assert!(set.find(Some("2"), Algorithm::ES256).is_ok());
        for (kid, algorithm) in [
            (Some("3"), Algorithm::ES256),
            (Some("1"), Algorithm::RS256),
            (None, Algorithm::ES256),
        ] {
            assert!(set.find(kid, algorithm).is_err(), "{kid:?}");
        }
    }
}
