//! The event of a created object, with eventVersion 2.x, and the notification configuration that names its handler. The
//! store calls it after each write.
//!
//! The shape is that of the S3 user guide, "Event message structure": the key is form-encoded, the sequencer grows.
//! Consumers refuse events without `userIdentity` and `requestParameters`, so both are present.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::encoding::encode_form;
use crate::REGION;

/// An object that was just written.
#[derive(Clone, Debug)]
pub(super) struct CreatedObject {
    /// `ObjectCreated:Post` or `ObjectCreated:Put`.
    pub(super) event_name: &'static str,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) size: u64,
    /// Without quotation marks.
    pub(super) etag: String,
    /// Of the credentials that the request was signed with.
    pub(super) access_key: String,
}

/// A handler of events. The object's sender is answered when it is done.
type Handler = dyn Fn(Value) -> BoxFuture<'static, io::Result<()>> + Send + Sync;

/// A bucket's notification configuration: a prefix, and the handler of its events.
#[derive(Clone)]
pub struct Notification {
    bucket: String,
    prefix: String,
    handler: Arc<Handler>,
}

impl Notification {
    /// Calls a handler with S3's event, as JSON, for each object that is created below a prefix of a bucket.
    ///
    /// A handler that fails also fails the request that created the object, with S3's `InternalError`.
    pub fn new<F, Done>(bucket: &str, prefix: &str, handler: F) -> Self
    where
        F: Fn(Value) -> Done + Send + Sync + 'static,
        Done: Future<Output = io::Result<()>> + Send + 'static,
    {
        Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            handler: Arc::new(move |event| handler(event).boxed()),
        }
    }

    /// Tells the handler of an object, if it is below the prefix.
    pub(super) async fn object_created(&self, object: &CreatedObject) -> io::Result<()> {
        if object.bucket == self.bucket && object.key.starts_with(&self.prefix) {
            (self.handler)(event(Timestamp::now(), object)).await?;
        }
        Ok(())
    }
}

/// The notification of one created object.
fn event(now: Timestamp, object: &CreatedObject) -> Value {
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
            "configurationId": object.bucket,
            "bucket": {
                "name": object.bucket,
                "ownerIdentity": {"principalId": "LOCALAWS"},
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
    fn an_event_parses_as_the_lambda_type() {
        let object = CreatedObject {
            event_name: "ObjectCreated:Post",
            bucket: "uploads".to_owned(),
            key: "uploads/a b/ü+.jpg".to_owned(),
            size: 3,
            etag: "900150983cd24fb0d6963f7d28e17f72".to_owned(),
            access_key: "AKIA".to_owned(),
        };
        let value = event(Timestamp::UNIX_EPOCH, &object);
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
    fn sequencers_grow_even_if_the_clock_stops() {
        let now = Timestamp::now();
        let first = sequencer(now);
        let second = sequencer(now);
        assert!(second > first);
    }
}
