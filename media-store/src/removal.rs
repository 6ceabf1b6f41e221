//! Removes what is not needed any more: renditions that no manifest names, and the originals of deleted uploads.
//!
//! The processor, the sweep and the API's deletion call this. Every removal is idempotent. No manifest is ever removed.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use media_contract::{Manifest, UploadKey};

use crate::MediaStore;
use crate::error::StoreError;

/// The maximum number of keys that S3 deletes in one call.
const MAX_KEYS_PER_DELETE: usize = 1000;

impl MediaStore {
    /// Removes the renditions that the manifest does not name: leftovers of another attempt or, beside a tombstone, all
    /// of them.
    ///
    /// # Errors
    ///
    /// S3 refuses or does not answer a listing or a deletion.
    pub async fn remove_unnamed(
        &self,
        upload: &UploadKey,
        manifest: &Manifest,
    ) -> Result<(), StoreError> {
        self.remove_renditions(upload, |key| manifest.names(upload, key))
            .await
    }

    /// Removes all renditions of a deleted upload.
    ///
    /// # Errors
    ///
    /// As for [`Self::remove_unnamed`].
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

    /// Removes the upload itself, in all its versions. It is removed last: see the crate's documentation. The version
    /// `null` is named as well: otherwise a bucket whose versioning was enabled later would keep that content.
    ///
    /// # Errors
    ///
    /// As for [`Self::remove_unnamed`].
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
                .map_err(|error| StoreError::new(format!("listing versions of {key}"), &error))?;
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
    ///
    /// # Errors
    ///
    /// As for [`Self::remove_unnamed`]. The original then remains, so its event or a sweep repeats the removal.
    pub async fn clean_up(&self, upload: &UploadKey) -> Result<(), StoreError> {
        self.remove_media(upload).await?;
        self.remove_original(upload).await
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
                .map_err(|error| StoreError::new(action(), &error))?;
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
