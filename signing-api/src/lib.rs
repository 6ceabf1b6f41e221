//! The HTTP API between the page and the bucket: it hands out upload forms and tells what became of uploads.
//!
//! [`router`] is the whole service; `gatepost dev` serves it beside the local edge, a Lambda serves it behind
//! `CloudFront`. Every call verifies the caller's JWT itself with `edge-auth`: the edge's word is not taken for it.
//! No file passes through here.

mod media;
mod problem;
mod session;
mod storage;
pub mod upload_id;
mod uploads;

use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;
use axum::Router;
use axum::middleware;
use axum::routing::{any, get, post};
use edge_auth_host::HostedAuthorizer;
use jiff::{SignedDuration, Timestamp};
use url_signing::Bucket;

pub use problem::Problem;
pub use upload_id::UploadId;

/// What the API is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The content types that a form may be made for.
    pub types: Vec<String>,
    /// The largest upload, in bytes.
    pub max_bytes: u64,
    /// How long a form is valid.
    pub form_lifetime: SignedDuration,
    /// Where forms are posted to.
    pub upload_bucket: Bucket,
    /// Where finished media lie.
    pub media_bucket: String,
}

/// What the API works with.
#[derive(Clone)]
pub struct Api {
    /// Decides who calls.
    pub authorizer: Arc<HostedAuthorizer>,
    /// Signs forms; its role may put into `uploads/*` and nothing else.
    pub signer: SharedCredentialsProvider,
    /// Reads the media bucket, and sees whether an upload has arrived.
    pub s3: aws_sdk_s3::Client,
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The time.
    pub clock: fn() -> Timestamp,
}

/// The API's routes, all below `/api`.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/api/uploads", post(uploads::create))
        .route("/api/uploads/{id}", get(uploads::show))
        .route("/api/media", get(media::list))
        .route("/api", any(problem::no_such_call))
        .route("/api/", any(problem::no_such_call))
        .route("/api/{*rest}", any(problem::no_such_call))
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(middleware::from_fn(problem::with_request_id))
        .with_state(api)
}
