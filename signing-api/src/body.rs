//! Reading a call's body: a JSON object, said to be JSON, and not much of it. What is wrong with it is said in sentences
//! that name the member and what it must be.

use std::fmt;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::Problem;

/// A body beyond this is not read on: what is asked for here has a few hundred bytes.
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024;

/// The members of a call's body. Each is taken out by its name; what is left at the end is unknown to the call.
#[derive(Debug)]
pub(crate) struct Members {
    left: Vec<(String, Value)>,
    taken: Vec<&'static str>,
}

impl Members {
    /// Reads a body, whose length the router limits.
    pub(crate) fn read(
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Self, Problem> {
        let body = body.map_err(|rejection| match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::BodyTooLarge,
            _ => invalid("it broke off"),
        })?;
        let content_type = headers.get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        if content_type.is_none_or(|value| essence(value) != "application/json") {
            return Err(Problem::NotJson);
        }
        Self::parse(&body)
    }

    fn parse(body: &[u8]) -> Result<Self, Problem> {
        let Object(left) = serde_json::from_slice(body).map_err(|error| {
            // serde's own sentences name types of Rust.
            if error.is_data() {
                return invalid("it must be a JSON object");
            }
            let (line, column) = (error.line(), error.column());
            invalid(&format!("it is not JSON (line {line}, column {column})"))
        })?;
        for (idx, (name, _)) in left.iter().enumerate() {
            if left[..idx].iter().any(|(earlier, _)| earlier == name) {
                return Err(invalid(&format!("{} is there twice", shown(name))));
            }
        }
        let taken = Vec::new();
        Ok(Self { left, taken })
    }

    /// A text that must be there.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, Problem> {
        match self.take(name) {
            Some(Value::String(text)) => Ok(text),
            found => Err(wrong(name, "must be a text", found.as_ref())),
        }
    }

    /// A text, or nothing; `null` is nothing.
    pub(crate) fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            found => Err(wrong(name, "must be a text", found.as_ref())),
        }
    }

    /// A whole number that must be there.
    pub(crate) fn whole_number(&mut self, name: &'static str) -> Result<u64, Problem> {
        let found = self.take(name);
        let number = found.as_ref().and_then(Value::as_u64);
        number.ok_or_else(|| {
            wrong(
                name,
                "must be a whole number, in digits alone",
                found.as_ref(),
            )
        })
    }

    /// That there was nothing else.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.left.first() else {
            return Ok(());
        };
        let (name, taken) = (shown(name), self.taken.join(", "));
        Err(invalid(&format!(
            "{name} is unknown; this call takes {taken}"
        )))
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.taken.push(name);
        let at = self.left.iter().position(|(found, _)| found == name)?;
        Some(self.left.swap_remove(at).1)
    }
}

/// The type and subtype of a media type, without parameters and in lower case.
pub(crate) fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn wrong(name: &str, must: &str, found: Option<&Value>) -> Problem {
    let missing = if found.is_none() {
        "is missing; it "
    } else {
        ""
    };
    invalid(&format!("{name} {missing}{must}"))
}

fn invalid(what: &str) -> Problem {
    Problem::InvalidBody(what.to_owned())
}

/// A member's name as the caller wrote it, and not more of it than a sentence holds.
fn shown(name: &str) -> String {
    const MAX_CHARS: usize = 40;
    let mut shown: String = name.chars().take(MAX_CHARS).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// A JSON object with its members in order; a repeated one is not lost.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_name_the_member_and_what_it_must_be() {
        let read = |body: &str| -> Result<(String, Option<String>, u64), Problem> {
            let mut members = Members::parse(body.as_bytes())?;
            let read = (
                members.text("path")?,
                members.optional_text("note")?,
                members.whole_number("size")?,
            );
            members.finish()?;
            Ok(read)
        };
        for good in [
            r#"{"path":"/x","size":1}"#,
            r#"{"size":18446744073709551615,"note":null,"path":""}"#,
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        for (body, said) in [
            ("", "it is not JSON (line 1, column 0)"),
            ("{", "it is not JSON (line 1, column 1)"),
            ("{}\n}", "it is not JSON (line 2, column 1)"),
            ("hello", "it is not JSON (line 1, column 1)"),
            (
                "{\"path\":\"\\ud800\"}",
                "it is not JSON (line 1, column 16)",
            ),
            ("[]", "it must be a JSON object"),
            ("[\"/x\",null,1]", "it must be a JSON object"),
            ("null", "it must be a JSON object"),
            ("\"text\"", "it must be a JSON object"),
            ("1", "it must be a JSON object"),
            ("{}", "path is missing; it must be a text"),
            (r#"{"path":null}"#, "path must be a text"),
            (r#"{"path":["/x"]}"#, "path must be a text"),
            (r#"{"path":"/x","note":1,"size":1}"#, "note must be a text"),
            (
                r#"{"path":"/x"}"#,
                "size is missing; it must be a whole number, in digits alone",
            ),
            (
                r#"{"path":"/x","size":-1}"#,
                "size must be a whole number, in digits alone",
            ),
            (
                r#"{"path":"/x","size":1e3}"#,
                "size must be a whole number, in digits alone",
            ),
            (
                r#"{"path":"/x","size":18446744073709551616}"#,
                "size must be a whole number, in digits alone",
            ),
            (
                r#"{"path":"/x","size":1,"key":1}"#,
                r#""key" is unknown; this call takes path, note, size"#,
            ),
            (
                r#"{"path":"/x","path":"/y","size":1}"#,
                r#""path" is there twice"#,
            ),
        ] {
            match read(body) {
                Err(Problem::InvalidBody(what)) => assert_eq!(what, said, "{body}"),
                other => panic!("{body}: {other:?}"),
            }
        }
        let long = format!(r#"{{"path":"","size":1,"{}":1}}"#, "ü".repeat(1000));
        let said = read(&long).unwrap_err().to_string();
        assert!(said.len() < 200, "{said}");
    }

    #[test]
    fn media_types_have_parameters_and_capitals() {
        for (written, essential) in [
            ("application/json", "application/json"),
            ("Application/JSON ; charset=utf-8", "application/json"),
            (" image/JPEG;q=1", "image/jpeg"),
            ("", ""),
        ] {
            assert_eq!(essence(written), essential);
        }
    }
}
