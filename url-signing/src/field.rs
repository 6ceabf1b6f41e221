//! What may stand in a form field: the fields that S3 knows beside those that [`crate::PostPolicy`] sets itself, and the
//! rules on names and values. Only `post_policy` calls the checks; nothing here writes a form or a policy.
//!
//! Sources: AWS, "POST Object" (the fields), "POST Policy" (matching and escaping), "Working with object metadata".

use crate::error::{Rule, SigningError};

/// S3 stores 2 KB of metadata with an object, names and values together.
pub const MAX_METADATA_BYTES: usize = 2048;

pub(crate) const METADATA_PREFIX: &str = "x-amz-meta-";

/// A field that S3 knows and that nothing else sets. The value goes into the form and, exactly so, into the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormField {
    /// `acl`: a canned ACL. Buckets that enforce their owner, as new ones do, refuse it.
    Acl,
    /// `Cache-Control`, stored with the object.
    CacheControl,
    /// `Content-Disposition`, stored with the object. Write other than ASCII names as RFC 8187 says (`filename*=`).
    ContentDisposition,
    /// `Content-Encoding`, stored with the object.
    ContentEncoding,
    /// `Expires`, stored with the object: an HTTP date for caches, not the end of the form.
    Expires,
    /// `x-amz-server-side-encryption`: `AES256`, `aws:kms` or `aws:kms:dsse`.
    ServerSideEncryption,
    /// `x-amz-server-side-encryption-aws-kms-key-id`.
    ServerSideEncryptionKmsKeyId,
    /// `x-amz-storage-class`.
    StorageClass,
    /// `success_action_redirect`: where the browser goes afterwards. Never take it from the user: it would be an open
    /// redirect.
    SuccessActionRedirect,
    /// `tagging`: the XML document of `PutObjectTagging`, not the query string of the header.
    Tagging,
    /// `x-amz-website-redirect-location`, for buckets that are websites.
    WebsiteRedirectLocation,
}

/// What S3 answers when the object is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuccessStatus {
    /// 200 without a body.
    Ok,
    /// 201 with an XML document: location, bucket, key and `ETag`.
    Created,
    /// 204 without a body, as S3 does when nothing is said.
    NoContent,
}

impl FormField {
    /// The field's name in the form.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acl => "acl",
            Self::CacheControl => "Cache-Control",
            Self::ContentDisposition => "Content-Disposition",
            Self::ContentEncoding => "Content-Encoding",
            Self::Expires => "Expires",
            Self::ServerSideEncryption => "x-amz-server-side-encryption",
            Self::ServerSideEncryptionKmsKeyId => "x-amz-server-side-encryption-aws-kms-key-id",
            Self::StorageClass => "x-amz-storage-class",
            Self::SuccessActionRedirect => "success_action_redirect",
            Self::Tagging => "tagging",
            Self::WebsiteRedirectLocation => "x-amz-website-redirect-location",
        }
    }
}

impl SuccessStatus {
    pub(crate) const fn value(self) -> &'static str {
        match self {
            Self::Ok => "200",
            Self::Created => "201",
            Self::NoContent => "204",
        }
    }
}

/// What holds for every text in a form, the key included.
pub(crate) fn check_text(text: &str) -> Result<(), Rule> {
    if text.is_empty() {
        return Err(Rule::Empty);
    }
    // Browsers rewrite line breaks in form values (HTML, "multipart/form-data"), and the condition fails.
    if text.chars().any(char::is_control) {
        return Err(Rule::ControlCharacter);
    }
    // S3 expands `${filename}` before it matches, fails on `$$` (boto3 #4514), and wants `$` escaped in a way that JSON
    // has no room for ("POST Policy", Character Escaping; aws-sdk-js-v3 #3312).
    if text.contains('$') {
        return Err(Rule::Dollar);
    }
    Ok(())
}

/// What holds for a value that S3 stores as, or compares with, an HTTP header.
pub(crate) fn check_value(name: &str, value: &str) -> Result<(), SigningError> {
    check_header(name, value)?;
    check_text(value).map_err(|rule| SigningError::FieldValue {
        name: name.to_owned(),
        rule,
    })
}

/// What holds for the value of an HTTP header.
pub(crate) fn check_header(name: &str, value: &str) -> Result<(), SigningError> {
    let rule = if value.is_empty() {
        Rule::Empty
    } else if value.chars().any(char::is_control) {
        Rule::ControlCharacter
    } else if !value.is_ascii() {
        Rule::NotAscii
    } else if value.starts_with(' ') || value.ends_with(' ') {
        // A header's value has no space at its ends (RFC 9110 §5.5): what was signed would not be what is stored.
        Rule::Edges("a visible character")
    } else {
        return Ok(());
    };
    Err(SigningError::FieldValue {
        name: name.to_owned(),
        rule,
    })
}

/// The name of a metadata entry, without `x-amz-meta-`.
pub(crate) fn check_metadata_name(name: &str) -> Result<(), SigningError> {
    let refuse = |rule| {
        Err(SigningError::MetadataName {
            name: name.to_owned(),
            rule,
        })
    };
    if name.is_empty() {
        return refuse(Rule::Empty);
    }
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return refuse(Rule::Characters(
            "letters, digits, hyphens, underscores and periods",
        ));
    }
    if name.to_ascii_lowercase().starts_with(METADATA_PREFIX) {
        return refuse(Rule::Prefixed(METADATA_PREFIX));
    }
    Ok(())
}

/// `type/subtype`, perhaps with parameters (RFC 9110 §8.3.1).
pub(crate) fn check_content_type(value: &str) -> Result<(), SigningError> {
    let essence = value
        .split_once(';')
        .map_or(value, |(essence, _)| essence.trim_end_matches(' '));
    let is_token = |text: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#&^_.+-".contains(&byte); // RFC 6838 §4.2
        !text.is_empty() && text.bytes().all(is_allowed)
    };
    match essence.split_once('/') {
        Some((main, sub)) if is_token(main) && is_token(sub) => check_value("Content-Type", value),
        _ => Err(SigningError::ContentType {
            value: value.to_owned(),
        }),
    }
}
