//! Reads messages from the files that operators have: the output of `aws sqs receive-message`, one message of it, a dead
//! letter of the local stack, and the output of `gatepost dlq show --format json`.

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::Value;
use upload_processor::event::Message;

/// A message. The AWS command line and the files of the local stack name the members differently.
#[derive(Deserialize)]
struct Kept {
    #[serde(rename = "MessageId", alias = "message_id")]
    id: String,
    #[serde(rename = "Body", alias = "body")]
    body: String,
    receive_count: Option<u32>,
    /// Texts.
    #[serde(rename = "Attributes", default)]
    attributes: Value,
}

/// Reads messages; `None` if the file contains something else.
///
/// # Errors
///
/// A sentence about a message without an id or a body, and about a list of messages that is empty.
pub(super) fn read(value: &Value) -> anyhow::Result<Option<Vec<Message>>> {
    let messages = match &value["Messages"] {
        Value::Array(messages) => messages.as_slice(),
        _ if is_message(value) => std::slice::from_ref(value),
        _ => match value.as_array() {
            Some(messages) if !messages.is_empty() && messages.iter().all(is_message) => messages,
            _ => return Ok(None),
        },
    };
    ensure!(!messages.is_empty(), "its list of messages is empty");
    let messages = messages.iter().map(read_message);
    messages.collect::<anyhow::Result<_>>().map(Some)
}

fn is_message(value: &Value) -> bool {
    let has = |name| value.get(name).is_some();
    (has("MessageId") && has("Body")) || (has("message_id") && has("body"))
}

fn read_message(value: &Value) -> anyhow::Result<Message> {
    let kept = Kept::deserialize(value).context("it holds a message that cannot be read")?;
    let counted = kept.attributes["ApproximateReceiveCount"].as_str();
    let counted = counted.and_then(|count| count.parse().ok());
    Ok(Message {
        id: kept.id,
        body: kept.body,
        receive_count: kept.receive_count.or(counted).unwrap_or(1),
        receipt_handle: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_of_every_source_are_read() {
        let of_aws = json!({
            "MessageId": "1", "ReceiptHandle": "r", "MD5OfBody": "m", "Body": "{}",
            "Attributes": {"ApproximateReceiveCount": "9", "SentTimestamp": "1"},
        });
        let bare = json!({"MessageId": "1", "Body": "{}"});
        let local = json!({
            "message_id": "1", "body": "{}", "sent_at": "2026-11-27T12:00:00Z", "receive_count": 9,
        });
        for (value, expected) in [
            (json!({"Messages": [of_aws]}), Some(vec![("1", 9)])),
            (
                json!({"Messages": [of_aws, bare]}),
                Some(vec![("1", 9), ("1", 1)]),
            ),
            (of_aws.clone(), Some(vec![("1", 9)])),
            (bare.clone(), Some(vec![("1", 1)])),
            (local, Some(vec![("1", 9)])),
            (json!([of_aws, bare]), Some(vec![("1", 9), ("1", 1)])),
            // Events, and a pipe's list of messages in another form.
            (json!({"Records": []}), None),
            (json!([]), None),
            (json!([{"messageId": "1", "body": "{}"}]), None),
            (json!({"body": "{}"}), None),
            (Value::Null, None),
        ] {
            let found = read(&value).unwrap();
            let found = found.map(|messages| {
                let messages = messages.into_iter();
                let counts = messages.map(|message| (message.id, message.receive_count));
                counts.collect::<Vec<_>>()
            });
            let expected = expected.map(|messages| {
                let messages = messages.into_iter();
                let counts = messages.map(|(id, count)| (id.to_owned(), count));
                counts.collect::<Vec<_>>()
            });
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn messages_that_cannot_be_read_are_refused() {
        for value in [
            json!({"Messages": []}),
            json!({"Messages": [{"MessageId": "1"}]}),
            json!({"MessageId": 1, "Body": "{}"}),
            json!({"message_id": "1", "body": null}),
        ] {
            assert!(read(&value).is_err(), "{value}");
        }
    }
}
