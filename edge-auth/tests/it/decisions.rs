//! Access by rule and token, and every reason why a token is refused.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{Algorithm, ClaimRequirement, ClaimValue};
use edge_auth::{Authorizer, Decision, Denied, Headers, Owner, Request, ViewerRequest};
use serde_json::{Value, json};

use crate::signer::{ISSUER, NOW, Signer, claims, header, now};

fn request(uri: &str, token: Option<&str>) -> ViewerRequest {
    let mut headers = Headers::default();
    if let Some(token) = token {
        headers.append("authorization", format!("Bearer {token}"));
    }
    ViewerRequest {
        method: "GET".to_owned(),
        uri: uri.to_owned(),
        headers,
        ..ViewerRequest::default()
    }
}

/// `allowed`, or the refusal's code.
fn decide(authorizer: &Authorizer, uri: &str, token: Option<&str>) -> &'static str {
    match authorizer.decide(now(), &Request::from(&request(uri, token))) {
        Decision::Allow(_) => "allowed",
        Decision::Deny(denied) => denied.refusal.code(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rules_decide_for_both_algorithms() {
    let signer = Signer::new();
    let authorizer = signer.authorizer();
    let alice = Owner::of(ISSUER, "alice");
    for kid in ["rsa", "ec"] {
        let plain = signer.sign(&header(kid), &claims(&json!({})));
        let bob = signer.sign(&header(kid), &claims(&json!({"sub": "bob"})));
        let admin = signer.sign(
            &header(kid),
            &claims(&json!({"scope": "media:read media:admin"})),
        );
        let red = signer.sign(&header(kid), &claims(&json!({"groups": ["blue", "red"]})));
        let one_group = signer.sign(&header(kid), &claims(&json!({"groups": "red"})));
        for (uri, token, expected) in [
            (format!("/media/{alice}/a/1.webp"), Some(&plain), "allowed"),
            (format!("/media/{alice}/a/1.webp"), Some(&bob), "not_owner"),
            (format!("/media/{alice}/a/1.webp"), None, "no_token"),
            (
                format!("/media/{}/x", alice.as_str().to_uppercase()),
                Some(&plain),
                "not_owner",
            ),
            ("/media/".to_owned(), Some(&plain), "no_rule"),
            ("/team/red/plan".to_owned(), Some(&red), "allowed"),
            ("/team/red/plan".to_owned(), Some(&one_group), "allowed"),
            ("/team/green/plan".to_owned(), Some(&red), "claim_mismatch"),
            ("/team/red/plan".to_owned(), Some(&plain), "claim_mismatch"),
            ("/admin/x".to_owned(), Some(&admin), "allowed"),
            ("/admin/x".to_owned(), Some(&plain), "missing_scope"),
            ("/members/x".to_owned(), Some(&plain), "allowed"),
            ("/members/x".to_owned(), None, "no_token"),
            ("/public/x".to_owned(), None, "allowed"),
            ("/elsewhere".to_owned(), Some(&plain), "no_rule"),
            (
                format!("/public/..%2fmedia/{alice}/x"),
                Some(&plain),
                "ambiguous_path",
            ),
        ] {
            assert_eq!(
                decide(&authorizer, &uri, token.map(String::as_str)),
                expected,
                "{kid} {uri}"
            );
        }
    }
}

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
fn a_public_path_ignores_the_token() {
    let signer = Signer::new();
    assert_eq!(
        decide(&signer.authorizer(), "/public/x", Some("garbage")),
        "allowed"
    );
}

#[test]
fn claims_are_required_and_of_their_type() {
    let signer = Signer::new();
    let authorizer = signer.authorizer();
    for (changes, expected) in [
        (json!({}), "allowed"),
        (json!({"exp": NOW + 1}), "allowed"),
        (json!({"exp": NOW}), "expired"),
        (json!({"exp": NOW - 1}), "expired"),
        // Fractions are legal, and rounded to the token's disadvantage.
        (json!({"exp": 1_795_435_200.9}), "expired"),
        (json!({"exp": null}), "missing_claim"),
        (json!({"exp": "1795435300"}), "invalid_claim"),
        (json!({"exp": [NOW + 300]}), "invalid_claim"),
        (json!({"exp": -1}), "invalid_claim"),
        (json!({"exp": 1e300}), "invalid_claim"),
        (json!({"nbf": NOW}), "allowed"),
        (json!({"nbf": NOW + 1}), "not_yet_valid"),
        (json!({"nbf": 1_795_435_200.1}), "not_yet_valid"),
        (json!({"nbf": "soon"}), "invalid_claim"),
        (json!({"iat": "then"}), "invalid_claim"),
        (json!({"iss": null}), "missing_claim"),
        (json!({"iss": [ISSUER]}), "invalid_claim"),
        (
            json!({"iss": "https://login.example.com"}),
            "unknown_issuer",
        ),
        (json!({"aud": null}), "missing_claim"),
        (json!({"aud": []}), "missing_claim"),
        (json!({"aud": ["other", "media"]}), "allowed"),
        (json!({"aud": "other"}), "wrong_audience"),
        (json!({"aud": "Media"}), "wrong_audience"),
        (json!({"aud": ["media", 1]}), "invalid_claim"),
        (json!({"aud": {"media": true}}), "invalid_claim"),
        // Without a subject the viewer has no owner, and this rule does not require one.
        (json!({"sub": null}), "allowed"),
        (json!({"sub": ""}), "allowed"),
        (json!({"sub": 7}), "invalid_claim"),
    ] {
        let token = signer.sign(&header("ec"), &claims(&changes));
        assert_eq!(
            decide(&authorizer, "/members/x", Some(&token)),
            expected,
            "{changes}"
        );
    }
}

#[test]
fn a_type_and_claims_are_required_where_they_are_configured() {
    let signer = Signer::new();
    let mut config = signer.config();
    config.issuers[0].typ = Some("at+jwt".to_owned());
    config.issuers[0].claims = [
        ("token_use".to_owned(), any_of(&["access"])),
        ("client_id".to_owned(), any_of(&["web", "app"])),
    ]
    .into();
    let authorizer = Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
    let good = json!({"token_use": "access", "client_id": "app"});
    for (typ, changes, expected) in [
        (json!("at+jwt"), good.clone(), "allowed"),
        (json!("application/AT+JWT"), good.clone(), "allowed"),
        (json!("JWT"), good.clone(), "unexpected_type"),
        (json!(null), good.clone(), "malformed_token"),
        (
            json!("at+jwt"),
            json!({"token_use": "id", "client_id": "app"}),
            "unexpected_claim",
        ),
        (
            json!("at+jwt"),
            json!({"client_id": "app"}),
            "unexpected_claim",
        ),
        (
            json!("at+jwt"),
            json!({"token_use": ["access", "id"], "client_id": "app"}),
            "allowed",
        ),
        (
            json!("at+jwt"),
            json!({"token_use": "access", "client_id": "other"}),
            "unexpected_claim",
        ),
    ] {
        let header = json!({"alg": "ES256", "kid": "ec", "typ": typ});
        let token = signer.sign(&header, &claims(&changes));
        assert_eq!(
            decide(&authorizer, "/members/x", Some(&token)),
            expected,
            "{header} {changes}"
        );
    }
    let untyped = signer.sign(&json!({"alg": "ES256", "kid": "ec"}), &claims(&good));
    assert_eq!(
        decide(&authorizer, "/members/x", Some(&untyped)),
        "unexpected_type"
    );
}

#[test]
fn leeway_is_granted_only_where_it_is_configured() {
    let signer = Signer::new();
    let mut config = signer.config();
    config.issuers[0].leeway_seconds = 30;
    let authorizer = Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
    for (changes, expected) in [
        (json!({"exp": NOW - 29}), "allowed"),
        (json!({"exp": NOW - 30}), "expired"),
        (json!({"nbf": NOW + 30}), "allowed"),
        (json!({"nbf": NOW + 31}), "not_yet_valid"),
    ] {
        let token = signer.sign(&header("ec"), &claims(&changes));
        assert_eq!(
            decide(&authorizer, "/members/x", Some(&token)),
            expected,
            "{changes}"
        );
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

#[test]
fn every_fault_of_a_configuration_is_reported() {
    let signer = Signer::new();
    let mut config = signer.config();
    config.issuers.push(config.issuers[0].clone());
    config.issuers[1].algorithms.clear();
    config.issuers[0].jwks = Some(json!({"keys": []}));
    config.rules[0].path = "media".to_owned();
    config
        .token_sources
        .push(edge_auth::config::TokenSource::Cookie("a b".to_owned()));
    let faults = Authorizer::new(&config).err().unwrap();
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            // It has the name of the first block, and could accept the same tokens.
            "issuers[1].algorithms",
            "issuers[1].issuer",
            "issuers[1].issuer",
            "issuers[0].jwks",
            "rules[0].path",
            "token.from[2]"
        ]
    );
}

#[test]
fn a_log_holds_no_claim_and_no_control_character() {
    let signer = Signer::new();
    let authorizer = signer.authorizer();
    let personal = json!({"sub": "alice@example.com", "email": "alice@example.com"});
    let denied = |kid: &str, changes: &Value| {
        let mut claims = claims(&personal);
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let token = signer.sign(&json!({"alg": "ES256", "kid": kid}), &claims);
        match authorizer.decide(now(), &Request::from(&request("/admin/x", Some(&token)))) {
            Decision::Deny(denied) => denied,
            other => panic!("{other:?}"),
        }
    };
    let line = |denied: &Denied| denied.log_line("4TyzHTaYWb1GX1qTfsHhEqV6HUDd").to_string();
    for (case, found, expected) in [
        (
            "an unprintable kid",
            denied("x\ninjected", &json!({})),
            json!({"code": "unknown_key", "kid": "unprintable", "issuer": ISSUER, "rule": 2}),
        ),
        (
            "a kid as long as a token",
            denied(&"k".repeat(200), &json!({})),
            json!({"code": "unknown_key", "kid": "unprintable"}),
        ),
        (
            "an unknown issuer",
            denied("ec", &json!({"iss": "https://secret.example"})),
            json!({"code": "unknown_issuer", "kid": null, "issuer": null}),
        ),
        (
            "an expired token",
            denied("ec", &json!({"exp": NOW - 7})),
            json!({"code": "expired", "reason": "the token expired 7 s ago", "kid": "ec"}),
        ),
        (
            "a scope that is not granted",
            denied("ec", &json!({"scope": "media:read"})),
            json!({"code": "missing_scope", "status": 403, "kid": "ec", "issuer": ISSUER}),
        ),
    ] {
        let line = line(&found);
        let logged: Value = serde_json::from_str(&line).unwrap();
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(logged[name], *value, "{case}: {name}");
        }
        assert_eq!(logged["request_id"], "4TyzHTaYWb1GX1qTfsHhEqV6HUDd");
        for secret in [
            "alice",
            "secret.example",
            "media:read",
            "injected",
            "eyJ",
            "kkkk",
        ] {
            assert!(!line.contains(secret), "{case}: {line}");
        }
    }
    let good = signer.sign(&header("ec"), &claims(&personal));
    let headers = request("/", Some(&good)).headers;
    let viewer = authorizer
        .authenticate(now(), &Request::from(&headers))
        .unwrap();
    assert!(!format!("{viewer:?}").contains("alice"));
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

fn any_of(texts: &[&str]) -> ClaimRequirement {
    let values = texts.iter().map(|&text| ClaimValue::Text(text.to_owned()));
    ClaimRequirement::Any(values.collect())
}

/// Every algorithm but HS256.
fn with_public_keys() -> Vec<Algorithm> {
    let all = Algorithm::ALL.into_iter();
    all.filter(|algorithm| *algorithm != Algorithm::HS256)
        .collect()
}
