//! Lambda's event source mapping: hands a queue's messages to a handler in batches, as SQS events, and settles each
//! message as the handler's result says.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::REGION;
use crate::sqs::{Message, Queue};

/// The pause after the queue itself failed.
const QUEUE_PAUSE: Duration = Duration::from_secs(1);

/// How messages are handed over.
#[derive(Clone, Debug)]
pub struct EventSource {
    /// The queue's name, which the events contain.
    pub queue_name: String,
    /// The largest number of messages in an event.
    pub batch_size: usize,
    /// The largest number of events that are handled at a time.
    pub max_concurrency: usize,
    /// How long a batch is hidden if its handler fails as a whole.
    pub retry_delay: Duration,
}

/// A message that could not be handled, and that will be received again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BatchItemFailure {
    /// The id of the message.
    pub message_id: String,
    /// How long the message is hidden.
    pub delay: Duration,
    /// Whether this receive counts towards the dead letters. One that does not count is taken back.
    pub counts: bool,
}

/// The result of a handler: the messages that failed; all others are done. After an error all messages of the batch are
/// received again.
pub type BatchResult = Result<Vec<BatchItemFailure>, Box<dyn Error + Send + Sync>>;

impl EventSource {
    /// Hands messages to the handler until the process ends. The handler gets the event as Lambda's poller sends it.
    pub async fn run<F, Handled>(self, queue: Arc<Queue>, handler: F)
    where
        F: Fn(Value) -> Handled,
        Handled: Future<Output = BatchResult> + Send + 'static,
    {
        let slots = Arc::new(Semaphore::new(self.max_concurrency));
        // The semaphore is never closed.
        while let Ok(slot) = slots.clone().acquire_owned().await {
            let batch = match queue.receive(self.batch_size).await {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::error!(%error, "the queue cannot be read; it is tried again");
                    tokio::time::sleep(QUEUE_PAUSE).await;
                    continue;
                }
            };
            // A task of its own, so that a panic fails the batch alone.
            let handled = tokio::spawn(handler(self.event(&batch)));
            let (queue, retry_delay) = (queue.clone(), self.retry_delay);
            tokio::spawn(async move {
                let result = handled.await.unwrap_or_else(|error| Err(error.into()));
                settle(&queue, &batch, result, retry_delay);
                drop(slot);
            });
        }
    }

    /// The event as Lambda's poller sends it.
    fn event(&self, batch: &[Message]) -> Value {
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
                    "eventSourceARN": format!("arn:aws:sqs:{REGION}:000000000000:{}", self.queue_name),
                    "awsRegion": REGION,
                })
            })
            .collect();
        json!({"Records": records})
    }
}

/// Deletes the messages that are done, and makes the others visible again after their delay.
fn settle(queue: &Queue, batch: &[Message], result: BatchResult, retry_delay: Duration) {
    let (failures, error) = match result {
        Ok(failures) => (failures, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    if let Some(error) = &error {
        tracing::error!(%error, "the handler of a batch failed; its messages are received again");
    }
    let mut failures: HashMap<_, _> = failures
        .into_iter()
        .map(|failure| (failure.message_id.clone(), failure))
        .collect();
    for message in batch {
        let id = &message.message_id;
        let settled = match failures.remove(id) {
            Some(failure) => queue.release(id, failure.delay, failure.counts),
            None if error.is_some() => queue.release(id, retry_delay, true),
            None => queue.delete(id),
        };
        if let Err(error) = settled {
            tracing::error!(
                message_id = id,
                %error,
                "the message is not settled; it comes again at the next start"
            );
        }
    }
    for id in failures.keys() {
        tracing::error!(
            message_id = id,
            "the handler names a message that is not in its batch"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::mpsc;

    use super::*;
    use crate::sqs::{QueueOptions, read_messages};

    #[tokio::test]
    async fn failed_messages_are_received_again_and_others_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let dead_letters = folder.path().join("dead");
        let queue = Queue::open(QueueOptions {
            folder: folder.path().join("queue"),
            dead_letters: dead_letters.clone(),
            redriven: folder.path().join("redriven"),
            max_receives: 2,
        });
        let queue = Arc::new(queue.unwrap());
        for body in ["done", "fails", "panics", "outage"] {
            queue.send(body.to_owned()).await.unwrap();
        }
        let source = EventSource {
            queue_name: "q".to_owned(),
            batch_size: 1,
            max_concurrency: 1,
            retry_delay: Duration::ZERO,
        };
        let (sender, mut received) = mpsc::unbounded_channel();
        let outages = Arc::new(Mutex::new(0));
        let running = tokio::spawn(source.run(queue.clone(), move |event| {
            let (sender, outages) = (sender.clone(), outages.clone());
            async move {
                let record = &event["Records"][0];
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let body = text(&record["body"]);
                let count = text(&record["attributes"]["ApproximateReceiveCount"]);
                let failure = |counts| BatchItemFailure {
                    message_id: text(&record["messageId"]),
                    delay: Duration::ZERO,
                    counts,
                };
                sender.send(format!("{body} {count}")).unwrap();
                assert_ne!(body, "panics");
                match body.as_str() {
                    "fails" => Ok(vec![failure(true)]),
                    "outage" => {
                        let mut outages = outages.lock().unwrap();
                        *outages += 1;
                        let is_over = *outages > 3;
                        Ok(if is_over {
                            Vec::new()
                        } else {
                            vec![failure(false)]
                        })
                    }
                    _ => Ok(Vec::new()),
                }
            }
        }));
        let mut handled = Vec::new();
        for _ in 0..9 {
            handled.push(received.recv().await.unwrap());
        }
        handled.sort_unstable();
        assert_eq!(
            handled,
            [
                "done 1", "fails 1", "fails 2", "outage 1", "outage 1", "outage 1", "outage 1",
                "panics 1", "panics 2"
            ]
        );
        // The last message is settled after its handler has returned.
        while queue.bodies().unwrap().len() > 2 {
            tokio::task::yield_now().await;
        }
        running.abort();
        let dead = read_messages(&dead_letters).unwrap();
        let mut dead: Vec<_> = dead.into_iter().map(|message| message.body).collect();
        dead.sort_unstable();
        assert_eq!(dead, ["fails", "panics"]);
    }
}
