//! Published tokens: the examples of RFC 7515, RFC 7520, RFC 7797 and RFC 8037, and Wycheproof's JOSE files.
//!
//! Wycheproof's signatures alone are in `keys/wycheproof.rs`. No package registry has its JOSE files, so the tests that
//! read them are ignored and prove nothing until somebody runs them.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::config::{Audiences, Issuer, Secrets};

/// Any time: signatures do not depend on it.
const NOW: i64 = 0;

/// RFC 7515 §A.1: the secret, which RFC 7797 uses too.
const A1_SECRET: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";

/// RFC 7520 §4: the payload of its examples.
const BUSINESS: &str = concat!(
    "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUg",
    "cm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0",
    "IGJlIHN3ZXB0IG9mZiB0by4",
);

/// RFC 7520 §3.4: the modulus of its RSA key.
const BILBO: &str = concat!(
    "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRB",
    "SFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD",
    "1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_",
    "qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
);

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
            json!({"kty": "oct", "k": A1_SECRET}),
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
    for (case, key, header, payload, signature) in [
        (
            "RFC 7520 §4.1, RS256",
            json!({"kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "e": "AQAB", "n": BILBO}),
            "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            BUSINESS,
            concat!(
                "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi8",
                "4wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocS",
                "adnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJu",
                "shZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
            ),
        ),
        (
            "RFC 7520 §4.2, PS384",
            json!({"kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "e": "AQAB", "n": BILBO}),
            "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            BUSINESS,
            concat!(
                "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItl",
                "lVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0",
                "TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0",
                "uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
            ),
        ),
        (
            "RFC 7520 §4.4, HS256",
            json!({"kty": "oct", "kid": "018c0ae5-4d9b-471b-bfd6-eef314bc7037", "use": "sig", "alg": "HS256",
                "k": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"}),
            "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9",
            BUSINESS,
            "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0",
        ),
        (
            "RFC 8037 §A.4, EdDSA",
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            "eyJhbGciOiJFZERTQSJ9",
            "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ] {
        assert_verifies(case, &key, &format!("{header}.{payload}.{signature}"));
    }
}

#[test]
fn the_examples_of_what_is_not_supported_are_refused() {
    for (case, key, header, payload, signature) in [
        (
            "RFC 7520 §4.3, ES512",
            json!({"kty": "EC", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "crv": "P-521",
                "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
                "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"}),
            "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            BUSINESS,
            concat!(
                "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_",
                "sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2",
            ),
        ),
        (
            "RFC 7797 §4: a payload that is not encoded",
            json!({"kty": "oct", "alg": "HS256", "k": A1_SECRET}),
            "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19",
            "This is the payload string!",
            "ciks0B6Hs-amhOqxI5_iG6mPKnMDlWCb7J2Wu7mtIcg",
        ),
    ] {
        assert!(
            !verifies(&[key], &format!("{header}.{payload}.{signature}")),
            "{case}"
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

/// Reads a file of `testvectors_v1` in <https://github.com/C2SP/wycheproof>.
fn run_wycheproof(file: &str) -> Tally {
    let folder = std::env::var_os("GATEPOST_VECTORS")
        .expect("set GATEPOST_VECTORS to the folder testvectors_v1 of Wycheproof");
    let text = std::fs::read(Path::new(&folder).join(file)).unwrap();
    let suite: Value = serde_json::from_slice(&text).unwrap();
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
#[ignore = "needs Wycheproof's JOSE files: set GATEPOST_VECTORS to its folder testvectors_v1"]
fn wycheproof_tokens() {
    let expected = Tally {
        n_verified: 42,
        // These equal, byte for byte, the token of case 357, which is valid: the padding that their comments mention is
        // not in the file.
        wrongly_verified: vec![367, 370],
        // 346 and 350: PS384 with a key whose `alg` is PS256; the restriction of the set is honoured. 347 and 351:
        // ES512. 372 and 373: a question mark in base64url; each value has one encoding.
        refused: vec![346, 347, 350, 351, 372, 373],
    };
    assert_eq!(run_wycheproof("json_web_signature_test.json"), expected);
}

#[test]
#[ignore = "needs Wycheproof's JOSE files: set GATEPOST_VECTORS to its folder testvectors_v1"]
fn wycheproof_jwks() {
    let expected = Tally {
        n_verified: 3,
        wrongly_verified: vec![],
        // HS384 and HS512: HS256 is the only supported MAC.
        refused: vec![14, 15],
    };
    assert_eq!(run_wycheproof("json_web_key_test.json"), expected);
}
