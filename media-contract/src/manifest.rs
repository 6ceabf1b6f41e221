//! The manifest: one JSON file per upload that says how the upload ended.
//!
//! The manifest is the commit point. It is written conditionally (optimistic concurrency), so exactly one of several
//! writers succeeds. It is never deleted: a deletion replaces it with a tombstone. Its shape is a contract
//! (`docs/contracts.md`) that pages and scripts read.
//!
//! ```text
//! (absent) ──▶ ready | rejected ──▶ deleted
//!     │  └──▶ failed ──▶ ready | rejected | deleted
//!     └─────▶ deleted
//! ```

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{UploadId, UploadKey, object_path};

/// The version of this shape.
const VERSION: u32 = 1;

/// `/media/{owner}/{id}/manifest.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Manifest {
    /// The version of this shape.
    pub version: u32,
    /// The upload's id.
    pub id: UploadId,
    /// The upload's owner.
    pub owner: String,
    /// How the upload ended.
    #[serde(flatten)]
    pub status: Status,
}

/// How an upload ended. Times are in whole seconds.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// The renditions are published.
    Ready {
        /// The upload itself.
        source: Source,
        /// The files made from it, largest first.
        renditions: Vec<Rendition>,
        /// A `ThumbHash` in base64, shown until a rendition is loaded.
        placeholder: String,
        /// When the manifest was written.
        created_at: Timestamp,
    },
    /// The upload is not an accepted picture. Final.
    Rejected {
        /// The reason.
        reason: Reason,
        /// When the manifest was written.
        created_at: Timestamp,
    },
    /// Processing failed on the last retry. A redriven message, or a sweep, tries again.
    Failed {
        /// The reason.
        reason: Reason,
        /// When the manifest was written.
        created_at: Timestamp,
    },
    /// A tombstone: the upload was deleted, and must not be published again.
    Deleted {
        /// When the tombstone was written.
        deleted_at: Timestamp,
    },
}

/// The upload itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Source {
    /// The media type of its bytes.
    #[serde(rename = "type")]
    pub media_type: String,
    /// In pixels, after orientation.
    pub width: u32,
    /// In pixels, after orientation.
    pub height: u32,
    /// The size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// A file made from an upload.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Rendition {
    /// The path that viewers request; [`crate::object_key`] is its key in the bucket.
    pub path: String,
    /// Its media type.
    #[serde(rename = "type")]
    pub media_type: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The size in bytes.
    pub bytes: u64,
}

/// Why an upload was rejected, or why its processing failed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Reason {
    /// A stable code in `snake_case`.
    pub code: String,
    /// A sentence for the uploader.
    pub message: String,
}

impl Manifest {
    /// The manifest of an upload.
    pub fn new(upload: &UploadKey, status: Status) -> Self {
        Self {
            version: VERSION,
            id: upload.id,
            owner: upload.owner.clone(),
            status,
        }
    }

    /// The tombstone of an upload.
    pub fn tombstone(upload: &UploadKey, now: Timestamp) -> Self {
        let deleted_at = whole_seconds(now);
        Self::new(upload, Status::Deleted { deleted_at })
    }

    /// Whether this manifest names an object in the media bucket: itself, or one of its renditions.
    pub fn names(&self, upload: &UploadKey, key: &str) -> bool {
        let is_rendition = match &self.status {
            Status::Ready { renditions, .. } => renditions
                .iter()
                .any(|rendition| Some(rendition.path.as_str()) == object_path(key)),
            Status::Rejected { .. } | Status::Failed { .. } | Status::Deleted { .. } => false,
        };
        is_rendition || key == upload.manifest_key()
    }
}

impl Status {
    /// The name of a deletion, for an upload of which nothing else is known.
    pub const DELETED: &'static str = "deleted";

    /// The status in its JSON form.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::Rejected { .. } => "rejected",
            Self::Failed { .. } => "failed",
            Self::Deleted { .. } => Self::DELETED,
        }
    }

    /// The reason for a rejection or a failure.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Rejected { reason, .. } | Self::Failed { reason, .. } => Some(reason),
            Self::Ready { .. } | Self::Deleted { .. } => None,
        }
    }
}

/// A time without its fraction of a second.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload() -> UploadKey {
        UploadKey::parse("uploads/mvbss32xiycek3hlzhe6yejbn4/7ybqtx5rqd7pcfe8gn11wj6j99").unwrap()
    }

    #[test]
    fn a_tombstone_has_a_time_and_no_data_of_the_picture() {
        let now: Timestamp = "2026-11-27T12:00:00.25Z".parse().unwrap();
        let tombstone = Manifest::tombstone(&upload(), now);
        assert_eq!(
            serde_json::to_value(&tombstone).unwrap(),
            serde_json::json!({
                "version": 1,
                "id": "7ybqtx5rqd7pcfe8gn11wj6j99",
                "owner": "mvbss32xiycek3hlzhe6yejbn4",
                "status": "deleted",
                "deleted_at": "2026-11-27T12:00:00Z",
            })
        );
        let text = serde_json::to_string(&tombstone).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), tombstone);
    }

    #[test]
    fn a_manifest_names_its_own_renditions_and_itself() {
        let upload = upload();
        let path = format!("{}0123456789abcdef-640.webp", upload.media_path());
        let key = format!("{}0123456789abcdef-640.webp", upload.media_prefix());
        let ready = Manifest::new(
            &upload,
            Status::Ready {
                source: Source {
                    media_type: "image/jpeg".to_owned(),
                    width: 640,
                    height: 480,
                    bytes: 1,
                    sha256: String::new(),
                },
                renditions: vec![Rendition {
                    path: path.clone(),
                    media_type: "image/webp".to_owned(),
                    width: 640,
                    height: 480,
                    bytes: 1,
                }],
                placeholder: String::new(),
                created_at: Timestamp::UNIX_EPOCH,
            },
        );
        let other = format!("{}fedcba9876543210-640.webp", upload.media_prefix());
        let tombstone = Manifest::tombstone(&upload, Timestamp::UNIX_EPOCH);
        for (manifest, key, is_named) in [
            (&ready, &key, true),
            (&ready, &path, false),
            (&ready, &upload.manifest_key(), true),
            (&ready, &other, false),
            (&tombstone, &key, false),
            (&tombstone, &upload.manifest_key(), true),
        ] {
            assert_eq!(manifest.names(&upload, key), is_named, "{key}");
        }
    }
}
