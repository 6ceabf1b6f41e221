//! The main queue: the one that a dead letter came from, and that a redrive sends it to.

use anyhow::{anyhow, bail};
use aws_sdk_sqs::Client;

use super::error::reason;
use super::held::Received;

/// The source queues of a dead-letter queue.
pub(super) struct MainQueues(Vec<String>);

impl MainQueues {
    /// The queue that was named, otherwise those that SQS lists.
    pub(super) async fn of(sqs: &Client, url: &str, named: Option<&str>) -> anyhow::Result<Self> {
        if let Some(named) = named {
            if named == url {
                bail!("--main-queue-url names the dead-letter queue itself");
            }
            return Ok(Self(vec![named.to_owned()]));
        }
        let mut pages = sqs
            .list_dead_letter_source_queues()
            .queue_url(url)
            .into_paginator()
            .items()
            .send();
        let mut sources = Vec::new();
        while let Some(source) = pages.next().await {
            sources.push(source.map_err(|error| {
                anyhow!(
                    "SQS cannot be asked which queue {url} belongs to: {}; name it with --main-queue-url",
                    reason(&error)
                )
            })?);
        }
        if sources.is_empty() {
            bail!(
                "no queue has {url} as its dead-letter queue; name the destination with --main-queue-url"
            );
        }
        Ok(Self(sources))
    }

    /// Sends a dead letter to its queue as a new message; returns that message's id.
    pub(super) async fn send(&self, sqs: &Client, received: &Received) -> Result<String, String> {
        let letter = &received.letter;
        let url = choose(&self.0, received.source_arn.as_deref())?;
        let mut request = sqs
            .send_message()
            .queue_url(url)
            .message_body(&letter.body)
            .set_message_attributes(received.attributes.clone());
        if url.strip_suffix(".fifo").is_some() {
            // SQS deduplicates a second attempt within five minutes, such as after a failed deletion.
            request = request
                .message_group_id(received.group.as_deref().unwrap_or(&letter.id))
                .message_deduplication_id(&letter.id);
        }
        let sent = request
            .send()
            .await
            .map_err(|error| format!("{url} refused it: {}", reason(&error)))?;
        Ok(sent.message_id.unwrap_or_default())
    }
}

/// The queue of a dead letter that comes from the queue with this ARN.
fn choose<'a>(urls: &'a [String], source_arn: Option<&str>) -> Result<&'a str, String> {
    if let [only] = urls {
        return Ok(only);
    }
    let name = source_arn.and_then(|arn| arn.rsplit(':').next());
    let named = urls.iter().find(|url| url.rsplit('/').next() == name);
    named.map(String::as_str).ok_or_else(|| {
        format!(
            "several queues use this dead-letter queue, and SQS does not say which one the message came from; name one with --main-queue-url: {}",
            urls.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_goes_back_to_where_it_came_from() {
        let one = ["https://sqs.eu-central-1.amazonaws.com/1/uploads".to_owned()];
        let two = [
            one[0].clone(),
            "https://sqs.eu-central-1.amazonaws.com/1/others".to_owned(),
        ];
        for (urls, arn, expected) in [
            (&one[..], None, Some(0)),
            (&one, Some("arn:aws:sqs:eu-central-1:1:renamed"), Some(0)),
            (&two, Some("arn:aws:sqs:eu-central-1:1:uploads"), Some(0)),
            (&two, Some("arn:aws:sqs:eu-central-1:1:others"), Some(1)),
            (&two, Some("arn:aws:sqs:eu-central-1:1:other"), None),
            (&two, None, None),
        ] {
            let chosen = choose(urls, arn).ok();
            assert_eq!(chosen, expected.map(|idx: usize| &*urls[idx]), "{arn:?}");
        }
    }
}
