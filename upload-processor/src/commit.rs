//! Writes the result of an upload: renditions first, the manifest last.
//!
//! The manifest is the commit point. Every write to its key is conditional on what was read there (optimistic
//! concurrency), so of all workers on an upload, and of a deletion, exactly one wins. The pipeline calls this after
//! everything is made. Nothing is removed here: the losers' leftovers are `settlement`'s work.

use futures::{StreamExt, TryStreamExt, stream};
use media_contract::{Manifest, Status, UploadKey};
use media_store::{FoundManifest, Write};
use thumbnailer::rejection::Rejection;
use thumbnailer::thumbnail::Thumbnailed;

use crate::error::TransientError;
use crate::processor::Processor;
use crate::{published, store};

/// How many renditions are written concurrently.
const CONCURRENT_WRITES: usize = 4;
/// How many times writing a manifest is attempted: only a few states precede a final one.
const MAX_COMMIT_ATTEMPTS: u32 = 5;

/// The result of an attempt to publish.
pub(crate) enum Published {
    /// This call wrote this manifest.
    Created(Manifest),
    /// Another manifest already existed.
    AlreadyExists(Manifest),
    /// The upload is deleted.
    Deleted,
}

impl Processor {
    /// Publishes a result: writes its renditions, then commits its manifest. `failed` is the manifest to replace.
    pub(crate) async fn publish(
        &self,
        upload: &UploadKey,
        result: &Result<Thumbnailed, Rejection>,
        failed: Option<FoundManifest>,
    ) -> Result<Published, TransientError> {
        self.write_renditions(upload, result).await?;
        let manifest = self.manifest_of(upload, result);
        self.commit(upload, manifest, failed).await
    }

    /// Writes the renditions.
    ///
    /// It may race with another worker: names are derived from content, so both write the same bytes under a name. It
    /// may race with a deletion or a sweep that has already listed this prefix. Then the tombstone wins the commit, and
    /// this worker removes what it wrote; if it dies first, the original still exists, and its event or a sweep does.
    async fn write_renditions(
        &self,
        upload: &UploadKey,
        result: &Result<Thumbnailed, Rejection>,
    ) -> Result<(), TransientError> {
        let Ok(made) = result else {
            return Ok(());
        };
        let prefix = upload.media_prefix();
        let writes: Vec<_> = made
            .renditions
            .iter()
            .map(|rendition| {
                store::write_rendition(
                    &self.store.s3,
                    &self.store.buckets.media,
                    format!("{prefix}{}", published::file_name(rendition)),
                    rendition.content_type,
                    rendition.data.clone(),
                )
            })
            .collect();
        stream::iter(writes)
            .buffer_unordered(CONCURRENT_WRITES)
            .try_collect::<()>()
            .await?;
        Ok(())
    }

    /// Writes the manifest if it does not exist, or if the existing one has the status `failed`.
    ///
    /// Every race ends here: with another worker, with a second form of the same upload, with a deletion's tombstone,
    /// and with [`Self::record_failure`]. S3 compares and writes in one step (`If-None-Match`, `If-Match`), so exactly
    /// one writer's condition is true.
    async fn commit(
        &self,
        upload: &UploadKey,
        manifest: Manifest,
        mut failed: Option<FoundManifest>,
    ) -> Result<Published, TransientError> {
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            let expected = failed.as_ref().map(|failed| failed.etag.as_str());
            let write = self
                .store
                .write_manifest(upload, &manifest, expected)
                .await?;
            if write == Write::Done {
                return Ok(Published::Created(manifest));
            }
            match self.store.manifest(upload).await? {
                // The response to this same write was lost, and the SDK repeated it.
                Some(found) if found.manifest == manifest => {
                    return Ok(Published::Created(manifest));
                }
                Some(found) => match found.manifest.status {
                    Status::Failed { .. } => failed = Some(found),
                    Status::Deleted { .. } => return Ok(Published::Deleted),
                    Status::Ready { .. } | Status::Rejected { .. } => {
                        return Ok(Published::AlreadyExists(found.manifest));
                    }
                },
                None => failed = None,
            }
        }
        Err(TransientError::new("the manifest", &"it keeps changing"))
    }

    /// Records that processing has failed for good, unless the upload has a manifest.
    ///
    /// It may race with a worker on a redelivered message and with a deletion. The write is conditional on the absence
    /// of a manifest, so it replaces neither; a worker that succeeds later replaces it.
    pub(crate) async fn record_failure(
        &self,
        upload: &UploadKey,
        retry: &TransientError,
    ) -> Result<(), TransientError> {
        self.check_age(upload)?;
        let manifest = Manifest::new(
            upload,
            Status::Failed {
                reason: retry.public(),
                created_at: media_contract::manifest::whole_seconds((self.clock)()),
            },
        );
        tracing::error!(
            owner = %upload.owner,
            id = %upload.id,
            reason = retry.reason,
            "the upload failed for the last time"
        );
        let write = self.store.write_manifest(upload, &manifest, None).await?;
        let found = match write {
            Write::Done => Some(manifest),
            Write::Conflict => self
                .store
                .manifest(upload)
                .await?
                .map(|found| found.manifest),
        };
        // Also sent if it failed before, or if the response to this write was lost: outcomes are at-least-once.
        if let (Some(outcomes), Some(manifest)) = (&self.outcomes, found)
            && matches!(manifest.status, Status::Failed { .. })
        {
            outcomes.send(upload, &manifest, None).await?;
        }
        Ok(())
    }

    /// The manifest that names what was made.
    pub(crate) fn manifest_of(
        &self,
        upload: &UploadKey,
        result: &Result<Thumbnailed, Rejection>,
    ) -> Manifest {
        let folder = upload.media_path();
        let status = published::status(result, (self.clock)(), |rendition| {
            format!("{folder}{}", published::file_name(rendition))
        });
        Manifest::new(upload, status)
    }
}
