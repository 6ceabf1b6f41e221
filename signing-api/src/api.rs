//! The state that every call of the API shares. `gatepost dev` and the Lambda build it; [`crate::router`] takes it. This
//! module makes no decision.

use std::sync::Arc;

use edge_auth_host::HostedAuthorizer;
use jiff::Timestamp;
use media_store::MediaStore;

use crate::cloudfront::CloudFront;
use crate::edge_cache::EdgeCache;
use crate::settings::Settings;
use crate::signer::Signer;

/// The state of the API: its dependencies and its settings.
#[derive(Clone)]
pub struct Api {
    /// Verifies callers.
    pub authorizer: Arc<HostedAuthorizer>,
    /// Signs forms and links; its role may put into `uploads/*` and get from `o/media/*`, and has no other permission.
    pub signer: Arc<Signer>,
    /// Signs links and cookies that `CloudFront` checks; without it the bucket's credentials sign links.
    pub cloudfront: Option<Arc<CloudFront>>,
    /// Forgets deleted objects; without it a cache may serve them until they are stale.
    pub edge_cache: Option<Arc<dyn EdgeCache>>,
    /// Reads manifests and uploads, writes tombstones, and removes the objects beside them.
    pub store: MediaStore,
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The time.
    pub clock: fn() -> Timestamp,
}
