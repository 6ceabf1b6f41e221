//! What the API does in S3: reads manifests, looks whether an upload has arrived, deletes both.

use aws_sdk_s3::error::{DisplayErrorContext, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
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
            .bucket(self.settings.media_bucket.name())
            .key(manifest_key(owner, id))
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
        is_there(answer.map(|_| ()))
    }

    /// Whether an upload has a manifest.
    pub(crate) async fn has_manifest(&self, owner: &str, id: &str) -> Result<bool, Problem> {
        let answer = self
            .s3
            .head_object()
            .bucket(self.settings.media_bucket.name())
            .key(manifest_key(owner, id))
            .send()
            .await;
        is_there(answer.map(|_| ()))
    }

    /// Deletes the original of an upload.
    pub(crate) async fn delete_upload(&self, owner: &str, id: &str) -> Result<(), Problem> {
        self.s3
            .delete_object()
            .bucket(self.settings.upload_bucket.name())
            .key(format!("uploads/{owner}/{id}"))
            .send()
            .await
            .map(|_| ())
            .map_err(fault)
    }

    /// Deletes the manifest, then everything beside it.
    pub(crate) async fn delete_media(&self, owner: &str, id: &str) -> Result<(), Problem> {
        let bucket = self.settings.media_bucket.name();
        let delete = |key: String| self.s3.delete_object().bucket(bucket).key(key).send();
        delete(manifest_key(owner, id)).await.map_err(fault)?;
        let mut rest = self
            .s3
            .list_objects_v2()
            .bucket(bucket)
            .prefix(format!("media/{owner}/{id}/"))
            .into_paginator()
            .send();
        while let Some(page) = rest.next().await {
            let page = page.map_err(fault)?;
            for key in page.contents().iter().filter_map(|object| object.key()) {
                delete(key.to_owned()).await.map_err(fault)?;
            }
        }
        Ok(())
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
            .bucket(self.settings.media_bucket.name())
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

fn manifest_key(owner: &str, id: &str) -> String {
    format!("media/{owner}/{id}/manifest.json")
}

fn is_there(answer: Result<(), SdkError<HeadObjectError>>) -> Result<bool, Problem> {
    match answer {
        Ok(()) => Ok(true),
        Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 404 => Ok(false),
        Err(error) => Err(fault(error)),
    }
}

fn fault(error: impl std::error::Error) -> Problem {
    Problem::Storage(DisplayErrorContext(error).to_string())
}
