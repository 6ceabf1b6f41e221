//! The refusals of forms: each one's status, code and message, and the details of its error document.
//!
//! Codes and messages are those of S3's API reference, and of recorded answers of S3.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use s3s::S3Error;
use thiserror::Error;

use crate::s3::errors::{error_document, message_of};

/// Why a form is refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum Refusal {
    #[error("Access Denied")]
    Anonymous,
    #[error("x-amz-algorithm only supports \"AWS4-HMAC-SHA256\"")]
    Algorithm,
    #[error("Invalid according to Policy: Policy Condition failed: {0}")]
    ConditionFailed(String),
    #[error("{reason}")]
    Credential { reason: String, value: String },
    #[error("POST requires exactly one field of a name; {0} is given twice.")]
    DoubledField(String),
    #[error("Invalid according to Policy: Extra input fields: {0}")]
    ExtraField(String),
    #[error("Your POST request fields preceding the upload file were too large.")]
    FieldsTooLong,
    #[error("The request body terminated unexpectedly")]
    Incomplete,
    #[error("User key must have a length greater than 0.")]
    EmptyKey,
    #[error("Invalid Policy: {0}")]
    InvalidPolicy(String),
    #[error("You must provide the Content-Length HTTP header.")]
    MissingContentLength,
    #[error(
        "Bucket POST must contain a field named '{0}'.  If it is specified, please check the order of the fields."
    )]
    MissingField(&'static str),
    #[error("The specified bucket does not exist")]
    NoSuchBucket(String),
    #[error("POST requires exactly one file upload per request.")]
    NoFile,
    #[error("Bucket POST must be of the enclosure-type multipart/form-data")]
    NotAForm,
    #[error(
        "The field {0} cannot be a header of an answer: a header has visible US-ASCII characters and spaces alone."
    )]
    NotAHeader(String),
    #[error("The field {0} is not text in UTF-8.")]
    NotUtf8(String),
    #[error("The body of your POST request is not well-formed multipart/form-data.")]
    NotWellFormed,
    #[error("Invalid according to Policy: Policy expired.")]
    PolicyExpired,
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your key and signing method."
    )]
    SignatureDoesNotMatch,
    #[error("{}", .0.message().or_else(|| message_of(.0.code().as_str())).unwrap_or_default())]
    Store(S3Error),
    #[error("Your proposed upload exceeds the maximum allowed size")]
    TooLarge { proposed: u64, max: u64 },
    #[error("Your proposed upload is smaller than the minimum allowed size")]
    TooSmall { proposed: u64, min: u64 },
    #[error("The AWS Access Key Id you provided does not exist in our records.")]
    UnknownAccessKey(String),
    #[error("The provided token is malformed or otherwise invalid.")]
    UnknownToken,
}

impl From<S3Error> for Refusal {
    fn from(error: S3Error) -> Self {
        Self::Store(error)
    }
}

impl Refusal {
    /// S3's status and code.
    pub(super) fn status_and_code(&self) -> (StatusCode, &str) {
        use StatusCode as S;
        match self {
            Self::Anonymous
            | Self::ConditionFailed(_)
            | Self::ExtraField(_)
            | Self::PolicyExpired => (S::FORBIDDEN, "AccessDenied"),
            Self::Algorithm
            | Self::Credential { .. }
            | Self::DoubledField(_)
            | Self::EmptyKey
            | Self::MissingField(_)
            | Self::NotAHeader(_)
            | Self::NotUtf8(_) => (S::BAD_REQUEST, "InvalidArgument"),
            Self::FieldsTooLong => (S::BAD_REQUEST, "MaxPostPreDataLengthExceeded"),
            Self::Incomplete => (S::BAD_REQUEST, "IncompleteBody"),
            Self::InvalidPolicy(_) => (S::BAD_REQUEST, "InvalidPolicyDocument"),
            Self::MissingContentLength => (S::LENGTH_REQUIRED, "MissingContentLength"),
            Self::NoFile => (S::BAD_REQUEST, "IncorrectNumberOfFilesInPostRequest"),
            Self::NoSuchBucket(_) => (S::NOT_FOUND, "NoSuchBucket"),
            Self::NotAForm => (S::PRECONDITION_FAILED, "PreconditionFailed"),
            Self::NotWellFormed => (S::BAD_REQUEST, "MalformedPOSTRequest"),
            Self::SignatureDoesNotMatch => (S::FORBIDDEN, "SignatureDoesNotMatch"),
            Self::Store(error) => (
                error.status_code().unwrap_or(S::INTERNAL_SERVER_ERROR),
                error.code().as_str(),
            ),
            Self::TooLarge { .. } => (S::BAD_REQUEST, "EntityTooLarge"),
            Self::TooSmall { .. } => (S::BAD_REQUEST, "EntityTooSmall"),
            Self::UnknownAccessKey(_) => (S::FORBIDDEN, "InvalidAccessKeyId"),
            Self::UnknownToken => (S::BAD_REQUEST, "InvalidToken"),
        }
    }

    /// The details of the error document.
    fn details(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Algorithm => vec![("ArgumentName", "x-amz-algorithm".to_owned())],
            Self::Credential { value, .. } => vec![
                ("ArgumentName", "X-Amz-Credential".to_owned()),
                ("ArgumentValue", value.clone()),
            ],
            Self::DoubledField(name) => vec![("ArgumentName", name.clone())],
            Self::MissingField(name) => vec![
                ("ArgumentName", (*name).to_owned()),
                ("ArgumentValue", String::new()),
            ],
            Self::NoSuchBucket(name) => vec![("BucketName", name.clone())],
            Self::NotAForm => vec![(
                "Condition",
                "Bucket POST must be of the enclosure-type multipart/form-data".to_owned(),
            )],
            Self::TooLarge { proposed, max } => vec![
                ("ProposedSize", proposed.to_string()),
                ("MaxSizeAllowed", max.to_string()),
            ],
            Self::TooSmall { proposed, min } => vec![
                ("ProposedSize", proposed.to_string()),
                ("MinSizeAllowed", min.to_string()),
            ],
            Self::UnknownAccessKey(id) => vec![("AWSAccessKeyId", id.clone())],
            _ => Vec::new(),
        }
    }

    /// S3's answer. The refusal is logged, since a page often cannot show it.
    pub(super) fn into_response(self) -> Response<Body> {
        let (status, code) = self.status_and_code();
        let message = self.to_string();
        // The fields may quote the sender, who must not write lines of the log.
        let said = message.replace(char::is_control, "?");
        let status_code = status.as_u16();
        if status.is_server_error() {
            tracing::error!(status = status_code, code, said, "a form cannot be stored");
        } else {
            tracing::info!(status = status_code, code, said, "a form is refused");
        }
        error_document(status, code, &message, &self.details())
    }
}
