//! Parses one key of a JWK Set (RFC 7517): its type, its restrictions, and the algorithms that it verifies.
//!
//! A key's restrictions are honoured: `use`, `key_ops`, `alg`. A key of an unknown kind is skipped, as RFC 7517 §5
//! requires; a dangerous key is a fault.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use crate::config::Algorithm;
use crate::keys::material::{Family, Material};

/// RFC 7518 §3.2: a key at least as long as the hash.
const MIN_SECRET_BYTES: usize = 32;

/// One key of a set, with every algorithm that it verifies.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) kid: Option<String>,
    /// Entra's `issuer` member: whose tokens the key is for.
    pub(super) issuer: Option<String>,
    pub(super) uses: Vec<(Algorithm, Material)>,
}

impl Key {
    /// The key for one algorithm.
    pub(super) fn material(&self, algorithm: Algorithm) -> Option<&Material> {
        let mut uses = self.uses.iter();
        uses.find(|(usable, _)| *usable == algorithm)
            .map(|(_, material)| material)
    }

    /// Whether the key verifies this algorithm.
    pub(super) fn is_for(&self, algorithm: Algorithm) -> bool {
        self.material(algorithm).is_some()
    }
}

/// A public key for the algorithms that it fits; `None` if it is for something else.
pub(super) fn public_key(jwk: &Value, algorithms: &[Algorithm]) -> Result<Option<Key>, String> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if jwk.get("kty").is_some_and(|kty| kty == "oct") {
        // A symmetric key must not be in a published set, and is never used.
        return Ok(None);
    }
    if jwk.get("d").is_some() {
        return Err(
            "it is a private key, which has no place here; publish only its public half".to_owned(),
        );
    }
    if !is_for_verifying(jwk) {
        return Ok(None);
    }
    check_kid(jwk)?;
    let family = match (text("kty"), text("crv")) {
        (Some("RSA"), _) => Family::Rsa,
        (Some("EC"), Some("P-256")) => Family::P256,
        (Some("EC"), Some("P-384")) => Family::P384,
        (Some("OKP"), Some("Ed25519")) => Family::Ed25519,
        _ => return Ok(None),
    };
    let Some(uses) = algorithms_of(jwk, family, algorithms) else {
        return Ok(None);
    };
    let octets = |name: &str| octets(jwk, name);
    let point = |n_bytes: usize| {
        let (x, y) = (octets("x")?, octets("y")?);
        if x.len() != n_bytes || y.len() != n_bytes {
            return Err(format!("a coordinate of its curve has {n_bytes} bytes"));
        }
        // SEC 1 §2.3.3: an uncompressed point.
        Ok([&[4], x.as_slice(), y.as_slice()].concat())
    };
    let parse = |algorithm: Algorithm| match family {
        Family::Rsa => Material::rsa(&octets("n")?, &octets("e")?, algorithm),
        Family::P256 => Material::p256(&point(32)?),
        Family::P384 => Material::p384(&point(48)?),
        Family::Ed25519 => Material::ed25519(&octets("x")?),
        Family::Secret => Err("it is a secret".to_owned()),
    };
    let uses = uses
        .into_iter()
        .map(|algorithm| Ok((algorithm, parse(algorithm)?)))
        .collect::<Result<Vec<_>, String>>()?;
    Ok((!uses.is_empty()).then(|| Key {
        kid: text("kid").map(str::to_owned),
        issuer: text("issuer").map(str::to_owned),
        uses,
    }))
}

/// A secret for HS256.
pub(super) fn secret_key(jwk: &Value, algorithms: &[Algorithm]) -> Result<Option<Key>, String> {
    if jwk.get("kty").is_none_or(|kty| kty != "oct") {
        return Err(
            "it is not a secret (`kty` is not \"oct\"); a set of secrets must not contain other keys"
                .to_owned(),
        );
    }
    if !is_for_verifying(jwk) {
        return Ok(None);
    }
    check_kid(jwk)?;
    let Some(uses) = algorithms_of(jwk, Family::Secret, algorithms) else {
        return Ok(None);
    };
    let secret = octets(jwk, "k")?;
    if secret.len() < MIN_SECRET_BYTES {
        return Err(format!(
            "the secret has {} bytes; at least {MIN_SECRET_BYTES} are needed",
            secret.len()
        ));
    }
    Ok((!uses.is_empty()).then(|| Key {
        kid: jwk.get("kid").and_then(Value::as_str).map(str::to_owned),
        issuer: None,
        uses: uses
            .into_iter()
            .map(|used| (used, Material::secret(&secret)))
            .collect(),
    }))
}

fn check_kid(jwk: &Value) -> Result<(), String> {
    if jwk.get("kid").is_some_and(|kid| kid == "") {
        return Err("its kid is empty; name it, or leave kid out".to_owned());
    }
    Ok(())
}

/// Members that are present must be valid: a key with a malformed `use` is not a key without `use`.
fn is_for_verifying(jwk: &Value) -> bool {
    let is_absent_or = |name: &str, fits: &dyn Fn(&Value) -> bool| jwk.get(name).is_none_or(fits);
    is_absent_or("use", &|usage| usage == "sig")
        && is_absent_or("key_ops", &|ops| {
            ops.as_array()
                .is_some_and(|ops| ops.iter().any(|op| op == "verify"))
        })
        && is_absent_or("kid", &Value::is_string)
        && is_absent_or("issuer", &Value::is_string)
}

/// The algorithms that a key is used with; `None` if its `alg` is for something else.
fn algorithms_of(jwk: &Value, family: Family, algorithms: &[Algorithm]) -> Option<Vec<Algorithm>> {
    let only = match jwk.get("alg") {
        None => None,
        Some(alg) => {
            let named = alg.as_str().and_then(Algorithm::from_name);
            Some(named.filter(|named| Family::of(*named) == family)?)
        }
    };
    let fitting = algorithms.iter().copied().filter(|algorithm| {
        Family::of(*algorithm) == family && only.is_none_or(|only| only == *algorithm)
    });
    Some(fitting.collect())
}

fn octets(jwk: &Value, name: &str) -> Result<Vec<u8>, String> {
    let text = jwk
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("`{name}` is missing"))?;
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|_| format!("`{name}` is not base64url"))
}
