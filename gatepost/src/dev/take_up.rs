//! Takes up uploads whose event was lost: see [`upload_processor::sweep`].
//!
//! S3 guarantees its events, but this process may end between the object and the event. An S3 elsewhere does not know
//! the queue of this machine at all.

use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use local_aws::sqs::Queue;
use media_store::MediaStore;
use upload_processor::event::{Notice, Record};
use upload_processor::sweep::{Forgotten, Options, Report, Sweep};

/// How often an S3 elsewhere is looked through.
const PERIOD: Duration = Duration::from_secs(2);
/// The longest pause while it does not answer.
const MAX_PERIOD: Duration = Duration::from_mins(1);

/// Queues what is unfinished and has no message.
pub(super) async fn take_up(store: &MediaStore, queue: &Queue) -> anyhow::Result<Report> {
    let announced: HashSet<_> = queue
        .bodies()?
        .iter()
        .flat_map(|body| announced_in(body))
        .collect();
    let options = Options {
        since: None,
        failed: false,
        settling_time: SignedDuration::ZERO,
    };
    let mut sweep = Sweep::new(store.clone(), Timestamp::now(), options);
    while let Some(forgotten) = sweep.next().await? {
        match announce(store, queue, forgotten.clone(), &announced).await {
            Ok(true) => sweep.announced(),
            Ok(false) => {}
            Err(error) => sweep.failed(&forgotten.upload, &format!("{error:#}")),
        }
    }
    Ok(sweep.report())
}

/// Queues the upload's notification, unless it is announced already.
async fn announce(
    store: &MediaStore,
    queue: &Queue,
    mut forgotten: Forgotten,
    announced: &HashSet<(String, String)>,
) -> anyhow::Result<bool> {
    let Some(etag) = etag(store, &forgotten).await? else {
        return Ok(false);
    };
    // By its content, too: an object that replaced an announced one was not announced with it.
    let identity = (forgotten.upload.original(), etag);
    if announced.contains(&identity) {
        return Ok(false);
    }
    forgotten.etag = Some(identity.1);
    let notification = forgotten.notification(&store.buckets.uploads);
    queue.send(notification.to_string()).await?;
    Ok(true)
}

/// Takes up repeatedly, with exponential backoff while it fails.
pub(super) async fn keep_taking_up(store: MediaStore, queue: &Queue) {
    let mut n_failures = 0;
    loop {
        tokio::time::sleep(pause(n_failures)).await;
        match take_up(&store, queue).await {
            Ok(_) => n_failures = 0,
            Err(error) => {
                n_failures += 1;
                tracing::warn!(
                    error = format!("{error:#}"),
                    next_try_in_seconds = pause(n_failures).as_secs(),
                    "the buckets cannot be looked through"
                );
            }
        }
    }
}

/// The pause after so many failures in a row: exponential backoff.
fn pause(n_failures: u32) -> Duration {
    PERIOD
        .saturating_mul(2_u32.saturating_pow(n_failures))
        .min(MAX_PERIOD)
}

/// The object's `ETag`, without quotation marks; `None` if the object is gone. Not every S3 lists it.
async fn etag(store: &MediaStore, forgotten: &Forgotten) -> anyhow::Result<Option<String>> {
    if let Some(etag) = &forgotten.etag {
        return Ok(Some(etag.clone()));
    }
    let key = forgotten.upload.original();
    let request = store
        .s3
        .head_object()
        .bucket(&store.buckets.uploads)
        .key(&key);
    match request.send().await {
        Ok(head) => {
            let etag = head.e_tag().unwrap_or_default();
            Ok(Some(etag.trim_matches('"').to_owned()))
        }
        Err(error) if media_store::status(&error) == Some(404) => Ok(None),
        Err(error) => Err(anyhow::anyhow!(
            "the object {key} cannot be looked at: {}",
            media_store::reason(&error)
        )),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_while_the_storage_fails() {
        let pauses = [0, 1, 2, 3, 4, 5, 6, u32::MAX].map(|n_failures| pause(n_failures).as_secs());
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
