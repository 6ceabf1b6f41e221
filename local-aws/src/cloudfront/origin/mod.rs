//! Origins: a bucket, with or without origin access control, or a service that answers for itself.
//! [`Distribution`](super::Distribution) fetches from them.

mod controlled;
mod fault;
mod object;
mod unsigned;

use std::sync::Arc;

use aws_sdk_s3::Client;
use axum::Router;
use axum::http::Method;

pub(super) use object::{Object, OriginFault};
pub use unsigned::OriginError;
pub(super) use unsigned::{Answer, UnsignedBucket};

use controlled::ControlledBucket;

/// Where the answers of a behaviour come from.
#[derive(Clone)]
pub enum Origin {
    /// A bucket, whose objects are cached.
    Bucket(Bucket),
    /// A service in this process, such as an API. It gets every method and the body, and nothing of it is cached.
    Service(Router),
}

/// A bucket, and how it is reached.
#[derive(Clone)]
pub struct Bucket(Access);

#[derive(Clone)]
enum Access {
    Controlled(ControlledBucket),
    Unsigned(Arc<UnsignedBucket>),
}

/// A read, as the viewer-request function leaves it.
pub(super) struct Read<'a> {
    pub(super) method: &'a Method,
    /// The path as a key, decoded and without its first slash.
    pub(super) key: &'a str,
    /// The path as it was sent.
    pub(super) path: &'a str,
    /// The query as it was sent; empty if the policy does not forward it.
    pub(super) query: &'a str,
}

impl Origin {
    /// A bucket with origin access control: the key is the path without its first slash, percent-decoded.
    pub fn bucket(s3: Client, name: &str) -> Self {
        Self::bucket_below(s3, name, "")
    }

    /// A bucket behind an origin path such as `/o`: the path `/a` names the key `o/a`, and no path names a key outside
    /// of `o/`.
    pub fn bucket_below(s3: Client, name: &str, origin_path: &str) -> Self {
        Self::Bucket(Bucket(Access::Controlled(ControlledBucket {
            s3,
            name: name.to_owned(),
            origin_path: origin_path.to_owned(),
        })))
    }

    /// A bucket without origin access control, at an S3 server such as `http://127.0.0.1:9000`. The path `/a` behind the
    /// origin path `/o` becomes `/BUCKET/o/a`; the query goes along as it was sent if
    /// [`Policy::query_in_key`](super::Policy::query_in_key) says so, and with it a signature for S3. S3's errors are
    /// passed on, and only objects are cached.
    ///
    /// # Errors
    ///
    /// [`OriginError`] if the endpoint is not `http://` and a host, or the origin path does not begin with a slash or
    /// ends in one.
    pub fn unsigned_bucket(
        endpoint: &str,
        name: &str,
        origin_path: &str,
    ) -> Result<Self, OriginError> {
        let bucket = UnsignedBucket::new(endpoint, name, origin_path)?;
        Ok(Self::Bucket(Bucket(Access::Unsigned(Arc::new(bucket)))))
    }

    /// A service.
    pub fn service(router: Router) -> Self {
        Self::Service(router)
    }
}

impl Bucket {
    /// The bucket, if it has no origin access control.
    pub(super) fn unsigned(&self) -> Option<&UnsignedBucket> {
        match &self.0 {
            Access::Controlled(_) => None,
            Access::Unsigned(bucket) => Some(bucket),
        }
    }

    pub(super) async fn fetch(&self, read: &Read<'_>) -> Result<Answer, OriginFault> {
        match &self.0 {
            Access::Controlled(bucket) => bucket.fetch(read.key).await.map(Answer::Object),
            Access::Unsigned(bucket) => bucket.fetch(read.method, read.path, read.query).await,
        }
    }
}
