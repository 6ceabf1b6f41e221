//! What AWS does between a queue and a Lambda: batches in, and what the answer says of each message.

use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use upload_processor::Processor;

use crate::local_s3::REGION;
use crate::queue::{Message, Queue};

/// The event source mapping's batch size. A picture takes a core for as long as it is worked on: a message that waited
/// in a batch behind others would count as received whenever the process ends before its turn.
const BATCH: usize = 1;
/// How long a failed message is hidden, times how often it was received.
const BACKOFF: Duration = Duration::from_secs(1);

/// Hands messages to the processor until the process ends.
pub(super) async fn run(queue: Arc<Queue>, processor: Processor) -> anyhow::Result<()> {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    // One more than there are cores reads or writes meanwhile.
    let invocations = Arc::new(Semaphore::new(n_cores + 1));
    loop {
        let invocation = invocations.clone().acquire_owned().await?;
        let batch = match queue.receive(BATCH).await {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(%error, "the queue cannot be read; it is tried again");
                tokio::time::sleep(BACKOFF).await;
                continue;
            }
        };
        let (queue, processor) = (queue.clone(), processor.clone());
        tokio::spawn(async move {
            if let Err(error) = invoke(&queue, &processor, &batch).await {
                tracing::error!(%error, "a batch cannot be handed over");
            }
            drop(invocation);
        });
    }
}

/// One invocation: messages that the answer names, or all if it fails, come again; the others are done.
async fn invoke(queue: &Queue, processor: &Processor, batch: &[Message]) -> anyhow::Result<()> {
    let event = LambdaEvent::new(sqs_event(batch), Context::default());
    // The answer is read as Lambda's poller reads it.
    let failed: Option<Vec<String>> = processor.handle(event).await.ok().and_then(|answer| {
        let failures = answer["batchItemFailures"].as_array()?.iter();
        let ids = failures.map(|failure| failure["itemIdentifier"].as_str().map(str::to_owned));
        ids.collect()
    });
    for message in batch {
        let id = &message.message_id;
        let is_done = failed.as_ref().is_some_and(|failed| !failed.contains(id));
        let settled = if is_done {
            queue.delete(id)
        } else {
            queue.release(id, BACKOFF * message.receive_count)
        };
        if let Err(error) = settled {
            tracing::error!(message_id = id, %error, "the message is not settled; it comes again at the next start");
        }
    }
    Ok(())
}

/// The event as Lambda's poller sends it.
pub(crate) fn sqs_event(batch: &[Message]) -> Value {
    let records: Vec<_> = batch
        .iter()
        .map(|message| {
            json!({
                "messageId": message.message_id,
                "receiptHandle": message.message_id,
                "body": message.body,
                "attributes": {
                    "ApproximateReceiveCount": message.receive_count.to_string(),
                    "SentTimestamp": message.sent_at.as_millisecond().to_string(),
                },
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": format!("arn:aws:sqs:{REGION}:000000000000:gatepost-uploads"),
                "awsRegion": REGION,
            })
        })
        .collect();
    json!({"Records": records})
}
