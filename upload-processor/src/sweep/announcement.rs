//! Announces lost uploads: the notification that S3 should have sent, in a batch of queue messages.
//!
//! The sweep calls this for the Lambda and for `gatepost sweep`; the local stack uses the notification alone. It does
//! not decide which uploads are lost.

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use media_contract::UploadKey;
use serde_json::{Value, json};

use crate::processor::UploadQueue;

/// How many messages SQS accepts in one call.
pub(super) const MAX_BATCH: usize = 10;

/// A lost upload that must be announced.
#[derive(Clone, Debug, PartialEq)]
pub struct Forgotten {
    /// The upload.
    pub upload: UploadKey,
    /// The size in bytes.
    pub size: u64,
    /// The `ETag` without quotation marks; `None` if the listing does not have it.
    pub etag: Option<String>,
}

impl Forgotten {
    /// The notification that S3 should have sent, with the members that the processor reads. These keys need no
    /// encoding.
    pub fn notification(&self, bucket: &str) -> Value {
        let object = json!({"key": self.upload.original(), "size": self.size, "eTag": self.etag});
        json!({"Records": [{
            "eventVersion": "2.2",
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Post",
            "s3": {"s3SchemaVersion": "1.0", "configurationId": "gatepost-sweep", "bucket": {"name": bucket}, "object": object},
        }]})
    }
}

/// Sends notifications for at most [`MAX_BATCH`] uploads to a queue; one result for each.
pub(super) async fn send(
    queue: &UploadQueue,
    bucket: &str,
    batch: &[Forgotten],
) -> Vec<Result<(), String>> {
    if batch.is_empty() {
        return Vec::new();
    }
    let entries = batch.iter().enumerate().filter_map(|(index, forgotten)| {
        // Both required members are set. If they were not, the response would omit this entry.
        SendMessageBatchRequestEntry::builder()
            .id(index.to_string())
            .message_body(forgotten.notification(bucket).to_string())
            .build()
            .ok()
    });
    let request = queue
        .sqs
        .send_message_batch()
        .queue_url(&queue.url)
        .set_entries(Some(entries.collect()));
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => {
            let reason = format!("announcing an upload: {}", media_store::reason(&error));
            return vec![Err(reason); batch.len()];
        }
    };
    // SQS answers 200 even if single messages failed.
    let result = |index: usize| {
        let id = index.to_string();
        if answer.successful().iter().any(|entry| entry.id() == id) {
            return Ok(());
        }
        let failed = answer.failed().iter().find(|entry| entry.id() == id);
        Err(failed.map_or_else(
            || "announcing an upload: the queue's response does not mention it".to_owned(),
            |entry| {
                let message = entry.message().unwrap_or_default();
                format!("announcing an upload: {}: {message}", entry.code())
            },
        ))
    };
    (0..batch.len()).map(result).collect()
}
