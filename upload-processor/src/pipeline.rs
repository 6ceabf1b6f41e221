//! Processes one upload, from its event to its manifest.
//!
//! Renditions are written first, under names derived from their content. The manifest is written last, conditional on
//! what was read at its key (optimistic concurrency); it is the commit point. Of several workers on one upload, with
//! the same content or not, exactly one publishes. The others find the condition false, read the manifest, and remove
//! the renditions that it does not name. A tombstone is such a manifest: it names none.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::SignedDuration;
use media_contract::{Manifest, Status, UploadKey};
use media_store::{FoundManifest, Write};
use thumbnailer::rejection::Rejection;
use thumbnailer::thumbnail::Thumbnailed;

use crate::event::CreatedObject;
use crate::making::Made;
use crate::outcomes::Timings;
use crate::processor::{Attempt, Outcome, Processor, ignored};
use crate::published;
use crate::retry::{Cause, Retry};
use crate::storage::{self, Scan};

/// How many renditions are written concurrently.
const CONCURRENT_WRITES: usize = 4;
/// The maximum age of an upload's form for publishing. A tombstone expires 30 days after the deletion, and a deleted
/// upload must not come back afterwards.
pub(crate) const MAX_AGE: SignedDuration = SignedDuration::from_hours(28 * 24);
/// The maximum clock skew of the clock that made an id. An id from further in the future would outlive its tombstone.
const MAX_CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_hours(24);
/// How many times writing a manifest is attempted: only a few states precede a final one.
const MAX_PUBLISH_ATTEMPTS: u32 = 5;
/// Why nothing is done about an object that its event no longer describes.
const GONE: &str = "the object was overwritten or deleted since";

/// The state in which a worker finds an upload.
enum Found {
    /// A tombstone.
    Deleted,
    /// A manifest that is final.
    Finished(Manifest),
    /// The object was overwritten or deleted since its event.
    Gone,
    /// No manifest, or one that says that processing failed: the upload is ready to be published.
    Prepared(Box<Prepared>),
}

/// An upload of which everything is made and nothing is written.
struct Prepared {
    /// The object, pinned to the content that was read.
    object: CreatedObject,
    /// The manifest that is replaced.
    failed: Option<FoundManifest>,
    made: Made,
}

/// The result of an attempt to publish.
enum Published {
    /// This call wrote the manifest.
    Now,
    /// Another manifest already existed.
    Before(Manifest),
    /// The upload is deleted.
    Deleted,
}

impl Processor {
    /// Processes the upload of an event.
    pub(crate) async fn process_object(
        &self,
        object: &CreatedObject,
        attempt: Attempt,
    ) -> Result<Outcome, Retry> {
        let Some(upload) = self.upload_of(object) else {
            return self.not_an_upload(object);
        };
        let started = Instant::now();
        let prepared = match self.prepare(&upload, object).await? {
            Found::Deleted => return self.clean_up(&upload).await,
            Found::Finished(manifest) => {
                return self.finished_before(object, &upload, manifest).await;
            }
            Found::Gone => return Ok(ignored(GONE.to_owned())),
            Found::Prepared(prepared) => prepared,
        };
        let Prepared {
            object,
            failed,
            made,
        } = *prepared;
        if attempt.is_first()
            && let Err(Rejection::Timeout(step)) = &made.result
        {
            // The machine may have been at fault. The second time it is the picture.
            return Err(Retry::new("the time limit", step));
        }
        let writing = Instant::now();
        self.write_renditions(&upload, &made.result).await?;
        let manifest = self.manifest_of(&upload, &made.result);
        match self.publish(&upload, &manifest, failed).await? {
            Published::Now => {}
            Published::Before(manifest) => {
                return self.finished_before(&object, &upload, manifest).await;
            }
            Published::Deleted => return self.clean_up(&upload).await,
        }
        self.mark(&object, &manifest).await;
        if let Some(outcomes) = &self.outcomes {
            let written = writing.elapsed();
            let timings = Timings::new(made.waited, made.read, made.rendered, written);
            outcomes.send(&upload, &manifest, Some(timings)).await?;
        }
        // A worker that died may have left renditions of another content, or of other settings.
        self.store.remove_unnamed(&upload, &manifest).await?;
        log(&upload, &made.result, started.elapsed());
        Ok(Outcome::Finished(manifest))
    }

    /// Says what [`Self::process_object`] would come to, from reads alone: no object, no tag and no message is written.
    pub(crate) async fn examine_object(&self, object: &CreatedObject) -> Result<Outcome, Retry> {
        let Some(upload) = self.upload_of(object) else {
            return self.not_an_upload(object);
        };
        match self.prepare(&upload, object).await? {
            Found::Deleted => Ok(Outcome::Deleted(upload)),
            Found::Finished(manifest) => {
                refuse_published_threat(object, &manifest)?;
                Ok(Outcome::AlreadyFinished(manifest))
            }
            Found::Gone => Ok(ignored(GONE.to_owned())),
            Found::Prepared(prepared) => {
                let manifest = self.manifest_of(&upload, &prepared.made.result);
                Ok(Outcome::Finished(manifest))
            }
        }
    }

    /// Everything up to the first write: looks for the manifest, asks for the scan, reads the upload and renders it.
    async fn prepare(&self, upload: &UploadKey, object: &CreatedObject) -> Result<Found, Retry> {
        let started = Instant::now();
        let failed = match self.store.manifest(upload).await? {
            None => None,
            Some(found) => match found.manifest.status {
                // It failed before; the new result replaces that manifest.
                Status::Failed { .. } => Some(found),
                Status::Deleted { .. } => return Ok(Found::Deleted),
                Status::Ready { .. } | Status::Rejected { .. } => {
                    return Ok(Found::Finished(found.manifest));
                }
            },
        };
        self.check_age(upload)?;
        let mut object = object.clone();
        let scan = if self.wants_scan {
            storage::scan(&self.store.s3, &mut object).await?
        } else if object.is_threat {
            // Scans are not configured, but one has found a threat.
            Some(Scan::Threat)
        } else {
            Some(Scan::Clean)
        };
        let source = storage::open(&self.store.s3, &object).await?;
        let (Some(scan), Some(source)) = (scan, source) else {
            return Ok(Found::Gone);
        };
        let core = self.core().await?;
        let waited = started.elapsed();
        let mut made = match scan {
            Scan::Clean => self.make(source, core).await?,
            Scan::Threat => Made::rejected(Rejection::Malware),
            Scan::Unsupported => Made::rejected(Rejection::NotScanned),
        };
        made.waited += waited;
        Ok(Found::Prepared(Box::new(Prepared {
            object,
            failed,
            made,
        })))
    }

    /// Ignores an object that is not an upload. If it could be one, the configuration is wrong: its message must fail,
    /// or uploads would vanish without a trace.
    fn not_an_upload(&self, object: &CreatedObject) -> Result<Outcome, Retry> {
        let CreatedObject { bucket, key, .. } = object;
        let uploads = &self.store.buckets.uploads;
        if bucket != uploads && UploadKey::parse(key).is_some() {
            let reason = format!("it is in the bucket {bucket}, and uploads are in {uploads}");
            return Err(Retry::not_understood(
                "an object named like an upload",
                &reason,
            ));
        }
        if key.to_ascii_lowercase().contains("uploads%2f") {
            return Err(Retry::not_understood("the key", "it is encoded twice"));
        }
        Ok(ignored(
            "the object is not an upload of this bucket".to_owned(),
        ))
    }

    /// The upload of an object, if the object is in the upload bucket.
    pub(crate) fn upload_of(&self, object: &CreatedObject) -> Option<UploadKey> {
        if object.bucket != self.store.buckets.uploads {
            return None;
        }
        UploadKey::parse(&object.key)
    }

    /// Records that processing has failed for good, unless the upload has a manifest.
    pub(crate) async fn write_failed(
        &self,
        upload: &UploadKey,
        retry: &Retry,
    ) -> Result<(), Retry> {
        self.check_age(upload)?;
        let manifest = Manifest::new(
            upload,
            Status::Failed {
                reason: retry.public(),
                created_at: media_contract::manifest::whole_seconds((self.clock)()),
            },
        );
        tracing::error!(
            owner = upload.owner,
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

    fn check_age(&self, upload: &UploadKey) -> Result<(), Retry> {
        let age = (self.clock)().duration_since(upload.id.made_at());
        if self.has_age_limit && age < -MAX_CLOCK_DIFFERENCE {
            return Err(Retry {
                reason: "the upload's id is from the future: a clock is wrong".to_owned(),
                cause: Cause::Other,
            });
        }
        if self.has_age_limit && age > MAX_AGE {
            return Err(Retry {
                reason: format!(
                    "the upload is {} days old; uploads older than 28 days are not published, because they may have been deleted",
                    age.as_hours() / 24
                ),
                cause: Cause::Other,
            });
        }
        Ok(())
    }

    /// Writes the manifest if it does not exist, or if the existing one has the status `failed`.
    async fn publish(
        &self,
        upload: &UploadKey,
        manifest: &Manifest,
        mut failed: Option<FoundManifest>,
    ) -> Result<Published, Retry> {
        for _ in 0..MAX_PUBLISH_ATTEMPTS {
            let expected = failed.as_ref().map(|failed| failed.etag.as_str());
            let write = self
                .store
                .write_manifest(upload, manifest, expected)
                .await?;
            if write == Write::Done {
                return Ok(Published::Now);
            }
            match self.store.manifest(upload).await? {
                // The response to this same write was lost, and the SDK repeated it.
                Some(found) if found.manifest == *manifest => return Ok(Published::Now),
                Some(found) => match found.manifest.status {
                    Status::Failed { .. } => failed = Some(found),
                    Status::Deleted { .. } => return Ok(Published::Deleted),
                    Status::Ready { .. } | Status::Rejected { .. } => {
                        return Ok(Published::Before(found.manifest));
                    }
                },
                None => failed = None,
            }
        }
        Err(Retry::new("the manifest", &"it keeps changing"))
    }

    /// Handles an upload that already has its manifest. Its outcome may not have been sent, so it is sent again.
    async fn finished_before(
        &self,
        object: &CreatedObject,
        upload: &UploadKey,
        manifest: Manifest,
    ) -> Result<Outcome, Retry> {
        self.store.remove_unnamed(upload, &manifest).await?;
        refuse_published_threat(object, &manifest)?;
        self.mark(object, &manifest).await;
        tracing::info!(
            owner = upload.owner,
            id = %upload.id,
            "the upload was finished before"
        );
        if let Some(outcomes) = &self.outcomes {
            outcomes.send(upload, &manifest, None).await?;
        }
        Ok(Outcome::AlreadyFinished(manifest))
    }

    /// Handles a deleted upload: removes everything beside its tombstone, both this worker's renditions and later
    /// uploads.
    async fn clean_up(&self, upload: &UploadKey) -> Result<Outcome, Retry> {
        self.store.clean_up(upload).await?;
        tracing::info!(owner = upload.owner, id = %upload.id, "the upload is deleted");
        Ok(Outcome::Deleted(upload.clone()))
    }

    /// Tags the original of a rejected upload, unless `GuardDuty` tagged it.
    async fn mark(&self, object: &CreatedObject, manifest: &Manifest) {
        if let Status::Rejected { reason, .. } = &manifest.status
            && reason.code != Rejection::Malware.code()
        {
            storage::tag_as_rejected(&self.store.s3, object).await;
        }
    }

    /// Writes what was made.
    async fn write_renditions(
        &self,
        upload: &UploadKey,
        result: &Result<Thumbnailed, Rejection>,
    ) -> Result<(), Retry> {
        let Ok(made) = result else {
            return Ok(());
        };
        let prefix = upload.media_prefix();
        let writes: Vec<_> = made
            .renditions
            .iter()
            .map(|rendition| {
                storage::write_rendition(
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

    /// The manifest that names what was made.
    fn manifest_of(&self, upload: &UploadKey, result: &Result<Thumbnailed, Rejection>) -> Manifest {
        let folder = upload.media_path();
        let status = published::status(result, (self.clock)(), |rendition| {
            format!("{folder}{}", published::file_name(rendition))
        });
        Manifest::new(upload, status)
    }
}

/// Fails where a scan finds malware in what is published: an operator must see it, and decide.
fn refuse_published_threat(object: &CreatedObject, manifest: &Manifest) -> Result<(), Retry> {
    if object.is_threat && matches!(manifest.status, Status::Ready { .. }) {
        return Err(Retry::new(
            "the scan",
            &"it found malware in an upload that is published; delete the upload if it is right",
        ));
    }
    Ok(())
}

fn log(upload: &UploadKey, result: &Result<Thumbnailed, Rejection>, elapsed: Duration) {
    let elapsed_ms = elapsed.as_millis();
    match result {
        Ok(made) => tracing::info!(
            owner = upload.owner,
            id = %upload.id,
            bytes = made.source.bytes,
            width = made.source.width,
            height = made.source.height,
            renditions = made.renditions.len(),
            elapsed_ms,
            "the upload is ready"
        ),
        Err(rejection) => tracing::info!(
            owner = upload.owner,
            id = %upload.id,
            code = rejection.code(),
            detail = %rejection,
            elapsed_ms,
            "the upload is rejected"
        ),
    }
}
