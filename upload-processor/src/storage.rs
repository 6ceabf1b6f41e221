//! S3 as the processor uses it: reads pinned to what an event named, writes that can be repeated, and writes that only
//! the first one gets.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Tag, Tagging};
use jiff::Timestamp;

use crate::event::CreatedObject;
use crate::processor::Retry;

/// What a rendition may be cached for: its content never changes.
const IMMUTABLE: &str = "private, max-age=31536000, immutable";
/// A manifest is asked for before it is there, and may be deleted.
const REVALIDATED: &str = "private, no-cache";

/// An upload as it lies in the bucket.
pub(crate) struct Upload {
    pub(crate) content_type: Option<String>,
    /// `x-amz-meta-sha256`: the digest that the form was pinned to, in hexadecimal.
    pub(crate) sha256: Option<String>,
    pub(crate) bytes: u64,
    /// The version or `ETag`: two contents do not have the same by accident.
    pub(crate) content_id: String,
    body: ByteStream,
}

/// Opens exactly the object that an event is about; `None` when it is no longer there or was overwritten since.
pub(crate) async fn open(s3: &Client, object: &CreatedObject) -> Result<Option<Upload>, Retry> {
    let mut request = s3
        .get_object()
        .bucket(&object.bucket)
        .key(&object.key)
        .set_version_id(object.version_id.clone());
    if let (None, Some(etag)) = (&object.version_id, &object.etag) {
        request = request.if_match(format!("\"{etag}\""));
    }
    match request.send().await {
        Ok(output) => Ok(Some(Upload::new(output))),
        Err(error) if matches!(status(&error), Some(404 | 412)) => Ok(None),
        Err(error) => Err(Retry::new(
            "reading the upload",
            &DisplayErrorContext(error),
        )),
    }
}

impl Upload {
    fn new(output: GetObjectOutput) -> Self {
        Self {
            content_type: output.content_type,
            sha256: output
                .metadata
                .and_then(|mut metadata| metadata.remove("sha256")),
            content_id: output.version_id.or(output.e_tag).unwrap_or_default(),
            bytes: u64::try_from(output.content_length.unwrap_or(0)).unwrap_or(0),
            body: output.body,
        }
    }

    /// Reads the bytes.
    pub(crate) async fn read(self) -> Result<Vec<u8>, Retry> {
        let body = self
            .body
            .collect()
            .await
            .map_err(|error| Retry::new("reading the upload", &error))?;
        Ok(body.to_vec())
    }
}

/// The tag in which `GuardDuty` says what its scan of an object came to.
const SCAN_TAG: &str = "GuardDutyMalwareScanStatus";
/// How often it is looked for: nobody promises that it can be read when `GuardDuty` tells that it has scanned, and the
/// queue sends a message again after minutes only.
const SCAN_LOOKS: u32 = 5;
/// How long between two looks.
const SCAN_PAUSE: Duration = Duration::from_secs(1);

/// What a malware scan came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scan {
    Clean,
    Threat,
}

/// What the scan of an object found; an error while nothing says that it is clean. `None` when it is no longer there.
pub(crate) async fn scan(s3: &Client, object: &CreatedObject) -> Result<Option<Scan>, Retry> {
    let mut looks = 1;
    loop {
        let Some(tags) = tags_of(s3, object).await? else {
            return Ok(None);
        };
        let verdict = tags.iter().find(|tag| tag.key == SCAN_TAG);
        match verdict.map(|tag| tag.value.as_str()) {
            Some("NO_THREATS_FOUND") => return Ok(Some(Scan::Clean)),
            Some("THREATS_FOUND") => return Ok(Some(Scan::Threat)),
            // UNSUPPORTED, ACCESS_DENIED, FAILED: an operator has to look at it.
            Some(other) => {
                return Err(Retry {
                    reason: format!("the malware scan ended with {other}"),
                });
            }
            None if looks == SCAN_LOOKS => {
                return Err(Retry {
                    reason: "the upload is not scanned for malware yet".to_owned(),
                });
            }
            None => looks += 1,
        }
        tokio::time::sleep(SCAN_PAUSE).await;
    }
}

/// An object's tags; `None` when it is no longer there.
async fn tags_of(s3: &Client, object: &CreatedObject) -> Result<Option<Vec<Tag>>, Retry> {
    let request = s3
        .get_object_tagging()
        .bucket(&object.bucket)
        .key(&object.key)
        .set_version_id(object.version_id.clone());
    match request.send().await {
        Ok(output) => Ok(Some(output.tag_set)),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => Err(Retry::new(
            "reading the upload's tags",
            &DisplayErrorContext(error),
        )),
    }
}

/// The tag of an original that was rejected, by which the bucket's lifecycle knows what nobody will miss.
const STATUS_TAG: (&str, &str) = ("gatepost", "rejected");

/// Tags an original as rejected. It is housekeeping: what cannot be tagged is rejected all the same.
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
        // It was deleted meanwhile, or this S3 has no tags, as the embedded one.
        Err(error) if matches!(status(&error), Some(404 | 501)) => {}
        Err(error) => tracing::warn!(
            key = object.key,
            error = %DisplayErrorContext(error),
            "a rejected upload cannot be tagged"
        ),
    }
}

/// A small object, read whole.
pub(crate) struct Small {
    pub(crate) data: Vec<u8>,
    /// With its quotation marks.
    pub(crate) etag: String,
    pub(crate) modified: Option<Timestamp>,
}

/// What came of a conditional write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Written {
    /// It was made.
    Now {
        /// Of what was written, with its quotation marks.
        etag: String,
    },
    /// The condition did not hold: somebody else was first.
    Before,
}

/// Reads a small object, if it is there.
pub(crate) async fn read(s3: &Client, bucket: &str, key: &str) -> Result<Option<Small>, Retry> {
    let what = || format!("reading {key}");
    match s3.get_object().bucket(bucket).key(key).send().await {
        Ok(output) => {
            let modified = output
                .last_modified
                .and_then(|time| Timestamp::from_second(time.secs()).ok());
            let body = output
                .body
                .collect()
                .await
                .map_err(|error| Retry::new(&what(), &error))?;
            Ok(Some(Small {
                data: body.to_vec(),
                etag: output.e_tag.unwrap_or_default(),
                modified,
            }))
        }
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => Err(Retry::new(&what(), &DisplayErrorContext(error))),
    }
}

/// Writes a rendition. Doing it twice is the same as once.
pub(crate) async fn write_rendition(
    s3: &Client,
    bucket: &str,
    key: String,
    content_type: &str,
    data: Vec<u8>,
) -> Result<(), Retry> {
    s3.put_object()
        .bucket(bucket)
        .key(key)
        .content_type(content_type)
        .cache_control(IMMUTABLE)
        .body(data.into())
        .send()
        .await
        .map_err(|error| Retry::new("writing a rendition", &DisplayErrorContext(error)))?;
    Ok(())
}

/// Writes an object, unless there is one.
pub(crate) async fn write_first(
    s3: &Client,
    bucket: &str,
    key: &str,
    content_type: &str,
    data: Vec<u8>,
) -> Result<Written, Retry> {
    let request = s3
        .put_object()
        .bucket(bucket)
        .key(key)
        .content_type(content_type)
        .cache_control(REVALIDATED)
        .if_none_match("*")
        .body(data.into());
    conditional(key, request.send().await, &[412])
}

/// Writes an object in the place of the one with this `ETag`.
pub(crate) async fn replace(
    s3: &Client,
    bucket: &str,
    key: &str,
    etag: &str,
    data: Vec<u8>,
) -> Result<Written, Retry> {
    let request = s3
        .put_object()
        .bucket(bucket)
        .key(key)
        .content_type("text/plain")
        .if_match(etag)
        .body(data.into());
    // One that is no longer there is not there to be replaced.
    conditional(key, request.send().await, &[404, 412])
}

/// Deletes an object. One that is not there is deleted already.
pub(crate) async fn delete(s3: &Client, bucket: &str, key: &str) -> Result<(), Retry> {
    let request = s3.delete_object().bucket(bucket).key(key);
    match request.send().await {
        Ok(_) => Ok(()),
        Err(error) => Err(Retry::new(
            &format!("deleting {key}"),
            &DisplayErrorContext(error),
        )),
    }
}

/// Deletes an object if it is still the one with this `ETag`.
pub(crate) async fn delete_if_same(
    s3: &Client,
    bucket: &str,
    key: &str,
    etag: &str,
) -> Result<(), Retry> {
    let request = s3.delete_object().bucket(bucket).key(key).if_match(etag);
    match request.send().await {
        Ok(_) => Ok(()),
        Err(error) if matches!(status(&error), Some(404 | 412)) => Ok(()),
        Err(error) => Err(Retry::new(
            &format!("deleting {key}"),
            &DisplayErrorContext(error),
        )),
    }
}

/// Whether the object of an event is still there, or another one in its place.
pub(crate) async fn exists(s3: &Client, object: &CreatedObject) -> Result<bool, Retry> {
    let request = s3.head_object().bucket(&object.bucket).key(&object.key);
    match request.send().await {
        Ok(_) => Ok(true),
        Err(error) if status(&error) == Some(404) => Ok(false),
        Err(error) => Err(Retry::new(
            "looking for the upload",
            &DisplayErrorContext(error),
        )),
    }
}

/// `refusals` are the statuses that say that the condition did not hold.
fn conditional(
    key: &str,
    answer: Result<PutObjectOutput, SdkError<PutObjectError>>,
    refusals: &[u16],
) -> Result<Written, Retry> {
    match answer {
        Ok(output) => Ok(Written::Now {
            etag: output.e_tag.unwrap_or_default(),
        }),
        Err(error) if status(&error).is_some_and(|status| refusals.contains(&status)) => {
            Ok(Written::Before)
        }
        Err(error) => Err(Retry::new(
            &format!("writing {key}"),
            &DisplayErrorContext(error),
        )),
    }
}

fn status<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}
