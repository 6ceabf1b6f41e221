//! Why processing a message failed, and must be retried.
//!
//! Every step of the pipeline answers with a [`TransientError`]. It is for the operator's log, and it has a text for the
//! uploader when no attempt is left. A picture that is refused is not an error here: that result is a manifest.

use std::fmt;

use media_contract::Reason;
use media_store::StoreError;

/// Why a message is retried. It succeeds later, or becomes a dead letter; a final answer is a manifest instead.
#[derive(Clone, Debug, PartialEq)]
pub struct TransientError {
    /// The failure, for the log.
    pub reason: String,
    /// The kind of failure.
    pub cause: Cause,
}

/// The kinds of failures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// S3 or a queue did not answer, or answered 5xx. The message is not the cause.
    Outage,
    /// The malware scan has no usable result yet.
    Unscanned,
    /// The message cannot be understood.
    NotUnderstood,
    /// Anything else: a refused request, a panic.
    Other,
}

impl TransientError {
    pub(crate) fn new(what: &str, error: &dyn fmt::Display) -> Self {
        Self {
            reason: format!("{what}: {error}"),
            cause: Cause::Other,
        }
    }

    pub(crate) fn not_understood(what: &str, reason: &str) -> Self {
        Self {
            reason: format!("{what} is not understood: {reason}"),
            cause: Cause::NotUnderstood,
        }
    }

    /// The text for the uploader when the last attempt failed. It does not reveal how this system works.
    pub(crate) fn public(&self) -> Reason {
        let (code, message) = match self.cause {
            Cause::Outage => (
                "storage_unavailable",
                "This file has arrived, but our storage did not answer. The file is kept, and can be processed later.",
            ),
            Cause::Unscanned => (
                "scan_pending",
                "This file has arrived, but the check for malware has not finished. The file is kept, and can be processed later.",
            ),
            Cause::NotUnderstood | Cause::Other => (
                "processing_failed",
                "This file has arrived, but it could not be processed. It is kept, and can be processed later.",
            ),
        };
        Reason {
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }
}

impl fmt::Display for TransientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl From<StoreError> for TransientError {
    fn from(error: StoreError) -> Self {
        Self {
            reason: error.to_string(),
            cause: if error.is_outage {
                Cause::Outage
            } else {
                Cause::Other
            },
        }
    }
}
