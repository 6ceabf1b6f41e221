//! The POST policy: the rules for one upload, collected and checked part by part, then signed into a form.
//! `signing-api` and the command line call it. Every field of the form has an exact condition, unless it is explicitly
//! left open.
//!
//! Source: AWS, "POST Policy" and "Authenticating Requests: Browser-Based Uploads Using POST (AWS Signature Version 4)".

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use jiff::Timestamp;

use super::bucket::Bucket;
use super::field::{self, Checksum, FormField, METADATA_PREFIX, PrefixField, SuccessStatus};
use super::form::{OpenField, SignedForm};
use super::key;
use super::sigv4;
use crate::credentials::Credentials;
use crate::error::{SigningError, Violation};
use crate::expiry::Expiry;

/// S3 accepts 5 GiB in one request; more requires a multipart upload.
pub const MAX_POST_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// One upload: its key, its size range, its expiry, and the added fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PostPolicy {
    bucket: Bucket,
    /// The form's fields so far, the key first. Each becomes an exact condition.
    fields: Vec<(Cow<'static, str>, String)>,
    /// Fields that the sender fills in. Each becomes a `starts-with` condition.
    open: Vec<OpenField>,
    size: RangeInclusive<u64>,
    expiry: Expiry,
}

impl PostPolicy {
    /// A policy for one object. `size` is an inclusive range in bytes.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::Key`], [`SigningError::SizeRangeEmpty`] or [`SigningError::SizeTooLarge`].
    pub fn new(
        bucket: &Bucket,
        key: &str,
        size: RangeInclusive<u64>,
        expiry: Expiry,
    ) -> Result<Self, SigningError> {
        check_size_range(&size)?;
        key::check_in_form(key)?;
        let fields = vec![("key".into(), key.to_owned())];
        Ok(Self {
            bucket: bucket.clone(),
            fields,
            open: Vec::new(),
            size,
            expiry,
        })
    }

    /// A policy for one object with any key below `folder`, which must end in a slash: without it a form for
    /// `merchants/123` would also allow `merchants/1234`. The sender fills in the key ([`SignedForm::fill`]), and may
    /// overwrite any object there. Prefer [`PostPolicy::new`] with a key that the server made.
    ///
    /// # Errors
    ///
    /// Fails like [`PostPolicy::new`], and with [`Violation::NotFolder`] without a slash at the end.
    pub fn below(
        bucket: &Bucket,
        folder: &str,
        size: RangeInclusive<u64>,
        expiry: Expiry,
    ) -> Result<Self, SigningError> {
        check_size_range(&size)?;
        key::check_in_form(folder)?;
        if folder == "/" || !folder.ends_with('/') {
            return Err(SigningError::Key {
                key: folder.to_owned(),
                violation: Violation::NotFolder,
            });
        }
        Ok(Self {
            bucket: bucket.clone(),
            fields: Vec::new(),
            open: vec![OpenField::new("key", folder)],
            size,
            expiry,
        })
    }

    /// The content type that the browser declares and S3 stores. Without it the form accepts none, and S3 stores
    /// `binary/octet-stream`. S3 never compares it with the bytes.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::ContentType`] or [`SigningError::FieldValue`].
    pub fn content_type(self, content_type: &str) -> Result<Self, SigningError> {
        field::check_content_type(content_type)?;
        self.with("Content-Type", content_type)
    }

    /// A metadata entry: `("owner", "k5x")` is stored as `x-amz-meta-owner: k5x`. The user can see it but not change
    /// it. Names are stored in lower case. Values consist of visible US-ASCII and inner spaces; percent-encode anything
    /// else.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::MetadataName`], [`SigningError::MetadataTooLarge`] or [`SigningError::FieldValue`].
    pub fn metadata(self, name: &str, value: &str) -> Result<Self, SigningError> {
        field::check_metadata_name(name)?;
        let full_name = format!("{METADATA_PREFIX}{}", name.to_ascii_lowercase());
        let policy = self.with(full_name, value)?;
        field::check_metadata_size(&policy.fields)?;
        Ok(policy)
    }

    /// Pins the bytes: S3 computes their SHA-256 and refuses any others, so the form is useless for another file.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::DuplicateField`]: S3 accepts one algorithm.
    pub fn sha256(self, digest: [u8; 32]) -> Result<Self, SigningError> {
        self.checksum(Checksum::Sha256(digest))
    }

    /// Pins the bytes by another checksum. A non-cryptographic checksum detects only accidents: an attacker can make
    /// other bytes with the same one.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::DuplicateField`]: S3 accepts one algorithm.
    pub fn checksum(self, checksum: Checksum) -> Result<Self, SigningError> {
        let (name, value) = checksum.field();
        match checksum.algorithm() {
            Some(algorithm) => self.with("x-amz-checksum-algorithm", algorithm)?,
            None => self,
        }
        .with(name, &value)
    }

    /// Tags of the object, by name and value. The signer's role needs `s3:PutObjectTagging`.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::Tags`], [`SigningError::DuplicateField`] or [`SigningError::FieldValue`].
    pub fn tags(self, tags: &[(&str, &str)]) -> Result<Self, SigningError> {
        self.with("tagging", &field::tagging(tags)?)
    }

    /// Leaves a field open: the sender fills it in with any value that begins with `prefix`, which may be empty. The
    /// field is required: S3 refuses a form without it ([`SignedForm::fill`]).
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::FieldValue`], [`SigningError::MetadataName`] or [`SigningError::DuplicateField`].
    pub fn starts_with(
        mut self,
        field: PrefixField<'_>,
        prefix: &str,
    ) -> Result<Self, SigningError> {
        let name = field.name()?;
        field.check_prefix(&name, prefix)?;
        self.check_new(&name)?;
        self.open.push(OpenField::new(&name, prefix));
        Ok(self)
    }

    /// S3's answer on success.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::DuplicateField`].
    pub fn success_action_status(self, status: SuccessStatus) -> Result<Self, SigningError> {
        self.with("success_action_status", status.value())
    }

    /// Another field of S3, with exactly this value.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::FieldValue`] or [`SigningError::DuplicateField`].
    pub fn field(self, field: FormField, value: &str) -> Result<Self, SigningError> {
        field.check(value)?;
        self.with(field.name(), value)
    }

    /// Signs the form as of `now`.
    ///
    /// # Errors
    ///
    /// Fails if the expiry does not fit the time or the credentials, if the credentials are malformed, or with
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

        let mut fields = Vec::with_capacity(self.fields.len() + 6);
        fields.extend_from_slice(&self.fields);
        let mut push = |name: &'static str, value: String| fields.push((name.into(), value));
        push("x-amz-algorithm", sigv4::ALGORITHM.to_owned());
        push(
            "x-amz-credential",
            sigv4::credential(&credentials.access_key_id, date, region),
        );
        push("x-amz-date", sigv4::amz_date(now));
        if let Some(token) = &credentials.session_token {
            push("x-amz-security-token", token.reveal().to_owned());
        }

        let document = self.document(expires_at, &fields);
        let key = credentials.secret_access_key.signing_key(date, region);
        let signed = sigv4::sign_policy_document(&key, document.as_bytes());
        fields.push(("policy".into(), signed.policy));
        fields.push(("x-amz-signature".into(), signed.signature));

        let form = SignedForm {
            url: self.bucket.url(),
            fields,
            open: self.open.clone(),
            expires_at,
        };
        form.check_size()?;
        Ok(form)
    }

    /// The policy document: the bucket, every field, the size. S3 refuses fields without a condition ("Extra input
    /// fields") and conditions without a field, so both are made from one list.
    fn document(&self, expires_at: Timestamp, fields: &[(Cow<'static, str>, String)]) -> String {
        let texts = fields.iter().map(|(name, value)| name.len() + value.len());
        let mut document = String::with_capacity(256 + texts.sum::<usize>() + 8 * fields.len());
        // Writing to a string cannot fail.
        let _ = write!(document, r#"{{"expiration":"{expires_at}","conditions":["#);
        let bucket = ("bucket", self.bucket.name());
        let exact = fields
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_str()));
        for (name, value) in std::iter::once(bucket).chain(exact) {
            document.push('{');
            push_json(&mut document, name);
            document.push(':');
            push_json(&mut document, value);
            document.push_str("},");
        }
        for OpenField { name, prefix } in &self.open {
            document.push_str(r#"["starts-with","$"#);
            // The characters of a field's name need no escaping.
            document.push_str(name);
            document.push_str("\",");
            push_json(&mut document, prefix);
            document.push_str("],");
        }
        let (min, max) = (self.size.start(), self.size.end());
        let _ = write!(document, r#"["content-length-range",{min},{max}]]}}"#);
        document
    }

    fn with(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: &str,
    ) -> Result<Self, SigningError> {
        let name = name.into();
        field::check_value(&name, value)?;
        self.check_new(&name)?;
        self.fields.push((name, value.to_owned()));
        Ok(self)
    }

    fn check_new(&self, name: &str) -> Result<(), SigningError> {
        let exact = self.fields.iter().map(|(own, _)| own.as_ref());
        let mut known = exact.chain(self.open.iter().map(|field| field.name.as_str()));
        if known.any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(SigningError::DuplicateField {
                name: name.to_owned(),
            });
        }
        Ok(())
    }
}

fn check_size_range(size: &RangeInclusive<u64>) -> Result<(), SigningError> {
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
    Ok(())
}

/// Writes a JSON string. Characters outside US-ASCII become `\uXXXX`, as AWS requires ("POST Policy", Character
/// Escaping).
fn push_json(json: &mut String, text: &str) {
    json.push('"');
    // Fast path: nearly all texts need no escaping.
    if field::all_bytes(
        text,
        |byte| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~'),
    ) {
        json.push_str(text);
        json.push('"');
        return;
    }
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                json.push('\\');
                json.push(character);
            }
            ' '..='~' => json.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
        }
    }
    json.push('"');
}
