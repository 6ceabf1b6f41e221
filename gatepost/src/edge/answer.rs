//! From an object to an answer: its status and headers, and what viewers may do with it.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use media_contract::{IMMUTABLE, REVALIDATED};
use serde_json::json;

use super::condition::{is_not_modified, is_precondition_met, last_modified, requested_range};
use super::origin::Object;

/// An object opened as a page runs nothing and loads nothing.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// What a browser may do with an answer. On AWS a behaviour's response headers policy says it (`infra/distribution.tf`).
#[derive(Clone, Copy, Debug)]
pub(super) enum Audience {
    /// A rule for anyone: other sites may show it, and a browser may keep what never changes.
    Anyone,
    /// A token or a session decided: the browser asks again each time, or may keep it for this long. The next person in
    /// the same browser would see what it keeps.
    Viewer { browser_cache: Duration },
}

/// Whether an answer came from the cache.
#[derive(Clone, Copy, Debug)]
pub(super) enum XCache {
    Error,
    Hit,
    Miss,
}

/// Answers a GET or HEAD for an object.
pub(super) fn serve(
    method: &Method,
    request: &HeaderMap,
    object: &Object,
    age: Duration,
    (x_cache, audience): (XCache, Audience),
) -> Response<Body> {
    if !is_precondition_met(request, object) {
        return fault(
            StatusCode::PRECONDITION_FAILED,
            "There is another version of this.",
        );
    }
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = object_headers(object, age, x_cache, audience);
    if is_not_modified(request, object) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().remove(header::CONTENT_TYPE);
        return response;
    }
    let size = object.body.len() as u64;
    // A range is of a GET alone (RFC 9110 §14.2).
    let range = match *method {
        Method::GET => requested_range(request, object),
        _ => None,
    };
    let body = match range {
        None => object.body.clone(),
        Some(Err(())) => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(
                &mut response,
                header::CONTENT_RANGE,
                &format!("bytes */{size}"),
            );
            return response;
        }
        Some(Ok(range)) => {
            let (first, last) = (*range.start(), *range.end());
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(
                &mut response,
                header::CONTENT_RANGE,
                &format!("bytes {first}-{last}/{size}"),
            );
            // A range lies within a body that is in memory: its ends fit a usize.
            #[allow(clippy::cast_possible_truncation)]
            object.body.slice(first as usize..=last as usize)
        }
    };
    set(
        &mut response,
        header::CONTENT_LENGTH,
        &body.len().to_string(),
    );
    if method != Method::HEAD {
        *response.body_mut() = Body::from(body);
    }
    response
}

/// Answers a method that changes something.
pub(super) fn method_not_allowed() -> Response<Body> {
    let mut response = fault(
        StatusCode::METHOD_NOT_ALLOWED,
        "Media can be read, not changed, here.",
    );
    set(&mut response, header::ALLOW, "GET, HEAD");
    response
}

/// Answers that there is no object, in the form of the edge's refusals.
pub(super) fn fault(status: StatusCode, detail: &str) -> Response<Body> {
    let body = json!({
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    set(
        &mut response,
        header::CONTENT_TYPE,
        "application/problem+json",
    );
    set(&mut response, header::CACHE_CONTROL, "no-store");
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(
        &mut response,
        HeaderName::from_static("x-cache"),
        XCache::Error.as_str(),
    );
    response
}

impl XCache {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "Error from gatepost",
            Self::Hit => "Hit from gatepost",
            Self::Miss => "Miss from gatepost",
        }
    }
}

impl Audience {
    /// `Cache-Control`: always `private`, since only the edge may keep an answer for others.
    fn cache_control(self, object: &Object) -> Cow<'static, str> {
        let directives = object.cache_control.as_deref().unwrap_or_default();
        match self {
            Self::Anyone if directives.contains("immutable") => IMMUTABLE.into(),
            Self::Viewer { browser_cache } if !browser_cache.is_zero() => {
                format!("private, max-age={}", browser_cache.as_secs()).into()
            }
            Self::Anyone | Self::Viewer { .. } => REVALIDATED.into(),
        }
    }

    /// `Cross-Origin-Resource-Policy`: which pages may show it.
    fn resource_policy(self) -> &'static str {
        match self {
            Self::Anyone => "cross-origin",
            Self::Viewer { .. } => "same-site",
        }
    }
}

fn object_headers(
    object: &Object,
    age: Duration,
    x_cache: XCache,
    audience: Audience,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: HeaderName, value: Option<&str>| {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    };
    add(header::CONTENT_TYPE, object.content_type.as_deref());
    add(header::ETAG, object.etag.as_deref());
    add(
        header::LAST_MODIFIED,
        last_modified(object)
            .map(httpdate::fmt_http_date)
            .as_deref(),
    );
    add(header::ACCEPT_RANGES, Some("bytes"));
    add(header::CACHE_CONTROL, Some(&audience.cache_control(object)));
    add(
        HeaderName::from_static("cross-origin-resource-policy"),
        Some(audience.resource_policy()),
    );
    add(header::X_CONTENT_TYPE_OPTIONS, Some("nosniff"));
    add(
        header::CONTENT_SECURITY_POLICY,
        Some(CONTENT_SECURITY_POLICY),
    );
    add(HeaderName::from_static("x-cache"), Some(x_cache.as_str()));
    if matches!(x_cache, XCache::Hit) {
        add(header::AGE, Some(&age.as_secs().to_string()));
    }
    headers
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIT: (XCache, Audience) = (
        XCache::Hit,
        Audience::Viewer {
            browser_cache: Duration::ZERO,
        },
    );

    fn object() -> Object {
        Object {
            body: "0123456789".into(),
            content_type: Some("image/webp".to_owned()),
            etag: Some("\"abc\"".to_owned()),
            last_modified: Some(1_763_900_000),
            cache_control: Some("public, max-age=31536000, immutable".to_owned()),
        }
    }

    fn answer(pairs: &[(&'static str, &'static str)]) -> Response<Body> {
        let headers = pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            });
        let age = Duration::from_secs(7);
        serve(&Method::GET, &headers, &object(), age, HIT)
    }

    #[test]
    fn ranges() {
        for (range, status, content_range, length) in [
            ("bytes=0-3", 206, Some("bytes 0-3/10"), Some("4")),
            ("bytes=4-", 206, Some("bytes 4-9/10"), Some("6")),
            ("bytes=-3", 206, Some("bytes 7-9/10"), Some("3")),
            ("bytes=-99", 206, Some("bytes 0-9/10"), Some("10")),
            ("bytes=8-99", 206, Some("bytes 8-9/10"), Some("2")),
            ("bytes=10-", 416, Some("bytes */10"), None),
            ("bytes=-0", 416, Some("bytes */10"), None),
            ("bytes=5-2", 200, None, Some("10")),
            ("bytes=0-1,4-5", 200, None, Some("10")),
            ("bytes=+1-2", 200, None, Some("10")),
            ("lines=0-3", 200, None, Some("10")),
        ] {
            let response = answer(&[("range", range)]);
            let header =
                |name: HeaderName| response.headers().get(name).map(|v| v.to_str().unwrap());
            assert_eq!(response.status().as_u16(), status, "{range}");
            assert_eq!(header(header::CONTENT_RANGE), content_range, "{range}");
            assert_eq!(header(header::CONTENT_LENGTH), length, "{range}");
        }
    }

    #[test]
    fn a_head_has_no_ranges() {
        let range = [(header::RANGE, HeaderValue::from_static("bytes=0-3"))];
        let range = range.into_iter().collect();
        let age = Duration::ZERO;
        let response = serve(&Method::HEAD, &range, &object(), age, HIT);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-length"], "10");
        assert!(!response.headers().contains_key("content-range"));
    }

    #[test]
    fn conditions() {
        let date = httpdate::fmt_http_date(last_modified(&object()).unwrap());
        assert_eq!(date, "Sun, 23 Nov 2025 12:13:20 GMT");
        for (pairs, status) in [
            (vec![("if-none-match", "\"abc\"")], 304),
            (vec![("if-none-match", "W/\"abc\"")], 304),
            (vec![("if-none-match", "\"x\", \"abc\"")], 304),
            (vec![("if-none-match", "*")], 304),
            (vec![("if-none-match", "\"x\"")], 200),
            (
                vec![("if-modified-since", "Sun, 23 Nov 2025 12:13:20 GMT")],
                304,
            ),
            (
                vec![("if-modified-since", "Sun, 23 Nov 2025 12:13:19 GMT")],
                200,
            ),
            (
                vec![
                    ("if-none-match", "\"x\""),
                    ("if-modified-since", "Sun, 23 Nov 2025 12:13:20 GMT"),
                ],
                200,
            ),
            (vec![("range", "bytes=0-1"), ("if-range", "\"abc\"")], 206),
            (vec![("range", "bytes=0-1"), ("if-range", "\"x\"")], 200),
            (vec![("if-match", "\"abc\"")], 200),
            (vec![("if-match", "*")], 200),
            (vec![("if-match", "\"x\", \"abc\"")], 200),
            (vec![("if-match", "\"x\""), ("if-match", "\"abc\"")], 200),
            (vec![("if-match", "\"x\"")], 412),
            (vec![("if-match", "W/\"abc\"")], 412),
            (vec![("if-match", "\"x\""), ("range", "bytes=0-1")], 412),
            (
                vec![("if-match", "\"x\""), ("if-none-match", "\"abc\"")],
                412,
            ),
            (
                vec![("if-match", "\"abc\""), ("if-none-match", "\"abc\"")],
                304,
            ),
            (
                vec![("if-unmodified-since", "Sun, 23 Nov 2025 12:13:20 GMT")],
                200,
            ),
            (
                vec![("if-unmodified-since", "Sun, 23 Nov 2025 12:13:19 GMT")],
                412,
            ),
            (vec![("if-unmodified-since", "yesterday")], 200),
            (
                vec![
                    ("if-match", "\"abc\""),
                    ("if-unmodified-since", "Sun, 23 Nov 2025 12:13:19 GMT"),
                ],
                200,
            ),
        ] {
            assert_eq!(answer(&pairs).status().as_u16(), status, "{pairs:?}");
        }
    }

    #[test]
    fn viewers_are_told_what_they_may_do_with_it() {
        let response = answer(&[]);
        for (name, value) in [
            ("cache-control", "private, no-cache"),
            ("cross-origin-resource-policy", "same-site"),
            ("x-content-type-options", "nosniff"),
            (
                "content-security-policy",
                "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            ),
            ("x-cache", "Hit from gatepost"),
            ("age", "7"),
            ("content-type", "image/webp"),
        ] {
            assert_eq!(response.headers()[name], value, "{name}");
        }
    }

    #[test]
    fn browsers_keep_what_is_for_anyone_and_what_is_configured() {
        let viewer = |seconds| Audience::Viewer {
            browser_cache: Duration::from_secs(seconds),
        };
        let immutable = object();
        let changing = Object {
            cache_control: Some("public, max-age=60".to_owned()),
            ..object()
        };
        for (audience, object, cache_control, resource_policy) in [
            (viewer(0), &immutable, "private, no-cache", "same-site"),
            (viewer(0), &changing, "private, no-cache", "same-site"),
            (viewer(900), &immutable, "private, max-age=900", "same-site"),
            (viewer(900), &changing, "private, max-age=900", "same-site"),
            (
                Audience::Anyone,
                &immutable,
                "private, max-age=31536000, immutable",
                "cross-origin",
            ),
            (
                Audience::Anyone,
                &changing,
                "private, no-cache",
                "cross-origin",
            ),
        ] {
            let etag = (header::IF_NONE_MATCH, HeaderValue::from_static("\"abc\""));
            for (request, status) in [(HeaderMap::new(), 200), (HeaderMap::from_iter([etag]), 304)]
            {
                let about = (XCache::Hit, audience);
                let response = serve(&Method::GET, &request, object, Duration::ZERO, about);
                assert_eq!(response.status(), status);
                let headers = response.headers();
                assert_eq!(headers["cache-control"], cache_control, "{audience:?}");
                assert_eq!(headers["etag"], "\"abc\"", "{audience:?}");
                assert_eq!(
                    headers["cross-origin-resource-policy"], resource_policy,
                    "{audience:?}"
                );
            }
        }
    }
}
