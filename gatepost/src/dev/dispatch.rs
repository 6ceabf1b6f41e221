//! Hands the queue's messages to the processor, which a Lambda's event source mapping does on AWS. `gatepost dev` starts
//! it; it decides only how soon a failed message is received again.

use std::sync::Arc;
use std::time::Duration;

use local_aws::event_source::{BatchItemFailure, BatchResult, EventSource};
use local_aws::sqs::Queue;
use serde_json::Value;
use upload_processor::event::Invocation;
use upload_processor::retry::retry_delay;
use upload_processor::{Cause, Processor};

/// The event source mapping's batch size. A picture takes a core for as long as it is worked on: a message that waited
/// in a batch behind others would count as received whenever the process ends before its turn.
const BATCH: usize = 1;
/// The longest time for which a failed message is hidden. On AWS it is longer; here a developer is waiting.
const MAX_RETRY_DELAY: Duration = Duration::from_mins(1);

/// Hands messages to the processor until the process ends.
pub(super) async fn run(queue_name: &str, queue: Arc<Queue>, processor: Processor) {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let source = EventSource {
        queue_name: queue_name.to_owned(),
        batch_size: BATCH,
        // One more than there are cores reads or writes meanwhile.
        max_concurrency: n_cores + 1,
        retry_delay: MAX_RETRY_DELAY,
    };
    let handle = move |event| process(processor.clone(), event);
    source.run(queue, handle).await;
}

/// One invocation: messages that failed are received again.
async fn process(processor: Processor, event: Value) -> BatchResult {
    let Invocation::Batch(messages) = Invocation::parse(&event)? else {
        return Err("the event of a queue was not parsed as one".into());
    };
    let receive_counts: Vec<_> = messages
        .iter()
        .map(|message| message.receive_count)
        .collect();
    let report = processor.process_batch(messages).await;
    let failures = report.messages.into_iter().zip(receive_counts);
    let failures = failures.filter_map(|((message_id, result), receive_count)| {
        let retry = result.err()?;
        Some(BatchItemFailure {
            message_id,
            delay: retry_delay(receive_count).min(MAX_RETRY_DELAY),
            // An S3 that is switched off for an hour on a developer's machine makes no dead letters.
            counts: retry.cause != Cause::Outage,
        })
    });
    Ok(failures.collect())
}
