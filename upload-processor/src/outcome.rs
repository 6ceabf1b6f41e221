//! The outcome of one record of a message.
//!
//! The pipeline makes outcomes; the handler, `gatepost replay` and `gatepost dlq` show them. A failure that is retried is
//! not an outcome but a [`TransientError`](crate::TransientError).

use media_contract::{Manifest, Status, UploadKey};
use serde_json::{Value, json};

/// The outcome of one record of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The upload's manifest was written now.
    Finished(Manifest),
    /// The upload already had its manifest.
    AlreadyFinished(Manifest),
    /// The upload was deleted. Everything beside its tombstone is removed.
    Deleted(UploadKey),
    /// The record needed no action, for this reason.
    Ignored(String),
}

impl Outcome {
    /// The outcome in JSON. A finished upload is its whole manifest.
    ///
    /// # Errors
    ///
    /// serde's, for a value that is not JSON. No manifest has one.
    pub fn to_json(&self) -> serde_json::Result<Value> {
        match self {
            Self::Finished(manifest) | Self::AlreadyFinished(manifest) => {
                serde_json::to_value(manifest)
            }
            Self::Deleted(_) | Self::Ignored(_) => Ok(self.to_summary()),
        }
    }

    /// A short form, for the answer to a direct invocation.
    pub(crate) fn to_summary(&self) -> Value {
        match self {
            Self::Finished(manifest) | Self::AlreadyFinished(manifest) => {
                json!({"id": manifest.id, "owner": manifest.owner, "status": manifest.status.name()})
            }
            Self::Deleted(upload) => {
                json!({"id": upload.id, "owner": upload.owner, "status": Status::DELETED})
            }
            Self::Ignored(reason) => json!({"status": "ignored", "reason": reason}),
        }
    }
}

/// Logs that a record needs no action, and says so.
pub(crate) fn ignored(reason: String) -> Outcome {
    tracing::info!(reason, "a record is ignored");
    Outcome::Ignored(reason)
}
