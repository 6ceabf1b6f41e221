//! Signatures: which algorithm and key verify a token, and that no other token passes for it.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use edge_auth::Authorizer;
use edge_auth::config::Algorithm;
use serde_json::{Value, json};

use crate::decisions::decide;
use crate::signer::{Signer, claims, header};

#[test]
fn every_configured_algorithm_verifies_with_its_own_keys() {
    let signer = Signer::new();
    let families = [
        (
            "rsa",
            ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].as_slice(),
        ),
        ("ec", &["ES256"]),
        ("p384", &["ES384"]),
        ("ed", &["EdDSA", "Ed25519"]),
    ];
    let named = |alg: &str| Algorithm::from_name(alg).unwrap();
    for (kid, algorithms) in families {
        for alg in algorithms {
            let token = signer.sign(&json!({"alg": alg, "kid": kid}), &claims(&json!({})));
            for (configured, expected) in [
                (with_public_keys(), "allowed"),
                (vec![named(alg)], "allowed"),
                (
                    with_public_keys()
                        .into_iter()
                        .filter(|other| *other != named(alg))
                        .collect(),
                    "algorithm_not_allowed",
                ),
            ] {
                let mut config = signer.config();
                config.issuers[0].algorithms = configured;
                let authorizer =
                    Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
                assert_eq!(
                    decide(&authorizer, "/members/x", Some(&token)),
                    expected,
                    "{alg}"
                );
            }
            // With every other type of key, verification finds no key.
            let mut config = signer.config();
            config.issuers[0].algorithms = with_public_keys();
            let authorizer = Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
            for (other, _) in families.iter().filter(|(other, _)| *other != kid) {
                let token = signer.sign(&json!({"alg": alg, "kid": other}), &claims(&json!({})));
                assert_eq!(
                    decide(&authorizer, "/members/x", Some(&token)),
                    "unknown_key",
                    "{alg} {other}"
                );
            }
        }
    }
}

#[test]
fn the_header_only_selects_among_configured_keys() {
    let signer = Signer::new();
    let authorizer = signer.authorizer();
    let good = claims(&json!({}));
    let signed = |header: Value| signer.sign(&header, &good);
    let own_key = signer.jwks()["keys"][1].clone();
    for (case, token, expected) in [
        (
            "alg none",
            signed(json!({"alg": "none", "kid": "ec"})),
            "algorithm_not_allowed",
        ),
        (
            "alg None",
            signed(json!({"alg": "None", "kid": "ec"})),
            "algorithm_not_allowed",
        ),
        (
            "alg in lower case",
            signed(json!({"alg": "es256", "kid": "ec"})),
            "algorithm_not_allowed",
        ),
        (
            "an algorithm that is not configured",
            signed(json!({"alg": "ES384", "kid": "ec"})),
            "algorithm_not_allowed",
        ),
        (
            "HS256 with the public key",
            hs256(&signer, &good),
            "algorithm_not_allowed",
        ),
        ("no alg", signed(json!({"kid": "ec"})), "malformed_token"),
        (
            "alg of another type",
            signed(json!({"alg": ["ES256"], "kid": "ec"})),
            "malformed_token",
        ),
        (
            "RS256 for the P-256 key",
            signed(json!({"alg": "RS256", "kid": "ec"})),
            "unknown_key",
        ),
        (
            "the other key's name",
            signed(json!({"alg": "ES256", "kid": "rsa"})),
            "unknown_key",
        ),
        (
            "an unknown kid",
            signed(json!({"alg": "ES256", "kid": "new"})),
            "unknown_key",
        ),
        (
            "no kid, and one key fits",
            signed(json!({"alg": "ES256"})),
            "allowed",
        ),
        (
            "a key in the header",
            signed(json!({"alg": "ES256", "kid": "mine", "jwk": own_key})),
            "unknown_key",
        ),
        (
            "a key's URL in the header",
            signed(json!({"alg": "ES256", "kid": "ec", "jku": "https://evil.example"})),
            "allowed",
        ),
        (
            "crit",
            signed(json!({"alg": "ES256", "kid": "ec", "crit": ["exp"]})),
            "critical_header",
        ),
        (
            "empty crit",
            signed(json!({"alg": "ES256", "kid": "ec", "crit": []})),
            "critical_header",
        ),
        (
            "crit that is null",
            signed(json!({"alg": "ES256", "kid": "ec", "crit": null})),
            "critical_header",
        ),
        (
            "a kid of another type",
            signed(json!({"alg": "ES256", "kid": 1})),
            "malformed_token",
        ),
        (
            "b64",
            signed(json!({"alg": "ES256", "kid": "ec", "b64": true})),
            "critical_header",
        ),
    ] {
        assert_eq!(
            decide(&authorizer, "/members/x", Some(&token)),
            expected,
            "{case}"
        );
    }
}

#[test]
fn a_signature_fits_its_token_and_no_other() {
    let signer = Signer::new();
    let authorizer = signer.authorizer();
    for kid in ["rsa", "ec"] {
        let token = signer.sign(&header(kid), &claims(&json!({})));
        let other = signer.sign(&header(kid), &claims(&json!({"sub": "bob"})));
        let parts: Vec<_> = token.split('.').collect();
        let others: Vec<_> = other.split('.').collect();
        let stranger = Signer::new().sign(&header(kid), &claims(&json!({})));
        let mut long = BASE64URL_NOPAD.decode(parts[2].as_bytes()).unwrap();
        long.push(0);
        for (case, token, expected) in [
            ("as it is", token.clone(), "allowed"),
            (
                "another's signature",
                format!("{}.{}.{}", parts[0], parts[1], others[2]),
                "bad_signature",
            ),
            (
                "another's payload",
                format!("{}.{}.{}", parts[0], others[1], parts[2]),
                "bad_signature",
            ),
            ("another issuer's key", stranger, "bad_signature"),
            (
                "no signature",
                format!("{}.{}.", parts[0], parts[1]),
                "bad_signature",
            ),
            (
                "a zero signature",
                format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86)),
                "bad_signature",
            ),
            (
                "a longer signature",
                format!(
                    "{}.{}.{}",
                    parts[0],
                    parts[1],
                    BASE64URL_NOPAD.encode(&long)
                ),
                "bad_signature",
            ),
            ("padding", format!("{token}="), "malformed_token"),
            (
                "a space",
                format!("{}.{} .{}", parts[0], parts[1], parts[2]),
                "malformed_token",
            ),
        ] {
            assert_eq!(
                decide(&authorizer, "/members/x", Some(&token)),
                expected,
                "{kid}: {case}"
            );
        }
    }
}

/// A token whose HMAC key is the issuer's public key: algorithm confusion (CVE-2015-9235 and its successors).
fn hs256(signer: &Signer, claims: &Value) -> String {
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let input = format!(
        "{}.{}",
        encode(&json!({"alg": "HS256", "kid": "rsa"})),
        encode(claims)
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &signer.rsa_public_der());
    format!(
        "{input}.{}",
        BASE64URL_NOPAD.encode(hmac::sign(&key, input.as_bytes()).as_ref())
    )
}

/// Every algorithm but HS256.
fn with_public_keys() -> Vec<Algorithm> {
    let all = Algorithm::ALL.into_iter();
    all.filter(|algorithm| *algorithm != Algorithm::HS256)
        .collect()
}
