//! Published vectors: RFC 7515, RFC 7520, RFC 8037 and Wycheproof.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;
use crate::config::{Audiences, Issuer, Secrets};

/// Any time: signatures do not depend on it.
const NOW: i64 = 0;

/// The published vectors, in a folder beside the checkout. Without them these tests cannot run.
fn vectors() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let folder = std::env::var_os("GATEPOST_VECTORS").map_or(beside, PathBuf::from);
    if folder.exists() {
        return Some(folder);
    }
    let message = "the published vectors are missing; set GATEPOST_VECTORS to their folder";
    assert!(std::env::var_os("CI").is_none(), "{message}");
    eprintln!("NOT RUN: {message}");
    None
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// Whether a JWS verifies for an issuer that has these keys and may use every algorithm that fits them.
///
/// A set that contains only secrets is read as secrets, every other set as public keys. An issuer has both, and each
/// reader refuses the other's keys.
fn verifies(keys: &[Value], jws: &str) -> bool {
    let set = json!({ "keys": keys });
    let is_secret = |key: &Value| key["kty"] == "oct";
    let (algorithms, jwks, secrets) = if keys.iter().all(is_secret) {
        (vec![Algorithm::HS256], None, Some(Secrets(set)))
    } else {
        let public = Algorithm::ALL.into_iter();
        let public = public.filter(|algorithm| *algorithm != Algorithm::HS256);
        (public.collect(), Some(set), None)
    };
    let issuer = Issuer {
        issuer: "vectors".to_owned(),
        audiences: Audiences::Any,
        algorithms,
        jwks,
        secrets,
        ..Issuer::default()
    };
    let mut faults = Vec::new();
    let config = Config {
        issuers: vec![issuer],
        ..Config::default()
    };
    let verifier = Verifier::new(&config, ClaimPlan::default(), &mut faults);
    let verifies = |token: &UnverifiedToken<'_>| {
        let verified = verifier.verify_signature(NOW, 0, "vectors", token);
        verified.is_ok()
    };
    faults.is_empty() && UnverifiedToken::parse(jws).is_ok_and(|token| verifies(&token))
}

/// The public half of a key that is published with its private one.
fn public(key: &Value) -> Value {
    let mut key = key.clone();
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        key.as_object_mut().unwrap().remove(name);
    }
    key
}

/// Asserts that a JWS verifies, and that it no longer does when a bit of its signature is changed.
fn assert_verifies(case: &str, key: &Value, jws: &str) {
    let keys = [public(key)];
    assert!(verifies(&keys, jws), "{case}");
    let (head, signature) = jws.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let tampered = format!("{head}.{flipped}{}", &signature[1..]);
    assert!(!verifies(&keys, &tampered), "{case}");
}

#[test]
fn the_examples_of_rfc_7515_verify() {
    // Appendix A: one payload, with line breaks in header and claims.
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    for (case, key, header, signature) in [
        (
            "A.1, HS256",
            json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}),
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        (
            "A.2, RS256",
            json!({"kty": "RSA", "e": "AQAB", "n": concat!(
                "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Ql",
                "L-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs",
                "LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoud",
                "F8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ")}),
            "eyJhbGciOiJSUzI1NiJ9",
            concat!(
                "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujG",
                "bds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K",
                "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6",
                "LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
            ),
        ),
        (
            "A.3, ES256",
            json!({"kty": "EC", "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
            "eyJhbGciOiJFUzI1NiJ9",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
    ] {
        assert_verifies(case, &key, &format!("{header}.{payload}.{signature}"));
    }
}

#[test]
fn the_examples_of_rfc_7520_and_8037_verify() {
    let Some(folder) = vectors() else { return };
    for (file, algorithm) in [
        ("jws-4_1.rsa_v15_signature.json", "RS256"),
        ("jws-4_2.rsa-pss_signature.json", "PS384"),
        ("jws-4_4.hmac-sha2_integrity_protection.json", "HS256"),
        ("curve25519-jws.json", "EdDSA"),
    ] {
        let example = read(&folder.join("jose-cookbook").join(file));
        assert_eq!(example["input"]["alg"], algorithm, "{file}");
        let jws = example["output"]["compact"].as_str().unwrap();
        assert_verifies(file, &example["input"]["key"], jws);
    }
    // Not supported: ES512 (RFC 7520 §4.3), and a payload that is not encoded (RFC 7797).
    for file in [
        "jws-4_3.ecdsa_signature.json",
        "rfc7797-hmac-sha2_b64_false.json",
    ] {
        let example = read(&folder.join("jose-cookbook").join(file));
        let jws = example["output"]["compact"].as_str().unwrap_or_default();
        assert!(
            !verifies(&[public(&example["input"]["key"])], jws),
            "{file}"
        );
    }
}

/// The keys of a test group: the public ones if it has any, as a set or alone.
fn keys_of(group: &Value) -> Vec<Value> {
    let keys = group.get("public").or(group.get("private")).unwrap();
    match keys.get("keys").and_then(Value::as_array) {
        Some(keys) => keys.clone(),
        None => vec![keys.clone()],
    }
}

/// The result of a Wycheproof file.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    n_verified: usize,
    /// Invalid cases that verified.
    wrongly_verified: Vec<u64>,
    /// Valid cases that did not verify.
    refused: Vec<u64>,
}

fn run_wycheproof(file: &Path) -> Tally {
    let suite = read(file);
    let mut tally = Tally::default();
    for group in suite["testGroups"].as_array().unwrap() {
        let keys = keys_of(group);
        for case in group["tests"].as_array().unwrap() {
            let id = case["tcId"].as_u64().unwrap();
            let is_valid = case["result"] == "valid";
            let verified = case["jws"].as_str().is_some_and(|jws| verifies(&keys, jws));
            tally.n_verified += usize::from(verified);
            match (is_valid, verified) {
                (false, true) => tally.wrongly_verified.push(id),
                (true, false) => tally.refused.push(id),
                _ => {}
            }
        }
    }
    tally
}

#[test]
fn wycheproof_signatures() {
    let Some(folder) = vectors() else { return };
    let file = folder.join("wycheproof/json_web_signature_test.json");
    let expected = Tally {
        n_verified: 42,
        // These equal, byte for byte, the token of case 357, which is valid: the padding that their comments mention is
        // not in the file.
        wrongly_verified: vec![367, 370],
        // 346 and 350: PS384 with a key whose `alg` is PS256; the restriction of the set is honoured. 347 and 351:
        // ES512. 372 and 373: a question mark in base64url; each value has one encoding.
        refused: vec![346, 347, 350, 351, 372, 373],
    };
    assert_eq!(run_wycheproof(&file), expected);
}

#[test]
fn wycheproof_keys() {
    let Some(folder) = vectors() else { return };
    let file = folder.join("wycheproof/json_web_key_test.json");
    let expected = Tally {
        n_verified: 3,
        wrongly_verified: vec![],
        // HS384 and HS512: HS256 is the only supported MAC.
        refused: vec![14, 15],
    };
    assert_eq!(run_wycheproof(&file), expected);
}
