//! Verifies tokens with AWS-LC alone, with keys that are parsed once: the lower bound for this authorizer's time.
//!
//! `cargo xtask bench edge` runs it beside the handlers. The argument is the file of a JWK Set. Each batch on standard
//! input is one token per line and an empty line. The answer is the microseconds per signature.

use std::io::{BufRead as _, Write as _};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

/// A token, split before the clock starts.
struct Signed<'k> {
    key: &'k ParsedPublicKey,
    message: String,
    signature: Vec<u8>,
}

fn main() -> anyhow::Result<()> {
    let file = std::env::args()
        .nth(1)
        .context("name the file of a JWK Set")?;
    let jwks: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let keys = jwks["keys"].as_array().context("the set has no keys")?;
    let keys: Vec<(&str, ParsedPublicKey)> = keys
        .iter()
        .map(|key| {
            Ok((
                key["kid"].as_str().context("a key has no kid")?,
                parse(key)?,
            ))
        })
        .collect::<anyhow::Result<_>>()?;
    let mut batch = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let token = line?;
        if !token.is_empty() {
            batch.push(take_apart(&token, &keys)?);
            continue;
        }
        let started = Instant::now();
        let n_good = batch
            .iter()
            .filter(|signed| {
                let message = signed.message.as_bytes();
                signed.key.verify_sig(message, &signed.signature).is_ok()
            })
            .count();
        let elapsed = started.elapsed();
        ensure!(n_good == batch.len(), "a signature does not verify");
        let mut stdout = std::io::stdout().lock();
        let micros = elapsed.as_secs_f64() * 1e6 / f64::from(u32::try_from(batch.len())?);
        writeln!(stdout, "{micros}")?;
        stdout.flush()?;
        batch.clear();
    }
    Ok(())
}

fn take_apart<'k>(token: &str, keys: &'k [(&str, ParsedPublicKey)]) -> anyhow::Result<Signed<'k>> {
    let (message, signature) = token.rsplit_once('.').context("a token has three parts")?;
    let header = message.split('.').next().unwrap_or_default();
    let header: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(header.as_bytes())?)?;
    let kid = header["kid"].as_str().context("the token names no key")?;
    let (_, key) = keys
        .iter()
        .find(|(known, _)| *known == kid)
        .context("the token names another key")?;
    Ok(Signed {
        key,
        message: message.to_owned(),
        signature: BASE64URL_NOPAD.decode(signature.as_bytes())?,
    })
}

fn parse(key: &Value) -> anyhow::Result<ParsedPublicKey> {
    let bytes = |name: &str| -> anyhow::Result<Vec<u8>> {
        let text = key[name]
            .as_str()
            .with_context(|| format!("a key has no {name}"))?;
        Ok(BASE64URL_NOPAD.decode(text.as_bytes())?)
    };
    let parsed = match key["kty"].as_str() {
        Some("RSA") => {
            let components = RsaPublicKeyComponents {
                n: bytes("n")?,
                e: bytes("e")?,
            };
            components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)?
        }
        Some("EC") => {
            let point = [vec![4], bytes("x")?, bytes("y")?].concat();
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)?
        }
        Some("OKP") => ParsedPublicKey::new(&ED25519, bytes("x")?)?,
        other => bail!("keys of type {other:?} are not timed"),
    };
    Ok(parsed)
}
