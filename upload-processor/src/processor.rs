//! The Lambda itself: a batch of messages in, and which of them are to be sent again; or an event without a queue.
//!
//! Every message ends one of two ways. What will never succeed is finished: an upload that is no image has its
//! manifest, an event that is none of ours has its line in the log. What may succeed later fails, alone, and the
//! queue sends it again. The manifest is the commit point: it is written last and only once, so a message that comes
//! twice, late or after a crash ends in the same state.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use data_encoding::HEXLOWER;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::budget::{Budget, Turn};
use crate::claim;
use crate::event::{CreatedObject, Invocation, Message, Notice, Record, UploadKey};
use crate::manifest::{Manifest, Verdict};
use crate::outcomes::{Outcomes, Timings};
use crate::storage::{self, Scan, Written};
use thumbnailer::inspect::Declared;
use thumbnailer::rejection::{Complexity, Rejection};
use thumbnailer::settings::Settings;
use thumbnailer::thumbnail::{TIME_PER_IMAGE, Thumbnailed, thumbnail_once_admitted};

/// How many messages of a batch are worked on at a time: enough to read one while another is decoded.
const CONCURRENT_MESSAGES: usize = 4;
/// How many renditions are written at a time.
const CONCURRENT_WRITES: usize = 4;

/// Tells the time.
type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Processes uploads. Made once, then shared.
#[derive(Clone)]
pub struct Processor {
    s3: Client,
    buckets: Buckets,
    settings: Arc<Settings>,
    clock: Clock,
    /// One image a core: they are all arithmetic.
    cores: Arc<Semaphore>,
    memory: Budget,
    outcomes: Option<Outcomes>,
    wants_scan: bool,
}

/// Where uploads come from and media go.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Buckets {
    /// Events about other buckets are not ours.
    pub uploads: String,
    /// Renditions and manifests.
    pub media: String,
}

/// What became of one record of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The upload has its manifest, made now.
    Finished(Manifest),
    /// The upload has its manifest, made before.
    AlreadyFinished(Manifest),
    /// There was nothing to do, and why.
    Ignored(String),
}

/// Why a message is to be sent again.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// What failed, for the log.
    pub reason: String,
}

/// Whether an upload may be worked on.
enum Claim {
    /// Nobody else does, and here is a core to do it on.
    Held(claim::Held, OwnedSemaphorePermit),
    /// Somebody did.
    Finished(Manifest),
}

/// What was made of an upload, and how long that took.
struct Made {
    /// What the manifest will say.
    result: Result<Thumbnailed, Rejection>,
    waited: Duration,
    read: Duration,
    rendered: Duration,
}

impl Made {
    /// Without a look at the bytes.
    fn rejected(rejection: Rejection) -> Self {
        Self {
            result: Err(rejection),
            waited: Duration::ZERO,
            read: Duration::ZERO,
            rendered: Duration::ZERO,
        }
    }
}

/// What became of a batch, message by message.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchReport {
    /// Each message's id and its records' outcomes, in the order of the batch.
    pub messages: Vec<(String, Result<Vec<Outcome>, Retry>)>,
}

impl Processor {
    /// A processor on as many cores as the machine has, each with room for the largest image.
    pub fn new(
        s3: Client,
        buckets: Buckets,
        settings: Settings,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let n_cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let memory = settings.max_memory().saturating_mul(n_cores as u64);
        Self {
            s3,
            buckets,
            settings: Arc::new(settings),
            clock: Arc::new(clock),
            cores: Arc::new(Semaphore::new(n_cores)),
            memory: Budget::new(memory),
            outcomes: None,
            wants_scan: false,
        }
    }

    /// Images together take no more than this, in bytes, their files included; one that needs more is rejected.
    #[must_use]
    pub fn with_memory(mut self, bytes: u64) -> Self {
        if bytes < self.settings.max_memory() {
            tracing::warn!(
                bytes,
                largest_image = self.settings.max_memory(),
                "the largest image that is allowed may need more memory than there is, and is then rejected"
            );
        }
        self.memory = Budget::new(bytes);
        self
    }

    /// Sends a message to a queue for each upload that ends.
    #[must_use]
    pub fn with_outcomes(mut self, sqs: aws_sdk_sqs::Client, queue_url: String) -> Self {
        self.outcomes = Some(Outcomes { sqs, queue_url });
        self
    }

    /// Works on nothing that `GuardDuty` has not tagged as clean, and rejects what it has tagged as a threat.
    #[must_use]
    pub fn with_malware_scan(mut self) -> Self {
        self.wants_scan = true;
        self
    }

    /// The Lambda handler. With a batch it never fails as a whole: that would send the good messages again, too. An
    /// event without a queue fails if something in it is to come again, so that who invoked tries it again.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, lambda_runtime::Error> {
        let bodies = match Invocation::parse(&event.payload) {
            Ok(Invocation::Batch(messages)) => {
                return Ok(self.process_batch(messages).await.response());
            }
            Ok(Invocation::Direct(bodies)) => bodies,
            Err(reason) => return Err(reason.into()),
        };
        let mut outcomes = Vec::new();
        for body in bodies {
            let processor = self.clone();
            let task = tokio::spawn(async move { processor.process_message(&body).await });
            let result = task
                .await
                .unwrap_or_else(|panic| Err(Retry::new("processing", &panic)));
            outcomes.extend(result.map_err(|retry| retry.reason)?);
        }
        let shown = outcomes.iter().map(Outcome::shown);
        Ok(json!({"outcomes": shown.collect::<Vec<_>>()}))
    }

    /// Processes a batch and tells what became of each message.
    pub async fn process_batch(&self, messages: Vec<Message>) -> BatchReport {
        let messages = stream::iter(messages)
            .map(|message| {
                let processor = self.clone();
                let Message { id, body } = message;
                async move {
                    // A task of its own: a panic fails this message and no other.
                    let task = tokio::spawn(async move { processor.process_message(&body).await });
                    let result = match task.await {
                        Ok(result) => result,
                        Err(panic) => Err(Retry::new("processing", &panic)),
                    };
                    if let Err(retry) = &result {
                        tracing::warn!(
                            message_id = id,
                            reason = retry.reason,
                            "the message is to be sent again"
                        );
                    }
                    (id, result)
                }
            })
            .buffered(CONCURRENT_MESSAGES)
            .collect()
            .await;
        BatchReport { messages }
    }

    async fn process_message(&self, body: &str) -> Result<Vec<Outcome>, Retry> {
        let records = match Notice::parse(body) {
            Ok(Notice::Records(records)) => records,
            Ok(Notice::Test) => {
                return Ok(vec![ignored(
                    "it is S3's test of the notification".to_owned(),
                )]);
            }
            // It will not become one by being sent again.
            Err(reason) => return Ok(vec![unreadable(reason)]),
        };
        let mut outcomes = Vec::with_capacity(records.len());
        for record in records {
            outcomes.push(match record {
                Record::Created(object) => self.process_object(&object).await?,
                Record::Other(name) => ignored(format!("the event is {name}")),
                Record::Unreadable(reason) => unreadable(reason),
            });
        }
        Ok(outcomes)
    }

    async fn process_object(&self, object: &CreatedObject) -> Result<Outcome, Retry> {
        if object.bucket != self.buckets.uploads {
            return Ok(ignored("the object is in another bucket".to_owned()));
        }
        let Some(upload) = UploadKey::parse(&object.key) else {
            return Ok(ignored("the object is no upload".to_owned()));
        };
        let started = Instant::now();
        if let Some(manifest) = self.read_manifest(&upload).await? {
            return self.finished_before(object, &upload, manifest).await;
        }
        // Before it is opened, which fails if it was overwritten since: so the tag is of what is opened.
        let scan = match self.wants_scan {
            // Whatever its tag says: that may be of another content of the same name.
            true if object.is_threat => Some(Scan::Threat),
            true => storage::scan(&self.s3, object).await?,
            false => Some(Scan::Clean),
        };
        let source = storage::open(&self.s3, object).await?;
        let (Some(scan), Some(source)) = (scan, source) else {
            return Ok(ignored(
                "the object was overwritten or deleted since".to_owned(),
            ));
        };
        // A form that is pinned to a digest takes one content.
        let (claim, core) = if source.sha256.is_none() {
            match self.claim(&upload, &source).await? {
                Claim::Held(claim, core) => (Some(claim), core),
                Claim::Finished(manifest) => {
                    return self.finished_before(object, &upload, manifest).await;
                }
            }
        } else {
            (None, self.core().await?)
        };
        let waited = started.elapsed();
        let Made {
            result,
            waited: waited_for_memory,
            read,
            rendered,
        } = match scan {
            Scan::Clean => self.make(source, core).await?,
            Scan::Threat => Made::rejected(Rejection::Malware),
        };
        let writing = Instant::now();
        if let Ok(made) = &result {
            self.write_renditions(&upload, made).await?;
        }
        let manifest = Manifest::new((self.clock)(), &upload, &result);
        let data =
            serde_json::to_vec(&manifest).map_err(|error| Retry::new("the manifest", &error))?;
        let written = storage::write_first(
            &self.s3,
            &self.buckets.media,
            &upload.manifest_key(),
            "application/json",
            data,
        )
        .await?;
        if let Some(claim) = &claim {
            claim::give_up(&self.s3, &self.buckets.media, &upload, claim).await?;
        }
        if written == Written::Before {
            return match self.read_manifest(&upload).await? {
                Some(manifest) => self.finished_before(object, &upload, manifest).await,
                None => Ok(ignored("the upload was deleted meanwhile".to_owned())),
            };
        }
        if !storage::exists(&self.s3, object).await? {
            self.unpublish(&upload, &manifest).await?;
            return Ok(ignored("the upload was deleted meanwhile".to_owned()));
        }
        self.mark(object, &manifest).await;
        if let Some(outcomes) = &self.outcomes {
            let waited = waited + waited_for_memory;
            let timings = Timings::new(waited, read, rendered, writing.elapsed());
            outcomes.send(&upload, &manifest, Some(timings)).await?;
        }
        let elapsed_ms = started.elapsed().as_millis();
        match &result {
            Ok(made) => tracing::info!(
                owner = upload.owner,
                id = upload.id,
                bytes = made.source.bytes,
                width = made.source.width,
                height = made.source.height,
                renditions = made.renditions.len(),
                elapsed_ms,
                "the upload is ready"
            ),
            Err(rejection) => tracing::info!(
                owner = upload.owner,
                id = upload.id,
                code = rejection.code(),
                detail = %rejection,
                elapsed_ms,
                "the upload is rejected"
            ),
        }
        Ok(Outcome::Finished(manifest))
    }

    /// The end of an upload that has its manifest. Whether its outcome was sent nobody knows, so it is sent again.
    async fn finished_before(
        &self,
        object: &CreatedObject,
        upload: &UploadKey,
        manifest: Manifest,
    ) -> Result<Outcome, Retry> {
        self.mark(object, &manifest).await;
        tracing::info!(
            owner = upload.owner,
            id = upload.id,
            "the upload was finished before"
        );
        if let Some(outcomes) = &self.outcomes {
            outcomes.send(upload, &manifest, None).await?;
        }
        Ok(Outcome::AlreadyFinished(manifest))
    }

    /// Tags the original of what is rejected, once that is decided; but for what `GuardDuty` has tagged.
    async fn mark(&self, object: &CreatedObject, manifest: &Manifest) {
        if let Verdict::Rejected { reason } = &manifest.result
            && reason.code != Rejection::Malware.code()
        {
            storage::tag_as_rejected(&self.s3, object).await;
        }
    }

    /// Takes back what was published of an upload that was deleted meanwhile. Who deletes begins with the original, so
    /// either it is missed here, or all of this is deleted there after it was written.
    async fn unpublish(&self, upload: &UploadKey, manifest: &Manifest) -> Result<(), Retry> {
        let bucket = &self.buckets.media;
        storage::delete(&self.s3, bucket, &upload.manifest_key()).await?;
        if let Verdict::Ready { renditions, .. } = &manifest.result {
            for rendition in renditions {
                let key = rendition.path.trim_start_matches('/');
                storage::delete(&self.s3, bucket, key).await?;
            }
        }
        Ok(())
    }

    /// Makes sure that nobody works on another content of the upload, and waits a while for whoever does. The claim is
    /// taken by who has a core: from then on the work goes on without waiting.
    async fn claim(&self, upload: &UploadKey, source: &storage::Upload) -> Result<Claim, Retry> {
        let bucket = &self.buckets.media;
        let give_up_at = Instant::now() + claim::PATIENCE;
        loop {
            let core = self.core().await?;
            let claim =
                claim::take(&self.s3, bucket, (self.clock)(), upload, &source.content_id).await?;
            match (self.read_manifest(upload).await?, claim) {
                (Some(manifest), claim) => {
                    if let Some(claim) = claim {
                        claim::give_up(&self.s3, bucket, upload, &claim).await?;
                    }
                    return Ok(Claim::Finished(manifest));
                }
                (None, Some(claim)) => return Ok(Claim::Held(claim, core)),
                (None, None) => drop(core),
            }
            if Instant::now() > give_up_at {
                return Err(Retry {
                    reason: "another content of the upload is being worked on".to_owned(),
                });
            }
            tokio::time::sleep(claim::PAUSE).await;
        }
    }

    async fn core(&self) -> Result<OwnedSemaphorePermit, Retry> {
        let core = self.cores.clone().acquire_owned().await;
        core.map_err(|error| Retry::new("waiting for a core", &error))
    }

    /// Reads and renders an upload, with as much memory as its headers say that it will take.
    async fn make(
        &self,
        source: storage::Upload,
        core: OwnedSemaphorePermit,
    ) -> Result<Made, Retry> {
        let mut made = Made::rejected(Rejection::TooLarge {
            bytes: source.bytes,
            max: self.settings.max_bytes,
        });
        if source.bytes > self.settings.max_bytes {
            return Ok(made);
        }
        let declared = Declared {
            content_type: source.content_type.clone(),
            sha256: source
                .sha256
                .as_ref()
                .and_then(|text| HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()),
        };
        let closed = || Retry::new("waiting for memory", &"the processor is being stopped");
        let started = Instant::now();
        let turn = self.memory.turn().await.ok_or_else(closed)?;
        let size = source.bytes;
        let file = turn.take(size).await.ok_or_else(closed)?;
        made.waited = started.elapsed();

        let reading = Instant::now();
        let bytes = source.read().await?;
        made.read = reading.elapsed();

        let settings = self.settings.clone();
        let runtime = Handle::current();
        let work = tokio::task::spawn_blocking(move || {
            let result = render(
                &bytes, &declared, &settings, &runtime, turn, size, &mut made,
            );
            made.result = result;
            drop((file, core));
            made
        });
        work.await.map_err(|error| Retry::new("rendering", &error))
    }

    async fn write_renditions(&self, upload: &UploadKey, made: &Thumbnailed) -> Result<(), Retry> {
        let writes: Vec<_> = made
            .renditions
            .iter()
            .map(|rendition| {
                storage::write_rendition(
                    &self.s3,
                    &self.buckets.media,
                    format!("{}{}", upload.media_prefix(), rendition.file_name),
                    rendition.content_type,
                    rendition.data.clone(),
                )
            })
            .collect();
        stream::iter(writes)
            .buffer_unordered(CONCURRENT_WRITES)
            .try_collect()
            .await
    }

    async fn read_manifest(&self, upload: &UploadKey) -> Result<Option<Manifest>, Retry> {
        let object = storage::read(&self.s3, &self.buckets.media, &upload.manifest_key()).await?;
        object
            .map(|object| {
                serde_json::from_slice(&object.data)
                    .map_err(|error| Retry::new("the manifest", &error))
            })
            .transpose()
    }
}

impl Outcome {
    /// In a few words, for who invoked the function by hand.
    fn shown(&self) -> Value {
        match self {
            Self::Finished(manifest) | Self::AlreadyFinished(manifest) => {
                let status = match manifest.result {
                    Verdict::Ready { .. } => "ready",
                    Verdict::Rejected { .. } => "rejected",
                };
                json!({"id": manifest.id, "owner": manifest.owner, "status": status})
            }
            Self::Ignored(reason) => json!({"status": "ignored", "reason": reason}),
        }
    }
}

impl BatchReport {
    /// The partial-batch answer: SQS keeps these messages and deletes the others.
    pub fn response(&self) -> Value {
        let failed = self.messages.iter().filter(|(_, result)| result.is_err());
        let failed: Vec<_> = failed
            .map(|(message_id, _)| json!({"itemIdentifier": message_id}))
            .collect();
        json!({"batchItemFailures": failed})
    }
}

impl Retry {
    pub(crate) fn new(what: &str, error: &dyn fmt::Display) -> Self {
        Self {
            reason: format!("{what}: {error}"),
        }
    }
}

/// Inspects an image, waits for the memory that it will take, and makes its thumbnails; on a thread that may block.
fn render(
    bytes: &[u8],
    declared: &Declared,
    settings: &Settings,
    runtime: &Handle,
    turn: Turn,
    size: u64,
    made: &mut Made,
) -> Result<Thumbnailed, Rejection> {
    let started = Instant::now();
    let mut waited = Duration::ZERO;
    let admit = |memory| {
        let (needed, max) = (size.saturating_add(memory), turn.total());
        if needed > max {
            // The system would end the process, and with it whatever else is being worked on.
            return Err(Rejection::TooComplex(Complexity::Memory { needed, max }));
        }
        let waiting = Instant::now();
        let share = runtime.block_on(turn.take_besides(size, memory));
        drop(turn);
        waited = waiting.elapsed();
        Ok(share)
    };
    let result = thumbnail_once_admitted(bytes, declared, settings, TIME_PER_IMAGE, admit);
    made.waited += waited;
    made.rendered = started.elapsed().saturating_sub(waited);
    result
}

/// What cannot be read is acknowledged, since it will be no better the next time, and is worth a look.
fn unreadable(reason: String) -> Outcome {
    tracing::warn!(reason, "a record cannot be read");
    Outcome::Ignored(reason)
}

fn ignored(reason: String) -> Outcome {
    tracing::info!(reason, "a record is ignored");
    Outcome::Ignored(reason)
}
