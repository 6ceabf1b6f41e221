//! The origin: the media bucket, read as `CloudFront` reads it through origin access control.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, SdkError};
use bytes::Bytes;

/// An object of the bucket, with what an answer needs to say of it.
#[derive(Debug, Default)]
pub(crate) struct Object {
    pub(crate) body: Bytes,
    pub(crate) content_type: Option<String>,
    /// With its quotation marks.
    pub(crate) etag: Option<String>,
    /// In seconds since 1970.
    pub(crate) last_modified: Option<i64>,
    pub(crate) cache_control: Option<String>,
}

/// Why there is no object.
#[derive(Debug)]
pub(crate) enum OriginFault {
    NotFound,
    /// S3 does not answer as it should; the sentence is for the log.
    Unreachable(String),
}

/// Fetches an object whole.
pub(crate) async fn fetch(s3: &Client, bucket: &str, key: &str) -> Result<Object, OriginFault> {
    let output = match s3.get_object().bucket(bucket).key(key).send().await {
        Ok(output) => output,
        Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 404 => {
            return Err(OriginFault::NotFound);
        }
        Err(error) => {
            return Err(OriginFault::Unreachable(
                DisplayErrorContext(error).to_string(),
            ));
        }
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
    })
}

impl Object {
    /// How long a shared cache may keep it: what `Cache-Control` says, and nothing if that says nothing.
    pub(crate) fn fresh_for(&self) -> Duration {
        let directives: Vec<_> = self
            .cache_control
            .as_deref()
            .unwrap_or_default()
            .split(',')
            .map(|directive| directive.trim().to_ascii_lowercase())
            .collect();
        if directives
            .iter()
            .any(|directive| matches!(directive.as_str(), "no-store" | "no-cache" | "private"))
        {
            return Duration::ZERO;
        }
        let seconds = |name: &str| {
            directives
                .iter()
                .find_map(|directive| directive.strip_prefix(name)?.parse().ok())
        };
        Duration::from_secs(
            seconds("s-maxage=")
                .or_else(|| seconds("max-age="))
                .unwrap_or(0),
        )
    }
}
