//! Parses what S3 reports about an object: the records of its notifications, and its `EventBridge` events.
//!
//! The types are Gatepost's own. Those of `aws_lambda_events` do not decode keys. They also require `userIdentity`,
//! `requestParameters` and `eventTime`, which S3-compatible stores omit and which are not needed here. Unknown and
//! missing members are ignored, so newer event versions still parse.

use media_contract::upload_key::UPLOAD_PREFIX;
use serde::Deserialize;
use serde_json::Value;

use super::{CreatedObject, Record};

/// The `detail-type` of the `EventBridge` event for a created object.
pub(super) const OBJECT_CREATED: &str = "Object Created";

/// The other events of S3, by their `detail-type`.
pub(super) const OTHER_KINDS: [&str; 9] = [
    "Object ACL Updated",
    "Object Access Tier Changed",
    "Object Deleted",
    "Object Restore Completed",
    "Object Restore Expired",
    "Object Restore Initiated",
    "Object Storage Class Changed",
    "Object Tags Added",
    "Object Tags Deleted",
];

/// The other events of S3, by the first part of their names in notifications.
const OTHER_FAMILIES: [&str; 9] = [
    "IntelligentTiering",
    "LifecycleExpiration",
    "LifecycleTransition",
    "ObjectAcl",
    "ObjectRemoved",
    "ObjectRestore",
    "ObjectTagging",
    "ReducedRedundancyLostObject",
    "Replication",
];

/// The supported major version of notifications. S3 raises it only for incompatible changes:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>.
const MAJOR_VERSION: &str = "2";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRecord {
    event_version: Option<String>,
    event_name: String,
    /// Parsed only for created objects: other events describe other things.
    #[serde(default)]
    s3: Value,
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

/// The detail of an `EventBridge` event: its members have other names, and its key is not encoded.
#[derive(Deserialize)]
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

/// Parses a record whose `eventSource` is `aws:s3`; the error is a sentence about it.
pub(super) fn read_record(record: Value) -> Result<Record, String> {
    let record: RawRecord = serde_json::from_value(record)
        .map_err(|error| format!("it is not a record of S3: {error}"))?;
    if let Some(version) = &record.event_version
        && version.split('.').next() != Some(MAJOR_VERSION)
    {
        return Err(format!(
            "its eventVersion is {version:?}; only versions {MAJOR_VERSION}.x are understood"
        ));
    }
    // The bucket's configuration uses the prefix in event names, and some S3-compatible stores send it.
    let name = record.event_name.strip_prefix("s3:");
    let name = name.unwrap_or(&record.event_name);
    if name.is_empty() {
        return Err("its eventName is empty".to_owned());
    }
    let family = name.split(':').next().unwrap_or_default();
    if family != "ObjectCreated" {
        if !OTHER_FAMILIES.contains(&family) && mentions_upload(&record.s3) {
            return Err(format!(
                "its eventName is {name:?}, which is not understood, and it names an upload"
            ));
        }
        return Ok(Record::Other(format!("aws:s3 {name}")));
    }
    let RawS3 { bucket, object } = serde_json::from_value(record.s3)
        .map_err(|error| format!("its s3 member does not describe an object: {error}"))?;
    let key = decode_form(&object.key).ok_or("its key is not form-encoded UTF-8")?;
    CreatedObject::new(bucket.name, key, object.version_id, object.e_tag).map(Record::Created)
}

/// Parses the detail of an `Object Created` event; the error is a sentence about it.
pub(super) fn read_detail(detail: Value) -> Result<Record, String> {
    let RawDetail { bucket, object } = serde_json::from_value(detail)
        .map_err(|error| format!("its detail does not describe an object of S3: {error}"))?;
    CreatedObject::new(bucket.name, object.key, object.version_id, object.etag).map(Record::Created)
}

/// Whether an event's detail names an object in the form of S3's events.
pub(super) fn names_object(detail: &Value) -> bool {
    detail["bucket"]["name"].is_string() && detail["object"]["key"].is_string()
}

/// Whether an upload's key occurs anywhere in the value, as a string or within one.
pub(super) fn mentions_upload(value: &Value) -> bool {
    let text = value.to_string().to_ascii_lowercase();
    text.contains(UPLOAD_PREFIX) || text.contains(&UPLOAD_PREFIX.replace('/', "%2f"))
}

/// Decodes the form encoding of keys in notifications: `+` is a space, `%XX` an octet.
///
/// It is strict and Gatepost's own: `form_urlencoded` passes a malformed `%` through and replaces invalid UTF-8. The
/// object would then be looked for under another key, and its upload would be lost without a trace.
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
    use serde_json::json;

    use super::*;

    fn object(bucket: &str, key: &str, version_id: Option<&str>, etag: Option<&str>) -> Record {
        Record::Created(CreatedObject {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version_id: version_id.map(str::to_owned),
            is_from_scan: false,
            is_threat: false,
            etag: etag.map(str::to_owned),
        })
    }

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
    fn records_are_created_objects_or_other_events() {
        let described = json!({"bucket": {"name": "b"}, "object": {"key": "k"}});
        for (name, expected) in [
            ("ObjectCreated:Put", Some(object("b", "k", None, None))),
            ("ObjectCreated:Post", Some(object("b", "k", None, None))),
            (
                "ObjectCreated:CompleteMultipartUpload",
                Some(object("b", "k", None, None)),
            ),
            ("ObjectCreated", Some(object("b", "k", None, None))),
            ("s3:ObjectCreated:Put", Some(object("b", "k", None, None))),
            (
                "ObjectRemoved:Delete",
                Some(Record::Other("aws:s3 ObjectRemoved:Delete".to_owned())),
            ),
            (
                "ObjectCreatedNot:Put",
                Some(Record::Other("aws:s3 ObjectCreatedNot:Put".to_owned())),
            ),
            ("", None),
            ("s3:", None),
        ] {
            let record = json!({"eventVersion": "2.6", "eventName": name, "s3": described});
            assert_eq!(read_record(record).ok(), expected, "{name}");
        }
    }

    #[test]
    fn other_events_need_not_describe_an_object() {
        for s3 in [Value::Null, json!(7), json!({"bucket": 7})] {
            let record = json!({"eventName": "LifecycleExpiration:Delete", "s3": s3});
            assert!(matches!(read_record(record), Ok(Record::Other(_))), "{s3}");
        }
        assert!(read_record(json!({"eventName": "ObjectCreated:Put"})).is_err());
    }

    #[test]
    fn only_incompatible_versions_are_refused() {
        for (version, is_read) in [
            (json!("2.0"), true),
            (json!("2.99"), true),
            (json!("2"), true),
            (Value::Null, true),
            (json!("3.0"), false),
            (json!("20.1"), false),
            (json!(""), false),
            (json!(2.1), false),
        ] {
            let record = json!({
                "eventVersion": version, "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}},
            });
            assert_eq!(read_record(record).is_ok(), is_read, "{version}");
        }
    }

    #[test]
    fn objects_are_described_by_bucket_key_version_and_etag() {
        let record = |object: &Value| {
            let s3 = json!({"bucket": {"name": "b"}, "object": object});
            read_record(json!({"eventName": "ObjectCreated:Put", "s3": s3})).ok()
        };
        for (described, expected) in [
            (json!({"key": "a+b"}), Some(object("b", "a b", None, None))),
            (
                json!({"key": "k", "eTag": "\"e\"", "versionId": "v"}),
                Some(object("b", "k", Some("v"), Some("e"))),
            ),
            (
                json!({"key": "k", "eTag": "", "versionId": ""}),
                Some(object("b", "k", None, None)),
            ),
            (
                json!({"key": "k", "eTag": null, "versionId": null}),
                Some(object("b", "k", None, None)),
            ),
            (json!({"key": ""}), None),
            (json!({"key": "%"}), None),
            (json!({"key": null}), None),
            (json!({}), None),
        ] {
            assert_eq!(record(&described), expected, "{described}");
        }
        for bucket in [json!({"name": ""}), json!({}), json!("b")] {
            let s3 = json!({"bucket": bucket, "object": {"key": "k"}});
            let record = json!({"eventName": "ObjectCreated:Put", "s3": s3});
            assert!(read_record(record).is_err(), "{bucket}");
        }
    }

    #[test]
    fn the_key_of_an_eventbridge_detail_is_not_encoded() {
        let detail = json!({
            "version": "0", "bucket": {"name": "b"}, "reason": "PostObject",
            "object": {"key": "a+b%2F", "size": 1, "etag": "e", "version-id": "v", "sequencer": "1"},
        });
        assert_eq!(
            read_detail(detail),
            Ok(object("b", "a+b%2F", Some("v"), Some("e")))
        );
        for detail in [Value::Null, json!({}), json!({"bucket": {"name": "b"}})] {
            assert!(read_detail(detail.clone()).is_err(), "{detail}");
        }
    }
}
