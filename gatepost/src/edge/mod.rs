//! The edge on this machine: what `CloudFront` does with a viewer's request, in the same order.
//!
//! A request becomes a Lambda@Edge viewer-request event, `edge-auth` decides, and only what it allows gets as far as
//! the cache or, past that, the media bucket.

mod answer;
mod cache;
mod condition;
mod origin;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response, StatusCode};
use edge_auth::lambda_edge::{
    CloudFront, EventConfig, GeneratedResponse, Outcome, Record, ViewerRequestEvent,
};
use edge_auth::{Allowed, Decision, Headers, Request as EdgeRequest, ViewerRequest};
use edge_auth_host::HostedAuthorizer;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use media_contract::MEDIA_PATH;
use signing_api::EdgeCache;

use answer::{Audience, XCache};
use cache::Cache;
use origin::OriginFault;

/// The stand-in for a `CloudFront` distribution.
#[derive(Clone)]
pub(crate) struct Edge {
    authorizer: Arc<HostedAuthorizer>,
    s3: Client,
    bucket: String,
    /// What `CloudFront` prepends to the paths that it requests from the bucket, such as `/o`.
    origin_path: &'static str,
    cache: Arc<Cache>,
    /// How long browsers may keep private media.
    browser_cache: Duration,
}

impl Edge {
    pub(crate) fn new(
        authorizer: Arc<HostedAuthorizer>,
        s3: Client,
        bucket: &str,
        origin_path: &'static str,
        browser_cache: Duration,
    ) -> Self {
        Self {
            authorizer,
            s3,
            bucket: bucket.to_owned(),
            origin_path,
            cache: Arc::default(),
            browser_cache,
        }
    }

    /// Answers a viewer's request.
    pub(crate) async fn answer(&self, request: Request) -> Response<Body> {
        // What is sent along with a request to read is of no interest.
        let (request, _) = request.into_parts();
        let event = match viewer_request_event(&request) {
            Ok(event) => event,
            Err(fault) => return answer::fault(StatusCode::BAD_REQUEST, fault),
        };
        let Some(record) = event.records.into_iter().next() else {
            return answer::fault(StatusCode::BAD_REQUEST, "The request is empty.");
        };
        let request_id = record.cf.config.request_id;
        let edge_request = EdgeRequest::from(&record.cf.request);
        let decision = self.authorizer.decide(&edge_request).await;
        log_denial(&request_id, &decision);
        let authorizer = self.authorizer.authorizer();
        let readable = authorizer.readable_by(&edge_request);
        match (authorizer.answer(record.cf.request, &decision), decision) {
            (Outcome::Continue(_), Decision::Allow(allowed)) => {
                let mut response = self.fetch(&request, &allowed).await;
                // In the place of CloudFront's response headers policy.
                for (name, value) in readable {
                    if let Ok(value) = HeaderValue::try_from(value) {
                        response.headers_mut().insert(name, value);
                    }
                }
                response
            }
            (Outcome::Respond(response), _) => generated(response),
            // A decision that we do not know: refused, like everything that is not allowed.
            (Outcome::Continue(_), _) => answer::fault(
                StatusCode::SERVICE_UNAVAILABLE,
                "The request cannot be decided.",
            ),
        }
    }

    /// Answers an allowed request from the cache, else from the bucket.
    async fn fetch(&self, request: &Parts, allowed: &Allowed) -> Response<Body> {
        let (method, headers) = (&request.method, &request.headers);
        if !matches!(*method, Method::GET | Method::HEAD) {
            return answer::method_not_allowed();
        }
        let key = allowed.path.key();
        let audience = if allowed.is_for_anyone {
            Audience::Anyone
        } else {
            // What others put into the bucket may change under its name.
            let is_media = allowed.path.as_str().starts_with(MEDIA_PATH);
            let browser_cache = self.browser_cache;
            Audience::Viewer {
                browser_cache: if is_media {
                    browser_cache
                } else {
                    Duration::ZERO
                },
            }
        };
        if let Some((object, age)) = self.cache.get(key) {
            return answer::serve(method, headers, &object, age, (XCache::Hit, audience));
        }
        let generation = self.cache.generation();
        let object_key = format!("{}{}", self.origin_path, allowed.path.as_str());
        let object_key = object_key.trim_start_matches('/');
        match origin::fetch(&self.s3, &self.bucket, object_key).await {
            Ok(object) => {
                let object = Arc::new(object);
                self.cache.put(key, object.clone(), generation);
                let about = (XCache::Miss, audience);
                answer::serve(method, headers, &object, Duration::ZERO, about)
            }
            Err(OriginFault::NotFound) => {
                answer::fault(StatusCode::NOT_FOUND, "There is nothing here.")
            }
            Err(OriginFault::Unreachable(reason)) => {
                tracing::error!(reason, "the origin does not answer");
                answer::fault(StatusCode::BAD_GATEWAY, "The origin does not answer.")
            }
        }
    }
}

impl EdgeCache for Edge {
    /// At once, where `CloudFront` takes a minute or two.
    fn forget(&self, folder: String) -> BoxFuture<'_, Result<(), String>> {
        self.cache.forget(folder.trim_start_matches('/'));
        std::future::ready(Ok(())).boxed()
    }
}

/// The event that `CloudFront` would send to Lambda@Edge.
fn viewer_request_event(request: &Parts) -> Result<ViewerRequestEvent, &'static str> {
    let mut headers = Headers::default();
    for (name, value) in &request.headers {
        // A cookie of somebody else's may hold anything; ours is beside it.
        headers.append(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    let mut request_id = [0; 16];
    getrandom::fill(&mut request_id).map_err(|_| "There are no random numbers.")?;
    let record = Record {
        cf: CloudFront {
            config: EventConfig {
                distribution_domain_name: "gatepost.localhost".to_owned(),
                distribution_id: "GATEPOSTLOCAL".to_owned(),
                event_type: "viewer-request".to_owned(),
                request_id: data_encoding::BASE64URL_NOPAD.encode(&request_id),
            },
            request: ViewerRequest {
                client_ip: "127.0.0.1".to_owned(),
                headers,
                method: request.method.to_string(),
                querystring: request.uri.query().unwrap_or_default().to_owned(),
                uri: request.uri.path().to_owned(),
                ..ViewerRequest::default()
            },
        },
    };
    Ok(ViewerRequestEvent {
        records: vec![record],
    })
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
        reason = %denied.refusal,
        "a viewer request is denied"
    );
}

/// `CloudFront`'s answer in the authorizer's name.
fn generated(generated: GeneratedResponse) -> Response<Body> {
    let status = generated.status.parse().ok();
    let mut builder = Response::builder().status(status.unwrap_or(StatusCode::FORBIDDEN));
    for (name, value) in generated.headers.iter() {
        builder = builder.header(name, value);
    }
    builder
        .body(generated.body.map_or_else(Body::empty, Body::from))
        .unwrap_or_else(|_| answer::fault(StatusCode::FORBIDDEN, "You may not access this."))
}
