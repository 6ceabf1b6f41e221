//! `/api/session`: who calls, and cookies in place of a token for what cannot send one, such as an image on a page.
//!
//! Which cookies depends on what is configured: our own session, which the edge and this API take, `CloudFront`'s signed
//! cookies, which `CloudFront` itself takes for the caller's own media, or both.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use edge_auth::{NoSession, SESSION_COOKIE, SessionToken};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use url_signing::cloudfront::{CookieAttributes, SignedCookies};

use crate::caller::{Caller, SameOriginOnly};
use crate::cloudfront::CloudFront;
use crate::{Api, Problem};

/// How long `CloudFront`'s cookies last, as our own session does by default.
const COOKIE_LIFETIME: SignedDuration = SignedDuration::from_mins(15);

/// The path of `CloudFront`'s cookies. It is that of everybody's media, so that whoever signs in next in the same browser
/// takes the place of the one before; the policy is for the caller's own.
const MEDIA_PATH: &str = "/media/";

/// Says who calls, and for how long.
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
) -> Result<Response, Problem> {
    let now = (api.clock)();
    // CloudFront's cookies are for the caller's own media: without an owner there are none.
    let cookies = cookies_of(&api).map(|cloudfront| (cloudfront, viewer.owner.as_ref()));
    let session = match api.authorizer.authorizer().start_session(now, &viewer) {
        Ok(session) => Some(session),
        // Signed cookies alone will do. They are made of a token as well, not of what is to end with it.
        Err(NoSession::NotConfigured) if cookies.is_some() => match &viewer.owner {
            Some(_) => None,
            None => return Err(Problem::NoOwner),
        },
        Err(reason) => return Err(reason.into()),
    };
    let mut ends: Vec<Timestamp> = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    if let Some(session) = &session {
        lines.push(session_cookie(session, now));
        ends.push(session.expires_at);
    }
    if let Some((cloudfront, Some(owner))) = cookies {
        // Not a second longer than the token or the session, which both were checked just now.
        let end = session
            .as_ref()
            .map_or(viewer.expires_at(), |session| session.expires_at);
        let until_end = SignedDuration::from_secs(end.as_second() - now.as_second());
        let lifetime = COOKIE_LIFETIME.min(until_end);
        let signed = cloudfront
            .below(&format!("{MEDIA_PATH}{owner}/"), lifetime)?
            .sign(now, cloudfront.key())?;
        let cookies = signed.cookies(&attributes())?;
        lines.extend(cookies.set_cookie());
        ends.push(cookies.expires_at);
    }
    if let Some((_, None)) = cookies {
        // Whoever had signed in before in this browser is signed out of their media.
        lines.extend(SignedCookies::removal(MEDIA_PATH, &attributes())?);
    }
    let expires_at = ends.into_iter().min().unwrap_or(now);
    tracing::info!(owner = viewer.owner.as_ref().map(tracing::field::display), %expires_at, "a session was started");
    let answer = Json(json!({ "expires_at": expires_at }));
    Ok((StatusCode::CREATED, set_cookies(lines)?, answer).into_response())
}

/// Ends a session: the browser forgets it. Whoever has none is told the same.
pub(crate) async fn end(
    State(api): State<Api>,
    _same_origin: SameOriginOnly,
) -> Result<Response, Problem> {
    let mut lines = vec![format!(
        "{SESSION_COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
    )];
    if cookies_of(&api).is_some() {
        lines.extend(SignedCookies::removal(MEDIA_PATH, &attributes())?);
    }
    // Pictures are asked for again each time. This is for what the browser was allowed to keep, and for older answers.
    let clear = (HeaderName::from_static("clear-site-data"), "\"cache\"");
    Ok((StatusCode::NO_CONTENT, set_cookies(lines)?, [clear]).into_response())
}

/// What signs `CloudFront`'s cookies, where it takes them for media.
fn cookies_of(api: &Api) -> Option<&CloudFront> {
    api.cloudfront
        .as_deref()
        .filter(|cloudfront| cloudfront.is_whole_site())
}

/// `Lax`: a link from elsewhere to a picture works, a picture within another site's page does not.
fn session_cookie(session: &SessionToken, now: Timestamp) -> String {
    let max_age = session.expires_at.as_second() - now.as_second();
    let token = &session.token;
    format!("{SESSION_COOKIE}={token}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Lax")
}

fn attributes() -> CookieAttributes {
    CookieAttributes {
        path: Some(MEDIA_PATH.to_owned()),
        ..CookieAttributes::default()
    }
}

fn set_cookies(lines: Vec<String>) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let value =
            HeaderValue::try_from(line).map_err(|_| Problem::Internal("a cookie is no header"))?;
        headers.append(header::SET_COOKIE, value);
    }
    Ok(headers)
}
