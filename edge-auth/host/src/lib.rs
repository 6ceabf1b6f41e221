//! An authorizer that fetches the keys it asks for.
//!
//! `edge-auth` decides and does no I/O: where it lacks an issuer's keys it says so. A [`HostedAuthorizer`] is the other
//! half for servers in Rust, as `index.mjs` is at Lambda@Edge: it fetches once for everybody who waits, within a time
//! limit and a size cap, follows no redirect, and asks again.

mod fetch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use edge_auth::{Authorizer, Decision, NeedKeys, Refusal, Request, Unauthenticated, Viewer};
use jiff::Timestamp;

pub use fetch::{FETCH_TIMEOUT, FetchError, MAX_SET_BYTES};

/// An [`Authorizer`] with a clock and a way to fetch keys.
pub struct HostedAuthorizer {
    authorizer: Authorizer,
    clock: fn() -> Timestamp,
    http: reqwest::Client,
    /// Whoever holds an issuer's lock fetches its keys.
    fetching: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl HostedAuthorizer {
    /// Gives an authorizer what it needs.
    pub fn new(authorizer: Authorizer, clock: fn() -> Timestamp) -> Result<Self, FetchError> {
        Ok(Self {
            authorizer,
            clock,
            http: fetch::client()?,
            fetching: Mutex::default(),
        })
    }

    /// The authorizer itself, for what needs no keys.
    pub fn authorizer(&self) -> &Authorizer {
        &self.authorizer
    }

    /// May this viewer fetch this path?
    pub async fn decide(&self, request: &Request<'_>) -> Decision {
        match self.authorizer.decide((self.clock)(), request) {
            Decision::NeedKeys(need) => {
                self.fetch(&need).await;
                self.authorizer.decide((self.clock)(), request)
            }
            decision => decision,
        }
    }

    /// Who sends this request?
    pub async fn authenticate(&self, request: &Request<'_>) -> Result<Viewer, Refusal> {
        match self.authorizer.authenticate((self.clock)(), request) {
            Err(Unauthenticated::NeedKeys(need)) => {
                self.fetch(&need).await;
                self.authorizer.authenticate((self.clock)(), request)
            }
            answer => answer,
        }
        .map_err(Unauthenticated::refusal)
    }

    /// Fetches an issuer's keys, or waits for somebody else who does.
    async fn fetch(&self, need: &NeedKeys) {
        let lock = {
            let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            fetching.entry(need.issuer.clone()).or_default().clone()
        };
        let Ok(_holding) = lock.try_lock() else {
            // Whatever comes of it is there when the lock is free.
            drop(lock.lock().await);
            return;
        };
        let fetched = fetch::key_set(&self.http, &need.url).await;
        let now = (self.clock)();
        let issuer = need.issuer.as_str();
        match fetched {
            Ok(jwks) => match self.authorizer.accept_keys(now, issuer, &jwks) {
                Ok(left_out) if left_out.is_empty() => {
                    tracing::info!(issuer, "the issuer's keys are fetched");
                }
                Ok(left_out) => {
                    tracing::warn!(issuer, ?left_out, "some of the issuer's keys are left out");
                }
                Err(faults) => tracing::warn!(issuer, ?faults, "the issuer's keys are refused"),
            },
            Err(error) => {
                self.authorizer.keys_not_fetched(now, issuer);
                tracing::warn!(issuer, %error, "the issuer's keys cannot be fetched");
            }
        }
    }
}
