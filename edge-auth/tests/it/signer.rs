//! A test identity provider, with a key of every type, made for the run.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair,
};
use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{Access, Algorithm, Audiences, Issuer, Rule, TokenSource};
use edge_auth::{Authorizer, Config};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://login.example.com/";
pub(crate) const AUDIENCE: &str = "media";
/// The time of every decision: 2026-11-23T12:00:00Z.
pub(crate) const NOW: i64 = 1_795_435_200;

pub(crate) struct Signer {
    rsa: RsaKeyPair,
    ecdsa: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Signer {
    pub(crate) fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ecdsa: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
            ed25519: Ed25519KeyPair::generate().unwrap(),
        }
    }

    pub(crate) fn jwks(&self) -> Value {
        let der = self.rsa.public_key().as_ref();
        let (modulus, exponent) = rsa_components(der);
        let (x, y) = self.ecdsa.public_key().as_ref()[1..].split_at(32);
        let (x384, y384) = self.p384.public_key().as_ref()[1..].split_at(48);
        let ed25519 = self.ed25519.public_key().as_ref();
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        json!({"keys": [
            {"kty": "RSA", "kid": "rsa", "use": "sig", "n": encode(modulus), "e": encode(exponent)},
            {"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256", "x": encode(x), "y": encode(y)},
            {"kty": "EC", "crv": "P-384", "kid": "p384", "x": encode(x384), "y": encode(y384)},
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encode(ed25519)},
            {"kty": "AKP", "kid": "of the future", "pub": "AAAA"},
        ]})
    }

    /// The RSA public key as DER bytes, which an attacker would use as an HMAC secret.
    pub(crate) fn rsa_public_der(&self) -> Vec<u8> {
        self.rsa.public_key().as_der().unwrap().as_ref().to_vec()
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// Signs any header and payload with the key that `kid` names, regardless of `alg`.
    pub(crate) fn sign_text(&self, header: &str, payload: &str) -> String {
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let input = format!("{}.{}", encode(header), encode(payload));
        let random = SystemRandom::new();
        let header: Value = serde_json::from_str(header).unwrap();
        let signature = match header["kid"].as_str() {
            Some("rsa") => {
                let encoding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    match header["alg"].as_str() {
                        Some("RS384") => &RSA_PKCS1_SHA384,
                        Some("RS512") => &RSA_PKCS1_SHA512,
                        Some("PS256") => &RSA_PSS_SHA256,
                        Some("PS384") => &RSA_PSS_SHA384,
                        Some("PS512") => &RSA_PSS_SHA512,
                        _ => &RSA_PKCS1_SHA256,
                    };
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                let message = input.as_bytes();
                self.rsa
                    .sign(encoding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Some("p384") => self
                .p384
                .sign(&random, input.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Some("ed") => self.ed25519.sign(input.as_bytes()).as_ref().to_vec(),
            _ => self
                .ecdsa
                .sign(&random, input.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
        };
        format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    pub(crate) fn config(&self) -> Config {
        let rule = |path: &str, access: Access| Rule::new(path, access);
        Config {
            issuers: vec![Issuer {
                issuer: ISSUER.to_owned(),
                audiences: Audiences::OneOf(vec![AUDIENCE.to_owned()]),
                algorithms: vec![Algorithm::RS256, Algorithm::ES256],
                jwks: Some(self.jwks()),
                ..Issuer::default()
            }],
            token_sources: vec![
                TokenSource::Authorization,
                TokenSource::Cookie("__Host-gatepost".to_owned()),
            ],
            rules: vec![
                rule("/media/{owner}/**", Access::Owner),
                rule("/team/{claim:groups}/**", Access::Authenticated),
                rule("/admin/**", Access::Scopes(vec!["media:admin".to_owned()])),
                rule("/members/**", Access::Authenticated),
                rule("/public/**", Access::Anyone),
            ],
            ..Config::default()
        }
    }

    pub(crate) fn authorizer(&self) -> Authorizer {
        Authorizer::new(&self.config()).unwrap_or_else(|faults| panic!("{faults:?}"))
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

pub(crate) fn header(kid: &str) -> Value {
    let alg = if kid == "rsa" { "RS256" } else { "ES256" };
    json!({"alg": alg, "kid": kid, "typ": "JWT"})
}

pub(crate) fn claims(changes: &Value) -> Value {
    let mut claims =
        json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": NOW - 10, "exp": NOW + 300});
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017, appendix A.1.1), alone or within its SPKI.
fn rsa_components(der: &[u8]) -> (&[u8], &[u8]) {
    fn element(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, start) = match der[1] {
            short @ 0..0x80 => (usize::from(short), 2),
            long => {
                let n_octets = usize::from(long & 0x7f);
                let length = der[2..2 + n_octets]
                    .iter()
                    .fold(0, |sum, octet| (sum << 8) | usize::from(*octet));
                (length, 2 + n_octets)
            }
        };
        (&der[start..start + length], &der[start + length..])
    }
    let (sequence, _) = element(der);
    let (modulus, rest) = element(sequence);
    let (exponent, _) = element(rest);
    (modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent)
}
