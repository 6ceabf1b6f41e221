//! From a token to a viewer: the signature first, then every claim that says for whom and when it is.
//!
//! `jsonwebtoken` checks the signature and nothing else. Its own claim validation passes over `iss`, `aud` and `sub`
//! of the wrong JSON type, does not look at `nbf` unless told and grants a minute by default; ours does none of that.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jsonwebtoken::crypto;
use serde_json::{Map, Value};

use crate::config::{Algorithm, Audiences, Fault, Issuer};
use crate::identity::Viewer;
use crate::keys::KeySet;
use crate::refusal::Refusal;
use crate::token::UnverifiedToken;

/// Numbers of seconds beyond this (the year 9999) are no times.
const MAX_SECONDS: f64 = 253_402_300_799.0;

/// Verifies the tokens of the configured issuers.
pub(crate) struct Verifier {
    issuers: Vec<TrustedIssuer>,
}

struct TrustedIssuer {
    name: String,
    audiences: Audiences,
    algorithms: Vec<Algorithm>,
    keys: KeySet,
    typ: Option<String>,
    claims: BTreeMap<String, Vec<String>>,
    leeway_seconds: i64,
}

impl Verifier {
    pub(crate) fn new(issuers: &[Issuer], faults: &mut Vec<Fault>) -> Self {
        let mut trusted: Vec<TrustedIssuer> = Vec::with_capacity(issuers.len());
        for (idx, issuer) in issuers.iter().enumerate() {
            let key = |name: &str| format!("issuers[{idx}].{name}");
            if issuer.issuer.is_empty() {
                faults.push(Fault::new(key("issuer"), "it is empty"));
            }
            if trusted.iter().any(|known| known.name == issuer.issuer) {
                faults.push(Fault::new(key("issuer"), "this issuer is configured twice"));
            }
            if matches!(&issuer.audiences, Audiences::OneOf(names) if names.is_empty()) {
                faults.push(Fault::new(
                    key("audiences"),
                    "name at least one audience, or write \"any\" to skip the check",
                ));
            }
            if issuer.algorithms.is_empty() {
                faults.push(Fault::new(key("algorithms"), "name at least one algorithm"));
            }
            for (claim, _) in issuer.claims.iter().filter(|(_, values)| values.is_empty()) {
                let message = "name at least one value, or no token will do";
                faults.push(Fault::new(
                    format!("issuers[{idx}].claims.{claim}"),
                    message,
                ));
            }
            match KeySet::new(&issuer.jwks) {
                Ok(keys) => trusted.push(TrustedIssuer {
                    name: issuer.issuer.clone(),
                    audiences: issuer.audiences.clone(),
                    algorithms: issuer.algorithms.clone(),
                    keys,
                    typ: issuer.typ.clone(),
                    claims: issuer.claims.clone(),
                    leeway_seconds: issuer.leeway_seconds.into(),
                }),
                Err(found) => {
                    faults.extend(
                        found
                            .into_iter()
                            .map(|fault| Fault::new(key("jwks"), fault)),
                    );
                }
            }
        }
        Self { issuers: trusted }
    }

    /// Verifies a token as of `now`.
    pub(crate) fn verify(&self, now: Timestamp, token: &str) -> Result<Viewer, Refusal> {
        let token = UnverifiedToken::parse(token)?;
        let claims = token.claims()?;
        let issuer_name = text_claim(&claims, "iss")?;
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| issuer.name == issuer_name)
            .ok_or(Refusal::UnknownIssuer)?;
        issuer.verify_signature(&token)?;
        issuer.verify_type(token.header.typ.as_deref())?;
        issuer.verify_claims(now, claims)
    }
}

impl TrustedIssuer {
    fn verify_signature(&self, token: &UnverifiedToken<'_>) -> Result<(), Refusal> {
        // The configuration chooses the algorithms, never the token (RFC 8725 §3.1): `none` is not a name we know.
        let algorithm = Algorithm::from_name(&token.header.alg)
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or_else(|| Refusal::AlgorithmNotAllowed {
                issuer: self.name.clone(),
            })?;
        let kid = token.header.kid.as_deref();
        let key = self.keys.find(kid, algorithm)?;
        let algorithm = match algorithm {
            Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::RS384 => jsonwebtoken::Algorithm::RS384,
            Algorithm::RS512 => jsonwebtoken::Algorithm::RS512,
            Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::PS384 => jsonwebtoken::Algorithm::PS384,
            Algorithm::PS512 => jsonwebtoken::Algorithm::PS512,
            Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
            Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        };
        let verified = crypto::verify(
            token.signature,
            token.signing_input.as_bytes(),
            key,
            algorithm,
        );
        match verified {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Refusal::BadSignature {
                issuer: self.name.clone(),
                kid: token.header.kid.clone(),
            }),
        }
    }

    /// An ID token is no access token, though the same key signs both (RFC 8725 §3.11).
    fn verify_type(&self, typ: Option<&str>) -> Result<(), Refusal> {
        let Some(wanted) = &self.typ else {
            return Ok(());
        };
        // RFC 7515 §4.1.9: a media type, whose `application/` may be left out.
        let short = |typ: &str| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/")
                .map_or(typ.clone(), str::to_owned)
        };
        match typ {
            Some(typ) if short(typ) == short(wanted) => Ok(()),
            _ => Err(Refusal::UnexpectedType),
        }
    }

    fn verify_claims(&self, now: Timestamp, claims: Map<String, Value>) -> Result<Viewer, Refusal> {
        let now = now.as_second();
        let exp = time_claim(&claims, "exp", f64::floor)?
            .ok_or(Refusal::MissingClaim { claim: "exp" })?;
        if now >= exp.saturating_add(self.leeway_seconds) {
            return Err(Refusal::Expired { exp, now });
        }
        if let Some(nbf) = time_claim(&claims, "nbf", f64::ceil)?
            && now < nbf.saturating_sub(self.leeway_seconds)
        {
            return Err(Refusal::NotYetValid { nbf, now });
        }
        time_claim(&claims, "iat", f64::floor)?;
        let audiences = audience_claim(&claims)?;
        match &self.audiences {
            Audiences::Any => {}
            Audiences::OneOf(ours) => {
                if audiences.is_empty() {
                    return Err(Refusal::MissingClaim { claim: "aud" });
                }
                if !audiences
                    .iter()
                    .any(|audience| ours.iter().any(|our| our == audience))
                {
                    return Err(Refusal::WrongAudience);
                }
            }
        }
        for (claim, allowed) in &self.claims {
            let found = claims.get(claim).and_then(Value::as_str);
            if !found.is_some_and(|found| allowed.iter().any(|value| value == found)) {
                return Err(Refusal::UnexpectedClaim {
                    claim: claim.clone(),
                });
            }
        }
        let subject = text_claim(&claims, "sub")?.to_owned();
        Ok(Viewer::new(&self.name, &subject, claims))
    }
}

/// A claim that must be there and be a text with something in it.
fn text_claim<'a>(claims: &'a Map<String, Value>, claim: &'static str) -> Result<&'a str, Refusal> {
    match claims.get(claim) {
        None => Err(Refusal::MissingClaim { claim }),
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(_) => Err(Refusal::InvalidClaim { claim }),
    }
}

/// A `NumericDate` (RFC 7519 §2), if it is there, rounded to whole seconds to the token's disadvantage.
fn time_claim(
    claims: &Map<String, Value>,
    claim: &'static str,
    round: fn(f64) -> f64,
) -> Result<Option<i64>, Refusal> {
    let Some(value) = claims.get(claim) else {
        return Ok(None);
    };
    let seconds = value
        .as_f64()
        .filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds))
        .ok_or(Refusal::InvalidClaim { claim })?;
    // Within the range just checked the cast loses the fraction and nothing else.
    #[allow(clippy::cast_possible_truncation)]
    let whole = round(seconds) as i64;
    Ok(Some(whole))
}

/// The audiences: one text or an array of texts (RFC 7519 §4.1.3); none if the claim is absent.
fn audience_claim(claims: &Map<String, Value>) -> Result<Vec<&str>, Refusal> {
    const INVALID: Refusal = Refusal::InvalidClaim { claim: "aud" };
    match claims.get("aud") {
        None => Ok(Vec::new()),
        Some(Value::String(audience)) => Ok(vec![audience]),
        Some(Value::Array(audiences)) => audiences
            .iter()
            .map(|audience| audience.as_str().ok_or(INVALID))
            .collect(),
        Some(_) => Err(INVALID),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use serde_json::json;

    use super::*;

    /// The published vectors, which lie beside the checkout; without them there is nothing to test with.
    fn vectors() -> Option<PathBuf> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
        let folder = std::env::var_os("GATEPOST_VECTORS").map_or(beside, PathBuf::from);
        if folder.exists() {
            return Some(folder);
        }
        let message = "the published vectors are not there; name their folder in GATEPOST_VECTORS";
        assert!(std::env::var_os("CI").is_none(), "{message}");
        eprintln!("NOT RUN: {message}");
        None
    }

    fn read(file: &Path) -> Value {
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }

    /// An issuer with one key that may sign with anything.
    fn issuer(key: &Value) -> Result<TrustedIssuer, Vec<String>> {
        Ok(TrustedIssuer {
            name: "vectors".to_owned(),
            audiences: Audiences::Any,
            algorithms: Algorithm::ALL.to_vec(),
            keys: KeySet::new(&json!({"keys": [key]}))?,
            typ: None,
            claims: BTreeMap::new(),
            leeway_seconds: 0,
        })
    }

    fn verifies(key: &Value, jws: &str) -> bool {
        let Ok(issuer) = issuer(key) else {
            return false;
        };
        UnverifiedToken::parse(jws).is_ok_and(|token| issuer.verify_signature(&token).is_ok())
    }

    /// The public half of a key that is published with its private one.
    fn public(key: &Value) -> Value {
        let mut key = key.clone();
        for name in ["d", "p", "q", "dp", "dq", "qi"] {
            key.as_object_mut().unwrap().remove(name);
        }
        key
    }

    #[test]
    fn the_examples_of_rfc_7520_and_8037_verify() {
        let Some(folder) = vectors() else { return };
        for (file, algorithm) in [
            ("jws-4_1.rsa_v15_signature.json", "RS256"),
            ("jws-4_2.rsa-pss_signature.json", "PS384"),
            ("curve25519-jws.json", "EdDSA"),
        ] {
            let example = read(&folder.join("jose-cookbook").join(file));
            let jws = example["output"]["compact"].as_str().unwrap();
            let key = public(&example["input"]["key"]);
            assert_eq!(example["input"]["alg"], algorithm, "{file}");
            assert!(verifies(&key, jws), "{file}");
            let flipped = if jws.ends_with('A') { "B" } else { "A" };
            let tampered = format!("{}{flipped}", &jws[..jws.len() - 1]);
            assert!(!verifies(&key, &tampered), "{file}");
        }
        // RFC 7520 §4.3 signs with ES512, which we do not verify.
        let example = read(&folder.join("jose-cookbook/jws-4_3.ecdsa_signature.json"));
        assert!(!verifies(
            &public(&example["input"]["key"]),
            example["output"]["compact"].as_str().unwrap()
        ));
    }

    #[test]
    fn wycheproof_finds_nothing_invalid_that_verifies() {
        let Some(folder) = vectors() else { return };
        let suite = read(&folder.join("wycheproof/json_web_signature_test.json"));
        let mut n_valid = 0;
        let mut wrong = Vec::new();
        for group in suite["testGroups"].as_array().unwrap() {
            let key = group.get("public").or(group.get("private")).unwrap();
            for case in group["tests"].as_array().unwrap() {
                let id = case["tcId"].as_u64().unwrap();
                let is_valid = case["result"] == "valid";
                let verified = case["jws"].as_str().is_some_and(|jws| verifies(key, jws));
                // HS256, since a secret is no key that an issuer publishes (of these, cases 372 and 373 also have a
                // question mark in their base64url: one text for one value); ES512; and tokens of PS384 whose keys say
                // PS256, since what a set says of a key is honoured.
                let refused_all_the_same =
                    key["kty"] == "oct" || key["crv"] == "P-521" || matches!(id, 346 | 350);
                if verified != (is_valid && !refused_all_the_same) {
                    wrong.push(format!("case {id}, {}: {verified}", case["comment"]));
                }
                n_valid += u32::from(verified);
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(n_valid > 0);
    }
}
