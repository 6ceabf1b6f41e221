//! The key pair of mode `signed` on this machine: the API signs with its private half, as with `link_keys` on AWS, and the
//! emulated CloudFront has the public half in its key group.

use anyhow::{Context as _, anyhow};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64;
use local_aws::cloudfront::KeyGroup;
use signing_api::CloudFront;
use url_signing::cloudfront::private_key_der;

/// Its id in the key group.
const KEY_PAIR_ID: &str = "KLOCALSTACK001";
/// The folder of links, as in a deployment.
pub(super) const LINKS: &str = "/shared";

/// A private key in PEM.
pub(super) fn new_key() -> anyhow::Result<String> {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
    let pkcs8 = pkcs8.map_err(|_| anyhow!("a key cannot be made"))?;
    Ok(pem("PRIVATE KEY", pkcs8.as_ref()))
}

/// The signer of a stack at this address, and the key group that accepts what it signs.
pub(super) fn signer(address: &str, private: &str) -> anyhow::Result<(CloudFront, KeyGroup)> {
    let der = private_key_der(private.as_bytes()).map_err(anyhow::Error::msg)?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.secret_der());
    let key = key.map_err(|_| anyhow!("the key of CloudFront's signatures is not one on P-256"))?;
    let public = key.public_key().as_der();
    let public = public.map_err(|_| anyhow!("the public half of a key cannot be written"))?;
    let keys = [(KEY_PAIR_ID, pem("PUBLIC KEY", public.as_ref()))];
    let group = KeyGroup::new(keys).context("CloudFront's key group")?;
    let cloudfront = CloudFront::new(&format!("{address}{LINKS}"), KEY_PAIR_ID, private)?;
    Ok((cloudfront, group))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let mut lines = vec![format!("-----BEGIN {label}-----")];
    lines.extend(
        text.as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned()),
    );
    lines.push(format!("-----END {label}-----\n"));
    lines.join("\n")
}
