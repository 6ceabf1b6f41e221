//! The dead letters in a queue of SQS, which can only be read by receiving them.
//!
//! A look keeps every received message hidden until it has seen all of them, so each is received once. Then it makes all
//! visible again: before any other step, after an error, and after Ctrl-C. A killed process leaves them hidden until
//! their visibility timeout ends. Receiving raises the receive count, which would move messages if the queue itself had a
//! redrive policy: such a queue is refused.
//!
//! `StartMessageMoveTask` is not used. It moves everything or nothing, reports neither which messages it moved nor which
//! it could not, and cannot skip messages that have failed again in the meantime.

mod error;
mod held;
mod main_queue;

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{anyhow, bail};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};

use super::interruption::Interrupted;
use super::letter::DeadLetter;
use super::selection::{Move, Selection};
use crate::stop::Stop;
use crate::terminal::output;
use crate::terminal::printable::printable;

use error::reason;
use held::{Held, Received};
use main_queue::MainQueues;

/// The most messages that SQS gives in one call.
const BATCH: i32 = 10;
/// How long SQS waits for a message: any longer than 0 makes it ask all of its servers.
const WAIT_SECONDS: i32 = 1;
/// All messages have been seen after this many consecutive rounds without a new id.
const IDLE_ROUNDS: u32 = 2;

/// A dead-letter queue.
pub(super) struct SqsQueue {
    sqs: Client,
    url: String,
    /// Approximate.
    n_messages: usize,
}

/// Called for each message that was to be moved.
type OnMove<'a> = dyn FnMut(&DeadLetter, &Move) + 'a;

impl SqsQueue {
    /// Refuses a queue with a redrive policy, because receiving its messages would move them.
    pub(super) async fn open(sqs: Client, url: &str) -> anyhow::Result<Self> {
        let request = sqs
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::RedrivePolicy)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessages);
        let answer = request
            .send()
            .await
            .map_err(|error| anyhow!("the queue {url} cannot be asked: {}", reason(&error)))?;
        let attributes = answer.attributes.unwrap_or_default();
        if let Some(policy) = attributes.get(&QueueAttributeName::RedrivePolicy) {
            bail!(
                "{url} has a redrive policy itself, so every look at a message counts as a receive; name the dead-letter queue of that policy: {}",
                printable(policy)
            );
        }
        let n_messages = attributes
            .get(&QueueAttributeName::ApproximateNumberOfMessages)
            .and_then(|number| number.parse().ok())
            .unwrap_or(0);
        Ok(Self {
            sqs,
            url: url.to_owned(),
            n_messages,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn approximate_number(&self) -> usize {
        self.n_messages
    }

    /// The selected dead letters; all received messages are visible again afterwards.
    pub(super) async fn look(
        &self,
        selection: Selection<'_>,
        stop: &Stop,
    ) -> anyhow::Result<Vec<DeadLetter>> {
        let mut held = Held::default();
        let result = self.receive_selected(selection, stop, &mut held).await;
        self.release(&held).await;
        result?;
        let letters = held.into_letters();
        Ok(letters.filter(|letter| selection.has(&letter.id)).collect())
    }

    async fn receive_selected(
        &self,
        selection: Selection<'_>,
        stop: &Stop,
        held: &mut Held,
    ) -> anyhow::Result<()> {
        let mut n_idle = 0;
        while n_idle < IDLE_ROUNDS && !selection.is_complete(|id| held.has(id)) {
            let mut is_idle = true;
            for received in self.receive(stop).await? {
                is_idle &= !held.hold(received);
            }
            n_idle = if is_idle { n_idle + 1 } else { 0 };
        }
        Ok(())
    }

    /// Moves the selected dead letters; all other received messages are visible again afterwards.
    pub(super) async fn redrive(
        &self,
        main_queue_url: Option<&str>,
        selection: Selection<'_>,
        stop: &Stop,
        on_move: &mut OnMove<'_>,
    ) -> anyhow::Result<()> {
        let main_queues = MainQueues::of(&self.sqs, &self.url, main_queue_url).await?;
        let mut held = Held::default();
        let result = self
            .move_selected(&main_queues, selection, stop, &mut held, on_move)
            .await;
        self.release(&held).await;
        result
    }

    async fn move_selected(
        &self,
        main_queues: &MainQueues,
        selection: Selection<'_>,
        stop: &Stop,
        held: &mut Held,
        on_move: &mut OnMove<'_>,
    ) -> anyhow::Result<()> {
        let mut moved = HashSet::new();
        // A message that fails again at once returns with the id that it has in the main queue.
        let mut sent = HashSet::new();
        let mut n_idle = 0;
        while n_idle < IDLE_ROUNDS
            && !selection.is_complete(|id| moved.contains(id) || held.has(id))
        {
            let mut is_idle = true;
            for received in self.receive(stop).await? {
                let id = received.letter.id.clone();
                let is_new = !moved.contains(&id) && !held.has(&id);
                is_idle &= !is_new;
                held.hold(received);
                if !is_new || !selection.has(&id) || sent.contains(&id) || stop.is_asked() {
                    continue;
                }
                let Some(received) = held.get(&id) else {
                    continue;
                };
                let outcome = self.move_one(main_queues, received).await;
                on_move(&received.letter, &outcome);
                if let Move::Done(new_id) = outcome {
                    held.forget(&id);
                    moved.insert(id);
                    sent.insert(new_id);
                }
            }
            n_idle = if is_idle { n_idle + 1 } else { 0 };
        }
        Ok(())
    }

    /// Sends a message to the main queue, and deletes it here once it is there.
    async fn move_one(&self, main_queues: &MainQueues, received: &Received) -> Move {
        let id = match main_queues.send(&self.sqs, received).await {
            Ok(id) => id,
            Err(reason) => return Move::Failed(reason),
        };
        let delete = self
            .sqs
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(&received.handle);
        match delete.send().await {
            Ok(_) => Move::Done(id),
            Err(error) => Move::Failed(format!(
                "it was sent as {id}, and cannot be deleted here: {}",
                reason(&error)
            )),
        }
    }

    /// One round. It is never cancelled midway: received messages would stay hidden, since nobody knew their handles.
    async fn receive(&self, stop: &Stop) -> anyhow::Result<Vec<Received>> {
        if stop.is_asked() {
            return Err(Interrupted.into());
        }
        let visibility = visibility(self.n_messages);
        let request = self
            .sqs
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(BATCH)
            .wait_time_seconds(WAIT_SECONDS)
            .visibility_timeout(i32::try_from(visibility.as_secs()).unwrap_or(i32::MAX))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        let answer = request.send().await.map_err(|error| {
            let reason = reason(&error);
            anyhow!("messages of {} cannot be received: {reason}", self.url)
        })?;
        let messages = answer.messages.unwrap_or_default();
        Ok(messages.into_iter().filter_map(Received::new).collect())
    }

    /// Makes messages visible again. A failure is a warning: the visibility timeout makes them visible later.
    async fn release(&self, held: &Held) {
        let visibility = visibility(self.n_messages);
        let mut failures = Vec::new();
        let mut n_hidden = 0;
        for entries in held.releases(visibility) {
            let n_entries = entries.len();
            let request = self
                .sqs
                .change_message_visibility_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries));
            match request.send().await {
                Ok(answer) => {
                    n_hidden += answer.failed.len();
                    let reasons = answer.failed.into_iter();
                    failures.extend(reasons.map(|failed| failed.message.unwrap_or(failed.code)));
                }
                Err(error) => {
                    n_hidden += n_entries;
                    failures.push(reason(&error));
                }
            }
        }
        if let Some(reason) = failures.first() {
            output::warn(format_args!(
                "{n_hidden} dead letters stay hidden for up to {} s: {}",
                visibility.as_secs(),
                printable(reason)
            ));
        }
    }
}

/// The visibility timeout of received messages: long enough to receive all of them, at 50 messages a second.
fn visibility(n_messages: usize) -> Duration {
    const RANGE: std::ops::RangeInclusive<u64> = 30..=900;
    let seconds = 30 + n_messages as u64 / 50;
    Duration::from_secs(seconds.clamp(*RANGE.start(), *RANGE.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_hidden_for_as_long_as_a_look_takes() {
        for (n_messages, seconds) in [
            (0, 30),
            (49, 30),
            (1_000, 50),
            (10_000, 230),
            (1_000_000, 900),
        ] {
            assert_eq!(visibility(n_messages), Duration::from_secs(seconds));
        }
    }
}
