//! What a queue's message says: which objects were created.
//!
//! The types are our own and lenient: a message is read for what we need of it. What else stands there, or does not,
//! is S3's business from one event version to the next.

use serde::Deserialize;

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
    /// The `ETag`, without quotation marks.
    pub etag: Option<String>,
}

/// A key of the form `uploads/{owner}/{id}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UploadKey {
    /// Whose upload it is.
    pub owner: String,
    /// The upload's id.
    pub id: String,
}

#[derive(Deserialize)]
struct RawNotification {
    #[serde(rename = "Event")]
    event: Option<String>,
    #[serde(rename = "Records")]
    records: Option<Vec<serde_json::Value>>,
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

impl Notice {
    /// Reads a message's body; the error is a sentence about it.
    pub fn parse(body: &str) -> Result<Self, String> {
        let raw: RawNotification = serde_json::from_str(body)
            .map_err(|error| format!("it is no S3 notification: {error}"))?;
        if raw.event.as_deref() == Some("s3:TestEvent") {
            return Ok(Self::Test);
        }
        let records = raw
            .records
            .ok_or("it is no S3 notification: there are no Records")?;
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
            version_id: object.version_id,
            etag: object
                .e_tag
                .map(|etag| etag.trim_matches('"').to_owned())
                .filter(|etag| !etag.is_empty()),
        }))
    }
}

impl UploadKey {
    /// Reads an object's key, if it has the form that `signing-api` gives keys.
    pub fn parse(key: &str) -> Option<Self> {
        let (owner, id) = key.strip_prefix("uploads/")?.split_once('/')?;
        let is_name = |text: &str| {
            text.len() == 26
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        (is_name(owner) && is_name(id)).then(|| Self {
            owner: owner.to_owned(),
            id: id.to_owned(),
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
        for body in ["", "hello", "{}", "[]"] {
            assert!(Notice::parse(body).is_err(), "{body}");
        }
    }

    #[test]
    fn only_keys_that_we_made_are_uploads() {
        let name = "a".repeat(26);
        assert!(UploadKey::parse(&format!("uploads/{name}/{name}")).is_some());
        for key in [
            format!("uploads/{name}"),
            format!("uploads/{name}/{name}/x"),
            format!("other/{name}/{name}"),
            format!("uploads/../{name}"),
            format!("uploads/{}/{name}", "A".repeat(26)),
        ] {
            assert_eq!(UploadKey::parse(&key), None, "{key}");
        }
    }
}
