//! An authorizer that fetches the keys it needs.
//!
//! `edge-auth` decides and does no I/O: when an issuer's keys are missing it says so. A [`HostedAuthorizer`] is the
//! host for servers in Rust, as `index.mjs` is at Lambda@Edge. It fetches once for all waiting requests
//! (single-flight), within a timeout and a size limit, follows no redirect, and asks again.

#![warn(clippy::missing_errors_doc)]

mod fetch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use edge_auth::{Authorizer, Decision, NeedKeys, Refusal, Request, Unauthenticated, Viewer};
use jiff::Timestamp;

pub use fetch::{FetchError, MAX_SET_BYTES, fetch_key_set};

/// An [`Authorizer`] with a clock and an HTTP client.
pub struct HostedAuthorizer {
    keys: Arc<Keys>,
    /// One lock per address: its holder fetches the keys.
    fetching: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// The state of a fetch, which continues even if the request that started it is dropped.
struct Keys {
    authorizer: Authorizer,
    clock: fn() -> Timestamp,
    http: reqwest::Client,
}

impl HostedAuthorizer {
    /// Wraps an authorizer with a clock and an HTTP client.
    ///
    /// # Errors
    ///
    /// The HTTP client cannot be built, for example because this machine has no root certificates.
    pub fn new(authorizer: Authorizer, clock: fn() -> Timestamp) -> Result<Self, FetchError> {
        Ok(Self {
            keys: Arc::new(Keys {
                authorizer,
                clock,
                http: fetch::client()?,
            }),
            fetching: Mutex::default(),
        })
    }

    /// The authorizer itself, for calls that need no keys.
    pub fn authorizer(&self) -> &Authorizer {
        &self.keys.authorizer
    }

    fn now(&self) -> Timestamp {
        (self.keys.clock)()
    }

    /// Decides whether the viewer may fetch the path.
    pub async fn decide(&self, request: &Request<'_>) -> Decision {
        let decide = || match self.authorizer().decide(self.now(), request) {
            Decision::NeedKeys(need) => Err(need),
            decision => Ok(decision),
        };
        self.with_keys(decide)
            .await
            .unwrap_or_else(Decision::NeedKeys)
    }

    /// Identifies the sender of the request.
    ///
    /// # Errors
    ///
    /// The refusal; [`Refusal::KeysUnavailable`] if the issuer's keys could not be fetched.
    pub async fn authenticate(&self, request: &Request<'_>) -> Result<Viewer, Refusal> {
        let authenticate = || match self.authorizer().authenticate(self.now(), request) {
            Err(Unauthenticated::NeedKeys(need)) => Err(need),
            answer => Ok(answer),
        };
        self.with_keys(authenticate)
            .await
            .unwrap_or_else(|need| Err(Unauthenticated::NeedKeys(need)))
            .map_err(Unauthenticated::refusal)
    }

    /// Tries, fetches the missing keys, and tries again.
    async fn with_keys<T>(&self, attempt: impl Fn() -> Result<T, NeedKeys>) -> Result<T, NeedKeys> {
        let need = match attempt() {
            Ok(done) => return Ok(done),
            Err(need) => need,
        };
        let lock = {
            let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            fetching.entry(need.url.clone()).or_default().clone()
        };
        let holding = lock.lock_owned().await;
        // The previous holder of the lock has fetched them.
        let need = match attempt() {
            Ok(done) => return Ok(done),
            Err(need) => need,
        };
        // Runs in its own task: otherwise a client that hangs up during the fetch would evade the cool-down, and could
        // repeat that.
        let keys = self.keys.clone();
        let fetching = tokio::spawn(async move {
            keys.fetch(&need).await;
            drop(holding);
        });
        if let Err(panic) = fetching.await {
            tracing::error!(%panic, "fetching an issuer's keys");
        }
        attempt()
    }
}

impl Keys {
    async fn fetch(&self, need: &NeedKeys) {
        let fetched = fetch::key_set(&self.http, need).await;
        let now = (self.clock)();
        let (issuer, url) = (need.issuer.as_str(), need.url.as_str());
        match fetched {
            Ok(jwks) => match self.authorizer.accept_keys(now, url, &jwks) {
                Ok(left_out) if left_out.is_empty() => {
                    tracing::info!(issuer, "the issuer's keys are fetched");
                }
                Ok(left_out) => {
                    tracing::warn!(issuer, ?left_out, "some of the issuer's keys are left out");
                }
                Err(faults) => tracing::warn!(issuer, ?faults, "the issuer's keys are refused"),
            },
            Err(error) => {
                self.authorizer.keys_not_fetched(now, url);
                tracing::warn!(issuer, %error, "the issuer's keys cannot be fetched");
            }
        }
    }
}
