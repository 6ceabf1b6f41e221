//! The manifest: what became of an upload, in the one file that says that it is finished.
//!
//! Its shape is a contract (`docs/contracts.md`): pages, scripts and `signing-api` read it.

use data_encoding::{BASE64, HEXLOWER};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::UploadKey;
use thumbnailer::rejection::Rejection;
use thumbnailer::thumbnail::Thumbnailed;

/// `media/{owner}/{id}/manifest.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Manifest {
    /// The version of this shape.
    pub version: u32,
    /// The upload's id.
    pub id: String,
    /// Whose it is.
    pub owner: String,
    /// How it ended.
    #[serde(flatten)]
    pub result: Verdict,
    /// When it ended, in whole seconds.
    pub created_at: Timestamp,
}

/// How an upload ended.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Verdict {
    /// Its renditions are there.
    Ready {
        /// The upload itself.
        source: Source,
        /// What was made of it, largest first.
        renditions: Vec<Rendition>,
        /// A `ThumbHash` in base64, to show until a rendition is loaded.
        placeholder: String,
    },
    /// There is nothing to see.
    Rejected {
        /// Why.
        reason: Reason,
    },
}

/// The upload itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Source {
    /// The media type of its bytes.
    #[serde(rename = "type")]
    pub media_type: String,
    /// In pixels, as seen after orientation.
    pub width: u32,
    /// In pixels, as seen after orientation.
    pub height: u32,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// One file made of an upload.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Rendition {
    /// The path that viewers fetch.
    pub path: String,
    /// Its media type.
    #[serde(rename = "type")]
    pub media_type: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Its length.
    pub bytes: u64,
}

/// Why an upload was rejected.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Reason {
    /// A stable name.
    pub code: String,
    /// A sentence for the person who sent it.
    pub message: String,
}

impl Manifest {
    /// The manifest of an upload's result.
    pub fn new(
        now: Timestamp,
        upload: &UploadKey,
        result: &Result<Thumbnailed, Rejection>,
    ) -> Self {
        Self {
            version: 1,
            id: upload.id.clone(),
            owner: upload.owner.clone(),
            result: Verdict::new(result, &format!("/{}", upload.media_prefix())),
            created_at: Timestamp::from_second(now.as_second()).unwrap_or(now),
        }
    }
}

impl Verdict {
    /// What became of an image whose renditions lie behind `prefix`.
    pub fn new(result: &Result<Thumbnailed, Rejection>, prefix: &str) -> Self {
        match result {
            Ok(made) => Self::Ready {
                source: Source {
                    media_type: made.source.image_type.content_type().to_owned(),
                    width: made.source.width,
                    height: made.source.height,
                    bytes: made.source.bytes,
                    sha256: HEXLOWER.encode(&made.source.sha256),
                },
                renditions: made
                    .renditions
                    .iter()
                    .map(|rendition| Rendition {
                        path: format!("{prefix}{}", rendition.file_name),
                        media_type: rendition.content_type.to_owned(),
                        width: rendition.width,
                        height: rendition.height,
                        bytes: rendition.data.len() as u64,
                    })
                    .collect(),
                placeholder: BASE64.encode(&made.placeholder),
            },
            Err(rejection) => Self::Rejected {
                reason: Reason {
                    code: rejection.code().to_owned(),
                    message: rejection.message(),
                },
            },
        }
    }
}

impl UploadKey {
    /// Where everything made of the upload lies in the media bucket.
    pub fn media_prefix(&self) -> String {
        format!("media/{}/{}/", self.owner, self.id)
    }

    /// The key of its manifest.
    pub fn manifest_key(&self) -> String {
        format!("{}manifest.json", self.media_prefix())
    }
}
