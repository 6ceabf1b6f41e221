//! Finds unfinished work: uploads without a manifest whose message was lost, and deletions that were interrupted.
//!
//! S3's documentation promises at-least-once delivery; in practice a queue policy, a wrong filter or an expired message
//! can lose an event. The buckets themselves show what is unfinished. Both are listed in key order and merged, so
//! memory stays constant and ready uploads cost no request of their own. A pass that ends early, at its deadline or on
//! a fault, reports how far it got, and another can continue there.

mod announcement;
mod groups;

use jiff::{SignedDuration, Timestamp};
use media_contract::{MAX_PROCESSING, Status, UploadKey};
use media_store::{FoundManifest, MediaStore, StoreError};
use serde_json::{Value, json};

use crate::age;
use crate::event::SweepRequest;
use crate::processor::{Clock, Processor, UploadQueue};

pub use self::announcement::Forgotten;

use self::announcement::{MAX_BATCH, send};
use self::groups::{Group, Groups, Object};

/// Older uploads are not announced: after four days in the queue and fourteen among the dead letters, the message would
/// come too late for publishing.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Tombstones, failures and most rejections are smaller. Only manifests of at most this size are read.
const SMALL_MANIFEST_BYTES: i64 = 512;
/// How old an upload must be to count as lost, if its message may still be in the queue.
pub const SETTLING_TIME: SignedDuration = MAX_PROCESSING;
/// How many failures a sweep remembers.
const MAX_FAILURES: usize = 100;
/// How long before Lambda's deadline a sweep ends: enough for the requests of one more upload and one more batch.
const RESERVE: SignedDuration = SignedDuration::from_secs(10);
/// How old renditions must be so that no worker can still publish them.
const ABANDONED: SignedDuration = SignedDuration::from_hours(24);

/// The scope of a sweep.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Only uploads that arrived within this time are announced; `None` means all up to 14 days.
    pub since: Option<SignedDuration>,
    /// Whether uploads with a `failed` manifest are announced again.
    pub failed: bool,
    /// Only uploads that arrived longer ago than this are announced.
    pub settling_time: SignedDuration,
}

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// The number of uploads in the bucket.
    pub n_uploads: u64,
    /// The number of announced uploads.
    pub n_announced: u64,
    /// The number of completed deletions, and of removals of dead workers' renditions.
    pub n_cleaned: u64,
    /// The number of uploads that could not be handled. Each is logged, and the next sweep retries it.
    pub n_faults: u64,
    /// Whether both buckets were listed to their end.
    pub is_complete: bool,
}

/// An upload that could not be handled, and the reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The upload.
    pub upload: UploadKey,
    /// A sentence.
    pub reason: String,
}

/// The work that an upload needs.
enum Task {
    Nothing,
    Announce(Forgotten),
    CleanUp,
    RemoveRenditions,
    RemoveUnnamed(FoundManifest),
}

/// A pass over both buckets. It cleans up by itself, and yields the uploads that must be announced. An upload that
/// cannot be handled is logged and does not end the pass; a bucket that cannot be listed does.
pub struct Sweep {
    store: MediaStore,
    now: Timestamp,
    options: Options,
    groups: Groups,
    report: Report,
    deadline: Option<(Timestamp, Clock)>,
    last: Option<UploadKey>,
    dealt_with: Option<UploadKey>,
    failures: Vec<Failure>,
}

impl Sweep {
    /// Begins a pass.
    pub fn new(store: MediaStore, now: Timestamp, options: Options) -> Self {
        Self {
            groups: Groups::new(&store, None),
            report: Report::default(),
            store,
            now,
            options,
            deadline: None,
            last: None,
            dealt_with: None,
            failures: Vec::new(),
        }
    }

    /// Skips the uploads up to and including this one, in key order.
    #[must_use]
    pub fn after(mut self, upload: Option<UploadKey>) -> Self {
        self.groups = Groups::new(&self.store, upload.as_ref());
        self.last.clone_from(&upload);
        self.dealt_with = upload;
        self
    }

    /// Sets the deadline of the pass.
    #[must_use]
    pub(crate) fn until(mut self, deadline: Timestamp, clock: Clock) -> Self {
        self.deadline = Some((deadline, clock));
        self
    }

    /// Announces everything to a queue, several uploads concurrently. `told` is called for each announced upload.
    ///
    /// # Errors
    ///
    /// A bucket cannot be listed. The uploads found before that are announced, and another pass can continue after
    /// [`Self::dealt_with`].
    pub async fn announce_all(
        &mut self,
        queue: &UploadQueue,
        mut told: impl FnMut(&Forgotten),
    ) -> Result<(), StoreError> {
        loop {
            let mut batch = Vec::with_capacity(MAX_BATCH);
            let listed = self.fill(&mut batch).await;
            let results = send(queue, &self.store.buckets.uploads, &batch).await;
            for (forgotten, result) in batch.iter().zip(results) {
                match result {
                    Ok(()) => {
                        told(forgotten);
                        self.announced();
                    }
                    Err(reason) => self.failed(&forgotten.upload, &reason),
                }
            }
            if self.report.n_faults == 0 {
                self.dealt_with.clone_from(&self.last);
            }
            listed?;
            if batch.len() < MAX_BATCH {
                return Ok(());
            }
        }
    }

    async fn fill(&mut self, batch: &mut Vec<Forgotten>) -> Result<(), StoreError> {
        while batch.len() < MAX_BATCH {
            let Some(forgotten) = self.next().await? else {
                break;
            };
            batch.push(forgotten);
        }
        Ok(())
    }

    /// The next upload to announce; `None` at the end of the pass. The caller must then report whether it was
    /// announced: [`Self::announced`], [`Self::failed`].
    ///
    /// # Errors
    ///
    /// A bucket cannot be listed.
    pub async fn next(&mut self) -> Result<Option<Forgotten>, StoreError> {
        loop {
            if let Some((deadline, clock)) = &self.deadline
                && clock() >= *deadline
            {
                return Ok(None);
            }
            let Some(group) = self.groups.next().await? else {
                self.report.is_complete = true;
                return Ok(None);
            };
            self.report.n_uploads += u64::from(group.original.is_some());
            let upload = group.upload.clone();
            self.last = Some(upload.clone());
            let cleaned = match self.task(group).await {
                Ok(Task::Nothing) => continue,
                Ok(Task::Announce(forgotten)) => return Ok(Some(forgotten)),
                Ok(Task::CleanUp) => self.store.clean_up(&upload).await,
                Ok(Task::RemoveRenditions) => self.store.remove_media(&upload).await,
                Ok(Task::RemoveUnnamed(found)) => {
                    self.store.remove_unnamed(&upload, &found.manifest).await
                }
                Err(error) => Err(error),
            };
            match cleaned {
                Ok(()) => self.report.n_cleaned += 1,
                Err(error) => self.failed(&upload, &error),
            }
        }
    }

    /// Records that an upload was announced.
    pub fn announced(&mut self) {
        self.report.n_announced += 1;
    }

    /// Records that an upload could not be announced.
    pub fn failed(&mut self, upload: &UploadKey, reason: &dyn std::fmt::Display) {
        self.report.n_faults += 1;
        let reason = reason.to_string();
        tracing::warn!(
            owner = %upload.owner,
            id = %upload.id,
            reason,
            "an upload is left to the next sweep"
        );
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(Failure {
                upload: upload.clone(),
                reason,
            });
        }
    }

    /// The last upload up to which everything was handled, including by an earlier pass; `None` if there is not one. It
    /// precedes the first upload that could not be handled, so a pass that continues there skips nothing.
    pub fn dealt_with(&self) -> Option<&UploadKey> {
        self.dealt_with.as_ref()
    }

    /// The first failures, at most a hundred: memory stays constant.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// The result so far.
    pub fn report(&self) -> Report {
        self.report
    }

    async fn task(&self, group: Group) -> Result<Task, StoreError> {
        let Group {
            upload,
            original,
            manifest,
            renditions,
        } = group;
        let rendered_at = renditions.iter().map(|rendition| rendition.modified).max();
        let are_abandoned = rendered_at.is_some_and(|at| self.now.duration_since(at) > ABANDONED);
        let Some(manifest) = manifest else {
            return Ok(match original {
                // Nobody may publish them any more. They may belong to an interrupted deletion whose tombstone has
                // expired. It is unknown whether the original was deleted, so the original is kept.
                Some(_) if self.is_too_old(&upload) && !renditions.is_empty() => {
                    Task::RemoveRenditions
                }
                Some(original) => self.announce(upload, original),
                // The original was deleted.
                None if are_abandoned => Task::CleanUp,
                None => Task::Nothing,
            });
        };
        // Renditions are written before their manifest. A later one may come from a worker that did not publish. S3's
        // times have a resolution of one second.
        let has_late_rendition = rendered_at.is_some_and(|at| at >= manifest.modified);
        let may_be_unfinished =
            manifest.size <= SMALL_MANIFEST_BYTES && (original.is_some() || !renditions.is_empty());
        if !has_late_rendition && !may_be_unfinished {
            return Ok(Task::Nothing);
        }
        let Some(found) = self.store.manifest(&upload).await? else {
            return Ok(Task::Nothing);
        };
        let has_unnamed = renditions
            .iter()
            .any(|rendition| !found.manifest.names(&upload, &rendition.key));
        Ok(match (&found.manifest.status, original) {
            (Status::Deleted { .. }, _) => Task::CleanUp,
            (Status::Failed { .. }, Some(original)) if self.options.failed => {
                self.announce(upload, original)
            }
            // The manifest is not final: a worker may publish the renditions beside it at any time. That worker, or the
            // deletion, removes the rest.
            (Status::Failed { .. }, _) => Task::Nothing,
            _ if has_unnamed => Task::RemoveUnnamed(found),
            _ => Task::Nothing,
        })
    }

    /// Whether the upload is too old for any worker to publish it.
    fn is_too_old(&self, upload: &UploadKey) -> bool {
        self.now.duration_since(upload.id.made_at()) > age::MAX_AGE + ABANDONED
    }

    fn announce(&self, upload: UploadKey, original: Object) -> Task {
        let age = self.now.duration_since(original.modified);
        let is_due = age >= self.options.settling_time
            && self.options.since.is_none_or(|since| age <= since)
            && self.now.duration_since(upload.id.made_at()) <= MAX_AGE;
        if !is_due {
            return Task::Nothing;
        }
        Task::Announce(Forgotten {
            upload,
            size: u64::try_from(original.size).unwrap_or(0),
            etag: original.etag,
        })
    }
}

impl Processor {
    /// Runs a sweep that a direct invocation requested, and ends before Lambda's deadline.
    pub(crate) async fn sweep(
        &self,
        request: &SweepRequest,
        deadline: Option<Timestamp>,
    ) -> Result<Value, String> {
        let Some(queue) = &self.queue else {
            return Err("this function has no queue to announce uploads to: GATEPOST_UPLOAD_QUEUE_URL is not set".to_owned());
        };
        let options = Options {
            since: request.since,
            failed: request.failed,
            settling_time: SETTLING_TIME,
        };
        let mut sweep =
            Sweep::new(self.store.clone(), (self.clock)(), options).after(request.after.clone());
        if let Some(deadline) = deadline {
            sweep = sweep.until(deadline - RESERVE, self.clock.clone());
        }
        let listed = sweep.announce_all(queue, |_| {}).await;
        let Report {
            n_uploads,
            n_announced,
            n_cleaned,
            n_faults,
            is_complete,
        } = sweep.report();
        tracing::info!(n_uploads, n_announced, n_cleaned, n_faults, "a sweep ended");
        // The invocation fails so that its alarm goes off. Everything possible has been done.
        let mut reasons: Vec<String> = listed
            .err()
            .map(|error| error.to_string())
            .into_iter()
            .collect();
        if n_faults > 0 {
            reasons.push(format!(
                "{n_faults} uploads could not be handled; the log names them"
            ));
        }
        if !is_complete {
            let next = SweepRequest {
                after: sweep.dealt_with().cloned(),
                ..request.clone()
            };
            reasons.push(format!(
                "not all uploads were examined; continue with the payload {}",
                next.payload()
            ));
        }
        if !reasons.is_empty() {
            return Err(reasons.join("; "));
        }
        Ok(json!({"uploads": n_uploads, "announced": n_announced, "cleaned": n_cleaned}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_of_a_scheduled_sweep_agrees_with_terraform() {
        let variables = include_str!("../../../infra/modules/gatepost/variables.tf");
        let seconds = SETTLING_TIME.as_secs();
        assert!(
            variables.contains(&format!("> {seconds} + one(")),
            "MAX_PROCESSING in media-contract/src/lib.rs is {seconds} s, and the validation of `sweep` in \
             modules/gatepost/variables.tf adds another number to the time between two sweeps: the two must agree"
        );
    }
}
