//! The local edge: an emulated CloudFront distribution in front of the media bucket, as the mode of delivery has it.
//!
//! `gatepost dev` serves it. This file has the modes in which code of Gatepost decides about each view: `edge-auth` as in
//! Lambda@Edge, or the generated function, which also adds the origin path that the bucket's origin lacks in its mode.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use edge_auth::lambda_edge::Outcome;
use edge_auth::{Decision, Request as EdgeRequest};
use edge_auth_function::ALLOWED_HEADER;
use edge_auth_host::HostedAuthorizer;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use local_aws::cloudfront::{
    Behaviour, Decision as EdgeDecision, Distribution, Forward, Origin, OriginError, Policy,
    ViewerRequest as EdgeViewerRequest, error_response,
};
use media_contract::{ORIGIN_PATH, UploadKey};
use signing_api::{DistributionId, EdgeCache};

use super::gate::Gate;
use super::generated::generated;
use super::policy::{Readers, policy_of};
use super::signatures::{Presigned, Signed, Uploads};
use super::viewer::viewer_request;

/// The name in `X-Cache`.
const NAME: &str = "gatepost";

/// The distribution in front of the media bucket.
#[derive(Clone)]
pub(super) struct Edge {
    distribution: Distribution,
    /// Whether paths have the origin path when they reach the cache.
    adds_origin_path: bool,
}

/// Who decides about a viewer's request.
pub(super) enum Guard {
    /// `edge-auth`, as in Lambda@Edge.
    Library(Arc<HostedAuthorizer>),
    /// The generated function of mode `function`.
    Function(Arc<Gate>),
    /// CloudFront, by its own signatures.
    Signed(Signed),
    /// S3, by the signature of each URL.
    Presigned(Presigned),
}

impl Edge {
    /// `browser_cache` is how long browsers may keep private media. `uploads` takes forms, if they come this way.
    pub(super) fn new(
        guard: Guard,
        (s3, bucket): (Client, &str),
        uploads: Option<Uploads>,
        browser_cache: Duration,
    ) -> Result<Self, OriginError> {
        let below = Origin::bucket_below(s3.clone(), bucket, ORIGIN_PATH);
        let adds_origin_path = matches!(guard, Guard::Function(_));
        let guarded = match guard {
            Guard::Library(authorizer) => vec![library(authorizer, below, browser_cache)],
            Guard::Function(gate) => function(&gate, &Origin::bucket(s3, bucket), browser_cache),
            Guard::Signed(signed) => signed.behaviours(&below, browser_cache),
            Guard::Presigned(presigned) => presigned.behaviours(&below, browser_cache)?,
        };
        let uploads = uploads.map(|uploads| uploads.behaviour()).transpose()?;
        let behaviours = uploads.into_iter().chain(guarded).collect();
        Ok(Self {
            // The local stack has no TLS.
            distribution: Distribution::new(NAME, behaviours)
                .with_shared_cache()
                .with_scheme("http"),
            adds_origin_path,
        })
    }

    /// Answers a viewer's request.
    pub(super) async fn answer(&self, request: Request) -> Response<Body> {
        self.distribution.answer(request).await
    }
}

impl EdgeCache for Edge {
    /// At once, where CloudFront takes a minute or two.
    fn forget<'a>(
        &'a self,
        _distribution: Option<&'a DistributionId>,
        _upload: &'a UploadKey,
        paths: &'a [String],
    ) -> BoxFuture<'a, Result<(), String>> {
        let origin_path = if self.adds_origin_path {
            ORIGIN_PATH
        } else {
            ""
        };
        for path in paths {
            self.distribution
                .invalidate(&format!("{origin_path}{path}"));
        }
        std::future::ready(Ok(())).boxed()
    }
}

fn library(
    authorizer: Arc<HostedAuthorizer>,
    origin: Origin,
    browser_cache: Duration,
) -> Behaviour {
    Behaviour::new("*", origin).with_viewer_request(move |request| {
        let authorizer = authorizer.clone();
        async move { decide(&authorizer, request, browser_cache).await }
    })
}

fn function(gate: &Arc<Gate>, origin: &Origin, browser_cache: Duration) -> Vec<Behaviour> {
    let refusing = [ORIGIN_PATH.to_owned(), format!("{ORIGIN_PATH}/*")].map(|pattern| {
        Behaviour::new(&pattern, origin.clone())
            .with_viewer_request(|_| async { refused_origin_path() })
    });
    let gate = gate.clone();
    let gated = Behaviour::new("*", origin.clone()).with_viewer_request(move |request| {
        let gate = gate.clone();
        async move { decide_by_function(&gate, request, browser_cache).await }
    });
    [&refusing[..], &[gated]].concat()
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
            let policy = policy_of(
                allowed.path.as_str(),
                Readers::of(allowed.is_for_anyone),
                browser_cache,
                readable,
            );
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
                    ..policy_of(
                        allowed.path.as_str(),
                        Readers::of(allowed.is_for_anyone),
                        browser_cache,
                        readable,
                    )
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
