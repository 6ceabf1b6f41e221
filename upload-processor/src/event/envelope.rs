//! Opens event envelopes: SQS batches, SNS notifications, `EventBridge` events, lists from `EventBridge` pipes, and
//! JSON within JSON.
//!
//! The envelopes are those of `aws_lambda_events`, with one exception. Its `SnsMessage` requires `Signature`,
//! `SignatureVersion` and `SigningCertURL`, which SNS omits in FIFO topics, so SNS's envelope is parsed leniently here.
//! Content that cannot be opened is never skipped: it is an error, or an unreadable record if it is one of several.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsMessage};
use serde_json::{Map, Value};

use super::sweep::SweepRequest;
use super::{Invocation, Message, Notice, Record, guardduty, s3};

/// The maximum nesting depth of envelopes, where lists and strings that contain JSON count, too. A pipe's list of queue
/// messages with doubly encoded SNS notifications takes nine.
const MAX_DEPTH: u32 = 16;
/// The maximum length of a reason in characters: it may quote the input.
const MAX_REASON: usize = 300;

const BYTE_ORDER_MARK: char = '\u{feff}';
const NESTED_TOPIC: &str =
    "it is an SNS notification within another; subscribe the queue to the first topic";

/// The partial-batch response: SQS keeps the messages with these ids and deletes the others.
///
/// The mapping must have `ReportBatchItemFailures`:
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>.
pub fn batch_response<I>(failed_ids: I) -> SqsBatchResponse
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    let mut response = SqsBatchResponse::default();
    response.set_failures(failed_ids);
    response
}

impl Invocation {
    /// Parses the payload of an invocation.
    ///
    /// # Errors
    ///
    /// A sentence about a batch whose messages cannot be separated, or about a malformed [`SweepRequest`]. Any other
    /// payload is [`Invocation::Direct`]; [`Notice::parse`] then says whether it is understood.
    pub fn parse(payload: &Value) -> Result<Self, String> {
        open_invocation(payload)
    }
}

impl Notice {
    /// Parses a message body: an S3 notification or an `EventBridge` event, alone or in a list. It may be wrapped in an
    /// SNS notification, an SQS message or a string that contains JSON, and may begin with a byte order mark.
    ///
    /// # Errors
    ///
    /// A sentence about a body of which nothing is understood. A body with several records is an error only if none of
    /// them is understood; otherwise the others are [`Record::Unreadable`].
    pub fn parse(body: &str) -> Result<Self, String> {
        open_body(body)
    }
}

/// Parses the payload of an invocation.
fn open_invocation(payload: &Value) -> Result<Invocation, String> {
    if let Some(request) = SweepRequest::parse(payload) {
        return request.map(Invocation::Sweep).map_err(shortened);
    }
    // A pipe's batch is a bare list.
    let records = payload.as_array().or_else(|| payload["Records"].as_array());
    let records = records.map(Vec::as_slice).unwrap_or_default();
    let is_message = |record: &Value| record["eventSource"] == "aws:sqs";
    if records.iter().any(is_message) {
        let messages = records.iter().map(read_message);
        return messages
            .collect::<Result<_, _>>()
            .map(Invocation::Batch)
            .map_err(shortened);
    }
    let bodies: Option<Vec<String>> = records.iter().map(topic_body).collect();
    let bodies = bodies.filter(|bodies| !bodies.is_empty());
    Ok(Invocation::Direct(
        bodies.unwrap_or_else(|| vec![payload.to_string()]),
    ))
}

/// Parses a body: the content of a queue or topic message, or an event without either.
fn open_body(body: &str) -> Result<Notice, String> {
    open_text(body, Within::default()).map_err(shortened)
}

/// The envelopes that have been opened already.
#[derive(Clone, Copy, Default)]
struct Within {
    depth: u32,
    topic: bool,
}

/// Parses a message member by member: a malformed one fails alone, without its batch.
fn read_message(record: &Value) -> Result<Message, String> {
    const MEMBERS: [&str; 4] = ["messageId", "receiptHandle", "body", "attributes"];
    let record = record
        .as_object()
        .ok_or("a record of the batch is not a message of SQS")?;
    let is_needed = |(name, _): &(&String, &Value)| MEMBERS.contains(&name.as_str());
    let mut needed: Map<String, Value> = record
        .iter()
        .filter(is_needed)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for value in needed.values_mut() {
        match value {
            // The attributes of the message, which are strings.
            Value::Object(attributes) => attributes.retain(|_, value| value.is_string()),
            Value::String(_) => {}
            _ => *value = Value::Null,
        }
    }
    // The input template of a pipe can turn a string body into a JSON body.
    if let Some(body @ (Value::Object(_) | Value::Array(_))) = record.get("body") {
        needed.insert("body".to_owned(), Value::String(body.to_string()));
    }
    let message: SqsMessage = serde_json::from_value(Value::Object(needed))
        .map_err(|error| format!("a record of the batch is not a message of SQS: {error}"))?;
    let receive_count = message
        .attributes
        .get("ApproximateReceiveCount")
        .and_then(|count| count.parse().ok())
        .unwrap_or(1);
    Ok(Message {
        // The response cannot name a message without it.
        id: message
            .message_id
            .filter(|id| !id.is_empty())
            .ok_or("a message of the batch has no messageId")?,
        body: message.body.unwrap_or_default(),
        receive_count: u32::max(receive_count, 1),
        receipt_handle: message.receipt_handle,
    })
}

/// The message in a record of SNS's own event; `None` if it is not one.
fn topic_body(record: &Value) -> Option<String> {
    if record["EventSource"] != "aws:sns" {
        return None;
    }
    let message = record["Sns"]["Message"].as_str()?;
    let within = Within {
        depth: 0,
        topic: true,
    };
    // Without its envelope, the nested notification would look like the first.
    let is_nested = open_text(message, within).is_err_and(|reason| reason == NESTED_TOPIC);
    Some(if is_nested {
        record.to_string()
    } else {
        message.to_owned()
    })
}

fn open_text(text: &str, within: Within) -> Result<Notice, String> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    let value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    open_value(value, within)
}

fn open_value(value: Value, within: Within) -> Result<Notice, String> {
    if within.depth == MAX_DEPTH {
        return Err(format!("it is nested more than {MAX_DEPTH} deep"));
    }
    let within = Within {
        depth: within.depth + 1,
        ..within
    };
    match value {
        Value::String(text) => open_text(&text, within),
        Value::Array(records) => open_list(records, within),
        Value::Object(members) => open_object(members, within),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            Err("it is JSON, but neither an object nor a list".to_owned())
        }
    }
}

/// Opens each item separately: one that is not understood does not prevent the others from being processed.
fn open_list(items: Vec<Value>, within: Within) -> Result<Notice, String> {
    // S3 never sends an empty list. An intermediary has removed the records, and one of them may be an upload.
    if items.is_empty() {
        return Err("its list of records is empty, so its objects are unknown".to_owned());
    }
    let mut records = Vec::with_capacity(items.len());
    for item in items {
        match open_value(item, within) {
            Ok(Notice::Records(more)) => records.extend(more),
            Ok(Notice::Test) => records.push(Record::Other("s3:TestEvent".to_owned())),
            Err(reason) => records.push(Record::Unreadable(shortened(reason))),
        }
    }
    Ok(Notice::Records(records))
}

fn open_object(mut members: Map<String, Value>, within: Within) -> Result<Notice, String> {
    let text = |name| members.get(name).and_then(Value::as_str);
    let has = |name| members.contains_key(name);
    if let Some(kind) = text("Type")
        && (has("Message") || has("TopicArn"))
    {
        return match kind {
            "Notification" => open_topic(members, within),
            _ => Err(format!(
                "it is an SNS message of type {kind:?}, which does not name an object"
            )),
        };
    }
    if has("detail-type") {
        if has("Records") {
            return Err("it is an event of EventBridge, and has Records as well".to_owned());
        }
        return open_event(members);
    }
    if let Some(records) = members.remove("Records") {
        return match records {
            Value::Array(records) => open_list(records, within),
            _ => Err("its Records are not a list".to_owned()),
        };
    }
    let text = |name| members.get(name).and_then(Value::as_str);
    match (text("Event"), text("eventSource"), text("EventSource")) {
        (Some("s3:TestEvent"), None, None) => Ok(Notice::Test),
        (_, Some("aws:s3"), _) => {
            s3::read_record(Value::Object(members)).map(|record| Notice::Records(vec![record]))
        }
        (_, Some("aws:sqs"), _) => open_value(take(&mut members, "body")?, within),
        (_, _, Some("aws:sns")) => match take(&mut members, "Sns")? {
            Value::Object(notification) => open_topic(notification, within),
            _ => Err("its Sns member is not an object".to_owned()),
        },
        (_, Some(source), _) | (_, _, Some(source)) => {
            Err(format!("its event source is {source:?}, not \"aws:s3\""))
        }
        _ if members.contains_key("sweep") => {
            Err("a sweep is the whole payload of a direct invocation, and not a message".to_owned())
        }
        _ => Err("it is not a notification of S3, SNS or EventBridge: \
             it has no Records, no detail-type and no eventSource"
            .to_owned()),
    }
}

fn open_topic(mut notification: Map<String, Value>, within: Within) -> Result<Notice, String> {
    if within.topic {
        return Err(NESTED_TOPIC.to_owned());
    }
    let within = Within {
        topic: true,
        ..within
    };
    open_value(take(&mut notification, "Message")?, within)
}

fn open_event(members: Map<String, Value>) -> Result<Notice, String> {
    let event: EventBridgeEvent = serde_json::from_value(Value::Object(members))
        .map_err(|error| format!("it is not an event of EventBridge: {error}"))?;
    let record = match (event.source.as_str(), event.detail_type.as_str()) {
        ("aws.s3", s3::OBJECT_CREATED) => s3::read_detail(event.detail),
        ("aws.guardduty", guardduty::SCAN_RESULT) => guardduty::read_detail(event.detail),
        ("aws.s3", kind) if s3::OTHER_KINDS.contains(&kind) => {
            Ok(Record::Other(format!("aws.s3 {kind}")))
        }
        // Forwarded under another name, or with a record of S3 in it.
        (source, kind) if s3::names_object(&event.detail) || s3::mentions_upload(&event.detail) => {
            Err(format!(
                "it is about an object, and comes from {source:?} as {kind:?}, which is not understood"
            ))
        }
        (source, kind) => Ok(Record::Other(format!("{source} {kind}"))),
    };
    let record = record.unwrap_or_else(|reason| Record::Unreadable(shortened(reason)));
    Ok(Notice::Records(vec![record]))
}

fn take(members: &mut Map<String, Value>, name: &str) -> Result<Value, String> {
    let member = members.remove(name);
    member.ok_or_else(|| format!("its {name} is missing"))
}

fn shortened(reason: String) -> String {
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason,
    }
}

#[cfg(test)]
mod tests;
