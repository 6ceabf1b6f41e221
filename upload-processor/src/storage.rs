//! S3 as the processor uses it: reads pinned to what an event named, writes that can be repeated, and one write, the
//! manifest's, that only the first one gets.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;

use crate::event::CreatedObject;
use crate::processor::Retry;

/// What a rendition may be cached for: its content never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// A manifest is asked for before it is there, and may be deleted.
const REVALIDATED: &str = "no-cache";

/// An upload as it lies in the bucket.
pub(crate) struct Upload {
    pub(crate) content_type: Option<String>,
    /// `x-amz-meta-sha256`: the digest that the form was pinned to, in hexadecimal.
    pub(crate) sha256: Option<String>,
    pub(crate) bytes: u64,
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

/// Reads a small object, if it is there.
pub(crate) async fn read(s3: &Client, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Retry> {
    match s3.get_object().bucket(bucket).key(key).send().await {
        Ok(output) => {
            let body = output
                .body
                .collect()
                .await
                .map_err(|error| Retry::new("reading the manifest", &error))?;
            Ok(Some(body.to_vec()))
        }
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => Err(Retry::new(
            "reading the manifest",
            &DisplayErrorContext(error),
        )),
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

/// Writes the manifest, unless there is one; says whether it was ours.
pub(crate) async fn write_manifest(
    s3: &Client,
    bucket: &str,
    key: String,
    data: Vec<u8>,
) -> Result<bool, Retry> {
    let answer = s3
        .put_object()
        .bucket(bucket)
        .key(key)
        .content_type("application/json")
        .cache_control(REVALIDATED)
        .if_none_match("*")
        .body(data.into())
        .send()
        .await;
    match answer {
        Ok(_) => Ok(true),
        Err(error) if status(&error) == Some(412) => Ok(false),
        Err(error) => Err(Retry::new(
            "writing the manifest",
            &DisplayErrorContext(error),
        )),
    }
}

fn status<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}
