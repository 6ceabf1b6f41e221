//! The development issuer: an identity provider with one key, for the local stack, tokens and replay.
//!
//! Its key is made on first use and never leaves the data directory. Nothing that is deployed trusts it.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{Access, Algorithm, Audiences, Issuer, RuleIssuers};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// The `iss` of its tokens. The name resolves nowhere.
pub(crate) const ISSUER: &str = "https://gatepost.localhost";
/// The `aud` of its tokens.
pub(crate) const AUDIENCE: &str = "gatepost";

const KEY_FILE: &str = "issuer-key.p8";

/// An issuer with its private key.
pub(crate) struct DevIssuer {
    key: EncodingKey,
    /// An uncompressed point.
    public_key: Vec<u8>,
    kid: String,
}

impl DevIssuer {
    /// One whose key is forgotten with it.
    pub(crate) fn ephemeral() -> anyhow::Result<Self> {
        Self::from_pkcs8(&new_key()?)
    }

    /// The one of a data directory that `gatepost dev` has made: its stack takes the tokens, and no other would take those
    /// of a new key.
    pub(crate) fn existing(data_dir: &Path) -> anyhow::Result<Self> {
        let shown = data_dir.display();
        anyhow::ensure!(
            data_dir.join(KEY_FILE).exists(),
            "{shown} is not the data directory of a local stack, so no stack would take the token; start `gatepost dev` here, or name the directory of one with --data-dir"
        );
        Self::open(data_dir)
    }

    /// The one of a data directory; made, with the directory, if it is not there yet.
    pub(crate) fn open(data_dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(data_dir)
            .with_context(|| format!("the data directory {} cannot be made", data_dir.display()))?;
        let file = data_dir.join(KEY_FILE);
        if !file.exists() {
            // Two processes may be here at once: whoever is first has made the key.
            let mut temporary = tempfile::NamedTempFile::new_in(data_dir).with_context(|| {
                format!(
                    "the data directory {} cannot be written to",
                    data_dir.display()
                )
            })?;
            temporary.write_all(&new_key()?)?;
            match temporary.persist_noclobber(&file) {
                Err(failed) if failed.error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(failed.error.into());
                }
                _ => {}
            }
        }
        let key = std::fs::read(&file)
            .with_context(|| format!("the issuer's key {} cannot be read", file.display()))?;
        Self::from_pkcs8(&key).with_context(|| {
            format!(
                "{} is not a P-256 key in PKCS#8; delete it to have a new one made",
                file.display()
            )
        })
    }

    fn from_pkcs8(pkcs8: &[u8]) -> anyhow::Result<Self> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
            .map_err(|error| anyhow::anyhow!("the key is not usable: {error}"))?;
        Ok(Self {
            kid: BASE64URL_NOPAD.encode(&Sha256::digest(key.public_key())[..9]),
            public_key: key.public_key().as_ref().to_vec(),
            key: EncodingKey::from_ec_der(pkcs8),
        })
    }

    /// The public key as a JWK Set.
    pub(crate) fn jwks(&self) -> Value {
        // 0x04, then both coordinates.
        let (x, y) = self.public_key[1..].split_at(32);
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
            "x": BASE64URL_NOPAD.encode(x),
            "y": BASE64URL_NOPAD.encode(y),
        }]})
    }

    /// What makes an authorizer trust it.
    pub(crate) fn configuration(&self) -> Issuer {
        Issuer {
            issuer: ISSUER.to_owned(),
            audiences: Audiences::OneOf(vec![AUDIENCE.to_owned()]),
            algorithms: vec![Algorithm::ES256],
            jwks: Some(self.jwks()),
            ..Issuer::default()
        }
    }

    /// Makes a configuration trust it beside the configured issuers, in whose place it is: what a rule asks of their
    /// tokens it may grant, too.
    pub(crate) fn join(&self, config: &mut edge_auth::Config) {
        config.issuers.push(self.configuration());
        for rule in &mut config.rules {
            match &mut rule.issuers {
                RuleIssuers::OneOf(names) => names.push(ISSUER.to_owned()),
                RuleIssuers::Unnamed if rule.access != Access::Anyone => {
                    rule.issuers = RuleIssuers::Any;
                }
                RuleIssuers::Unnamed | RuleIssuers::Any => {}
            }
        }
    }

    /// A token for `subject`. `extra` claims are added; where they name one of ours, theirs stands.
    pub(crate) fn token(
        &self,
        now: Timestamp,
        subject: &str,
        lifetime: SignedDuration,
        extra: Map<String, Value>,
    ) -> anyhow::Result<String> {
        let mut claims = Map::from_iter([
            ("iss".to_owned(), ISSUER.into()),
            ("aud".to_owned(), AUDIENCE.into()),
            ("sub".to_owned(), subject.into()),
            ("iat".to_owned(), now.as_second().into()),
            (
                "exp".to_owned(),
                now.as_second().saturating_add(lifetime.as_secs()).into(),
            ),
        ]);
        claims.extend(extra);
        self.sign(&self.kid, &claims)
    }

    /// A token of any claims, signed with the key, which its header calls `kid`.
    pub(crate) fn sign(&self, kid: &str, claims: &Map<String, Value>) -> anyhow::Result<String> {
        let header = Header {
            kid: Some(kid.to_owned()),
            ..Header::new(jsonwebtoken::Algorithm::ES256)
        };
        jsonwebtoken::encode(&header, claims, &self.key).context("the token cannot be signed")
    }
}

fn new_key() -> anyhow::Result<Vec<u8>> {
    let pkcs8 =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|error| anyhow::anyhow!("a key cannot be made: {error}"))?;
    Ok(pkcs8.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use edge_auth::{Authorizer, Config, Headers, Request};

    use super::*;

    #[test]
    fn an_authorizer_that_trusts_it_knows_whom_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let issuer = DevIssuer::open(folder.path()).unwrap();
        let config = Config {
            issuers: vec![issuer.configuration()],
            token_sources: vec![edge_auth::config::TokenSource::Authorization],
            ..Config::default()
        };
        let authorizer = Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
        let now = Timestamp::now();
        // Opened again it has the same key.
        let token = DevIssuer::open(folder.path())
            .unwrap()
            .token(now, "alice", SignedDuration::from_mins(1), Map::new())
            .unwrap();
        let headers: Headers = [("authorization", format!("Bearer {token}").as_str())]
            .into_iter()
            .collect();
        let viewer = authorizer
            .authenticate(now, &Request::from(&headers))
            .unwrap();
        assert_eq!(
            (viewer.issuer.as_str(), viewer.subject.as_deref()),
            (ISSUER, Some("alice"))
        );
        let stranger = DevIssuer::ephemeral().unwrap().configuration();
        let config = Config {
            issuers: vec![stranger],
            ..config
        };
        let authorizer = Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
        assert!(
            authorizer
                .authenticate(now, &Request::from(&headers))
                .is_err()
        );
    }
}
