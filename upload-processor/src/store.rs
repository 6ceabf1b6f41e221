//! The S3 calls that only the processor makes: reads pinned to the object of an event, tags, and renditions.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Tag, Tagging};
use data_encoding::HEXLOWER;
use media_contract::IMMUTABLE;
use media_store::{StoreError, is_missing, reason, status};

use crate::error::{Cause, TransientError};
use crate::event::CreatedObject;

/// An upload as stored in the bucket.
pub(crate) struct Upload {
    pub(crate) content_type: Option<String>,
    /// `x-amz-meta-sha256`: the digest that the form was pinned to. A value that is not a digest pins nothing.
    pub(crate) sha256: Option<[u8; 32]>,
    pub(crate) bytes: u64,
    body: ByteStream,
}

/// Opens exactly the object of an event; `None` if it was deleted or overwritten since.
pub(crate) async fn open(
    s3: &Client,
    object: &CreatedObject,
) -> Result<Option<Upload>, TransientError> {
    let request = s3
        .get_object()
        .bucket(&object.bucket)
        .key(&object.key)
        .set_version_id(object.version_id.clone())
        .set_if_match(object.if_match());
    match request.send().await {
        Ok(output) => Ok(Some(Upload::new(output))),
        Err(error) if is_missing(&error) || status(&error) == Some(412) => Ok(None),
        Err(error) => Err(StoreError::new("reading the upload", &error).into()),
    }
}

impl Upload {
    fn new(output: GetObjectOutput) -> Self {
        Self {
            content_type: output.content_type,
            sha256: output
                .metadata
                .and_then(|mut metadata| metadata.remove("sha256"))
                .and_then(|text| HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()),
            bytes: u64::try_from(output.content_length.unwrap_or(0)).unwrap_or(0),
            body: output.body,
        }
    }

    /// Reads the bytes.
    pub(crate) async fn read(self) -> Result<Vec<u8>, TransientError> {
        let body = self
            .body
            .collect()
            .await
            .map_err(|error| StoreError::body("reading the upload", &error))?;
        Ok(body.to_vec())
    }
}

/// The tag with `GuardDuty`'s scan result for an object.
const SCAN_TAG: &str = "GuardDutyMalwareScanStatus";
/// How many times the tag is read: it is not guaranteed to be readable as soon as `GuardDuty` announces its scan.
const SCAN_LOOKS: u32 = 5;
/// The pause between two reads of the tag.
const SCAN_PAUSE: Duration = Duration::from_secs(1);

/// The result of a malware scan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scan {
    Clean,
    Threat,
    /// `GuardDuty` cannot examine such a file; another scan would give the same result.
    Unsupported,
}

/// The scan result of an object; an error while no result is known. `None` if the object was deleted or overwritten
/// since.
///
/// The tag is read before the object is opened, and opening fails if the object was overwritten in between. The tag
/// therefore belongs to the content that is opened (no TOCTOU race). An event that does not identify its content is
/// pinned to the current content first.
pub(crate) async fn scan(
    s3: &Client,
    object: &mut CreatedObject,
) -> Result<Option<Scan>, TransientError> {
    if !pin(s3, object).await? {
        return Ok(None);
    }
    if object.is_threat {
        // Regardless of the tag: it may belong to other content of the same key.
        return Ok(Some(Scan::Threat));
    }
    let mut looks = 1;
    loop {
        let Some(tags) = tags_of(s3, object).await? else {
            return Ok(None);
        };
        let result = tags.iter().find(|tag| tag.key == SCAN_TAG);
        match result.map(|tag| tag.value.as_str()) {
            Some("NO_THREATS_FOUND") => return Ok(Some(Scan::Clean)),
            Some("THREATS_FOUND") => return Ok(Some(Scan::Threat)),
            Some("UNSUPPORTED") => return Ok(Some(Scan::Unsupported)),
            // ACCESS_DENIED, FAILED: an operator has to investigate.
            Some(other) => {
                return Err(TransientError {
                    reason: format!("the malware scan ended with {other}"),
                    cause: Cause::Unscanned,
                });
            }
            None if looks == SCAN_LOOKS => {
                return Err(TransientError {
                    reason: "the upload is not scanned for malware yet".to_owned(),
                    cause: Cause::Unscanned,
                });
            }
            None => looks += 1,
        }
        tokio::time::sleep(SCAN_PAUSE).await;
    }
}

/// Checks that the object is still the one of its event. If the event does not identify the content, pins the current
/// one.
async fn pin(s3: &Client, object: &mut CreatedObject) -> Result<bool, TransientError> {
    let request = s3
        .head_object()
        .bucket(&object.bucket)
        .key(&object.key)
        .set_version_id(object.version_id.clone())
        .set_if_match(object.if_match());
    match request.send().await {
        Ok(head) => {
            if object.version_id.is_none() && object.etag.is_none() {
                object.etag = head.e_tag.map(|etag| etag.trim_matches('"').to_owned());
            }
            Ok(true)
        }
        Err(error) if matches!(status(&error), Some(404 | 412)) => Ok(false),
        Err(error) => Err(StoreError::new("looking for the upload", &error).into()),
    }
}

/// An object's tags; `None` if the object was deleted.
async fn tags_of(s3: &Client, object: &CreatedObject) -> Result<Option<Vec<Tag>>, TransientError> {
    let request = s3
        .get_object_tagging()
        .bucket(&object.bucket)
        .key(&object.key)
        .set_version_id(object.version_id.clone());
    match request.send().await {
        Ok(output) => Ok(Some(output.tag_set)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(StoreError::new("reading the upload's tags", &error).into()),
    }
}

/// The tag of a rejected original, which the bucket's lifecycle rule matches.
const STATUS_TAG: (&str, &str) = ("gatepost", "rejected");

/// Tags an original as rejected. This is housekeeping: a failure does not change the result.
pub(crate) async fn tag_as_rejected(s3: &Client, object: &CreatedObject) {
    let (key, value) = STATUS_TAG;
    let tag = Tag::builder().key(key).value(value).build();
    let Ok(tagging) = tag.and_then(|tag| Tagging::builder().tag_set(tag).build()) else {
        return;
    };
    let request = s3
        .put_object_tagging()
        .bucket(&object.bucket)
        .key(&object.key)
        .set_version_id(object.version_id.clone())
        .tagging(tagging);
    match request.send().await {
        Ok(_) => {}
        // It was deleted meanwhile, or this S3 does not support tags, like the embedded one.
        Err(error) if matches!(status(&error), Some(404 | 501)) => {}
        Err(error) => tracing::warn!(
            key = object.key,
            error = reason(&error),
            "a rejected upload cannot be tagged"
        ),
    }
}

/// Writes a rendition. Its name is derived from its content, so the write is idempotent.
pub(crate) async fn write_rendition(
    s3: &Client,
    bucket: &str,
    key: String,
    content_type: &str,
    data: Vec<u8>,
) -> Result<(), StoreError> {
    s3.put_object()
        .bucket(bucket)
        .key(key)
        .content_type(content_type)
        .cache_control(IMMUTABLE)
        .body(data.into())
        .send()
        .await
        .map_err(|error| StoreError::new("writing a rendition", &error))?;
    Ok(())
}
