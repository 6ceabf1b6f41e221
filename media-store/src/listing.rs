//! Lists a bucket in the order of its keys, one page in memory at a time.
//!
//! The removal, the sweep and the API's gallery call this. It reads no object.

use aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2FluentBuilder;
use aws_sdk_s3::types::Object;

use crate::MediaStore;
use crate::error::StoreError;

/// The objects of a bucket, page by page.
pub struct Listing {
    request: ListObjectsV2FluentBuilder,
    page: std::vec::IntoIter<Object>,
    is_complete: bool,
}

impl Listing {
    /// Skips the keys up to and including this one, which need not exist.
    #[must_use]
    pub fn after(mut self, key: String) -> Self {
        self.request = self.request.start_after(key);
        self
    }

    /// The next object; `None` after the last.
    ///
    /// # Errors
    ///
    /// S3 refuses or does not answer the listing's next page.
    pub async fn next(&mut self) -> Result<Option<Object>, StoreError> {
        loop {
            if let Some(object) = self.page.next() {
                return Ok(Some(object));
            }
            if self.is_complete {
                return Ok(None);
            }
            let page = self.request.clone().send().await.map_err(|error| {
                let bucket = self.request.get_bucket().as_deref().unwrap_or_default();
                StoreError::new(format!("listing {bucket}"), &error)
            })?;
            self.is_complete =
                page.is_truncated != Some(true) || page.next_continuation_token.is_none();
            self.request = self
                .request
                .clone()
                .set_continuation_token(page.next_continuation_token);
            self.page = page.contents.unwrap_or_default().into_iter();
        }
    }
}

impl MediaStore {
    /// The objects whose keys begin with `prefix`, in key order.
    pub fn listing(&self, bucket: &str, prefix: &str) -> Listing {
        Listing {
            request: self.s3.list_objects_v2().bucket(bucket).prefix(prefix),
            page: Vec::new().into_iter(),
            is_complete: false,
        }
    }
}
