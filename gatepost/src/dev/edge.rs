//! The local edge: `edge-auth` as the viewer-request function of an emulated CloudFront distribution in front of the
//! media bucket, with the cache policies and response headers policies of `infra/modules/gatepost/distribution.tf`.
//!
//! `gatepost dev` serves it. Only requests that `edge-auth` allows reach the cache or the bucket. In mode `function` the
//! generated function decides, and adds the origin path that the bucket's origin lacks in that mode.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use edge_auth::lambda_edge::Outcome;
use edge_auth::{Allowed, Decision, Headers, Request as EdgeRequest, ViewerRequest};
use edge_auth_function::ALLOWED_HEADER;
use edge_auth_host::HostedAuthorizer;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use local_aws::cloudfront::{
    Behaviour, CacheControl, Decision as EdgeDecision, Distribution, Forward, Origin, Policy,
    ViewerRequest as EdgeViewerRequest, error_response,
};
use media_contract::{IMMUTABLE, MEDIA_PATH, ORIGIN_PATH, REVALIDATED};
use signing_api::EdgeCache;

use super::gate::Gate;
use super::generated::generated;

/// The name in `X-Cache`.
const NAME: &str = "gatepost";

/// The minimum TTL of media, as the distribution's cache policy for them has it: their `Cache-Control` is for viewers,
/// whose own caches alone may keep them.
const MEDIA_MIN_TTL: Duration = Duration::from_hours(24);

/// An object that is opened as a page runs nothing and loads nothing.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// The distribution in front of the media bucket.
#[derive(Clone)]
pub(super) struct Edge {
    distribution: Distribution,
    /// Whether paths have the origin path when they reach the cache.
    adds_origin_path: bool,
}

/// The function that decides about a viewer's request.
pub(super) enum Guard {
    /// `edge-auth`, as in Lambda@Edge.
    Library(Arc<HostedAuthorizer>),
    /// The generated function of mode `function`.
    Function(Arc<Gate>),
}

impl Edge {
    /// `browser_cache` is how long browsers may keep private media.
    pub(super) fn new(guard: Guard, s3: Client, bucket: &str, browser_cache: Duration) -> Self {
        let (behaviours, adds_origin_path) = match guard {
            Guard::Library(authorizer) => {
                let origin = Origin::bucket_below(s3, bucket, ORIGIN_PATH);
                let behaviour = Behaviour::new("*", origin).with_viewer_request(move |request| {
                    let authorizer = authorizer.clone();
                    async move { decide(&authorizer, request, browser_cache).await }
                });
                (vec![behaviour], false)
            }
            Guard::Function(gate) => {
                let origin = Origin::bucket(s3, bucket);
                let refusing =
                    [ORIGIN_PATH.to_owned(), format!("{ORIGIN_PATH}/*")].map(|pattern| {
                        Behaviour::new(&pattern, origin.clone())
                            .with_viewer_request(|_| async { refused_origin_path() })
                    });
                let gated = Behaviour::new("*", origin).with_viewer_request(move |request| {
                    let gate = gate.clone();
                    async move { decide_by_function(&gate, request, browser_cache).await }
                });
                ([&refusing[..], &[gated]].concat(), true)
            }
        };
        Self {
            distribution: Distribution::new(NAME, behaviours).with_shared_cache(),
            adds_origin_path,
        }
    }

    /// Answers a viewer's request.
    pub(super) async fn answer(&self, request: Request) -> Response<Body> {
        self.distribution.answer(request).await
    }
}

impl EdgeCache for Edge {
    /// At once, where CloudFront takes a minute or two.
    fn forget(&self, folder: String) -> BoxFuture<'_, Result<(), String>> {
        let origin_path = if self.adds_origin_path {
            ORIGIN_PATH
        } else {
            ""
        };
        self.distribution
            .invalidate(&format!("{origin_path}{folder}"));
        std::future::ready(Ok(())).boxed()
    }
}

/// The viewer-request function.
async fn decide(
    authorizer: &HostedAuthorizer,
    request: EdgeViewerRequest,
    browser_cache: Duration,
) -> EdgeDecision {
    let EdgeViewerRequest { head, request_id } = request;
    let viewer_request = viewer_request(&head);
    let edge_request = EdgeRequest::from(&viewer_request);
    let decision = authorizer.decide(&edge_request).await;
    log_denial(&request_id, &decision);
    let authorizer = authorizer.authorizer();
    let readable = authorizer.readable_by(&edge_request);
    match (authorizer.answer(viewer_request, &decision), decision) {
        (Outcome::Continue(_), Decision::Allow(allowed)) => {
            let policy = policy_of(&allowed, browser_cache, readable);
            EdgeDecision::Forward(Box::new(Forward {
                head,
                key: Some(allowed.path.key().to_owned()),
                policy: Some(policy),
            }))
        }
        (Outcome::Respond(response), _) => EdgeDecision::Respond(generated(response)),
        // An unknown decision is refused, like every request that is not allowed.
        (Outcome::Continue(_), _) => EdgeDecision::Respond(error_response(
            StatusCode::SERVICE_UNAVAILABLE,
            "The request cannot be decided.",
        )),
    }
}

/// The viewer-request function of mode `function`.
async fn decide_by_function(
    gate: &Gate,
    request: EdgeViewerRequest,
    browser_cache: Duration,
) -> EdgeDecision {
    let EdgeViewerRequest {
        mut head,
        request_id,
    } = request;
    let viewer_request = viewer_request(&head);
    let (decision, response) = gate.decide(&viewer_request, &request_id).await;
    log_denial(&request_id, &decision);
    match (response, decision) {
        (Some(response), _) => EdgeDecision::Respond(response),
        (None, Decision::Allow(allowed)) => {
            let readable = gate
                .authorizer()
                .readable_by(&EdgeRequest::from(&viewer_request));
            let name = HeaderName::from_static(ALLOWED_HEADER);
            let allowed_by_us = HeaderValue::from_static("1");
            head.headers.insert(name.clone(), allowed_by_us);
            EdgeDecision::Forward(Box::new(Forward {
                head,
                key: Some(media_contract::object_key(allowed.path.as_str())),
                policy: Some(Policy {
                    key_headers: vec![name],
                    ..policy_of(&allowed, browser_cache, readable)
                }),
            }))
        }
        (None, _) => EdgeDecision::Respond(error_response(
            StatusCode::SERVICE_UNAVAILABLE,
            "The request cannot be decided.",
        )),
    }
}

/// The answer to a path that names the origin path: such a path would skip the function's own prefix.
fn refused_origin_path() -> EdgeDecision {
    EdgeDecision::Respond(error_response(
        StatusCode::FORBIDDEN,
        "You may not access this.",
    ))
}

/// The request of the event that CloudFront would send to Lambda@Edge.
fn viewer_request(head: &Parts) -> ViewerRequest {
    let mut headers = Headers::default();
    for (name, value) in &head.headers {
        // A foreign cookie may hold any bytes; ours is beside it.
        headers.append(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    ViewerRequest {
        client_ip: "127.0.0.1".to_owned(),
        headers,
        method: head.method.to_string(),
        querystring: head.uri.query().unwrap_or_default().to_owned(),
        uri: head.uri.path().to_owned(),
        ..ViewerRequest::default()
    }
}

/// The policy of an allowed request. On AWS a behaviour's cache policy and response headers policy are these.
///
/// `Cache-Control` is always `private`, since only the edge may keep an answer for others. If a rule is for anyone,
/// other sites may show the object, and a browser may keep an immutable one. If a token or a session decided, a browser
/// revalidates each time or keeps the object for `browser_cache`: the next person in the same browser would see it.
fn policy_of(
    allowed: &Allowed,
    browser_cache: Duration,
    readable: Vec<(&'static str, String)>,
) -> Policy {
    // Objects that others put into the bucket may change under their name.
    let is_media = allowed.path.as_str().starts_with(MEDIA_PATH);
    let revalidated = HeaderValue::from_static(REVALIDATED);
    let (cache_control, resource_policy) = if allowed.is_for_anyone {
        let immutable = HeaderValue::from_static(IMMUTABLE);
        let other = revalidated;
        (CacheControl { immutable, other }, "cross-origin")
    } else {
        let kept = format!("private, max-age={}", browser_cache.as_secs());
        let kept = HeaderValue::try_from(kept).ok();
        let kept = kept.filter(|_| is_media && !browser_cache.is_zero());
        let value = kept.unwrap_or(revalidated);
        let (immutable, other) = (value.clone(), value);
        (CacheControl { immutable, other }, "same-site")
    };
    let object_headers = HeaderMap::from_iter([
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static(resource_policy),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(CONTENT_SECURITY_POLICY),
        ),
    ]);
    let readable = readable.into_iter().filter_map(|(name, value)| {
        let value = HeaderValue::try_from(value).ok()?;
        Some((HeaderName::from_static(name), value))
    });
    Policy {
        min_ttl: if is_media {
            MEDIA_MIN_TTL
        } else {
            Duration::ZERO
        },
        key_headers: Vec::new(),
        cache_control: Some(cache_control),
        object_headers,
        headers: readable.collect(),
    }
}

/// One line a denial: why and by which rule; never a token, and no claim's value.
fn log_denial(request_id: &str, decision: &Decision) {
    let denied = match decision {
        Decision::Deny(denied) => denied,
        Decision::Redirect(redirect) => &redirect.denied,
        _ => return,
    };
    tracing::info!(
        request_id,
        code = denied.refusal.code(),
        rule = denied.rule,
        issuer = denied.issuer,
        kid = denied.loggable_kid(),
        reason = denied.refusal.to_string(),
        "a viewer request is denied"
    );
}

#[cfg(test)]
mod tests {
    use edge_auth::CanonicalPath;

    use super::*;

    fn policy(path: &str, is_for_anyone: bool, browser_cache: u64) -> Policy {
        let allowed = Allowed {
            path: CanonicalPath::parse(path).unwrap(),
            is_for_anyone,
            owner: None,
            rule: 0,
        };
        let readable = vec![("vary", "Origin".to_owned())];
        policy_of(&allowed, Duration::from_secs(browser_cache), readable)
    }

    #[test]
    fn a_browser_keeps_public_objects_and_what_is_configured() {
        const MEDIA: &str = "/media/o/1/320.webp";
        let day = MEDIA_MIN_TTL;
        for (path, is_for_anyone, browser_cache, immutable, other, resource_policy, min_ttl) in [
            (MEDIA, false, 0, REVALIDATED, REVALIDATED, "same-site", day),
            (
                MEDIA,
                false,
                900,
                "private, max-age=900",
                "private, max-age=900",
                "same-site",
                day,
            ),
            (
                "/other/a",
                false,
                900,
                REVALIDATED,
                REVALIDATED,
                "same-site",
                Duration::ZERO,
            ),
            (MEDIA, true, 0, IMMUTABLE, REVALIDATED, "cross-origin", day),
            (
                "/other/a",
                true,
                900,
                IMMUTABLE,
                REVALIDATED,
                "cross-origin",
                Duration::ZERO,
            ),
        ] {
            let policy = policy(path, is_for_anyone, browser_cache);
            let cache_control = policy.cache_control.unwrap();
            assert_eq!(
                (cache_control.immutable, cache_control.other),
                (
                    HeaderValue::from_static(immutable),
                    HeaderValue::from_static(other)
                ),
                "{path} {is_for_anyone}"
            );
            let headers = &policy.object_headers;
            assert_eq!(headers["cross-origin-resource-policy"], resource_policy);
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["content-security-policy"], CONTENT_SECURITY_POLICY);
            assert_eq!(policy.headers["vary"], "Origin");
            assert_eq!(policy.min_ttl, min_ttl, "{path}");
        }
    }
}
