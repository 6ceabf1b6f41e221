//! Lambda@Edge's viewer-request event.
//!
//! The shapes follow the `CloudFront` developer guide, "Lambda@Edge event structure". Header names are lower-case keys
//! of lists of `{key, value}`. Unknown members are passed through unchanged.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::http::headers::Headers;
use crate::http::request::Request;

/// An event as Lambda@Edge sends it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ViewerRequestEvent {
    /// Always exactly one.
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

/// The one record of an event.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    /// The `CloudFront` part of the record.
    pub cf: CloudFront,
}

/// The `CloudFront` part of a record.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CloudFront {
    /// The distribution and the request's id.
    pub config: EventConfig,
    /// The request.
    pub request: ViewerRequest,
}

/// Where the event comes from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventConfig {
    /// For example `d111111abcdef8.cloudfront.net`.
    #[serde(default)]
    pub distribution_domain_name: String,
    /// For example `EDFDVBD6EXAMPLE`.
    #[serde(default)]
    pub distribution_id: String,
    /// Only `viewer-request` is answered.
    pub event_type: String,
    /// `CloudFront`'s id of the request, for logs.
    #[serde(default)]
    pub request_id: String,
}

/// A request as the viewer sent it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewerRequest {
    /// The viewer's IP address.
    #[serde(default)]
    pub client_ip: String,
    /// The headers.
    #[serde(default)]
    pub headers: Headers,
    /// The method, upper-case.
    pub method: String,
    /// The query string after the question mark, as sent.
    #[serde(default)]
    pub querystring: String,
    /// The path, as sent.
    pub uri: String,
    /// All other members that `CloudFront` sends, such as `body`.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl<'a> From<&'a ViewerRequest> for Request<'a> {
    fn from(request: &'a ViewerRequest) -> Self {
        Self {
            method: &request.method,
            uri: &request.uri,
            querystring: &request.querystring,
            ..Self::from(&request.headers)
        }
    }
}
