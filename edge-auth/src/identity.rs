//! The identity of a viewer whose token was verified: the issuer, the claims, and the owner in paths.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Secret;
use crate::token::ClaimSet;

/// The claim that identifies a person, unless an issuer configures another.
pub(crate) const SUBJECT: &str = "sub";

/// The name of a person in paths and keys: 26 characters of lower-case base32.
///
/// It is the first 128 bits of SHA-256(`iss` ‖ 0x0A ‖ `sub`). A `sub` may contain a slash, or equal another person's
/// `sub` at another issuer. An owner cannot, and it reveals nothing about the person. [`OwnerNames`] has the other
/// forms.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Owner(String);

impl Owner {
    /// The length of an owner in characters.
    pub const LENGTH: usize = 26;

    /// The owner of what `subject` of `issuer` uploads, where owners are plain hashes of `sub`.
    pub fn of(issuer: &str, subject: &str) -> Self {
        OwnerNames::default().owner(issuer, SUBJECT, subject)
    }

    /// Parses an owner from a key or a path: exactly the values that [`Owner::of`] can return.
    pub fn parse(text: &str) -> Option<Self> {
        let (last, head) = text.as_bytes().split_last()?;
        // 26 characters hold 130 bits: the last two are zero in the encoding of 128 bits.
        let is_owner = text.len() == Self::LENGTH
            && head
                .iter()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
            && b"aeimquy4".contains(last);
        if !is_owner {
            return None;
        }
        Some(Self(text.to_owned()))
    }

    /// The text as it is in paths.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_digest(digest: &[u8]) -> Self {
        let mut text = BASE32_NOPAD.encode(&digest[..16]);
        text.make_ascii_lowercase();
        Self(text)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How owners are derived: by a plain hash, or by an HMAC with the configuration's `owner_secret`.
#[derive(Clone, Default)]
pub struct OwnerNames {
    key: Option<hmac::Key>,
}

impl OwnerNames {
    /// Derives owners with this secret, if there is one.
    pub fn new(secret: Option<&Secret>) -> Self {
        Self {
            key: secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.bytes())),
        }
    }

    /// The owner for an issuer and the value of a claim.
    ///
    /// For `sub` the message is `issuer ‖ 0x0A ‖ value`, for any other claim `issuer ‖ 0x00 ‖ claim ‖ 0x00 ‖ value`.
    /// Configured issuers and claims contain no control characters, so two different triples never share a message.
    pub fn owner(&self, issuer: &str, claim: &str, value: &str) -> Owner {
        let parts: &[&str] = if claim == SUBJECT {
            &[issuer, "\n", value]
        } else {
            &[issuer, "\0", claim, "\0", value]
        };
        if let Some(key) = &self.key {
            let mut mac = hmac::Context::with_key(key);
            for part in parts {
                mac.update(part.as_bytes());
            }
            return Owner::from_digest(mac.sign().as_ref());
        }
        let mut hash = Context::new(&SHA256);
        for part in parts {
            hash.update(part.as_bytes());
        }
        Owner::from_digest(hash.finish().as_ref())
    }
}

impl fmt::Debug for OwnerNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnerNames")
            .field("is_secret", &self.key.is_some())
            .finish()
    }
}

/// A viewer whose token was verified.
#[derive(Clone, PartialEq)]
pub struct Viewer {
    /// The `iss` of the token; for a session, that of its original token.
    pub issuer: String,
    /// The value of the claim that identifies a person, if the token has one.
    pub subject: Option<String>,
    /// The owner for issuer and subject; `None` without a subject.
    pub owner: Option<Owner>,
    /// The issuer block that accepted the token, by its index in the configuration.
    pub(crate) block: usize,
    /// The token's claims; for a session, those that it retained of its original token.
    pub(crate) claims: ClaimSet,
    /// Whether the token was a session.
    pub(crate) is_session: bool,
    /// When the token expires, in seconds since 1970.
    pub(crate) expires_at_second: i64,
}

impl Viewer {
    /// When the viewer's token expires, in whole seconds.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_second(self.expires_at_second).unwrap_or(Timestamp::MAX)
    }
}

/// Claims are personal: they stay out of logs.
impl fmt::Debug for Viewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Viewer")
            .field("issuer", &self.issuer)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_26_characters_of_base32() {
        let owner = Owner::of("https://login.example.com/", "alice");
        assert_eq!(owner.as_str().len(), Owner::LENGTH);
        assert_eq!(Owner::parse(owner.as_str()), Some(owner));
    }

    #[test]
    fn issuer_and_subject_cannot_be_shifted_into_each_other() {
        assert_ne!(Owner::of("https://a/", "b"), Owner::of("https://a", "/b"));
        assert_ne!(Owner::of("https://a", "bob"), Owner::of("https://b", "bob"));
    }

    #[test]
    fn only_canonical_owners_are_parsed() {
        let owner = Owner::of("i", "s").to_string();
        for text in [
            "",
            "..",
            &owner[1..],
            &owner.to_uppercase(),
            &format!("{}1", &owner[1..]),
            &format!("{}/", &owner[1..]),
            &format!("{}7", &owner[..25]),
        ] {
            assert_eq!(Owner::parse(text), None, "{text}");
        }
    }

    #[test]
    fn owners_differ_by_issuer_claim_value_and_secret() {
        let secret = Secret::from(b"an owner secret made for this test".to_vec());
        let (plain, secret) = (OwnerNames::default(), OwnerNames::new(Some(&secret)));
        let owners = [
            plain.owner("https://a/", "sub", "alice"),
            plain.owner("https://a/", "oid", "alice"),
            plain.owner("https://a/", "sub", "oid\0alice"),
            plain.owner("https://a/", "sub", "oid\nalice"),
            plain.owner("https://b/", "sub", "alice"),
            secret.owner("https://a/", "sub", "alice"),
            secret.owner("https://a/", "oid", "alice"),
        ];
        for (idx, owner) in owners.iter().enumerate() {
            assert!(!owners[..idx].contains(owner), "{idx}");
            assert_eq!(Owner::parse(owner.as_str()).as_ref(), Some(owner));
        }
        assert_eq!(Owner::of("https://a/", "alice"), owners[0]);
        // A fixed value: owners are in keys and must never change. Computed with Python's `hashlib` (HMAC-SHA256 and
        // SHA-256).
        assert_eq!(owners[0].as_str(), "n73zvmzxgfn5lqkevwpqvrnyem");
        assert_eq!(owners[5].as_str(), "dztpy7gwiz2nxx5dcac6sg5d6e");
        assert_eq!(owners[1].as_str(), "qifi2qfj7dewpjzxgdcrhyxjxm");
    }
}
