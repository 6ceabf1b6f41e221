//! The S3 operations that the API and the upload processor share.
//!
//! The manifest is the commit point. Every write to its key is conditional on what was read there (optimistic
//! concurrency). It is never deleted: a deletion writes a tombstone. The objects beside a tombstone are removed
//! afterwards, the original last. As long as the original exists, its event or a sweep finds the tombstone and repeats
//! the removal, so an interrupted deletion is completed.

mod error;

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2FluentBuilder;
use aws_sdk_s3::types::{Delete, Object, ObjectIdentifier};
use jiff::Timestamp;
use media_contract::{Manifest, REVALIDATED, Status, UploadKey};
use serde::{Deserialize, Serialize};

pub use error::{StoreError, is_missing, status};

/// A manifest has a few kilobytes. A larger object at its key was not written by this software.
const MAX_MANIFEST_BYTES: i64 = 256 * 1024;
/// The maximum number of keys that S3 deletes in one call.
const MAX_KEYS_PER_DELETE: usize = 1000;
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
            Err(error) => return Err(StoreError::new(action, error)),
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
                _ => return Err(StoreError::new(action, error)),
            }
        }
    }

    /// Marks an upload as deleted: from then on no worker publishes it. Published objects still exist; see
    /// [`Self::remove_media`] and [`Self::remove_original`].
    pub async fn write_tombstone(
        &self,
        upload: &UploadKey,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let tombstone = Manifest::tombstone(upload, now);
        for _ in 0..MAX_TOMBSTONE_ATTEMPTS {
            let found = self.manifest_file(upload).await?;
            let expected = match &found {
                // An unreadable manifest is replaced, too.
                Some((data, etag)) => match serde_json::from_slice::<Manifest>(data) {
                    Ok(found) if matches!(found.status, Status::Deleted { .. }) => return Ok(()),
                    _ => Some(etag.as_str()),
                },
                None => None,
            };
            if self.write_manifest(upload, &tombstone, expected).await? == Write::Done {
                return Ok(());
            }
        }
        let action = format!("writing {}", upload.manifest_key());
        Err(StoreError::other(action, &"the manifest keeps changing"))
    }

    /// Removes the renditions that the manifest does not name: leftovers of another attempt or, beside a tombstone, all
    /// of them.
    pub async fn remove_unnamed(
        &self,
        upload: &UploadKey,
        manifest: &Manifest,
    ) -> Result<(), StoreError> {
        self.remove_renditions(upload, |key| manifest.names(upload, key))
            .await
    }

    /// Removes all renditions of a deleted upload.
    pub async fn remove_media(&self, upload: &UploadKey) -> Result<(), StoreError> {
        self.remove_renditions(upload, |key| key == upload.manifest_key())
            .await
    }

    async fn remove_renditions(
        &self,
        upload: &UploadKey,
        is_kept: impl Fn(&str) -> bool + Send,
    ) -> Result<(), StoreError> {
        let mut listing = self.listing(&self.buckets.media, &upload.media_prefix());
        let mut unnamed = Vec::new();
        while let Some(object) = listing.next().await? {
            let key = object.key.unwrap_or_default();
            if is_kept(&key) {
                continue;
            }
            if upload.is_rendition(&key) {
                unnamed.push((key, None));
            } else {
                // No role may delete it, and it must not prevent the deletion of the rest.
                tracing::warn!(key, "an object that is not a rendition is not deleted");
            }
        }
        self.delete(&self.buckets.media, unnamed).await
    }

    /// Removes the upload itself, in all its versions. It is removed last: see the module documentation. The version
    /// `null` is named as well: otherwise a bucket whose versioning was enabled later would keep that content.
    pub async fn remove_original(&self, upload: &UploadKey) -> Result<(), StoreError> {
        let key = upload.original();
        let bucket = &self.buckets.uploads;
        let (mut key_marker, mut version_marker) = (None, None);
        let mut versions = Vec::new();
        loop {
            let page = self
                .s3
                .list_object_versions()
                .bucket(bucket)
                .prefix(&key)
                .set_key_marker(key_marker)
                .set_version_id_marker(version_marker)
                .send()
                .await
                .map_err(|error| StoreError::new(format!("listing versions of {key}"), error))?;
            let contents = page.versions.into_iter().flatten();
            let markers = page.delete_markers.into_iter().flatten();
            versions.extend(
                contents
                    .map(|version| (version.key, version.version_id))
                    .chain(markers.map(|marker| (marker.key, marker.version_id)))
                    .filter(|(of, _)| of.as_deref() == Some(&key))
                    .map(|(_, version)| (key.clone(), version)),
            );
            if page.is_truncated != Some(true) {
                break;
            }
            (key_marker, version_marker) = (page.next_key_marker, page.next_version_id_marker);
        }
        self.delete(bucket, versions).await
    }

    /// Removes everything beside a tombstone.
    pub async fn clean_up(&self, upload: &UploadKey) -> Result<(), StoreError> {
        self.remove_media(upload).await?;
        self.remove_original(upload).await
    }

    /// The objects whose keys begin with `prefix`, in key order.
    pub fn listing(&self, bucket: &str, prefix: &str) -> Listing {
        Listing {
            request: self.s3.list_objects_v2().bucket(bucket).prefix(prefix),
            page: Vec::new().into_iter(),
            is_complete: false,
        }
    }

    /// Deletes keys, each with or without a version. S3 answers 200 even if single keys failed.
    async fn delete(
        &self,
        bucket: &str,
        keys: Vec<(String, Option<String>)>,
    ) -> Result<(), StoreError> {
        for batch in keys.chunks(MAX_KEYS_PER_DELETE) {
            let action = || format!("deleting {} of {}", batch[0].0, batch.len());
            let mut delete = Delete::builder().quiet(true);
            for (key, version) in batch {
                let object = ObjectIdentifier::builder()
                    .key(key)
                    .set_version_id(version.clone())
                    .build()
                    .map_err(|error| StoreError::other(action(), &error))?;
                delete = delete.objects(object);
            }
            let delete = delete
                .build()
                .map_err(|error| StoreError::other(action(), &error))?;
            let request = self.s3.delete_objects().bucket(bucket).delete(delete);
            let answer = request
                .send()
                .await
                .map_err(|error| StoreError::new(action(), error))?;
            if let Some(error) = answer.errors().first() {
                let code = error.code().unwrap_or("unknown");
                return Err(StoreError {
                    action: format!("deleting {}", error.key().unwrap_or_default()),
                    reason: format!("{code}: {}", error.message().unwrap_or_default()),
                    is_outage: matches!(code, "InternalError" | "SlowDown" | "ServiceUnavailable"),
                });
            }
        }
        Ok(())
    }
}

/// The objects of a bucket, page by page.
pub struct Listing {
    request: ListObjectsV2FluentBuilder,
    page: std::vec::IntoIter<Object>,
    is_complete: bool,
}

impl Listing {
    /// Skips the keys up to and including this one, which need not exist.
    #[must_use]
    pub fn after(mut self, key: String) -> Self {
        self.request = self.request.start_after(key);
        self
    }

    /// The next object; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Object>, StoreError> {
        loop {
            if let Some(object) = self.page.next() {
                return Ok(Some(object));
            }
            if self.is_complete {
                return Ok(None);
            }
            let page = self.request.clone().send().await.map_err(|error| {
                let bucket = self.request.get_bucket().as_deref().unwrap_or_default();
                StoreError::new(format!("listing {bucket}"), error)
            })?;
            self.is_complete =
                page.is_truncated != Some(true) || page.next_continuation_token.is_none();
            self.request = self
                .request
                .clone()
                .set_continuation_token(page.next_continuation_token);
            self.page = page.contents.unwrap_or_default().into_iter();
        }
    }
}
