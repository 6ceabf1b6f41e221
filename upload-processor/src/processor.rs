//! The Lambda handler: takes a batch of messages and answers which of them failed. It also takes events without a
//! queue, and sweeps.
//!
//! A message ends in one of two ways. If it can never succeed it is finished: an upload that is not a picture gets its
//! manifest. If it may succeed later it fails alone, and the queue delivers it again. Processing is idempotent, because
//! the manifest is the commit point: a message that is duplicated, late or repeated after a crash ends in the same
//! state. A message that cannot be understood fails as well: it reaches the dead-letter queue, whose alarm an operator
//! sees.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_sdk_s3::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use lambda_runtime::{Context, LambdaEvent};
use media_contract::{Manifest, UploadKey};
use media_store::{Buckets, MediaStore};
use serde_json::{Value, json};
use thumbnailer::settings::Settings;
use thumbnailer::thumbnail::TIME_PER_IMAGE;
use tokio::sync::Semaphore;

use crate::budget::Budget;
use crate::event::{CreatedObject, Invocation, Message, Notice, Record, batch_response};
use crate::outcomes::Outcomes;
use crate::retry::{Cause, Retry, retry_delay};

/// How many messages of a batch are processed concurrently: enough to read one while another is decoded.
const CONCURRENT_MESSAGES: usize = 4;

/// Returns the current time.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Processes uploads. Made once, then shared.
#[derive(Clone)]
pub struct Processor {
    pub(crate) store: MediaStore,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Clock,
    /// One image per core: processing is CPU-bound.
    pub(crate) cores: Arc<Semaphore>,
    pub(crate) memory: Budget,
    pub(crate) outcomes: Option<Outcomes>,
    pub(crate) wants_scan: bool,
    pub(crate) has_age_limit: bool,
    pub(crate) queue: Option<UploadQueue>,
    pub(crate) time_per_image: Duration,
    max_receives: Option<u32>,
}

/// The queue that the messages come from.
#[derive(Clone, Debug)]
pub struct UploadQueue {
    /// The client.
    pub sqs: aws_sdk_sqs::Client,
    /// The queue's address.
    pub url: String,
}

/// The outcome of one record of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The upload's manifest was written now.
    Finished(Manifest),
    /// The upload already had its manifest.
    AlreadyFinished(Manifest),
    /// The upload was deleted. Everything beside its tombstone is removed.
    Deleted(UploadKey),
    /// The record needed no action, for this reason.
    Ignored(String),
}

/// The number of an attempt at a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    /// How many times the message was received; `None` without a queue.
    receive_count: Option<u32>,
    /// Whether the message becomes a dead letter if this attempt fails.
    is_last: bool,
}

/// The work on a message.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// Everything, up to the manifest.
    Publish(Attempt),
    /// Only what reads: what it would come to.
    Examine,
}

impl Attempt {
    /// Whether this is the first attempt, and another can follow.
    pub(crate) fn is_first(self) -> bool {
        self.receive_count == Some(1) && !self.is_last
    }
}

/// The outcomes of a batch, by message.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchReport {
    /// Each message's id and its records' outcomes, in the order of the batch.
    pub messages: Vec<(String, Result<Vec<Outcome>, Retry>)>,
}

impl Processor {
    /// A processor that uses all cores of the machine, with memory for the largest image on each.
    pub fn new(
        s3: Client,
        buckets: Buckets,
        settings: Settings,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let n_cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let memory = settings.max_memory().saturating_mul(n_cores as u64);
        Self {
            store: MediaStore::new(s3, buckets),
            settings: Arc::new(settings),
            clock: Arc::new(clock),
            cores: Arc::new(Semaphore::new(n_cores)),
            memory: Budget::new(memory),
            outcomes: None,
            wants_scan: false,
            has_age_limit: true,
            queue: None,
            time_per_image: TIME_PER_IMAGE,
            max_receives: None,
        }
    }

    /// Hides failed messages of this queue for the time of [`retry_delay`], rather than the queue's own visibility
    /// timeout, and sends the uploads that a sweep finds to it.
    #[must_use]
    pub fn with_queue(mut self, sqs: aws_sdk_sqs::Client, url: String) -> Self {
        self.queue = Some(UploadQueue { sqs, url });
        self
    }

    /// Writes a manifest with the status `failed` when a message fails on its `max_receives`-th receive: it then
    /// becomes a dead letter.
    #[must_use]
    pub fn with_max_receives(mut self, max_receives: u32) -> Self {
        self.max_receives = Some(max_receives);
        self
    }

    /// Publishes uploads of any age: for a store in which nothing was ever deleted.
    #[must_use]
    pub fn with_any_age(mut self) -> Self {
        self.has_age_limit = false;
        self
    }

    /// Limits the memory of all images together, in bytes, including their files; an image that needs more is rejected.
    #[must_use]
    pub fn with_memory(mut self, bytes: u64) -> Self {
        if bytes < self.settings.max_memory() {
            tracing::warn!(
                bytes,
                largest_image = self.settings.max_memory(),
                "the largest image that is allowed may need more memory than is available, and is then rejected"
            );
        }
        self.memory = Budget::new(bytes);
        self
    }

    /// Sets the processor time of each image, [`TIME_PER_IMAGE`] by default.
    #[must_use]
    pub fn with_time_per_image(mut self, time: Duration) -> Self {
        self.time_per_image = time;
        self
    }

    /// Sends a message to a queue for each finished upload.
    #[must_use]
    pub fn with_outcomes(mut self, sqs: aws_sdk_sqs::Client, queue_url: String) -> Self {
        self.outcomes = Some(Outcomes { sqs, queue_url });
        self
    }

    /// Processes only uploads that `GuardDuty` tagged as clean, and rejects those that it tagged as threats.
    #[must_use]
    pub fn with_malware_scan(mut self) -> Self {
        self.wants_scan = true;
        self
    }

    /// The Lambda handler. A batch never fails as a whole, because that would redeliver the successful messages, too.
    /// An event without a queue fails if any part of it must be retried, so that its sender repeats it.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, lambda_runtime::Error> {
        let bodies = match Invocation::parse(&event.payload) {
            Ok(Invocation::Batch(messages)) => {
                let response = self.process_batch(messages).await.response();
                return Ok(serde_json::to_value(response)?);
            }
            Ok(Invocation::Sweep(request)) => {
                // Boxed: the future is too deeply nested for rustc's layout computation.
                let sweep = Box::pin(self.sweep(&request, deadline(&event.context)));
                return Ok(sweep.await?);
            }
            Ok(Invocation::Direct(bodies)) => bodies,
            Err(reason) => return Err(reason.into()),
        };
        // Receives of such an event are not counted, so no attempt is known to be the last.
        let attempt = Attempt {
            receive_count: None,
            is_last: false,
        };
        let mut results = Vec::new();
        for body in bodies {
            results.push(self.process_message(&body, attempt).await);
        }
        let outcomes = all(results).map_err(|retry| retry.reason)?;
        let shown = outcomes.iter().flatten().map(Outcome::shown);
        Ok(json!({"outcomes": shown.collect::<Vec<_>>()}))
    }

    /// Processes a batch and returns the outcome of each message.
    pub async fn process_batch(&self, messages: Vec<Message>) -> BatchReport {
        let messages = stream::iter(messages)
            .map(|message| async move {
                let attempt = Attempt {
                    receive_count: Some(message.receive_count),
                    is_last: self
                        .max_receives
                        .is_some_and(|max| message.receive_count >= max),
                };
                let result = self.process_message(&message.body, attempt).await;
                if let Err(retry) = &result {
                    tracing::warn!(
                        message_id = message.id,
                        receive_count = message.receive_count,
                        reason = retry.reason,
                        "the message must be tried again"
                    );
                    self.hide(&message).await;
                }
                (message.id, result)
            })
            .buffered(CONCURRENT_MESSAGES)
            .collect()
            .await;
        BatchReport { messages }
    }

    /// Makes the queue redeliver a failed message after [`retry_delay`]. Without this the message waits for the queue's
    /// visibility timeout, which is correct but slow.
    async fn hide(&self, message: &Message) {
        let (Some(queue), Some(receipt)) = (&self.queue, &message.receipt_handle) else {
            return;
        };
        let delay = retry_delay(message.receive_count);
        let request = queue
            .sqs
            .change_message_visibility()
            .queue_url(&queue.url)
            .receipt_handle(receipt)
            .visibility_timeout(i32::try_from(delay.as_secs()).unwrap_or(i32::MAX));
        if let Err(error) = request.send().await {
            tracing::warn!(
                message_id = message.id,
                error = %DisplayErrorContext(error),
                "the visibility timeout of a failed message cannot be changed"
            );
        }
    }

    /// Says what a message would come to, from reads alone: no manifest, no rendition, no tag and no outcome is written.
    pub async fn examine_message(&self, body: &str) -> Result<Vec<Outcome>, Retry> {
        self.work_on(body, Work::Examine).await
    }

    /// The same of one record of a message.
    pub async fn examine(&self, record: Record) -> Result<Outcome, Retry> {
        self.work_on_record(record, Work::Examine).await
    }

    async fn process_message(&self, body: &str, attempt: Attempt) -> Result<Vec<Outcome>, Retry> {
        self.work_on(body, Work::Publish(attempt)).await
    }

    /// Works on all records of a message; then the message fails if any of them failed.
    async fn work_on(&self, body: &str, work: Work) -> Result<Vec<Outcome>, Retry> {
        let not_understood = |reason: &str| Retry::not_understood("the message", reason);
        let records = match Notice::parse(body).map_err(|reason| not_understood(&reason))? {
            Notice::Records(records) => records,
            Notice::Test => {
                return Ok(vec![ignored(
                    "it is S3's test of the notification".to_owned(),
                )]);
            }
        };
        let mut results = Vec::with_capacity(records.len());
        for record in records {
            // Boxed: the future is nested more deeply than rustc computes layouts for.
            results.push(Box::pin(self.work_on_record(record, work)).await);
        }
        all(results)
    }

    async fn work_on_record(&self, record: Record, work: Work) -> Result<Outcome, Retry> {
        match record {
            Record::Created(object) => self.work_on_object(object, work).await,
            Record::Other(name) => Ok(ignored(format!("the event is {name}"))),
            Record::Unreadable(reason) => Err(Retry::not_understood("a record", &reason)),
        }
    }

    async fn work_on_object(&self, object: CreatedObject, work: Work) -> Result<Outcome, Retry> {
        let upload = self.upload_of(&object);
        let processor = self.clone();
        // A task of its own: a panic fails this record and no other.
        let task = tokio::spawn(async move {
            match work {
                Work::Publish(attempt) => processor.process_object(&object, attempt).await,
                Work::Examine => processor.examine_object(&object).await,
            }
        });
        let result = task
            .await
            .unwrap_or_else(|panic| Err(Retry::new("processing", &panic)));
        if let Work::Publish(attempt) = work
            && attempt.is_last
            && let (Err(retry), Some(upload)) = (&result, upload)
            && let Err(error) = self.write_failed(&upload, retry).await
        {
            tracing::error!(
                owner = upload.owner,
                id = %upload.id,
                reason = error.reason,
                "the failure of an upload cannot be recorded"
            );
        }
        result
    }
}

/// When Lambda ends the process; `None` outside Lambda.
fn deadline(context: &Context) -> Option<Timestamp> {
    let milliseconds = i64::try_from(context.deadline).ok()?;
    (milliseconds > 0).then(|| Timestamp::from_millisecond(milliseconds).ok())?
}

/// All results, or all failures combined into one error. It is an outage only if all of them are.
fn all<T>(results: Vec<Result<T, Retry>>) -> Result<Vec<T>, Retry> {
    let (mut values, mut errors) = (Vec::with_capacity(results.len()), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(retry) => errors.push(retry),
        }
    }
    let Some(first) = errors.first() else {
        return Ok(values);
    };
    let worst = errors.iter().find(|retry| retry.cause != Cause::Outage);
    let reasons: Vec<_> = errors.iter().map(|retry| retry.reason.as_str()).collect();
    Err(Retry {
        reason: reasons.join("; "),
        cause: worst.unwrap_or(first).cause,
    })
}

impl Outcome {
    /// A short form, for the answer to a direct invocation.
    fn shown(&self) -> Value {
        match self {
            Self::Finished(manifest) | Self::AlreadyFinished(manifest) => {
                json!({"id": manifest.id, "owner": manifest.owner, "status": manifest.status.name()})
            }
            Self::Deleted(upload) => {
                json!({"id": upload.id, "owner": upload.owner, "status": "deleted"})
            }
            Self::Ignored(reason) => json!({"status": "ignored", "reason": reason}),
        }
    }
}

impl BatchReport {
    /// The partial-batch response: SQS keeps these messages and deletes the others.
    pub fn response(&self) -> SqsBatchResponse {
        let failed = self.messages.iter().filter(|(_, result)| result.is_err());
        batch_response(failed.map(|(message_id, _)| message_id))
    }
}

pub(crate) fn ignored(reason: String) -> Outcome {
    tracing::info!(reason, "a record is ignored");
    Outcome::Ignored(reason)
}
