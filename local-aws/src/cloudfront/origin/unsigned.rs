//! A bucket without origin access control: the viewer's request goes to S3 as it came, path and query unchanged, and S3
//! checks the signature in it. The request has S3's own `Host`.
//!
//! No header of a read is sent, and of an upload only those of its body: no cookies, no `Authorization`, no `Origin`.

use std::time::UNIX_EPOCH;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use thiserror::Error;

use super::fault::causes;
use super::object::{Object, OriginFault};
use crate::drain::DrainOnDrop;

/// Headers that belong to one connection (RFC 9110 §7.6.1), or that the emulator's own server sets.
const NOT_PASSED_ON: [HeaderName; 8] = [
    header::CONNECTION,
    header::DATE,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// An address that is not that of an S3 server.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "{address} is not the address of a bucket at an S3 server; write http:// and a host, such as http://127.0.0.1:9000, and an origin path such as /o or nothing"
)]
pub struct OriginError {
    /// The endpoint, the bucket and the origin path.
    pub address: String,
}

/// A bucket that is reached over HTTP without credentials.
#[derive(Clone)]
pub(crate) struct UnsignedBucket {
    client: Client<HttpConnector, Body>,
    /// Such as `http://127.0.0.1:9000/photos/o`.
    root: String,
}

/// S3's answer to a read.
pub(crate) enum Answer {
    /// An object, which may be cached.
    Object(Object),
    /// Anything else, such as S3's error document, which is passed on.
    Other(Response<Body>),
}

impl UnsignedBucket {
    pub(super) fn new(endpoint: &str, name: &str, origin_path: &str) -> Result<Self, OriginError> {
        let root = format!(
            "{}/{name}{origin_path}",
            endpoint.strip_suffix('/').unwrap_or(endpoint)
        );
        let expected = format!("/{name}{origin_path}");
        let uri: Option<Uri> = root.parse().ok();
        let is_bucket = uri.is_some_and(|uri| {
            uri.scheme_str() == Some("http") && uri.path() == expected && uri.query().is_none()
        });
        let is_folder =
            origin_path.is_empty() || (origin_path.starts_with('/') && !origin_path.ends_with('/'));
        if !is_bucket || !is_folder || name.is_empty() || name.contains('/') {
            return Err(OriginError { address: root });
        }
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            root,
        })
    }

    /// Reads what a path and a query name, both as the viewer sent them.
    pub(super) async fn fetch(
        &self,
        method: &Method,
        path: &str,
        query: &str,
    ) -> Result<Answer, OriginFault> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method.clone();
        *request.uri_mut() = self.address(path, query)?;
        let response = self.request(request).await?;
        if response.status() != StatusCode::OK {
            return Ok(Answer::Other(response));
        }
        let (parts, body) = response.into_parts();
        let mut headers = parts.headers;
        let mut take = |name: HeaderName| {
            let value = headers.remove(name)?;
            value.to_str().map(str::to_owned).ok()
        };
        let content_length = take(header::CONTENT_LENGTH);
        let modified = take(header::LAST_MODIFIED);
        let mut object = Object {
            content_type: take(header::CONTENT_TYPE),
            etag: take(header::ETAG),
            last_modified: modified.as_deref().and_then(seconds_of_date),
            cache_control: take(header::CACHE_CONTROL),
            headers,
            ..Object::default()
        };
        if method == Method::HEAD {
            let length = content_length.and_then(|length| length.parse().ok());
            object.size_of_head = Some(length.unwrap_or(0));
        } else {
            let body = body.collect().await;
            let body = body.map_err(|error| OriginFault::Unreachable(error.to_string()))?;
            object.body = body.to_bytes();
        }
        Ok(Answer::Object(object))
    }

    /// Sends an upload, as its body arrives.
    pub(crate) async fn post(
        &self,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response<Body>, OriginFault> {
        let address = self.address(path, query)?;
        // S3 refuses a form before its file has arrived.
        let mut request = Request::post(address)
            .body(Body::new(DrainOnDrop::new(body)))
            .map_err(|error| OriginFault::Unreachable(error.to_string()))?;
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
            if let Some(value) = headers.get(&name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        self.request(request).await
    }

    fn address(&self, path: &str, query: &str) -> Result<Uri, OriginFault> {
        let mut address = format!("{}{path}", self.root);
        if !query.is_empty() {
            address = address + "?" + query;
        }
        let uri = address.parse();
        uri.map_err(|_| OriginFault::Unreachable("the path is not part of a URL".to_owned()))
    }

    async fn request(&self, request: Request<Body>) -> Result<Response<Body>, OriginFault> {
        let response = self.client.request(request).await;
        let mut response = response
            .map_err(|error| OriginFault::Unreachable(causes(&error)))?
            .map(Body::new);
        remove_own_headers(response.headers_mut());
        Ok(response)
    }
}

fn remove_own_headers(headers: &mut HeaderMap) {
    for name in NOT_PASSED_ON {
        headers.remove(name);
    }
}

fn seconds_of_date(date: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(date).ok()?;
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    i64::try_from(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_bucket_at_an_http_server() {
        for (endpoint, bucket, origin_path, root) in [
            (
                "http://127.0.0.1:9000",
                "photos",
                "/o",
                Some("http://127.0.0.1:9000/photos/o"),
            ),
            (
                "http://localhost/",
                "photos",
                "",
                Some("http://localhost/photos"),
            ),
            ("https://127.0.0.1:9000", "photos", "", None),
            ("127.0.0.1:9000", "photos", "", None),
            ("http://127.0.0.1:9000/s3", "photos", "", None),
            ("http://127.0.0.1:9000?a", "photos", "", None),
            ("http://127.0.0.1:9000", "", "", None),
            ("http://127.0.0.1:9000", "a/b", "", None),
            ("http://127.0.0.1:9000", "photos", "o", None),
            ("http://127.0.0.1:9000", "photos", "/o/", None),
            ("http://127.0.0.1:9000", "photos", "/", None),
            ("http://127.0.0.1:9000", "photos", "/o?a", None),
        ] {
            let found = UnsignedBucket::new(endpoint, bucket, origin_path).ok();
            let found = found.map(|bucket| bucket.root);
            assert_eq!(found.as_deref(), root, "{endpoint} {bucket} {origin_path}");
        }
    }

    #[test]
    fn a_path_and_a_query_stay_as_they_are() {
        let bucket = UnsignedBucket::new("http://127.0.0.1:9000", "photos", "/o").unwrap();
        for (path, query, expected) in [
            ("/a", "", "/photos/o/a"),
            (
                "/a/../%2e%2e//b",
                "x=%20&x=+",
                "/photos/o/a/../%2e%2e//b?x=%20&x=+",
            ),
        ] {
            let uri = bucket.address(path, query).unwrap();
            assert_eq!(uri.path_and_query().unwrap(), expected);
            assert_eq!(uri.authority().unwrap(), "127.0.0.1:9000");
        }
    }
}
