//! The contents of form fields: the fields of S3 besides those that [`crate::PostPolicy`] sets itself, and the rules on
//! names and values. Only `post_policy` calls the checks; nothing here writes a form or a policy.
//!
//! Sources: AWS, "POST Object" (the fields), "POST Policy" (matching and escaping), "Working with object metadata".

use std::borrow::Cow;

use data_encoding::BASE64;

use crate::error::{SigningError, Violation};

/// S3 stores 2 KB of metadata with an object, names and values together.
pub const MAX_METADATA_BYTES: usize = 2048;

/// S3 keeps ten tags with an object.
const MAX_TAGS: usize = 10;

pub(crate) const METADATA_PREFIX: &str = "x-amz-meta-";

/// A field of S3 that nothing else sets. The value goes into the form and, as an exact condition, into the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormField {
    /// `acl`: a canned ACL. Buckets that enforce their owner, as new ones do, refuse it.
    Acl,
    /// `Cache-Control`, stored with the object.
    CacheControl,
    /// `Content-Disposition`, stored with the object. Write non-ASCII names as in RFC 8187 (`filename*=`).
    ContentDisposition,
    /// `Content-Encoding`, stored with the object.
    ContentEncoding,
    /// `Expires`, stored with the object: an HTTP date for caches, not the expiry of the form.
    Expires,
    /// `x-amz-server-side-encryption`: `AES256`, `aws:kms` or `aws:kms:dsse`.
    ServerSideEncryption,
    /// `x-amz-server-side-encryption-bucket-key-enabled`: `true` or `false`.
    ServerSideEncryptionBucketKeyEnabled,
    /// `x-amz-server-side-encryption-context`: a JSON object in base64.
    ServerSideEncryptionContext,
    /// `x-amz-server-side-encryption-aws-kms-key-id`.
    ServerSideEncryptionKmsKeyId,
    /// `x-amz-storage-class`, such as `INTELLIGENT_TIERING`.
    StorageClass,
    /// `success_action_redirect`: the URL that the browser goes to afterwards. Never take it from the user: it would be
    /// an open redirect.
    SuccessActionRedirect,
    /// `x-amz-website-redirect-location`, for buckets that are websites.
    WebsiteRedirectLocation,
}

/// A field that the sender may fill in, because S3 supports a `starts-with` condition for it (AWS, "POST Policy"). For
/// all other fields, including those of checksums, encryption and signatures, it accepts only exact conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrefixField<'a> {
    /// `acl`
    Acl,
    /// `Cache-Control`
    CacheControl,
    /// `Content-Disposition`
    ContentDisposition,
    /// `Content-Encoding`
    ContentEncoding,
    /// `Content-Type`. The prefix `image/` allows `image/svg+xml`, which runs scripts when it is opened.
    ContentType,
    /// `Expires`
    Expires,
    /// A metadata entry, by its name without `x-amz-meta-`.
    Metadata(&'a str),
    /// `success_action_redirect`; the prefix must contain a whole origin and its slash.
    SuccessActionRedirect,
}

/// A checksum of the file, which S3 computes and compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checksum {
    /// CRC-32 of ISO 3309.
    Crc32(u32),
    /// CRC-32C (Castagnoli).
    Crc32c(u32),
    /// MD5, as `Content-MD5`.
    Md5([u8; 16]),
    /// SHA-1.
    Sha1([u8; 20]),
    /// SHA-256: the only one that resists forgery.
    Sha256([u8; 32]),
}

/// S3's answer once the object is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuccessStatus {
    /// 200 without a body.
    Ok,
    /// 201 with an XML document: location, bucket, key and `ETag`.
    Created,
    /// 204 without a body, S3's default.
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
            Self::ServerSideEncryptionBucketKeyEnabled => {
                "x-amz-server-side-encryption-bucket-key-enabled"
            }
            Self::ServerSideEncryptionContext => "x-amz-server-side-encryption-context",
            Self::ServerSideEncryptionKmsKeyId => "x-amz-server-side-encryption-aws-kms-key-id",
            Self::StorageClass => "x-amz-storage-class",
            Self::SuccessActionRedirect => "success_action_redirect",
            Self::WebsiteRedirectLocation => "x-amz-website-redirect-location",
        }
    }
}

impl FormField {
    /// Checks that S3 could accept a value. Otherwise only the browser would see S3's error, at upload.
    pub(crate) fn check(self, value: &str) -> Result<(), SigningError> {
        let all = |is_allowed: fn(&u8) -> bool| value.as_bytes().iter().all(is_allowed);
        let violation = match self {
            Self::Acl if !all(|byte| byte.is_ascii_lowercase() || *byte == b'-') => {
                Violation::Characters("the lower-case letters and hyphens of a canned ACL")
            }
            Self::ServerSideEncryption if !ENCRYPTIONS.contains(&value) => {
                Violation::OneOf("AES256, aws:kms and aws:kms:dsse")
            }
            Self::ServerSideEncryptionBucketKeyEnabled if !["true", "false"].contains(&value) => {
                Violation::OneOf("true and false")
            }
            Self::ServerSideEncryptionContext if BASE64.decode(value.as_bytes()).is_err() => {
                Violation::Characters("base64")
            }
            Self::StorageClass if !all(|byte| byte.is_ascii_uppercase() || *byte == b'_') => {
                Violation::Characters("the capitals and underscores of a storage class")
            }
            // S3 ignores a relative URL, and answers 204.
            Self::SuccessActionRedirect if !is_below_origin(value) => Violation::NotUrl,
            _ => return Ok(()),
        };
        Err(SigningError::FieldValue {
            name: self.name().to_owned(),
            violation,
        })
    }
}

impl Checksum {
    /// The value of `x-amz-checksum-algorithm`.
    pub(crate) fn algorithm(self) -> Option<&'static str> {
        match self {
            Self::Crc32(_) => Some("CRC32"),
            Self::Crc32c(_) => Some("CRC32C"),
            Self::Md5(_) => None,
            Self::Sha1(_) => Some("SHA1"),
            Self::Sha256(_) => Some("SHA256"),
        }
    }

    /// The name and value of its field.
    pub(crate) fn field(self) -> (&'static str, String) {
        match self {
            Self::Crc32(sum) => ("x-amz-checksum-crc32", BASE64.encode(&sum.to_be_bytes())),
            Self::Crc32c(sum) => ("x-amz-checksum-crc32c", BASE64.encode(&sum.to_be_bytes())),
            Self::Md5(digest) => ("Content-MD5", BASE64.encode(&digest)),
            Self::Sha1(digest) => ("x-amz-checksum-sha1", BASE64.encode(&digest)),
            Self::Sha256(digest) => ("x-amz-checksum-sha256", BASE64.encode(&digest)),
        }
    }
}

impl PrefixField<'_> {
    pub(crate) fn name(self) -> Result<String, SigningError> {
        Ok(match self {
            Self::Acl => "acl".to_owned(),
            Self::CacheControl => "Cache-Control".to_owned(),
            Self::ContentDisposition => "Content-Disposition".to_owned(),
            Self::ContentEncoding => "Content-Encoding".to_owned(),
            Self::ContentType => "Content-Type".to_owned(),
            Self::Expires => "Expires".to_owned(),
            Self::Metadata(name) => {
                check_metadata_name(name)?;
                format!("{METADATA_PREFIX}{}", name.to_ascii_lowercase())
            }
            Self::SuccessActionRedirect => "success_action_redirect".to_owned(),
        })
    }

    /// Checks a prefix. It may be empty, unless the sender could then choose where browsers are redirected.
    pub(crate) fn check_prefix(self, name: &str, prefix: &str) -> Result<(), SigningError> {
        let violation = match self {
            Self::SuccessActionRedirect if !is_below_origin(prefix) => Some(Violation::NotUrl),
            _ if prefix.is_empty() => None,
            _ if !prefix.is_ascii() => Some(Violation::NotAscii),
            _ => check_text(prefix).err(),
        };
        match violation {
            Some(violation) => Err(SigningError::FieldValue {
                name: name.to_owned(),
                violation,
            }),
            None => Ok(()),
        }
    }
}

/// Values of `x-amz-server-side-encryption`.
const ENCRYPTIONS: [&str; 3] = ["AES256", "aws:kms", "aws:kms:dsse"];

/// Whether a URL begins with `https://host/`: the slash prevents a continuation such as `.evil.example`.
fn is_below_origin(url: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| {
        url.strip_prefix(scheme)
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(host, _)| !host.is_empty() && !host.contains(['@', '?', '#', '\\']))
    })
}

/// The XML document of the `tagging` field; the header uses a query string instead.
pub(crate) fn tagging(tags: &[(&str, &str)]) -> Result<String, SigningError> {
    let refuse = |violation| Err(SigningError::Tags { violation });
    if tags.is_empty() || tags.len() > MAX_TAGS {
        return refuse(Violation::Length {
            min: 1,
            max: MAX_TAGS,
        });
    }
    let mut xml = "<Tagging><TagSet>".to_owned();
    for (idx, (name, value)) in tags.iter().enumerate() {
        // AWS, "Categorizing your storage using tags": letters, digits, spaces and these.
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || " +-=._:/@".contains(c);
        if !(1..=128).contains(&name.len()) {
            return refuse(Violation::Length { min: 1, max: 128 });
        }
        if value.len() > 256 {
            return refuse(Violation::Length { min: 0, max: 256 });
        }
        if !name.chars().chain(value.chars()).all(is_allowed) {
            return refuse(Violation::Characters(
                "letters and digits of US-ASCII, spaces and + - = . _ : / @",
            ));
        }
        if name.starts_with("aws:") {
            return refuse(Violation::Reserved("aws:"));
        }
        if tags[..idx].iter().any(|(earlier, _)| earlier == name) {
            return Err(SigningError::DuplicateField {
                name: (*name).to_owned(),
            });
        }
        // None of these characters needs escaping in XML.
        xml.push_str("<Tag><Key>");
        xml.push_str(name);
        xml.push_str("</Key><Value>");
        xml.push_str(value);
        xml.push_str("</Value></Tag>");
    }
    xml.push_str("</TagSet></Tagging>");
    Ok(xml)
}

/// Checks the metadata of all fields together, with names without `x-amz-meta-` (AWS, "Working with object metadata").
pub(crate) fn check_metadata_size(
    fields: &[(Cow<'static, str>, String)],
) -> Result<(), SigningError> {
    let entry_bytes = |(name, value): &(Cow<'static, str>, String)| {
        name.strip_prefix(METADATA_PREFIX)
            .map_or(0, |name| name.len() + value.len())
    };
    match fields.iter().map(entry_bytes).sum() {
        bytes if bytes <= MAX_METADATA_BYTES => Ok(()),
        bytes => Err(SigningError::MetadataTooLarge {
            bytes,
            max: MAX_METADATA_BYTES,
        }),
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

/// The rules for every text in a form, including the key.
pub(crate) fn check_text(text: &str) -> Result<(), Violation> {
    if text.is_empty() {
        return Err(Violation::Empty);
    }
    // Fast path: nearly all texts consist of these bytes.
    if all_bytes(text, |byte| matches!(byte, b' '..=b'#' | b'%'..=b'~')) {
        return Ok(());
    }
    // Browsers rewrite line breaks in form values (HTML, "multipart/form-data"), and the condition fails.
    if text.chars().any(char::is_control) {
        return Err(Violation::ControlCharacter);
    }
    // S3 expands `${filename}` before it matches, and fails on `$$` (boto3 #4514). It requires `$` to be escaped in a
    // form that JSON does not have ("POST Policy", Character Escaping; aws-sdk-js-v3 #3312).
    if text.contains('$') {
        return Err(Violation::Dollar);
    }
    Ok(())
}

/// Whether all bytes satisfy a predicate. The loop has no early exit, so that it can be vectorised.
pub(crate) fn all_bytes(text: &str, is_such: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & is_such(byte))
}

/// The rules for a value that S3 stores as an HTTP header, or compares with one.
pub(crate) fn check_value(name: &str, value: &str) -> Result<(), SigningError> {
    check_header(name, value)?;
    check_text(value).map_err(|violation| SigningError::FieldValue {
        name: name.to_owned(),
        violation,
    })
}

/// The rules for the value of an HTTP header.
pub(crate) fn check_header(name: &str, value: &str) -> Result<(), SigningError> {
    let is_plain = all_bytes(value, |byte| matches!(byte, b' '..=b'~'));
    let violation = if value.is_empty() {
        Violation::Empty
    } else if !is_plain && value.chars().any(char::is_control) {
        Violation::ControlCharacter
    } else if !is_plain && !value.is_ascii() {
        Violation::NotAscii
    } else if value.starts_with(' ') || value.ends_with(' ') {
        // A header's value has no surrounding spaces (RFC 9110 §5.5): the stored value would differ from the signed
        // one.
        Violation::Edges("a visible character")
    } else {
        return Ok(());
    };
    Err(SigningError::FieldValue {
        name: name.to_owned(),
        violation,
    })
}

/// The rules for the name of a metadata entry, without `x-amz-meta-`.
pub(crate) fn check_metadata_name(name: &str) -> Result<(), SigningError> {
    let refuse = |violation| {
        Err(SigningError::MetadataName {
            name: name.to_owned(),
            violation,
        })
    };
    if name.is_empty() {
        return refuse(Violation::Empty);
    }
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return refuse(Violation::Characters(
            "letters, digits, hyphens, underscores and periods",
        ));
    }
    if name.to_ascii_lowercase().starts_with(METADATA_PREFIX) {
        return refuse(Violation::Prefixed(METADATA_PREFIX));
    }
    Ok(())
}

/// Checks for `type/subtype`, optionally with parameters (RFC 9110 §8.3.1).
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
