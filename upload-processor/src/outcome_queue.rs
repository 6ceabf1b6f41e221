//! Publishes the outcome of each upload to a queue, so that consumers need not poll.
//!
//! Delivery is at-least-once. A message is sent after the manifest is written. If sending fails, or the process dies in
//! between, the upload's own message is redelivered and finds the manifest. Consumers deduplicate by the upload's id.

use std::time::Duration;

use aws_sdk_sqs::Client;
use serde::Serialize;

use media_contract::{Manifest, Reason, UploadId, UploadKey};

use crate::error::{Cause, TransientError};

/// The queue.
#[derive(Clone, Debug)]
pub(crate) struct OutcomeQueue {
    pub(crate) sqs: Client,
    pub(crate) queue_url: String,
}

/// How long the steps took. A message about an upload that was finished before has none.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Timings {
    /// Waiting for a core and for memory.
    wait_ms: u64,
    /// Reading the upload.
    read_ms: u64,
    /// Inspecting, decoding, resizing, encoding.
    render_ms: u64,
    /// Writing renditions and manifest.
    write_ms: u64,
}

impl Timings {
    pub(crate) fn new(wait: Duration, read: Duration, render: Duration, write: Duration) -> Self {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            wait_ms: millis(wait),
            read_ms: millis(read),
            render_ms: millis(render),
            write_ms: millis(write),
        }
    }
}

/// A message. The names of its fields are part of the contract.
#[derive(Serialize)]
struct OutcomeMessage<'a> {
    version: u32,
    id: UploadId,
    owner: &'a str,
    status: &'static str,
    reason: Option<&'a Reason>,
    manifest: String,
    timings: Option<Timings>,
}

/// SQS requires this suffix in a FIFO queue's name.
fn is_fifo(queue_url: &str) -> bool {
    queue_url.strip_suffix(".fifo").is_some()
}

impl OutcomeQueue {
    pub(crate) async fn send(
        &self,
        upload: &UploadKey,
        manifest: &Manifest,
        timings: Option<Timings>,
    ) -> Result<(), TransientError> {
        let status = manifest.status.name();
        let message = OutcomeMessage {
            version: 1,
            id: upload.id,
            owner: &upload.owner,
            status,
            reason: manifest.status.reason(),
            manifest: upload.manifest_path(),
            timings,
        };
        let body = serde_json::to_string(&message)
            .map_err(|error| TransientError::new("the outcome's message", &error))?;
        let mut request = self
            .sqs
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(body);
        if is_fifo(&self.queue_url) {
            // One group per upload: its outcomes stay in order, and uploads do not wait for each other.
            request = request
                .message_group_id(upload.id.to_string())
                .message_deduplication_id(format!("{}-{status}", upload.id));
        }
        request.send().await.map_err(|error| TransientError {
            reason: format!("sending the outcome: {}", media_store::reason(&error)),
            cause: Cause::Outage,
        })?;
        Ok(())
    }
}
