//! The caller of a request: the extractors that verify a token and refuse cross-site calls (CSRF). Every handler uses one
//! of them. They never trust a decision that the edge made.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use edge_auth::config::TokenSource;
use edge_auth::{Headers, Owner, Request, Viewer};

use crate::api::Api;
use crate::cross_origin::is_sent_from_elsewhere;
use crate::problem::Problem;

/// The caller, whose token was verified.
pub(crate) struct Caller(pub(crate) Viewer);

/// The owner of the caller's uploads.
pub(crate) struct CallingOwner(pub(crate) Owner);

/// A call that no page of another origin sent, independent of its credentials. Only such a call may start or end a session.
/// Otherwise another page could sign the browser in as another person, who would then receive the photos (login CSRF).
pub(crate) struct SameOriginOnly;

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    /// A browser adds cookies to calls that pages of other sites make, and any page can write a query parameter. Only a
    /// script that has the token can set `Authorization`.
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let headers = headers_of(&parts.headers);
        let request = Request::from(&headers);
        let source = api.authorizer.authorizer().token_source(&request);
        if source != Some(&TokenSource::Authorization) {
            SameOriginOnly::from_request_parts(parts, api).await?;
        }
        Ok(Self(api.authorizer.authenticate(&request).await?))
    }
}

impl FromRequestParts<Api> for CallingOwner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Caller(viewer) = Caller::from_request_parts(parts, api).await?;
        viewer.owner.map(Self).ok_or(Problem::NoOwner)
    }
}

impl FromRequestParts<Api> for SameOriginOnly {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        if is_sent_from_elsewhere(parts) {
            return Err(Problem::CrossSite);
        }
        Ok(Self)
    }
}

/// A call's headers in the form that `edge-auth` reads.
pub(crate) fn headers_of(headers: &HeaderMap) -> Headers {
    let mut read = Headers::default();
    for (name, value) in headers {
        // Another application's cookie may have any bytes; our own is in the same header.
        read.append(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    read
}
