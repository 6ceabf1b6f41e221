//! The cache in front of the media bucket, as the API sees it: after a deletion it must forget the objects. The program
//! that serves the router provides one.

use futures::future::BoxFuture;
use media_contract::{Manifest, Status, UploadKey};

/// The id of the distribution that a call came through, such as `E1EXAMPLE`. The program that serves the router sets it as
/// an extension of the request, and accepts it only from the distribution.
#[derive(Clone, Debug)]
pub struct DistributionId(pub String);

/// A cache that can forget.
pub trait EdgeCache: Send + Sync {
    /// Forgets paths of an upload, such as `/media/{owner}/{id}/640.webp`; one that ends in `*` is everything that begins so.
    /// The same paths of the same upload need not be forgotten twice. The error is a sentence for the log.
    fn forget<'a>(
        &'a self,
        distribution: Option<&'a DistributionId>,
        upload: &'a UploadKey,
        paths: &'a [String],
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// The paths of an upload that a cache may hold, from the manifest that a deletion found. They are exact, because
/// `CloudFront` works on few paths with a wildcard at a time.
pub(crate) fn cached_paths(upload: &UploadKey, found: Option<&Manifest>) -> Vec<String> {
    let Some(manifest) = found else {
        return Vec::new();
    };
    match &manifest.status {
        Status::Ready { renditions, .. } => {
            let renditions = renditions.iter().map(|rendition| rendition.path.clone());
            renditions.chain([upload.manifest_path()]).collect()
        }
        Status::Rejected { .. } | Status::Failed { .. } => vec![upload.manifest_path()],
        // A repeated deletion: an earlier one may have ended before it came here, and what there was is not known any more.
        Status::Deleted { .. } => vec![format!("{}*", upload.media_path())],
    }
}
