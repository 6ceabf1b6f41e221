//! A viewer's request in the form that `edge-auth` reads. The behaviours of every mode use it.

use axum::http::request::Parts;
use edge_auth::{Headers, ViewerRequest};

/// The request of the event that CloudFront would send to Lambda@Edge.
pub(super) fn viewer_request(head: &Parts) -> ViewerRequest {
    let mut headers = Headers::default();
    for (name, value) in &head.headers {
        // A foreign cookie may hold any bytes; ours is beside it.
        headers.append(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    ViewerRequest {
        client_ip: "127.0.0.1".to_owned(),
        headers,
        method: head.method.to_string(),
        querystring: head.uri.query().unwrap_or_default().to_owned(),
        uri: head.uri.path().to_owned(),
        ..ViewerRequest::default()
    }
}
