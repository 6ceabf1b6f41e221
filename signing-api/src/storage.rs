//! What the API reads from S3: manifests, and whether an upload has arrived.

use aws_sdk_s3::error::{DisplayErrorContext, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use serde_json::Value;

use crate::{Api, Problem};

/// A manifest is a few kilobytes; more is none of ours.
const MAX_MANIFEST_BYTES: i64 = 256 * 1024;

impl Api {
    /// The manifest of an upload, if there is one yet.
    pub(crate) async fn manifest(&self, owner: &str, id: &str) -> Result<Option<Value>, Problem> {
        let answer = self
            .s3
            .get_object()
            .bucket(&self.settings.media_bucket)
            .key(format!("media/{owner}/{id}/manifest.json"))
            .send()
            .await;
        let object = match answer {
            Ok(object) => object,
            Err(SdkError::ServiceError(error))
                if matches!(error.err(), GetObjectError::NoSuchKey(_)) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(fault(error)),
        };
        if object.content_length().unwrap_or(0) > MAX_MANIFEST_BYTES {
            return Err(Problem::Storage("a manifest is too large".to_owned()));
        }
        let bytes = object.body.collect().await.map_err(fault)?.into_bytes();
        let manifest = serde_json::from_slice(&bytes)
            .map_err(|error| Problem::Storage(format!("a manifest is not JSON: {error}")))?;
        Ok(Some(manifest))
    }

    /// Whether the file of an upload has arrived.
    pub(crate) async fn upload_arrived(&self, owner: &str, id: &str) -> Result<bool, Problem> {
        let answer = self
            .s3
            .head_object()
            .bucket(self.settings.upload_bucket.name())
            .key(format!("uploads/{owner}/{id}"))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 404 => Ok(false),
            Err(error) => Err(fault(error)),
        }
    }

    /// The ids of an owner's media, newest first, from after `cursor`; with the cursor of the next page, if any.
    pub(crate) async fn media_ids(
        &self,
        owner: &str,
        cursor: Option<&str>,
        max: i32,
    ) -> Result<(Vec<String>, Option<String>), Problem> {
        let prefix = format!("media/{owner}/");
        let page = self
            .s3
            .list_objects_v2()
            .bucket(&self.settings.media_bucket)
            .prefix(&prefix)
            .delimiter("/")
            .max_keys(max)
            // `0` follows `/`: everything of the cursor's upload lies before it, for every S3.
            .set_start_after(cursor.map(|id| format!("{prefix}{id}0")))
            .send()
            .await
            .map_err(fault)?;
        let ids: Vec<_> = page
            .common_prefixes()
            .iter()
            .filter_map(|common| common.prefix()?.strip_prefix(&prefix)?.strip_suffix('/'))
            .map(str::to_owned)
            .collect();
        let next = match page.is_truncated() {
            Some(true) => ids.last().cloned(),
            _ => None,
        };
        Ok((ids, next))
    }
}

fn fault(error: impl std::error::Error) -> Problem {
    Problem::Storage(DisplayErrorContext(error).to_string())
}
