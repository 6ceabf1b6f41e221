//! Who calls: the extractors that calls go through.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use edge_auth::config::TokenSource;
use edge_auth::{Headers, Owner, Request, Viewer};

use crate::cross_origin::is_sent_from_elsewhere;
use crate::{Api, Problem};

/// The caller, whose token was verified.
pub(crate) struct Caller(pub(crate) Viewer);

/// The owner of what the caller uploads, for calls about uploads.
pub(crate) struct CallingOwner(pub(crate) Owner);

/// A call that no page of another origin sent, however the caller is known. Sessions are started and ended by such calls
/// alone: another page could otherwise sign a browser in as somebody else, and photos would go there.
pub(crate) struct SameOriginOnly;

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    /// A browser sends a cookie along with calls that pages of other sites make, and any page can write a parameter.
    /// `Authorization` is set by a script alone, which has the token itself.
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

/// A call's headers, as `edge-auth` reads them.
pub(crate) fn headers_of(headers: &HeaderMap) -> Headers {
    let mut read = Headers::default();
    for (name, value) in headers {
        // A cookie of somebody else's may hold anything; ours is beside it.
        read.append(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    read
}
