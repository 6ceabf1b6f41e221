//! Who calls: the extractor that every call goes through.

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use edge_auth::{Headers, Request, Viewer};

use crate::{Api, Problem};

/// The caller, whose token was verified.
pub(crate) struct Caller(pub(crate) Viewer);

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let header = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        // A cookie is sent along with whatever page makes the browser call. Browsers say which site that is.
        let changes_something = !matches!(parts.method, Method::GET | Method::HEAD);
        if changes_something && header("sec-fetch-site").is_some_and(|site| site != "same-origin") {
            return Err(Problem::CrossSite);
        }
        let mut headers = Headers::default();
        for (name, value) in &parts.headers {
            // A cookie of somebody else's may hold anything; ours is beside it.
            headers.append(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
        }
        let viewer = api
            .authorizer
            .authenticate(&Request::from(&headers))
            .await?;
        Ok(Self(viewer))
    }
}
