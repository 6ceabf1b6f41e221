//! Who a viewer is, once a token has been verified: the issuer, the claims, and the owner that stands in paths.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{ClaimValue, RequiredClaims};
use crate::members::Members;

/// The name of a person in paths and keys: 26 characters of lower-case base32.
///
/// It is the first 128 bits of SHA-256(`iss` ‖ 0x0A ‖ `sub`). A `sub` may hold a slash or another person's `sub` at
/// another issuer; an owner cannot, and says nothing about the person.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Owner(String);

impl Owner {
    /// The length of an owner in characters.
    pub const LENGTH: usize = 26;

    /// The owner of what `subject` of `issuer` uploads.
    pub fn of(issuer: &str, subject: &str) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(issuer.as_bytes());
        hash.update(b"\n");
        hash.update(subject.as_bytes());
        let mut text = BASE32_NOPAD.encode(&hash.finish().as_ref()[..16]);
        text.make_ascii_lowercase();
        Self(text)
    }

    /// Reads an owner from a key or a path: exactly what [`Owner::of`] can make, or nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let (last, head) = text.as_bytes().split_last()?;
        // 26 characters hold 130 bits: the last two of them are zero in what is made of 128.
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

    /// The text as it stands in paths.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A viewer whose token was verified.
#[derive(Clone, PartialEq)]
pub struct Viewer {
    /// The issuer of the token; of a session, the one who vouched.
    pub issuer: String,
    /// The `sub` claim.
    pub subject: String,
    /// The owner made of the two.
    pub owner: Owner,
    /// The claims of the token that rules ask for.
    pub(crate) claims: Members,
    /// Whether the token was a session.
    pub(crate) is_session: bool,
    /// When the token is no longer taken.
    pub(crate) expires_at_second: i64,
}

impl Viewer {
    /// Of an issuer's token, which ends at `expires_at_second`.
    pub(crate) fn new(
        issuer: &str,
        subject: String,
        claims: Members,
        expires_at_second: i64,
    ) -> Self {
        Self {
            issuer: issuer.to_owned(),
            owner: Owner::of(issuer, &subject),
            subject,
            claims,
            is_session: false,
            expires_at_second,
        }
    }

    /// When the token that the viewer came with is no longer taken, in whole seconds.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_second(self.expires_at_second).unwrap_or(Timestamp::MAX)
    }

    /// Whether a claim is this string, or an array that holds it.
    pub(crate) fn claim_holds(&self, name: &str, value: &str) -> bool {
        match self.claims.get(name) {
            Some(Value::String(claim)) => claim == value,
            Some(Value::Array(items)) => items.iter().any(|item| item.as_str() == Some(value)),
            _ => false,
        }
    }

    /// The first of these claims that the token lacks or has with another value.
    pub(crate) fn missing_claim<'a>(&self, required: &'a RequiredClaims) -> Option<&'a str> {
        required
            .iter()
            .find(|(name, values)| {
                let claim = self.claims.get(name);
                !values.iter().any(|value| is_or_holds(claim, value))
            })
            .map(|(name, _)| name.as_str())
    }

    /// Whether the token grants a scope: `scope` as one string with spaces (RFC 8693 §4.2) or as an array, or `scp`.
    pub fn has_scope(&self, scope: &str) -> bool {
        ["scope", "scp"]
            .iter()
            .filter_map(|name| self.claims.get(name))
            .any(|claim| match claim {
                Value::String(scopes) => scopes.split(' ').any(|granted| granted == scope),
                Value::Array(scopes) => {
                    scopes.iter().any(|granted| granted.as_str() == Some(scope))
                }
                _ => false,
            })
    }
}

/// Whether a claim is this value, or an array with it among its items.
fn is_or_holds(claim: Option<&Value>, wanted: &ClaimValue) -> bool {
    let is = |found: &Value| match wanted {
        ClaimValue::Bool(wanted) => found.as_bool() == Some(*wanted),
        ClaimValue::Integer(wanted) => found.as_i64() == Some(*wanted),
        ClaimValue::Text(wanted) => found.as_str() == Some(wanted),
    };
    match claim {
        Some(Value::Array(items)) => items.iter().any(is),
        Some(claim) => is(claim),
        None => false,
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
    use serde_json::json;

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
    fn only_what_can_be_an_owner_is_read_as_one() {
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
    fn scopes_are_whole_words() {
        for (claims, granted) in [
            (json!({"scope": "media:read media:admin"}), true),
            (json!({"scope": ["media:read"]}), true),
            (json!({"scp": "media:read"}), true),
            (json!({"scope": "media:readonly"}), false),
            (json!({"scope": "xmedia:read"}), false),
            (json!({"scope": {"media:read": true}}), false),
            (json!({}), false),
        ] {
            let Value::Object(map) = claims.clone() else {
                unreachable!()
            };
            assert_eq!(
                Viewer::new("i", "s".to_owned(), map.into_iter().collect(), 0)
                    .has_scope("media:read"),
                granted,
                "{claims}"
            );
        }
    }
}
