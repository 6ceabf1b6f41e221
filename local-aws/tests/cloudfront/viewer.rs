//! A viewer: makes requests to a distribution and reads its answers. The tests of this folder use it.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, Response};
use local_aws::cloudfront::Distribution;

/// A distribution's answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The code of an error document in XML, or the status.
    pub(crate) fn code(&self) -> String {
        let code = self.text.split_once("<Code>");
        let code = code.and_then(|(_, rest)| rest.split_once("</Code>"));
        code.map_or_else(|| self.status.to_string(), |(code, _)| code.to_owned())
    }
}

/// Requests a URL, with cookies and other headers.
pub(crate) async fn request(
    distribution: &Distribution,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let (_, rest) = url.split_once("://").unwrap();
    let at = rest.find('/').unwrap();
    let mut request = Request::builder().method(method).uri(&rest[at..]);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", &rest[..at]);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    Answer::of(distribution.answer(request).await).await
}

pub(crate) async fn get(distribution: &Distribution, url: &str) -> Answer {
    request(distribution, Method::GET, url, &[]).await
}
