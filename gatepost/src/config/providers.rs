//! Tests that a session is decided on like the provider's token that it came from, for every provider in the docs.

// The integration tests use more of the table.
#[expect(dead_code, reason = "each test uses a part of the table")]
#[path = "../../tests/it/providers/table.rs"]
mod table;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use edge_auth::config::{Session, SessionKey, TokenSource};
use edge_auth::{Authorizer, Decision, Headers, Request, SESSION_COOKIE};
use jiff::Timestamp;

use super::Config;
use table::{Keys, NOW, providers};

#[test]
fn sessions_are_decided_on_as_tokens_of_every_provider() {
    let keys = Keys::generate();
    let random = SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let session_key = SessionKey::from_private_der("s", der.as_ref()).unwrap();
    let now = Timestamp::from_second(NOW).unwrap();
    let mut n_compared = 0;
    for provider in providers() {
        let folder = tempfile::tempdir().unwrap();
        provider.write(folder.path());
        let file = folder.path().join("gatepost.toml");
        let config = Config::load_with_keys(Some(&file), Some(&keys.jwks()));
        let mut edge = config.unwrap_or_else(|error| panic!("{error}")).edge;
        for issuer in &mut edge.issuers {
            issuer.published = None;
        }
        let cookie = TokenSource::Cookie(SESSION_COOKIE.to_owned());
        if !edge.token_sources.contains(&cookie) {
            edge.token_sources.push(cookie);
        }
        edge.session = Some(Session {
            keys: vec![session_key.clone()],
            lifetime_seconds: 900,
        });
        let authorizer = Authorizer::new(&edge).unwrap_or_else(|faults| panic!("{faults:?}"));
        let decide = |header: (&str, &str), uri: &str| {
            let headers: Headers = [header].into_iter().collect();
            let request = Request {
                method: "GET",
                uri,
                ..Request::from(&headers)
            };
            match authorizer.decide(now, &request) {
                Decision::Allow(allowed) => ("allowed", allowed.owner),
                Decision::Deny(denied) => (denied.refusal.code(), None),
                other => panic!("{other:?}"),
            }
        };
        for case in &provider.cases {
            let Some((name, value)) = case.header(&keys) else {
                continue;
            };
            let headers: Headers = [(name.as_str(), value.as_str())].into_iter().collect();
            let Ok(viewer) = authorizer.authenticate(now, &Request::from(&headers)) else {
                continue;
            };
            let session = authorizer.start_session(now, &viewer).unwrap();
            let cookie = format!("{SESSION_COOKIE}={}", session.token);
            // With every path of the provider, not only the case's own.
            for other in &provider.cases {
                let with_token = decide((&name, &value), &other.uri);
                let with_session = decide(("cookie", &cookie), &other.uri);
                let (section, name) = (&provider.section, &case.name);
                assert_eq!(with_token, with_session, "{section}: {name}: {}", other.uri);
                n_compared += 1;
            }
        }
    }
    assert!(n_compared > 500, "{n_compared}");
}
