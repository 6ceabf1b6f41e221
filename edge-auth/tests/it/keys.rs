//! Keys over time: fetched when they are wanted, never more often than that, and trusted no longer than configured.

use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{Algorithm, PublishedKeys, Secrets};
use edge_auth::{Authorizer, Config, Decision, Headers, NeedKeys, Request, ViewerRequest};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::signer::{ISSUER, NOW, Signer, claims, header};

const URL: &str = "https://login.example.com/jwks.json";
const MAX_AGE: u32 = 3600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

/// An issuer that publishes its keys. The configuration holds the keys that were published when it was written.
fn config(signer: &Signer, known: Option<Value>) -> Config {
    let mut config = signer.config();
    config.issuers[0].jwks = known;
    config.issuers[0].published = Some(PublishedKeys {
        max_age_seconds: MAX_AGE,
        ..PublishedKeys::at(URL)
    });
    config
}

fn authorizer(config: &Config) -> Authorizer {
    Authorizer::new(config).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// `allowed`, `need_keys`, or the refusal's code.
fn decide(authorizer: &Authorizer, seconds: i64, token: &str) -> &'static str {
    let headers: Headers = [("authorization", format!("Bearer {token}").as_str())]
        .into_iter()
        .collect();
    let request = ViewerRequest {
        method: "GET".to_owned(),
        uri: "/members/x".to_owned(),
        headers,
        ..ViewerRequest::default()
    };
    match authorizer.decide(at(seconds), &Request::from(&request)) {
        Decision::Allow(_) => "allowed",
        Decision::Deny(denied) => denied.refusal.code(),
        Decision::NeedKeys(need) => {
            let need_keys = NeedKeys {
                issuer: ISSUER.to_owned(),
                url: URL.to_owned(),
                timeout_ms: PublishedKeys::DEFAULT_TIMEOUT_MS,
            };
            assert_eq!(need, need_keys);
            "need_keys"
        }
        other => panic!("{other:?}"),
    }
}

/// A token that does not expire during any test.
fn token(signer: &Signer, kid: &str) -> String {
    let header = json!({"alg": "ES256", "kid": kid});
    signer.sign(&header, &claims(&json!({"exp": NOW + 1_000_000})))
}

/// The signer's set without one of its keys.
fn without(signer: &Signer, kid: &str) -> Value {
    let mut jwks = signer.jwks();
    let keys = jwks["keys"].as_array_mut().unwrap();
    keys.retain(|key| key["kid"] != kid);
    jwks
}

#[test]
fn unknown_keys_are_fetched_before_the_decision() {
    let signer = Signer::new();
    let authorizer = authorizer(&config(&signer, None));
    let token = token(&signer, "ec");
    // Every other request meanwhile gets the same answer: the host fetches once for all of them.
    assert_eq!(decide(&authorizer, 0, &token), "need_keys");
    assert_eq!(decide(&authorizer, 0, &token), "need_keys");
    assert_eq!(authorizer.keys_due(at(0)).len(), 1);
    assert_eq!(
        authorizer.accept_keys(at(1), URL, &signer.jwks()),
        Ok(vec![])
    );
    assert_eq!(authorizer.keys_due(at(1)), []);
    assert_eq!(decide(&authorizer, 1, &token), "allowed");
}

#[test]
fn a_flood_of_invented_kids_costs_one_fetch_per_cool_down() {
    let signer = Signer::new();
    let authorizer = authorizer(&config(&signer, Some(signer.jwks())));
    authorizer.accept_keys(at(0), URL, &signer.jwks()).unwrap();
    let mut n_fetches = 0;
    for second in 0..120 {
        for n in 0..10 {
            let invented = token(&signer, &format!("invented {second} {n}"));
            match decide(&authorizer, second, &invented) {
                "need_keys" => {
                    n_fetches += 1;
                    authorizer
                        .accept_keys(at(second), URL, &signer.jwks())
                        .unwrap();
                }
                other => assert_eq!(other, "unknown_key"),
            }
        }
        assert_eq!(
            decide(&authorizer, second, &token(&signer, "ec")),
            "allowed"
        );
    }
    assert_eq!(n_fetches, 3);
}

#[test]
fn the_previous_keys_stay_in_use_while_fetches_fail() {
    let signer = Signer::new();
    let authorizer = authorizer(&config(&signer, Some(signer.jwks())));
    let good = token(&signer, "ec");
    // The age of the configured keys is unknown, so a fetch is due at once.
    assert_eq!(decide(&authorizer, 0, &good), "need_keys");
    authorizer.keys_not_fetched(at(0), URL);
    assert_eq!(decide(&authorizer, 0, &good), "allowed");
    assert_eq!(decide(&authorizer, 29, &good), "allowed");
    // The key may be new, and nobody can know at the moment. The viewer must not be signed out for that.
    assert_eq!(
        decide(&authorizer, 29, &token(&signer, "new")),
        "keys_unavailable"
    );
    assert_eq!(decide(&authorizer, 30, &good), "need_keys");
    // An answer that is not a key set is a failure, too.
    for wrong in [json!([]), json!({"keys": "none"}), json!({"error": 7})] {
        assert!(authorizer.accept_keys(at(30), URL, &wrong).is_err());
        assert_eq!(decide(&authorizer, 31, &good), "allowed");
    }
}

#[test]
fn the_only_key_can_be_withdrawn() {
    let signer = Signer::new();
    for (case, withdrawn) in [
        ("no key", json!({"keys": []})),
        (
            "a key for other algorithms",
            json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "new",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}),
        ),
        (
            "a key that cannot be used",
            json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "ec", "x": "AAAA", "y": "AAAA"}]}),
        ),
        ("a secret", json!({"keys": [{"kty": "oct", "k": "AAAA"}]})),
    ] {
        let mut config = config(&signer, Some(signer.jwks()));
        config.issuers[0].algorithms = vec![Algorithm::ES256];
        let authorizer = authorizer(&config);
        let good = token(&signer, "ec");
        authorizer.accept_keys(at(0), URL, &signer.jwks()).unwrap();
        assert_eq!(decide(&authorizer, 0, &good), "allowed", "{case}");
        let late = i64::from(MAX_AGE);
        let left_out = authorizer.accept_keys(at(late), URL, &withdrawn);
        assert!(!left_out.unwrap().is_empty(), "{case}");
        assert_eq!(decide(&authorizer, late, &good), "unknown_key", "{case}");
        // A fetch is due again as soon as the cool-down allows, so an issuer's mistake signs nobody out for long.
        assert_eq!(decide(&authorizer, late + 30, &good), "need_keys", "{case}");
    }
}

#[test]
fn a_withdrawn_key_is_trusted_no_longer_than_configured() {
    let signer = Signer::new();
    let authorizer = authorizer(&config(&signer, None));
    authorizer.accept_keys(at(0), URL, &signer.jwks()).unwrap();
    let good = token(&signer, "ec");
    let last = i64::from(MAX_AGE) - 1;
    assert_eq!(decide(&authorizer, 0, &good), "allowed");
    assert_eq!(decide(&authorizer, last, &good), "allowed");
    // The token is in the cache by now, and is still no longer accepted.
    assert_eq!(decide(&authorizer, last + 1, &good), "need_keys");
    authorizer
        .accept_keys(at(last + 1), URL, &without(&signer, "ec"))
        .unwrap();
    assert_eq!(decide(&authorizer, last + 1, &good), "unknown_key");
    // When the key is published again, it is trusted again.
    assert_eq!(decide(&authorizer, last + 31, &good), "need_keys");
    authorizer
        .accept_keys(at(last + 31), URL, &signer.jwks())
        .unwrap();
    assert_eq!(decide(&authorizer, last + 31, &good), "allowed");
}

#[test]
fn a_key_replaced_under_its_kid_verifies_no_earlier_token() {
    let (signer, other) = (Signer::new(), Signer::new());
    let authorizer = authorizer(&config(&signer, None));
    authorizer.accept_keys(at(0), URL, &signer.jwks()).unwrap();
    let good = token(&signer, "ec");
    assert_eq!(decide(&authorizer, 0, &good), "allowed");
    authorizer.accept_keys(at(1), URL, &other.jwks()).unwrap();
    assert_eq!(decide(&authorizer, 1, &good), "bad_signature");
    assert_eq!(decide(&authorizer, 1, &token(&other, "ec")), "allowed");
}

#[test]
fn a_cached_token_still_expires() {
    let signer = Signer::new();
    let authorizer = signer.authorizer();
    let token = signer.sign(
        &header("rsa"),
        &claims(&json!({"nbf": NOW, "exp": NOW + 300})),
    );
    for (seconds, expected) in [
        (0, "allowed"),
        (299, "allowed"),
        (-1, "not_yet_valid"),
        (299, "allowed"),
        (300, "expired"),
        (299, "allowed"),
        (301, "expired"),
    ] {
        assert_eq!(decide(&authorizer, seconds, &token), expected, "{seconds}");
    }
}

#[test]
fn a_cached_token_is_matched_by_its_whole_text() {
    let signer = Signer::new();
    let authorizer = signer.authorizer();
    let good = signer.sign(&header("ec"), &claims(&json!({})));
    let other = signer.sign(&header("ec"), &claims(&json!({"sub": "bob"})));
    assert_eq!(decide(&authorizer, 0, &good), "allowed");
    assert_eq!(decide(&authorizer, 0, &other), "allowed");
    let parts: Vec<_> = good.split('.').collect();
    let others: Vec<_> = other.split('.').collect();
    for forged in [
        format!("{}.{}.{}", parts[0], others[1], parts[2]),
        format!("{}.{}.{}", others[0], others[1], parts[2]),
        format!(" {good}"),
        format!("{good}="),
    ] {
        assert_ne!(decide(&authorizer, 0, &format!("{forged}.")), "allowed");
        if !forged.starts_with(' ') {
            assert_ne!(decide(&authorizer, 0, &forged), "allowed", "{forged}");
        }
    }
}

#[test]
fn only_an_issuer_that_shares_a_secret_verifies_hs256() {
    let signer = Signer::new();
    let secret = [7_u8; 32];
    let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let set = |k: &[u8]| {
        Some(Secrets(
            json!({"keys": [{"kty": "oct", "kid": "s", "k": encode(k)}]}),
        ))
    };
    let signed = |header: &Value, secret: &[u8]| {
        let input = format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims(&json!({})).to_string().as_bytes())
        );
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        let mac = aws_lc_rs::hmac::sign(&key, input.as_bytes());
        format!("{input}.{}", encode(mac.as_ref()))
    };
    let mut config = signer.config();
    config.issuers[0].algorithms.push(Algorithm::HS256);
    config.issuers[0].secrets = set(&secret);
    let authorizer = authorizer(&config);
    let hs256 = |kid: &str| json!({"alg": "HS256", "kid": kid});
    for (case, token, expected) in [
        ("the secret", signed(&hs256("s"), &secret), "allowed"),
        (
            "another secret",
            signed(&hs256("s"), &[8; 32]),
            "bad_signature",
        ),
        (
            "an RSA key's name",
            signed(&hs256("rsa"), &signer.rsa_public_der()),
            "unknown_key",
        ),
        (
            "the secret as an RSA key",
            signed(&json!({"alg": "RS256", "kid": "s"}), &secret),
            "unknown_key",
        ),
        (
            "HS512",
            signed(&json!({"alg": "HS512", "kid": "s"}), &secret),
            "algorithm_not_allowed",
        ),
    ] {
        assert_eq!(decide(&authorizer, 0, &token), expected, "{case}");
    }
    assert!(!format!("{config:?}").contains(&encode(&secret)));

    let fault = |change: &dyn Fn(&mut Config)| {
        let mut config = config.clone();
        change(&mut config);
        let faults = Authorizer::new(&config).err().unwrap();
        format!("{}: {}", faults[0].key, faults[0].message)
    };
    for (found, expected) in [
        (
            fault(&|config| config.issuers[0].secrets = None),
            "issuers[0].algorithms: HS256 needs `secrets`, such as [{ file = \"secret\" }]",
        ),
        (
            fault(&|config| config.issuers[0].secrets = set(&[7; 31])),
            "issuers[0].secrets: keys[0]: the secret has 31 bytes; at least 32 are needed",
        ),
        (
            fault(&|config| {
                config.issuers[0].algorithms.pop();
            }),
            "issuers[0].secrets: are for HS256 only: add it to `algorithms`",
        ),
        (
            fault(&|config| config.issuers[0].algorithms = vec![Algorithm::HS256]),
            "issuers[0].jwks: HS256 has no public keys: list another algorithm as well",
        ),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn keys_come_only_from_safe_addresses() {
    let signer = Signer::new();
    for (url, safe) in [
        ("https://login.example.com/jwks.json", true),
        ("http://127.0.0.1:8080/jwks.json", true),
        ("http://login.example.com/jwks.json", false),
        ("http://127.0.0.1.evil.example/", false),
        ("https://", false),
        ("https:///jwks.json", false),
        ("https://login.example.com@evil.example/", false),
        ("https://login.example.com/a b", false),
        ("file:///etc/passwd", false),
    ] {
        let mut config = config(&signer, None);
        config.issuers[0].published.as_mut().unwrap().url = url.to_owned();
        assert_eq!(Authorizer::new(&config).is_ok(), safe, "{url}");
    }
}

#[test]
fn keys_are_trusted_until_max_stale_without_a_successful_fetch() {
    let signer = Signer::new();
    let mut config = config(&signer, Some(signer.jwks()));
    let published = config.issuers[0].published.as_mut().unwrap();
    published.max_stale_seconds = 10_000;
    config.issuers[0].jwks_as_of = Some(at(-9_000));
    let authorizer = authorizer(&config);
    let good = token(&signer, "ec");
    let mut seconds = 0;
    let mut fail = |expected: &str, after: i64| {
        seconds += after;
        assert_eq!(decide(&authorizer, seconds, &good), "need_keys");
        authorizer.keys_not_fetched(at(seconds), URL);
        assert_eq!(decide(&authorizer, seconds, &good), expected, "{seconds}");
    };
    fail("allowed", 0);
    fail("allowed", 999);
    // A cached token is not an exception, and neither is one within the cool-down.
    fail("keys_unavailable", 30);
    assert_eq!(decide(&authorizer, 1_030, &good), "keys_unavailable");
    // A successful fetch restarts the period.
    authorizer
        .accept_keys(at(2_000), URL, &signer.jwks())
        .unwrap();
    assert_eq!(decide(&authorizer, 2_000, &good), "allowed");
    for (seconds, expected) in [(11_000, "allowed"), (12_000, "keys_unavailable")] {
        assert_eq!(decide(&authorizer, seconds, &good), "need_keys");
        authorizer.keys_not_fetched(at(seconds), URL);
        assert_eq!(decide(&authorizer, seconds, &good), expected);
    }
}

#[test]
fn fetch_settings_out_of_bounds_are_faults() {
    let signer = Signer::new();
    let fault = |change: &dyn Fn(&mut PublishedKeys)| {
        let mut config = config(&signer, None);
        change(config.issuers[0].published.as_mut().unwrap());
        let faults = Authorizer::new(&config).err().unwrap_or_default();
        faults.first().map(|fault| fault.key.clone())
    };
    for (found, expected) in [
        (fault(&|_| ()), None),
        (fault(&|keys| keys.max_age_seconds = 30), None),
        (
            fault(&|keys| keys.max_age_seconds = 29),
            Some("jwks.max_age"),
        ),
        (fault(&|keys| keys.timeout_ms = 100), None),
        (fault(&|keys| keys.timeout_ms = 99), Some("jwks.timeout")),
        (fault(&|keys| keys.timeout_ms = 4_001), Some("jwks.timeout")),
        (
            fault(&|keys| keys.max_stale_seconds = MAX_AGE - 1),
            Some("jwks.max_stale"),
        ),
    ] {
        assert_eq!(found, expected.map(|key| format!("issuers[0].{key}")));
    }
}

#[test]
fn blocks_of_one_address_share_keys_and_settings() {
    let signer = Signer::new();
    let mut both = config(&signer, None);
    both.rules.retain(|rule| rule.path == "/members/**");
    let mut other = both.issuers[0].clone();
    other.issuer = "https://other.example.com/".to_owned();
    other.algorithms = vec![Algorithm::ES256];
    both.issuers.push(other);
    let authorizer = authorizer(&both);
    authorizer.accept_keys(at(0), URL, &signer.jwks()).unwrap();
    for iss in [ISSUER, "https://other.example.com/"] {
        let claims = claims(&json!({"iss": iss}));
        let token = signer.sign(&json!({"alg": "ES256", "kid": "ec"}), &claims);
        assert_eq!(decide(&authorizer, 1, &token), "allowed", "{iss}");
    }
    // The algorithms are configured per block.
    let claims = claims(&json!({"iss": "https://other.example.com/"}));
    let token = signer.sign(&json!({"alg": "RS256", "kid": "rsa"}), &claims);
    assert_eq!(decide(&authorizer, 1, &token), "algorithm_not_allowed");
    let fault = |change: &dyn Fn(&mut edge_auth::config::Issuer)| {
        let mut config = both.clone();
        change(&mut config.issuers[1]);
        let faults = Authorizer::new(&config).err().unwrap();
        faults[0].key.clone()
    };
    assert_eq!(
        fault(&|issuer| issuer.published.as_mut().unwrap().max_age_seconds = 60),
        "issuers[1].jwks"
    );
    // The keys may be given once, but not in two versions.
    let mut given = both.clone();
    given.issuers[1].jwks = Some(signer.jwks());
    assert!(Authorizer::new(&given).is_ok());
    given.issuers[0].jwks = Some(without(&signer, "ec"));
    let faults = Authorizer::new(&given).err().unwrap();
    assert_eq!(faults[0].key, "issuers[1].jwks.file");
}
