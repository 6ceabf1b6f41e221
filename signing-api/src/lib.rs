//! The HTTP API between the page and the buckets. It signs upload forms, links and sessions, and reports how uploads ended.
//!
//! [`router`] is the whole service. `gatepost dev` serves it beside the local edge; a Lambda serves it behind `CloudFront`.
//! Every call verifies the caller's JWT with `edge-auth` and does not trust the edge's decision. No file passes through
//! this service.

mod api;
mod body;
mod caller;
mod cloudfront;
mod cross_origin;
mod edge_cache;
mod links;
mod media;
mod media_urls;
mod problem;
mod session;
mod session_secrets;
mod settings;
mod signed_cookies;
mod signer;
mod storage;
mod uploads;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::middleware;
use axum::routing::{any, delete, get, post};

pub use api::Api;
pub use cloudfront::{
    CloudFront, CloudFrontError, Distribution, KEY_PAIR_ID_VARIABLE, PRIVATE_KEY_VARIABLE,
    URL_VARIABLE,
};
pub use cross_origin::SiteOrigin;
pub use edge_cache::{DistributionId, EdgeCache};
pub use problem::Problem;
pub use session_secrets::{
    MIN_SESSION_SECRET_BYTES, SESSION_SECRETS_MAX_AGE, SESSION_SECRETS_MAX_AGE_VARIABLE,
    SESSION_SECRETS_VARIABLE, SessionSecrets, SessionSecretsError, SharedKey, SharedSecret,
};
pub use settings::{
    DeliveryMode, LinkSigner, PackedSettings, SESSION_KEY_VARIABLE, Settings, UPLOAD_PATH,
    UploadsThrough,
};
pub use signer::Signer;

/// The routes of the API, all below `/api`.
pub fn router(api: Api) -> Router {
    Router::new()
        .route(
            "/api/uploads",
            post(uploads::create).get(uploads::show_many),
        )
        .route("/api/uploads/{id}", get(uploads::show))
        .route("/api/media", get(media::list))
        .route("/api/media/{id}", delete(media::delete))
        .route("/api/links", post(links::create))
        .route(
            "/api/session",
            get(session::show).post(session::start).delete(session::end),
        )
        .route("/api/openapi.json", get(openapi))
        .route("/api", any(problem::no_such_call))
        .route("/api/", any(problem::no_such_call))
        .route("/api/{*rest}", any(problem::no_such_call))
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(DefaultBodyLimit::max(settings::MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(
            api.clone(),
            cross_origin::with_cors,
        ))
        .layer(middleware::from_fn(problem::with_request_id))
        .with_state(api)
}

/// The description of this API in `OpenAPI`.
pub const OPENAPI: &str = include_str!("../openapi.json");

async fn openapi() -> impl axum::response::IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}
