//! Settles an upload after its commit: tags, outcomes, and the removal of leftovers.
//!
//! The pipeline calls one of these for each final state. All of it is idempotent, and may be repeated by a redelivered
//! message. No manifest is written here.

use std::time::Duration;

use media_contract::{Manifest, Status, UploadKey};
use thumbnailer::rejection::Rejection;
use thumbnailer::thumbnail::Thumbnailed;

use crate::error::TransientError;
use crate::event::CreatedObject;
use crate::outcome::Outcome;
use crate::outcome_queue::Timings;
use crate::processor::Processor;
use crate::store;

impl Processor {
    /// Settles an upload whose manifest this worker wrote.
    ///
    /// The leftovers are of a worker that died, with another content or other settings. It may race with another
    /// worker on the upload, with a deletion and with a sweep: each removes only what the manifest does not name, and
    /// removal is idempotent.
    pub(crate) async fn settle_created(
        &self,
        object: &CreatedObject,
        upload: &UploadKey,
        manifest: &Manifest,
        timings: Timings,
    ) -> Result<(), TransientError> {
        self.mark(object, manifest).await;
        if let Some(outcomes) = &self.outcomes {
            outcomes.send(upload, manifest, Some(timings)).await?;
        }
        self.store.remove_unnamed(upload, manifest).await?;
        Ok(())
    }

    /// Settles an upload that already had its manifest.
    ///
    /// The worker that wrote it may have died before it settled, so everything is done again: the outcome is sent
    /// at-least-once. It may race with that worker, if that one lives: both do the same.
    pub(crate) async fn settle_finished(
        &self,
        object: &CreatedObject,
        upload: &UploadKey,
        manifest: Manifest,
    ) -> Result<Outcome, TransientError> {
        self.store.remove_unnamed(upload, &manifest).await?;
        refuse_published_threat(object, &manifest)?;
        self.mark(object, &manifest).await;
        tracing::info!(
            owner = %upload.owner,
            id = %upload.id,
            "the upload was finished before"
        );
        if let Some(outcomes) = &self.outcomes {
            outcomes.send(upload, &manifest, None).await?;
        }
        Ok(Outcome::AlreadyFinished(manifest))
    }

    /// Settles a deleted upload: removes everything beside its tombstone, both this worker's renditions and later
    /// uploads.
    ///
    /// It may race with the deletion, with a sweep and with a worker that still writes renditions. The first two remove
    /// the same. The last one loses its commit to the tombstone, and removes what it wrote.
    pub(crate) async fn settle_deleted(
        &self,
        upload: &UploadKey,
    ) -> Result<Outcome, TransientError> {
        self.store.clean_up(upload).await?;
        tracing::info!(owner = %upload.owner, id = %upload.id, "the upload is deleted");
        Ok(Outcome::Deleted(upload.clone()))
    }

    /// Tags the original of a rejected upload, unless `GuardDuty` tagged it.
    async fn mark(&self, object: &CreatedObject, manifest: &Manifest) {
        if let Status::Rejected { reason, .. } = &manifest.status
            && reason.code != Rejection::Malware.code()
        {
            store::tag_as_rejected(&self.store.s3, object).await;
        }
    }
}

/// Fails where a scan finds malware in what is published: an operator must see it, and decide.
pub(crate) fn refuse_published_threat(
    object: &CreatedObject,
    manifest: &Manifest,
) -> Result<(), TransientError> {
    if object.is_threat && matches!(manifest.status, Status::Ready { .. }) {
        return Err(TransientError::new(
            "the scan",
            &"it found malware in an upload that is published; delete the upload if it is right",
        ));
    }
    Ok(())
}

pub(crate) fn log(upload: &UploadKey, result: &Result<Thumbnailed, Rejection>, elapsed: Duration) {
    let elapsed_ms = elapsed.as_millis();
    match result {
        Ok(made) => tracing::info!(
            owner = %upload.owner,
            id = %upload.id,
            bytes = made.source.bytes,
            width = made.source.width,
            height = made.source.height,
            renditions = made.renditions.len(),
            elapsed_ms,
            "the upload is ready"
        ),
        Err(rejection) => tracing::info!(
            owner = %upload.owner,
            id = %upload.id,
            code = rejection.code(),
            detail = %rejection,
            elapsed_ms,
            "the upload is rejected"
        ),
    }
}
