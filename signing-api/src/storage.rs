//! The S3 requests that only the API makes: whether an upload has arrived, and which media an owner has.

use jiff::Timestamp;
use media_contract::upload_key::owner_prefix;
use media_contract::{UploadId, UploadKey};
use media_store::{StoreError, status};

use crate::api::Api;

impl Api {
    /// The arrival time of an upload's file; `None` if it has not arrived.
    pub(crate) async fn arrival(
        &self,
        upload: &UploadKey,
    ) -> Result<Option<Timestamp>, StoreError> {
        let key = upload.original();
        let request = self
            .store
            .s3
            .head_object()
            .bucket(&self.store.buckets.uploads)
            .key(&key);
        match request.send().await {
            Ok(head) => Ok(Some(
                head.last_modified
                    .and_then(|time| Timestamp::from_second(time.secs()).ok())
                    .unwrap_or_else(|| (self.clock)()),
            )),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(StoreError::new(format!("looking for {key}"), &error)),
        }
    }

    /// The ids of an owner's media after `cursor`, newest first, and the cursor of the next page, if any.
    pub(crate) async fn media_ids(
        &self,
        owner: &str,
        cursor: Option<UploadId>,
        max: i32,
    ) -> Result<(Vec<UploadId>, Option<UploadId>), StoreError> {
        let prefix = owner_prefix(owner);
        let page = self
            .store
            .s3
            .list_objects_v2()
            .bucket(&self.store.buckets.media)
            .prefix(&prefix)
            .delimiter("/")
            .max_keys(max)
            .set_start_after(cursor.map(|id| {
                let owner = owner.to_owned();
                UploadKey { owner, id }.end_of_media()
            }))
            .send()
            .await
            .map_err(|error| StoreError::new(format!("listing {prefix}"), &error))?;
        let names = page
            .common_prefixes()
            .iter()
            .filter_map(|common| common.prefix()?.strip_prefix(&prefix)?.strip_suffix('/'));
        let ids: Vec<_> = names.filter_map(UploadId::parse).collect();
        let next = match page.is_truncated() {
            Some(true) => ids.last().copied(),
            _ => None,
        };
        Ok((ids, next))
    }
}
