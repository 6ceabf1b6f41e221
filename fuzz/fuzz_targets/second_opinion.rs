//! `jsonwebtoken`, under the equivalent validation, accepts every token that `edge-auth` accepts.
//!
//! The fuzzer writes header and payload, which are then signed with a secret; a byte 0xff, which never occurs in UTF-8,
//! separates the two. Two kinds of input are skipped: headers with members that `jsonwebtoken` refuses by their type,
//! and times within a minute of now, because it reads the system's clock.

#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{Algorithm, Audiences, Config, Issuer, Secrets, TokenSource};
use edge_auth::{Authorizer, Lines, Request};
use jiff::Timestamp;
use jsonwebtoken::{DecodingKey, Validation};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// The secret of this target.
const SECRET: &[u8; 32] = b"a secret that everybody may know";
const ISSUER: &str = "https://login.example.com/";

static AUTHORIZER: LazyLock<Authorizer> = LazyLock::new(|| {
    let keys = json!({"keys": [{"kty": "oct", "k": BASE64URL_NOPAD.encode(SECRET)}]});
    let config = Config {
        issuers: vec![Issuer {
            issuer: ISSUER.to_owned(),
            audiences: Audiences::OneOf(vec!["media".to_owned()]),
            algorithms: vec![Algorithm::HS256],
            secrets: Some(Secrets(keys)),
            ..Issuer::default()
        }],
        token_sources: vec![TokenSource::Authorization],
        ..Config::default()
    };
    Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"))
});

fuzz_target!(|data: &[u8]| {
    let now = Timestamp::now();
    let mut parts = data.splitn(2, |byte| *byte == 0xff);
    let (header, payload) = match (parts.next(), parts.next()) {
        (Some(header), Some(payload)) => (header.to_vec(), payload),
        (Some(payload), None) => (br#"{"alg":"HS256"}"#.to_vec(), payload),
        _ => return,
    };
    // The required claims are inserted, so that the fuzzer reaches deeper checks.
    let payload = match serde_json::from_slice::<Value>(payload) {
        Ok(Value::Object(mut claims)) => {
            let second = now.as_second();
            for (name, value) in [
                ("iss", json!(ISSUER)),
                ("aud", json!("media")),
                ("exp", json!(second + 300)),
            ] {
                claims.entry(name).or_insert(value);
            }
            Value::Object(claims).to_string().into_bytes()
        }
        _ => payload.to_vec(),
    };
    let is_near_now = |name: &str| {
        let claims: Value = serde_json::from_slice(&payload).unwrap_or_default();
        let time = claims[name].as_f64().unwrap_or_default();
        #[expect(
            clippy::cast_precision_loss,
            reason = "times near now are far below 2^52"
        )]
        let now = now.as_second() as f64;
        (time - now).abs() < 60.0
    };
    if is_near_now("exp") || is_near_now("nbf") {
        return;
    }
    let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let input = format!("{}.{}", encode(&header), encode(&payload));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let token = format!("{input}.{}", encode(hmac::sign(&key, input.as_bytes()).as_ref()));
    let authorization = format!("Bearer {token}");
    let request = Request {
        authorization: Lines::One(&authorization),
        ..Request::default()
    };
    if AUTHORIZER.authenticate(now, &request).is_err() || jsonwebtoken::decode_header(&token).is_err() {
        return;
    }
    let mut validation = Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.leeway = 0;
    validation.validate_nbf = true;
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&["media"]);
    let theirs = jsonwebtoken::decode::<IgnoredAny>(&token, &DecodingKey::from_secret(SECRET), &validation);
    assert!(theirs.is_ok(), "{token}: {theirs:?}");
});
