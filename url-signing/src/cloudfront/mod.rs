//! `CloudFront`'s signed URLs and cookies: what a viewer may fetch, until when, and from where, signed with a key of the
//! distribution's key group. `signing-api` and the command line call it.
//!
//! Start at [`Policy`]. One signature serves any number of URLs that the policy covers, and as cookies all of them.
//!
//! Signatures are over SHA-256, which `CloudFront` takes since 2026-04-01 and is told of by `Hash-Algorithm=SHA256`; SHA-1
//! is not offered. RSA and ECDSA signatures are deterministic, so that the same policy makes the same URL.
//!
//! Source: AWS, "Serve private content with signed URLs and signed cookies".

mod cookies;
mod key;
mod pem;
mod policy;
mod resource;

pub use cookies::{CookieAttributes, SameSite, SignedCookies};
pub use key::KeyPair;
pub use pem::{private_key_der, private_keys_der};
pub use policy::{AddressRange, Policy, SignedPolicy};

use data_encoding::BASE64;

/// Base64 with the three characters replaced that mean something in a query: not the alphabet of base64url.
fn encode(bytes: &[u8]) -> String {
    let mut text = BASE64.encode(bytes);
    // Each is replaced by one ASCII character.
    text = text.replace('+', "-").replace('=', "_").replace('/', "~");
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn cloudfronts_alphabet() {
        // 0xfb 0xef 0xbf is +++/ in base64, less the padding.
        assert_eq!(super::encode(&[0xfb, 0xef, 0xbf, 0xff]), "---~~w__");
        assert_eq!(super::encode(&[0xff, 0xff, 0xff]), "~~~~");
        assert_eq!(super::encode(b"a"), "YQ__");
    }
}
