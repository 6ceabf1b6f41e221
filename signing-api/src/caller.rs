//! Who calls: the extractors that calls go through.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use edge_auth::{Headers, Owner, Request, Viewer};

use crate::{Api, Problem};

/// The caller, whose token was verified.
pub(crate) struct Caller(pub(crate) Viewer);

/// The owner of what the caller uploads, for calls about uploads.
pub(crate) struct CallingOwner(pub(crate) Owner);

/// A call that no page of another site sent, whoever calls.
pub(crate) struct SameSiteOnly;

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        SameSiteOnly::from_request_parts(parts, api).await?;
        let headers = headers_of(&parts.headers);
        let viewer = api
            .authorizer
            .authenticate(&Request::from(&headers))
            .await?;
        Ok(Self(viewer))
    }
}

impl FromRequestParts<Api> for CallingOwner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Caller(viewer) = Caller::from_request_parts(parts, api).await?;
        viewer.owner.map(Self).ok_or(Problem::NoOwner)
    }
}

impl FromRequestParts<Api> for SameSiteOnly {
    type Rejection = Problem;

    /// A cookie is sent along with whatever page makes the browser call. Browsers say which site that is.
    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let changes_something = !matches!(parts.method, Method::GET | Method::HEAD);
        let site = parts.headers.get("sec-fetch-site");
        if changes_something && site.is_some_and(|site| site != "same-origin") {
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
