//! A behaviour of a distribution: which paths it is for, who decides, where the objects are and which headers they get.
//!
//! Programs build behaviours; [`Distribution`](super::Distribution) follows them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, Uri};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use percent_encoding::percent_decode_str;

use super::origin::Origin;
use super::pattern::{is_match, normalized};
use super::signature::KeyGroup;

/// A viewer-request function.
type ViewerRequestFunction = dyn Fn(ViewerRequest) -> BoxFuture<'static, Decision> + Send + Sync;

/// How the paths of a pattern are answered.
#[derive(Clone)]
pub struct Behaviour {
    pattern: String,
    pub(super) origin: Origin,
    pub(super) trusted_keys: Option<KeyGroup>,
    pub(super) viewer_request: Option<Arc<ViewerRequestFunction>>,
    pub(super) policy: Policy,
    pub(super) allows_posts: bool,
}

/// A viewer's request as its function gets it.
#[derive(Debug)]
pub struct ViewerRequest {
    /// The request without its body.
    pub head: Parts,
    /// An id for the log, new for each request.
    pub request_id: String,
}

/// A viewer-request function's decision.
#[derive(Debug)]
pub enum Decision {
    /// The request goes on to the cache and the origin.
    Forward(Box<Forward>),
    /// The request is answered at once.
    Respond(Response<Body>),
}

/// A request that goes on.
#[derive(Debug)]
pub struct Forward {
    /// The request without its body, as the function has changed it.
    pub head: Parts,
    /// The key of the object, if the function has decoded the path already. A bucket without origin access control gets
    /// the path of the head in any case.
    pub key: Option<String>,
    /// The policy of this request in place of the behaviour's.
    pub policy: Option<Policy>,
}

/// A behaviour's cache policy and response headers policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The shortest time for which an object is cached, even if its own `Cache-Control` forbids it: the minimum TTL.
    pub min_ttl: Duration,
    /// The longest time for which an object is cached, even if its own `Cache-Control` allows more: the maximum TTL.
    pub max_ttl: Option<Duration>,
    /// The request headers in the cache key, as the viewer-request function leaves them.
    pub key_headers: Vec<HeaderName>,
    /// Whether the whole query is in the cache key and goes to a bucket without origin access control. Without it the
    /// query reaches neither.
    pub query_in_key: bool,
    /// `Cache-Control` of answers with an object; without it the object's own is passed on.
    pub cache_control: Option<CacheControl>,
    /// Headers of answers with an object.
    pub object_headers: HeaderMap,
    /// Headers of every answer of the origin, also of an error.
    pub headers: HeaderMap,
}

/// `Cache-Control` for viewers.
#[derive(Clone, Debug)]
pub struct CacheControl {
    /// For an object whose own `Cache-Control` says `immutable`.
    pub immutable: HeaderValue,
    /// For any other object.
    pub other: HeaderValue,
}

impl Behaviour {
    /// A behaviour for the paths that match a pattern, in which `*` is any number of characters and `?` is one. Without
    /// a viewer-request function every request is forwarded.
    pub fn new(pattern: &str, origin: Origin) -> Self {
        Self {
            pattern: pattern.to_owned(),
            origin,
            trusted_keys: None,
            viewer_request: None,
            policy: Policy::default(),
            allows_posts: false,
        }
    }

    /// Answers only requests with a CloudFront signature by one of these keys: signed URLs and signed cookies. It is
    /// checked before the viewer-request function, the cache and the origin, and for every method, so a CORS preflight
    /// is refused as well. Its parameters are removed from the query first; neither of the three sees them.
    #[must_use]
    pub fn with_trusted_keys(mut self, keys: KeyGroup) -> Self {
        self.trusted_keys = Some(keys);
        self
    }

    /// Lets a function decide about each request before the cache answers.
    #[must_use]
    pub fn with_viewer_request<F, Decided>(mut self, function: F) -> Self
    where
        F: Fn(ViewerRequest) -> Decided + Send + Sync + 'static,
        Decided: Future<Output = Decision> + Send + 'static,
    {
        self.viewer_request = Some(Arc::new(move |request| function(request).boxed()));
        self
    }

    /// Sets the policy of requests for which the function names no other.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Lets a bucket without origin access control have `POST` as well as `GET` and `HEAD`: the forms of browser uploads.
    /// S3 takes them at the bucket's root alone, which is the path `/`; a viewer-request function may rewrite the path to
    /// it. Of the request's headers only `Content-Type` and `Content-Length` go along, and its body is not held in memory.
    /// Nothing of it is cached.
    ///
    /// Without this, and at any other bucket, a `POST` is answered with 405. A service gets every method in any case.
    #[must_use]
    pub fn allowing_posts(mut self) -> Self {
        self.allows_posts = true;
        self
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        // CloudFront ignores the slash at the beginning of both.
        let strip = |text: &'_ str| text.strip_prefix('/').unwrap_or(text).as_bytes().to_vec();
        is_match(&strip(&self.pattern), &strip(&normalized(path)))
    }
}

impl Policy {
    /// The query that is in the cache key and goes to the origin; empty if the policy forwards nothing.
    pub(super) fn forwarded_query<'a>(&self, uri: &'a Uri) -> &'a str {
        let query = uri.query().filter(|_| self.query_in_key);
        query.unwrap_or_default()
    }

    /// The TTL of an object that may be kept for `fresh_for` by its own `Cache-Control`.
    pub(super) fn ttl(&self, fresh_for: Duration) -> Duration {
        let ttl = fresh_for.max(self.min_ttl);
        self.max_ttl.map_or(ttl, |max_ttl| ttl.min(max_ttl))
    }
}

impl Forward {
    /// Forwards a request unchanged.
    pub fn new(head: Parts) -> Self {
        Self {
            head,
            key: None,
            policy: None,
        }
    }

    /// The object's key; `None` if the path is malformed.
    pub(super) fn key(&self) -> Option<String> {
        self.key.clone().or_else(|| self.decoded_path())
    }

    /// The path without its first slash, percent-decoded; `None` if it is malformed.
    pub(super) fn decoded_path(&self) -> Option<String> {
        let path = self.head.uri.path();
        let path = path.strip_prefix('/')?;
        // `percent-encoding` keeps a malformed `%`.
        let is_escape = |rest: &str| {
            let digits = rest.as_bytes().get(..2);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        if !path.split('%').skip(1).all(is_escape) {
            return None;
        }
        let key = percent_decode_str(path).decode_utf8().ok()?;
        Some(key.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn patterns_match_paths() {
        for (pattern, path, expected) in [
            ("*", "/", true),
            ("*", "/a/b", true),
            ("/media/*", "/media/a/b", true),
            ("media/*", "/media/a", true),
            ("/media/*", "/media", false),
            ("*.webp", "/media/a.webp", true),
            ("*.webp", "/media/a.webp.txt", false),
            ("/a?c", "/abc", true),
            ("/a?c", "/ac", false),
            ("/a*b*c", "/axxbyybzzc", true),
            ("/a*b*c", "/axxbyyzz", false),
            ("/A", "/a", false),
            ("/", "/", true),
            ("/media/*", "//media/a", true),
            ("/media/*", "/public/../media/a", true),
            ("/media/*", "/media/../public/a", false),
        ] {
            let behaviour = Behaviour::new(pattern, Origin::service(axum::Router::new()));
            assert_eq!(behaviour.matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_ttl_is_within_the_policys_bounds() {
        for (min, max, fresh_for, ttl) in [
            (0, None, 0, 0),
            (0, None, 60, 60),
            (10, None, 0, 10),
            (10, None, 60, 60),
            (0, Some(30), 60, 30),
            (10, Some(30), 20, 20),
            (10, Some(30), 0, 10),
            (60, Some(30), 0, 30),
            (0, Some(0), 60, 0),
        ] {
            let policy = Policy {
                min_ttl: Duration::from_secs(min),
                max_ttl: max.map(Duration::from_secs),
                ..Policy::default()
            };
            let found = policy.ttl(Duration::from_secs(fresh_for));
            assert_eq!(found.as_secs(), ttl, "{min} {max:?} {fresh_for}");
        }
    }

    #[test]
    fn a_key_is_the_decoded_path() {
        for (path, key) in [
            ("/a/b.webp", Some("a/b.webp")),
            ("/a%20b/%C3%BC", Some("a b/ü")),
            ("/%252F", Some("%2F")),
            ("//a", Some("/a")),
            ("/", Some("")),
            ("*", None),
            ("/%", None),
            ("/%4", None),
            ("/%4x", None),
            ("/%FF", None),
        ] {
            let request = Request::builder().uri(path).body(()).unwrap();
            let forward = Forward::new(request.into_parts().0);
            assert_eq!(forward.key().as_deref(), key, "{path}");
        }
    }
}
