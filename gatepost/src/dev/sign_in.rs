//! Signing in on this machine: who one wants to be, and a cookie that says so. In a deployment the identity provider
//! does this.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Form, Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Map;

use crate::issuer::DevIssuer;
use crate::web::Web;

/// The cookie that `gatepost.toml` names. Chromium and Firefox take `__Host-` and `Secure` on loopback too.
const COOKIE: &str = "__Host-gatepost";
const LIFETIME: SignedDuration = SignedDuration::from_hours(12);
/// Who one can be.
const PEOPLE: [&str; 2] = ["alice", "bob"];

#[derive(Clone)]
pub(super) struct SignIn {
    pub(super) issuer: Arc<DevIssuer>,
    pub(super) web: Web,
}

#[derive(Deserialize)]
struct Choice {
    sub: String,
    #[serde(default)]
    return_to: String,
}

/// The routes below `/dev`, and the key set.
pub(super) fn router(sign_in: SignIn) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(key_set))
        .route("/dev/sign-in", get(page).post(enter))
        .with_state(sign_in)
}

async fn key_set(State(sign_in): State<SignIn>) -> Response {
    (
        [(header::CACHE_CONTROL, "no-cache")],
        Json(sign_in.issuer.jwks()),
    )
        .into_response()
}

async fn page(State(sign_in): State<SignIn>) -> Response {
    sign_in.web.sign_in_page()
}

async fn enter(
    State(sign_in): State<SignIn>,
    headers: HeaderMap,
    Form(choice): Form<Choice>,
) -> Response {
    if is_cross_site(&headers) || !PEOPLE.contains(&choice.sub.as_str()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    match sign_in
        .issuer
        .token(Timestamp::now(), &choice.sub, LIFETIME, Map::new())
    {
        Ok(token) => {
            let age = LIFETIME.as_secs();
            let cookie =
                format!("{COOKIE}={token}; Path=/; Max-Age={age}; Secure; HttpOnly; SameSite=Lax");
            go(&cookie, local_path(&choice.return_to))
        }
        Err(error) => {
            tracing::error!(%error, "no token");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn go(cookie: &str, path: &str) -> Response {
    (
        [
            (header::SET_COOKIE, cookie),
            (header::CACHE_CONTROL, "no-store"),
        ],
        Redirect::to(path),
    )
        .into_response()
}

/// Whether a page of another site sent this form. Signing somebody in unasked is an attack, too.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "same-origin" && site != "none")
}

/// The way back, if it leads to a path of this site; `//host` and `/\host` lead elsewhere.
fn local_path(return_to: &str) -> &str {
    let is_local = return_to.starts_with('/')
        && !return_to[1..].starts_with(['/', '\\'])
        && return_to.bytes().all(|byte| byte.is_ascii_graphic());
    if is_local { return_to } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_stays_on_the_site() {
        for (return_to, path) in [
            ("/", "/"),
            ("/media/a/b.webp?x=1", "/media/a/b.webp?x=1"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("javascript:alert(1)", "/"),
            ("/a\r\nset-cookie: x=1", "/"),
            ("/\t/evil.example", "/"),
        ] {
            assert_eq!(local_path(return_to), path, "{return_to}");
        }
    }
}
