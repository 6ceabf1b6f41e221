//! A bucket with origin access control: CloudFront signs its own requests, so the query of a viewer's request does not
//! reach S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;

use super::fault::causes;
use super::object::{Object, OriginFault};

/// A bucket that is read with a client's credentials.
#[derive(Clone)]
pub(super) struct ControlledBucket {
    pub(super) s3: Client,
    pub(super) name: String,
    /// Prepended to the path of every request, such as `/o`; may be empty.
    pub(super) origin_path: String,
}

impl ControlledBucket {
    /// Fetches the object of a path, which is decoded and given without its first slash.
    pub(super) async fn fetch(&self, path: &str) -> Result<Object, OriginFault> {
        let key = format!("{}/{path}", self.origin_path);
        // One slash alone: the others belong to the key, and another key could be somebody else's object.
        let key = key.strip_prefix('/').unwrap_or(&key);
        let request = self.s3.get_object().bucket(&self.name).key(key);
        let output = match request.send().await {
            Ok(output) => output,
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 404 => {
                return Err(OriginFault::NotFound);
            }
            Err(error) => return Err(OriginFault::Unreachable(reason(&error))),
        };
        Ok(Object {
            content_type: output.content_type,
            etag: output.e_tag,
            last_modified: output.last_modified.map(|time| time.secs()),
            cache_control: output.cache_control,
            body: output
                .body
                .collect()
                .await
                .map_err(|error| OriginFault::Unreachable(error.to_string()))?
                .into_bytes(),
            ..Object::default()
        })
    }
}

/// The code and message of S3's answer, or the connection's fault with its causes.
fn reason(error: &SdkError<GetObjectError>) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => causes(error),
    }
}
