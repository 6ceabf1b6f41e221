//! Finding uploads that nobody was told of: objects with no manifest and no message.
//!
//! S3 promises its events; this process may end between the object and the event. An S3 elsewhere does not know our
//! queue at all. Either way the buckets tell what is unfinished.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::types::Object;
use upload_processor::Buckets;
use upload_processor::event::{Notice, Record, UploadKey};

use crate::local_s3::{CreatedObject, Notifier};
use crate::queue::Queue;

/// How often an S3 elsewhere is looked through.
const PERIOD: Duration = Duration::from_secs(2);

/// Queues what is unfinished; says how much that was.
pub(super) async fn reconcile(
    s3: &Client,
    buckets: &Buckets,
    queue: &Queue,
    notifier: &Notifier,
) -> anyhow::Result<usize> {
    let finished: HashSet<String> = list(s3, &buckets.media, "media/")
        .await?
        .into_iter()
        .filter_map(|object| object.key)
        .collect();
    let announced: HashSet<_> = queue
        .bodies()?
        .iter()
        .flat_map(|body| announced_in(body))
        .collect();
    let mut n_found = 0;
    for object in list(s3, &buckets.uploads, "uploads/").await? {
        let Some(key) = &object.key else { continue };
        let is_open =
            UploadKey::parse(key).is_some_and(|upload| !finished.contains(&upload.manifest_key()));
        if !is_open {
            continue;
        }
        let Some(object) = look_at(s3, &buckets.uploads, key).await? else {
            continue;
        };
        // By its content, too: what was written over an announced object was not announced with it.
        if !announced.contains(&(object.key.clone(), object.etag.clone())) {
            notifier.object_created(&object).await?;
            n_found += 1;
        }
    }
    Ok(n_found)
}

/// Does so again and again.
pub(super) async fn keep_reconciling(
    s3: Client,
    buckets: Buckets,
    queue: &Queue,
    notifier: Notifier,
) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(PERIOD).await;
        if let Err(error) = reconcile(&s3, &buckets, queue, &notifier).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "the buckets cannot be looked through"
            );
        }
    }
}

/// The object as its event would have described it; `None` if it is gone.
async fn look_at(s3: &Client, bucket: &str, key: &str) -> anyhow::Result<Option<CreatedObject>> {
    let head = match s3.head_object().bucket(bucket).key(key).send().await {
        Ok(head) => head,
        Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 404 => {
            return Ok(None);
        }
        Err(error) => {
            return Err(error).with_context(|| format!("the object {key} cannot be looked at"));
        }
    };
    Ok(Some(CreatedObject {
        event_name: "ObjectCreated:Post",
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        size: head
            .content_length()
            .and_then(|size| u64::try_from(size).ok())
            .unwrap_or(0),
        etag: head
            .e_tag()
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned(),
        access_key: "reconcile".to_owned(),
    }))
}

/// The keys and `ETag`s that a message is about.
fn announced_in(body: &str) -> Vec<(String, String)> {
    let Ok(Notice::Records(records)) = Notice::parse(body) else {
        return Vec::new();
    };
    let created = records.into_iter().filter_map(|record| match record {
        Record::Created(object) => Some((object.key, object.etag.unwrap_or_default())),
        Record::Other(_) | Record::Unreadable(_) => None,
    });
    created.collect()
}

async fn list(s3: &Client, bucket: &str, prefix: &str) -> anyhow::Result<Vec<Object>> {
    let mut objects = Vec::new();
    let mut pages = s3
        .list_objects_v2()
        .bucket(bucket)
        .prefix(prefix)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.with_context(|| format!("the bucket {bucket} cannot be listed"))?;
        objects.extend(page.contents.unwrap_or_default());
    }
    Ok(objects)
}
