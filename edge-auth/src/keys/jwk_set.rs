//! An issuer's keys, each bound to its type, to its algorithms, and to one algorithm where the set names it.
//!
//! Keys come from JWK Sets (RFC 7517). They are parsed once, for every algorithm that they will be used with. Which key
//! verifies a token is chosen here, and the choice is never ambiguous.

use serde_json::Value;

use crate::config::{Algorithm, TENANT_PLACEHOLDER};
use crate::keys::jwk::{Key, public_key, secret_key};
use crate::keys::material::Material;

/// The keys that one issuer's tokens are verified with.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
    /// Whether a key is for all tenants, as Entra marks it. Only then does the `issuer` member of a key restrict it.
    is_tenant_independent: bool,
}

const NO_KEY: &str = "it holds no public key that verifies one of the issuer's algorithms";

impl KeySet {
    /// Parses a JWK Set of public keys for these algorithms; the errors are sentences about it.
    pub(crate) fn public(jwks: &Value, algorithms: &[Algorithm]) -> Result<Self, Vec<String>> {
        let (set, mut faults) = Self::read(jwks, algorithms, public_key)?;
        faults.extend(set.unusable_without_kid());
        if !faults.is_empty() {
            return Err(faults);
        }
        if set.keys.is_empty() {
            return Err(vec![NO_KEY.to_owned()]);
        }
        Ok(set)
    }

    /// Parses a fetched JWK Set: a fault in one key drops that key and not the others. A set without any key is a valid
    /// answer, because an issuer may withdraw its only key.
    pub(crate) fn fetched(
        jwks: &Value,
        algorithms: &[Algorithm],
    ) -> Result<(Self, Vec<String>), Vec<String>> {
        let (set, mut faults) = Self::read(jwks, algorithms, public_key)?;
        if set.keys.is_empty() {
            faults.push(NO_KEY.to_owned());
        }
        Ok((set, faults))
    }

    /// Parses a JWK Set of secrets.
    pub(crate) fn secrets(jwks: &Value, algorithms: &[Algorithm]) -> Result<Self, Vec<String>> {
        let (set, mut faults) = Self::read(jwks, algorithms, secret_key)?;
        faults.extend(set.unusable_without_kid());
        if set.keys.is_empty() && faults.is_empty() {
            faults.push("it holds no secret".to_owned());
        }
        if faults.is_empty() {
            Ok(set)
        } else {
            Err(faults)
        }
    }

    /// Reports a key without a `kid` that is never chosen, because another key could be meant.
    fn unusable_without_kid(&self) -> Option<String> {
        let is_for_one = |key: &Key, other: &Key| {
            let mut algorithms = key.uses.iter().map(|(algorithm, _)| *algorithm);
            algorithms.any(|algorithm| other.is_for(algorithm))
        };
        let mut unnamed = self
            .keys
            .iter()
            .enumerate()
            .filter(|(_, key)| key.kid.is_none());
        let is_ambiguous = unnamed.any(|(idx, key)| {
            let mut others = self
                .keys
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != idx);
            others.any(|(_, other)| is_for_one(key, other))
        });
        is_ambiguous.then(|| {
            "a key without a kid shares its algorithm with another key, so no token can select it: give each key a kid".to_owned()
        })
    }

    /// Parses the usable keys, and reports what is wrong with the others.
    fn read(
        jwks: &Value,
        algorithms: &[Algorithm],
        read_key: impl Fn(&Value, &[Algorithm]) -> Result<Option<Key>, String>,
    ) -> Result<(Self, Vec<String>), Vec<String>> {
        let Some(entries) = jwks.get("keys").and_then(Value::as_array) else {
            return Err(vec!["not a JWK Set: missing \"keys\" array".to_owned()]);
        };
        let mut keys: Vec<Key> = Vec::new();
        let mut faults = Vec::new();
        let mut repeated: Vec<(String, Algorithm)> = Vec::new();
        for (idx, entry) in entries.iter().enumerate() {
            match read_key(entry, algorithms) {
                Ok(Some(key)) => {
                    // A token's header names `kid` and algorithm. If two keys share a pair, their order would decide
                    // which one verifies, so neither is used. Two keys of one `kid` for different algorithms are legal
                    // (RFC 7517 §4.5).
                    let shared = |algorithm: &Algorithm| {
                        let is_same =
                            |known: &&Key| known.kid == key.kid && known.is_for(*algorithm);
                        key.kid.is_some() && keys.iter().any(|known| is_same(&known))
                    };
                    let algorithms = key.uses.iter().map(|(algorithm, _)| *algorithm);
                    let twice: Vec<_> = algorithms.filter(shared).collect();
                    if !twice.is_empty() {
                        let names: Vec<_> =
                            twice.iter().map(|algorithm| algorithm.name()).collect();
                        faults.push(format!(
                            "keys[{idx}]: another key has the same kid and is also for {}",
                            names.join(", ")
                        ));
                        let kid = key.kid.clone().unwrap_or_default();
                        repeated
                            .extend(twice.into_iter().map(|algorithm| (kid.clone(), algorithm)));
                    }
                    keys.push(key);
                }
                Ok(None) => {}
                Err(fault) => faults.push(format!("keys[{idx}]: {fault}")),
            }
        }
        for key in &mut keys {
            let kid = key.kid.clone();
            let is_repeated = |algorithm| {
                kid.as_ref()
                    .is_some_and(|kid| repeated.contains(&(kid.clone(), algorithm)))
            };
            key.uses.retain(|(algorithm, _)| !is_repeated(*algorithm));
        }
        keys.retain(|key| !key.uses.is_empty());
        let is_for_all = |key: &Key| {
            let issuer = key.issuer.as_deref();
            issuer.is_some_and(|issuer| issuer.contains(TENANT_PLACEHOLDER))
        };
        let is_tenant_independent = keys.iter().any(is_for_all);
        let set = Self {
            keys,
            is_tenant_independent,
        };
        Ok((set, faults))
    }

    /// The one key that a token with this header can be verified with. `is_for` says whether a key that names its
    /// issuer is for the token's issuer.
    ///
    /// A key without a `kid` serves a token with one where it is the only candidate. Otherwise the choice must be
    /// unambiguous: a verifier that tries one key after another can be tricked.
    pub(crate) fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        is_for: impl Fn(&str) -> bool,
    ) -> Option<&Material> {
        let only = |has_kid: &dyn Fn(&Key) -> bool| {
            let mut fitting = self
                .keys
                .iter()
                .filter(|key| has_kid(key))
                .filter(|key| {
                    !self.is_tenant_independent || key.issuer.as_deref().is_none_or(&is_for)
                })
                .filter_map(|key| key.material(algorithm));
            match (fitting.next(), fitting.next()) {
                (Some(material), None) => Some(material),
                _ => None,
            }
        };
        let Some(kid) = kid else {
            return only(&|_| true);
        };
        let named = |key: &Key| key.kid.as_deref() == Some(kid);
        if self
            .keys
            .iter()
            .any(|key| named(key) && key.is_for(algorithm))
        {
            return only(&named);
        }
        only(&|_| true).filter(|_| only(&|key| key.kid.is_none()).is_some())
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;
    use serde_json::json;

    use super::*;

    fn with(mut key: Value, extra: &Value) -> Value {
        for (name, value) in extra.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    fn p256(extra: &Value) -> Value {
        // RFC 7517, appendix A.1.
        let key = json!({
            "kty": "EC", "crv": "P-256", "kid": "1",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        });
        with(key, extra)
    }

    /// A secret of this many bytes.
    fn oct(n_bytes: usize, extra: &Value) -> Value {
        let key = json!({"kty": "oct", "kid": "1", "k": BASE64URL_NOPAD.encode(&vec![7; n_bytes])});
        with(key, extra)
    }

    #[test]
    fn restrictions_on_a_key_are_honoured() {
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
            (json!({"alg": "ECDH-ES"}), false),
            (json!({"alg": ["ES256"]}), false),
            (json!({"kid": 1}), false),
            (json!({"crv": "P-521"}), false),
            (json!({"crv": "P-384"}), false),
            (json!({"kty": "OKP"}), false),
            (json!({"kty": "oct", "k": "AAAA"}), false),
        ] {
            let set = KeySet::public(&json!({"keys": [p256(&extra)]}), &Algorithm::ALL);
            assert_eq!(
                set.is_ok_and(|set| set.find(Some("1"), Algorithm::ES256, |_| true).is_some()),
                usable,
                "{extra}"
            );
        }
    }

    #[test]
    fn a_dangerous_set_is_a_fault() {
        let rsa = |n: &str, e: &str| json!({"keys": [{"kty": "RSA", "n": n, "e": e}]});
        let modulus = BASE64URL_NOPAD.encode(&[0xff; 256]);
        for (jwks, fault) in [
            (json!([]), "not a JWK Set: missing \"keys\" array"),
            (json!({"keys": []}), NO_KEY),
            (
                json!({"keys": [p256(&json!({"d": "AA"}))]}),
                "keys[0]: it is a private key, which has no place here; publish only its public half",
            ),
            (
                json!({"keys": [p256(&json!({})), p256(&json!({}))]}),
                "keys[1]: another key has the same kid and is also for ES256",
            ),
            (
                json!({"keys": [p256(&json!({"x": "AAAA"}))]}),
                "keys[0]: a coordinate of its curve has 32 bytes",
            ),
            (
                rsa("AAD_", "AQAB"),
                "keys[0]: its RSA modulus has 8 bits; 2048 to 8192 are accepted",
            ),
            (
                rsa(&BASE64URL_NOPAD.encode(&[0xff; 1025]), "AQAB"),
                "keys[0]: its RSA modulus has 8200 bits; 2048 to 8192 are accepted",
            ),
            (
                rsa(&modulus, "AQ"),
                "keys[0]: its RSA exponent is less than 2",
            ),
        ] {
            let set = KeySet::public(&jwks, &Algorithm::ALL);
            assert_eq!(set.err(), Some(vec![fault.to_owned()]));
        }
        // A point that is not on the curve (CVE-2015-7940 and its successors).
        let off_curve = p256(&json!({"y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyN"}));
        let set = KeySet::public(&json!({"keys": [off_curve]}), &Algorithm::ALL);
        assert!(set.is_err());
    }

    #[test]
    fn bad_keys_of_a_fetched_set_are_dropped_and_others_kept() {
        let jwks = json!({"keys": [
            p256(&json!({"kid": "good"})),
            p256(&json!({"kid": "twice"})),
            p256(&json!({"kid": "twice"})),
            p256(&json!({"kid": "private", "d": "AA"})),
            {"kty": "RSA", "kid": "weak", "n": "AAD_", "e": "AQAB"},
            {"kty": "AKP", "kid": "of the future", "pub": "AAAA"},
            "no key at all",
        ]});
        let (set, faults) = KeySet::fetched(&jwks, &Algorithm::ALL).unwrap();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(set.find(Some("good"), Algorithm::ES256, |_| true).is_some());
        for kid in ["twice", "private", "weak", "of the future"] {
            for algorithm in Algorithm::ALL {
                assert!(set.find(Some(kid), algorithm, |_| true).is_none(), "{kid}");
            }
        }
        let nothing = json!({"keys": [{"kty": "AKP", "pub": "AAAA"}]});
        let (set, faults) = KeySet::fetched(&nothing, &Algorithm::ALL).unwrap();
        assert!(set.keys.is_empty());
        assert_eq!(faults, [NO_KEY]);
        assert!(KeySet::fetched(&json!({"key": []}), &Algorithm::ALL).is_err());
    }

    #[test]
    fn a_key_is_found_by_kid_and_algorithm_or_not_at_all() {
        let jwks = json!({"keys": [p256(&json!({})), p256(&json!({"kid": "2"}))]});
        let set = KeySet::public(&jwks, &Algorithm::ALL).unwrap();
        assert!(set.find(Some("2"), Algorithm::ES256, |_| true).is_some());
        for (kid, algorithm) in [
            (Some("3"), Algorithm::ES256),
            (Some("1"), Algorithm::RS256),
            (None, Algorithm::ES256),
        ] {
            assert!(set.find(kid, algorithm, |_| true).is_none(), "{kid:?}");
        }
    }

    #[test]
    fn one_kid_serves_two_keys_of_different_algorithms() {
        let modulus = BASE64URL_NOPAD.encode(&[0xff; 256]);
        let rsa =
            |alg: &str| json!({"kty": "RSA", "kid": "1", "n": modulus, "e": "AQAB", "alg": alg});
        let set = json!({"keys": [p256(&json!({})), rsa("RS256"), rsa("PS256")]});
        let set = KeySet::public(&set, &Algorithm::ALL).unwrap();
        for (algorithm, is_there) in [
            (Algorithm::ES256, true),
            (Algorithm::RS256, true),
            (Algorithm::PS256, true),
            (Algorithm::RS512, false),
        ] {
            assert_eq!(set.find(Some("1"), algorithm, |_| true).is_some(), is_there);
        }
        // Ambiguous pairs are left out, and nothing else.
        let set = json!({"keys": [rsa("RS256"), rsa("PS256"), rsa("RS256")]});
        let (set, faults) = KeySet::fetched(&set, &Algorithm::ALL).unwrap();
        assert_eq!(
            faults,
            ["keys[2]: another key has the same kid and is also for RS256"]
        );
        assert!(set.find(Some("1"), Algorithm::RS256, |_| true).is_none());
        assert!(set.find(Some("1"), Algorithm::PS256, |_| true).is_some());
    }

    #[test]
    fn the_only_key_without_a_kid_serves_every_kid() {
        let unnamed = || {
            let mut key = oct(32, &json!({}));
            key.as_object_mut().unwrap().remove("kid");
            key
        };
        let found = |keys: Value, kid: Option<&str>| {
            let set = KeySet::secrets(&json!({ "keys": keys }), &Algorithm::ALL).unwrap();
            set.find(kid, Algorithm::HS256, |_| true).is_some()
        };
        assert!(found(json!([unnamed()]), Some("any")));
        assert!(found(json!([unnamed()]), None));
        assert!(!found(json!([oct(40, &json!({}))]), Some("any")));
        // Beside another key it would serve no token.
        let set = json!({"keys": [unnamed(), oct(40, &json!({}))]});
        assert!(KeySet::secrets(&set, &Algorithm::ALL).is_err());
    }

    #[test]
    fn a_key_may_name_its_issuer() {
        let of = |kid: &str, issuer: &str| p256(&json!({"kid": kid, "issuer": issuer}));
        let found = |set: &Value, kid, issuer: &str| {
            let set = KeySet::public(set, &Algorithm::ALL).unwrap();
            set.find(Some(kid), Algorithm::ES256, |named| named == issuer)
                .is_some()
        };
        let all = json!({"keys": [of("1", "https://sts/{tenantid}/"), of("2", "https://sts/a/")]});
        assert!(found(&all, "1", "https://sts/{tenantid}/"));
        assert!(!found(&all, "2", "https://sts/{tenantid}/"));
        // In the document of one tenant the member has no effect.
        let one = json!({"keys": [of("1", "https://sts/a/"), of("2", "https://sts/a/")]});
        assert!(found(&one, "2", "https://sts.example.com/a/"));
        // The member, if present, must be a string.
        let odd = json!({"keys": [p256(&json!({"issuer": ["https://sts/a/"]}))]});
        assert!(KeySet::public(&odd, &Algorithm::ALL).is_err());
    }

    #[test]
    fn secrets_are_long_and_share_no_set_with_other_keys() {
        for (key, fault) in [
            (oct(32, &json!({})), None),
            (oct(64, &json!({"alg": "HS256", "use": "sig"})), None),
            (
                oct(31, &json!({})),
                Some("keys[0]: the secret has 31 bytes; at least 32 are needed"),
            ),
            (
                oct(64, &json!({"alg": "HS512"})),
                Some("it holds no secret"),
            ),
            (
                oct(64, &json!({"alg": "A256KW"})),
                Some("it holds no secret"),
            ),
            (
                p256(&json!({})),
                Some(
                    "keys[0]: it is not a secret (`kty` is not \"oct\"); a set of secrets must not contain other keys",
                ),
            ),
        ] {
            let set = KeySet::secrets(&json!({"keys": [key]}), &Algorithm::ALL);
            assert_eq!(
                set.as_ref().err().map(|faults| faults[0].as_str()),
                fault,
                "{key}"
            );
            if let Ok(set) = set {
                assert!(set.find(Some("1"), Algorithm::HS256, |_| true).is_some());
                assert!(set.find(Some("1"), Algorithm::RS256, |_| true).is_none());
            }
        }
    }
}
