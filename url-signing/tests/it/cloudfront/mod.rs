//! `CloudFront`'s signed URLs and cookies, verified with public keys that OpenSSL derived, and every refusal. `peers`
//! shows that the SDK for JavaScript signs the same bytes.

mod cookies;
mod keys;
mod policies;
mod refusals;

use aws_lc_rs::signature::{UnparsedPublicKey, VerificationAlgorithm};
use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use url_signing::cloudfront::KeyPair;

const ID: &str = "K2JCJMDEHXQW5F";
const RSA: &str = include_str!("../../keys/rsa-pkcs8.pem");
const P256: &str = include_str!("../../keys/p256-sec1.pem");
const URL: &str = "https://d111111abcdef8.cloudfront.net/media/k5x/640.webp";
const FOLDER: &str = "https://d111111abcdef8.cloudfront.net/media/k5x/";
const QUARTER: SignedDuration = SignedDuration::from_mins(15);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-25T12:00:00.9Z")
}

fn rsa() -> KeyPair {
    KeyPair::from_pem(ID, RSA).unwrap()
}

/// A parameter of a signed URL.
fn parameter<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        (found == name).then_some(value)
    })
}

fn decoded(text: &str) -> Vec<u8> {
    let base64 = text.replace('-', "+").replace('_', "=").replace('~', "/");
    BASE64.decode(base64.as_bytes()).unwrap()
}

fn verifies(algorithm: &'static dyn VerificationAlgorithm, pem: &str, text: &str, signature: &str) {
    let key = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).unwrap();
    UnparsedPublicKey::new(algorithm, key.as_ref())
        .verify(text.as_bytes(), &decoded(signature))
        .unwrap();
}
