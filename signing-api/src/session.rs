//! `/api/session`: the caller's identity, and cookies in place of a token for requests that cannot send one, such as those
//! of images.
//!
//! Our own session is accepted by this API, and by the edge in the modes that read it. In mode `signed` a session also has
//! `CloudFront`'s signed cookies, which `CloudFront` itself accepts.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use edge_auth::SESSION_COOKIE;
use serde_json::json;

use crate::api::Api;
use crate::caller::{Caller, SameOriginOnly};
use crate::cross_origin::SiteOrigin;
use crate::problem::Problem;
use crate::signed_cookies;

/// Answers with the caller's identity and its expiry.
pub(crate) async fn show(Caller(viewer): Caller) -> Response {
    let expires_at = viewer.expires_at();
    let (sub, owner) = (viewer.subject, viewer.owner);
    Json(json!({ "sub": sub, "owner": owner, "expires_at": expires_at })).into_response()
}

/// Starts a session.
pub(crate) async fn start(
    State(api): State<Api>,
    _same_origin: SameOriginOnly,
    Caller(viewer): Caller,
    site: Option<Extension<SiteOrigin>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = (api.clock)();
    let session = api.authorizer.authorizer().start_session(now, &viewer)?;
    let expires_at = session.expires_at;
    let seconds = expires_at.as_second() - now.as_second();
    let mut lines = vec![session_cookie(&session.token, Duration::seconds(seconds))];
    let mut answer = json!({ "expires_at": expires_at });
    if signed_cookies::are_used(&api) {
        let site = site.as_deref();
        let folders = signed_cookies::sign(&api, site, &viewer, (now, expires_at))?;
        lines.extend(folders.lines);
        let until_end = Duration::seconds(seconds);
        lines.push(signed_cookies::note(&folders.granted, until_end));
        // Those of another person who signed in earlier in this browser.
        let former = signed_cookies::removal(&api, &headers, &folders.granted, &lines)?;
        lines.extend(former);
        answer["folders"] = json!(folders.granted);
        if folders.n_left_out > 0 {
            answer["n_folders_left_out"] = folders.n_left_out.into();
        }
    }
    tracing::info!(owner = viewer.owner.as_ref().map(tracing::field::display), %expires_at, "a session was started");
    Ok((StatusCode::CREATED, set_cookies(lines)?, Json(answer)).into_response())
}

/// Ends a session: the browser forgets it. The call is idempotent.
pub(crate) async fn end(
    State(api): State<Api>,
    _same_origin: SameOriginOnly,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut lines = vec![session_cookie("", Duration::ZERO)];
    let former = signed_cookies::removal(&api, &headers, &[], &lines)?;
    lines.extend(former);
    if signed_cookies::are_used(&api) {
        lines.push(signed_cookies::note(&[], Duration::ZERO));
    }
    // Browsers revalidate private pictures. This clears those that they were allowed to keep, and older answers.
    let clear = (HeaderName::from_static("clear-site-data"), "\"cache\"");
    Ok((StatusCode::NO_CONTENT, set_cookies(lines)?, [clear]).into_response())
}

/// A line that sets our own session, or with an empty token removes it. `Lax`: another site's link to a picture works, a
/// picture within another site's page does not.
fn session_cookie(token: &str, max_age: Duration) -> String {
    Cookie::build((SESSION_COOKIE, token))
        .path("/")
        .max_age(max_age)
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax)
        .to_string()
}

fn set_cookies(lines: Vec<String>) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let value = HeaderValue::try_from(line)
            .map_err(|_| Problem::Internal("a cookie is not a valid header value"))?;
        headers.append(header::SET_COOKIE, value);
    }
    Ok(headers)
}
