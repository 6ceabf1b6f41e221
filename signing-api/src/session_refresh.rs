//! The API of delivery mode `function`, whose session keys are in a secret and change while it runs.
//!
//! `main` makes one. The secret is read again when its copy is older than `max_age`, once for all waiting requests
//! (single-flight). New keys replace the authorizer and its router as a whole; a request keeps the router with which it
//! began. A failed read changes nothing.
//!
//! A request waits for a read only if what is known may not serve it: it starts a session, which only a current key may
//! sign, or its session's key is unknown here. Lambda suspends an instance between requests, so a read that no request
//! waits for may stay unfinished for hours.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use edge_auth::{Authorizer, SESSION_COOKIE, shared_session_header};
use edge_auth_host::fetch_key_set;
use futures::future::{BoxFuture, join_all};
use jiff::{SignedDuration, Timestamp};
use signing_api::SessionSecrets;
use tower::ServiceExt as _;
use zeroize::Zeroizing;

/// How long after a failed read the next one begins.
const PAUSE_AFTER_FAILURE: SignedDuration = SignedDuration::from_secs(30);
/// How long a request waits for a read.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Reads the secret's text.
type Read = Box<dyn Fn() -> BoxFuture<'static, anyhow::Result<Zeroizing<String>>> + Send + Sync>;
/// Makes the router of an API with these keys.
type Build = Box<dyn Fn(Authorizer) -> anyhow::Result<Router> + Send + Sync>;
type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// The dependencies and settings of a refreshing API.
pub(crate) struct Parts {
    /// The configuration of the authorizer. Its session's keys are replaced.
    pub(crate) edge: edge_auth::Config,
    /// How old the copy of the secret may become.
    pub(crate) max_age: SignedDuration,
    pub(crate) read: Read,
    pub(crate) build: Build,
    pub(crate) clock: Clock,
}

/// An API that follows its secret.
#[derive(Clone)]
pub(crate) struct RefreshingApi {
    shared: Arc<Shared>,
}

struct Shared {
    parts: Parts,
    state: RwLock<Known>,
    /// Its holder reads the secret.
    reading: Arc<tokio::sync::Mutex<()>>,
}

struct Known {
    current: Arc<Current>,
    read_at: Timestamp,
    due_at: Timestamp,
    is_failing: bool,
}

/// The API with one state of the secret.
struct Current {
    router: Router,
    text: Zeroizing<String>,
    /// The first segments of the sessions that its keys sign.
    headers: Vec<String>,
}

impl RefreshingApi {
    /// Makes the API with the secret's first text.
    pub(crate) fn new(parts: Parts, text: Zeroizing<String>) -> anyhow::Result<Self> {
        let (authorizer, headers) = authorizer(&parts.edge, &text)?;
        let router = (parts.build)(authorizer)?;
        let now = (parts.clock)();
        let known = Known {
            current: Arc::new(Current {
                router,
                text,
                headers,
            }),
            read_at: now,
            due_at: later(now, parts.max_age),
            is_failing: false,
        };
        let shared = Shared {
            parts,
            state: RwLock::new(known),
            reading: Arc::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// As a router of all paths.
    pub(crate) fn router(self) -> Router {
        Router::new().fallback(answer).with_state(self)
    }
}

async fn answer(State(api): State<RefreshingApi>, request: Request) -> Response {
    let shared = &api.shared;
    if shared.is_due() {
        if let Ok(reading) = shared.reading.clone().try_lock_owned() {
            // Runs in its own task: a client that hangs up must not end it.
            let shared = shared.clone();
            tokio::spawn(async move {
                // The previous holder may have read it just now.
                if shared.is_due() {
                    shared.refresh().await;
                }
                drop(reading);
            });
        }
        if shared.must_wait(&request) {
            // After the timeout the keys that are known serve the request.
            let _ = tokio::time::timeout(MAX_WAIT, shared.reading.lock()).await;
        }
    }
    let router = shared.current().router.clone();
    // A router answers every request.
    let Ok(response) = router.oneshot(request).await;
    response
}

impl Shared {
    fn current(&self) -> Arc<Current> {
        let known = self.state.read().unwrap_or_else(PoisonError::into_inner);
        known.current.clone()
    }

    /// Whether the copy is too old. A clock that was set back makes it so, too.
    fn is_due(&self) -> bool {
        let now = (self.parts.clock)();
        let known = self.state.read().unwrap_or_else(PoisonError::into_inner);
        now >= known.due_at || now < known.read_at
    }

    /// Whether only a new copy can serve the request for certain.
    fn must_wait(&self, request: &Request) -> bool {
        let starts_session =
            request.method() == Method::POST && request.uri().path() == "/api/session";
        let current = self.current();
        starts_session
            || session_headers(request.headers())
                .any(|header| !current.headers.iter().any(|known| known == header))
    }

    /// Reads the secret, and follows it.
    async fn refresh(&self) {
        let made = match (self.parts.read)().await {
            Ok(text) if *text == *self.current().text => Ok(None),
            Ok(text) => self.follow(text).await.map(Some),
            Err(error) => Err(error),
        };
        let now = (self.parts.clock)();
        let mut known = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match made {
            Ok(made) => {
                if made.is_some() || known.is_failing {
                    tracing::info!("the session keys are read");
                }
                if let Some(current) = made {
                    known.current = Arc::new(current);
                }
                known.due_at = later(now, self.parts.max_age);
                known.is_failing = false;
            }
            Err(error) => {
                if !known.is_failing {
                    tracing::error!(
                        "the session keys cannot be read again: {error:#}; those that are known stay in use, and the next failures are not logged"
                    );
                }
                known.due_at = later(now, PAUSE_AFTER_FAILURE);
                known.is_failing = true;
            }
        }
        known.read_at = now;
    }

    /// The API with a new text. The issuers' keys are fetched before it replaces the other one, whose fetched keys end
    /// with it. A fetch that fails here is left to the first request that needs it.
    async fn follow(&self, text: Zeroizing<String>) -> anyhow::Result<Current> {
        let (authorizer, headers) = authorizer(&self.parts.edge, &text)?;
        let now = (self.parts.clock)();
        let due = authorizer.keys_due(now).into_iter().map(async |need| {
            let fetched = fetch_key_set(&need).await;
            (need.url, fetched)
        });
        for (url, fetched) in join_all(due).await {
            if let Ok(jwks) = fetched {
                // Its faults are logged when a request needs these keys.
                let _ = authorizer.accept_keys(now, &url, &jwks);
            }
        }
        Ok(Current {
            router: (self.parts.build)(authorizer)?,
            text,
            headers,
        })
    }
}

/// The authorizer with the keys of this text, and the first segments of the sessions that they sign.
fn authorizer(edge: &edge_auth::Config, text: &str) -> anyhow::Result<(Authorizer, Vec<String>)> {
    let keys = SessionSecrets::parse(text).and_then(|secrets| secrets.session_keys());
    let keys = keys.context("the secret of the session keys cannot be used")?;
    let headers = keys.iter().map(|key| shared_session_header(&key.kid));
    let headers = headers.collect();
    let mut edge = edge.clone();
    let session = edge.session.as_mut();
    let session = session.context(
        "[session] is not configured, so the lifetime of sessions is unknown; package a configuration with [session]",
    )?;
    session.keys = keys;
    let authorizer = Authorizer::new(&edge).map_err(|faults| {
        anyhow!("the configuration with the keys of the secret is not valid: {faults:?}")
    })?;
    Ok((authorizer, headers))
}

/// The first segments of the sessions in the cookies.
fn session_headers(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| {
        let cookies = line.split(';').filter_map(|cookie| cookie.split_once('='));
        let ours = cookies.filter(|(name, _)| name.trim() == SESSION_COOKIE);
        ours.filter_map(|(_, token)| token.trim().split('.').next())
    })
}

fn later(now: Timestamp, duration: SignedDuration) -> Timestamp {
    now.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

    use axum::body::{Body, to_bytes};
    use edge_auth::Config;
    use edge_auth::config::{Session, TokenSource};
    use serde_json::json;
    use tokio::sync::Notify;

    use super::*;

    const MAX_AGE: i64 = 300;
    const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    /// An API whose answers say how many routers were made before its own, and its surroundings.
    struct Stage {
        api: RefreshingApi,
        now: Arc<AtomicI64>,
        n_reads: Arc<AtomicUsize>,
        /// The next texts, each until it is replaced; `None` makes a read fail.
        text: Arc<Mutex<Option<String>>>,
        /// Lets a read that waits go on.
        gate: Arc<Notify>,
        is_gated: Arc<Mutex<bool>>,
    }

    fn document(kids: &[&str]) -> String {
        let keys = kids.iter().zip(0..).map(|(kid, hour)| {
            json!({"kid": kid, "secret": SECRET, "from": format!("2026-11-28T{hour:02}:00:00Z")})
        });
        json!({ "keys": keys.collect::<Vec<_>>() }).to_string()
    }

    fn config() -> Config {
        Config {
            token_sources: vec![
                TokenSource::Authorization,
                TokenSource::Cookie(SESSION_COOKIE.to_owned()),
            ],
            session: Some(Session {
                keys: Vec::new(),
                lifetime_seconds: 900,
            }),
            ..Config::default()
        }
    }

    impl Stage {
        fn new() -> Self {
            let now = Arc::new(AtomicI64::new(1_795_856_400));
            let n_reads = Arc::new(AtomicUsize::new(0));
            let text = Arc::new(Mutex::new(Some(document(&["a"]))));
            let gate = Arc::new(Notify::new());
            let is_gated = Arc::new(Mutex::new(false));
            let n_built = AtomicUsize::new(0);
            let parts = Parts {
                edge: config(),
                max_age: SignedDuration::from_secs(MAX_AGE),
                read: {
                    let (n_reads, text) = (n_reads.clone(), text.clone());
                    let (gate, is_gated) = (gate.clone(), is_gated.clone());
                    Box::new(move || {
                        n_reads.fetch_add(1, Ordering::SeqCst);
                        let (gate, text) = (gate.clone(), text.clone());
                        let waits = *is_gated.lock().unwrap();
                        Box::pin(async move {
                            if waits {
                                gate.notified().await;
                            }
                            let text = text.lock().unwrap().clone();
                            text.map(Zeroizing::new).context("the service is away")
                        })
                    })
                },
                build: Box::new(move |_| {
                    let n = n_built.fetch_add(1, Ordering::SeqCst).to_string();
                    Ok(Router::new().fallback(move || async move { n }))
                }),
                clock: {
                    let now = now.clone();
                    Box::new(move || Timestamp::from_second(now.load(Ordering::SeqCst)).unwrap())
                },
            };
            let first = Zeroizing::new(document(&["a"]));
            Self {
                api: RefreshingApi::new(parts, first).unwrap(),
                now,
                n_reads,
                text,
                gate,
                is_gated,
            }
        }

        fn pass(&self, seconds: i64) {
            self.now.fetch_add(seconds, Ordering::SeqCst);
        }

        fn set(&self, text: Option<String>) {
            *self.text.lock().unwrap() = text;
        }

        fn n_reads(&self) -> usize {
            self.n_reads.load(Ordering::SeqCst)
        }

        /// The number in the answer to a request, whose session is of the key `kid`.
        async fn ask(&self, method: Method, path: &str, kid: Option<&str>) -> String {
            let mut request = Request::builder().method(method).uri(path);
            if let Some(kid) = kid {
                let session = format!("{}.e30.x", shared_session_header(kid));
                let cookies = format!("a=b; {SESSION_COOKIE}={session}");
                request = request.header(header::COOKIE, cookies);
            }
            let request = request.body(Body::empty()).unwrap();
            let router = self.api.clone().router();
            let Ok(response) = router.oneshot(request).await;
            let body = to_bytes(response.into_body(), 64).await.unwrap();
            String::from_utf8(body.to_vec()).unwrap()
        }

        async fn view(&self) -> String {
            self.ask(Method::GET, "/api/media", Some("a")).await
        }

        async fn sign(&self) -> String {
            self.ask(Method::POST, "/api/session", None).await
        }

        /// Waits until the read that is in progress, if any, has ended.
        async fn settle(&self) {
            drop(self.api.shared.reading.lock().await);
        }
    }

    #[tokio::test]
    async fn the_secret_is_read_again_once_it_is_old() {
        let stage = Stage::new();
        stage.set(Some(document(&["a", "b"])));
        stage.pass(MAX_AGE - 1);
        assert_eq!((stage.sign().await.as_str(), stage.n_reads()), ("0", 0));
        stage.pass(1);
        assert_eq!((stage.sign().await.as_str(), stage.n_reads()), ("1", 1));
        assert_eq!((stage.sign().await.as_str(), stage.n_reads()), ("1", 1));
        // The same text again.
        stage.pass(MAX_AGE);
        assert_eq!((stage.sign().await.as_str(), stage.n_reads()), ("1", 2));
    }

    #[tokio::test]
    async fn only_requests_that_the_known_keys_may_not_serve_wait_and_one_read_serves_them_all() {
        let stage = Stage::new();
        *stage.is_gated.lock().unwrap() = true;
        stage.set(Some(document(&["a", "b"])));
        stage.pass(MAX_AGE);
        for _ in 0..3 {
            assert_eq!(stage.view().await, "0");
        }
        let opened = async {
            while stage.n_reads() == 0 {
                tokio::task::yield_now().await;
            }
            stage.gate.notify_one();
        };
        let (signed, unknown, ()) = tokio::join!(
            stage.sign(),
            stage.ask(Method::GET, "/api/media", Some("b")),
            opened
        );
        assert_eq!((signed.as_str(), unknown.as_str()), ("1", "1"));
        assert_eq!(stage.n_reads(), 1);
    }

    #[tokio::test]
    async fn a_read_that_hangs_delays_no_request_for_long() {
        let stage = Stage::new();
        *stage.is_gated.lock().unwrap() = true;
        stage.pass(MAX_AGE);
        assert_eq!(stage.view().await, "0");
        assert_eq!(stage.sign().await, "0");
        assert_eq!(stage.n_reads(), 1);
    }

    #[tokio::test]
    async fn a_failed_read_keeps_the_keys_and_is_repeated_after_a_pause() {
        let stage = Stage::new();
        for text in [
            None,
            Some("{}".to_owned()),
            Some(r#"{"keys":[]}"#.to_owned()),
        ] {
            let before = stage.n_reads();
            stage.set(text);
            stage.pass(MAX_AGE);
            assert_eq!(stage.sign().await, "0");
            stage.pass(PAUSE_AFTER_FAILURE.as_secs() - 1);
            assert_eq!(stage.sign().await, "0");
            assert_eq!(stage.n_reads(), before + 1);
            stage.pass(1);
            assert_eq!(stage.view().await, "0");
            stage.settle().await;
            assert_eq!(stage.n_reads(), before + 2);
        }
        stage.set(Some(document(&["b"])));
        stage.pass(PAUSE_AFTER_FAILURE.as_secs());
        assert_eq!(stage.sign().await, "1");
    }

    #[test]
    fn a_secret_that_cannot_be_used_is_told_without_its_text() {
        for (text, said) in [
            (SECRET.to_owned(), "line 1, column 1"),
            (document(&[]), "there are no keys yet"),
            (document(&["a", "a"]), "keys[1].kid is that of another key"),
        ] {
            let error = authorizer(&config(), &text).map(|_| ()).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(said) && !error.contains(SECRET), "{error}");
        }
        let without = Config {
            session: None,
            ..config()
        };
        let error = authorizer(&without, &document(&["a"]))
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().contains("[session]"), "{error}");
    }
}
