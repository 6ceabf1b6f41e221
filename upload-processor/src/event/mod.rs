//! Parses events into the objects that were created.
//!
//! S3 reports through a queue, a topic or `EventBridge`, each with its own envelope, or invokes the function directly.
//! `envelope` opens the envelopes, with the types of `aws_lambda_events`. `s3` and `guardduty` parse the contents, with
//! Gatepost's own lenient types, and explain why. `sweep` parses the only request that is not about an object.
//!
//! The processor, `gatepost replay` and the local stack call this module. It does no I/O. A body that is not understood
//! is an error: its message must fail and reach the dead-letter queue, because it may be about an upload.

mod envelope;
mod guardduty;
mod s3;
mod sweep;

pub use envelope::batch_response;
pub use sweep::{SweepRequest, parse_since};

/// The payload of an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Invocation {
    /// A batch of queue messages: the response names those that failed.
    Batch(Vec<Message>),
    /// An event without a queue, from S3, SNS or `EventBridge`: its bodies succeed or fail together.
    Direct(Vec<String>),
    /// A request to find uploads whose event was lost.
    Sweep(SweepRequest),
}

/// A message of a queue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// The id by which the response names it, if it fails.
    pub id: String,
    /// The content.
    pub body: String,
    /// How many times it was received, including this time; 1 if unknown.
    pub receive_count: u32,
    /// The receipt handle, for changing the visibility timeout of an SQS message.
    pub receipt_handle: Option<String>,
}

/// The parsed body of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The test event that S3 sends when it gets a new notification configuration.
    Test,
    /// Records of created objects or of other events. There is at least one record.
    Records(Vec<Record>),
}

/// One record of a notification.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// An object was created.
    Created(CreatedObject),
    /// Another event: its name.
    Other(String),
    /// A record that is not understood and may be about an upload: a sentence about it. Its message must fail.
    Unreadable(String),
}

/// A created object, as its notification describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedObject {
    /// The bucket's name.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The version id, in a bucket with versioning.
    pub version_id: Option<String>,
    /// Whether it is `GuardDuty` that tells of it: then uploads pass its scan before they are worked on.
    pub is_from_scan: bool,
    /// Whether the event says that a scan found malware in it.
    pub is_threat: bool,
    /// The `ETag`, without quotation marks.
    pub etag: Option<String>,
}

impl CreatedObject {
    /// The object that an event names; the error is a sentence about an empty name.
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

    /// The condition for `If-Match` that pins the read to this content; `None` if the version already does.
    pub(crate) fn if_match(&self) -> Option<String> {
        match (&self.version_id, &self.etag) {
            (None, Some(etag)) => Some(format!("\"{etag}\"")),
            _ => None,
        }
    }
}

/// A version id to request. `null` is the version of an object in a bucket without versioning: requesting it by name
/// would need a permission that the role does not have otherwise.
fn version(id: Option<String>) -> Option<String> {
    id.filter(|id| !id.is_empty() && id != "null")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_null_version_is_not_requested() {
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
