//! What an event says: which objects were created.
//!
//! S3 reports through a queue, a topic or `EventBridge`, each with its own envelope, or invokes the function directly.
//! `envelope` opens envelopes, with the types of `aws_lambda_events`; `s3` and `guardduty` read what is in them, with
//! lenient types of our own, and say why. `sweep` reads the only request that is not about an object.
//!
//! The processor, `gatepost replay` and the local stack call this module. It does no I/O. A body that is not understood
//! is an error: its message must fail and reach the dead-letter queue, because it may be about an upload.

mod envelope;
mod guardduty;
mod s3;
mod sweep;

use serde_json::Value;

pub use envelope::batch_response;
pub use sweep::{SweepRequest, parse_since};

/// What the function was invoked with.
#[derive(Clone, Debug, PartialEq)]
pub enum Invocation {
    /// A batch of a queue's messages: the answer names those that have failed.
    Batch(Vec<Message>),
    /// An event without a queue, from S3, SNS or `EventBridge`: the bodies in it succeed or fail as one.
    Direct(Vec<String>),
    /// A request to look for uploads that no event told of.
    Sweep(SweepRequest),
}

/// A queue's message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// The id by which the answer names it, if it fails.
    pub id: String,
    /// What was sent.
    pub body: String,
    /// How often it was received, this time included; 1 where that is unknown.
    pub receive_count: u32,
    /// The handle with which its visibility can be changed, in a message of SQS.
    pub receipt_handle: Option<String>,
}

/// A message's body, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// S3 was given a new notification configuration and tries it out.
    Test,
    /// Objects were created, or something else happened to them. There is at least one record.
    Records(Vec<Record>),
}

/// One record of a notification.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// An object was created.
    Created(CreatedObject),
    /// Something else happened: the event's name.
    Other(String),
    /// It is not understood, and may be about an upload: a sentence about it. Its message must fail.
    Unreadable(String),
}

/// A created object, as its notification describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedObject {
    /// The bucket's name.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The version, in a bucket that keeps them.
    pub version_id: Option<String>,
    /// Whether it is `GuardDuty` that tells of it: then uploads pass its scan before they are worked on.
    pub is_from_scan: bool,
    /// Whether the event says that a scan found malware in it.
    pub is_threat: bool,
    /// The `ETag`, without quotation marks.
    pub etag: Option<String>,
}

impl Invocation {
    /// Reads the payload of an invocation.
    ///
    /// # Errors
    ///
    /// A sentence about a batch whose messages cannot be told apart, or about a malformed [`SweepRequest`]. Any other
    /// payload is [`Invocation::Direct`], and [`Notice::parse`] says whether it is understood.
    pub fn parse(payload: &Value) -> Result<Self, String> {
        envelope::open_invocation(payload)
    }
}

impl Notice {
    /// Reads a message's body: a notification of S3 or an event of `EventBridge`, alone or in a list, as it is or within
    /// an SNS notification, a message of SQS or a text that holds JSON, after a byte order mark or not.
    ///
    /// # Errors
    ///
    /// A sentence about a body of which nothing is understood. A body with several records is understood if one of them
    /// may be: the others are [`Record::Unreadable`].
    pub fn parse(body: &str) -> Result<Self, String> {
        envelope::open_body(body)
    }
}

impl CreatedObject {
    /// The object that an event names; the error is a sentence about a name that is empty.
    fn new(
        bucket: String,
        key: String,
        version_id: Option<String>,
        etag: Option<String>,
    ) -> Result<Self, String> {
        if bucket.is_empty() || key.is_empty() {
            return Err("the name of its bucket or its key is empty".to_owned());
        }
        let etag = etag.map(|etag| etag.trim_matches('"').to_owned());
        Ok(Self {
            bucket,
            key,
            version_id: version(version_id),
            is_from_scan: false,
            is_threat: false,
            etag: etag.filter(|etag| !etag.is_empty()),
        })
    }

    /// The condition, for `If-Match`, under which it is this content that is read; `None` where the version says so.
    pub(crate) fn if_match(&self) -> Option<String> {
        match (&self.version_id, &self.etag) {
            (None, Some(etag)) => Some(format!("\"{etag}\"")),
            _ => None,
        }
    }
}

/// A version that can be asked for. `null` is that of an object in a bucket without versions: asking for it by name would
/// need a permission that the role does not have otherwise.
fn version(id: Option<String>) -> Option<String> {
    id.filter(|id| !id.is_empty() && id != "null")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_version_is_asked_for_that_does_not_exist() {
        for (named, version) in [
            (json!(""), None),
            (json!("null"), None),
            (Value::Null, None),
            (json!("3HL4kqtJlcpXroDTDmJ"), Some("3HL4kqtJlcpXroDTDmJ")),
        ] {
            let scan = json!({
                "source": "aws.guardduty",
                "detail-type": "GuardDuty Malware Protection Object Scan Result",
                "detail": {"s3ObjectDetails": {"bucketName": "b", "objectKey": "k", "versionId": named}},
            });
            let put = json!({"Records": [{
                "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Post",
                "s3": {"bucket": {"name": "b"}, "object": {"key": "k", "versionId": named}},
            }]});
            let event = json!({
                "source": "aws.s3", "detail-type": "Object Created",
                "detail": {"bucket": {"name": "b"}, "object": {"key": "k", "version-id": named}},
            });
            for body in [scan, put, event] {
                let Ok(Notice::Records(records)) = Notice::parse(&body.to_string()) else {
                    panic!("{body}");
                };
                let [Record::Created(object)] = &records[..] else {
                    panic!("{body}");
                };
                assert_eq!(object.version_id.as_deref(), version, "{body}");
            }
        }
    }
}
