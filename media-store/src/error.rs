//! Failed S3 calls.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use thiserror::Error;

use crate::sdk_error::{reason, status};

/// An S3 call that did not succeed. Every operation is idempotent, so repeating it is always safe.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("{action}: {reason}")]
pub struct StoreError {
    /// The attempted action, such as `reading media/…/manifest.json`.
    pub action: String,
    /// The answer of S3 or the connection, for the log.
    pub reason: String,
    /// Whether S3 was unreachable or answered 5xx: the object itself is not the cause.
    pub is_outage: bool,
}

impl StoreError {
    /// Converts an error of the SDK.
    pub fn new<E>(action: impl Into<String>, error: &SdkError<E>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let is_outage = match error {
            SdkError::TimeoutError(_) => true,
            // Missing credentials are a dispatch failure, too, but waiting does not help.
            SdkError::DispatchFailure(failure) => failure.is_io() || failure.is_timeout(),
            // A truncated answer.
            SdkError::ResponseError(response) => response.raw().status().is_success(),
            // Not 501: an unimplemented operation stays unimplemented.
            _ => matches!(status(error), Some(429 | 500 | 502..=504)),
        };
        Self {
            action: action.into(),
            reason: reason(error),
            is_outage,
        }
    }

    /// Any other fault of an answer.
    pub fn other(action: impl Into<String>, reason: &impl ToString) -> Self {
        Self {
            action: action.into(),
            reason: reason.to_string(),
            is_outage: false,
        }
    }

    /// A truncated body.
    pub fn body(action: impl Into<String>, reason: &impl ToString) -> Self {
        Self {
            is_outage: true,
            ..Self::other(action, reason)
        }
    }
}
