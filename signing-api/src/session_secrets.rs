//! The document in Secrets Manager with the session keys of delivery mode `function`.
//!
//! The API reads it, and `gatepost session-key` writes it. Its errors contain nothing of its text.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{SessionKey, SessionKeyMaterial};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// The ARN of the secret.
pub const SESSION_SECRETS_VARIABLE: &str = "GATEPOST_SESSION_SECRETS_ARN";
/// How old the API's copy may become, such as `5m`.
pub const SESSION_SECRETS_MAX_AGE_VARIABLE: &str = "GATEPOST_SESSION_SECRETS_MAX_AGE";
/// The default of [`SESSION_SECRETS_MAX_AGE_VARIABLE`].
pub const SESSION_SECRETS_MAX_AGE: SignedDuration = SignedDuration::from_mins(5);
/// The minimum length of a secret: as long as the hash (RFC 7518 §3.2).
pub const MIN_SESSION_SECRET_BYTES: usize = 32;
/// As long as `edge-auth` accepts.
const MAX_KID_BYTES: usize = 128;

/// Session keys, the one that began to sign first at the beginning.
#[derive(Clone, Debug, Default)]
pub struct SessionSecrets {
    keys: Vec<SharedKey>,
}

/// A key that signs and verifies sessions with HS256.
#[derive(Clone, Debug)]
pub struct SharedKey {
    /// Its name.
    pub kid: String,
    /// Its secret.
    pub secret: SharedSecret,
    /// When it begins to sign; `None` means from the start.
    pub from: Option<Timestamp>,
}

/// A secret of at least [`MIN_SESSION_SECRET_BYTES`], as base64url without padding. It is zeroized on drop, and redacted
/// in `Debug`.
#[derive(Clone)]
pub struct SharedSecret(Zeroizing<String>);

/// Why a text is not a set of session keys.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionSecretsError {
    /// It is not JSON of this form.
    #[error(
        "the text is not {{\"keys\": [{{\"kid\", \"secret\", \"from\"}}]}}: line {line}, column {column}"
    )]
    Form {
        /// The line of the fault.
        line: usize,
        /// Its column.
        column: usize,
    },
    /// A key has a fault.
    #[error("keys[{idx}]{fault}")]
    Key {
        /// The key's place.
        idx: usize,
        /// The fault, which begins with the member that has it.
        fault: &'static str,
    },
    /// The document has no keys.
    #[error("there are no keys yet; write the first one with `gatepost session-key push`")]
    NoKeys,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    keys: Vec<Member>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Member {
    kid: String,
    secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
}

impl SessionSecrets {
    /// Parses the document. It may have no keys.
    ///
    /// # Errors
    ///
    /// The first fault, without any of the text.
    pub fn parse(text: &str) -> Result<Self, SessionSecretsError> {
        // The parser's own message may quote the text.
        let document: Document =
            serde_json::from_str(text).map_err(|error| SessionSecretsError::Form {
                line: error.line(),
                column: error.column(),
            })?;
        let mut keys: Vec<SharedKey> = Vec::new();
        for (idx, Member { kid, secret, from }) in document.keys.into_iter().enumerate() {
            let fault = |fault| SessionSecretsError::Key { idx, fault };
            let secret = SharedSecret::parse(secret).map_err(fault)?;
            if kid.is_empty() || kid.len() > MAX_KID_BYTES {
                return Err(fault(".kid must have 1 to 128 characters"));
            }
            if !kid.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(fault(".kid must consist of printable ASCII characters"));
            }
            if keys.iter().any(|other| other.kid == kid) {
                return Err(fault(".kid is that of another key"));
            }
            if keys.iter().any(|other| other.from == from) {
                return Err(fault(match from {
                    None => ".from is missing: only one key may sign from the start",
                    Some(_) => ".from is that of another key",
                }));
            }
            keys.push(SharedKey { kid, secret, from });
        }
        keys.sort_by_key(|key| key.from);
        Ok(Self { keys })
    }

    /// As the text that [`parse`](Self::parse) reads.
    ///
    /// # Errors
    ///
    /// None that is known: texts and times can always be written.
    pub fn to_json(&self) -> Result<Zeroizing<String>, serde_json::Error> {
        let keys = self.keys.iter().map(|key| Member {
            kid: key.kid.clone(),
            secret: key.secret.as_str().to_owned(),
            from: key.from,
        });
        let document = Document {
            keys: keys.collect(),
        };
        serde_json::to_string(&document).map(Zeroizing::new)
    }

    /// The keys, in the order in which they begin to sign.
    pub fn keys(&self) -> &[SharedKey] {
        &self.keys
    }

    /// The key of this name.
    pub fn find(&self, kid: &str) -> Option<&SharedKey> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// Adds a key. It must begin to sign after all others.
    pub fn push(&mut self, key: SharedKey) {
        self.keys.push(key);
        self.keys.sort_by_key(|key| key.from);
    }

    /// Removes the keys of these names.
    pub fn remove(&mut self, kids: &[String]) {
        self.keys.retain(|key| !kids.contains(&key.kid));
    }

    /// The keys as the authorizer takes them.
    ///
    /// # Errors
    ///
    /// The document has none.
    pub fn session_keys(&self) -> Result<Vec<SessionKey>, SessionSecretsError> {
        if self.keys.is_empty() {
            return Err(SessionSecretsError::NoKeys);
        }
        let keys = self.keys.iter().map(|key| SessionKey {
            kid: key.kid.clone(),
            from: key.from,
            material: SessionKeyMaterial::HS256 {
                secret: key.secret.bytes().into(),
            },
        });
        Ok(keys.collect())
    }
}

impl SharedSecret {
    /// Reads a secret from base64url without padding.
    ///
    /// # Errors
    ///
    /// The fault, which begins with the name of the member.
    pub fn parse(text: String) -> Result<Self, &'static str> {
        let text = Zeroizing::new(text);
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| ".secret is not base64url without padding")?;
        if bytes.len() < MIN_SESSION_SECRET_BYTES {
            return Err(".secret has fewer than 32 bytes");
        }
        Ok(Self(text))
    }

    /// A secret from its bytes; `None` if they are too few.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let is_long = bytes.len() >= MIN_SESSION_SECRET_BYTES;
        is_long.then(|| Self(Zeroizing::new(BASE64URL_NOPAD.encode(bytes))))
    }

    /// As base64url without padding: the value in the `KeyValueStore`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn bytes(&self) -> Vec<u8> {
        // It was decoded once already.
        BASE64URL_NOPAD
            .decode(self.0.as_bytes())
            .unwrap_or_default()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 32 bytes, and 31.
    const LONG: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const SHORT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg";

    fn key(kid: &str, secret: &str, from: &str) -> String {
        let from = match from {
            "" => String::new(),
            from => format!(r#","from":"{from}""#),
        };
        format!(r#"{{"kid":"{kid}","secret":"{secret}"{from}}}"#)
    }

    #[test]
    fn keys_are_in_the_order_in_which_they_sign() {
        let (a, b, c) = (
            key("a", LONG, "2026-11-28T09:00:00Z"),
            key("b", LONG, ""),
            key("c", LONG, "2026-11-28T08:00:00Z"),
        );
        let secrets = SessionSecrets::parse(&format!(r#"{{"keys":[{a},{b},{c}]}}"#)).unwrap();
        let kids: Vec<_> = secrets.keys().iter().map(|key| key.kid.as_str()).collect();
        assert_eq!(kids, ["b", "c", "a"]);
        let text = secrets.to_json().unwrap();
        assert_eq!(*text, format!(r#"{{"keys":[{b},{c},{a}]}}"#));
        assert_eq!(secrets.session_keys().unwrap().len(), 3);
        let shown = format!("{secrets:?}");
        assert!(!shown.contains(LONG), "{shown}");
    }

    #[test]
    fn a_fault_is_told_without_the_text() {
        let at = |fault| Err(SessionSecretsError::Key { idx: 1, fault });
        let good = key("a", LONG, "");
        for (second, expected) in [
            (
                key("b", SHORT, "2026-11-28T09:00:00Z"),
                at(".secret has fewer than 32 bytes"),
            ),
            (
                key("b", &format!("{LONG}="), "2026-11-28T09:00:00Z"),
                at(".secret is not base64url without padding"),
            ),
            // 0x1f is `…Hh8`; the last character of `…Hh9` has bits that no byte takes.
            (
                key("b", &LONG.replace("Hh8", "Hh9"), "2026-11-28T09:00:00Z"),
                at(".secret is not base64url without padding"),
            ),
            (
                key("a", LONG, "2026-11-28T09:00:00Z"),
                at(".kid is that of another key"),
            ),
            (
                key("", LONG, "2026-11-28T09:00:00Z"),
                at(".kid must have 1 to 128 characters"),
            ),
            (
                key("é", LONG, "2026-11-28T09:00:00Z"),
                at(".kid must consist of printable ASCII characters"),
            ),
            (
                key("b", LONG, ""),
                at(".from is missing: only one key may sign from the start"),
            ),
        ] {
            let read = SessionSecrets::parse(&format!(r#"{{"keys":[{good},{second}]}}"#));
            assert_eq!(read.map(|_| ()), expected, "{second}");
        }
        for text in [
            "",
            LONG,
            "{}",
            &format!(r#"{{"keys":[{{"kid":"a","secret":"{LONG}","{LONG}":1}}]}}"#),
            &format!(r#"{{"keys":[{{"kid":"a","secret":"{LONG}","from":"{LONG}"}}]}}"#),
            &format!(r#"{{"keys":["{LONG}"]}}"#),
            &format!(r#"{{"keys":[],"more":"{LONG}"}}"#),
        ] {
            let error = SessionSecrets::parse(text).unwrap_err();
            assert!(matches!(error, SessionSecretsError::Form { .. }), "{text}");
            assert!(!error.to_string().contains(LONG), "{error}");
        }
        let none = SessionSecrets::parse(r#"{"keys":[]}"#).unwrap();
        assert_eq!(
            none.session_keys().map(|_| ()),
            Err(SessionSecretsError::NoKeys)
        );
    }
}
