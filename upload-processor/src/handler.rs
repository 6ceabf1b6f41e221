//! The Lambda handler: takes a batch of messages and answers which of them failed. It also takes events without a
//! queue, and sweeps.
//!
//! A message ends in one of two ways. If it can never succeed it is finished: an upload that is not a picture gets its
//! manifest. If it may succeed later it fails alone, and the queue delivers it again. Processing is idempotent, because
//! the manifest is the commit point: a message that is duplicated, late or repeated after a crash ends in the same
//! state. A message that cannot be understood fails as well: it reaches the dead-letter queue, whose alarm an operator
//! sees.
//!
//! `main` and the local stack call [`Processor::handle`] and [`Processor::process_batch`]; `gatepost dlq` calls
//! [`Processor::examine`]. The handler reads no image and writes no object: `pipeline` does.

use aws_lambda_events::sqs::SqsBatchResponse;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};

use crate::error::{Cause, TransientError};
use crate::event::{CreatedObject, Invocation, Message, Notice, Record, batch_response};
use crate::outcome::{Outcome, ignored};
use crate::pipeline::Attempt;
use crate::processor::Processor;
use crate::retry::retry_delay;

/// How many messages of a batch are processed concurrently: enough to read one while another is decoded.
const CONCURRENT_MESSAGES: usize = 4;

/// The outcomes of a batch, by message.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchReport {
    /// Each message's id and its records' outcomes, in the order of the batch.
    pub messages: Vec<(String, Result<Vec<Outcome>, TransientError>)>,
}

/// The work on a message.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// Everything, up to the manifest.
    Publish(Attempt),
    /// Only what reads: what it would come to.
    Examine,
}

impl Processor {
    /// The Lambda handler. A batch never fails as a whole, because that would redeliver the successful messages, too.
    /// An event without a queue fails if any part of it must be retried, so that its sender repeats it.
    ///
    /// # Errors
    ///
    /// An event without a queue must be retried, a sweep ended early or with faults, or the payload is malformed.
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
        let summaries = outcomes.iter().flatten().map(Outcome::to_summary);
        Ok(json!({"outcomes": summaries.collect::<Vec<_>>()}))
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
                error = media_store::reason(&error),
                "the visibility timeout of a failed message cannot be changed"
            );
        }
    }

    /// Says what a message would come to, from reads alone: no manifest, no rendition, no tag and no outcome is written.
    ///
    /// # Errors
    ///
    /// The message would be retried.
    pub async fn examine_message(&self, body: &str) -> Result<Vec<Outcome>, TransientError> {
        self.work_on(body, Work::Examine).await
    }

    /// The same of one record of a message.
    ///
    /// # Errors
    ///
    /// The record's message would be retried.
    pub async fn examine(&self, record: Record) -> Result<Outcome, TransientError> {
        self.work_on_record(record, Work::Examine).await
    }

    async fn process_message(
        &self,
        body: &str,
        attempt: Attempt,
    ) -> Result<Vec<Outcome>, TransientError> {
        self.work_on(body, Work::Publish(attempt)).await
    }

    /// Works on all records of a message; then the message fails if any of them failed.
    async fn work_on(&self, body: &str, work: Work) -> Result<Vec<Outcome>, TransientError> {
        let not_understood = |reason: &str| TransientError::not_understood("the message", reason);
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

    async fn work_on_record(&self, record: Record, work: Work) -> Result<Outcome, TransientError> {
        match record {
            Record::Created(object) => self.work_on_object(object, work).await,
            Record::Other(name) => Ok(ignored(format!("the event is {name}"))),
            Record::Unreadable(reason) => Err(TransientError::not_understood("a record", &reason)),
        }
    }

    async fn work_on_object(
        &self,
        object: CreatedObject,
        work: Work,
    ) -> Result<Outcome, TransientError> {
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
            .unwrap_or_else(|panic| Err(TransientError::new("processing", &panic)));
        if let Work::Publish(attempt) = work
            && attempt.is_last
            && let (Err(retry), Some(upload)) = (&result, upload)
            && let Err(error) = self.record_failure(&upload, retry).await
        {
            tracing::error!(
                owner = %upload.owner,
                id = %upload.id,
                reason = error.reason,
                "the failure of an upload cannot be recorded"
            );
        }
        result
    }
}

impl BatchReport {
    /// The partial-batch response: SQS keeps these messages and deletes the others.
    pub fn response(&self) -> SqsBatchResponse {
        let failed = self.messages.iter().filter(|(_, result)| result.is_err());
        batch_response(failed.map(|(message_id, _)| message_id))
    }
}

/// When Lambda ends the process; `None` outside Lambda.
fn deadline(context: &Context) -> Option<Timestamp> {
    let milliseconds = i64::try_from(context.deadline).ok()?;
    (milliseconds > 0).then(|| Timestamp::from_millisecond(milliseconds).ok())?
}

/// All results, or all failures combined into one error. It is an outage only if all of them are.
fn all<T>(results: Vec<Result<T, TransientError>>) -> Result<Vec<T>, TransientError> {
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
    Err(TransientError {
        reason: reasons.join("; "),
        cause: worst.unwrap_or(first).cause,
    })
}
