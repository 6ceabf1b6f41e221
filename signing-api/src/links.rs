//! `POST /api/links`: a link to one object, for people who cannot sign in. It is a bearer token: it works for everyone who
//! has it, until it expires.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use edge_auth::{Decision, Refusal};
use jiff::SignedDuration;
use media_contract::object_key;

use crate::api::Api;
use crate::body::Members;
use crate::caller::Caller;
use crate::media_urls::{CameFrom, MediaUrls};
use crate::problem::Problem;

/// The body of `POST /api/links`.
#[derive(Debug)]
struct CreateLinkRequest {
    /// The path as in a manifest.
    path: String,
    lifetime: SignedDuration,
}

impl CreateLinkRequest {
    fn read(mut members: Members, max: SignedDuration) -> Result<Self, Problem> {
        let path = members.text("path")?;
        let seconds = members.whole_number("expires_in")?;
        members.finish()?;
        let lifetime =
            i64::try_from(seconds).map_or(SignedDuration::MAX, SignedDuration::from_secs);
        if lifetime.is_zero() || lifetime > max {
            let limit = max.as_secs();
            return Err(Problem::InvalidBody(format!(
                "expires_in must be a number of seconds from 1 to {limit}"
            )));
        }
        Ok(Self { path, lifetime })
    }
}

/// Signs a link to an object that the caller may read.
pub(crate) async fn create(
    State(api): State<Api>,
    Caller(viewer): Caller,
    from: CameFrom,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let members = Members::read(&headers, body)?;
    let CreateLinkRequest { path, lifetime } =
        CreateLinkRequest::read(members, api.settings.max_link_lifetime)?;
    let key = readable_key(&api, &from, &path).await?;
    let urls = MediaUrls::links(&api, &from, lifetime).await?;
    let link = urls.sign(&path, &key)?;
    let link = link.ok_or(Problem::Internal("a link was not signed"))?;
    tracing::info!(owner = viewer.owner.as_ref().map(tracing::field::display), path, expires_at = %link.expires_at, "a link was signed");
    Ok((StatusCode::CREATED, Json(link)).into_response())
}

/// The key of the object at a path, if the edge would let the caller read it.
async fn readable_key(api: &Api, from: &CameFrom, path: &str) -> Result<String, Problem> {
    let refusal = match from.decide(api, path).await {
        Decision::Allow(allowed) => return Ok(object_key(allowed.path.as_str())),
        Decision::Deny(denied) => denied.refusal,
        Decision::Redirect(redirect) => redirect.denied.refusal,
        Decision::NeedKeys(_) => Refusal::KeysUnavailable,
        // An unknown decision allows nothing.
        _ => return Err(Problem::NotReadable(None)),
    };
    Err(match refusal {
        Refusal::AmbiguousPath(fault) => Problem::InvalidBody(format!(
            "path must be percent-encoded, as in a manifest: {fault}"
        )),
        // A refused token can be replaced, so the answer is not 403: an expired session must not look like another
        // owner's path.
        refusal if matches!(refusal.status(), 401 | 503) => Problem::Unauthorized(refusal),
        refusal => Problem::NotReadable(Some(refusal)),
    })
}
