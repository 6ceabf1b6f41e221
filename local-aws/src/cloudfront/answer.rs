//! An answer from an object: its status, and its headers as the policy has them. [`Distribution`](super::Distribution)
//! calls it with each object; it never fetches one.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;

use super::behaviour::Policy;
use super::condition::{is_not_modified, is_precondition_met, last_modified, requested_range};
use super::origin::Object;

/// An object, and how it is served.
pub(super) struct Served<'a> {
    pub(super) object: &'a Object,
    /// How long it has been in the cache, if it comes from there.
    pub(super) age: Option<Duration>,
    pub(super) policy: &'a Policy,
    /// The name of the distribution.
    pub(super) distribution: &'a str,
}

/// Answers a GET or HEAD for an object.
pub(super) fn serve(method: &Method, request: &HeaderMap, served: &Served<'_>) -> Response<Body> {
    let object = served.object;
    if !is_precondition_met(request, object) {
        return error_response(
            StatusCode::PRECONDITION_FAILED,
            "There is another version of this.",
        );
    }
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = object_headers(served);
    if is_not_modified(request, object) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().remove(header::CONTENT_TYPE);
        return response;
    }
    // A range is of a GET alone (RFC 9110 §14.2).
    let range = match *method {
        Method::GET => requested_range(request, object),
        _ => None,
    };
    let size = object.size();
    let (body, length) = match range {
        None => (object.body.clone(), size),
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
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a range is within a body that is in memory, so its ends fit a usize"
            )]
            let part = object.body.slice(first as usize..=last as usize);
            (part, last - first + 1)
        }
    };
    set(&mut response, header::CONTENT_LENGTH, &length.to_string());
    if method != Method::HEAD {
        *response.body_mut() = Body::from(body);
    }
    response
}

/// Answers a method that the behaviour does not allow.
pub(super) fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = error_response(
        StatusCode::METHOD_NOT_ALLOWED,
        "Media can be read, not changed, here.",
    );
    set(&mut response, header::ALLOW, allowed);
    response
}

/// An error of the distribution's own: a problem document (RFC 9457) that no cache keeps.
pub fn error_response(status: StatusCode, detail: &str) -> Response<Body> {
    let body = json!({
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "application/problem+json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        set(&mut response, name, value);
    }
    response
}

fn object_headers(served: &Served<'_>) -> HeaderMap {
    let Served {
        object,
        age,
        policy,
        distribution,
    } = served;
    let mut headers = object.headers.clone();
    for (name, value) in &policy.object_headers {
        headers.insert(name, value.clone());
    }
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
    let own = object.cache_control.as_deref();
    add(header::CACHE_CONTROL, own);
    let result = if age.is_some() { "Hit" } else { "Miss" };
    let x_cache = format!("{result} from {distribution}");
    add(HeaderName::from_static("x-cache"), Some(&x_cache));
    let age = age.map(|age| age.as_secs().to_string());
    add(header::AGE, age.as_deref());
    if let Some(policy) = &policy.cache_control {
        let is_immutable = own.is_some_and(|directives| directives.contains("immutable"));
        let value = if is_immutable {
            &policy.immutable
        } else {
            &policy.other
        };
        headers.insert(header::CACHE_CONTROL, value.clone());
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
    use crate::cloudfront::behaviour::CacheControl;

    fn serve_hit(
        method: &Method,
        request: &HeaderMap,
        object: &Object,
        policy: &Policy,
    ) -> Response<Body> {
        let served = Served {
            object,
            age: Some(Duration::from_secs(7)),
            policy,
            distribution: "example",
        };
        serve(method, request, &served)
    }

    fn object() -> Object {
        Object {
            body: "0123456789".into(),
            content_type: Some("image/webp".to_owned()),
            etag: Some("\"abc\"".to_owned()),
            last_modified: Some(1_763_900_000),
            cache_control: Some("public, max-age=31536000, immutable".to_owned()),
            ..Object::default()
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
        serve_hit(&Method::GET, &headers, &object(), &Policy::default())
    }

    #[test]
    fn a_single_range_is_served_and_others_are_ignored() {
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
        let response = serve_hit(&Method::HEAD, &range, &object(), &Policy::default());
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-length"], "10");
        assert!(!response.headers().contains_key("content-range"));
    }

    #[test]
    fn conditions_decide_the_status() {
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
    fn an_answer_has_the_headers_of_its_object_and_of_the_policy() {
        let policy = Policy {
            cache_control: Some(CacheControl {
                immutable: HeaderValue::from_static("private, max-age=1"),
                other: HeaderValue::from_static("private, no-cache"),
            }),
            object_headers: [(
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            )]
            .into_iter()
            .collect(),
            ..Policy::default()
        };
        let immutable = object();
        let changing = Object {
            cache_control: Some("public, max-age=60".to_owned()),
            ..object()
        };
        let none = Policy::default();
        for (policy, object, cache_control, nosniff) in [
            (&policy, &immutable, "private, max-age=1", true),
            (&policy, &changing, "private, no-cache", true),
            (&none, &changing, "public, max-age=60", false),
        ] {
            let etag = (header::IF_NONE_MATCH, HeaderValue::from_static("\"abc\""));
            for (request, status) in [(HeaderMap::new(), 200), (HeaderMap::from_iter([etag]), 304)]
            {
                let response = serve_hit(&Method::GET, &request, object, policy);
                assert_eq!(response.status(), status);
                let headers = response.headers();
                assert_eq!(headers["cache-control"], cache_control);
                assert_eq!(headers["etag"], "\"abc\"");
                assert_eq!(headers["x-cache"], "Hit from example");
                assert_eq!(headers["age"], "7");
                assert_eq!(headers.contains_key("x-content-type-options"), nosniff);
                assert_eq!(headers.contains_key("content-type"), status == 200);
            }
        }
    }
}
