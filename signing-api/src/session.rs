//! `/api/session`: the caller's identity, and cookies in place of a token for requests that cannot send one, such as those
//! of images.
//!
//! The configuration decides which cookies: our own session, which the edge and this API accept; `CloudFront`'s signed
//! cookies, which `CloudFront` itself accepts for the caller's own media; or both.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use edge_auth::{NoSession, SESSION_COOKIE};
use jiff::{SignedDuration, Timestamp};
use media_contract::MEDIA_PATH;
use media_contract::upload_key::owner_path;
use serde_json::json;
use url_signing::cloudfront::{CookieAttributes, SignedCookies};

use crate::api::Api;
use crate::caller::{Caller, SameOriginOnly};
use crate::cloudfront::CloudFront;
use crate::problem::Problem;

/// The lifetime of `CloudFront`'s cookies: the default lifetime of `__Host-gatepost`.
const COOKIE_LIFETIME: SignedDuration = SignedDuration::from_mins(15);

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
) -> Result<Response, Problem> {
    let now = (api.clock)();
    // CloudFront's cookies are for the caller's own media, so they need an owner.
    let cookies = cookies_of(&api).map(|cloudfront| (cloudfront, viewer.owner.as_ref()));
    let session = match api.authorizer.authorizer().start_session(now, &viewer) {
        Ok(session) => Some(session),
        // Signed cookies alone are enough. They, too, are made from a token, never from a session.
        Err(NoSession::NotConfigured) if cookies.is_some() => match &viewer.owner {
            Some(_) => None,
            None => return Err(Problem::NoOwner),
        },
        Err(reason) => return Err(reason.into()),
    };
    let mut ends: Vec<Timestamp> = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    if let Some(session) = &session {
        let seconds = session.expires_at.as_second() - now.as_second();
        lines.push(session_cookie(&session.token, Duration::seconds(seconds)));
        ends.push(session.expires_at);
    }
    if let Some((cloudfront, Some(owner))) = cookies {
        // Never longer than the token or the session, which were both verified above.
        let end = session
            .as_ref()
            .map_or(viewer.expires_at(), |session| session.expires_at);
        let until_end = SignedDuration::from_secs(end.as_second() - now.as_second());
        let lifetime = COOKIE_LIFETIME.min(until_end);
        let signed = cloudfront
            .below(&owner_path(owner.as_str()), lifetime)?
            .sign(now, cloudfront.key())?;
        let cookies = signed.cookies(&attributes())?;
        lines.extend(cookies.set_cookie());
        ends.push(cookies.expires_at);
    }
    if let Some((_, None)) = cookies {
        // Cookies of another person who signed in earlier in this browser are removed.
        lines.extend(SignedCookies::removal(MEDIA_PATH, &attributes())?);
    }
    let expires_at = ends.into_iter().min().unwrap_or(now);
    tracing::info!(owner = viewer.owner.as_ref().map(tracing::field::display), %expires_at, "a session was started");
    let answer = Json(json!({ "expires_at": expires_at }));
    Ok((StatusCode::CREATED, set_cookies(lines)?, answer).into_response())
}

/// Ends a session: the browser forgets it. The call is idempotent.
pub(crate) async fn end(
    State(api): State<Api>,
    _same_origin: SameOriginOnly,
) -> Result<Response, Problem> {
    let mut lines = vec![session_cookie("", Duration::ZERO)];
    if cookies_of(&api).is_some() {
        lines.extend(SignedCookies::removal(MEDIA_PATH, &attributes())?);
    }
    // Browsers revalidate private pictures. This clears those that they were allowed to keep, and older answers.
    let clear = (HeaderName::from_static("clear-site-data"), "\"cache\"");
    Ok((StatusCode::NO_CONTENT, set_cookies(lines)?, [clear]).into_response())
}

/// The signer of `CloudFront`'s cookies, if browsers send them with requests for media.
fn cookies_of(api: &Api) -> Option<&CloudFront> {
    api.cloudfront
        .as_deref()
        .filter(|cloudfront| cloudfront.is_whole_site())
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

/// The cookies' path is that of all owners' media, so that the next person to sign in in the same browser replaces them.
/// Their policy covers only the caller's own media.
fn attributes() -> CookieAttributes {
    CookieAttributes {
        path: Some(MEDIA_PATH.to_owned()),
        ..CookieAttributes::default()
    }
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
