//! Calls by pages of other origins: which calls are refused (CSRF), and which pages' scripts may read an answer (CORS).
//! The origins come from the settings; methods and headers are the API's own. Cookies are never granted to another
//! origin: a page there sends a token in `Authorization`.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::Api;
use crate::problem::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The methods of the calls, without `HEAD`.
const METHODS: &str = "GET, POST, DELETE";
/// The session's cookie is for this site's own page. Other pages may only read the caller, with a token.
const SESSION_METHODS: &str = "GET";
/// The request headers that a call may have; the `OpenAPI` document describes them.
const HEADERS: &str = "authorization, content-type, x-amz-content-sha256";
/// The response headers that a script needs to report a problem.
const EXPOSED_HEADERS: &str = "allow, www-authenticate, x-request-id";
/// In seconds.
const MAX_AGE: &str = "600";

/// The origin that viewers see, such as `https://photos.example.com`. The program that serves the router
/// sets it as an extension of the request, and accepts it from the distribution alone. Without it a call's own `Host` is
/// that of the origin.
#[derive(Clone, Debug)]
pub struct SiteOrigin(pub String);

impl SiteOrigin {
    /// The full URL of a path of the site that a call came to.
    pub(crate) fn url(site: Option<&Self>, path: &str) -> Result<String, Problem> {
        let Self(origin) = site.ok_or(Problem::Internal(
            "the call does not name the site that it came to",
        ))?;
        Ok(format!("{origin}{path}"))
    }
}

/// Whether a page of another origin made the browser send a call that changes state (CSRF).
///
/// Browsers report it in `Sec-Fetch-Site`; older ones send `Origin` with such calls. A sibling domain is another origin,
/// too: with `SameSite=Lax` the browser adds our cookies to calls from there.
pub(crate) fn is_sent_from_elsewhere(parts: &Parts) -> bool {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    if parts.headers.contains_key(SEC_FETCH_SITE) {
        let mut sites = parts.headers.get_all(SEC_FETCH_SITE).iter();
        return sites.any(|site| site != "same-origin");
    }
    let mut origins = parts.headers.get_all(header::ORIGIN).iter();
    origins.any(|origin| !is_own(parts, origin))
}

fn is_own(parts: &Parts, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    if let Some(SiteOrigin(own)) = parts.extensions.get() {
        return origin == own;
    }
    let host = parts.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    // TLS may be terminated before this process, so both schemes are possible.
    origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"))
        .is_some_and(|authority| Some(authority) == host)
}

/// Answers preflights, and names in every answer the origin that may read it.
pub(crate) async fn with_cors(State(api): State<Api>, request: Request, next: Next) -> Response {
    let origins = &api.settings.cors_origins;
    if origins.is_empty() {
        return next.run(request).await;
    }
    let granted = granted(origins, request.headers());
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && (request.headers()).contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (is_preflight, &granted) {
        (true, Some(_)) => preflight(request.uri().path()),
        (true, None) => Problem::CrossSite.into_response(),
        (false, _) => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = granted {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static(EXPOSED_HEADERS);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

/// The granted origin of the page that sends a request, or `*` if all origins are granted.
fn granted(origins: &[String], headers: &HeaderMap) -> Option<HeaderValue> {
    let mut sent = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (sent.next(), sent.next()) else {
        return None;
    };
    let found = (origins.iter()).find(|granted| *granted == "*" || origin == granted.as_str())?;
    HeaderValue::from_str(found).ok()
}

fn preflight(path: &str) -> Response {
    let methods = match path {
        "/api/session" => SESSION_METHODS,
        _ => METHODS,
    };
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cross_site_call_is_recognised_by_the_headers_of_browsers() {
        let own = Some("https://photos.example.com");
        for (method, site, headers, expected) in [
            ("POST", own, vec![("sec-fetch-site", "same-origin")], false),
            ("POST", own, vec![("sec-fetch-site", "same-site")], true),
            ("DELETE", own, vec![("sec-fetch-site", "cross-site")], true),
            ("POST", own, vec![("sec-fetch-site", "none")], true),
            ("GET", own, vec![("sec-fetch-site", "cross-site")], false),
            (
                "POST",
                own,
                vec![
                    ("sec-fetch-site", "same-origin"),
                    ("sec-fetch-site", "cross-site"),
                ],
                true,
            ),
            // The newer header decides.
            (
                "POST",
                own,
                vec![
                    ("sec-fetch-site", "same-origin"),
                    ("origin", "https://x.example.com"),
                ],
                false,
            ),
            ("POST", own, vec![], false),
            ("POST", own, vec![("origin", "null")], true),
            (
                "POST",
                own,
                vec![("origin", "https://photos.example.com")],
                false,
            ),
            (
                "POST",
                own,
                vec![("origin", "http://photos.example.com")],
                true,
            ),
            ("POST", own, vec![("origin", "https://example.com")], true),
            (
                "POST",
                own,
                vec![("origin", "https://photos.example.com:8443")],
                true,
            ),
            // The name of the function URL is not the site's.
            (
                "POST",
                own,
                vec![("origin", "https://a.on.aws"), ("host", "a.on.aws")],
                true,
            ),
            (
                "POST",
                None,
                vec![
                    ("origin", "http://127.0.0.1:8080"),
                    ("host", "127.0.0.1:8080"),
                ],
                false,
            ),
            (
                "POST",
                None,
                vec![
                    ("origin", "http://localhost:8080"),
                    ("host", "127.0.0.1:8080"),
                ],
                true,
            ),
            ("POST", None, vec![("origin", "http://localhost")], true),
        ] {
            let mut request = axum::http::Request::builder().method(method);
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            if let Some(site) = site {
                request = request.extension(SiteOrigin(site.to_owned()));
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let found = is_sent_from_elsewhere(&parts);
            assert_eq!(found, expected, "{method} {site:?} {headers:?}");
        }
    }
}
