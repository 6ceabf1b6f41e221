//! An answer that the authorizer generated, as CloudFront sends it. The edge of each mode uses it.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use edge_auth::lambda_edge::GeneratedResponse;
use local_aws::cloudfront::error_response;

/// CloudFront's answer in the authorizer's name.
pub(super) fn generated(generated: GeneratedResponse) -> Response<Body> {
    let status = generated.status.parse().ok();
    let mut builder = Response::builder().status(status.unwrap_or(StatusCode::FORBIDDEN));
    for (name, value) in generated.headers.iter() {
        builder = builder.header(name, value);
    }
    builder
        .body(generated.body.map_or_else(Body::empty, Body::from))
        .unwrap_or_else(|_| error_response(StatusCode::FORBIDDEN, "You may not access this."))
}
