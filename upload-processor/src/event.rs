//! What an event says: which objects were created.
//!
//! S3 tells of them through a queue, a topic or `EventBridge`, each with an envelope of its own, or invokes the function
//! itself. The types are our own and lenient: an event is read for what we need of it. What else stands there, or does
//! not, is S3's business from one event version to the next.

use serde::Deserialize;
use serde_json::Value;

/// The `detail-type` with which `GuardDuty` tells what a scan of an object came to.
const SCAN_RESULT: &str = "GuardDuty Malware Protection Object Scan Result";

/// What the function was invoked with.
#[derive(Clone, Debug, PartialEq)]
pub enum Invocation {
    /// A batch of a queue's messages: each is answered for by itself.
    Batch(Vec<Message>),
    /// An event without a queue, from S3, SNS or `EventBridge`: the bodies in it are answered for as one.
    Direct(Vec<String>),
    /// An operator or a schedule wants the buckets looked through.
    Sweep(SweepRequest),
}

/// What a sweep is to look for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SweepRequest {
    /// How long ago uploads may have arrived.
    pub since: Option<jiff::SignedDuration>,
    /// Whether uploads are announced again whose processing failed.
    pub failed: bool,
}

/// A queue's message.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// What the answer names if it fails.
    #[serde(rename = "messageId")]
    pub id: String,
    /// What was sent.
    #[serde(default)]
    pub body: String,
    /// How often it was received.
    #[serde(default)]
    pub receive_count: u32,
    /// What its visibility timeout is changed with.
    #[serde(default)]
    pub receipt_handle: Option<String>,
}

/// A message's body, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// S3 was given a new notification configuration and tries it out.
    Test,
    /// Objects were created, or something else happened to them.
    Records(Vec<Record>),
}

/// One record of a notification.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// An object was created.
    Created(CreatedObject),
    /// Something else happened: the event's name.
    Other(String),
    /// It cannot be understood: a sentence about it.
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
    /// Whether the event says that a scan found malware in it.
    pub is_threat: bool,
    /// The `ETag`, without quotation marks.
    pub etag: Option<String>,
}

#[derive(Deserialize)]
struct RawNotification {
    #[serde(rename = "Event")]
    event: Option<String>,
    #[serde(rename = "Records")]
    records: Option<Vec<Value>>,
    /// SNS's envelope: the notification as a text.
    #[serde(rename = "Type")]
    envelope: Option<String>,
    #[serde(rename = "Message")]
    message: Option<String>,
    /// `EventBridge`'s.
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    source: Option<String>,
    detail: Option<Value>,
}

/// What S3 says through `EventBridge`, whose names are written otherwise, and whose key is not encoded.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawDetail {
    bucket: RawBucket,
    object: RawDetailObject,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawDetailObject {
    key: String,
    etag: Option<String>,
    version_id: Option<String>,
}

/// What `GuardDuty` says through `EventBridge` of an object that it has scanned. What it found stands in the object's
/// tag as well. That it is clean is believed of the tag alone, that it is a threat of either.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawScan {
    s3_object_details: RawScannedObject,
    scan_result_details: Option<RawScanResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawScanResult {
    scan_result_status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawScannedObject {
    bucket_name: String,
    object_key: String,
    e_tag: Option<String>,
    version_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRecord {
    event_source: String,
    event_name: String,
    s3: RawS3,
}

#[derive(Deserialize)]
struct RawS3 {
    bucket: RawBucket,
    object: RawObject,
}

#[derive(Deserialize)]
struct RawBucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawObject {
    key: String,
    e_tag: Option<String>,
    version_id: Option<String>,
}

impl Invocation {
    /// Reads an event; the error is a sentence about it.
    pub fn parse(event: &Value) -> Result<Self, String> {
        let source = |record: &Value, name| record.get(name)?.as_str().map(str::to_owned);
        let Some(Value::Array(records)) = event.get("Records") else {
            return Ok(Self::Direct(vec![event.to_string()]));
        };
        if records
            .iter()
            .any(|record| source(record, "eventSource").as_deref() == Some("aws:sqs"))
        {
            let records = Value::Array(records.clone());
            return serde_json::from_value(records)
                .map(Self::Batch)
                .map_err(|error| format!("a record is no message of SQS: {error}"));
        }
        let of_topic = |record: &Value| {
            let is_topic = source(record, "EventSource").as_deref() == Some("aws:sns");
            let body = record.get("Sns")?.get("Message")?.as_str()?;
            is_topic.then(|| body.to_owned())
        };
        let bodies: Option<Vec<String>> = records.iter().map(of_topic).collect();
        let bodies = bodies.filter(|bodies| !bodies.is_empty());
        Ok(Self::Direct(
            bodies.unwrap_or_else(|| vec![event.to_string()]),
        ))
    }
}

impl Notice {
    /// Reads a message's body; the error is a sentence about it.
    pub fn parse(body: &str) -> Result<Self, String> {
        Self::parse_within(body, 1)
    }

    fn parse_within(body: &str, envelopes: u32) -> Result<Self, String> {
        let raw: RawNotification = serde_json::from_str(body)
            .map_err(|error| format!("it is no notification of S3, SNS or EventBridge: {error}"))?;
        if raw.event.as_deref() == Some("s3:TestEvent") {
            return Ok(Self::Test);
        }
        if let (Some(kind), Some(message)) = (&raw.envelope, &raw.message) {
            return match kind.as_str() {
                "Notification" if envelopes > 0 => Self::parse_within(message, envelopes - 1),
                "Notification" => Err("it is an SNS notification within another".to_owned()),
                other => Err(format!(
                    "it is an SNS message of type {other:?}, which tells of no object"
                )),
            };
        }
        if let (Some(kind), Some(source)) = (&raw.detail_type, &raw.source) {
            let detail = raw.detail.unwrap_or_default();
            let understood = match (source.as_str(), kind.as_str()) {
                ("aws.s3", "Object Created") => {
                    serde_json::from_value(detail).map(RawDetail::understand)
                }
                ("aws.guardduty", SCAN_RESULT) => {
                    serde_json::from_value(detail).map(RawScan::understand)
                }
                _ => Ok(Record::Other(format!("{source} {kind}"))),
            };
            return Ok(Self::Records(vec![understood.unwrap_or_else(|error| {
                Record::Unreadable(format!("its detail is none of {source}'s: {error}"))
            })]));
        }
        let records = raw.records.ok_or(
            "it is no notification of S3, SNS or EventBridge: it has no Records and no detail-type",
        )?;
        let records = records.into_iter().map(|record| {
            serde_json::from_value(record)
                .map_err(|error| format!("the record is none of S3's: {error}"))
                .and_then(RawRecord::understand)
                .unwrap_or_else(Record::Unreadable)
        });
        Ok(Self::Records(records.collect()))
    }
}

impl RawRecord {
    fn understand(self) -> Result<Record, String> {
        if self.event_source != "aws:s3" || !self.event_name.starts_with("ObjectCreated:") {
            return Ok(Record::Other(format!(
                "{} {}",
                self.event_source, self.event_name
            )));
        }
        let object = self.s3.object;
        let key = decode_form(&object.key)
            .ok_or_else(|| "its key is not form-encoded UTF-8".to_owned())?;
        Ok(Record::Created(CreatedObject {
            bucket: self.s3.bucket.name,
            key,
            version_id: version(object.version_id),
            is_threat: false,
            etag: object
                .e_tag
                .map(|etag| etag.trim_matches('"').to_owned())
                .filter(|etag| !etag.is_empty()),
        }))
    }
}

/// A version that can be asked for. "null" is that of an object in a bucket without versions; naming it would want more
/// of the role than to read what is there.
fn version(id: Option<String>) -> Option<String> {
    id.filter(|id| !id.is_empty() && id != "null")
}

impl RawDetail {
    fn understand(self) -> Record {
        Record::Created(CreatedObject {
            bucket: self.bucket.name,
            key: self.object.key,
            version_id: version(self.object.version_id),
            is_threat: false,
            etag: self.object.etag.filter(|etag| !etag.is_empty()),
        })
    }
}

impl RawScan {
    fn understand(self) -> Record {
        let object = self.s3_object_details;
        let status = self
            .scan_result_details
            .and_then(|details| details.scan_result_status);
        Record::Created(CreatedObject {
            is_threat: status.as_deref() == Some("THREATS_FOUND"),
            bucket: object.bucket_name,
            key: object.object_key,
            version_id: version(object.version_id),
            etag: object
                .e_tag
                .map(|etag| etag.trim_matches('"').to_owned())
                .filter(|etag| !etag.is_empty()),
        })
    }
}

/// Undoes the form encoding of keys in notifications: `+` is a space, `%XX` an octet.
fn decode_form(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                let high = char::from(digits[0]).to_digit(16)?;
                let low = char::from(digits[1]).to_digit(16)?;
                decoded.push(u8::try_from(high * 16 + low).ok()?);
            }
            _ => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_form_encoded() {
        for (text, decoded) in [
            ("a+b/c%2Bd/%C3%BC", Some("a b/c+d/ü")),
            ("plain", Some("plain")),
            ("%", None),
            ("%zz", None),
            ("%FF", None),
        ] {
            assert_eq!(decode_form(text).as_deref(), decoded, "{text}");
        }
    }

    #[test]
    fn messages_are_read_for_what_they_say() {
        let created = r#"{"Records":[{"eventVersion":"2.6","eventSource":"aws:s3","eventName":"ObjectCreated:Post",
            "s3":{"bucket":{"name":"b"},"object":{"key":"uploads/a+b","eTag":"\"e\"","sequencer":"1"}}}]}"#;
        assert_eq!(
            Notice::parse(created),
            Ok(Notice::Records(vec![Record::Created(CreatedObject {
                bucket: "b".to_owned(),
                key: "uploads/a b".to_owned(),
                version_id: None,
                is_threat: false,
                etag: Some("e".to_owned()),
            })]))
        );
        let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-11-23T12:00:00.000Z","Bucket":"b"}"#;
        assert_eq!(Notice::parse(test), Ok(Notice::Test));
        let removed = created.replace("ObjectCreated:Post", "ObjectRemoved:Delete");
        assert_eq!(
            Notice::parse(&removed),
            Ok(Notice::Records(vec![Record::Other(
                "aws:s3 ObjectRemoved:Delete".to_owned()
            )]))
        );
        let Ok(Notice::Records(records)) = Notice::parse(r#"{"Records":[{}]}"#) else {
            panic!("a record that cannot be read spoils no other");
        };
        assert!(matches!(records[0], Record::Unreadable(_)));
        for body in [
            "",
            "hello",
            "{}",
            "[]",
            r#"{"Type":"SubscriptionConfirmation","Message":"You have chosen to subscribe"}"#,
            r#"{"Type":"Notification","Message":"hello"}"#,
        ] {
            assert!(Notice::parse(body).is_err(), "{body}");
        }
    }

    #[test]
    fn envelopes_are_opened() {
        let object = |key: &str| {
            Notice::Records(vec![Record::Created(CreatedObject {
                bucket: "b".to_owned(),
                key: key.to_owned(),
                version_id: Some("v".to_owned()),
                is_threat: false,
                etag: Some("e".to_owned()),
            })])
        };
        let notification = serde_json::json!({"Records": [{
            "eventSource": "aws:s3", "eventName": "ObjectCreated:Post",
            "s3": {"bucket": {"name": "b"}, "object": {"key": "a+b", "eTag": "e", "versionId": "v"}},
        }]})
        .to_string();
        let topic =
            serde_json::json!({"Type": "Notification", "Message": notification}).to_string();
        assert_eq!(Notice::parse(&topic), Ok(object("a b")));
        let twice = serde_json::json!({"Type": "Notification", "Message": topic}).to_string();
        assert!(Notice::parse(&twice).is_err());
        let event = |kind: &str| {
            serde_json::json!({"version": "0", "source": "aws.s3", "detail-type": kind, "detail": {
                "version": "0", "bucket": {"name": "b"}, "reason": "PostObject",
                "object": {"key": "a+b", "size": 1, "etag": "e", "version-id": "v", "sequencer": "1"},
            }})
            .to_string()
        };
        assert_eq!(Notice::parse(&event("Object Created")), Ok(object("a+b")));
        let scan = serde_json::json!({
            "version": "0", "source": "aws.guardduty", "detail-type": SCAN_RESULT,
            "detail": {
                "schemaVersion": "1.0", "scanStatus": "COMPLETED", "resourceType": "S3_OBJECT",
                "s3ObjectDetails": {"bucketName": "b", "objectKey": "a+b", "eTag": "e", "versionId": "v", "s3Throttled": false},
                "scanResultDetails": {"scanResultStatus": "NO_THREATS_FOUND", "threats": null},
            },
        });
        assert_eq!(Notice::parse(&scan.to_string()), Ok(object("a+b")));
        let other = serde_json::json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": 7}});
        assert!(matches!(
            Notice::parse(&other.to_string()),
            Ok(Notice::Records(records)) if matches!(records[..], [Record::Unreadable(_)])
        ));
        assert_eq!(
            Notice::parse(&event("Object Deleted")),
            Ok(Notice::Records(vec![Record::Other(
                "aws.s3 Object Deleted".to_owned()
            )]))
        );
    }

    #[test]
    fn an_invocation_is_a_batch_or_an_event_by_itself() {
        let parse = |text: &str| Invocation::parse(&serde_json::from_str(text).unwrap());
        let batch = parse(
            r#"{"Records":[{"eventSource":"aws:sqs","messageId":"1","body":"x"},{"eventSource":"aws:sqs","messageId":"2"}]}"#,
        );
        let message = |id: &str, body: &str| Message {
            id: id.to_owned(),
            body: body.to_owned(),
            receive_count: 0,
            receipt_handle: None,
        };
        assert_eq!(
            batch,
            Ok(Invocation::Batch(vec![message("1", "x"), message("2", "")]))
        );
        assert!(parse(r#"{"Records":[{"eventSource":"aws:sqs"}]}"#).is_err());
        let topic = parse(
            r#"{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"x"}},{"EventSource":"aws:sns","Sns":{"Message":"y"}}]}"#,
        );
        assert_eq!(
            topic,
            Ok(Invocation::Direct(vec!["x".to_owned(), "y".to_owned()]))
        );
        for text in [
            r#"{"Records":[{"eventSource":"aws:s3"}]}"#,
            r#"{"Records":[]}"#,
            r#"{"detail-type":"Object Created"}"#,
            "7",
        ] {
            assert_eq!(parse(text), Ok(Invocation::Direct(vec![text.to_owned()])));
        }
    }

    #[test]
    fn no_version_is_asked_for_that_there_is_none_of() {
        for (named, version) in [
            ("", None),
            ("null", None),
            ("3HL4kqtJlcpXroDTDmJ", Some("3HL4kqtJlcpXroDTDmJ")),
        ] {
            let scan = serde_json::json!({
                "source": "aws.guardduty",
                "detail-type": "GuardDuty Malware Protection Object Scan Result",
                "detail": {"s3ObjectDetails": {"bucketName": "b", "objectKey": "k", "versionId": named}},
            });
            let put = serde_json::json!({"Records": [{
                "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Post",
                "s3": {"bucket": {"name": "b"}, "object": {"key": "k", "versionId": named}},
            }]});
            for body in [scan, put] {
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

    #[test]
    fn a_threat_is_known_by_its_event() {
        for (details, is_threat) in [
            (
                serde_json::json!({"scanResultStatus": "THREATS_FOUND"}),
                true,
            ),
            (
                serde_json::json!({"scanResultStatus": "NO_THREATS_FOUND"}),
                false,
            ),
            (serde_json::json!({}), false),
            (serde_json::Value::Null, false),
        ] {
            let body = serde_json::json!({
                "source": "aws.guardduty",
                "detail-type": "GuardDuty Malware Protection Object Scan Result",
                "detail": {
                    "s3ObjectDetails": {"bucketName": "b", "objectKey": "k"},
                    "scanResultDetails": details,
                },
            });
            let Ok(Notice::Records(records)) = Notice::parse(&body.to_string()) else {
                panic!("{body}");
            };
            let [Record::Created(object)] = &records[..] else {
                panic!("{body}");
            };
            assert_eq!(object.is_threat, is_threat, "{body}");
        }
    }
}
