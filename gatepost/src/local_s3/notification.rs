//! What S3 tells a queue when an object is created: the notification of eventVersion 2.x.
//!
//! The shape is that of the S3 user guide, "Event message structure": the key is form-encoded, the sequencer grows.
//! Consumers refuse events without `userIdentity` and `requestParameters`, so both are there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::REGION;
use super::encoding::encode_form;
use crate::queue::Queue;

/// An object that was just written.
#[derive(Clone, Debug)]
pub(crate) struct CreatedObject {
    /// `ObjectCreated:Post` or `ObjectCreated:Put`.
    pub(crate) event_name: &'static str,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) size: u64,
    /// Without quotation marks.
    pub(crate) etag: String,
    /// Of the credentials that the request was signed with.
    pub(crate) access_key: String,
}

/// Sends notifications about one bucket's prefix to a queue, as a bucket's notification configuration does.
#[derive(Clone)]
pub(crate) struct Notifier {
    bucket: String,
    prefix: String,
    queue: Option<Arc<Queue>>,
}

impl Notifier {
    pub(crate) fn new(bucket: &str, prefix: &str, queue: Arc<Queue>) -> Self {
        Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            queue: Some(queue),
        }
    }

    /// One that tells nobody.
    pub(crate) fn silent() -> Self {
        Self {
            bucket: String::new(),
            prefix: String::new(),
            queue: None,
        }
    }

    /// Queues the notification; when this returns, it is on disk.
    pub(crate) async fn object_created(&self, object: &CreatedObject) -> io::Result<()> {
        match &self.queue {
            Some(queue) if object.bucket == self.bucket && object.key.starts_with(&self.prefix) => {
                let body = notification(Timestamp::now(), object).to_string();
                queue.send(body).await
            }
            _ => Ok(()),
        }
    }
}

/// The notification of one created object.
fn notification(now: Timestamp, object: &CreatedObject) -> Value {
    let request_id = format!("{:016X}", sequencer(now));
    json!({"Records": [{
        "eventVersion": "2.2",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": format!("{now:.3}"),
        "eventName": object.event_name,
        "userIdentity": {"principalId": format!("AWS:{}", object.access_key)},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": request_id, "x-amz-id-2": request_id},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "gatepost-uploads",
            "bucket": {
                "name": object.bucket,
                "ownerIdentity": {"principalId": "GATEPOSTLOCAL"},
                "arn": format!("arn:aws:s3:::{}", object.bucket),
            },
            "object": {
                "key": encode_form(&object.key),
                "size": object.size,
                "eTag": object.etag,
                "sequencer": format!("{:018X}", sequencer(now)),
            },
        },
    }]})
}

/// A number that grows with every event of this process, and from one process to the next.
fn sequencer(now: Timestamp) -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = u64::try_from(now.as_microsecond()).unwrap_or(0);
    let last = LAST.fetch_max(now, Ordering::Relaxed);
    if last < now {
        return now;
    }
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::s3::S3Event;

    use super::*;

    #[test]
    fn a_notification_is_what_the_lambda_types_expect() {
        let object = CreatedObject {
            event_name: "ObjectCreated:Post",
            bucket: "gatepost-uploads".to_owned(),
            key: "uploads/a b/ü+.jpg".to_owned(),
            size: 3,
            etag: "900150983cd24fb0d6963f7d28e17f72".to_owned(),
            access_key: "AKIA".to_owned(),
        };
        let value = notification(Timestamp::UNIX_EPOCH, &object);
        assert_eq!(value["Records"][0]["eventTime"], "1970-01-01T00:00:00.000Z");
        let event: S3Event = serde_json::from_value(value).unwrap();
        let s3 = &event.records[0].s3;
        assert_eq!(s3.object.key.as_deref(), Some("uploads/a+b/%C3%BC%2B.jpg"));
        assert_eq!(s3.object.size, Some(3));
        assert_eq!(
            event.records[0].event_name.as_deref(),
            Some("ObjectCreated:Post")
        );
    }

    #[test]
    fn sequencers_grow_even_when_the_clock_stands() {
        let now = Timestamp::now();
        let first = sequencer(now);
        let second = sequencer(now);
        assert!(second > first);
    }
}
