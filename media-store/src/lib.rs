//! The S3 operations that the API and the upload processor share.
//!
//! The manifest is the commit point. Every write to its key is conditional on what was read there (optimistic
//! concurrency). It is never deleted: a deletion writes a tombstone. The objects beside a tombstone are removed
//! afterwards, the original last. As long as the original exists, its event or a sweep finds the tombstone and repeats
//! the removal, so an interrupted deletion is completed.

mod error;
mod listing;
mod removal;
mod sdk_error;

use std::time::Duration;

use aws_sdk_s3::Client;
use jiff::Timestamp;
use media_contract::{Manifest, REVALIDATED, Status, UploadKey};
use serde::{Deserialize, Serialize};

pub use error::StoreError;
pub use listing::Listing;
pub use sdk_error::{causes, is_missing, reason, status};

/// A manifest has a few kilobytes. A larger object at its key was not written by this software.
const MAX_MANIFEST_BYTES: i64 = 256 * 1024;
/// S3 answers 409 while another conditional write of the same key is in progress. A write is repeated this many times.
const MAX_CONFLICTS: u32 = 5;
/// The pause before a write is repeated, times the number of conflicts so far.
const CONFLICT_PAUSE: Duration = Duration::from_millis(40);
/// How many times a tombstone is attempted while other writers change the manifest: only a few states precede it.
const MAX_TOMBSTONE_ATTEMPTS: u32 = 10;
/// The tag by which the bucket's lifecycle rule recognises a tombstone, in the form of the PUT's header.
const TOMBSTONE_TAG: &str = "gatepost=deleted";

/// The bucket of the uploads and the bucket of the renditions.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Buckets {
    /// The bucket that forms post to.
    pub uploads: String,
    /// The bucket of manifests and renditions.
    pub media: String,
}

/// A client with its two buckets.
#[derive(Clone, Debug)]
pub struct MediaStore {
    /// The client.
    pub s3: Client,
    /// The buckets.
    pub buckets: Buckets,
}

/// A manifest and its `ETag`.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundManifest {
    /// The manifest.
    pub manifest: Manifest,
    /// Its `ETag`, with quotation marks: a later write is conditional on it.
    pub etag: String,
}

/// The result of a conditional write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Write {
    /// The object was written.
    Done,
    /// The condition was false. The cause may be this write itself, if its answer was lost and the SDK repeated it:
    /// read again.
    Conflict,
}

impl MediaStore {
    /// A store with these buckets.
    pub fn new(s3: Client, buckets: Buckets) -> Self {
        Self { s3, buckets }
    }

    /// Reads an upload's manifest; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// S3 refuses or does not answer, or the object at the manifest's key is not a manifest.
    pub async fn manifest(&self, upload: &UploadKey) -> Result<Option<FoundManifest>, StoreError> {
        let Some((data, etag)) = self.manifest_file(upload).await? else {
            return Ok(None);
        };
        let manifest = serde_json::from_slice(&data).map_err(|error| {
            StoreError::other(format!("reading {}", upload.manifest_key()), &error)
        })?;
        Ok(Some(FoundManifest { manifest, etag }))
    }

    /// The bytes and the `ETag` of the manifest.
    async fn manifest_file(
        &self,
        upload: &UploadKey,
    ) -> Result<Option<(Vec<u8>, String)>, StoreError> {
        let key = upload.manifest_key();
        let action = format!("reading {key}");
        let request = self.s3.get_object().bucket(&self.buckets.media).key(&key);
        let object = match request.send().await {
            Ok(object) => object,
            // A missing bucket is also a 404, and must not count as a missing manifest.
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(StoreError::new(action, &error)),
        };
        if object.content_length().unwrap_or(0) > MAX_MANIFEST_BYTES {
            return Err(StoreError::other(action, &"the manifest is too large"));
        }
        let etag = object.e_tag.unwrap_or_default();
        match object.body.collect().await {
            Ok(body) => Ok(Some((body.to_vec(), etag))),
            Err(error) => Err(StoreError::body(action, &error)),
        }
    }

    /// Writes a manifest if none exists (`expected` is `None`), or replaces the one with this `ETag`.
    ///
    /// # Errors
    ///
    /// S3 refuses or does not answer. A false condition is not an error but [`Write::Conflict`].
    pub async fn write_manifest(
        &self,
        upload: &UploadKey,
        manifest: &Manifest,
        expected: Option<&str>,
    ) -> Result<Write, StoreError> {
        let key = upload.manifest_key();
        let action = format!("writing {key}");
        let data =
            serde_json::to_vec(manifest).map_err(|error| StoreError::other(&action, &error))?;
        let is_tombstone = matches!(manifest.status, Status::Deleted { .. });
        let mut n_conflicts = 0;
        loop {
            let request = self
                .s3
                .put_object()
                .bucket(&self.buckets.media)
                .key(&key)
                .content_type("application/json")
                .cache_control(REVALIDATED)
                .set_tagging(is_tombstone.then(|| TOMBSTONE_TAG.to_owned()))
                .set_if_match(expected.map(str::to_owned))
                .set_if_none_match(expected.is_none().then(|| "*".to_owned()))
                .body(data.clone().into());
            let Err(error) = request.send().await else {
                return Ok(Write::Done);
            };
            match status(&error) {
                Some(412) => return Ok(Write::Conflict),
                // The object to be replaced no longer exists. A missing bucket is also a 404.
                Some(404) if expected.is_some() && is_missing(&error) => {
                    return Ok(Write::Conflict);
                }
                Some(409) if n_conflicts < MAX_CONFLICTS => {
                    // Immediately the first time: most such writes are over by then.
                    tokio::time::sleep(CONFLICT_PAUSE * n_conflicts).await;
                    n_conflicts += 1;
                }
                _ => return Err(StoreError::new(action, &error)),
            }
        }
    }

    /// Marks an upload as deleted: from then on no worker publishes it. Published objects still exist; see
    /// [`Self::remove_media`] and [`Self::remove_original`]. Answers with the manifest that it found, which is a tombstone
    /// already if the call is repeated.
    ///
    /// # Errors
    ///
    /// S3 refuses or does not answer, or other writers keep changing the manifest.
    pub async fn write_tombstone(
        &self,
        upload: &UploadKey,
        now: Timestamp,
    ) -> Result<Option<Manifest>, StoreError> {
        let tombstone = Manifest::tombstone(upload, now);
        for _ in 0..MAX_TOMBSTONE_ATTEMPTS {
            let file = self.manifest_file(upload).await?;
            let (found, expected) = match &file {
                // An unreadable manifest is replaced, too.
                Some((data, etag)) => (
                    serde_json::from_slice::<Manifest>(data).ok(),
                    Some(etag.as_str()),
                ),
                None => (None, None),
            };
            let is_done =
                matches!(&found, Some(found) if matches!(found.status, Status::Deleted { .. }));
            if is_done || self.write_manifest(upload, &tombstone, expected).await? == Write::Done {
                return Ok(found);
            }
        }
        let action = format!("writing {}", upload.manifest_key());
        Err(StoreError::other(action, &"the manifest keeps changing"))
    }
}
