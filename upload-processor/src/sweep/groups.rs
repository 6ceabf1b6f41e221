//! Merges the listings of both buckets: everything that belongs to one upload, upload by upload.
//!
//! Only the sweep calls this. Both listings are in the order of owners and ids, so memory stays constant. It reads
//! listings and never an object.

use jiff::Timestamp;
use media_contract::UploadKey;
use media_contract::upload_key::{UPLOAD_PREFIX, media_prefix};
use media_store::{Buckets, Listing, MediaStore, StoreError};

/// Everything in the two buckets that belongs to one upload.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) upload: UploadKey,
    pub(super) original: Option<Object>,
    pub(super) manifest: Option<Object>,
    pub(super) renditions: Vec<Object>,
}

#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) size: i64,
    pub(super) etag: Option<String>,
    pub(super) modified: Timestamp,
}

/// The two listings, merged: both are in the order of owners and ids.
pub(super) struct Groups {
    uploads: Side,
    media: Side,
}

/// One of the listings, with the next object prefetched.
struct Side {
    listing: Listing,
    parse: fn(&str) -> Option<UploadKey>,
    next: Option<(UploadKey, Object)>,
}

impl Groups {
    /// All uploads after `after`.
    pub(super) fn new(store: &MediaStore, after: Option<&UploadKey>) -> Self {
        let side = |bucket, prefix: &str, after: Option<String>, parse| {
            let listing = store.listing(bucket, prefix);
            Side {
                listing: match after {
                    Some(key) => listing.after(key),
                    None => listing,
                },
                parse,
                next: None,
            }
        };
        let Buckets { uploads, media } = &store.buckets;
        Self {
            uploads: side(
                uploads,
                UPLOAD_PREFIX,
                after.map(UploadKey::original),
                UploadKey::parse,
            ),
            media: side(
                media,
                &media_prefix(),
                after.map(UploadKey::end_of_media),
                |key| Some(UploadKey::parse_media_key(key)?.0),
            ),
        }
    }

    /// The next upload, with everything that belongs to it; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Group>, StoreError> {
        let (uploaded, published) = (self.uploads.peek().await?, self.media.peek().await?);
        let Some(upload) = uploaded.into_iter().chain(published).min() else {
            return Ok(None);
        };
        let mut group = Group {
            original: self.uploads.take(&upload).await?,
            manifest: None,
            renditions: Vec::new(),
            upload,
        };
        let manifest_key = group.upload.manifest_key();
        while let Some(object) = self.media.take(&group.upload).await? {
            if object.key == manifest_key {
                group.manifest = Some(object);
            } else if group.upload.is_rendition(&object.key) {
                group.renditions.push(object);
            }
        }
        Ok(Some(group))
    }
}

impl Side {
    /// The upload of the next object.
    async fn peek(&mut self) -> Result<Option<UploadKey>, StoreError> {
        while self.next.is_none() {
            let Some(object) = self.listing.next().await? else {
                return Ok(None);
            };
            let key = object.key.unwrap_or_default();
            // Other objects are ignored.
            let Some(upload) = (self.parse)(&key) else {
                continue;
            };
            let modified = object
                .last_modified
                .and_then(|time| Timestamp::from_millisecond(time.to_millis().ok()?).ok());
            let object = Object {
                key,
                size: object.size.unwrap_or(0),
                etag: object.e_tag.map(|etag| etag.trim_matches('"').to_owned()),
                modified: modified.unwrap_or(Timestamp::UNIX_EPOCH),
            };
            self.next = Some((upload, object));
        }
        Ok(self.next.as_ref().map(|(upload, _)| upload.clone()))
    }

    /// The next object, if it belongs to this upload.
    async fn take(&mut self, upload: &UploadKey) -> Result<Option<Object>, StoreError> {
        if self.peek().await?.as_ref() != Some(upload) {
            return Ok(None);
        }
        Ok(self.next.take().map(|(_, object)| object))
    }
}
