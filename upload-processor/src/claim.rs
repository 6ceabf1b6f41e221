//! Which content of an upload is worked on, where a form let several arrive.
//!
//! A form that is pinned to a digest takes one content. Any other takes whatever has its size, again and again while it
//! is open, and each time an event comes. Two workers with two contents would write to the same names, and the
//! manifest of one could describe renditions of the other. So the first takes a claim, a small object that names the
//! content, with `If-None-Match: *`; whoever has another waits for the manifest. With one content there is no such
//! race, and no claim is taken.
//!
//! The order makes it tight: the claim is taken before the manifest is looked for, and given up after it is written.
//! A worker that dies leaves its claim; its own content is gone on with under a claim that is renewed, and any other
//! takes it over when it is stale. Of two who would do either, one writes first, and the other's condition fails.

use std::time::Duration;

use aws_sdk_s3::Client;
use jiff::{SignedDuration, Timestamp};

use crate::event::UploadKey;
use crate::processor::Retry;
use crate::storage::{self, Written};

/// When a claim is stale. It is taken with a core at hand, so that what is done under it takes one image's time, at
/// most another's until there is memory, and a few writes: the Lambda's timeout must not be longer.
const LIFETIME: SignedDuration = SignedDuration::from_secs(75);
/// How long another content waits for the manifest, or for the claim to become stale, each time that its message is
/// received. Five times this is longer than a claim lives, so that a dead worker's claim outlasts no message.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How often it looks.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// A claim that is held: the `ETag` of the object that says so.
pub(crate) struct Held(String);

/// Takes the claim for `content`, or renews it if it was taken for the same; nothing, if it is another's.
pub(crate) async fn take(
    s3: &Client,
    bucket: &str,
    now: Timestamp,
    upload: &UploadKey,
    content: &str,
) -> Result<Option<Held>, Retry> {
    let key = key(upload);
    if let Written::Now { etag } =
        storage::write_first(s3, bucket, &key, "text/plain", content.into()).await?
    {
        return Ok(Some(Held(etag)));
    }
    let Some(found) = storage::read(s3, bucket, &key).await? else {
        // Given up between the two: the manifest is there.
        return Ok(None);
    };
    let is_stale = found
        .modified
        .is_some_and(|modified| modified + LIFETIME < now);
    if !is_stale && found.data != content.as_bytes() {
        return Ok(None);
    }
    // Also where it was taken for the same: it may be as good as stale, and would be taken over in the midst of the work.
    match storage::replace(s3, bucket, &key, &found.etag, content.into()).await? {
        Written::Now { etag } => Ok(Some(Held(etag))),
        Written::Before => Ok(None),
    }
}

/// Gives the claim up, unless it was taken over.
pub(crate) async fn give_up(
    s3: &Client,
    bucket: &str,
    upload: &UploadKey,
    Held(etag): &Held,
) -> Result<(), Retry> {
    storage::delete_if_same(s3, bucket, &key(upload), etag).await
}

/// Outside `media/`, where no viewer can ask for it.
fn key(upload: &UploadKey) -> String {
    format!("claims/{}/{}", upload.owner, upload.id)
}
