//! The body of a call: a small JSON object with the content type `application/json`. The handlers call it. Its errors
//! are sentences that name the member and the value that it must have. It never reads more than [`MAX_BODY_BYTES`](crate::settings::MAX_BODY_BYTES).

use std::fmt;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::Problem;

/// The members of a call's body. A handler takes each by its name; a member that is left at the end is unknown.
#[derive(Debug)]
pub(crate) struct Members {
    left: Vec<(String, Value)>,
    taken: Vec<&'static str>,
}

impl Members {
    /// Reads a body. The router limits its length.
    pub(crate) fn read(
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Self, Problem> {
        let body = body.map_err(|rejection| match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::BodyTooLarge,
            _ => invalid("it is truncated"),
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
            // The sentences of serde name Rust types.
            if error.is_data() {
                return invalid("it must be a JSON object");
            }
            let (line, column) = (error.line(), error.column());
            invalid(&format!("it is not JSON (line {line}, column {column})"))
        })?;
        for (idx, (name, _)) in left.iter().enumerate() {
            if left[..idx].iter().any(|(earlier, _)| earlier == name) {
                return Err(invalid(&format!(
                    "{} is repeated; send it once",
                    quote(name)
                )));
            }
        }
        let taken = Vec::new();
        Ok(Self { left, taken })
    }

    /// Takes a required string.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, Problem> {
        match self.take(name) {
            Some(Value::String(text)) => Ok(text),
            found => Err(wrong(name, "must be a string", found.as_ref())),
        }
    }

    /// Takes an optional string. `null` counts as absent.
    pub(crate) fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            found => Err(wrong(name, "must be a string", found.as_ref())),
        }
    }

    /// Takes a required whole number.
    pub(crate) fn whole_number(&mut self, name: &'static str) -> Result<u64, Problem> {
        let found = self.take(name);
        let number = found.as_ref().and_then(Value::as_u64);
        number.ok_or_else(|| {
            wrong(
                name,
                "must be a whole number, written in digits only",
                found.as_ref(),
            )
        })
    }

    /// Checks that no member is left.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.left.first() else {
            return Ok(());
        };
        let (name, taken) = (quote(name), self.taken.join(", "));
        Err(invalid(&format!(
            "{name} is unknown; this call accepts {taken}"
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

/// A member's name as the caller wrote it, in quotation marks and truncated.
fn quote(name: &str) -> String {
    const MAX_CHARS: usize = 40;
    let mut quoted: String = name.chars().take(MAX_CHARS).collect();
    if quoted.len() < name.len() {
        quoted.push('…');
    }
    format!("{quoted:?}")
}

/// A JSON object with its members in order. Repeated members are kept, so that they can be refused.
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
    fn a_refusal_names_the_member_and_the_value_that_it_must_have() {
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
            ("{}", "path is missing; it must be a string"),
            (r#"{"path":null}"#, "path must be a string"),
            (r#"{"path":["/x"]}"#, "path must be a string"),
            (
                r#"{"path":"/x","note":1,"size":1}"#,
                "note must be a string",
            ),
            (
                r#"{"path":"/x"}"#,
                "size is missing; it must be a whole number, written in digits only",
            ),
            (
                r#"{"path":"/x","size":-1}"#,
                "size must be a whole number, written in digits only",
            ),
            (
                r#"{"path":"/x","size":1e3}"#,
                "size must be a whole number, written in digits only",
            ),
            (
                r#"{"path":"/x","size":18446744073709551616}"#,
                "size must be a whole number, written in digits only",
            ),
            (
                r#"{"path":"/x","size":1,"key":1}"#,
                r#""key" is unknown; this call accepts path, note, size"#,
            ),
            (
                r#"{"path":"/x","path":"/y","size":1}"#,
                r#""path" is repeated; send it once"#,
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
    fn an_essence_has_no_parameters_and_no_capitals() {
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
