//! Gatepost's sessions: how they are made, where they are accepted, and when they expire.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{
    Access, Audiences, ClaimRequirement, ClaimValue, Rule, SessionKeyMaterial,
};
use edge_auth::{
    Authorizer, Config, Decision, Headers, MAX_SESSION_BYTES, NoSession, Owner, Request,
    SESSION_COOKIE, SESSION_ISSUER, Viewer,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::session_keys::{es256, from};
use crate::session_settings::{hs256, with_session};
use crate::signer::{ISSUER, Signer, claims, header, now};

fn authorizer(config: &Config) -> Authorizer {
    Authorizer::new(config).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn headers(token: &str) -> Headers {
    [("cookie", format!("{SESSION_COOKIE}={token}").as_str())]
        .into_iter()
        .collect()
}

fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn viewer(authorizer: &Authorizer, token: &str, seconds: i64) -> Result<Viewer, &'static str> {
    authorizer
        .authenticate(at(seconds), &Request::from(&headers(token)))
        .map_err(|denied| denied.refusal().code())
}

/// `allowed`, `redirect CODE`, or the refusal's code.
fn decide(authorizer: &Authorizer, uri: &str, token: &str) -> String {
    let mut headers = headers(token);
    headers.append("sec-fetch-mode", "navigate");
    let request = Request {
        method: "GET",
        uri,
        ..Request::from(&headers)
    };
    match authorizer.decide(now(), &request) {
        Decision::Allow(_) => "allowed".to_owned(),
        Decision::Deny(denied) => denied.refusal.code().to_owned(),
        Decision::Redirect(redirect) => format!("redirect {}", redirect.denied.refusal.code()),
        other => panic!("{other:?}"),
    }
}

fn session_of(authorizer: &Authorizer, token: &str, seconds: i64) -> String {
    let viewer = viewer(authorizer, token, seconds).unwrap_or_else(|code| panic!("{code}"));
    authorizer
        .start_session(at(seconds), &viewer)
        .unwrap()
        .token
}

fn part(token: &str, idx: usize) -> Value {
    let part = token.split('.').nth(idx).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

/// A session with other claims or another header, signed like a real one.
fn forged(header: &Value, claims: &Value, secret: &str) -> String {
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let input = format!("{}.{}", encode(header), encode(claims));
    let bytes = format!("{secret:-<32}");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, bytes.as_bytes());
    let signature = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

fn any_text(text: &str) -> ClaimRequirement {
    ClaimRequirement::Any(vec![ClaimValue::Text(text.to_owned())])
}

#[test]
fn a_session_identifies_the_same_viewer() {
    let signer = Signer::new();
    for (key, alg) in [(hs256("2026-11"), "HS256"), (es256("2026-11"), "ES256")] {
        let authorizer = authorizer(&with_session(signer.config(), &[key]));
        let token = signer.sign(
            &header("ec"),
            &claims(&json!({
                "groups": ["red"], "scope": "media:admin", "email": "alice@example.com", "exp": 1_900_000_000,
            })),
        );
        let alice = viewer(&authorizer, &token, 0).unwrap();
        let session = authorizer.start_session(now(), &alice).unwrap();
        assert_eq!(session.expires_at, at(900));
        assert_eq!(
            part(&session.token, 0),
            json!({"alg": alg, "kid": "2026-11", "typ": "gatepost-session+jwt"})
        );
        // Its own claims are at the top, the token's below; claims that no rule requires are left out.
        assert_eq!(
            part(&session.token, 1),
            json!({
                "iss": SESSION_ISSUER, "aud": SESSION_ISSUER,
                "iat": now().as_second(), "exp": now().as_second() + 900,
                "block": ISSUER, "owner": alice.owner,
                "token": {
                    "iss": ISSUER, "aud": "media", "sub": "alice",
                    "groups": ["red"], "scope": "media:admin", "scp": null,
                },
            })
        );
        let same = viewer(&authorizer, &session.token, 0).unwrap();
        assert_eq!(
            (&same.owner, &same.issuer, &same.subject),
            (&alice.owner, &alice.issuer, &alice.subject)
        );
        let owner = alice.owner.unwrap();
        for (uri, expected) in [
            (format!("/media/{owner}/a/640.webp"), "allowed"),
            ("/team/red/a".to_owned(), "allowed"),
            ("/admin/x".to_owned(), "allowed"),
            ("/team/blue/a".to_owned(), "claim_mismatch"),
            (
                "/media/aaaaaaaaaaaaaaaaaaaaaaaaaa/a/640.webp".to_owned(),
                "not_owner",
            ),
        ] {
            assert_eq!(decide(&authorizer, &uri, &session.token), expected, "{uri}");
        }
        assert!(viewer(&authorizer, &session.token, 899).is_ok());
        assert_eq!(
            viewer(&authorizer, &session.token, 900).err(),
            Some("expired")
        );
        assert!(!format!("{session:?}").contains(&session.token));
    }
}

#[test]
fn a_session_expires_with_its_token_and_makes_no_other() {
    let signer = Signer::new();
    let authorizer = authorizer(&with_session(signer.config(), &[hs256("2026-11")]));
    // The token has five minutes left.
    let token = signer.sign(&header("ec"), &claims(&json!({})));
    let alice = viewer(&authorizer, &token, 0).unwrap();
    let session = authorizer.start_session(now(), &alice).unwrap();
    assert_eq!(session.expires_at, at(300));
    let again = viewer(&authorizer, &session.token, 200).unwrap();
    assert_eq!(
        authorizer.start_session(now(), &again),
        Err(NoSession::OfASession)
    );
}

#[test]
fn the_newest_key_whose_time_has_come_signs_and_all_verify() {
    let signer = Signer::new();
    let (old, new) = (hs256("old"), es256("new"));
    let before = authorizer(&with_session(signer.config(), std::slice::from_ref(&old)));
    let during = authorizer(&with_session(
        signer.config(),
        &[old.clone(), from(100, new.clone())],
    ));
    let after = authorizer(&with_session(signer.config(), &[from(100, new)]));
    let token = signer.sign(&header("ec"), &claims(&json!({})));
    let old_session = session_of(&during, &token, 99);
    let new_session = session_of(&during, &token, 100);
    assert_eq!(part(&old_session, 0)["kid"], "old");
    assert_eq!(part(&new_session, 0)["kid"], "new");
    for (verifier, session, is_taken) in [
        (&before, &old_session, true),
        (&during, &old_session, true),
        (&during, &new_session, true),
        (&after, &new_session, true),
        (&after, &old_session, false),
        (&before, &new_session, false),
    ] {
        let found = viewer(verifier, session, 100);
        assert_eq!(found.err(), (!is_taken).then_some("unknown_key"));
    }
    // Nothing signs before the `from` of the only key.
    let alice = viewer(&after, &token, 99).unwrap();
    assert_eq!(
        after.start_session(at(99), &alice),
        Err(NoSession::NoSigningKey)
    );
}

#[test]
fn a_verifier_with_the_public_half_accepts_sessions_and_makes_none() {
    let signer = Signer::new();
    let whole = with_session(signer.config(), &[es256("s")]);
    let verifying = whole.clone().for_verifiers();
    let text = serde_json::to_string(&verifying).unwrap();
    assert!(!text.contains("\"private\""), "{text}");
    // The packed configuration is parsed again.
    let verifying: Config = serde_json::from_str(&text).unwrap();
    let (api, edge) = (authorizer(&whole), authorizer(&verifying));
    let token = signer.sign(&header("ec"), &claims(&json!({})));
    let session = session_of(&api, &token, 0);
    let alice = viewer(&edge, &session, 0).unwrap();
    assert_eq!(alice.subject.as_deref(), Some("alice"));
    let alice = viewer(&edge, &token, 0).unwrap();
    assert_eq!(
        edge.start_session(now(), &alice),
        Err(NoSession::NoSigningKey)
    );
    // A key that only verifies accepts its own private half and no other.
    let key = &whole.session.as_ref().unwrap().keys[0];
    let SessionKeyMaterial::ES256 { private, .. } = &key.material else {
        panic!("{key:?}");
    };
    let der = BASE64URL_NOPAD
        .decode(String::from(private.clone().unwrap()).as_bytes())
        .unwrap();
    let mut public = verifying.session.as_ref().unwrap().keys[0].clone();
    assert!(!public.can_sign());
    let other =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    assert!(!public.accept_private_der(other.unwrap().as_ref()));
    assert!(public.accept_private_der(&der));
    assert!(public.can_sign());
}

#[test]
fn a_forged_session_is_refused() {
    let signer = Signer::new();
    let config = with_session(signer.config(), &[hs256("s"), from(50, es256("e"))]);
    let authorizer = authorizer(&config);
    let good_header = json!({"alg": "HS256", "typ": "gatepost-session+jwt", "kid": "s"});
    let good = json!({
        "iss": SESSION_ISSUER, "aud": SESSION_ISSUER, "block": ISSUER,
        "iat": now().as_second(), "exp": now().as_second() + 60,
        "owner": Owner::of(ISSUER, "alice"),
        "token": {"iss": ISSUER, "aud": "media", "sub": "alice"},
    });
    let with = |value: &Value, pointer: &str, new: Value| {
        let mut changed = value.clone();
        *changed.pointer_mut(pointer).unwrap() = new;
        changed
    };
    let owner = |text: &str| {
        let mut changed = good.clone();
        changed["owner"] = text.into();
        changed
    };
    assert!(viewer(&authorizer, &forged(&good_header, &good, "s"), 0).is_ok());
    for (case, header, claims, secret, code) in [
        (
            "another secret",
            good_header.clone(),
            good.clone(),
            "t",
            "bad_signature",
        ),
        (
            "the public key as a secret",
            with(&good_header, "/kid", json!("e")),
            good.clone(),
            "s",
            "unknown_key",
        ),
        (
            "no kid",
            json!({"alg": "HS256", "typ": "gatepost-session+jwt"}),
            good.clone(),
            "s",
            "unknown_key",
        ),
        (
            "an algorithm of providers",
            with(&good_header, "/alg", json!("RS256")),
            good.clone(),
            "s",
            "algorithm_not_allowed",
        ),
        (
            "a plain JWT",
            with(&good_header, "/typ", json!("JWT")),
            good.clone(),
            "s",
            "unknown_issuer",
        ),
        (
            "a block that is not configured",
            good_header.clone(),
            with(&good, "/block", json!("https://evil.example/")),
            "s",
            "unknown_issuer",
        ),
        (
            "a block for sessions",
            good_header.clone(),
            with(&good, "/block", json!(SESSION_ISSUER)),
            "s",
            "unknown_issuer",
        ),
        (
            "a token of another issuer than the block's",
            good_header.clone(),
            with(&good, "/token/iss", json!("https://evil.example/")),
            "s",
            "unknown_issuer",
        ),
        (
            "a token for another audience",
            good_header.clone(),
            with(&good, "/token/aud", json!("other")),
            "s",
            "wrong_audience",
        ),
        (
            "a session for another audience",
            good_header.clone(),
            with(&good, "/aud", json!("media")),
            "s",
            "wrong_audience",
        ),
        (
            "an issuer's token with the session secret",
            good_header.clone(),
            with(&good, "/iss", json!(ISSUER)),
            "s",
            "unknown_issuer",
        ),
        (
            "no token",
            good_header.clone(),
            with(&good, "/token", json!("eyJ")),
            "s",
            "invalid_claim",
        ),
        (
            "a malformed owner",
            good_header.clone(),
            owner("alice"),
            "s",
            "invalid_claim",
        ),
        (
            "an owner that the configuration derives differently",
            good_header.clone(),
            owner(Owner::of(ISSUER, "bob").as_str()),
            "s",
            "expired",
        ),
    ] {
        let token = forged(&header, &claims, secret);
        assert_eq!(viewer(&authorizer, &token, 0).err(), Some(code), "{case}");
    }
    // An issuer cannot sign a session, even if its token claims to be one.
    let token = signer.sign(
        &json!({"alg": "ES256", "kid": "ec", "typ": "gatepost-session+jwt"}),
        &good,
    );
    assert_eq!(viewer(&authorizer, &token, 0).err(), Some("unknown_key"));
    let token = signer.sign(&header("ec"), &good);
    assert_eq!(viewer(&authorizer, &token, 0).err(), Some("unknown_issuer"));
}

#[test]
fn a_tightened_configuration_applies_to_sessions_at_once() {
    let signer = Signer::new();
    let keys = [hs256("s")];
    let lax = with_session(signer.config(), &keys);
    let token = signer.sign(
        &header("ec"),
        &claims(&json!({"aud": ["media", "other"], "groups": "red"})),
    );
    let session = session_of(&authorizer(&lax), &token, 0);
    let after = |change: &dyn Fn(&mut Config)| {
        let mut config = lax.clone();
        config.login = Some("/?sign_in".to_owned());
        change(&mut config);
        decide(&authorizer(&config), "/members/x", &session)
    };
    assert_eq!(after(&|_| ()), "allowed");
    for (case, change, expected) in [
        (
            "another audience",
            (&|config: &mut Config| {
                config.issuers[0].audiences = Audiences::OneOf(vec!["new".to_owned()]);
            }) as &dyn Fn(&mut Config),
            "redirect wrong_audience",
        ),
        (
            "a claim that the session retained",
            &|config| {
                let claims = &mut config.issuers[0].claims;
                claims.insert("groups".to_owned(), any_text("blue"));
            },
            "redirect unexpected_claim",
        ),
        (
            "a claim that the session never retained",
            &|config| {
                let claims = &mut config.issuers[0].claims;
                claims.insert("tier".to_owned(), any_text("gold"));
            },
            "redirect expired",
        ),
        (
            "a rule about a claim that the session never retained",
            &|config| {
                let mut rule = Rule::new("/members/**", Access::Authenticated);
                rule.claims.insert("tier".to_owned(), any_text("gold"));
                config.rules.insert(0, rule);
                config
                    .rules
                    .retain(|rule| rule.path != "/members/**" || !rule.claims.is_empty());
            },
            "redirect expired",
        ),
        (
            "a block that was removed",
            &|config| config.issuers[0].issuer = "https://new.example.com/".to_owned(),
            "redirect unknown_issuer",
        ),
        (
            "a block of another name",
            &|config| config.issuers[0].name = Some("login".to_owned()),
            "redirect unknown_issuer",
        ),
        (
            "a key that was removed",
            &|config| config.session.as_mut().unwrap().keys = vec![hs256("t")],
            "redirect unknown_key",
        ),
        (
            "owners that are derived differently",
            &|config| config.owner_secret = Some(vec![7; 32].into()),
            "redirect expired",
        ),
        (
            "another claim that identifies people",
            &|config| config.issuers[0].subject = Some("oid".to_owned()),
            "redirect expired",
        ),
        // An unrelated change has no effect.
        (
            "a rule about another path",
            &|config| {
                let mut rule = Rule::new("/x/**", Access::Authenticated);
                rule.claims.insert("tier".to_owned(), any_text("gold"));
                config.rules.push(rule);
            },
            "allowed",
        ),
    ] {
        assert_eq!(after(change), expected, "{case}");
    }
}

#[test]
fn a_session_too_large_for_a_cookie_is_refused() {
    let signer = Signer::new();
    let mut config = with_session(signer.config(), &[hs256("s")]);
    let mut rule = Rule::new("/x/**", Access::Authenticated);
    rule.claims.insert("biography".to_owned(), any_text("x"));
    config.rules.push(rule);
    let authorizer = authorizer(&config);
    let token = signer.sign(
        &header("ec"),
        &claims(&json!({"biography": "x".repeat(4000)})),
    );
    let alice = viewer(&authorizer, &token, 0).unwrap();
    assert!(matches!(
        authorizer.start_session(now(), &alice),
        Err(NoSession::TooLarge { bytes }) if bytes > MAX_SESSION_BYTES
    ));
}
