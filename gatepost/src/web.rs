//! The page, embedded in the binary by `build.rs`: its files by path, their headers, and `/settings.json`, which the
//! configuration makes. `dev` serves it, `package` deploys it.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};

use crate::config::PageSettings;

mod assets {
    include!(concat!(env!("OUT_DIR"), "/web_assets.rs"));
}

/// A file of the page, and what it is stored with.
pub(crate) struct WebFile {
    /// Such as `assets/index-4f2a.js`.
    pub(crate) path: &'static str,
    pub(crate) content: Cow<'static, [u8]>,
    pub(crate) content_type: &'static str,
    pub(crate) cache_control: &'static str,
}

/// The files of a deployment: all but the local stack's sign-in page, and the page's settings.
pub(crate) fn deployed_files(settings: &PageSettings) -> serde_json::Result<Vec<WebFile>> {
    let file = |name: &'static str, content| WebFile {
        path: name.trim_start_matches('/'),
        content,
        content_type: media_type(name),
        cache_control: cache_control(name),
    };
    let deployed = assets::FILES
        .iter()
        .filter(|(name, _)| *name != SIGN_IN_PAGE && !name.contains("/sign-in"));
    let mut files: Vec<_> = deployed
        .map(|(name, content)| file(name, Cow::Borrowed(*content)))
        .collect();
    files.push(file(SETTINGS, Cow::Owned(serde_json::to_vec(settings)?)));
    files.sort_unstable_by_key(|file| file.path);
    Ok(files)
}

/// The page loads it before it renders.
const SETTINGS: &str = "/settings.json";
/// Only the local stack has it.
const SIGN_IN_PAGE: &str = "/sign-in.html";

/// Names below /assets/ hold a hash of the content.
fn cache_control(name: &str) -> &'static str {
    if name.starts_with("/assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    }
}

/// The page's files and how they are served.
#[derive(Clone)]
pub(crate) struct Web {
    content_security_policy: HeaderValue,
    settings: Bytes,
}

impl Web {
    /// A page that may post to the bucket at this origin, and to nothing else that is not its own.
    pub(crate) fn new(s3_origin: &str, settings: &PageSettings) -> anyhow::Result<Self> {
        let policy = format!(
            "default-src 'self'; img-src 'self' blob: data:; connect-src 'self' {s3_origin}; \
             style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
        );
        Ok(Self {
            content_security_policy: HeaderValue::from_str(&policy)?,
            settings: serde_json::to_vec(settings)?.into(),
        })
    }

    /// The reason why the page was not built, if it was not.
    pub(crate) fn missing() -> Option<&'static str> {
        assets::MISSING
    }

    /// The local stack's page that asks for a user name.
    pub(crate) fn sign_in_page(&self) -> Response<Body> {
        self.page(SIGN_IN_PAGE)
    }

    /// The page's file at a path, if there is one.
    pub(crate) fn file(&self, method: &Method, path: &str) -> Option<Response<Body>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        match path {
            "/" => Some(self.page("/index.html")),
            SETTINGS => Some(self.answer(SETTINGS, Body::from(self.settings.clone()))),
            asset => self.embedded(asset),
        }
    }

    fn page(&self, name: &str) -> Response<Body> {
        self.embedded(name)
            .unwrap_or_else(|| unbuilt(assets::MISSING.unwrap_or("it is not part of this binary")))
    }

    fn embedded(&self, name: &str) -> Option<Response<Body>> {
        let (_, content) = assets::FILES.iter().find(|(found, _)| *found == name)?;
        Some(self.answer(name, Body::from(*content)))
    }

    fn answer(&self, name: &str, content: Body) -> Response<Body> {
        let mut response = Response::new(content);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(media_type(name)),
        );
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        headers.insert(
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        );
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            self.content_security_policy.clone(),
        );
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static(cache_control(name)),
        );
        response
    }
}

fn unbuilt(reason: &str) -> Response<Body> {
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Gatepost</title>\
         <body style=\"font:16px/1.5 system-ui;max-width:40em;margin:4em auto;padding:0 1em\">\
         <h1>The page is not built</h1><p>{}.</p>\
         <p>The rest of Gatepost runs: the API, the bucket and the edge.</p>",
        reason.replace('&', "&amp;").replace('<', "&lt;")
    );
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "map") => "application/json",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
