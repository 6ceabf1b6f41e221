//! Processes one upload, from its event to its manifest: find, scan, open, make, publish, settle.
//!
//! Renditions are written first, under names derived from their content. The manifest is written last, conditional on
//! what was read at its key (optimistic concurrency); it is the commit point. Of several workers on one upload, with
//! the same content or not, exactly one publishes. The others find the condition false, read the manifest, and remove
//! the renditions that it does not name. A tombstone is such a manifest: it names none.
//!
//! A worker takes no lease. Two workers on one upload waste work and do no harm, because each step states what it may
//! race with, and what settles the race. The steps up to `make` only read, so an examination consists of them.
//!
//! The handler calls [`Processor::process_object`] for each created object. `commit` has the writes, and `settlement`
//! what follows them.

use std::time::Instant;

use media_contract::{Manifest, Status, UploadKey};
use media_store::FoundManifest;
use thumbnailer::rejection::Rejection;

use crate::commit::Published;
use crate::error::TransientError;
use crate::event::CreatedObject;
use crate::making::Made;
use crate::outcome::{Outcome, ignored};
use crate::outcome_queue::Timings;
use crate::processor::Processor;
use crate::settlement::{log, refuse_published_threat};
use crate::store::{self, Scan};

/// Why nothing is done about an object that its event no longer describes.
const GONE: &str = "the object was overwritten or deleted since";

/// The number of an attempt at a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    /// How many times the message was received; `None` without a queue.
    pub(crate) receive_count: Option<u32>,
    /// Whether the message becomes a dead letter if this attempt fails.
    pub(crate) is_last: bool,
}

impl Attempt {
    /// Whether this is the first attempt, and another can follow.
    pub(crate) fn is_first(self) -> bool {
        self.receive_count == Some(1) && !self.is_last
    }
}

/// What the manifest's key says about an upload.
enum Standing {
    /// No manifest, or one that says that processing failed: the new result replaces it.
    Open(Option<FoundManifest>),
    /// A manifest that is final.
    Finished(Manifest),
    /// A tombstone.
    Deleted,
}

/// The state in which a worker finds an upload.
enum Found {
    /// A tombstone.
    Deleted,
    /// A manifest that is final.
    Finished(Manifest),
    /// The object was overwritten or deleted since its event.
    Gone,
    /// The upload is ready to be published.
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

impl Processor {
    /// Processes the upload of an event.
    pub(crate) async fn process_object(
        &self,
        object: &CreatedObject,
        attempt: Attempt,
    ) -> Result<Outcome, TransientError> {
        let Some(upload) = self.upload_of(object) else {
            return self.not_an_upload(object);
        };
        let started = Instant::now();
        let prepared = match self.prepare(&upload, object).await? {
            Found::Deleted => return self.settle_deleted(&upload).await,
            Found::Finished(manifest) => {
                return self.settle_finished(object, &upload, manifest).await;
            }
            Found::Gone => return Ok(ignored(GONE.to_owned())),
            Found::Prepared(prepared) => prepared,
        };
        let Prepared {
            object,
            failed,
            made,
        } = *prepared;
        refuse_first_timeout(&made, attempt)?;
        let writing = Instant::now();
        let manifest = match self.publish(&upload, &made.result, failed).await? {
            Published::Created(manifest) => manifest,
            Published::AlreadyExists(manifest) => {
                return self.settle_finished(&object, &upload, manifest).await;
            }
            Published::Deleted => return self.settle_deleted(&upload).await,
        };
        let timings = Timings::new(made.waited, made.read, made.rendered, writing.elapsed());
        self.settle_created(&object, &upload, &manifest, timings)
            .await?;
        log(&upload, &made.result, started.elapsed());
        Ok(Outcome::Finished(manifest))
    }

    /// Says what [`Self::process_object`] would come to, from reads alone: no object, no tag and no message is written.
    pub(crate) async fn examine_object(
        &self,
        object: &CreatedObject,
    ) -> Result<Outcome, TransientError> {
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

    /// Everything up to the first write: finds the manifest, asks for the scan, opens the upload and renders it.
    async fn prepare(
        &self,
        upload: &UploadKey,
        object: &CreatedObject,
    ) -> Result<Found, TransientError> {
        let started = Instant::now();
        let failed = match self.find(upload).await? {
            Standing::Open(failed) => failed,
            Standing::Finished(manifest) => return Ok(Found::Finished(manifest)),
            Standing::Deleted => return Ok(Found::Deleted),
        };
        self.check_age(upload)?;
        let mut object = object.clone();
        let scan = self.scan(&mut object).await?;
        let source = self.open(&object).await?;
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

    /// Reads the manifest of an upload.
    ///
    /// It may race with another worker, a deletion and a sweep: the answer may be outdated at once. It only saves work,
    /// and the condition of the commit settles the race.
    async fn find(&self, upload: &UploadKey) -> Result<Standing, TransientError> {
        let Some(found) = self.store.manifest(upload).await? else {
            return Ok(Standing::Open(None));
        };
        Ok(match found.manifest.status {
            Status::Failed { .. } => Standing::Open(Some(found)),
            Status::Deleted { .. } => Standing::Deleted,
            Status::Ready { .. } | Status::Rejected { .. } => Standing::Finished(found.manifest),
        })
    }

    /// Asks for the result of the malware scan; `None` if the object was overwritten or deleted since its event.
    ///
    /// It may race with a second POST of the same form, which replaces the content and its tag (TOCTOU). The object is
    /// pinned to its version or its `ETag` before the tag is read, and [`Self::open`] reads only that content.
    async fn scan(&self, object: &mut CreatedObject) -> Result<Option<Scan>, TransientError> {
        if self.wants_scan {
            return store::scan(&self.store.s3, object).await;
        }
        // Scans are not configured, but one may have found a threat.
        Ok(Some(if object.is_threat {
            Scan::Threat
        } else {
            Scan::Clean
        }))
    }

    /// Opens exactly the content of the event; `None` if it was overwritten or deleted since.
    ///
    /// It may race with a second POST of the same form and with a deletion, which removes the original last. The
    /// version or `If-Match` settles it: the other content has an event of its own, and the deletion its tombstone.
    async fn open(&self, object: &CreatedObject) -> Result<Option<store::Upload>, TransientError> {
        store::open(&self.store.s3, object).await
    }

    /// Ignores an object that is not an upload. If it could be one, the configuration is wrong: its message must fail,
    /// or uploads would vanish without a trace.
    fn not_an_upload(&self, object: &CreatedObject) -> Result<Outcome, TransientError> {
        let CreatedObject { bucket, key, .. } = object;
        let uploads = &self.store.buckets.uploads;
        if bucket != uploads && UploadKey::parse(key).is_some() {
            let reason = format!("it is in the bucket {bucket}, and uploads are in {uploads}");
            return Err(TransientError::not_understood(
                "an object named like an upload",
                &reason,
            ));
        }
        if key.to_ascii_lowercase().contains("uploads%2f") {
            return Err(TransientError::not_understood(
                "the key",
                "it is encoded twice",
            ));
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
}

/// Fails if the time limit was exceeded on the first of several attempts: the machine may have been at fault. The
/// second time it is the picture.
fn refuse_first_timeout(made: &Made, attempt: Attempt) -> Result<(), TransientError> {
    match &made.result {
        Err(Rejection::Timeout(step)) if attempt.is_first() => {
            Err(TransientError::new("the time limit", step))
        }
        _ => Ok(()),
    }
}
