//! The behaviours of the modes `signed` and `presigned`, and the one that takes uploads: those of
//! `infra/modules/gatepost/distribution.tf`. No code of Gatepost decides about a viewer here: CloudFront or S3 checks a
//! signature that the API made.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use edge_auth::Request as EdgeRequest;
use edge_auth_host::HostedAuthorizer;
use local_aws::cloudfront::{
    Behaviour, Decision, Forward, KeyGroup, Origin, OriginError, Policy, ViewerRequest,
    error_response,
};
use media_contract::ORIGIN_PATH;
use signing_api::UPLOAD_PATH;

use super::policy::{Readers, policy_of, sandboxed};
use super::signed::LINKS;
use super::viewer::viewer_request;

/// How long a presigned URL may be answered from the cache: so much longer than until its expiry it works.
const PRESIGNED_MAX_TTL: Duration = Duration::from_mins(1);
/// Shared links end this soon after their object is deleted.
const LINK_TTL: Duration = Duration::from_mins(1);
/// The parameter that a request of a presigned URL has.
const SIGNATURE: &str = "X-Amz-Signature";

/// The path patterns of the rules, and the part of them that anyone may read.
pub(super) struct Patterns {
    pub(super) all: Vec<String>,
    pub(super) public: Vec<String>,
}

/// Mode `signed`.
pub(super) struct Signed {
    /// For the cross-origin policy alone.
    pub(super) authorizer: Arc<HostedAuthorizer>,
    pub(super) keys: KeyGroup,
    pub(super) patterns: Patterns,
}

/// Mode `presigned`.
pub(super) struct Presigned {
    /// For the cross-origin policy alone.
    pub(super) authorizer: Arc<HostedAuthorizer>,
    pub(super) patterns: Patterns,
    /// Where S3 is asked with the viewer's signature.
    pub(super) endpoint: String,
    pub(super) bucket: String,
}

/// Forms that come through the distribution.
pub(super) struct Uploads {
    pub(super) endpoint: String,
    pub(super) bucket: String,
}

impl Signed {
    /// `origin` is the media bucket below its origin path.
    pub(super) fn behaviours(self, origin: &Origin, browser_cache: Duration) -> Vec<Behaviour> {
        let authorizer = self.authorizer.clone();
        let links = Behaviour::new(&format!("{LINKS}/*"), origin.clone())
            .with_trusted_keys(self.keys.clone())
            .with_viewer_request(move |request| {
                let decision = linked(&authorizer, request);
                async { decision }
            });
        let of_rules = self.patterns.all.iter().map(|pattern| {
            let is_public = self.patterns.public.contains(pattern);
            let behaviour = Behaviour::new(pattern, origin.clone());
            let behaviour = if is_public {
                behaviour
            } else {
                behaviour.with_trusted_keys(self.keys.clone())
            };
            let authorizer = self.authorizer.clone();
            behaviour.with_viewer_request(move |request| {
                let readers = Readers::of(is_public);
                let forwarded = forwarded(&authorizer, request, readers, browser_cache);
                async { forwarded }
            })
        });
        std::iter::once(links).chain(of_rules).collect()
    }
}

impl Presigned {
    /// `origin` is the media bucket below its origin path, which public paths are read from.
    pub(super) fn behaviours(
        self,
        origin: &Origin,
        browser_cache: Duration,
    ) -> Result<Vec<Behaviour>, OriginError> {
        let signed = Origin::unsigned_bucket(&self.endpoint, &self.bucket, ORIGIN_PATH)?;
        let of_rules = self.patterns.all.iter().map(|pattern| {
            let is_public = self.patterns.public.contains(pattern);
            let origin = if is_public { origin } else { &signed };
            let authorizer = self.authorizer.clone();
            Behaviour::new(pattern, origin.clone()).with_viewer_request(move |request| {
                let decision = if is_public {
                    forwarded(&authorizer, request, Readers::Anyone, browser_cache)
                } else if has_one_signature(request.head.uri.query()) {
                    let bearer = Readers::Bearer;
                    by_signature(forwarded(&authorizer, request, bearer, browser_cache))
                } else {
                    refused("A picture needs a signed URL.")
                };
                async { decision }
            })
        });
        Ok(of_rules.collect())
    }
}

impl Uploads {
    /// S3 takes forms at a bucket's root alone.
    pub(super) fn behaviour(&self) -> Result<Behaviour, OriginError> {
        let origin = Origin::unsigned_bucket(&self.endpoint, &self.bucket, "")?;
        let behaviour = Behaviour::new(UPLOAD_PATH, origin)
            .allowing_posts()
            .with_viewer_request(|request| async { upload(request) })
            .with_policy(Policy {
                headers: sandboxed(),
                ..Policy::default()
            });
        Ok(behaviour)
    }
}

/// A request that goes on, with the policy of its path.
fn forwarded(
    authorizer: &HostedAuthorizer,
    request: ViewerRequest,
    readers: Readers,
    browser_cache: Duration,
) -> Decision {
    let head = request.head;
    let viewer_request = viewer_request(&head);
    let readable = authorizer
        .authorizer()
        .readable_by(&EdgeRequest::from(&viewer_request));
    let policy = policy_of(head.uri.path(), readers, browser_cache, readable);
    Decision::Forward(Box::new(Forward {
        head,
        key: None,
        policy: Some(policy),
    }))
}

/// The same for an origin that checks the signature in the query: each signature has an entry of its own in the cache.
fn by_signature(decision: Decision) -> Decision {
    with_policy(decision, |policy| Policy {
        min_ttl: Duration::ZERO,
        max_ttl: Some(PRESIGNED_MAX_TTL),
        query_in_key: true,
        ..policy
    })
}

/// Whether a query has exactly one signature of S3. What has none never reaches the cache, so a picture that another mode
/// left there is not answered.
fn has_one_signature(query: Option<&str>) -> bool {
    let parameters = query.unwrap_or_default().split('&');
    let mut found = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (name == SIGNATURE).then_some(value)
    });
    found.next().is_some_and(|value| !value.is_empty()) && found.next().is_none()
}

/// A shared link's request for the object itself, which its cache keeps for a minute.
fn linked(authorizer: &HostedAuthorizer, mut request: ViewerRequest) -> Decision {
    let path = request.head.uri.path().strip_prefix(LINKS);
    let Some(uri) = path.and_then(|path| path.parse::<Uri>().ok()) else {
        return refused("There is no such link.");
    };
    request.head.uri = uri;
    let decision = forwarded(authorizer, request, Readers::Bearer, Duration::ZERO);
    with_policy(decision, |policy| Policy {
        min_ttl: LINK_TTL,
        max_ttl: Some(LINK_TTL),
        ..policy
    })
}

fn with_policy(decision: Decision, change: impl FnOnce(Policy) -> Policy) -> Decision {
    match decision {
        Decision::Forward(mut forward) => {
            forward.policy = forward.policy.map(change);
            Decision::Forward(forward)
        }
        respond @ Decision::Respond(_) => respond,
    }
}

fn upload(request: ViewerRequest) -> Decision {
    let mut head = request.head;
    if head.method != Method::POST {
        let mut response = error_response(
            StatusCode::METHOD_NOT_ALLOWED,
            "Uploads are forms: send them with POST.",
        );
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("POST"));
        return Decision::Respond(response);
    }
    if head.uri.query().is_some_and(|query| !query.is_empty()) {
        return respond(StatusCode::BAD_REQUEST, "An upload has no query string.");
    }
    head.uri = Uri::from_static("/");
    Decision::Forward(Box::new(Forward::new(head)))
}

fn refused(detail: &str) -> Decision {
    respond(StatusCode::FORBIDDEN, detail)
}

fn respond(status: StatusCode, detail: &str) -> Decision {
    let response: Response<Body> = error_response(status, detail);
    Decision::Respond(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_request_has_exactly_one_signature() {
        for (query, expected) in [
            (Some("X-Amz-Signature=ab"), true),
            (Some("X-Amz-Date=1&X-Amz-Signature=ab&x=1"), true),
            (Some("X-Amz-Signature="), false),
            (Some("X-Amz-Signature"), false),
            (Some("x-amz-signature=ab"), false),
            (Some("aX-Amz-Signature=ab"), false),
            (Some("X-Amz-Signature=ab&X-Amz-Signature=ab"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(has_one_signature(query), expected, "{query:?}");
        }
    }
}
