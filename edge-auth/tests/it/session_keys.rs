//! The keys of sessions: made for tests, and the faults that are reported.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{Algorithm, Secrets, SessionKey, SessionKeyMaterial, TokenSource};
use edge_auth::{Authorizer, Config, SESSION_COOKIE, SESSION_ISSUER};
use jiff::SignedDuration;
use serde_json::json;

use crate::session_settings::{hs256, with_session};
use crate::signer::{Signer, now};

pub(crate) fn es256(kid: &str) -> SessionKey {
    let random = SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    SessionKey::from_private_der(kid, der.as_ref()).unwrap()
}

pub(crate) fn from(seconds: i64, key: SessionKey) -> SessionKey {
    let from = Some(now() + SignedDuration::from_secs(seconds));
    SessionKey { from, ..key }
}

#[test]
fn every_fault_of_the_session_settings_is_reported() {
    let signer = Signer::new();
    let faults = |change: &dyn Fn(&mut Config)| {
        let keys = [hs256("a"), from(0, es256("b"))];
        let mut config = with_session(signer.config(), &keys);
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
    let short = |kid: &str| SessionKey {
        material: SessionKeyMaterial::HS256 {
            secret: vec![7; 31].into(),
        },
        ..hs256(kid)
    };
    let mixed = || {
        let (mut key, other) = (es256("a"), es256("b"));
        if let (
            SessionKeyMaterial::ES256 { private, .. },
            SessionKeyMaterial::ES256 {
                private: Some(theirs),
                ..
            },
        ) = (&mut key.material, other.material)
        {
            *private = Some(theirs);
        }
        key
    };
    for (keys, expected) in [
        (vec![], vec!["session.keys"]),
        (vec![short("a")], vec!["session.keys[0]"]),
        (vec![hs256("")], vec!["session.keys[0].kid"]),
        (vec![mixed()], vec!["session.keys[0]"]),
        (
            vec![hs256("a"), from(1, es256("a"))],
            vec!["session.keys[1].kid"],
        ),
        (vec![hs256("a"), hs256("b")], vec!["session.keys[1].from"]),
        (
            vec![from(1, hs256("a")), from(1, hs256("b"))],
            vec!["session.keys[1].from"],
        ),
    ] {
        let found = faults(&move |config| config.session.as_mut().unwrap().keys.clone_from(&keys));
        assert_eq!(found, expected);
    }
    let cookie = || TokenSource::Cookie(SESSION_COOKIE.to_owned());
    for (from, expected) in [
        (vec![TokenSource::Authorization], vec!["token.from"]),
        (
            vec![cookie(), TokenSource::Authorization],
            vec!["token.from"],
        ),
        (vec![cookie()], vec!["token.from"]),
        (vec![TokenSource::Authorization, cookie()], vec![]),
    ] {
        let found = faults(&move |config| config.token_sources.clone_from(&from));
        assert_eq!(found, expected);
    }
    // An issuer that has the secret could make sessions.
    let shared = faults(&|config| {
        config.issuers[0].algorithms = vec![Algorithm::HS256];
        config.issuers[0].jwks = None;
        config.issuers[0].secrets = Some(Secrets(json!({"keys": [
            {"kty": "oct", "k": BASE64URL_NOPAD.encode(format!("{:-<32}", "a").as_bytes())},
        ]})));
    });
    assert_eq!(shared, ["session.keys[0]"]);
    assert_eq!(
        faults(&|config| config.issuers[0].issuer = SESSION_ISSUER.to_owned()),
        ["issuers[0].issuer"]
    );
}
