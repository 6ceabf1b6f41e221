//! Sessions of our own: what they are made of, who takes them, and when they end.

use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{Access, ClaimValue, Rule, Secrets, Session, TokenSource};
use edge_auth::{
    Authorizer, Config, Decision, Headers, NoSession, Request, SESSION_COOKIE, SESSION_ISSUER,
    Viewer,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::signer::{ISSUER, Signer, claims, header, now};

fn secret(kid: &str) -> Value {
    // 32 bytes, made for this test.
    let bytes = format!("{kid:-<32}");
    json!({"kty": "oct", "alg": "HS256", "kid": kid, "k": BASE64URL_NOPAD.encode(bytes.as_bytes())})
}

fn with_session(mut config: Config, kids: &[&str]) -> Config {
    let keys: Vec<_> = kids.iter().map(|kid| secret(kid)).collect();
    config.session = Some(Session {
        secrets: Secrets(json!({ "keys": keys })),
        lifetime_seconds: 900,
    });
    config
}

fn authorizer(config: &Config) -> Authorizer {
    Authorizer::new(config).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn headers(token: &str) -> Headers {
    [("cookie", format!("{SESSION_COOKIE}={token}").as_str())]
        .into_iter()
        .collect()
}

fn viewer(authorizer: &Authorizer, token: &str, seconds: i64) -> Result<Viewer, &'static str> {
    let later = now() + SignedDuration::from_secs(seconds);
    authorizer
        .authenticate(later, &Request::from(&headers(token)))
        .map_err(|denied| denied.refusal().code())
}

fn part(token: &str, idx: usize) -> Value {
    let part = token.split('.').nth(idx).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

/// A session with other claims or another header, signed as one would be.
fn forged(header: &Value, claims: &Value, secret: &str) -> String {
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let input = format!("{}.{}", encode(header), encode(claims));
    let bytes = format!("{secret:-<32}");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, bytes.as_bytes());
    let signature = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

#[test]
fn a_session_is_the_same_viewer() {
    let signer = Signer::new();
    let authorizer = authorizer(&with_session(signer.config(), &["2026-11"]));
    let token = signer.sign(
        &header("ec"),
        &claims(&json!({
            "groups": ["red"], "scope": "media:admin", "email": "alice@example.com", "exp": 1_900_000_000,
        })),
    );
    let alice = viewer(&authorizer, &token, 0).unwrap();
    let session = authorizer.start_session(now(), &alice).unwrap();
    assert_eq!(session.expires_at, now() + SignedDuration::from_mins(15));
    let claims = part(&session.token, 1);
    assert_eq!(part(&session.token, 0)["kid"], "2026-11");
    assert_eq!(
        (&claims["iss"], &claims["idp"]),
        (&json!(SESSION_ISSUER), &json!(ISSUER))
    );
    // What no rule asks for stays out.
    assert_eq!(claims.get("email"), None);

    let same = viewer(&authorizer, &session.token, 0).unwrap();
    assert_eq!(
        (&same.owner, &same.issuer, &same.subject),
        (&alice.owner, &alice.issuer, &alice.subject)
    );
    assert!(same.has_scope("media:admin"));
    let path = |uri: &str| {
        let headers = headers(&session.token);
        let request = Request {
            method: "GET",
            uri,
            ..Request::from(&headers)
        };
        matches!(authorizer.decide(now(), &request), Decision::Allow(_))
    };
    assert!(path(&format!("/media/{}/a/640.webp", alice.owner)));
    assert!(path("/team/red/a"));
    assert!(path("/admin/x"));
    assert!(!path("/team/blue/a"));
    assert!(!path("/media/aaaaaaaaaaaaaaaaaaaaaaaaaa/a/640.webp"));

    assert!(viewer(&authorizer, &session.token, 899).is_ok());
    assert_eq!(
        viewer(&authorizer, &session.token, 900).err(),
        Some("expired")
    );
    assert!(!format!("{session:?}").contains(&session.token));
}

#[test]
fn a_session_ends_with_the_token_it_is_made_of_and_makes_no_other() {
    let signer = Signer::new();
    let authorizer = authorizer(&with_session(signer.config(), &["2026-11"]));
    // The token has five minutes left.
    let token = signer.sign(&header("ec"), &claims(&json!({})));
    let alice = viewer(&authorizer, &token, 0).unwrap();
    let session = authorizer.start_session(now(), &alice).unwrap();
    assert_eq!(session.expires_at, now() + SignedDuration::from_mins(5));
    let again = viewer(&authorizer, &session.token, 200).unwrap();
    assert_eq!(
        authorizer.start_session(now(), &again),
        Err(NoSession::OfASession)
    );
}

#[test]
fn rotation_signs_nobody_out() {
    let signer = Signer::new();
    let before = authorizer(&with_session(signer.config(), &["old"]));
    let during = authorizer(&with_session(signer.config(), &["new", "old"]));
    let after = authorizer(&with_session(signer.config(), &["new"]));
    let token = signer.sign(&header("ec"), &claims(&json!({})));
    let session_of = |authorizer: &Authorizer| {
        let alice = viewer(authorizer, &token, 0).unwrap();
        authorizer.start_session(now(), &alice).unwrap().token
    };
    let (old, new) = (session_of(&before), session_of(&during));
    assert_eq!(part(&new, 0)["kid"], "new");
    assert!(viewer(&during, &old, 0).is_ok());
    assert!(viewer(&during, &new, 0).is_ok());
    assert!(viewer(&after, &new, 0).is_ok());
    assert_eq!(viewer(&after, &old, 0).err(), Some("unknown_key"));
    assert_eq!(viewer(&before, &new, 0).err(), Some("unknown_key"));
}

#[test]
fn what_only_looks_like_a_session_is_none() {
    let signer = Signer::new();
    let config = with_session(signer.config(), &["s"]);
    let authorizer = authorizer(&config);
    let good_header = json!({"alg": "HS256", "typ": "gatepost-session+jwt", "kid": "s"});
    let good = json!({
        "iss": SESSION_ISSUER, "aud": SESSION_ISSUER, "idp": ISSUER, "sub": "alice",
        "iat": now().as_second(), "exp": now().as_second() + 60,
    });
    let with = |value: &Value, name: &str, new: Value| {
        let mut changed = value.clone();
        changed[name] = new;
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
            "a plain JWT",
            with(&good_header, "typ", json!("JWT")),
            good.clone(),
            "s",
            "unexpected_type",
        ),
        (
            "a voucher whom nobody trusts",
            good_header.clone(),
            with(&good, "idp", json!("https://evil.example/")),
            "s",
            "invalid_claim",
        ),
        (
            "a session that vouches",
            good_header.clone(),
            with(&good, "idp", json!(SESSION_ISSUER)),
            "s",
            "invalid_claim",
        ),
        (
            "nobody who vouches",
            good_header.clone(),
            with(&good, "idp", json!("")),
            "s",
            "invalid_claim",
        ),
        (
            "for somebody else",
            good_header.clone(),
            with(&good, "aud", json!("media")),
            "s",
            "wrong_audience",
        ),
        (
            "an issuer's token with our secret",
            good_header.clone(),
            with(&with(&good, "iss", json!(ISSUER)), "aud", json!("media")),
            "s",
            "algorithm_not_allowed",
        ),
    ] {
        let token = forged(&header, &claims, secret);
        assert_eq!(viewer(&authorizer, &token, 0).err(), Some(code), "{case}");
    }
    // An issuer cannot sign in the sessions' name, whatever it claims.
    let token = signer.sign(&header("ec"), &good);
    assert_eq!(
        viewer(&authorizer, &token, 0).err(),
        Some("algorithm_not_allowed")
    );
}

#[test]
fn a_session_that_no_cookie_holds_is_refused() {
    let signer = Signer::new();
    let mut config = with_session(signer.config(), &["s"]);
    config.rules.push(Rule {
        path: "/x/**".to_owned(),
        access: Access::Authenticated,
        methods: Vec::new(),
        claims: [("biography".to_owned(), vec![ClaimValue::Bool(true)])].into(),
    });
    let authorizer = authorizer(&config);
    let token = signer.sign(
        &header("ec"),
        &claims(&json!({"biography": "x".repeat(4000)})),
    );
    let alice = viewer(&authorizer, &token, 0).unwrap();
    assert!(matches!(
        authorizer.start_session(now(), &alice),
        Err(NoSession::TooLarge { bytes }) if bytes > 5000
    ));
}

#[test]
fn faults_of_the_configuration() {
    let signer = Signer::new();
    let faults = |change: &dyn Fn(&mut Config)| {
        let mut config = with_session(signer.config(), &["a", "b"]);
        change(&mut config);
        let faults = Authorizer::new(&config).err().unwrap_or_default();
        faults
            .into_iter()
            .map(|fault| fault.key)
            .collect::<Vec<_>>()
    };
    assert_eq!(faults(&|_| ()), Vec::<String>::new());
    let lifetime = |seconds: u32| {
        faults(&move |config| config.session.as_mut().unwrap().lifetime_seconds = seconds)
    };
    assert_eq!(lifetime(0), ["session.lifetime"]);
    assert_eq!(lifetime(43_201), ["session.lifetime"]);
    for secrets in [
        json!({"keys": []}),
        json!({"keys": [{"kty": "oct", "kid": "short", "alg": "HS256", "k": "AAAA"}]}),
        json!({"keys": [secret("a"), {"kty": "oct", "alg": "HS256", "k": secret("b")["k"]}]}),
        json!({"keys": [secret("a"), secret("a")]}),
    ] {
        let found = faults(&move |config| {
            config.session.as_mut().unwrap().secrets = Secrets(secrets.clone());
        });
        assert_eq!(found, ["session.secrets"]);
    }
    assert_eq!(
        faults(&|config| config.token_sources = vec![TokenSource::Authorization]),
        ["token.from"]
    );
    assert_eq!(
        faults(&|config| config.issuers[0].issuer = SESSION_ISSUER.to_owned()),
        ["issuers[0].issuer"]
    );
}
