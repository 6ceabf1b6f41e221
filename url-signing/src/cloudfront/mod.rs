//! `CloudFront`'s signed URLs and cookies: which resources a viewer may fetch, until when, and from which addresses,
//! signed with a key of the distribution's key group. `signing-api` and the command line call it.
//!
//! Start at [`Policy`]. One signature serves any number of URLs that the policy covers; as cookies it serves all of
//! them.
//!
//! Signatures use SHA-256, which `CloudFront` accepts since 2026-04-01 with `Hash-Algorithm=SHA256`; SHA-1 is not
//! offered. RSA and ECDSA signatures are deterministic, so the same policy makes the same URL.
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

/// Base64 with its three URL-reserved characters replaced; this is not the base64url alphabet.
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
        // 0xfb 0xef 0xbf is +++/ in base64, without the padding.
        assert_eq!(super::encode(&[0xfb, 0xef, 0xbf, 0xff]), "---~~w__");
        assert_eq!(super::encode(&[0xff, 0xff, 0xff]), "~~~~");
        assert_eq!(super::encode(b"a"), "YQ__");
    }
}
