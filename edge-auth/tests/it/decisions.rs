//! Access by rule and token, and every reason why a token is refused.

use edge_auth::config::{ClaimRequirement, ClaimValue};
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
pub(crate) fn decide(authorizer: &Authorizer, uri: &str, token: Option<&str>) -> &'static str {
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

fn any_of(texts: &[&str]) -> ClaimRequirement {
    let values = texts.iter().map(|&text| ClaimValue::Text(text.to_owned()));
    ClaimRequirement::Any(values.collect())
}
