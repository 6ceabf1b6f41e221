//! An authorizer with one issuer that shares a secret with the fuzzer, and the one token that it signed.

use std::sync::OnceLock;

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use edge_auth::{Authorizer, Config};
use jiff::Timestamp;
use serde_json::json;

pub const NOW: Timestamp = Timestamp::constant(1_795_478_400, 0);
const SECRET: &[u8] = b"a secret of the fuzzer alone, 32 bytes or more";

pub fn authorizer() -> &'static Authorizer {
    static AUTHORIZER: OnceLock<Authorizer> = OnceLock::new();
    AUTHORIZER.get_or_init(|| {
        let config: Config = serde_json::from_value(json!({
            "issuers": [{
                "issuer": "i", "audiences": {"one_of": ["a"]}, "algorithms": ["HS256"],
                "secrets": {"keys": [{"kty": "oct", "k": BASE64URL_NOPAD.encode(SECRET)}]},
            }],
            "token_sources": ["authorization", {"cookie": "t"}, {"query": "t"}],
            "rules": [
                {"path": "/public/**", "access": "anyone"},
                {"path": "/media/{owner}/**", "access": "owner"},
                {"path": "/team/{claim:groups}/*.webp", "access": "authenticated"},
            ],
            "login": "/sign-in?return_to={url}",
            "cors": {"origins": ["https://app.example.com"], "methods": ["GET"], "headers": [], "max_age_seconds": 1},
        }))
        .unwrap();
        Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"))
    })
}

pub fn token() -> &'static String {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| {
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let claims = json!({"iss": "i", "aud": "a", "sub": "s", "exp": NOW.as_second() + 60});
        let input = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(&claims.to_string()));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), input.as_bytes());
        format!("{input}.{}", BASE64URL_NOPAD.encode(mac.as_ref()))
    })
}
