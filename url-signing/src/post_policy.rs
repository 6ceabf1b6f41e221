//! The POST policy: what one upload may be, collected and checked part by part, then signed into a form. `signing-api`
//! and the command line call it. It only ever writes exact conditions, and one for every field.
//!
//! Source: AWS, "POST Policy" and "Authenticating Requests: Browser-Based Uploads Using POST (AWS Signature Version 4)".

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use data_encoding::BASE64;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::bucket::Bucket;
use crate::credentials::Credentials;
use crate::error::{Rule, SigningError};
use crate::expiry::Expiry;
use crate::field::{self, FormField, MAX_METADATA_BYTES, METADATA_PREFIX, SuccessStatus};
use crate::form::SignedForm;
use crate::sigv4;

/// S3 takes keys of up to 1024 bytes in UTF-8.
pub const MAX_KEY_BYTES: usize = 1024;

/// S3 takes 5 GiB in one request; more needs a multipart upload.
pub const MAX_POST_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// One upload: exactly this key, sizes in this range, until then, and exactly the fields added to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PostPolicy {
    bucket: Bucket,
    /// The form's fields so far, the key first. Each becomes a condition.
    fields: Vec<(String, String)>,
    size: RangeInclusive<u64>,
    expiry: Expiry,
}

impl PostPolicy {
    /// A policy for one object. `size` is in bytes, both ends included.
    ///
    /// Fails with [`SigningError::Key`], [`SigningError::SizeRangeEmpty`] or [`SigningError::SizeTooLarge`].
    pub fn new(
        bucket: &Bucket,
        key: &str,
        size: RangeInclusive<u64>,
        expiry: Expiry,
    ) -> Result<Self, SigningError> {
        let (min, max) = (*size.start(), *size.end());
        if max < min {
            return Err(SigningError::SizeRangeEmpty { min, max });
        }
        if MAX_POST_BYTES < max {
            return Err(SigningError::SizeTooLarge {
                max,
                limit: MAX_POST_BYTES,
            });
        }
        check_key(key)?;
        let fields = vec![("key".to_owned(), key.to_owned())];
        Ok(Self {
            bucket: bucket.clone(),
            fields,
            size,
            expiry,
        })
    }

    /// The content type that the browser declares and S3 stores. Without it the form takes none, and S3 stores
    /// `binary/octet-stream`. S3 never compares it with the bytes.
    ///
    /// Fails with [`SigningError::ContentType`] or [`SigningError::FieldValue`].
    pub fn content_type(self, content_type: &str) -> Result<Self, SigningError> {
        field::check_content_type(content_type)?;
        self.with("Content-Type", content_type)
    }

    /// A metadata entry: `("owner", "k5x")` is stored as `x-amz-meta-owner: k5x`. The user sees it and cannot change
    /// it. Names are stored in lower case. Values are visible US-ASCII and inner spaces; percent-encode anything else.
    ///
    /// Fails with [`SigningError::MetadataName`], [`SigningError::MetadataTooLarge`] or [`SigningError::FieldValue`].
    pub fn metadata(self, name: &str, value: &str) -> Result<Self, SigningError> {
        field::check_metadata_name(name)?;
        let full_name = format!("{METADATA_PREFIX}{}", name.to_ascii_lowercase());
        let policy = self.with(&full_name, value)?;
        match policy.metadata_bytes() {
            bytes if bytes <= MAX_METADATA_BYTES => Ok(policy),
            bytes => Err(SigningError::MetadataTooLarge {
                bytes,
                max: MAX_METADATA_BYTES,
            }),
        }
    }

    /// Pins the bytes: S3 computes their SHA-256 and refuses any others, so the form is of no use for another file.
    pub fn sha256(self, digest: [u8; 32]) -> Result<Self, SigningError> {
        self.with("x-amz-checksum-algorithm", "SHA256")?
            .with("x-amz-checksum-sha256", &BASE64.encode(&digest))
    }

    /// What S3 answers on success.
    pub fn success_action_status(self, status: SuccessStatus) -> Result<Self, SigningError> {
        self.with("success_action_status", status.value())
    }

    /// Another field that S3 knows, with exactly this value.
    pub fn field(self, field: FormField, value: &str) -> Result<Self, SigningError> {
        self.with(field.name(), value)
    }

    /// Signs the form as of `now`.
    ///
    /// Fails when the expiry does not fit the time or the credentials, when the credentials are malformed, or with
    /// [`SigningError::FormTooLarge`].
    pub fn sign(
        &self,
        now: Timestamp,
        credentials: &Credentials,
    ) -> Result<SignedForm, SigningError> {
        credentials.check()?;
        let expires_at = self.expiry.resolve(now, credentials)?;
        let region = self.bucket.region();
        let date = sigv4::signing_date(now);

        let mut fields = self.fields.clone();
        let mut push = |name: &str, value: String| fields.push((name.to_owned(), value));
        push("x-amz-algorithm", sigv4::ALGORITHM.to_owned());
        push(
            "x-amz-credential",
            sigv4::credential(&credentials.access_key_id, date, region),
        );
        push("x-amz-date", sigv4::amz_date(now));
        if let Some(token) = &credentials.session_token {
            push("x-amz-security-token", token.clone());
        }

        let document = self.document(expires_at, &fields);
        let key = sigv4::signing_key(&credentials.secret_access_key, date, region);
        let signed = sigv4::sign_policy_document(&key, document.as_bytes());
        fields.push(("policy".to_owned(), signed.policy));
        fields.push(("x-amz-signature".to_owned(), signed.signature));

        let form = SignedForm {
            url: self.bucket.url(),
            fields,
            expires_at,
        };
        form.check_size()?;
        Ok(form)
    }

    /// The policy document: the bucket, every field, the size. S3 refuses fields without a condition ("Extra input
    /// fields") and conditions without a field, so both come from one list.
    fn document(&self, expires_at: Timestamp, fields: &[(String, String)]) -> String {
        let bucket = json!({ "bucket": self.bucket.name() });
        let exact = fields
            .iter()
            .map(|(name, value)| json!({ name.as_str(): value }));
        let size = json!(["content-length-range", self.size.start(), self.size.end()]);
        let conditions: Value = std::iter::once(bucket).chain(exact).chain([size]).collect();
        escape_non_ascii(&format!(
            r#"{{"expiration":"{expires_at}","conditions":{conditions}}}"#
        ))
    }

    fn with(mut self, name: &str, value: &str) -> Result<Self, SigningError> {
        field::check_value(name, value)?;
        if self
            .fields
            .iter()
            .any(|(own, _)| own.eq_ignore_ascii_case(name))
        {
            return Err(SigningError::DuplicateField {
                name: name.to_owned(),
            });
        }
        self.fields.push((name.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// The bytes of names and values as S3 stores them, without the prefix (AWS, "Working with object metadata").
    fn metadata_bytes(&self) -> usize {
        let entry_bytes = |(name, value): &(String, String)| {
            name.strip_prefix(METADATA_PREFIX)
                .map_or(0, |name| name.len() + value.len())
        };
        self.fields.iter().map(entry_bytes).sum()
    }
}

fn check_key(key: &str) -> Result<(), SigningError> {
    let checked = match key.len() {
        0..=MAX_KEY_BYTES => field::check_text(key),
        _ => Err(Rule::Length {
            min: 1,
            max: MAX_KEY_BYTES,
        }),
    };
    checked.map_err(|rule| SigningError::Key {
        key: key.to_owned(),
        rule,
    })
}

/// Writes every character outside US-ASCII as `\uXXXX`, which AWS asks for ("POST Policy", Character Escaping). In a
/// JSON text such characters stand in strings only.
fn escape_non_ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    escaped
}
