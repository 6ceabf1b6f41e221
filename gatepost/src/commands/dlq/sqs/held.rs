//! The messages that a look has received and must make visible again.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName,
};
use jiff::Timestamp;

use crate::commands::dlq::letter::DeadLetter;

/// The most messages whose visibility SQS changes in one call.
const BATCH: usize = 10;

/// A message as it was received.
pub(super) struct Received {
    pub(super) letter: DeadLetter,
    pub(super) handle: String,
    /// The sender's own attributes, which a move preserves.
    pub(super) attributes: Option<HashMap<String, MessageAttributeValue>>,
    /// The message group of a FIFO queue.
    pub(super) group: Option<String>,
    /// The queue that it came from.
    pub(super) source_arn: Option<String>,
    at: Instant,
}

/// Messages by their ids.
#[derive(Default)]
pub(super) struct Held(BTreeMap<String, Received>);

impl Received {
    /// `None` for a message without an id or a receipt handle, which SQS does not send.
    pub(super) fn new(message: Message) -> Option<Self> {
        let attributes = message.attributes.unwrap_or_default();
        let text = |name| attributes.get(&name).cloned();
        let time = |name| {
            let millis = text(name)?.parse().ok()?;
            let time = Timestamp::from_millisecond(millis).ok()?;
            (time > Timestamp::UNIX_EPOCH).then_some(time)
        };
        let first = MessageSystemAttributeName::ApproximateFirstReceiveTimestamp;
        let count = text(MessageSystemAttributeName::ApproximateReceiveCount);
        Some(Self {
            letter: DeadLetter {
                id: message.message_id?,
                body: message.body.unwrap_or_default(),
                sent_at: time(MessageSystemAttributeName::SentTimestamp)
                    .unwrap_or(Timestamp::UNIX_EPOCH),
                first_received_at: time(first),
                receive_count: count.and_then(|count| count.parse().ok()).unwrap_or(1),
            },
            handle: message.receipt_handle?,
            attributes: message.message_attributes,
            group: text(MessageSystemAttributeName::MessageGroupId),
            source_arn: text(MessageSystemAttributeName::DeadLetterQueueSourceArn),
            at: Instant::now(),
        })
    }
}

impl Held {
    /// Holds a message; returns whether it is new. A message received again replaces its older handle.
    pub(super) fn hold(&mut self, received: Received) -> bool {
        let id = received.letter.id.clone();
        self.0.insert(id, received).is_none()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Received> {
        self.0.get(id)
    }

    /// Forgets a message that was deleted.
    pub(super) fn forget(&mut self, id: &str) {
        self.0.remove(id);
    }

    pub(super) fn into_letters(self) -> impl Iterator<Item = DeadLetter> {
        self.0.into_values().map(|received| received.letter)
    }

    /// The requests that make all of them visible, in batches. A message whose timeout has ended is visible already, and
    /// SQS would refuse its handle.
    pub(super) fn releases(
        &self,
        visibility: Duration,
    ) -> Vec<Vec<ChangeMessageVisibilityBatchRequestEntry>> {
        let hidden: Vec<_> = self
            .0
            .values()
            .filter(|received| received.at.elapsed() < visibility)
            .collect();
        hidden
            .chunks(BATCH)
            .map(|batch| {
                let entries = batch.iter().enumerate().filter_map(|(idx, received)| {
                    ChangeMessageVisibilityBatchRequestEntry::builder()
                        .id(idx.to_string())
                        .receipt_handle(&received.handle)
                        .visibility_timeout(0)
                        .build()
                        // Both required members are set.
                        .ok()
                });
                entries.collect()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, handle: &str, attributes: &[(&str, &str)]) -> Message {
        let attributes = attributes
            .iter()
            .map(|(name, value)| (MessageSystemAttributeName::from(*name), (*value).to_owned()));
        Message::builder()
            .message_id(id)
            .receipt_handle(handle)
            .body("{}")
            .set_attributes(Some(attributes.collect()))
            .build()
    }

    #[test]
    fn a_message_is_released_once_with_its_newest_handle() {
        let mut held = Held::default();
        for (id, handle, is_new) in [("1", "a", true), ("2", "b", true), ("1", "c", false)] {
            let received = Received::new(message(id, handle, &[])).unwrap();
            assert_eq!(held.hold(received), is_new, "{handle}");
        }
        for n in 3..=12 {
            let id = n.to_string();
            held.hold(Received::new(message(&id, &id, &[])).unwrap());
        }
        held.forget("2");
        let releases = held.releases(Duration::from_mins(1));
        let sizes: Vec<_> = releases.iter().map(Vec::len).collect();
        assert_eq!(sizes, [10, 1]);
        let first = &releases[0][0];
        assert_eq!(
            (first.receipt_handle(), first.visibility_timeout()),
            ("c", Some(0))
        );
        assert!(held.releases(Duration::ZERO).is_empty());
    }

    #[test]
    fn what_sqs_says_of_a_message_is_read() {
        let received = Received::new(message(
            "1",
            "a",
            &[
                ("SentTimestamp", "1795867200000"),
                ("ApproximateFirstReceiveTimestamp", "0"),
                ("ApproximateReceiveCount", "10"),
                (
                    "DeadLetterQueueSourceArn",
                    "arn:aws:sqs:eu-central-1:1:uploads",
                ),
            ],
        ))
        .unwrap();
        let expected = DeadLetter {
            id: "1".to_owned(),
            body: "{}".to_owned(),
            sent_at: "2026-11-28T12:00:00Z".parse().unwrap(),
            first_received_at: None,
            receive_count: 10,
        };
        assert_eq!(received.letter, expected);
        assert_eq!(
            received.source_arn.as_deref(),
            Some("arn:aws:sqs:eu-central-1:1:uploads")
        );
        let without_handle = Message::builder().message_id("1").build();
        assert!(Received::new(without_handle).is_none());
    }
}
