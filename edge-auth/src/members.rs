//! The members of a JSON object that somebody will ask for.
//!
//! A token's claims are written by many and read by few: those that no rule names are passed over, not kept.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Some members of a JSON object that names none of its members twice.
#[derive(Clone, PartialEq)]
pub(crate) struct Members(Vec<(String, Value)>);

impl Members {
    /// Reads an object and keeps the members of these names.
    ///
    /// It is no error when others stand in it, but that any of them, kept or not, stands twice: of two `sub`s,
    /// different readers take different ones (RFC 8725 §2.6).
    pub(crate) fn parse(json: &[u8], kept: &[impl AsRef<str>]) -> serde_json::Result<Self> {
        // As a text, for what is passed over is not looked at closely.
        let text = std::str::from_utf8(json).map_err(Error::custom)?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = Keep(kept).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(members)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(String, Value)> {
        self.0.iter()
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let idx = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.swap_remove(idx).1)
    }
}

#[cfg(test)]
impl FromIterator<(String, Value)> for Members {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

/// The names of the members to keep.
struct Keep<'k, N>(&'k [N]);

impl<'de, N: AsRef<str>> DeserializeSeed<'de> for Keep<'_, N> {
    type Value = Members;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Members, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, N: AsRef<str>> Visitor<'de> for Keep<'_, N> {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members, A::Error> {
        let mut names = Vec::with_capacity(16);
        let mut members = Vec::with_capacity(self.0.len());
        while let Some(Name(name)) = object.next_key()? {
            if self.0.iter().any(|kept| kept.as_ref() == name) {
                members.push((name.clone().into_owned(), object.next_value()?));
            } else {
                object.next_value::<IgnoredAny>()?;
            }
            names.push(name);
        }
        names.sort_unstable();
        if names.is_sorted_by(|one, next| one != next) {
            Ok(Members(members))
        } else {
            Err(Error::custom("a member stands twice"))
        }
    }
}

/// A member's name, borrowed where it holds no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_asked_for_is_kept() {
        let json = br#"{"a": 1, "\u0062": ["x"], "c": {"a": 2, "a": 3}, "": null}"#;
        let mut members = Members::parse(json, &["b", "a", "d"]).unwrap();
        assert_eq!(members.get("a"), Some(&json!(1)));
        assert_eq!(members.get("b"), Some(&json!(["x"])));
        assert_eq!(members.get("c"), None);
        assert_eq!(members.take("a"), Some(json!(1)));
        assert_eq!(members.get("a"), None);
    }

    #[test]
    fn no_member_stands_twice_and_nothing_stands_behind() {
        for json in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"x": 1, "a": 2, "x": 3}"#,
            r#"{"a": 1, "\u0061": 2}"#,
            r#"{"a": 1} {}"#,
            r#"{"a": 1,}"#,
            r#"{"x": [1, }"#,
            r#"{"x": nul}"#,
            r#"["a"]"#,
            "",
        ] {
            assert!(Members::parse(json.as_bytes(), &["a"]).is_err(), "{json}");
        }
        assert!(Members::parse(b"{\"x\": \"\xff\"}", &["a"]).is_err());
    }
}
