//! The cache in front of the media bucket, as the API sees it: after a deletion it must forget the objects. The program
//! that serves the router provides one.

use futures::future::BoxFuture;

/// A cache that can forget.
pub trait EdgeCache: Send + Sync {
    /// Forgets everything below a folder, such as `/media/{owner}/{id}/`. The error is a sentence for the log.
    fn forget(&self, folder: String) -> BoxFuture<'_, Result<(), String>>;
}
