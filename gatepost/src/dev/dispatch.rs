//! What AWS does between a queue and a Lambda: batches in, and what the answer says of each message.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use local_aws::REGION;
use local_aws::sqs::{Message, Queue};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use upload_processor::Cause;
use upload_processor::Processor;
use upload_processor::event::Invocation;
use upload_processor::retry::retry_delay;

/// The event source mapping's batch size. A picture takes a core for as long as it is worked on: a message that waited
/// in a batch behind others would count as received whenever the process ends before its turn.
const BATCH: usize = 1;
/// The longest time for which a failed message is hidden. On AWS it is longer; here a developer is waiting.
const MAX_RETRY_DELAY: Duration = Duration::from_mins(1);
/// The pause after the queue itself failed.
const PAUSE: Duration = Duration::from_secs(1);

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
                tokio::time::sleep(PAUSE).await;
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

/// One invocation: messages that failed come again, the others are done.
async fn invoke(queue: &Queue, processor: &Processor, batch: &[Message]) -> anyhow::Result<()> {
    let invocation = Invocation::parse(&sqs_event(batch)).map_err(anyhow::Error::msg)?;
    let Invocation::Batch(messages) = invocation else {
        bail!("the event of a queue was not read as one");
    };
    let report = processor.process_batch(messages).await;
    for (id, result) in &report.messages {
        let receive_count = batch
            .iter()
            .find(|message| message.message_id == *id)
            .map_or(1, |message| message.receive_count);
        let settled = match result {
            Ok(_) => queue.delete(id),
            Err(retry) => {
                // An S3 that is switched off for an hour on a developer's machine makes no dead letters.
                let counts = retry.cause != Cause::Outage;
                let delay = retry_delay(receive_count).min(MAX_RETRY_DELAY);
                queue.release(id, delay, counts)
            }
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
