//! The cache in front of the media bucket, as far as the API has to do with it: what is deleted is to be forgotten there.

use futures::future::BoxFuture;

/// A cache that can forget.
pub trait EdgeCache: Send + Sync {
    /// Forgets all below a folder, such as `/media/{owner}/{id}/`. The error is a sentence for the log.
    fn forget(&self, folder: String) -> BoxFuture<'_, Result<(), String>>;
}
