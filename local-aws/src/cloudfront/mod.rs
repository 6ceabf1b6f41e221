//! CloudFront on this machine: a [`Distribution`] does with a viewer's request what CloudFront does, in the same order.
//!
//! The first behaviour whose pattern matches the path is chosen. If it has a trusted key group, only requests with a
//! valid signature go on. Its viewer-request function decides, if it has one, and only what the function forwards
//! reaches the cache or, after that, the origin. Programs pass their behaviours, origins, keys and functions in and serve
//! [`Distribution::answer`]; this module has no rules of its own about viewers.
//!
//! # What only AWS can show
//!
//! Where AWS documents nothing, the emulator takes the choice that a system can rely on least:
//!
//! - Two cookies with one name, as browsers send them for folders within folders: refused.
//! - `Expires` beside `Policy`, and a policy without a `Resource`: refused. CloudFront takes the latter for every URL.
//! - The order of signature and function: the signature first, and the function does not see its parameters.
//! - The URL that a policy is compared with: the path as it was sent, with its dot segments and encodings.
//! - Percent-encodings in the path for the choice of a behaviour: not decoded.
//! - Entries of the cache after an update, and between behaviours ([`Distribution::with_shared_cache`]): still answered.
//! - Codes of refusals other than `MissingKey`, `InvalidKey` and `MalformedPolicy`: `AccessDenied`.
//!
//! Unlike CloudFront, it answers a method that is not allowed with 405 and errors of its own with problem documents.
//! It never answers with a stale object while the origin fails, reads a bucket with origin access control by `GET` alone
//! and without the viewer's query, and caches no error.

mod answer;
mod behaviour;
mod cache;
mod condition;
mod origin;
mod pattern;
mod signature;

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use tower::ServiceExt as _;

pub use answer::error_response;
pub use behaviour::{Behaviour, CacheControl, Decision, Forward, Policy, ViewerRequest};
pub use origin::{Origin, OriginError};
pub use signature::{KeyGroup, KeyGroupError};

use answer::{Served, method_not_allowed, serve};
use cache::{Cache, CacheKey};
use origin::{Answer, Bucket, OriginFault, Read, UnsignedBucket};
use signature::{Connection, verify};

/// The address of every viewer: the emulator is served on loopback.
const VIEWER: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// A distribution: behaviours with one cache. Clones share the cache.
#[derive(Clone)]
pub struct Distribution {
    name: Arc<str>,
    behaviours: Arc<[Behaviour]>,
    cache: Arc<Cache>,
    /// Whether behaviours answer from one another's entries.
    is_shared: bool,
    /// The scheme of the URLs that viewers request.
    scheme: Arc<str>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Distribution {
    /// A distribution of behaviours in the order in which they are tried. The last one's pattern should be `*`, as that
    /// of CloudFront's default behaviour; a path that no pattern matches is answered with 404.
    ///
    /// The name is the one in `X-Cache`: `cloudfront` makes `Hit from cloudfront`.
    pub fn new(name: &str, behaviours: Vec<Behaviour>) -> Self {
        Self {
            name: name.into(),
            behaviours: behaviours.into(),
            cache: Arc::default(),
            is_shared: false,
            scheme: "https".into(),
            clock: Arc::new(Timestamp::now),
        }
    }

    /// The distribution after an update: with other behaviours and the same cache, whose entries are still answered.
    #[must_use]
    pub fn with_behaviours(&self, behaviours: Vec<Behaviour>) -> Self {
        Self {
            behaviours: behaviours.into(),
            ..self.clone()
        }
    }

    /// Sets the scheme of the URLs that viewers request; `https` without it. A signature is for a whole URL, so a stack
    /// that is served at `http://127.0.0.1:8080` needs `http` here.
    #[must_use]
    pub fn with_scheme(mut self, scheme: &str) -> Self {
        self.scheme = scheme.into();
        self
    }

    /// Sets the clock by which signatures and entries of the cache expire; the system's without it.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Lets all behaviours share the entries of the cache. CloudFront does not say whether its behaviours do, so a system
    /// that must not depend on it is tested with this.
    #[must_use]
    pub fn with_shared_cache(mut self) -> Self {
        self.is_shared = true;
        self
    }

    /// Answers a viewer's request.
    pub async fn answer(&self, request: Request) -> Response<Body> {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path();
        let mut behaviours = self.behaviours.iter().enumerate();
        let Some((index, behaviour)) = behaviours.find(|(_, behaviour)| behaviour.matches(path))
        else {
            return self.fault(StatusCode::NOT_FOUND, "There is nothing here.");
        };
        if let Some(keys) = &behaviour.trusted_keys {
            let connection = Connection {
                now: (self.clock)(),
                scheme: &self.scheme,
                address: VIEWER,
            };
            if let Err(refusal) = verify(&connection, keys, &mut head) {
                tracing::info!(
                    path = head.uri.path(),
                    reason = refusal.reason(),
                    "a signed request is refused"
                );
                return self.marked(refusal.into_response());
            }
        }
        let forward = match self.decide(behaviour, head).await {
            Decision::Forward(forward) => *forward,
            Decision::Respond(response) => return response,
        };
        let policy = forward.policy.as_ref().unwrap_or(&behaviour.policy);
        let mut response = match &behaviour.origin {
            Origin::Bucket(bucket) => match bucket.unsigned() {
                Some(unsigned) if behaviour.allows_posts && forward.head.method == Method::POST => {
                    self.post(unsigned, &forward.head, policy, body).await
                }
                _ => self.fetch(index, bucket, &forward, policy).await,
            },
            Origin::Service(router) => {
                let request = Request::from_parts(forward.head, body);
                let Ok(response) = router.clone().oneshot(request).await;
                response
            }
        };
        for (name, value) in &policy.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }

    /// Calls the viewer-request function, if there is one.
    async fn decide(&self, behaviour: &Behaviour, head: Parts) -> Decision {
        let Some(decide) = &behaviour.viewer_request else {
            return Decision::Forward(Box::new(Forward::new(head)));
        };
        match new_request_id() {
            Some(request_id) => decide(ViewerRequest { head, request_id }).await,
            None => Decision::Respond(self.fault(
                StatusCode::SERVICE_UNAVAILABLE,
                "The system random number generator failed.",
            )),
        }
    }

    /// Removes a path's object from the cache, or with a `*` at the end all that begin so, such as
    /// `/media/{owner}/{id}/*`: at once, where an invalidation of CloudFront takes a minute or two. Entries with a query in
    /// their key are named with a `*` alone. An object whose fetch has begun before is not kept either.
    pub fn invalidate(&self, path: &str) {
        self.cache.forget(path.strip_prefix('/').unwrap_or(path));
    }

    /// Answers from the cache, else from the bucket.
    async fn fetch(
        &self,
        index: usize,
        bucket: &Bucket,
        forward: &Forward,
        policy: &Policy,
    ) -> Response<Body> {
        let (method, headers) = (&forward.head.method, &forward.head.headers);
        if !matches!(*method, Method::GET | Method::HEAD) {
            let takes_posts = bucket.unsigned().is_some() && self.behaviours[index].allows_posts;
            let allowed = if takes_posts {
                "GET, HEAD, POST"
            } else {
                "GET, HEAD"
            };
            return self.marked(method_not_allowed(allowed));
        }
        let key = match bucket.unsigned() {
            Some(_) => forward.decoded_path(),
            None => forward.key(),
        };
        let Some(key) = key else {
            let detail = "The path is malformed: it is not the percent-encoding of UTF-8.";
            return self.fault(StatusCode::BAD_REQUEST, detail);
        };
        let served = |object, age| Served {
            object,
            age,
            policy,
            distribution: &self.name,
        };
        let query = policy.forwarded_query(&forward.head.uri);
        let values = policy.key_headers.iter();
        let cache_key = CacheKey {
            behaviour: if self.is_shared { 0 } else { index },
            path: key.clone(),
            query: query.to_owned(),
            headers: values.map(|name| headers.get(name).cloned()).collect(),
        };
        if let Some((object, age)) = self.cache.get(&cache_key, (self.clock)()) {
            return self.marked(serve(method, headers, &served(&object, Some(age))));
        }
        let generation = self.cache.generation();
        let read = Read {
            method,
            key: &key,
            path: forward.head.uri.path(),
            query,
        };
        match bucket.fetch(&read).await {
            Ok(Answer::Object(object)) => {
                let object = Arc::new(object);
                if object.size_of_head.is_none() {
                    let ttl = policy.ttl(object.fresh_for());
                    let now = (self.clock)();
                    self.cache
                        .put(cache_key, object.clone(), ttl, generation, now);
                }
                self.marked(serve(method, headers, &served(&object, None)))
            }
            Ok(Answer::Other(response)) => self.marked(response),
            Err(fault) => self.origin_fault(fault),
        }
    }

    /// Sends an upload to a bucket, and passes S3's answer on.
    async fn post(
        &self,
        bucket: &UnsignedBucket,
        head: &Parts,
        policy: &Policy,
        body: Body,
    ) -> Response<Body> {
        let query = policy.forwarded_query(&head.uri);
        let sent = bucket.post(head.uri.path(), query, &head.headers, body);
        match sent.await {
            Ok(mut response) => {
                if response.status().is_client_error() || response.status().is_server_error() {
                    return self.marked(response);
                }
                set_x_cache(&mut response, &format!("Miss from {}", self.name));
                response
            }
            Err(fault) => self.origin_fault(fault),
        }
    }

    fn origin_fault(&self, fault: OriginFault) -> Response<Body> {
        match fault {
            OriginFault::NotFound => self.fault(StatusCode::NOT_FOUND, "There is nothing here."),
            OriginFault::Unreachable(reason) => {
                tracing::error!(reason, "the origin does not answer");
                self.fault(StatusCode::BAD_GATEWAY, "The origin does not answer.")
            }
        }
    }

    fn fault(&self, status: StatusCode, detail: &str) -> Response<Body> {
        self.marked(error_response(status, detail))
    }

    /// Marks an answer without an object as one that did not come from the cache or the origin.
    fn marked(&self, mut response: Response<Body>) -> Response<Body> {
        set_x_cache(&mut response, &format!("Error from {}", self.name));
        response
    }
}

/// Sets `X-Cache`, if the answer has none yet.
fn set_x_cache(response: &mut Response<Body>, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        let name = HeaderName::from_static("x-cache");
        response.headers_mut().entry(name).or_insert(value);
    }
}

fn new_request_id() -> Option<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).ok()?;
    Some(BASE64URL_NOPAD.encode(&random))
}
