//! The signed form, ready for a browser. [`crate::PostPolicy::sign`] makes it; services return it as JSON. It never
//! contains the secret key, but it is a bearer token for an upload: do not log its fields.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::field;
use super::key;
use crate::error::{SigningError, Violation};

/// S3 reads 20 KB of a form before its file (AWS, "POST Object"; above that `MaxPostPreDataLengthExceeded`).
pub const MAX_FORM_BYTES: usize = 20 * 1024;

/// The overhead of `multipart/form-data` per field: a boundary of up to 70 characters (RFC 2046 §5.1.1) with its
/// hyphens, `Content-Disposition: form-data; name=""`, and four line breaks.
const OVERHEAD_PER_FIELD: usize = 2 + 70 + 39 + 8;

/// A signed form: the URL to post to, and the fields.
///
/// As JSON it is `{"url":"…","fields":{"key":"…",…},"expires_at":"2026-11-23T12:05:00Z"}`, with the fields in order,
/// and with `"open":{"Content-Type":"image/"}` if the sender must fill in a field. `Debug` shows only the names of the
/// fields.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[must_use]
pub struct SignedForm {
    /// The form's action.
    pub url: String,
    /// Names and values in the order of sending: the key first, policy and signature last. The sender appends the file
    /// after them, under the name `file`: S3 ignores all fields after it.
    #[serde(serialize_with = "as_object")]
    pub fields: Vec<(Cow<'static, str>, String)>,
    /// The fields that the sender must fill in.
    #[serde(serialize_with = "as_prefixes", skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenField>,
    /// When S3 stops accepting the form, in whole seconds.
    pub expires_at: Timestamp,
}

/// A field that the sender fills in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenField {
    /// Its name.
    pub name: String,
    /// The required prefix of its value.
    pub prefix: String,
}

impl OpenField {
    pub(crate) fn new(name: &str, prefix: &str) -> Self {
        Self {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
        }
    }
}

impl SignedForm {
    /// Fills in a field that the policy leaves open, for senders that do not do it themselves.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::FieldNotOpen`] if S3 would refuse the field, with [`SigningError::FieldValue`]
    /// ([`Violation::OutsidePrefix`] among others), and with the errors of the policy's methods.
    pub fn fill(mut self, name: &str, value: &str) -> Result<Self, SigningError> {
        let is_it = |open: &OpenField| open.name.eq_ignore_ascii_case(name);
        let Some(idx) = self.open.iter().position(is_it) else {
            return Err(SigningError::FieldNotOpen {
                name: name.to_owned(),
            });
        };
        let OpenField { name, prefix } = self.open.remove(idx);
        match name.as_str() {
            "key" => key::check_in_form(value)?,
            "Content-Type" => field::check_content_type(value)?,
            _ => field::check_value(&name, value)?,
        }
        if !value.starts_with(&prefix) || (name == "key" && value == prefix) {
            return Err(SigningError::FieldValue {
                name,
                violation: Violation::OutsidePrefix,
            });
        }
        // The key comes first, and all fields before the signature.
        self.fields.insert(0, (name.into(), value.to_owned()));
        self.fields.sort_by_key(|(name, _)| name != "key");
        field::check_metadata_size(&self.fields)?;
        self.check_size()?;
        Ok(self)
    }

    /// The value of a field, by its case-insensitive name, as in S3.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self
            .fields
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn check_size(&self) -> Result<(), SigningError> {
        let field_bytes = |(name, value): &(Cow<'static, str>, String)| {
            name.len() + value.len() + OVERHEAD_PER_FIELD
        };
        match self.fields.iter().map(field_bytes).sum() {
            bytes if bytes <= MAX_FORM_BYTES => Ok(()),
            bytes => Err(SigningError::FormTooLarge {
                bytes,
                max: MAX_FORM_BYTES,
            }),
        }
    }
}

impl fmt::Debug for SignedForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_ref()).collect();
        f.debug_struct("SignedForm")
            .field("url", &self.url)
            .field("fields", &names)
            .field("open", &self.open)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

fn as_object<S: Serializer>(
    fields: &[(Cow<'static, str>, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().map(|(name, value)| (name, value)))
}

fn as_prefixes<S: Serializer>(open: &[OpenField], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(open.iter().map(|field| (&field.name, &field.prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_the_order_and_debug_hides_the_values() {
        let form = SignedForm {
            url: "https://example.com/".to_owned(),
            fields: vec![
                ("key".into(), "a\"b".to_owned()),
                ("Content-Type".into(), "image/png".to_owned()),
            ],
            open: Vec::new(),
            expires_at: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(
            serde_json::to_string(&form).unwrap(),
            r#"{"url":"https://example.com/","fields":{"key":"a\"b","Content-Type":"image/png"},"expires_at":"1970-01-01T00:00:00Z"}"#
        );
        assert_eq!(
            format!("{form:?}"),
            r#"SignedForm { url: "https://example.com/", fields: ["key", "Content-Type"], open: [], expires_at: 1970-01-01T00:00:00Z }"#
        );
        assert_eq!(form.field("content-type"), Some("image/png"));
    }
}
