//! The table of all reasons why signing fails. All other modules return these values. Callers match on them, or answer
//! with [`SigningError::status`] and [`SigningError::public_message`]. No variant contains a secret or a token.

use jiff::Timestamp;
use thiserror::Error;

/// Why nothing was signed.
///
/// `Display` is for the log: it contains the value and the limit. [`public_message`](Self::public_message) is for end
/// users.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SigningError {
    /// The name is not valid for a general purpose bucket.
    #[error("bucket name {name:?} {violation}")]
    BucketName {
        /// The name as given.
        name: String,
        /// The violated rule.
        violation: Violation,
    },
    /// The text is not an IPv4 address range.
    #[error("{text:?} is not an IPv4 address range such as 192.0.2.0/24")]
    AddressRange {
        /// The range as given.
        text: String,
    },
    /// The attribute would change the meaning of the cookie.
    #[error("the cookies' {name} {violation}")]
    CookieAttribute {
        /// The attribute's name.
        name: &'static str,
        /// The rule that its value violates.
        violation: Violation,
    },
    /// A policy's time is out of range for `CloudFront`, which counts seconds since 1970 in 31 bits.
    #[error(
        "{moment} is not a time that CloudFront reads, which are those from 1970-01-01 to 2038-01-19T03:14:07Z"
    )]
    CloudFrontTime {
        /// The moment in whole seconds.
        moment: Timestamp,
    },
    /// The content type is not a media type (RFC 9110 §8.3.1).
    #[error("content type {value:?} is not of the form type/subtype")]
    ContentType {
        /// The content type as given.
        value: String,
    },
    /// The credentials have expired.
    #[error("the credentials expired at {expires_at}, it is {now}")]
    CredentialsExpired {
        /// When they expired.
        expires_at: Timestamp,
        /// The time of signing.
        now: Timestamp,
    },
    /// A part of the credentials is malformed. The value is withheld.
    #[error("the credentials' {part} {violation}")]
    CredentialsMalformed {
        /// The part, in words.
        part: &'static str,
        /// The violated rule.
        violation: Violation,
    },
    /// A form field was set twice. S3 accepts each field once, and compares names case-insensitively.
    #[error("field {name:?} is set twice")]
    DuplicateField {
        /// The field's name.
        name: String,
    },
    /// The endpoint is not an origin: a scheme, a host and an optional port.
    #[error("endpoint {url:?} {violation}")]
    Endpoint {
        /// The URL as given.
        url: String,
        /// The violated rule.
        violation: Violation,
    },
    /// The form would be expired from the start.
    #[error("the expiry {expires_at} is not after the time of signing {now}")]
    ExpiryNotInFuture {
        /// The expiry in whole seconds.
        expires_at: Timestamp,
        /// The time of signing in whole seconds.
        now: Timestamp,
    },
    /// The form would outlive its credentials. See [`crate::Expiry::clamp_to_credentials`].
    #[error("the expiry {expires_at} is after that of the credentials, {credentials_expire_at}")]
    ExpiryPastCredentials {
        /// The expiry in whole seconds.
        expires_at: Timestamp,
        /// When the credentials expire.
        credentials_expire_at: Timestamp,
    },
    /// The form would outlive its signing key, which S3 accepts for seven days.
    #[error("the expiry is after {latest}, the latest possible for a signature of this time")]
    ExpiryTooLate {
        /// Seven days after the time of signing.
        latest: Timestamp,
    },
    /// The policy has no condition for the field, and S3 would answer "Extra input fields".
    #[error("the form does not leave field {name:?} open")]
    FieldNotOpen {
        /// The field's name.
        name: String,
    },
    /// A field has a value that a form or S3 would change.
    #[error("the value of field {name:?} {violation}")]
    FieldValue {
        /// The field's name.
        name: String,
        /// The rule that its value violates.
        violation: Violation,
    },
    /// The form without its file is larger than S3 accepts.
    #[error("the form takes about {bytes} bytes without its file, more than {max}")]
    FormTooLarge {
        /// The estimated size.
        bytes: usize,
        /// S3's limit.
        max: usize,
    },
    /// The object key cannot be used in a form.
    #[error("object key {key:?} {violation}")]
    Key {
        /// The key as given.
        key: String,
        /// The violated rule.
        violation: Violation,
    },
    /// The id is not one that `CloudFront` assigns.
    #[error("key pair id {id:?} {violation}")]
    KeyPairId {
        /// The id as given.
        id: String,
        /// The violated rule.
        violation: Violation,
    },
    /// The name of a metadata entry cannot be part of a header's name.
    #[error("metadata name {name:?} {violation}")]
    MetadataName {
        /// The name as given.
        name: String,
        /// The violated rule.
        violation: Violation,
    },
    /// The metadata of all fields is larger than S3 stores.
    #[error("the metadata takes {bytes} bytes, more than {max}")]
    MetadataTooLarge {
        /// The bytes of all names (without `x-amz-meta-`) and values.
        bytes: usize,
        /// S3's limit.
        max: usize,
    },
    /// The private key cannot sign for `CloudFront`. No part of it is shown.
    #[error("the private key cannot be used: {reason}")]
    PrivateKey {
        /// The reason.
        reason: &'static str,
    },
    /// The region cannot be part of a signature's scope.
    #[error("region {region:?} {violation}")]
    Region {
        /// The region as given.
        region: String,
        /// The violated rule.
        violation: Violation,
    },
    /// The size range is empty.
    #[error("the size range from {min} to {max} bytes is empty")]
    SizeRangeEmpty {
        /// The requested minimum.
        min: u64,
        /// The requested maximum.
        max: u64,
    },
    /// The maximum size exceeds what S3 accepts in one POST.
    #[error("{max} bytes are more than the {limit} that S3 accepts in one POST")]
    SizeTooLarge {
        /// The requested maximum.
        max: u64,
        /// S3's limit.
        limit: u64,
    },
    /// S3 would not accept the tags.
    #[error("the list of tags, or one of them, {violation}")]
    Tags {
        /// The violated rule.
        violation: Violation,
    },
    /// The signed text is longer than `CloudFront` or browsers accept.
    #[error("the {what} takes {bytes} bytes, more than {max}; sign a shorter URL or pattern")]
    TooLong {
        /// Which part.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest that is taken.
        max: usize,
    },
    /// The URL, or the pattern of such, cannot be signed. It is not shown: it may carry somebody's signature.
    #[error("the URL {0}")]
    Url(Violation),
}

/// A rule that a text violates. `Display` continues a sentence that names the text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// Two periods follow each other.
    #[error("contains two adjacent periods")]
    AdjacentPeriods,
    /// A character is not allowed at this position.
    #[error("may contain only {0}")]
    Characters(&'static str),
    /// The scheme's own port: browsers leave it out.
    #[error("names the scheme's own port, which browsers leave out; remove it")]
    DefaultPort,
    /// A control character, such as a line break: browsers rewrite line breaks in forms, headers forbid them.
    #[error("contains a control character")]
    ControlCharacter,
    /// A dollar sign: S3 expands `${filename}` and fails conditions on `$$`.
    #[error("contains a dollar sign, which S3 would expand or fail to match")]
    Dollar,
    /// A segment `.` or `..`: browsers resolve it and request another path.
    #[error("has a segment . or .., which browsers resolve")]
    DotSegment,
    /// It begins or ends with a character that is not allowed there.
    #[error("must begin and end with {0}")]
    Edges(&'static str),
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// The policy does not cover it.
    #[error("is not covered by the policy")]
    NotCovered,
    /// The host that the policy is about is not within it.
    #[error("does not cover the policy's host; name the host itself or a domain above it")]
    NotHost,
    /// It is not an absolute path.
    #[error("does not begin with a slash")]
    NotPath,
    /// It already has a parameter of a signed URL.
    #[error("already has a parameter {0}, as signed URLs do")]
    ReservedParameter(&'static str),
    /// It contains a wildcard of policies.
    #[error("contains * or a second ?, which are wildcards; write %2A or %3F")]
    Wildcard,
    /// It is not one of the allowed values.
    #[error("is not one of {0}")]
    OneOf(&'static str),
    /// It does not begin with the prefix that the policy requires.
    #[error("does not begin with the prefix that the policy requires")]
    OutsidePrefix,
    /// It is not the prefix of exactly one folder.
    #[error("must end in a slash, after at least one other character")]
    NotFolder,
    /// It is not a URL with a host and a path.
    #[error("is not of the form https://host/path, the host in lower case")]
    NotUrl,
    /// It looks like an IP address.
    #[error("is formatted as an IP address")]
    IpAddress,
    /// The length is out of bounds.
    #[error("must have {min} to {max} bytes")]
    Length {
        /// The least number of bytes.
        min: usize,
        /// The greatest number of bytes.
        max: usize,
    },
    /// A character is not US-ASCII.
    #[error("contains a character outside US-ASCII; percent-encode it")]
    NotAscii,
    /// AWS has no region of this form.
    #[error("is not of the form of an AWS region, such as eu-central-1")]
    NotAwsRegion,
    /// It is not a URL of scheme, host and optional port.
    #[error("is not of the form http(s)://HOST[:PORT]")]
    NotOrigin,
    /// The port is not a number as browsers write it.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// It begins with the prefix that is put before it.
    #[error("already begins with {0}, which is put before it")]
    Prefixed(&'static str),
    /// AWS reserves such names.
    #[error("has the reserved prefix or suffix {0}")]
    Reserved(&'static str),
}

/// A bare violation is about a URL; for other texts the error also contains the text.
impl From<Violation> for SigningError {
    fn from(violation: Violation) -> Self {
        Self::Url(violation)
    }
}

impl SigningError {
    /// A stable code for logs, metrics and problem documents.
    pub fn code(&self) -> &'static str {
        self.row().0
    }

    /// The HTTP status: 400 if the request caused it, 503 if waiting helps, otherwise 500.
    pub fn status(&self) -> u16 {
        self.row().1
    }

    /// A sentence for end users. It contains no bucket, key or credential.
    pub fn public_message(&self) -> &'static str {
        self.row().2
    }

    /// The table of refusals: code, status, public message.
    #[rustfmt::skip]
    fn row(&self) -> (&'static str, u16, &'static str) {
        const SETUP: &str = "Uploads are not set up correctly here.";
        const SOON: &str = "Uploads are not available right now. Try again in a moment.";
        match self {
            Self::AddressRange { .. } => ("address_range", 400, "It is not a range of IPv4 addresses."),
            Self::BucketName { .. } => ("bucket_name", 500, SETUP),
            Self::CloudFrontTime { .. } => ("cloudfront_time", 400, "It would expire at a time that cannot be signed."),
            Self::ContentType { .. } => ("content_type", 400, "The content type is not valid."),
            Self::CookieAttribute { .. } => ("cookie_attribute", 500, SETUP),
            Self::CredentialsExpired { .. } => ("credentials_expired", 503, SOON),
            Self::CredentialsMalformed { .. } => ("credentials_malformed", 500, SETUP),
            Self::DuplicateField { .. } => ("duplicate_field", 400, "A field of the upload is given twice."),
            Self::Endpoint { .. } => ("endpoint", 500, SETUP),
            Self::ExpiryNotInFuture { .. } => ("expiry_not_in_future", 400, "It would expire at once."),
            Self::ExpiryPastCredentials { .. } => ("expiry_past_credentials", 503, SOON),
            Self::ExpiryTooLate { .. } => ("expiry_too_late", 400, "It may be open for seven days at most."),
            Self::FieldNotOpen { .. } => ("field_not_open", 400, "A field of the upload may not be set."),
            Self::FieldValue { .. } => ("field_value", 400, "A field of the upload has a value that cannot be used."),
            Self::FormTooLarge { .. } => ("form_too_large", 400, "The upload carries too much beside its file."),
            Self::Key { .. } => ("key", 400, "The object's name cannot be used."),
            Self::KeyPairId { .. } => ("key_pair_id", 500, SETUP),
            Self::MetadataName { .. } => ("metadata_name", 400, "A metadata name cannot be used."),
            Self::MetadataTooLarge { .. } => ("metadata_too_large", 400, "The metadata is larger than 2 KB."),
            Self::PrivateKey { .. } => ("private_key", 500, SETUP),
            Self::Region { .. } => ("region", 500, SETUP),
            Self::SizeRangeEmpty { .. } => ("size_range_empty", 400, "The smallest size is above the largest."),
            Self::SizeTooLarge { .. } => ("size_too_large", 400, "One upload carries 5 GiB at most."),
            Self::Tags { .. } => ("tags", 400, "A tag cannot be used."),
            Self::TooLong { .. } => ("too_long", 400, "The URL is too long to be signed."),
            Self::Url(_) => ("url", 400, "The URL cannot be signed."),
        }
    }
}
