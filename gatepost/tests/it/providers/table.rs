//! The table of identity providers: the configurations of `docs/providers.md`, and sample tokens for each, signed with keys
//! that are made for the run. Used by the tests of `gatepost replay` and by those of the configuration.

use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use data_encoding::BASE64URL_NOPAD;
use edge_auth::OwnerNames;
use serde_json::{Value, json};

/// The time of every case: 2026-11-27T12:00:00Z.
pub(crate) const NOW: i64 = 1_795_780_800;
const SECRET: &str = "a secret of the tests, 40 characters long";

/// One section of the document, with the tokens that it must be right about.
pub(crate) struct Provider {
    pub(crate) section: String,
    pub(crate) toml: String,
    pub(crate) cases: Vec<Case>,
}

/// A request with a provider's token, and what becomes of it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) uri: String,
    pub(crate) expected: Value,
    token: Option<(Value, Value)>,
    from: String,
}

/// The keys that the providers sign with.
pub(crate) struct Keys {
    rsa: RsaKeyPair,
    ecdsa: EcdsaKeyPair,
}

/// Reads the table.
pub(crate) fn providers() -> Vec<Provider> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("../docs/providers.md")).unwrap();
    let mut files: Vec<PathBuf> = std::fs::read_dir(root.join("tests/it/providers"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    let providers: Vec<_> = files
        .iter()
        .map(|file| {
            let table: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            let section = table["section"].as_str().unwrap().to_owned();
            let cases = table["cases"].as_array().unwrap().iter();
            Provider {
                toml: configuration(&document, &section),
                cases: cases.map(read_case).collect(),
                section,
            }
        })
        .collect();
    // A section without tokens would be documented and not tested.
    let n_configurations = document.matches("\n```toml\n").count();
    assert_eq!(providers.len(), n_configurations);
    providers
}

/// The configuration of a section.
fn configuration(document: &str, section: &str) -> String {
    let heading = format!("\n## {section}\n");
    let (_, text) = document
        .split_once(&heading)
        .unwrap_or_else(|| panic!("docs/providers.md has no section {section}"));
    let text = text.split("\n## ").next().unwrap();
    let (_, toml) = text.split_once("\n```toml\n").unwrap();
    toml.split("\n```").next().unwrap().to_owned()
}

fn read_case(case: &Value) -> Case {
    let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
    let owner = case["owner"].as_object().map(|owner| {
        let text = |name: &str| owner[name].as_str().unwrap();
        OwnerNames::default().owner(text("issuer"), text("claim"), text("subject"))
    });
    let nobody = "aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let shown = owner.as_ref().map_or(nobody, |owner| owner.as_str());
    let mut expected = case["expected"].clone();
    if expected["decision"] == "allow" {
        expected["owner"] = json!(owner);
    }
    let token = case["claims"].is_object().then(|| {
        let mut claims = case["claims"].clone();
        for claim in claims.as_object_mut().unwrap().values_mut() {
            if let Some(time) = claim.as_str().and_then(time) {
                *claim = time.into();
            }
        }
        (case["header"].clone(), claims)
    });
    Case {
        name: text("name"),
        uri: text("uri").replace("{{owner}}", shown),
        expected,
        token,
        from: text("from"),
    }
}

/// `{{now}}`, `{{now+300}}` or `{{now-300}}`.
fn time(text: &str) -> Option<i64> {
    let offset = text.strip_prefix("{{now")?.strip_suffix("}}")?;
    match offset {
        "" => Some(NOW),
        offset => Some(NOW + offset.parse::<i64>().ok()?),
    }
}

impl Provider {
    /// Writes the configuration and the secrets that it names into a folder.
    pub(crate) fn write(&self, folder: &Path) {
        std::fs::write(folder.join("gatepost.toml"), &self.toml).unwrap();
        let table: toml::Table = self.toml.parse().unwrap();
        let issuers = table["issuers"].as_array().unwrap().iter();
        let secrets = issuers.filter_map(|issuer| issuer.get("secrets")?.as_array());
        for secret in secrets.flatten() {
            let file = secret["file"].as_str().unwrap();
            std::fs::write(folder.join(file), SECRET).unwrap();
        }
    }
}

impl Case {
    /// The header that carries the token, if the case has one.
    pub(crate) fn header(&self, keys: &Keys) -> Option<(String, String)> {
        let (header, claims) = self.token.as_ref()?;
        let token = keys.sign(header, claims);
        Some(match self.from.split_once(':') {
            Some(("cookie", name)) => ("cookie".to_owned(), format!("{name}={token}")),
            Some(("header", name)) => (name.to_ascii_lowercase(), token),
            _ => ("authorization".to_owned(), format!("Bearer {token}")),
        })
    }
}

impl Keys {
    pub(crate) fn generate() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ecdsa: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        }
    }

    /// The published keys: two of one name, for two algorithms, as some providers have them.
    pub(crate) fn jwks(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let public = self.rsa.public_key();
        let (x, y) = self.ecdsa.public_key().as_ref()[1..].split_at(32);
        let modulus = public.modulus().big_endian_without_leading_zero();
        let exponent = public.exponent().big_endian_without_leading_zero();
        json!({"keys": [
            {"kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256", "n": encode(modulus), "e": encode(exponent)},
            {"kty": "EC", "kid": "k1", "use": "sig", "alg": "ES256", "crv": "P-256", "x": encode(x), "y": encode(y)},
        ]})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let input = format!("{}.{}", encode(header), encode(claims));
        let (message, random) = (input.as_bytes(), SystemRandom::new());
        let signature = match header["alg"].as_str() {
            Some("RS256") => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                let signed = self
                    .rsa
                    .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                signed.unwrap();
                signature
            }
            Some("ES256") => self.ecdsa.sign(&random, message).unwrap().as_ref().to_vec(),
            Some("HS256") => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
                hmac::sign(&key, message).as_ref().to_vec()
            }
            other => panic!("{other:?}"),
        };
        format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}
