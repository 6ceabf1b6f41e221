//! A second opinion: `jsonwebtoken`, under the equivalent validation, accepts every token that `edge-auth` accepts.
//!
//! The reverse does not hold, because `edge-auth` is stricter. There is one exception: `alg: Ed25519` (RFC 9864), which
//! `jsonwebtoken` does not know. It reads the system's clock, so tokens are dated from now, and no time in them is
//! within a minute of it.

use std::collections::BTreeMap;

use edge_auth::config::Algorithm;
use edge_auth::{Authorizer, Headers, Request};
use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::signer::{AUDIENCE, ISSUER, Signer};

/// The result of `jsonwebtoken` for a token.
fn accepts(jwks: &JwkSet, token: &str) -> Result<(), String> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    let kid = header.kid.as_deref().ok_or("no kid")?;
    let key = jwks.find(kid).ok_or("no key")?;
    let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
    let mut validation = Validation::new(header.alg);
    validation.leeway = 0;
    validation.validate_nbf = true;
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    jsonwebtoken::decode::<IgnoredAny>(token, &key, &validation)
        .map(drop)
        .map_err(|error| error.to_string())
}

#[test]
fn every_accepted_token_is_accepted_by_jsonwebtoken() {
    let signer = Signer::new();
    let mut config = signer.config();
    config.issuers[0].algorithms = Algorithm::ALL
        .into_iter()
        .filter(|algorithm| *algorithm != Algorithm::HS256)
        .collect();
    let authorizer = Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
    let jwks: JwkSet = serde_json::from_value(signer.jwks()).unwrap();
    let now = Timestamp::now();
    let seconds = now.as_second();
    let headers = [
        json!({"alg": "RS256", "kid": "rsa"}),
        json!({"alg": "RS384", "kid": "rsa", "typ": "JWT"}),
        json!({"alg": "RS512", "kid": "rsa"}),
        json!({"alg": "PS256", "kid": "rsa"}),
        json!({"alg": "PS384", "kid": "rsa"}),
        json!({"alg": "PS512", "kid": "rsa"}),
        json!({"alg": "ES256", "kid": "ec", "typ": "at+jwt", "x": [1]}),
        json!({"alg": "ES384", "kid": "p384", "cty": "JWT"}),
        json!({"alg": "EdDSA", "kid": "ed"}),
        json!({"alg": "RS256", "kid": "ec"}),
        json!({"alg": "none", "kid": "ec"}),
        json!({"alg": "ES256", "kid": "new"}),
    ];
    let payloads = [
        json!({}),
        json!({"exp": seconds + 60}),
        json!({"exp": seconds + 3600, "nbf": seconds - 3600, "iat": seconds - 3600}),
        json!({"exp": 4_102_444_800.5}),
        json!({"exp": seconds - 60}),
        json!({"nbf": seconds + 60}),
        json!({"nbf": 0.5}),
        json!({"aud": [AUDIENCE]}),
        json!({"aud": ["other", AUDIENCE, AUDIENCE]}),
        json!({"aud": "other"}),
        json!({"aud": []}),
        json!({"iss": [ISSUER]}),
        json!({"iss": "https://other.example/"}),
        json!({"sub": ""}),
        json!({"sub": null}),
        json!({"sub": "名前", "jti": 7, "nonce": {"a": [1, {"b": null}]}}),
        json!({"scope": ["a"], "groups": {"red": true}, "": "", "exp ": "x"}),
    ];
    let mut verdicts: BTreeMap<(bool, bool), usize> = BTreeMap::new();
    for header in &headers {
        for changes in &payloads {
            let mut claims = json!({
                "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": seconds + 300,
            });
            for (name, value) in changes.as_object().unwrap() {
                match value {
                    Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                    value => claims[name] = value.clone(),
                }
            }
            let token = signer.sign(header, &claims);
            // As it is, and with one character of each part changed.
            let mut tokens = vec![token.clone()];
            for part in 0..3 {
                let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
                let other = if parts[part].starts_with('A') {
                    "B"
                } else {
                    "A"
                };
                parts[part].replace_range(..1, other);
                tokens.push(parts.join("."));
            }
            for token in tokens {
                let bearer = format!("Bearer {token}");
                let headers: Headers = [("authorization", bearer.as_str())].into_iter().collect();
                let ours = authorizer.authenticate(now, &Request::from(&headers));
                let theirs = accepts(&jwks, &token);
                assert!(
                    ours.is_err() || theirs.is_ok(),
                    "{header} {claims}: {theirs:?}"
                );
                *verdicts.entry((ours.is_ok(), theirs.is_ok())).or_default() += 1;
            }
        }
    }
    // The comparison is meaningful only if both accept many tokens and both refuse many.
    assert!(verdicts[&(true, true)] >= 70, "{verdicts:?}");
    assert!(verdicts[&(false, false)] >= 400, "{verdicts:?}");
}
